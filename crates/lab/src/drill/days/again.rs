//! A second disaster: the region that took over is lost as well, while the workload is being brought back. The worst
//! moment is the one at which nobody writes: the old writer has stopped, and the new one is only being ordered. From
//! there the run goes forward, with all that was acknowledged (SAFETY.md items 3 and 5).

use engine::Record;
use model::time::human;
use model::{RunId, Verb};

use crate::clients::ClientKind;
use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::ledger;
use crate::world::{WorldError, wait_for};

pub async fn second_disaster(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let mut first = Wound::loss(stage.world, &stage.home).await?;
    stage.struck(&first);
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &first).await?;
    stage.heal(&mut first).await?;
    stage.say(&format!("{} is back; failing back to it", stage.home));
    let failback = stage.ask_for_failback().await?;
    stage.story.failback = Some(failback);
    let home = stage.home.clone();
    let ordered = |record: &Record| {
        matches!(record, Record::AttemptStarted { attempt, action, .. } if attempt.run == failback
            && action.site == home && matches!(action.verb, Verb::Promote { .. }))
    };
    stage.watcher.wait_for_record(RECOVER_WITHIN, ordered).await?;
    let mut second = Wound::loss(stage.world, &stage.away).await?;
    let (hit, what) = second.hit();
    stage.check("the second disaster hit something", hit, format!("{} was lost as well: {what}", stage.away));
    stage.say(&format!("{} is lost too, in the middle of {failback}", stage.away));
    let served = serves_alone(stage).await?;
    let why = format!("{home} served again {} after the second loss", human(served.since(second.at)));
    stage.check("the run went forward without the lost region", true, why);
    stage.settle().await;
    let audit = stage.audit("after the second disaster").await;
    let lost = stage.story.after_failover.as_ref().map(|audit| audit.lost.clone()).unwrap_or_default();
    let more = audit.as_ref().map(|audit| audit.lost.iter().filter(|id| !lost.contains(id)).count());
    let why = more.map_or("the ledger was not compared".to_owned(), |more| format!("{more} acknowledged writes"));
    stage.check("nothing was lost in the second disaster", more == Some(0), why);
    stage.heal(&mut second).await?;
    ends(stage, failback).await
}

/// Clients that ask DNS are served again: traffic has moved, and only home is left to serve them.
async fn serves_alone(stage: &Stage<'_>) -> Result<model::Time, WorldError> {
    let progress = stage.ledger.progress();
    let count = || progress.borrow().by_kind.get(&ClientKind::TtlHonouring).map_or(0, |counts| counts.acknowledged);
    let before = count();
    let what = format!("clients served by {} again", stage.home);
    wait_for(&what, RECOVER_WITHIN, async || count() > before).await?;
    Ok(ledger::now())
}

/// Past its commit point a run goes only forward: once its lost region is back, it finishes.
async fn ends(stage: &mut Stage<'_>, failback: RunId) -> Result<(), WorldError> {
    stage.succeeds(failback).await?;
    stage.say(&format!("{failback} succeeded"));
    stage.find_home().await;
    stage.settle().await;
    Ok(())
}
