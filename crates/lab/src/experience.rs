//! What drills have shown of how long each act takes: the forecast draws from it in place of its priors.

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::forecast::History;

use crate::report::{DrillResult, Seconds, StepBar, StepEnd, Verdict};

#[derive(Debug, thiserror::Error)]
pub enum ExperienceError {
    #[error("cannot read {}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} is no result of a drill", .path.display())]
    Result { path: PathBuf, source: serde_json::Error },
}

/// The results of drills in these folders, `result.json` in each.
///
/// # Errors
/// A folder without a result, or with one that cannot be read.
pub fn read(folders: &[PathBuf]) -> Result<Vec<DrillResult>, ExperienceError> {
    folders.iter().map(|folder| result(&folder.join("result.json"))).collect()
}

fn result(path: &Path) -> Result<DrillResult, ExperienceError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ExperienceError::File { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| ExperienceError::Result { path: path.to_owned(), source })
}

/// What the steps of every unplanned failover took. Drills that failed are left out: something was wrong with them.
/// Waiting for a promise to lapse, for a look of a check, or for a client is the engine's and not an act's: it is not taken
/// from here.
pub fn learn(results: &[DrillResult]) -> History {
    let mut history = History::default();
    let mut drills = 0;
    for result in results.iter().filter(|result| result.verdict == Verdict::Passed) {
        let Some(steps) = failover(&result.timeline.steps) else { continue };
        drills += 1;
        let mut learn = |act: &str, took: Duration| history.acts.entry(act.to_owned()).or_default().push(took);
        if let Some(took) = result.phases_seconds.promote.map(Seconds::get) {
            learn("database/promote", Duration::from_secs_f64(took.max(0.0)));
        }
        let acts = [("scale", "fleet/scale"), ("exercise", "fleet/exercise"), ("route", "dns/route")];
        for step in &steps {
            let act = acts.iter().find(|(name, _)| *name == step.name).map(|(_, act)| *act);
            let took = step.to.map(|to| to.get() - step.from.get());
            if let (Some(act), Some(took)) = (act, took) {
                learn(act, Duration::from_secs_f64(took.max(0.0)));
            }
        }
    }
    history.about = format!("{drills} drills");
    history
}

/// The steps that were done in the run which promoted after the fault, and whose old writer could not be asked.
fn failover(steps: &[StepBar]) -> Option<Vec<&StepBar>> {
    let first = steps.iter().find(|step| step.commit_point && step.from.get() >= 0.0)?;
    let of_run = || steps.iter().filter(|step| step.run == first.run);
    let unplanned = of_run().any(|step| step.name == "fence" && step.end != StepEnd::Done);
    unplanned.then(|| of_run().filter(|step| step.end == StepEnd::Done).collect())
}

#[cfg(test)]
mod tests {
    use model::SiteId;

    use super::*;
    use crate::report::sample::passed;

    fn bar(name: &str, from: f64, to: f64, end: StepEnd) -> StepBar {
        StepBar {
            run: "run-2".into(),
            name: name.into(),
            site: SiteId::new("b"),
            from: Seconds::new(from),
            to: Some(Seconds::new(to)),
            end,
            commit_point: name == "promote",
            note: String::new(),
        }
    }

    fn drill(fenced: StepEnd) -> DrillResult {
        let mut result = passed();
        let before = StepBar { run: "run-1".into(), ..bar("promote", -3.0, -2.0, StepEnd::Done) };
        result.timeline.steps = vec![
            before,
            bar("scale", 3.3, 3.4, StepEnd::Done),
            bar("fence", 3.3, 4.8, fenced),
            bar("promote", 3.3, 4.7, StepEnd::Done),
            bar("exercise", 4.8, 4.805, StepEnd::Done),
            bar("route", 4.805, 4.807, StepEnd::Done),
            bar("route", 4.805, 4.9, StepEnd::Skipped),
        ];
        result.phases_seconds.promote = Some(Seconds::new(0.05));
        result
    }

    #[test]
    fn acts_of_the_failover_are_learnt_and_its_waiting_is_not() {
        let history = learn(&[drill(StepEnd::Skipped), drill(StepEnd::Failed)]);
        let seen: Vec<_> = history.acts.iter().map(|(act, seen)| (act.as_str(), seen.len())).collect();
        assert_eq!(seen, [("database/promote", 2), ("dns/route", 2), ("fleet/exercise", 2), ("fleet/scale", 2)]);
        assert_eq!(
            history.acts["database/promote"],
            [Duration::from_millis(50); 2],
            "without the wait for the promise"
        );
        assert_eq!(history.about, "2 drills");
    }

    #[test]
    fn planned_moves_and_failed_drills_teach_nothing() {
        let mut failed = drill(StepEnd::Skipped);
        failed.verdict = Verdict::Failed;
        assert_eq!(learn(&[drill(StepEnd::Done), failed]).acts.len(), 0);
    }
}
