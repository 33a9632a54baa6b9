//! What the canary of a region sees: of its own region, of the others, and by the name that users know. Only the first says
//! something of the region that it is in; what it sees of another is for people who ask which of two witnesses is right.

use model::Part;
use model::design::Site;

use super::Tells;
use super::alarm::{Alarm, Look, Metric, Missing};
use super::detection::Detection;
use crate::services::operate::canary;
use crate::sheet::Sheet;

/// Percent of its runs; what AWS's own alarms of canaries take.
const ENOUGH: u64 = 90;

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    if part.kind.name != "aws.route53" || !canary::stands(sheet, part, site) {
        return Vec::new();
    }
    let name = canary::name(sheet, part);
    let detection = detection(sheet, part);
    let steps = canary::steps(sheet, part).into_iter();
    let alarm = |(step, host): (String, String)| {
        let dimensions = vec![("CanaryName", name.as_str().into()), ("StepName", step.as_str().into())];
        let look = Look::One(Metric::new("CloudWatchSynthetics", "SuccessPercent", "Average", dimensions));
        let alarm = Alarm::new(sheet, part, Some(site), &format!("canary {step}"), detection, look).below(ENOUGH);
        let says = format!("Asked from {}, {host} does not answer.", site.id);
        match step == site.id.as_str() {
            true => alarm.missing(Missing::Bad).tells(Tells::Both, says),
            // A canary that does not run says nothing of others.
            false => alarm.missing(Missing::Fine).tells(Tells::Only, says),
        }
    };
    steps.map(alarm).collect()
}

/// Three times in a row, as far as a third of the RTO has room for them.
fn detection(sheet: &Sheet<'_>, part: &Part) -> Detection {
    let period = canary::minutes(sheet, part) * 60;
    let third = sheet.design.objectives.rto.map_or(3 * period, |rto| rto.as_secs() / 3);
    Detection { period, evaluations: (third / period).clamp(1, 3) }
}
