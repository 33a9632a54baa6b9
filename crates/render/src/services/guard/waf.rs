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
    let balancers = behind(sheet, part, "aws.alb");
    for site in sheet.sites(part) {
        let mut fronts = balancers.iter().filter(|front| front.sites.is_empty() || front.is_in(&site.id)).peekable();
        let wanted = sheet.renders(part) && fronts.peek().is_some();
        let ours = wanted.then(|| rules(sheet, part, &regional(site), "REGIONAL").att("Arn"));
        for front in fronts {
            // One that exists may have rules of its own, which an association would take the place of.
            if sheet.renders(front) {
                let rules = ours.clone().unwrap_or_else(|| theirs(sheet, part, &regional(site), "REGIONAL"));
                join(sheet, part, site, front, rules);
            }
        }
    }
    let distributions = behind(sheet, part, "aws.cloudfront");
    if !distributions.is_empty() && sheet.renders(part) {
        rules(sheet, part, &Root::Edge, "CLOUDFRONT");
    }
    let ours = sheet.renders(part);
    if ours && balancers.is_empty() && distributions.is_empty() {
        sheet.note(
            part,
            "nothing stands behind it, and so no rules are made",
            format!("say `behind: {}` of an `aws.alb` or an `aws.cloudfront`", part.id),
        );
    }
    for front in balancers.iter().chain(&distributions) {
        if ours && !sheet.renders(front) {
            let says = format!("{} exists, and keeps the rules that it has", front.id);
            let how = "aws wafv2 associate-web-acl for a load balancer, the console or update-distribution for a distribution, when these are to take their place";
            sheet.note(part, says, how);
        }
    }
    for kind in ["aws.api-gateway", "aws.nlb"] {
        for front in behind(sheet, part, kind) {
            let says = format!(
                "{} has no rules in front of it: WAF looks at load balancers of HTTP and at distributions",
                front.id
            );
            sheet.note(
                part,
                says,
                "lead users to it through an `aws.alb` or an `aws.cloudfront` that stands behind the rules",
            );
        }
    }
}

/// Those that exist, asked for by the stack that names them.
fn theirs(sheet: &mut Sheet<'_>, part: &Part, root: &Root, scope: &str) -> Value {
    let how = format!(
        "aws wafv2 list-web-acls --scope {scope} --region {} --query 'WebACLs[].[Name,ARN]' --output text",
        sheet.region(root)
    );
    sheet.ask(
        root,
        &names::logical([part.id.as_str(), "rules arn"]),
        &format!("The ARN of the rules {}.", part.id),
        how,
    )
}

/// What stands behind it, in the order of the file.
fn behind<'d>(sheet: &Sheet<'d>, part: &Part, kind: &str) -> Vec<&'d Part> {
    sheet.behind(part).filter(|other| other.kind.name == kind).collect()
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

fn join(sheet: &mut Sheet<'_>, part: &Part, site: &Site, front: &Part, rules: Value) {
    let root = regional(site);
    let properties = map! { "ResourceArn" => alb::arn(sheet, front, site), "WebACLArn" => rules };
    let id = names::logical([part.id.as_str(), "before", front.id.as_str()]);
    let asked = sheet.asked(front);
    sheet.add(&root, Resource::new(Group::Traffic, "AWS::WAFv2::WebACLAssociation", id, asked, properties));
}

/// The rules that a distribution names, when it stands behind some: without a word of them an update would take them off.
pub fn of_distribution(sheet: &mut Sheet<'_>, part: &Part) -> Option<Value> {
    let rules = part.component("behind").and_then(|id| sheet.part(&id)).filter(|rules| rules.kind.name == "aws.waf")?;
    Some(match sheet.renders(rules) {
        true => sheet.target(&Root::Edge, id(rules)).att("Arn"),
        false => theirs(sheet, rules, &Root::Edge, "CLOUDFRONT"),
    })
}
