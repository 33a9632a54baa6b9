//! What leads to every region at once: distributions, whose metrics are in us-east-1, and accelerators, whose metrics are in
//! us-west-2. None of it says which region fails; the regions' own alarms do.

use model::Part;

use super::alarm::{Alarm, Look, Metric};
use super::serving::{ENOUGH, bearable};
use super::{Tells, certificates, detection};
use crate::root::Root;
use crate::services::traffic::cloudfront;
use crate::sheet::Sheet;

pub fn render(sheet: &mut Sheet<'_>) {
    let design = sheet.design;
    for part in &design.components {
        match part.kind.name.as_str() {
            "aws.cloudfront" => distribution(sheet, part),
            "aws.global-accelerator" => accelerator(sheet, part),
            _ => {}
        }
    }
    if let Some(alarm) = certificates::at_the_edge(sheet) {
        alarm.write(sheet, &Root::Edge);
    }
}

/// The metric is a share by itself (CloudFront Developer Guide, "Types of metrics for CloudFront": `Region` is always
/// `Global`), and of one request too.
fn distribution(sheet: &mut Sheet<'_>, part: &Part) {
    let Some(id) = cloudfront::distribution_id(sheet, part) else { return };
    let metric = |metric, statistic| {
        let dimensions = vec![("DistributionId", id.clone()), ("Region", "Global".into())];
        Metric::new("AWS/CloudFront", metric, statistic, dimensions)
    };
    let seen = vec![("requests", metric("Requests", "Sum")), ("failed", metric("5xxErrorRate", "Average"))];
    let look = Look::Formula(seen, format!("IF(requests >= {ENOUGH}, failed, 0)"));
    let percent = bearable(sheet, part);
    let detection = detection::of(sheet, part, "errors");
    let says = format!("More than {percent} % of the requests to {} fail, whichever region they go to.", part.id);
    let alarm = Alarm::new(sheet, part, None, "errors", detection, look).above(percent);
    alarm.tells(Tells::Only, says).write(sheet, &Root::Edge);
}

/// By an accelerator's number, which is a part of its ARN and cannot be cut out of it here: any of the account's.
fn accelerator(sheet: &mut Sheet<'_>, part: &Part) {
    let look = Look::Question("SELECT MAX(UnhealthyEndpointCount) FROM \"AWS/GlobalAccelerator\"".into());
    let detection = detection::of(sheet, part, "readiness");
    let says = format!("{}, or another accelerator, leads to a region that does not answer it.", part.id);
    let alarm = Alarm::new(sheet, part, None, "endpoints", detection, look);
    alarm.tells(Tells::Only, says).write(sheet, &Root::Accelerator);
}
