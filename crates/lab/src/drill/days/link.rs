//! The writing region's links come and go. Blips shorter than half a lease are weather: nobody may fail over. What
//! lasts longer than a lease is a lost region each time: at most one failover for each, and never two writers.

use std::time::Duration;

use engine::Record;
use model::time::human;

use crate::drill::stage::Stage;
use crate::drill::wound::Wound;
use crate::proxy::Conditions;
use crate::world::{WorldError, links_of};

/// How often the links go silent for less than half a lease.
const BLIPS: u32 = 8;
/// How long a blip is, and the calm after it, as shares of the lease.
const BLIP: f64 = 0.45;
const CALM: f64 = 0.3;
/// How often the links go silent for longer than a lease, how much longer, and the calm after that.
const FLAPS: u32 = 2;
const FLAP: f64 = 1.6;
const RETURN: f64 = 0.6;

pub async fn flapping(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    // The margin is what this is about.
    stage.watcher.mark_calm(true);
    let lease = stage.world.topology.timing.lease;
    let served = stage.ledger.progress().borrow().total.acknowledged;
    let mut wound = Wound::default();
    stage.struck(&wound);
    let mut hits = 0;
    for _ in 0..BLIPS {
        hits += u32::from(flap(stage, &mut wound, lease.mul_f64(BLIP)).await?);
        tokio::time::sleep(lease.mul_f64(CALM)).await;
    }
    // What blips add while they last is no added latency: that is asked of the time after them.
    stage.story.healed_at = Some(crate::ledger::now());
    wound.note(format!(
        "{BLIPS} blips of {}, with {} between them",
        human(lease.mul_f64(BLIP)),
        human(lease.mul_f64(CALM))
    ));
    stage.check(
        "every blip hit something",
        hits == BLIPS,
        format!("{hits} of {BLIPS} dropped bytes or left connections unanswered"),
    );
    let served = stage.ledger.progress().borrow().total.acknowledged - served;
    stage.check(
        "clients were served",
        served > 0,
        format!("{served} writes acknowledged between the first blip and the last"),
    );
    stage.measure_here(&wound).await;
    stage.nothing_moved(before).await?;
    let lowest = stage.watcher.margin();
    stage.check(
        "the lease never ran out",
        lowest.is_some_and(|margin| !margin.is_zero()),
        lowest.map_or("no renewal was seen".into(), |margin| format!("at least {} were left", human(margin))),
    );
    stage.find_home().await;
    Ok(())
}

pub async fn flapping_long(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let lease = stage.world.topology.timing.lease;
    let mut wound = Wound::default();
    stage.struck(&wound);
    let mut hits = 0;
    for _ in 0..FLAPS {
        hits += u32::from(flap(stage, &mut wound, lease.mul_f64(FLAP)).await?);
        tokio::time::sleep(lease.mul_f64(RETURN)).await;
    }
    wound.note(format!("{FLAPS} cuts of {}", human(lease.mul_f64(FLAP))));
    stage.check(
        "every cut hit something",
        hits == FLAPS,
        format!("{hits} of {FLAPS} dropped bytes or left connections unanswered"),
    );
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &wound).await?;
    let started = |record: &Record| matches!(record, Record::RunStarted { .. });
    let runs = stage.watcher.lines().iter().filter(|(line, record)| line.seq > before && started(record)).count();
    let epochs = stage.epoch().await?.saturating_sub(stage.story.old_epoch);
    // The region that is cut does not write any more after the first, so the later cuts move nobody.
    stage.check(
        "one failover for all the cuts",
        runs == 1,
        format!("{runs} runs were started, the epoch grew by {epochs}"),
    );
    let fenced = stage.fences_itself().await;
    stage.check(
        "the region that came and went fenced itself",
        fenced.is_ok(),
        fenced.clone().unwrap_or_else(|why| why),
    );
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

/// One time of silence of the writing region's links; whether it hit anything.
async fn flap(stage: &Stage<'_>, wound: &mut Wound, silence: Duration) -> Result<bool, WorldError> {
    wound.change_links(stage.world, links_of(&stage.world.topology, &stage.home), Conditions::CUT);
    tokio::time::sleep(silence).await;
    let hit = wound.hit().0;
    wound.heal(stage.world).await?;
    Ok(hit)
}
