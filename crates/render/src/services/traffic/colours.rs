//! Two groups of targets for one backend, and the rule that says which of them gets requests: what ECS shifts from one to
//! the other while it deploys (Amazon ECS Developer Guide, "Application Load Balancer resources for blue/green, linear, and
//! canary deployments").
//!
//! The weights of the rule are ECS's from the first deployment on: a template says how they begin, and CloudFormation, which
//! compares templates, writes them again only when the rule itself is changed here.

use model::Part;
use model::design::Site;

use super::alb;
use crate::resource::{Resource, Target};
use crate::root::Group;
use crate::sheet::{Sheet, regional};
use crate::value::Value;
use crate::{list, map, names};

/// After every rule of a path: it is asked about what no other one names.
const LAST: u32 = 40_000;

/// The second group of a backend.
pub fn green_id(balancer: &Part, backend: &Part) -> String {
    names::logical([balancer.id.as_str(), "to", backend.id.as_str(), "green"])
}

/// Makes them beside the group that is there: the second one, and the rule.
pub fn of(sheet: &mut Sheet<'_>, (balancer, backend): (&Part, &Part), site: &Site, first: &Target) -> (Target, Target) {
    let root = regional(site);
    let known = sheet.stacks.get(&root).and_then(|stack| stack.resources.iter().find(|known| *known.id == *first.id));
    let mut green = known.cloned().unwrap_or_else(|| unreachable!("the first group was just made"));
    green.id = green_id(balancer, backend).into();
    let green = sheet.add(&root, green);
    let weighted =
        |group: &Target, weight: u32| Value::Map(map! { "TargetGroupArn" => group.get(), "Weight" => weight });
    let groups = list![weighted(first, 1), weighted(&green, 0)];
    let actions = list![map! { "Type" => "forward", "ForwardConfig" => map! { "TargetGroups" => groups } }];
    let id = names::logical([balancer.id.as_str(), "rule", backend.id.as_str()]);
    let rules = sheet.stacks.get_mut(&root).into_iter().flat_map(|stack| &mut stack.resources);
    if let Some(rule) = rules.into_iter().find(|known| *known.id == *id) {
        rule.properties.set("Actions", actions);
        return (green, Target { root, id: id.into() });
    }
    let properties = map! {
        "ListenerArn" => alb::listener(sheet, balancer, site),
        "Priority" => LAST,
        "Conditions" => list![map! { "Field" => "path-pattern", "PathPatternConfig" => map! { "Values" => list!["/*"] } }],
        "Actions" => actions,
    };
    let asked = sheet.asked(backend);
    let kind = "AWS::ElasticLoadBalancingV2::ListenerRule";
    let rule = sheet.add(&root, Resource::new(Group::Traffic, kind, id, asked, properties));
    (green, rule)
}
