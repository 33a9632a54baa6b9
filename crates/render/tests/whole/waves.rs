//! What a deployment changes once for a component is a parameter of all that came with it: a stack has 200.

use antipode_render::resource::{Given, Resource};
use antipode_render::value::{NO_VALUE, Value};
use antipode_render::{Placement, RenderError, Rendering, Root, render, render_again};
use model::Design;

use crate::specs;
use crate::words;

const BUCKET: &str = "{ kind: aws.s3, system_of_record: true, replication: asynchronous, versioned: true }";

fn workload(components: &str) -> Design {
    let head = "workload: waves\nobjectives: { rto: 15m, rpo: 1m }\nsites:\n  us-east-1: { zones: [a, b], preferred: true }\n  eu-west-1: { zones: [a, b] }\ncomponents:\n";
    specs::design("waves", &format!("{head}{components}"))
}

fn again(components: &str, before: &Placement) -> Rendering {
    render_again(&workload(components), "antipode.yaml", before).unwrap()
}

fn find<'r>(rendering: &'r Rendering, root: &str, id: &str) -> &'r Resource {
    let stack = rendering.stacks.iter().find(|stack| stack.root.name() == root).unwrap();
    let mut all = stack.templates.iter().flat_map(|template| &template.resources);
    all.find(|resource| *resource.id == *id).unwrap_or_else(|| panic!("{id} is not in {root}"))
}

/// The condition under which a property is said.
fn when(rendering: &Rendering, root: &str, (id, property): (&str, &str)) -> String {
    match find(rendering, root, id).properties.get(property) {
        Some(Value::If(condition, _, otherwise)) if **otherwise == NO_VALUE => condition.name.clone(),
        other => panic!("{other:?}"),
    }
}

fn parameter(rendering: &Rendering, root: &str, name: &str) -> Option<Given> {
    let stack = rendering.stacks.iter().find(|stack| stack.root.name() == root).unwrap();
    stack.master().parameters.iter().find(|parameter| parameter.name == name).map(|parameter| parameter.value.clone())
}

const COPIES: (&str, &str) = ("ImagesBucket", "ReplicationConfiguration");
const COUNT: (&str, &str) = ("ApiService", "DesiredCount");

/// S3 refuses to copy into a bucket that is not there, and a service that is told nothing when it is made has one task.
#[test]
fn what_is_added_later_is_not_told_that_it_stands_or_has_begun() {
    let first =
        render(&workload(&format!("  images: {BUCKET}\n  api: {{ kind: aws.fargate, peak: 4 }}\n")), "antipode.yaml");
    let first = first.unwrap();
    let more = format!(
        "  images: {BUCKET}\n  api: {{ kind: aws.fargate, peak: 4 }}\n  films: {BUCKET}\n  shop: {{ kind: aws.fargate, peak: 4 }}\n"
    );
    let second = again(&more, &first.placement);
    let third = again(&more, &second.placement);
    for rendering in [&second, &third] {
        for root in ["us-east-1", "eu-west-1"] {
            let of = |what| when(rendering, root, what);
            assert_eq!([of(COPIES), of(COUNT)], ["OtherRegions1Stand", "Begins1"]);
            assert_eq!(
                [of(("FilmsBucket", COPIES.1)), of(("ShopService", COUNT.1))],
                ["OtherRegions2Stand", "Begins2"]
            );
            assert_eq!(parameter(rendering, root, "OtherRegions2"), Some(Given::AtFirst("awaited".to_owned())));
            assert_eq!(parameter(rendering, root, "AtFirst2"), Some(Given::AtFirst("begin".to_owned())));
        }
    }
}

/// There its parameter would be empty already.
#[test]
fn what_comes_to_another_region_begins_there() {
    let both = |sites: &str| {
        format!("  api: {{ kind: aws.fargate, peak: 4, sites: {sites} }}\n  shop: {{ kind: aws.fargate, peak: 4 }}\n")
    };
    let first = render(&workload(&both("[us-east-1]")), "antipode.yaml").unwrap();
    let second = again(&both("[us-east-1, eu-west-1]"), &first.placement);
    assert_eq!(when(&second, "us-east-1", COUNT), "Begins1");
    assert_eq!(when(&second, "eu-west-1", COUNT), "Begins2");
    assert_eq!(when(&second, "eu-west-1", ("ShopService", COUNT.1)), "Begins1");
}

/// A region that a component gains does not stand yet for the older ones, which copy to one another all the time.
#[test]
fn what_leads_to_a_region_that_is_gained_waits_and_the_rest_goes_on() {
    let sites = |third: &str, order: [&str; 2]| {
        let [one, other] = order;
        let head = format!(
            "workload: waves\nobjectives: {{ rto: 15m, rpo: 1m }}\nsites:\n  {one}: {{ zones: [a, b], preferred: true }}\n  {other}: {{ zones: [a, b] }}\n{third}components:\n"
        );
        let more = "  events: { kind: aws.eventbridge, replication: asynchronous }\n  films: { kind: aws.s3, sites: [us-east-1, eu-west-1], versioned: true, replication: asynchronous }\n";
        specs::design("waves", &format!("{head}  images: {BUCKET}\n  carts: {{ kind: aws.dynamodb-global }}\n{more}"))
    };
    let order = ["us-east-1", "eu-west-1"];
    let first = render(&sites("", order), "antipode.yaml").unwrap();
    let third = sites("  ap-south-1: { zones: [a, b] }\n", order);
    let second = render_again(&third, "antipode.yaml", &first.placement).unwrap();
    let again = render_again(&third, "antipode.yaml", &second.placement).unwrap();
    for rendering in [&second, &again] {
        assert_eq!(when(rendering, "us-east-1", COPIES), "ImagesCopiesToSome");
        let rules = words::word(find(rendering, "us-east-1", "ImagesBucket").properties.get(COPIES.1).unwrap());
        assert!(rules.contains("eu-west-1") && rules.contains("ap-south-1"), "{rules}");
        let Some(Value::If(_, copies, _)) = find(rendering, "us-east-1", "ImagesBucket").properties.get(COPIES.1)
        else {
            panic!()
        };
        let Value::Map(copies) = &**copies else { panic!() };
        let Some(Value::List(rules)) = copies.get("Rules") else { panic!() };
        let waits = rules.iter().map(|rule| match rule {
            Value::If(condition, ..) => condition.name.as_str(),
            other => panic!("{other:?}"),
        });
        assert_eq!(waits.collect::<Vec<_>>(), ["OtherRegions1Stand", "OtherRegions2Stand"]);
        // Of the new region both ways begin together: it copies to nobody before it is known by all.
        assert_eq!(when(rendering, "ap-south-1", COPIES), "OtherRegions2Stand");
        assert_eq!(when(rendering, "us-east-1", ("FilmsBucket", COPIES.1)), "OtherRegions1Stand");
        let rule = |to: &str| find(rendering, "us-east-1", to).condition.as_ref().unwrap().name.clone();
        assert_eq!([rule("EventsToEuWest1"), rule("EventsToApSouth1")], ["OtherRegions1Stand", "OtherRegions2Stand"]);
    }
}

/// Its value in a stack that stands is `stand`, or empty: another parameter would begin anew, and take copies away.
#[test]
fn what_was_rendered_with_a_parameter_of_its_own_keeps_it() {
    let old = format!("  images: {BUCKET}\n  api: {{ kind: aws.fargate, peak: 4 }}\n  k: {{ kind: aws.eks }}\n");
    let mut before = serde_json::to_value(&render(&workload(&old), "antipode.yaml").unwrap().placement).unwrap();
    for key in ["waves of components", "waves of regions", "waves so far"] {
        before.as_object_mut().unwrap().remove(key).unwrap();
    }
    let before: Placement = serde_json::from_value(before).unwrap();
    let second = again(&format!("{old}  films: {BUCKET}\n"), &before);
    let third = again(&format!("{old}  films: {BUCKET}\n"), &second.placement);
    for rendering in [&second, &third] {
        assert_eq!(when(rendering, "eu-west-1", COPIES), "ImagesOtherRegionsStand");
        assert_eq!(parameter(rendering, "eu-west-1", "ImagesOtherRegions"), Some(Given::AtFirst("awaited".to_owned())));
        assert_eq!(parameter(rendering, "eu-west-1", "ApiAtFirst"), Some(Given::AtFirst("4".to_owned())));
        assert!(parameter(rendering, "eu-west-1", "KAtFirst").is_some());
        assert_eq!(when(rendering, "eu-west-1", ("FilmsBucket", COPIES.1)), "OtherRegions1Stand");
    }
}

/// What has gone is of no wave: when it comes again it begins again.
#[test]
fn what_went_and_comes_again_begins_again() {
    let one = "  api: { kind: aws.fargate, peak: 4 }\n";
    let both = format!("{one}  shop: {{ kind: aws.fargate, peak: 4 }}\n");
    let first = render(&workload(&both), "antipode.yaml").unwrap();
    let without = again(one, &first.placement);
    let with = again(&both, &without.placement);
    assert_eq!(when(&with, "eu-west-1", ("ShopService", COUNT.1)), "Begins2");
    // A stack that was not deployed in between has the parameter of that wave still, empty.
    let gone = again(one, &with.placement);
    let back = again(&both, &gone.placement);
    assert_eq!(when(&back, "eu-west-1", ("ShopService", COUNT.1)), "Begins3");
}

/// So many services, buckets and functions, each of which says `of`.
fn many(count: usize, of: &str) -> Design {
    let each = (0..count).map(|n| {
        format!("  api-{n}: {{ kind: aws.fargate, peak: 4 }}\n  images-{n}: {BUCKET}\n  work-{n}: {{ kind: aws.lambda{of} }}\n")
    });
    workload(&each.collect::<String>())
}

#[test]
fn a_region_has_room_for_more_services_buckets_and_functions_than_it_has_parameters() {
    let design = many(150, ", runtime: python3.13, handler: main.handler");
    let rendering = render(&design, "antipode.yaml").unwrap();
    for stack in rendering.stacks.iter().filter(|stack| matches!(stack.root, Root::Region(_))) {
        let given = stack.master().parameters.len();
        assert!(given <= 60, "{}: {given} parameters", stack.root);
    }
    let function = find(&rendering, "eu-west-1", "Work7Function");
    assert_eq!(function.properties.get("Runtime"), Some(&Value::from("python3.13")));
    assert_eq!(function.properties.get("Handler"), Some(&Value::from("main.handler")));
}

#[test]
fn more_parameters_than_a_stack_takes_are_said_with_the_way_out() {
    let Err(RenderError::Impossible(problems)) = render(&many(100, ""), "antipode.yaml") else { panic!() };
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!((problem.path.as_str(), problem.line), ("sites.eu-west-1", 5));
    assert!(problem.says.contains("CloudFormation takes 200"), "{}", problem.says);
    assert!(problem.hint.contains("`runtime` and `handler` of 100 functions"), "{}", problem.hint);
    assert!(problem.hint.contains("two workloads"), "{}", problem.hint);
}

#[test]
fn what_lambda_cannot_be_told_is_said() {
    for (wrong, key) in [("runtime: Python 3", "runtime"), ("handler: main handler", "handler")] {
        let design = workload(&format!("  f: {{ kind: aws.lambda, {wrong} }}\n"));
        let Err(RenderError::Impossible(problems)) = render(&design, "antipode.yaml") else { panic!("{wrong}") };
        assert_eq!(problems[0].path, format!("components.f.{key}"));
    }
}
