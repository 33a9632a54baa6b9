//! Routing controls of ARC: a switch for each region, turned through any of five regional endpoints of the cluster. Only
//! its configuration, which is here, needs us-west-2.

use model::Part;
use model::design::Site;

use crate::resource::{Resource, Target};
use crate::root::{Group, Root};
use crate::services::id;
use crate::sheet::{Sheet, regional};
use crate::value::{Map, Value};
use crate::{list, map, names};

/// For how long a rule looks at what was just changed (`WaitPeriodMs`); AWS's own examples take 5 s.
const WAIT: u64 = 5_000;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let first = sheet.of_kind("aws.arc-routing-control").find(|other| sheet.renders(other));
    if let Some(first) = first.filter(|first| first.id != part.id) {
        let says = format!("`{}` has a control for each region already, which all records follow", first.id);
        return sheet.problem(
            &format!("components.{}", part.id),
            says,
            "keep one of the two: an account has two clusters, and each is paid for by the hour",
        );
    }
    let tags = sheet.tags(Some(part));
    let name = sheet.named([part.id.as_str()], 64);
    let cluster = map! { "Name" => name.clone(), "Tags" => tags.clone() };
    let cluster = add(sheet, part, "AWS::Route53RecoveryControl::Cluster", id(part, "cluster"), cluster);
    let panel = map! { "Name" => name, "ClusterArn" => cluster.get(), "Tags" => tags };
    let panel = add(sheet, part, "AWS::Route53RecoveryControl::ControlPanel", id(part, "panel"), panel);
    let at = |name: String| {
        map! { "Name" => name, "ClusterArn" => cluster.get(), "ControlPanelArn" => panel.get() }
    };
    let mut controls = Vec::new();
    for site in sheet.sites(part) {
        let control = at(sheet.named([site.id.as_str()], 64));
        let control = add(sheet, part, "AWS::Route53RecoveryControl::RoutingControl", control_id(part, site), control);
        let about = format!("The routing control of {}: on while it answers", site.id);
        sheet.output(&Root::Switch, format!("{}Arn", control_id(part, site)), about, control.get());
        controls.push(control.get());
    }
    sheet.output(
        &Root::Switch,
        id(part, "cluster arn"),
        "describe-cluster says its five endpoints: keep them at hand",
        cluster.get(),
    );
    if part.bool("safety_rules") == Some(false) || controls.is_empty() {
        return;
    }
    // One call too many must not leave users without any region …
    let assertion = map! { "AssertedControls" => controls.clone(), "WaitPeriodMs" => WAIT };
    rule(sheet, part, &panel, "one region at least", ("AssertionRule", assertion), 1);
    // … and while somebody closed the gate, such as during a repair, nothing is switched at all.
    let gate = at(sheet.named(["gate"], 64));
    let gate = add(sheet, part, "AWS::Route53RecoveryControl::RoutingControl", id(part, "gate"), gate);
    sheet.output(
        &Root::Switch,
        id(part, "gate arn"),
        "The control that must be on for any other to be turned",
        gate.get(),
    );
    let gating = map! { "GatingControls" => list![gate.get()], "TargetControls" => controls, "WaitPeriodMs" => WAIT };
    rule(sheet, part, &panel, "gate first", ("GatingRule", gating), 1);
    let says = "all routing controls are off until they are turned, which no template does";
    let how = "aws route53-recovery-cluster update-routing-control-states --region REGION --endpoint-url https://ENDPOINT: the gate on, then the control of the region that serves; the gate off freezes all of them. Try each of the five endpoints";
    sheet.note(part, says, how);
}

fn rule(
    sheet: &mut Sheet<'_>,
    part: &Part,
    panel: &Target,
    what: &str,
    (kind, of): (&'static str, Map),
    threshold: usize,
) {
    let name = sheet.named([what], 64);
    let config = map! { "Type" => "ATLEAST", "Threshold" => threshold, "Inverted" => false };
    let properties = map! { "Name" => name, "ControlPanelArn" => panel.get(), "RuleConfig" => config, "Tags" => sheet.tags(Some(part)) };
    add(sheet, part, "AWS::Route53RecoveryControl::SafetyRule", id(part, what), properties.with(kind, of));
}

fn add(sheet: &mut Sheet<'_>, part: &Part, kind: &'static str, id: String, properties: Map) -> Target {
    let asked = sheet.asked(part);
    sheet.add(&Root::Switch, Resource::new(Group::Traffic, kind, id, asked, properties))
}

fn control_id(part: &Part, site: &Site) -> String {
    names::logical([part.id.as_str(), "control", site.id.as_str()])
}

/// What finds the control of a region, which bears its name.
fn find_control(site: &Site) -> String {
    let config = "aws route53-recovery-control-config";
    let with = "--region us-west-2 --output text";
    let cluster = format!("{config} list-clusters {with} --query 'Clusters[0].ClusterArn'");
    let panel = format!(
        "{config} list-control-panels {with} --cluster-arn \"$({cluster})\" --query 'ControlPanels[?RoutingControlCount > `1`].ControlPanelArn | [0]'"
    );
    format!(
        "{config} list-routing-controls {with} --control-panel-arn \"$({panel})\" --query \"RoutingControls[?contains(Name, '{}')].RoutingControlArn | [0]\"",
        site.id
    )
}

/// The ARN of the routing control of a region; asked for, where it is adopted, by the stack that names it.
pub fn own(sheet: &mut Sheet<'_>, from: &Root, part: &Part, site: &Site) -> Value {
    if sheet.renders(part) {
        return sheet.target(&Root::Switch, control_id(part, site)).get();
    }
    let how = find_control(site);
    let about = format!("The routing control of {} for {}.", part.id, site.id);
    sheet.ask(from, &control_id(part, site), &about, how)
}

/// The control that must be on for any other to be turned, where there is one.
pub fn gate(sheet: &Sheet<'_>, part: &Part) -> Option<Value> {
    let guarded = sheet.renders(part) && part.bool("safety_rules") != Some(false);
    guarded.then(|| sheet.target(&Root::Switch, id(part, "gate")).get())
}

/// The ARN of the routing control of a region.
pub fn control(sheet: &mut Sheet<'_>, record: &Part, site: &Site) -> Value {
    let ours = sheet
        .of_kind("aws.arc-routing-control")
        .find(|part| sheet.renders(part) && (part.sites.is_empty() || part.is_in(&site.id)));
    match ours {
        Some(part) => sheet.target(&Root::Switch, control_id(part, site)).get(),
        None => {
            let how = find_control(site);
            let about = format!("The routing control that lets {} lead to this region.", record.id);
            sheet.ask(&regional(site), &names::logical([record.id.as_str(), "routing control"]), &about, how)
        }
    }
}
