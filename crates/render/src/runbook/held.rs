//! What a recovery changed by calls, and templates hold as it was: the next update of that resource, for whatever reason,
//! would write the old again, and lead users back or run a job twice. So the next deployment of each stack is told.

use std::collections::BTreeMap;

use model::Part;
use model::catalogue::ActName;
use model::design::Site;

use crate::names;
use crate::root::Root;
use crate::runbook::{self, Purpose, Recovery, commands};
use crate::services::{self, floor};
use crate::sheet::{Sheet, regional};

/// By stack, what it is told.
type Told = BTreeMap<Root, Vec<String>>;

/// For the end of a runbook.
pub fn says(sheet: &Sheet<'_>, recovery: &Recovery, (from, to): (&Site, &Site), purpose: Purpose) -> Vec<String> {
    let mut told = Told::new();
    for call in &recovery.calls {
        let Some(part) = sheet.part(&call.component) else { continue };
        match (call.act, call.call.as_str()) {
            (ActName::Shift, "route53:ChangeResourceRecordSets") => {
                record(sheet, &mut told, part, (from, to), purpose);
            }
            (ActName::Shift, "globalaccelerator:UpdateEndpointGroup") => {
                set(sheet, &mut told, &Root::Accelerator, &services::dial_of(part, to), "100");
                let left = if purpose == Purpose::Failback { services::dial(from) } else { "0" };
                set(sheet, &mut told, &Root::Accelerator, &services::dial_of(part, from), left);
            }
            (_, "scheduler:UpdateSchedule") => {
                let state = format!("{}ScheduleState", names::logical([part.id.as_str()]));
                set(sheet, &mut told, &regional(from), &state, "DISABLED");
            }
            (ActName::Start | ActName::Scale, _) => {
                // Whoever is left waits again, when it is back.
                set(sheet, &mut told, &regional(from), floor::TOOK_OVER, "no");
                set(sheet, &mut told, &regional(to), floor::TOOK_OVER, "yes");
            }
            (ActName::Promote, "elasticfilesystem:DeleteReplicationConfiguration") => {
                set(sheet, &mut told, &regional(from), &services::id(part, "copied to"), "");
                set(sheet, &mut told, &regional(to), &services::id(part, "protection"), "ENABLED");
            }
            (ActName::Promote, "rds:PromoteReadReplica") => {
                // Its name ends in its generation.
                let name = runbook::names::variable([part.id.as_str(), to.id.as_str()]);
                set(sheet, &mut told, &regional(to), &services::id(part, "promoted"), &format!("\"${{{name}##*-g}}\""));
            }
            _ => {}
        }
    }
    for part in commands::copies::between(sheet, (from, to)) {
        set(sheet, &mut told, &regional(to), &services::datasync::fetches(part, from), "DISABLED");
        if purpose == Purpose::Failback {
            set(sheet, &mut told, &regional(from), &services::datasync::fetches(part, to), "ENABLED");
        }
    }
    let each = told.into_iter().map(|(root, sets)| {
        format!("The next deployment of `{root}` is told what is so now, or a change there would undo it: `bash deploy.sh {root} {}`.", sets.join(" "))
    });
    each.collect()
}

fn set(sheet: &Sheet<'_>, told: &mut Told, root: &Root, name: &str, value: &str) {
    if has(sheet, root, name) {
        let (sets, set) = (told.entry(root.clone()).or_default(), format!("--set {name}={value}"));
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
}

fn has(sheet: &Sheet<'_>, root: &Root, name: &str) -> bool {
    sheet.has_parameter(root, name)
}

/// Where a record leads is a parameter where there is one record; of several, those of a region that was lost are gone.
fn record(sheet: &Sheet<'_>, told: &mut Told, part: &Part, (from, to): (&Site, &Site), purpose: Purpose) {
    if !sheet.renders(part) {
        return;
    }
    if services::is_one_record(sheet, part) {
        let leads = names::logical([part.id.as_str(), "leads to"]);
        return set(sheet, told, &Root::Edge, &leads, to.id.as_str());
    }
    if purpose != Purpose::Failback {
        set(sheet, told, &regional(from), &services::answers_parameter(part), "no");
    }
}
