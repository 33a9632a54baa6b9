//! Whom Route 53 answers with when regions fail, recover, and say that they take over: the rendered health checks, reckoned
//! as Route 53 reckons them.

use std::collections::BTreeSet;

use antipode_render::Rendering;
use antipode_render::value::{Map, Value};

use crate::regions::{at_first, list, map, of_kind, rendered, resource};

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// What is so in the world.
#[derive(Default, Clone)]
struct World {
    /// Regions that are away altogether.
    lost: BTreeSet<&'static str>,
    /// Regions whose application does not work.
    sick: BTreeSet<&'static str>,
    /// Regions whose bucket has the object.
    raised: BTreeSet<&'static str>,
}

fn said(value: &Value) -> String {
    format!("{value:?}")
}

/// Whether a health check of the stack of `root` is well.
fn well(rendering: &Rendering, world: &World, root: &'static str, check: &Value) -> bool {
    let Value::Ref(target) = check else { panic!("{check:?}") };
    let config: &Map = map(resource(rendering, root, &target.id).properties.get("HealthCheckConfig"));
    if config.get("Type") == Some(&"CALCULATED".into()) {
        let children = list(config.get("ChildHealthChecks")).iter();
        let healthy = children.filter(|child| well(rendering, world, root, child)).count();
        let Some(Value::Int(threshold)) = config.get("HealthThreshold") else { panic!("{config:?}") };
        return i64::try_from(healthy).unwrap() >= *threshold;
    }
    let host = said(config.get("FullyQualifiedDomainName").unwrap());
    let answers = match REGIONS.iter().find(|region| host.contains(&format!("s3.{region}"))) {
        Some(region) => world.raised.contains(region) && !world.lost.contains(region),
        None => !world.sick.contains(root) && !world.lost.contains(root),
    };
    answers != (config.get("Inverted") == Some(&true.into()))
}

/// The region that Route 53 answers with: the PRIMARY record unless only the other one is healthy.
fn answered(rendering: &Rendering, world: &World) -> &'static str {
    let record = |root| &resource(rendering, root, "WwwRecord").properties;
    let side = |root| at_first(rendering, root, record(root).get("Failover"));
    let primary = REGIONS.into_iter().find(|root| side(root) == "PRIMARY").unwrap();
    let secondary = REGIONS.into_iter().find(|root| side(root) == "SECONDARY").unwrap();
    let healthy = |root| well(rendering, world, root, record(root).get("HealthCheckId").unwrap());
    if !healthy(primary) && healthy(secondary) { secondary } else { primary }
}

fn record(more: &str) -> Rendering {
    rendered(&format!(
        "  www: {{ kind: aws.route53, record: www.example.com, to: lb, policy: failover, shift: standby-signal{more} }}\n  lb: {{ kind: aws.alb }}\n  web: {{ kind: aws.asg, behind: lb }}\n"
    ))
}

fn world(lost: &[&'static str], sick: &[&'static str], raised: &[&'static str]) -> World {
    World {
        lost: lost.iter().copied().collect(),
        sick: sick.iter().copied().collect(),
        raised: raised.iter().copied().collect(),
    }
}

#[test]
fn a_signal_moves_users_whatever_the_checks_say() {
    let (east, west) = ("us-east-1", "eu-west-1");
    let rendering = record(", check: { path: /ready }");
    for (state, wanted, why) in [
        (world(&[], &[], &[]), east, "all is well"),
        (world(&[], &[east], &[]), west, "a region does not work"),
        (world(&[east], &[], &[]), west, "a region is lost"),
        (world(&[west], &[], &[]), east, "the standby is lost"),
        (world(&[], &[], &[west]), west, "people moved users"),
        (world(&[], &[west], &[west]), west, "people moved users before the check saw it"),
        (world(&[east], &[west], &[west]), west, "and the other is away"),
        (world(&[west], &[], &[west]), east, "the region that took over is lost"),
        (world(&[], &[], &[east]), east, "the primary said it too"),
        (world(&[], &[], &[east, west]), east, "both say so: PRIMARY"),
        (world(&[], &[east], &[east, west]), west, "both say so and one works"),
    ] {
        assert_eq!(answered(&rendering, &state), wanted, "{why}");
    }
}

/// A region that comes back gets no users: they come back when the signal is lowered.
#[test]
fn nobody_is_led_back_by_a_check_that_is_well_again() {
    let rendering = record(", check: { path: /ready }");
    assert_eq!(answered(&rendering, &world(&["us-east-1"], &[], &["eu-west-1"])), "eu-west-1");
    assert_eq!(answered(&rendering, &world(&[], &[], &["eu-west-1"])), "eu-west-1");
    assert_eq!(answered(&rendering, &world(&[], &[], &[])), "us-east-1");
}

#[test]
fn where_people_decide_a_failing_check_moves_nobody() {
    let rendering = record(", automatic: false, check: { path: /ready }");
    assert_eq!(answered(&rendering, &world(&["us-east-1"], &[], &[])), "us-east-1");
    assert_eq!(answered(&rendering, &world(&["us-east-1"], &[], &["eu-west-1"])), "eu-west-1");
}

#[test]
fn each_region_can_be_deployed_without_the_other() {
    for stack in record("").stacks.iter().filter(|stack| REGIONS.contains(&stack.root.name())) {
        assert!(stack.after.iter().all(|after| !REGIONS.contains(&after.name())), "{}: {:?}", stack.root, stack.after);
    }
}

/// A bucket whose loss would move users stays, and is read by anybody in one object only.
#[test]
fn the_signal_stays_and_opens_one_object() {
    let rendering = record("");
    let bucket = of_kind(&rendering, "eu-west-1", "AWS::S3::Bucket");
    assert_eq!(bucket.len(), 1);
    assert_eq!(bucket[0].keep, antipode_render::resource::Keep::Retain);
    let policy = map(resource(&rendering, "eu-west-1", "WwwSignalPolicy").properties.get("PolicyDocument"));
    let open = map(Some(&list(policy.get("Statement"))[0]));
    assert!(said(open.get("Resource").unwrap()).contains("/take-over"));
    assert_eq!(open.get("Action"), Some(&"s3:GetObject".into()));
}
