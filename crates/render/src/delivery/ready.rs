//! When a region may take users: what the script asks before it goes on (seed 003 section 13.1, rules 4 and 5).

use serde::Serialize;

use crate::link::Linked;
use crate::resource::Resource;
use crate::root::Root;
use crate::sheet::Sheet;

/// What is asked of a region. What it has is found by its tags, so that nothing has to be handed on; alarms and the state of
/// the stack are asked of every one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Ready {
    /// Whether it has load balancers, none of whose targets may be unhealthy.
    pub targets: bool,
    pub urls: Vec<Url>,
}

/// A page that the region's own load balancer has to answer, asked by the name that users know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Url {
    /// The load balancer.
    pub component: String,
    pub host: String,
    pub path: String,
}

const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
const BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";

pub fn of(sheet: &Sheet<'_>, linked: &Linked) -> Ready {
    if !matches!(linked.root, Root::Region(_)) {
        return Ready::default();
    }
    let resources: Vec<&Resource> = linked.templates.iter().flat_map(|template| &template.resources).collect();
    let targets = resources.iter().any(|resource| resource.kind == TARGET_GROUP);
    Ready { targets, urls: urls(sheet, &resources) }
}

/// The name of each record that leads to an application load balancer of this region.
fn urls(sheet: &Sheet<'_>, resources: &[&Resource]) -> Vec<Url> {
    let each = sheet.design.with_facet("traffic").filter_map(|router| {
        let (host, to) = (router.text("record")?, sheet.part(&router.component("to")?)?);
        let path = router.text("check.path").or(to.text("check.path")).unwrap_or("/");
        let asked = format!("components.{}", to.id);
        let here = |resource: &&Resource| resource.kind == BALANCER && resource.asked.path == asked;
        let answers = to.kind.name == "aws.alb" && resources.iter().any(here);
        answers.then(|| Url { component: to.id.to_string(), host: host.to_owned(), path: path.to_owned() })
    });
    each.collect()
}
