//! Schedules of EventBridge Scheduler: the same in each region, and on in as many as bear it.
//!
//! Whether one is on is state: who recovers a region turns it on there, and no deployment turns it back.

use std::time::Duration;

use model::Part;
use model::design::Site;

use super::step_functions;
use crate::resource::{Given, Parameter, Resource};
use crate::root::Group;
use crate::services::compute::lambda;
use crate::services::{peers, role};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::Value;
use crate::{map, names};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let sites = sheet.sites(part);
    if sites.iter().filter(|site| one(sheet, part, site)).count() == 0 {
        let says = "nothing is said that it could start: it needs a function or a state machine";
        return sheet.note(part, says, "name one in its `needs`");
    }
    if sites.len() > 1 && part.word("guard") != Some("idempotent") {
        let on = names::logical([part.id.as_str(), "schedule state"]);
        let says = "it is on in one region only, and does not move by itself";
        let how = format!(
            "after a failover deploy the region that took over with {on}=ENABLED, and the other one with {on}=DISABLED"
        );
        sheet.note(part, says, how);
    }
}

/// Whether there is something that it starts.
fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> bool {
    let needed = part.needs.iter().filter_map(|id| sheet.part(id));
    let found = needed.into_iter().find_map(|needed| match needed.kind.name.as_str() {
        "aws.lambda" => Some((lambda::arn(sheet, needed, site), "lambda:InvokeFunction")),
        "aws.step-functions" => Some((step_functions::arn(sheet, needed, site), "states:StartExecution")),
        _ => None,
    });
    let Some((arn, action)) = found else { return false };
    let root = regional(site);
    let key = crate::services::guard::kms::key(sheet, part, site);
    let may = vec![role::allow(&[action], vec![arn.clone()]), role::allow(&["kms:Decrypt"], vec![key.clone()])];
    let role = role::service_role(sheet, part, site, (Group::Control, "schedule"), "scheduler.amazonaws.com", &[], may);
    let alone = part.word("guard") != Some("idempotent");
    let here = peers::first_writer(sheet, part).as_ref() == Some(&site.id);
    let at_first = if alone && !here { "DISABLED" } else { "ENABLED" };
    let about = format!("Whether {} runs in this region.", part.id);
    let on = names::logical([part.id.as_str(), "schedule state"]);
    let on = parameter(&on, "String", &about, Given::AtFirst(at_first.to_owned()));
    let on = sheet.parameter(&root, Parameter { allowed: vec!["ENABLED".to_owned(), "DISABLED".to_owned()], ..on });
    let properties = map! {
        "Name" => sheet.named([part.id.as_str()], 64),
        "ScheduleExpression" => rate(part.duration("schedule")),
        "FlexibleTimeWindow" => map! { "Mode" => "OFF" },
        "KmsKeyArn" => key,
        "State" => on,
        "Target" => map! {
            "Arn" => arn, "RoleArn" => role.att("Arn"),
            "RetryPolicy" => map! { "MaximumRetryAttempts" => 3, "MaximumEventAgeInSeconds" => 3600 },
        },
    };
    let asked = sheet.asked(part);
    let id = names::logical([part.id.as_str(), "schedule"]);
    sheet.add(&root, Resource::new(Group::Control, "AWS::Scheduler::Schedule", id, asked, properties));
    true
}

/// Once a day when the spec says nothing.
fn rate(every: Option<Duration>) -> Value {
    let minutes = every.map_or(1440, |every| every.as_secs().div_ceil(60).max(1));
    let (count, unit) = match minutes {
        m if m % 1440 == 0 => (m / 1440, "day"),
        m if m % 60 == 0 => (m / 60, "hour"),
        m => (m, "minute"),
    };
    format!("rate({count} {unit}{})", if count == 1 { "" } else { "s" }).into()
}
