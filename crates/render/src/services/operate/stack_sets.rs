//! Stack sets: what is the same in every region and account (who is watched, what is recorded, which rules hold), as one
//! template that CloudFormation brings to all of them.
//!
//! They stand in a stack of their own, after everything else, which nothing needs: an operation of a stack set calls the
//! control plane of every region that it is for, and is itself called in one. So no stack of a region waits for one, and a
//! region is deployed, changed and mended by `deploy.sh REGION` while the others are away.
//!
//! # Rejected
//! - The workload's own stacks in a stack set: a template for all regions that one region hands out. While that one is away,
//!   nothing could be changed in the others, which is when it has to be.

mod alike;
mod roles;

use model::Part;
use model::design::Site;

use crate::resource::{Given, Keep, Resource};
use crate::root::{Group, Root};
use crate::services::id;
use crate::sheet::{Sheet, aws_region, parameter};
use crate::value::{ACCOUNT, Map, Value};
use crate::{File, list, map, names, yaml};

/// What watches over an account, and asks nothing of the workload's own stacks.
const CARRIED: [&str; 4] = ["aws.cloudtrail", "aws.config", "aws.guardduty", "aws.security-hub"];

/// The root's region when the spec names none: where what stands for all regions is changed anyway.
const HOME: &str = "us-east-1";

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    if !understood(sheet, part) {
        return;
    }
    let carried = carried(sheet, part);
    beside(sheet, part, &carried);
    if carried.is_empty() {
        return sheet.note(
            part,
            "nothing is said that would be the same in every region: its stack set would be empty",
            "name what watches over the accounts: `deploys: [threats, records]`, of kinds such as aws.guardduty and aws.config; the stacks of the regions are deployed by deploy.sh, one at a time and without the others",
        );
    }
    match alike::template(sheet, part, &carried) {
        Ok(template) => set(sheet, part, &template),
        Err(why) => sheet.problem(
            &format!("components.{}.deploys", part.id),
            format!("{why}, so no stack set can carry it"),
            "leave it out of `deploys`: the stack of each region has it then",
        ),
    }
}

/// Whether a stack set has a component, so that the stacks of its regions have it no more.
pub fn has(sheet: &Sheet<'_>, part: &Part) -> bool {
    let sets = sheet.of_kind("aws.stacksets");
    CARRIED.contains(&part.kind.name.as_str())
        && sets.into_iter().any(|set| sheet.renders(set) && carried(sheet, set).iter().any(|other| other.id == part.id))
}

/// Where stack sets are administered.
pub fn region(design: &model::Design) -> &str {
    let named = design.of_kind("aws.stacksets").find_map(|part| part.sites("runs_in")?.first().cloned());
    named.and_then(|id| design.site(&id)).map_or(HOME, aws_region)
}

/// The components that a set carries: rendered, and in no region that the set does not reach.
fn carried<'d>(sheet: &Sheet<'d>, set: &Part) -> Vec<&'d Part> {
    let reached = sheet.sites(set);
    let within = |part: &&Part| {
        let here =
            part.sites("covers").unwrap_or_else(|| sheet.sites(part).iter().map(|site| site.id.clone()).collect());
        here.iter().all(|id| reached.iter().any(|site| site.id == *id))
    };
    let named = set.components("deploys").unwrap_or_default();
    let parts = named.iter().filter_map(|id| sheet.part(id));
    parts.filter(|part| CARRIED.contains(&part.kind.name.as_str()) && sheet.renders(part)).filter(within).collect()
}

/// Says what it is asked to deploy and leaves to the stacks of the regions.
fn beside(sheet: &mut Sheet<'_>, set: &Part, carried: &[&Part]) {
    let named = set.components("deploys").unwrap_or_default();
    let others: Vec<String> =
        named.iter().filter(|id| !carried.iter().any(|part| part.id == **id)).map(ToString::to_string).collect();
    if !others.is_empty() {
        let says = format!("{} stands in the stack of each region, and not in the stack set", others.join(", "));
        let instead = "nothing: deploy.sh deploys each region by itself, which a stack set, administered in one, could not do while that one is away";
        sheet.note(set, says, instead);
    }
}

fn understood(sheet: &mut Sheet<'_>, part: &Part) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let accounts = part.words("accounts").unwrap_or_default();
    let units = part.words("units").unwrap_or_default();
    let unit = |text: &str| {
        let mut words = text.split('-');
        let plain = |word: Option<&str>, least: usize| {
            word.is_some_and(|word| {
                (least..=32).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            })
        };
        match words.next() {
            Some("r") => plain(words.next(), 4) && words.next().is_none(),
            Some("ou") => plain(words.next(), 4) && plain(words.next(), 8) && words.next().is_none(),
            _ => false,
        }
    };
    let path = |key: &str| format!("components.{}.{key}", part.id);
    let before = sheet.problems.len();
    if let Some(wrong) = accounts.iter().find(|account| !digits(account, 12)) {
        sheet.problem(&path("accounts"), format!("`{wrong}` is no account"), "an account is 12 digits, in quotes");
    }
    if let Some(wrong) = units.iter().find(|text| !unit(text)) {
        let hint =
            "name it as AWS does, such as ou-ab12-cdef5678: aws organizations list-organizational-units-for-parent";
        sheet.problem(&path("units"), format!("`{wrong}` is no organizational unit"), hint);
    }
    if !accounts.is_empty() && !units.is_empty() {
        let hint = "say one: `units` for every account of them, now and later, or `accounts` for these";
        sheet.problem(&path("units"), "a stack set goes to units or to accounts", hint);
    }
    sheet.problems.len() == before
}

fn set(sheet: &mut Sheet<'_>, part: &Part, template: &crate::link::Template) {
    let text = yaml::template(template, &sheet.spec);
    sheet.files.push(File::new(format!("cloudformation/everywhere/{}.yaml", part.id), text));
    let (root, name) = (Root::StackSets, sheet.named([part.id.as_str()], 100));
    let organised = part.words("units").is_some_and(|units| !units.is_empty());
    let mut properties = map! {
        "StackSetName" => name.as_str(),
        "Description" => format!("What is the same wherever {} is: {}", sheet.design.workload, part.id),
        "PermissionModel" => if organised { "SERVICE_MANAGED" } else { "SELF_MANAGED" },
    };
    let mut after = None;
    if organised {
        properties.set("CallAs", "DELEGATED_ADMIN");
        // What an account keeps when it leaves the organization is its own to delete.
        properties.set("AutoDeployment", map! { "Enabled" => true, "RetainStacksOnAccountRemoval" => true });
        sheet.note(
            part,
            "a stack set of an organization is made by its management account, or by an account that it has named",
            "from the management account: aws organizations enable-aws-service-access --service-principal member.org.stacksets.cloudformation.amazonaws.com; aws organizations register-delegated-administrator --service-principal member.org.stacksets.cloudformation.amazonaws.com --account-id ACCOUNT",
        );
    } else {
        let (administers, executes) = roles::write(sheet, part, &name, template);
        properties.set("AdministrationRoleARN", administers.att("Arn"));
        properties.set("ExecutionRoleName", roles::execution(sheet, part));
        after = Some(executes);
    }
    properties.set("Capabilities", list!["CAPABILITY_NAMED_IAM"]);
    properties.set("ManagedExecution", map! { "Active" => true });
    properties.set("OperationPreferences", preferences(sheet, part));
    properties.set("StackInstancesGroup", groups(sheet, part, organised));
    // Without the comments: a line more in the spec changes no stack.
    properties.set("TemplateBody", yaml::bare(template));
    properties.set("Tags", sheet.tags(Some(part)));
    let asked = sheet.asked(part);
    let mut set = Resource::new(Group::Control, "AWS::CloudFormation::StackSet", id(part, "set"), asked, properties);
    // Who deletes it deletes what it made in every region and account.
    set = set.keep(Keep::Retain);
    set.depends_on.extend(after);
    sheet.add(&root, set);
    let region = sheet.region(&root);
    let instead = match each_for_itself(part) {
        true => {
            "nothing for the others: each region is for itself, and one that is away gets it at the next deployment"
                .to_owned()
        }
        false => format!(
            "to go on without a region that is away: bash deploy.sh stack-sets --set {}=ACCOUNTS_OF_A_REGION; after a failover: --set {}=REGION,REGION with the one that serves now at its place",
            id(part, "tolerance"),
            id(part, "region order")
        ),
    };
    let says = format!(
        "its stack set is administered in {region}: while that is away, what it made stays as it is everywhere, and is not changed"
    );
    sheet.note(part, says, instead);
}

/// One region after the other, and a mistake ends in the first: which that is, a recovery changes. `order: together` has no
/// first one, and each region is for itself.
fn preferences(sheet: &mut Sheet<'_>, part: &Part) -> Map {
    let sites = sheet.sites(part);
    if each_for_itself(part) {
        return map! {
            "RegionConcurrencyType" => "PARALLEL", "MaxConcurrentPercentage" => 100, "FailureTolerancePercentage" => 100,
        };
    }
    let primary_first = part.word("order") == Some("primary-first");
    let (first, last): (Vec<&Site>, Vec<&Site>) = sites.into_iter().partition(|site| site.preferred == primary_first);
    let order: Vec<&str> = first.into_iter().chain(last).map(aws_region).collect();
    let about = format!(
        "The regions in the order in which {} reaches them, the one that serves {}. Whoever moves the workload changes it.",
        part.id,
        if primary_first { "first" } else { "last" }
    );
    let name = id(part, "region order");
    let order = parameter(&name, "CommaDelimitedList", &about, Given::AtFirst(order.join(",")));
    let order = sheet.parameter(&Root::StackSets, order);
    let name = id(part, "tolerance");
    let about = "How many accounts of a region may fail before the regions after it are left as they are.";
    let tolerance = parameter(&name, "Number", about, Given::AtFirst("0".to_owned()));
    let tolerance = sheet.parameter(&Root::StackSets, tolerance);
    // More than one account at a time would need a failure to be borne.
    map! { "RegionConcurrencyType" => "SEQUENTIAL", "RegionOrder" => order, "MaxConcurrentCount" => 1, "FailureToleranceCount" => tolerance }
}

/// Whether each region is for itself.
fn each_for_itself(part: &Part) -> bool {
    matches!(part.word("order"), Some("together" | "none"))
}

/// Which accounts, and in which regions.
fn groups(sheet: &Sheet<'_>, part: &Part, organised: bool) -> Value {
    let sites = sheet.sites(part);
    let regions = |sites: &[&Site]| Value::List(sites.iter().map(|site| Value::from(aws_region(site))).collect());
    let texts = |key: &str| -> Vec<Value> {
        part.words(key).unwrap_or_default().iter().map(|text| Value::from(*text)).collect()
    };
    let group =
        |targets: Map, sites: &[&Site]| map! { "DeploymentTargets" => targets, "Regions" => regions(sites) }.into();
    if organised {
        return Value::List(vec![group(map! { "OrganizationalUnitIds" => texts("units") }, &sites)]);
    }
    let accounts = texts("accounts");
    if !accounts.is_empty() {
        return Value::List(vec![group(map! { "Accounts" => accounts }, &sites)]);
    }
    let mut each: Vec<(Option<&str>, Vec<&Site>)> = Vec::new();
    for site in sites {
        let account = site.account.as_deref();
        match each.iter_mut().find(|(known, _)| *known == account) {
            Some((_, sites)) => sites.push(site),
            None => each.push((account, vec![site])),
        }
    }
    let own = |account: Option<&str>| account.map_or(ACCOUNT, Value::from);
    Value::List(
        each.into_iter().map(|(account, sites)| group(map! { "Accounts" => list![own(account)] }, &sites)).collect(),
    )
}

/// The accounts that it reaches and is not administered in, when the spec says them.
fn elsewhere(sheet: &Sheet<'_>, part: &Part) -> Vec<String> {
    let own = sheet.design.aws.as_ref().and_then(|aws| aws.account.clone());
    let mut accounts: Vec<String> =
        part.words("accounts").unwrap_or_default().iter().map(ToString::to_string).collect();
    if accounts.is_empty() {
        accounts.extend(sheet.sites(part).into_iter().filter_map(|site| site.account.clone()));
    }
    accounts.retain(|account| Some(account) != own.as_ref());
    accounts.dedup();
    accounts
}

/// What only a stack set of the workload is called.
fn words<'w>(part: &'w Part, what: &'w str) -> [&'w str; 2] {
    [part.id.as_str(), what]
}

fn inner_workload(sheet: &Sheet<'_>, part: &Part) -> String {
    names::physical([sheet.design.workload.as_str(), part.id.as_str()], 40)
}
