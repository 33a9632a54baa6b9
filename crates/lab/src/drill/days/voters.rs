//! A voter loses its storage. It may have promised something that it no longer knows, so it must keep silent until it
//! has heard the others and every promise of its own has ended; the writer goes on with the two that are left, and
//! afterwards the three must again be able to elect another.

use std::time::{Duration, Instant};

use engine::Record;
use engine::status::SiteStatus;
use model::SiteId;

use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::world::{WorldError, wait_for};

/// How long the voter is gone, in leases: long enough that no grant of it is left anywhere.
const GONE_FOR: u32 = 2;

pub async fn lease_store_loss(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let witness = stage.world.topology.witness().clone();
    let before = stage.watcher.last_seq();
    lose_store(stage, &witness).await?;
    stage.world.start_site(&witness).await?;
    let started = Instant::now();
    let lease = stage.world.topology.timing.lease;
    let returned = promises_again(stage, &witness, started).await;
    let why = format!("{witness} promises again, in the epoch of the writer");
    stage.check(
        "the wiped voter votes again",
        returned.is_ok(),
        returned.as_ref().err().map_or(why, ToString::to_string),
    );
    returned?;
    // What it granted is old by the time a region is lost.
    tokio::time::sleep(lease).await;
    went_on(stage, before).await?;

    let before = stage.brace().await?;
    let mut wound = Wound::loss(stage.world, &stage.home).await?;
    wound.note(format!("before that, the voter of {witness} lost its storage"));
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &wound).await?;
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

/// Kills the site's agent and removes what its voter has promised.
async fn lose_store(stage: &mut Stage<'_>, site: &SiteId) -> Result<(), WorldError> {
    let killed = stage.world.kill_site(site).await?;
    let state = stage.world.layout.site(site).join("state");
    let failed = |source| WorldError::Start { what: format!("the loss of {}", state.display()), source };
    let mut wiped = 0;
    for entry in std::fs::read_dir(&state).map_err(failed)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("voter.sqlite") {
            std::fs::remove_file(entry.path()).map_err(failed)?;
            wiped += 1;
        }
    }
    stage.check(
        "the voter's store was lost",
        killed > 0 && wiped > 0,
        format!("{killed} processes killed, {wiped} files removed"),
    );
    stage.say(&format!("the voter of {site} has lost its storage"));
    let progress = stage.ledger.progress();
    let served = || progress.borrow().total.acknowledged;
    let before = served();
    tokio::time::sleep(stage.world.topology.timing.lease * GONE_FOR).await;
    let without = served() - before;
    stage.check("the writer went on with two voters", without > 0, format!("{without} writes acknowledged meanwhile"));
    Ok(())
}

/// A report from after its start says that it lacks nobody's word any more, and that a promise of it runs.
pub(super) async fn promises_again(stage: &Stage<'_>, site: &SiteId, started: Instant) -> Result<(), WorldError> {
    wait_for("a promise of the wiped voter", RECOVER_WITHIN, async || {
        stage.api.status().await.is_ok_and(|status| {
            let seen = status.sites.iter().find(|seen| seen.site == *site);
            let promises = |seen: &SiteStatus| seen.promise_remaining.is_some_and(|left| left > Duration::ZERO);
            let new = |seen: &SiteStatus| seen.reported.is_some_and(|age| age < started.elapsed());
            seen.is_some_and(|seen| new(seen) && seen.findings.is_empty() && promises(seen))
        })
    })
    .await
}

/// Nobody moved the writer, and its epoch is the same.
async fn went_on(stage: &mut Stage<'_>, before: u64) -> Result<(), WorldError> {
    stage.nothing_moved(before).await?;
    let vetoed = |record: &Record| matches!(record, Record::WriterGone { why: Some(_), .. });
    let gone = stage.watcher.lines().iter().any(|(line, record)| line.seq > before && vetoed(record));
    stage.check("the writer never stopped", !gone, "no report said that the writer was gone");
    Ok(())
}
