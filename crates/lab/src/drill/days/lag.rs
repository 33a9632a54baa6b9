//! The standby lags by more than the business can bear to lose when the writing region is lost: the failover must stop
//! and ask, with what it would lose, and what it then loses must not be more (seed 003 section 23; SAFETY.md item 9).

use std::time::Duration;

use engine::Record;
use engine::runbook::run::Pause;
use model::time::human;
use model::{RunId, Topology};

use crate::drill::checks;
use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::ledger;
use crate::proxy::{Conditions, Fault, Link};
use crate::world::{WorldError, wait_for};

/// What is left of the link over which the standby receives. The drill's clients make several times as much log.
const TRICKLE: Fault = Fault::Slow { bytes_per_second: 16 * 1024 };

/// The least recovery point that an asynchronous workload with this lease can promise. A drill that waited for a lag
/// beyond a generous one would take as long.
pub fn tighten(topology: &mut Topology) {
    let floor = topology.timing.lease + topology.timing.max_lag;
    topology.objectives.rpo = topology.objectives.rpo.min(floor);
}

pub async fn slow_replication(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let rpo = stage.world.topology.objectives.rpo;
    stage.say(&format!("for this drill the recovery point objective is {}", human(rpo)));
    stage.watcher.mark_calm(false);
    let mut slow = Wound::default();
    // The standby opens the connection, and the log comes back over it.
    let links = vec![Link::new(&stage.away, &stage.home)];
    slow.change_links(stage.world, links, Conditions { there: Fault::Pass, back: TRICKLE });
    let lagging = behind(stage, rpo).await?;
    let (_, slowed) = slow.hit();
    stage.say(&format!("{} is {} behind", stage.away, human(lagging)));
    let before = stage.brace().await?;
    let mut wound = Wound::loss(stage.world, &stage.home).await?;
    wound.note(format!("replication was {} behind: {slowed}", human(lagging)));
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    let asked = asks(stage, failover).await?;
    stage.say(&format!("{failover} asks: {asked}"));
    agreed_by_two(stage, failover, before, asked).await?;
    stage.recovered_by(failover, &wound).await?;
    compared(stage, failover)?;
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

/// Waits until the standby is behind by more than `rpo` allows. It is not the time that a lost writer may go on that
/// makes it too much.
async fn behind(stage: &Stage<'_>, rpo: Duration) -> Result<Duration, WorldError> {
    let mut lag = Duration::ZERO;
    let what = format!("a standby that is {} behind", human(rpo));
    wait_for(&what, RECOVER_WITHIN, async || {
        let seen = stage.watcher.lags().into_iter().rev().find(|lag| lag.site == stage.away);
        lag = seen.and_then(|seen| seen.lag).unwrap_or_default();
        lag > rpo
    })
    .await?;
    Ok(lag)
}

/// What the run says that it would lose; waits until it has stopped over that.
async fn asks(stage: &Stage<'_>, run: RunId) -> Result<String, WorldError> {
    let find = || {
        stage.watcher.lines().into_iter().find_map(|(_, record)| match record {
            Record::Paused { run: of, pause: Pause::AcceptLoss { need, estimate }, .. } if of == run && need >= 2 => {
                Some(estimate)
            }
            _ => None,
        })
    };
    wait_for("a failover that asks whether the loss is accepted", RECOVER_WITHIN, async || find().is_some()).await?;
    find().ok_or_else(|| WorldError::Refused("no pause".into()))
}

/// Nothing moves until a second person has agreed.
async fn agreed_by_two(stage: &mut Stage<'_>, run: RunId, before: u64, asked: String) -> Result<(), WorldError> {
    let approvers = stage.world.topology.approvals.approvers.clone();
    let lease = stage.world.topology.timing.lease;
    // Long enough for a promise of the lost region to end: whoever would promote in spite of the pause can by then.
    tokio::time::sleep(lease).await;
    let alone = still(stage, run, before);
    stage.check("it asked before it lost anything", alone.is_none(), alone.unwrap_or(asked));
    for (number, person) in approvers.iter().take(2).enumerate() {
        if number == 1 {
            stage.settle().await;
            let moved = still(stage, run, before);
            let why = moved.clone().unwrap_or_else(|| format!("{} agreed, and it went on waiting", approvers[0]));
            stage.check("one person was not enough", moved.is_none(), why);
        }
        let said = stage.world.operator(person)?.approve(run, true).await;
        said.map_err(|error| WorldError::Refused(error.to_string()))?;
    }
    Ok(())
}

/// Whether the run has ordered or passed a promotion since line `before`, and how the journal says it.
fn still(stage: &Stage<'_>, run: RunId, before: u64) -> Option<String> {
    stage.watcher.lines().into_iter().filter(|(line, _)| line.seq > before).find_map(|(_, record)| {
        let moved = match &record {
            Record::Committed { run: of, .. } => *of == run,
            Record::AttemptStarted { attempt, action, .. } => {
                attempt.run == run && matches!(action.verb, model::Verb::Promote { .. })
            }
            _ => false,
        };
        moved.then(|| record.text())
    })
}

/// The estimate that people were shown against what the ledger says was lost.
fn compared(stage: &mut Stage<'_>, run: RunId) -> Result<(), WorldError> {
    let estimate = stage.watcher.lines().into_iter().find_map(|(_, record)| match record {
        Record::RunStarted { run: of, estimate, .. } if of == run => estimate,
        _ => None,
    });
    let path = stage.out.join("ledger.jsonl");
    let history = ledger::read(&path).map_err(|error| WorldError::Refused(error.to_string()))?;
    let lost = stage.story.after_failover.as_ref().map(|audit| audit.lost.clone()).unwrap_or_default();
    let fault = stage.story.fault_at.unwrap_or_else(ledger::now);
    let measured = checks::recovery_point(&history, &lost, fault);
    let said = estimate.as_ref().map_or_else(|| "nothing".to_owned(), |loss| human(loss.total));
    let why = format!("{said} was estimated, {} was lost: {} acknowledged writes", human(measured), lost.len());
    let enough = estimate.as_ref().is_some_and(|loss| loss.total >= measured);
    stage.check("no more was lost than estimated", enough, why.clone());
    // Otherwise the lag was none, and the question vain.
    stage.check("something was lost", !lost.is_empty(), why);
    stage.story.accepted_loss = estimate.map(|loss| loss.total);
    Ok(())
}
