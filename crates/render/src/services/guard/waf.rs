//! Rules in front of load balancers and distributions: the same in every region, because they are written once.

use model::Part;
use model::design::Site;

use crate::resource::{Resource, Target};
use crate::root::{Group, Root};
use crate::services::traffic::alb;
use crate::sheet::{Sheet, regional};
use crate::value::{Map, Value};
use crate::{map, names};

/// AWS's own rules, which it keeps up to date (AWS WAF Developer Guide, "AWS Managed Rules rule groups list").
const MANAGED: [&str; 3] =
    ["AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"];

/// Requests of one address in five minutes, above which it is refused.
const MOST_REQUESTS: u32 = 2000;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    for site in sheet.sites(part) {
        let rules = rules(sheet, part, &regional(site), "REGIONAL");
        for front in behind(sheet, part, "aws.alb") {
            if front.sites.is_empty() || front.is_in(&site.id) {
                join(sheet, part, site, front, &rules);
            }
        }
    }
    if !behind(sheet, part, "aws.cloudfront").is_empty() {
        rules(sheet, part, &Root::Edge, "CLOUDFRONT");
    }
}

/// What stands behind it, in the order of the file.
fn behind<'d>(sheet: &Sheet<'d>, part: &Part, kind: &str) -> Vec<&'d Part> {
    let stands = |other: &&Part| other.kind.name == kind && other.component("behind").as_ref() == Some(&part.id);
    sheet.design.components.iter().filter(stands).collect()
}

fn id(part: &Part) -> String {
    names::logical([part.id.as_str(), "rules"])
}

fn rules(sheet: &mut Sheet<'_>, part: &Part, root: &Root, scope: &str) -> Target {
    let seen = |name: &str| map! { "CloudWatchMetricsEnabled" => true, "MetricName" => name, "SampledRequestsEnabled" => true };
    let managed = |(n, name): (usize, &&str)| {
        let group = map! { "VendorName" => "AWS", "Name" => *name };
        Value::Map(map! {
            "Name" => *name, "Priority" => n, "OverrideAction" => map! { "None" => map! {} },
            "Statement" => map! { "ManagedRuleGroupStatement" => group }, "VisibilityConfig" => seen(name),
        })
    };
    let mut rules: Vec<Value> = MANAGED.iter().enumerate().map(managed).collect();
    let rate = map! { "RateBasedStatement" => map! { "Limit" => MOST_REQUESTS, "AggregateKeyType" => "IP" } };
    let rate: Map = map! {
        "Name" => "MostRequests", "Priority" => MANAGED.len(), "Action" => map! { "Block" => map! {} }, "Statement" => rate,
        "VisibilityConfig" => seen("MostRequests"),
    };
    rules.push(rate.into());
    let name = sheet.named([part.id.as_str()], 100);
    let properties = map! {
        "Name" => name.as_str(), "Scope" => scope, "DefaultAction" => map! { "Allow" => map! {} }, "Rules" => rules,
        "VisibilityConfig" => seen(&name), "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    sheet.add(root, Resource::new(Group::Security, "AWS::WAFv2::WebACL", id(part), asked, properties))
}

fn join(sheet: &mut Sheet<'_>, part: &Part, site: &Site, front: &Part, rules: &Target) {
    let root = regional(site);
    let properties = map! { "ResourceArn" => alb::arn(sheet, front, site), "WebACLArn" => rules.att("Arn") };
    let id = names::logical([part.id.as_str(), "before", front.id.as_str()]);
    let asked = sheet.asked(front);
    sheet.add(&root, Resource::new(Group::Traffic, "AWS::WAFv2::WebACLAssociation", id, asked, properties));
}

/// The rules that a distribution names, when it stands behind some that are rendered.
pub fn of_distribution(sheet: &Sheet<'_>, part: &Part) -> Option<Value> {
    let rules = part.component("behind").and_then(|id| sheet.part(&id))?;
    let ours = rules.kind.name == "aws.waf" && sheet.renders(rules);
    ours.then(|| sheet.target(&Root::Edge, id(rules)).att("Arn"))
}
