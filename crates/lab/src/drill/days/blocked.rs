//! The region that must take over is not fit to: the failover waits, moves nothing, and goes on once it is (seed 003
//! section 23, scenario 5, and its capacity check).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use engine::Record;
use engine::runbook::Check;
use engine::runbook::run::Pause;
use model::topology::SiteRole;
use model::{RunId, Time, Verb};
use rustix::process::Signal;

use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::ledger;
use crate::world::{WorldError, death, wait_for};

/// How often new instances are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much later than the new writer the slow instances are there.
const LATE: Duration = Duration::from_secs(2);

/// A secret is missing where the workload must go. It is put back only once the failover has stopped over it.
pub async fn secret_missing(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let folder = stage.world.layout.site(&stage.away).join("state/secrets");
    let name = stage.world.topology.secrets().map(|(id, _)| id.to_string()).next();
    let name = name.ok_or_else(|| WorldError::Refused("the spec declares no secret".into()))?;
    let (here, hidden) = (folder.join(&name), stage.world.layout.root.join("secret.missing"));
    move_file(&here, &hidden)?;
    let says = format!("has no {name}");
    wait_for("a status that warns of the secret", RECOVER_WITHIN, async || {
        let obstacles = stage.api.status().await.map(|status| status.failover.obstacles).unwrap_or_default();
        obstacles.iter().any(|obstacle| obstacle.contains(&says))
    })
    .await?;
    stage.check("status warned beforehand", true, format!("an obstacle to a failover: {} {says}", stage.away));
    let before = stage.brace().await?;
    let mut wound = Wound::loss(stage.world, &stage.home).await?;
    wound.note(format!("{name} was missing at {}", stage.away));
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    let why = trouble(stage, failover, &says).await?;
    stage.say(&format!("{failover} waits: {why}"));
    // As long again as a lease: whoever would promote or route in spite of the pause has the time to.
    tokio::time::sleep(stage.world.topology.timing.lease).await;
    stage.check("it waited for the secret", true, why);
    let blocked_until = stage.watcher.last_seq();
    blocked(stage, failover, before, blocked_until).await?;
    move_file(&hidden, &here)?;
    stage.say(&format!("{name} is back at {}", stage.away));
    stage.recovered_by(failover, &wound).await?;
    let lines = stage.watcher.lines();
    let asked = |record: &Record| matches!(record, Record::Approved { run, .. } | Record::StepReset { run, .. } if *run == failover);
    let by_people = lines.iter().filter(|(_, record)| asked(record)).count();
    stage.check("it went on by itself", by_people == 0, format!("{by_people} approvals or new tries by people"));
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

fn move_file(from: &PathBuf, to: &PathBuf) -> Result<(), WorldError> {
    let failed = |source| WorldError::Start { what: format!("a move of {}", from.display()), source };
    std::fs::rename(from, to).map_err(failed)
}

/// Why the run has stopped; waits until it has, over what `says` names.
async fn trouble(stage: &Stage<'_>, run: RunId, says: &str) -> Result<String, WorldError> {
    let stopped = |record: &Record| match record {
        Record::Paused { run: of, pause: Pause::Trouble { why, .. }, .. } if *of == run && why.contains(says) => {
            Some(why.clone())
        }
        _ => None,
    };
    let find = || stage.watcher.lines().iter().find_map(|(_, record)| stopped(record));
    wait_for("a failover that waits for what is missing", RECOVER_WITHIN, async || find().is_some()).await?;
    find().ok_or_else(|| WorldError::Refused("no pause".into()))
}

/// Nothing that cannot be taken back was ordered, and neither writer nor traffic moved.
async fn blocked(stage: &mut Stage<'_>, run: RunId, before: u64, until: u64) -> Result<(), WorldError> {
    let lines = stage.watcher.lines();
    let mut window = lines.iter().filter(|(line, _)| line.seq > before && line.seq <= until);
    let moved = window.find(|(_, record)| match record {
        Record::AttemptStarted { attempt, action, .. } => {
            let moves = matches!(action.verb, Verb::Promote { .. } | Verb::Route { .. } | Verb::Fence { .. });
            attempt.run == run && moves
        }
        Record::Committed { .. } | Record::ZoneChosen { .. } => true,
        _ => false,
    });
    let why = moved.map_or("no fence, promotion or route was ordered".to_owned(), |(_, record)| record.text());
    let status = stage.api.status().await.map_err(|error| WorldError::Refused(error.to_string()))?;
    let epoch = status.writer.as_ref().map_or(0, |writer| writer.epoch.number);
    let to = status.routing.map(|routing| routing.to).unwrap_or_default();
    let at_home = !to.is_empty() && to.iter().all(|to| to.contains(stage.home.as_str()));
    let still = moved.is_none() && epoch == stage.story.old_epoch && at_home;
    let why = format!("{why}; epoch {epoch}, traffic to {}", to.join(", "));
    stage.check("nothing moved meanwhile", still, why);
    Ok(())
}

/// The standby has fewer instances than the peak needs, loses those too, and new ones are slow to start.
pub async fn standby_too_small(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let (_, fleet) = stage.world.topology.fleets().next().ok_or_else(|| WorldError::Refused("no fleet".into()))?;
    let peak = fleet.peak as usize;
    let own = instances(stage);
    stage.check("the standby was too small", own.len() < peak, format!("{} instances of {peak}", own.len()));
    let before = stage.brace().await?;
    death::signal(&own, Signal::KILL);
    let mut wound = Wound::loss(stage.world, &stage.home).await?;
    wound.killed(own.len());
    stage.struck(&wound);
    // From here on whatever starts there is kept from running, until the new writer has been there for a while.
    let mut held = BTreeSet::new();
    let (slow, committed) = (hold(stage, &own, &mut held), committed(stage, before));
    let (failover, commit) =
        tokio::select! { told = committed => told?, () = slow => unreachable!("it holds for ever") };
    let released = ledger::now();
    death::signal(&held.iter().copied().collect::<Vec<_>>(), Signal::CONT);
    stage.say(&format!("{} slow instances may run at last", held.len()));
    stage.recovered_by(failover, &wound).await?;
    verified_first(stage, failover, &Slow { held: held.len(), peak, commit, released });
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

/// The instances at the standby.
fn instances(stage: &Stage<'_>) -> Vec<i32> {
    let mark = stage.world.layout.mark(&stage.away);
    let zones = match stage.world.topology.site(&stage.away).map(|site| &site.role) {
        Some(SiteRole::Region { zones, .. }) => zones.clone(),
        _ => Vec::new(),
    };
    zones.iter().flat_map(|zone| death::in_zone(&mark, zone)).collect()
}

/// Freezes every new instance at the standby, for ever.
async fn hold(stage: &Stage<'_>, old: &[i32], held: &mut BTreeSet<i32>) {
    loop {
        for pid in instances(stage).into_iter().filter(|pid| !old.contains(pid)) {
            if held.insert(pid) {
                death::signal(&[pid], Signal::STOP);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The failover and its commit point, told some time after that.
async fn committed(stage: &Stage<'_>, before: u64) -> Result<(RunId, Time), WorldError> {
    let failover = stage.run_after(before).await?;
    let point = || {
        stage.watcher.lines().iter().find_map(|(_, record)| match record {
            Record::Committed { run, at, .. } if *run == failover => Some(*at),
            _ => None,
        })
    };
    wait_for("the commit point", RECOVER_WITHIN, async || point().is_some()).await?;
    tokio::time::sleep(LATE).await;
    let at = point().ok_or_else(|| WorldError::Refused("no commit point".into()))?;
    Ok((failover, at))
}

struct Slow {
    held: usize,
    peak: usize,
    commit: Time,
    released: Time,
}

/// By the drill's own clock, and by the journal: no traffic was sent there before every instance could run.
fn verified_first(stage: &mut Stage<'_>, run: RunId, slow: &Slow) {
    let lines = stage.watcher.lines();
    let number = lines.iter().find_map(|(_, record)| match record {
        Record::RunStarted { run: of, runbook, .. } if *of == run => {
            let ready = |step: &engine::runbook::Step| matches!(step.check(), Some(Check::CapacityReady { .. }));
            runbook.steps.iter().position(ready)
        }
        _ => None,
    });
    let verified = lines.iter().find_map(|(line, record)| match record {
        Record::CheckEnded { run: of, step, passed: true, .. } if *of == run && Some(*step as usize) == number => {
            Some((line.seq, line.at))
        }
        _ => None,
    });
    let routed = lines.iter().find_map(|(line, record)| match record {
        Record::AttemptStarted { attempt, action, .. }
            if attempt.run == run && matches!(action.verb, Verb::Route { .. }) =>
        {
            Some((line.seq, line.at))
        }
        _ => None,
    });
    let all = slow.held >= slow.peak && slow.released > slow.commit;
    let why = format!("{} of {} were held until {} s after the commit point", slow.held, slow.peak, LATE.as_secs());
    stage.check("all its instances were slow", all, why);
    let (Some(verified), Some(routed)) = (verified, routed) else {
        return stage.check(
            "capacity verified before traffic moved",
            false,
            "the journal lacks the check or the route",
        );
    };
    let after = |at: Time| at.since(slow.released);
    let first = verified.0 < routed.0 && verified.1 >= slow.released && routed.1 >= slow.released;
    let why = format!(
        "every instance was ready {} after they could run, the first route came after {}",
        model::time::human(after(verified.1)),
        model::time::human(after(routed.1))
    );
    stage.check("capacity verified before traffic moved", first, why);
}
