//! One zone of the writing region is lost (seed 000, task 8): the load balancer leaves it, the region goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use model::topology::SiteRole;
use rustix::process::Signal;

use crate::drill::plans;
use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::world::{self, WorldError, death, wait_for};

/// How long the zone is gone: several times what a load balancer takes to see it.
const GONE_FOR: Duration = Duration::from_secs(8);
/// How soon an instance that starts in the lost zone is killed again.
const KILL_EVERY: Duration = Duration::from_millis(50);

pub async fn zone_loss(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let home = stage.world.topology.sites.iter().find(|site| site.id == stage.home);
    let zone = home.and_then(|site| match &site.role {
        SiteRole::Region { zones, .. } => zones.first().cloned(),
        SiteRole::Witness => None,
    });
    let zone = zone.ok_or_else(|| WorldError::Refused(format!("{} has no zones", stage.home)))?;
    let mark = stage.world.layout.mark(&stage.home);
    let before = stage.brace().await?;
    let mut wound = Wound::default();
    stage.struck(&wound);
    let served = stage.ledger.progress().borrow().total.acknowledged;
    let mut killed = BTreeSet::new();
    let until = tokio::time::Instant::now() + GONE_FOR;
    while tokio::time::Instant::now() < until {
        let instances = death::in_zone(&mark, &zone);
        death::signal(&instances, Signal::KILL);
        killed.extend(instances);
        tokio::time::sleep(KILL_EVERY).await;
    }
    wound.killed(killed.len());
    let served = stage.ledger.progress().borrow().total.acknowledged - served;
    let clients = plans::clients(stage.world, stage.drill);
    let sent: u128 = clients.iter().map(|client| GONE_FOR.as_nanos() / client.habits.every.as_nanos()).sum();
    // Instances that are killed as they start answer a few, too: the other zone answers nearly all.
    stage.check(
        "the other zone served",
        u128::from(served) * 2 > sent,
        format!("{served} of {sent} writes acknowledged while zone {zone} was gone"),
    );
    stage.heal(&mut wound).await?;
    wait_for("every instance of the zone", RECOVER_WITHIN, async || {
        stage.api.status().await.is_ok_and(|status| world::serves(&status))
    })
    .await?;
    stage.measure_here(&wound).await;
    stage.nothing_moved(before).await?;
    stage.find_home().await;
    Ok(())
}
