//! Several drills, one after another, and the scorecard of them all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::Topology;
use model::time::human;
use tokio_util::sync::CancellationToken;

use super::result::word;
use super::{Drill, DrillError, Plan, make_folder, run};
use crate::ledger;
use crate::report::{DrillResult, Scorecard, Scored, Verdict, scorecard_html, verdict_of};

/// What one drill takes, as long as none has been timed: most end within 30 to 50 s on a machine with two cores.
const ONE_TAKES: Duration = Duration::from_secs(45);

/// What a round of drills is told. Each drill gets a folder of its own name in `out`.
pub struct Round {
    pub drills: Vec<Drill>,
    pub topology: Arc<Topology>,
    /// The spec's own text, for the evidence.
    pub spec: String,
    /// Where the spec stands.
    pub beside: PathBuf,
    /// A new folder.
    pub out: PathBuf,
    /// This program.
    pub program: PathBuf,
}

/// Carries the drills out, whatever becomes of each. `scorecard.json` and `scorecard.html` are written after every one,
/// so that nothing that was measured is lost; `done` hears every result. A stop ends the drill under way with nothing
/// left, and counts it and those that follow as skipped.
///
/// # Errors
/// The folder or the scorecard cannot be written. A drill that fails, or cannot be run, is a line of the scorecard.
pub async fn run_round(
    round: Round,
    say: &(dyn Fn(&str) + Sync),
    stop: CancellationToken,
    done: &mut dyn FnMut(&DrillResult),
) -> Result<Scorecard, DrillError> {
    let began = ledger::now();
    make_folder(&round.out)?;
    let mut card = Scorecard {
        workload: round.topology.workload.clone(),
        profile: round.topology.timing.profile.clone(),
        replication: word(&round.topology.database().1.replication),
        antipode: env!("CARGO_PKG_VERSION").into(),
        began: jiff::Timestamp::now().to_string(),
        took_seconds: Default::default(),
        verdict: Verdict::Skipped,
        interrupted: false,
        drills: Vec::new(),
    };
    let mut took = Vec::new();
    for (number, drill) in round.drills.iter().enumerate() {
        let left = remaining(&took, round.drills.len() - number);
        say(&format!("{} of {}: {}, about {} left", number + 1, round.drills.len(), drill.name(), human(left)));
        let started = ledger::now();
        let scored = one(&round, *drill, say, &stop, done).await;
        card.interrupted = stop.is_cancelled();
        say(&format!("{} {}: {}", scored.drill, scored.verdict.word(), scored.reasons.join("; ")));
        if scored.verdict != Verdict::Skipped {
            took.push(ledger::now().since(started));
        }
        card.drills.push(scored);
        card.took_seconds = ledger::now().since(began).into();
        card.verdict = verdict_of(&card.drills);
        write(&round.out, &card)?;
    }
    Ok(card)
}

async fn one(
    round: &Round,
    drill: Drill,
    say: &(dyn Fn(&str) + Sync),
    stop: &CancellationToken,
    done: &mut dyn FnMut(&DrillResult),
) -> Scored {
    let without = |verdict, why: String| Scored::without(drill.name(), drill.what(), verdict, why);
    if stop.is_cancelled() {
        return without(Verdict::Skipped, "interrupted before it began".into());
    }
    if let Some(why) = drill.obstacle(&round.topology) {
        return without(Verdict::Skipped, why);
    }
    let plan = Plan {
        drill,
        topology: round.topology.clone(),
        spec: round.spec.clone(),
        beside: round.beside.clone(),
        out: round.out.join(drill.name()),
        program: round.program.clone(),
    };
    match run(plan, say, stop.clone()).await {
        Ok(result) => {
            done(&result);
            Scored::of(&result, drill.what(), drill.name())
        }
        Err(DrillError::Interrupted) => without(Verdict::Skipped, "interrupted".into()),
        Err(error) => without(Verdict::Failed, format!("it could not be run: {}", causes(&error))),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    chain.collect::<Vec<_>>().join(": ")
}

/// How long `left` more drills take if they take what those before took on average.
fn remaining(took: &[Duration], left: usize) -> Duration {
    let count = u32::try_from(took.len()).unwrap_or(u32::MAX);
    let each = took.iter().sum::<Duration>().checked_div(count).unwrap_or(ONE_TAKES);
    Duration::from_secs((each * u32::try_from(left).unwrap_or(u32::MAX)).as_secs())
}

/// The old one is replaced at once or not at all.
fn write(out: &Path, card: &Scorecard) -> Result<(), DrillError> {
    let json = serde_json::to_string_pretty(card).expect("a scorecard is JSON");
    for (name, text) in [("scorecard.json", json), ("scorecard.html", scorecard_html(card)?)] {
        let (path, beside) = (out.join(name), out.join(format!("{name}.new")));
        let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &path));
        written.map_err(|source| DrillError::File { doing: "write", path, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_what_was_taken() {
        let seconds = Duration::from_secs;
        assert_eq!(remaining(&[], 3), ONE_TAKES * 3);
        assert_eq!(remaining(&[seconds(20), seconds(41)], 4), seconds(122));
        assert_eq!(remaining(&[seconds(20)], 0), Duration::ZERO);
    }
}
