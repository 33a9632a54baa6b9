//! The order in which a file names its regions is nobody's business: writing them in another order, one more before the
//! others, or one less, moves nothing that stands.

use std::collections::BTreeMap;

use antipode_render::resource::{Given, Resource};
use antipode_render::value::Value;
use antipode_render::{Placement, RenderError, Rendering, render, render_again};
use model::{Design, SiteId};

use crate::failover::what_differs;
use crate::specs;

fn backwards(mut design: Design) -> Design {
    design.sites.reverse();
    design
}

#[test]
fn regions_in_another_order_move_nothing() {
    let (mut differs, mut moved_without) = (Vec::new(), 0);
    for (name, text) in specs::all() {
        let design = specs::design(&name, &text);
        let before = render(&design, "antipode.yaml").unwrap();
        let after = render_again(&backwards(design.clone()), "antipode.yaml", &before.placement).unwrap();
        differs.extend(what_differs(&before, &after).into_iter().map(|what| format!("{name}: {what}")));
        assert_eq!(before.placement, after.placement, "{name}");
        let forgetful = render(&backwards(design), "antipode.yaml").unwrap();
        moved_without += usize::from(!what_differs(&before, &forgetful).is_empty());
    }
    assert!(differs.is_empty(), "{}", differs.join("\n"));
    assert!(moved_without > 3, "nothing depends on the order: this test would see nothing");
}

fn resources(rendering: &Rendering) -> BTreeMap<(String, String), &Resource> {
    let of = |stack: &antipode_render::Linked| stack.root.to_string();
    let stacks = rendering.stacks.iter().flat_map(|stack| stack.templates.iter().map(move |t| (of(stack), t)));
    stacks
        .flat_map(|(root, template)| template.resources.iter().map(move |r| ((root.clone(), r.id.to_string()), r)))
        .collect()
}

fn with_one_more(mut design: Design, first: bool) -> Design {
    let mut site = design.sites[0].clone();
    site.id = SiteId::new("eu-central-1");
    (site.region, site.preferred, site.account) = (None, false, None);
    design.sites.insert(if first { 0 } else { design.sites.len() }, site);
    design
}

/// The address ranges of networks, by region.
fn ranges(rendering: &Rendering) -> BTreeMap<String, String> {
    let range = |stack: &antipode_render::Linked| {
        let known = stack.master().parameters.iter().find(|parameter| parameter.name == "NetworkRange")?;
        match &known.value {
            Given::AtFirst(range) => Some((stack.root.to_string(), range.clone())),
            _ => None,
        }
    };
    rendering.stacks.iter().filter_map(range).collect()
}

/// A region that is added keeps out of the way of those that stand: wherever the file names it.
#[test]
fn a_region_before_the_others_takes_nothing_from_them() {
    let mut tried = 0;
    for (name, text) in specs::all() {
        let design = specs::design(&name, &text);
        if design.sites.iter().any(|site| site.id.as_str() == "eu-central-1") || design.regions().count() < 2 {
            continue;
        }
        let before = render(&design, "antipode.yaml").unwrap();
        let added = |first| render_again(&with_one_more(design.clone(), first), "antipode.yaml", &before.placement);
        let (Ok(after), Ok(last)) = (added(true), added(false)) else { continue };
        tried += 1;
        assert!(what_differs(&after, &last).is_empty(), "{name}: it matters where the new one is named");
        let now = resources(&after);
        for (place, resource) in resources(&before) {
            let same = now.get(&place).unwrap_or_else(|| panic!("{name}: {place:?} is gone"));
            assert_eq!(same.kind, resource.kind, "{name}: {place:?}");
        }
        let (old, new) = (ranges(&before), ranges(&after));
        assert!(old.iter().all(|(region, range)| new.get(region) == Some(range)), "{name}: {old:?} {new:?}");
        let mut each: Vec<&String> = new.values().collect();
        each.sort();
        each.dedup();
        assert_eq!(each.len(), new.len(), "{name}: two networks with the same addresses: {new:?}");
    }
    assert!(tried > 10, "{tried} specs take one more region: this test would see too little");
}

/// The addresses of a region that left are not given to the next one: its network may stand for long.
#[test]
fn what_left_keeps_its_number() {
    let design = specs::design("three", include_str!("../specs/three-regions.yaml"));
    let before = render(&design, "antipode.yaml").unwrap();
    let mut fewer = design.clone();
    let gone = fewer.sites.remove(1).id;
    for part in &mut fewer.components {
        part.sites.retain(|site| *site != gone);
    }
    let fewer = render_again(&fewer, "antipode.yaml", &before.placement).unwrap();
    let mut other = design;
    other.sites[1].id = SiteId::new("eu-central-1");
    let old = ranges(&before);
    let now = ranges(&render_again(&other, "antipode.yaml", &fewer.placement).unwrap());
    let given = now.get("eu-central-1").expect("the new region has a network");
    assert!(!old.values().any(|range| range == given), "{old:?} {now:?}");
}

const KEY: &str = "workload: kept\nobjectives: { rto: 1h, rpo: 5m }\nsites:\n  us-east-1: { zones: [a, b], preferred: true }\n  us-west-2: { zones: [a, b] }\n  eu-west-1: { zones: [a, b] }\ncomponents:\n  key: { kind: aws.kms, sites: [us-west-2, eu-west-1] }\n  table: { kind: aws.dynamodb-global, encryption_key: key, sites: [us-west-2, eu-west-1] }\n";

fn placed(text: &str) -> Placement {
    render(&specs::design("kept", text), "antipode.yaml").unwrap().placement
}

#[test]
fn a_component_that_comes_to_an_earlier_region_stays_at_home() {
    let before = placed(KEY);
    let everywhere = KEY.replace(", sites: [us-west-2, eu-west-1]", "");
    let rendering = render_again(&specs::design("kept", &everywhere), "antipode.yaml", &before).unwrap();
    let now = resources(&rendering);
    let kind = |root: &str| now[&(root.to_owned(), "KeyKey".to_owned())].kind;
    assert_eq!(["us-east-1", "us-west-2"].map(kind), ["AWS::KMS::ReplicaKey", "AWS::KMS::Key"]);
    assert!(now.contains_key(&("us-west-2".to_owned(), "TableTable".to_owned())));
}

/// The first key and the table cannot go elsewhere by themselves: a spec that takes their region away is refused.
#[test]
fn the_region_of_what_stands_once_is_not_taken_away() {
    let before = placed(KEY);
    let without = KEY.replace("[us-west-2, eu-west-1]", "[eu-west-1, us-east-1]");
    let refused = render_again(&specs::design("kept", &without), "antipode.yaml", &before);
    let Err(RenderError::Impossible(problems)) = refused else { panic!("{refused:#?}") };
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["components.key", "components.table"], "{problems:#?}");
    assert!(problems[0].says.contains("is in us-west-2"), "{problems:#?}");
}

/// What had replicas and has none any more is the same key and the same table, not others in their place.
#[test]
fn the_last_region_keeps_the_key_and_the_table() {
    let before = placed(KEY);
    let alone = KEY.replace("[us-west-2, eu-west-1]", "[us-west-2]");
    let rendering = render_again(&specs::design("kept", &alone), "antipode.yaml", &before).unwrap();
    let now = resources(&rendering);
    let here = |id: &str| now[&("us-west-2".to_owned(), id.to_owned())];
    assert_eq!(here("TableTable").kind, "AWS::DynamoDB::GlobalTable");
    assert_eq!(here("KeyKey").properties.get("MultiRegion"), Some(&true.into()));
}

#[test]
fn a_list_of_before_is_still_read() {
    let old = r#"{ "us-east-1": { "data": ["TableTable"] } }"#;
    let placement: Placement = serde_json::from_str(old).unwrap();
    assert_eq!(serde_json::to_value(&placement).unwrap(), serde_json::from_str::<serde_json::Value>(old).unwrap());
    let now = placed(KEY);
    let text = serde_json::to_string(&now).unwrap();
    assert_eq!(serde_json::from_str::<Placement>(&text).unwrap(), now);
}

const FENCED: &str = "workload: kept\nobjectives: { rto: 1h, rpo: 5m }\nsites:\n  us-east-1: { zones: [a, b], preferred: true }\n  eu-west-1: { zones: [a, b] }\ncomponents:\n  orders: { kind: aws.rds, replication: asynchronous, fence: [nacl] }\n  stock: { kind: aws.rds, replication: asynchronous, fence: [nacl] }\n";

fn numbers(rendering: &Rendering) -> BTreeMap<String, Value> {
    let rules = resources(rendering).into_iter().filter(|(_, rule)| rule.kind == "AWS::EC2::NetworkAclEntry");
    rules.filter_map(|((_, id), rule)| Some((id, rule.properties.get("RuleNumber")?.clone()))).collect()
}

/// A rule that a recovery added says the number that it has: in a page that was printed, in the list itself.
#[test]
fn a_database_before_the_others_takes_no_number_of_their_rules() {
    let before = render(&specs::design("kept", FENCED), "antipode.yaml").unwrap();
    let more = FENCED.replace(
        "components:\n",
        "components:\n  early: { kind: aws.rds, replication: asynchronous, fence: [nacl] }\n",
    );
    let after = render_again(&specs::design("kept", &more), "antipode.yaml", &before.placement).unwrap();
    let (old, new) = (numbers(&before), numbers(&after));
    assert!(old.iter().all(|(id, number)| new.get(id) == Some(number)), "{old:?} {new:?}");
    // One that left keeps its number: its rule may be in the list yet.
    let fewer = FENCED.replace("  orders: { kind: aws.rds, replication: asynchronous, fence: [nacl] }\n", "");
    let left = render_again(&specs::design("kept", &fewer), "antipode.yaml", &before.placement).unwrap();
    assert!(numbers(&left).iter().all(|(id, number)| old.get(id) == Some(number)), "{old:?} {:?}", numbers(&left));
    let again = fewer.replace("stock:", "early: { kind: aws.rds, replication: asynchronous, fence: [nacl] }\n  stock:");
    let again = render_again(&specs::design("kept", &again), "antipode.yaml", &left.placement).unwrap();
    assert_ne!(numbers(&again).get("EarlyShutOut1"), old.get("OrdersShutOut1"));
}

/// A cluster of Kafka stands in the subnets that it was made in: with another one, CloudFormation would make another cluster
/// of the same name, and cannot.
#[test]
fn one_more_zone_is_refused_where_a_cluster_of_kafka_stands() {
    let log = "workload: kept\nobjectives: { rto: 1h, rpo: 5m }\nsites:\n  us-east-1: { zones: [a, b], preferred: true }\n  eu-west-1: { zones: [a, b] }\ncomponents:\n  log: { kind: aws.msk }\n";
    let before = placed(log);
    let again = |text: &str| render_again(&specs::design("kept", text), "antipode.yaml", &before);
    assert!(again(log).is_ok());
    for zones in ["[a, b, c]", "[a, c]"] {
        let refused = again(&log.replacen("[a, b]", zones, 1));
        let Err(RenderError::Impossible(problems)) = refused else { panic!("{zones}: {refused:#?}") };
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(problems[0].path, "sites.us-east-1", "{problems:#?}");
        assert!(problems[0].says.contains("`log`"), "{problems:#?}");
    }
    // What is new has nothing to lose.
    let beside = log.replacen("[a, b]", "[a, b, c]", 1).replace("  log:", "  log2:");
    assert!(again(&beside).is_ok());
}
