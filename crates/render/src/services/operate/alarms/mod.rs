//! Alarms (seed 003 section 14.3), in every region alike: which one serves now is state, so each watches for itself whether
//! it serves well and whether it could take over.
//!
//! An alarm sees its own region only, and dies with it. What a region says about the loss of another one is in its own
//! stack (`copies`), or with the health checkers, whose metrics are in us-east-1 (`routing`).

mod alarm;
mod backups;
mod canaries;
mod certificates;
mod copies;
mod detection;
mod edge;
pub mod events;
mod functions;
mod money;
mod queues;
mod quotas;
mod ready;
mod records;
mod routing;
mod serving;
mod stores;
mod topic;
mod transfer;

use model::Part;
use model::design::Site;

use crate::names;
use crate::resource::{Resource, Target};
use crate::root::{Group, Root};
use crate::sheet::{Sheet, regional};
use crate::value::Value;
use crate::{list, map};

use alarm::Alarm;

/// Alarms that one composite names: a rule has at most 10,240 characters (CloudWatch User Guide, "Create a composite
/// alarm"), and each name takes up to 140.
const IN_ONE_RULE: usize = 60;

/// The alarms of a region that say something of it as a whole.
#[derive(Default)]
struct Said {
    /// It fails the users that it has.
    impaired: Vec<Target>,
    /// It could not take over the others'.
    unready: Vec<Target>,
}

impl Said {
    fn write(&mut self, sheet: &mut Sheet<'_>, site: &Site, alarm: Alarm) {
        let tells = alarm.tells;
        let target = alarm.write(sheet, &regional(site));
        if matches!(tells, Tells::Impaired | Tells::Both) {
            self.impaired.push(target.clone());
        }
        if matches!(tells, Tells::Unready | Tells::Both) {
            self.unready.push(target);
        }
    }
}

pub fn render(sheet: &mut Sheet<'_>) {
    let sites: Vec<&Site> = sheet.design.regions().collect();
    for site in sites {
        let mut said = Said::default();
        let parts = &sheet.design.components;
        for part in parts.iter().filter(|part| super::on_aws(part) && (part.sites.is_empty() || part.is_in(&site.id))) {
            for alarm in asked_for(sheet, part, site) {
                said.write(sheet, site, alarm);
            }
        }
        events::render(sheet, site);
        transfer::network(sheet, site);
        for alarm in quotas::of(sheet, site) {
            said.write(sheet, site, alarm);
        }
        composite(sheet, site, IMPAIRED, "This region fails the users that it has.", &said.impaired);
        composite(sheet, site, UNREADY, "This region could not take over from another one.", &said.unready);
    }
    events::routing(sheet);
    routing::render(sheet);
    edge::render(sheet);
    money::render(sheet);
}

fn asked_for(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let mut alarms = serving::of(sheet, part, site);
    alarms.extend(functions::of(sheet, part, site));
    alarms.extend(ready::of(sheet, part, site));
    alarms.extend(stores::of(sheet, part, site));
    alarms.extend(copies::of(sheet, part, site));
    alarms.extend(backups::of(sheet, part, site));
    alarms.extend(queues::of(sheet, part, site));
    alarms.extend(transfer::of(sheet, part, site));
    alarms.extend(canaries::of(sheet, part, site));
    alarms.extend(certificates::of(sheet, part, site));
    alarms.extend(records::of(sheet, part, site));
    alarms
}

/// What an alarm says of its region.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    Impaired,
    Unready,
    Both,
    /// Somebody should look, and no more.
    Only,
}

const IMPAIRED: &str = "impaired";
const UNREADY: &str = "not ready";

/// The alarm that says that a region fails its users; `None` when nothing there is watched.
pub fn impaired(sheet: &Sheet<'_>, site: &Site) -> Option<Target> {
    told(sheet, site, IMPAIRED)
}

/// What that alarm is called.
pub fn impaired_name(sheet: &Sheet<'_>, site: &Site) -> String {
    composite_name(sheet, site, IMPAIRED)
}

fn composite_name(sheet: &Sheet<'_>, site: &Site, what: &str) -> String {
    sheet.named([site.id.as_str(), "region", what], 120)
}

/// The alarm that says that a region could not take over.
pub fn unready(sheet: &Sheet<'_>, site: &Site) -> Option<Target> {
    told(sheet, site, UNREADY)
}

fn told(sheet: &Sheet<'_>, site: &Site, what: &str) -> Option<Target> {
    let (root, id) = (regional(site), names::logical(["region", what]));
    sheet.has(&root, &id).then(|| sheet.target(&root, id))
}

/// One alarm for all of `alarms`: what people are woken by, what plans and experiments look at.
fn composite(sheet: &mut Sheet<'_>, site: &Site, what: &str, says: &str, alarms: &[Target]) {
    let root = regional(site);
    let mut level: Vec<Target> = alarms.to_vec();
    let mut number = 0;
    while level.len() > IN_ONE_RULE {
        let pieces: Vec<Vec<Target>> = level.chunks(IN_ONE_RULE).map(<[Target]>::to_vec).collect();
        level = Vec::new();
        for piece in pieces {
            number += 1;
            let which = format!("{what} {number}");
            level.push(write_composite(sheet, &root, site, &which, "A part of the region's alarms.", &piece, false));
        }
    }
    if !level.is_empty() {
        write_composite(sheet, &root, site, what, says, &level, true);
    }
}

fn write_composite(
    sheet: &mut Sheet<'_>,
    root: &Root,
    site: &Site,
    what: &str,
    says: &str,
    of: &[Target],
    wakes: bool,
) -> Target {
    let mut rule: Vec<Value> = Vec::new();
    for alarm in of {
        let start = if rule.is_empty() { "ALARM(\"" } else { "\") OR ALARM(\"" };
        rule.extend([Value::from(start), alarm.get()]);
    }
    rule.push("\")".into());
    let properties = map! {
        "AlarmName" => composite_name(sheet, site, what),
        "AlarmDescription" => says,
        "AlarmRule" => Value::Concat(rule),
    };
    let wake = wakes.then(|| list![topic::of(sheet, root)]);
    let properties =
        properties.with_some("AlarmActions", wake.clone()).with_some("OKActions", wake).with("Tags", sheet.tags(None));
    let asked = sheet.asked_by(&format!("sites.{}", site.id));
    let id = names::logical(["region", what]);
    sheet.add(root, Resource::new(Group::Observability, "AWS::CloudWatch::CompositeAlarm", id, asked, properties))
}
