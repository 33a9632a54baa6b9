//! Backups that can be kept: intervals that hold together, in a place of their own.

use std::time::Duration;

use super::Rules;
use crate::spec::file::Backup;
use crate::spec::lower::plan_of;
use crate::spec::problem::Problem;
use crate::time::human;

/// A full backup reads the whole database; more often leaves no time for anything else.
const MOST_OFTEN: Duration = Duration::from_secs(60);
/// Each interval ends a file of the log, whatever its size.
const QUICKEST_ARCHIVE: Duration = Duration::from_secs(1);

impl Rules<'_> {
    pub(super) fn backup(&mut self, name: &str, backup: &Backup) {
        let plan = plan_of(backup, self.file.objectives.rto());
        let mut wrong = |key: &str, message: String, label: &str, hint: &'static str| {
            let span = self.at(&["components", name, "backup", key]);
            self.report(Problem::error("spec-backup", span, message, label).hint(hint));
        };
        if plan.every < MOST_OFTEN {
            let message = format!("a full backup every {} would never end", human(plan.every));
            wrong("every", message, "below 1m", "the log between two full backups is archived anyway");
        }
        if plan.keep < plan.every {
            let message = format!("nothing is kept between backups: {} < {}", human(plan.keep), human(plan.every));
            wrong("keep", message, "less than `every`", "keep at least the time between two full backups");
        }
        if plan.archive_every < QUICKEST_ARCHIVE || plan.archive_every > plan.every {
            let message = format!("the log cannot be archived every {}", human(plan.archive_every));
            wrong("archive_every", message, "out of range", "write 1s or more, and no more than `every`");
        }
        if plan.restore_within.is_zero() {
            wrong("restore_within", "a restore takes some time".into(), "zero", "a restore copies the whole database");
        }
        if backup.isolated == Some(false) {
            let message = "a backup is always isolated: the witness keeps it".to_owned();
            wrong("isolated", message, "not offered", "leave `isolated` out, or write `isolated: true`");
        }
    }
}
