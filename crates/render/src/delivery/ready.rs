//! When a region may take users: what the script asks before it goes on (seed 003 section 13.1, rules 4 and 5).

use serde::Serialize;

use crate::resource::{Resource, Target};
use crate::root::Root;
use crate::sheet::Sheet;

/// What is asked of a region, by the outputs that name it. Alarms and the state of the stack are asked of every one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Ready {
    /// Outputs that are target groups: none of their targets may be unhealthy.
    pub target_groups: Vec<String>,
    pub urls: Vec<Url>,
}

/// A page that the region's own load balancer has to answer, asked by the name that users know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Url {
    /// The output that is the load balancer's name.
    pub output: String,
    pub host: String,
    pub path: String,
}

const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
const BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";

/// Lets each region say what its target groups and load balancers are called.
pub fn outputs(sheet: &mut Sheet<'_>) {
    let mut outputs = Vec::new();
    for (root, stack) in sheet.stacks.iter().filter(|(root, _)| matches!(root, Root::Region(_))) {
        for resource in &stack.resources {
            let target = Target { root: root.clone(), id: resource.id.clone() };
            match resource.kind {
                TARGET_GROUP => outputs.push((target.get(), resource.id.clone(), target)),
                BALANCER => outputs.push((target.att("DNSName"), address(resource), target)),
                _ => {}
            }
        }
    }
    for (value, name, target) in outputs {
        let about = format!("What the check before traffic asks: {}", target.id);
        sheet.output(&target.root, name, about, value);
    }
}

/// As the linker names it too, when another stack needs it.
fn address(balancer: &Resource) -> String {
    format!("{}DNSName", balancer.id)
}

pub fn of(sheet: &Sheet<'_>, root: &Root) -> Ready {
    let Some(stack) = sheet.stacks.get(root).filter(|_| matches!(root, Root::Region(_))) else {
        return Ready::default();
    };
    let groups = stack.resources.iter().filter(|resource| resource.kind == TARGET_GROUP);
    Ready { target_groups: groups.map(|group| group.id.clone()).collect(), urls: urls(sheet, &stack.resources) }
}

/// The name of each record that leads to an application load balancer of this region.
fn urls(sheet: &Sheet<'_>, resources: &[Resource]) -> Vec<Url> {
    let each = sheet.design.with_facet("traffic").filter_map(|router| {
        let (host, to) = (router.text("record")?, sheet.part(&router.component("to")?)?);
        let path = router.text("check.path").or(to.text("check.path")).unwrap_or("/");
        let asked = format!("components.{}", to.id);
        let balancer = resources
            .iter()
            .find(|resource| resource.kind == BALANCER && resource.asked.path == asked && to.kind.name == "aws.alb")?;
        Some(Url { output: address(balancer), host: host.to_owned(), path: path.to_owned() })
    });
    each.collect()
}
