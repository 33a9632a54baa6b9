//! Whether what watches over the account still does: that the trail delivers. It has no metric of that (`get-trail-status`
//! is all there is), but a digest is delivered each hour, whatever happened in it (AWS CloudTrail User Guide, "Validating
//! CloudTrail log file integrity"): a rule counts what arrives in its bucket.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection::Detection, events};
use crate::services::guard::records;
use crate::sheet::{Sheet, regional};
use crate::{list, map, names};

/// Three digests that did not come.
const HOURS: Detection = Detection { period: 3600, evaluations: 3 };

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    if part.kind.name != "aws.cloudtrail" || !sheet.has(&regional(site), &names::logical([part.id.as_str(), "records"]))
    {
        return Vec::new();
    }
    let what = format!("{} delivers", part.id);
    let pattern = map! {
        "source" => list!["aws.s3"], "detail-type" => list!["Object Created"],
        "detail" => map! { "bucket" => map! { "name" => list![records::name(sheet, part, site)] } },
    };
    let rule = events::count(sheet, &regional(site), part, &what, "Counts what the trail delivers", pattern);
    let look = Look::One(Metric::new("AWS/Events", "TriggeredRules", "Sum", vec![("RuleName", rule.into())]));
    let says =
        format!("{} has delivered nothing in {} for three hours: who calls what is not recorded.", part.id, site.id);
    let alarm = Alarm::new(sheet, part, Some(site), "delivery", HOURS, look);
    vec![alarm.below(1).missing(Missing::Bad).tells(Tells::Only, says)]
}
