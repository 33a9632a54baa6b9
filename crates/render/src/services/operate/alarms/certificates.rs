//! Certificates that are about to end. One of ACM's renews itself from 60 days before its end (ACM User Guide, "Managed
//! certificate renewal"); one that is still not renewed a month before it does not.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric};
use super::{Tells, detection::Detection};
use crate::names;
use crate::root::Root;
use crate::sheet::{Sheet, regional};

const DAYS: u64 = 30;
/// The metric has one value twice a day.
const DAILY: Detection = Detection { period: 86_400, evaluations: 1 };

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    match part.kind.name.as_str() {
        "aws.acm" => of_root(sheet, part, Some(site), &regional(site)).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The certificate that the edge shows.
pub fn at_the_edge(sheet: &mut Sheet<'_>) -> Option<Alarm> {
    let part = sheet.of_kind("aws.acm").next()?;
    of_root(sheet, part, None, &Root::Edge)
}

fn of_root(sheet: &mut Sheet<'_>, part: &Part, site: Option<&Site>, root: &Root) -> Option<Alarm> {
    let known = sheet.has(root, "Certificate");
    let certificate = known.then(|| sheet.target(root, "Certificate").get())?;
    let look = Look::One(Metric::new(
        "AWS/CertificateManager",
        "DaysToExpiry",
        "Minimum",
        vec![("CertificateArn", certificate)],
    ));
    let place = site.map_or("the edge", |site| site.id.as_str());
    let says = format!("The certificate of {place} ends in less than {DAYS} days, and has not renewed itself.");
    let mut alarm = Alarm::new(sheet, part, site, "certificate", DAILY, look);
    if site.is_none() {
        alarm.id = names::logical(["edge certificate alarm"]);
    }
    Some(alarm.below(DAYS).tells(Tells::Only, says))
}
