//! Backups that do not come: one that fails is an event, one that is never begun is nothing at all (seed 001, "Daily
//! snapshots" and "review backup completeness").

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection::Detection};
use crate::services::data::backup;
use crate::services::id;
use crate::sheet::{Sheet, regional};

const HOUR: u64 = 3600;
/// Hours in which an alarm can look back (CloudWatch API Reference, "PutMetricAlarm": seven days).
const LONGEST: u64 = 7 * 24;
/// Kinds that have something to be backed up in each region. Of the others the copy that follows may have no backups of its
/// own, and which one follows is state: there silence is told of when it begins, and not where there never was anything.
const EVERYWHERE: [&str; 3] = ["aws.s3", "aws.efs", "aws.dynamodb-global"];

/// That no backup came into the vault of a region between two that were due: the time between them, and as long as one may
/// take to begin and to be done.
pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let hours = backup::hours(part) + backup::WITHIN_HOURS;
    if !sheet.has(&regional(site), &id(part, "plan")) || hours > LONGEST {
        return Vec::new();
    }
    let protects = part.components("protects").unwrap_or_else(|| vec![part.id.clone()]);
    let each = |id| sheet.part(id).is_some_and(|part| EVERYWHERE.contains(&part.kind.name.as_str()));
    let missing = if protects.iter().any(each) { Missing::Bad } else { Missing::Unknown };
    let vault = vec![("BackupVaultName", backup::vault_name(sheet, part).into())];
    let look = Look::One(Metric::new("AWS/Backup", "NumberOfBackupJobsCompleted", "Sum", vault));
    let detection = Detection { period: HOUR, evaluations: hours };
    let says = format!("No backup came into the vault of {} in {} for {hours} hours.", part.id, site.id);
    let alarm = Alarm::new(sheet, part, Some(site), "no backup", detection, look);
    vec![alarm.below(1).missing(missing).tells(Tells::Only, says)]
}
