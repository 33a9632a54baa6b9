//! A schedule that can be kept.

use std::time::Duration;

use super::Rules;
use crate::spec::problem::Problem;

/// A round of all drills takes most of this.
const SHORTEST: Duration = Duration::from_secs(3600);

impl Rules<'_> {
    pub(super) fn drills(&mut self) {
        let drills = self.file.drills.as_deref().unwrap_or_default();
        for (i, drill) in drills.iter().enumerate() {
            let number = i.to_string();
            if drill.every.0 < SHORTEST {
                let span = self.at(&["drills", &number, "every"]);
                let problem = Problem::error("spec-range", span, "no drill can be kept up so often", "below 1h");
                self.report(problem.hint("`every: week`, `every: month` and `every: 7d` are usual"));
            }
            if let Some(first) = drills[..i].iter().position(|earlier| earlier.fault == drill.fault) {
                let message = format!("`{}` is scheduled twice", drill.fault.name());
                self.report(
                    Problem::error("spec-drills", self.at(&["drills", &number, "fault"]), message, "already scheduled")
                        .related(self.at(&["drills", &first.to_string(), "fault"]), "first here")
                        .hint("keep the line with the shorter interval: it does for both"),
                );
            }
        }
    }
}
