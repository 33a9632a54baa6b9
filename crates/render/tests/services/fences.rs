//! The old writer is shut out by one call in its own region, and no deployment opens it again.

use std::collections::BTreeSet;

use antipode_render::value::Value;

use crate::{at, at_first, find, resource, spec};

#[test]
fn who_has_a_list_stands_apart_from_its_clients() {
    let rendering = spec("fences");
    for (database, apart) in [("Orders", true), ("Stock", true), ("Cases", true), ("Doors", false), ("Open", false)] {
        let group = resource(&rendering, "eu-west-1", &format!("{database}SubnetGroup"));
        let Value::List(subnets) = at(group, "SubnetIds") else { panic!() };
        let names = format!("{subnets:?}");
        assert_eq!((names.contains("DataSubnetA"), names.contains("PrivateSubnetA")), (apart, !apart), "{names}");
    }
    let group = resource(&rendering, "eu-west-1", "ApiGroup");
    assert!(
        !format!("{:?}", at(group, "VPCZoneIdentifier")).contains("DataSubnet"),
        "a list sees nothing within a subnet"
    );
}

/// Pieces of a network that overlap are refused by AWS when it is far too late.
#[test]
fn no_two_subnets_have_the_same_addresses() {
    let rendering = spec("fences");
    for region in ["us-east-1", "eu-west-1"] {
        let mut seen = BTreeSet::new();
        let stack = rendering.stacks.iter().find(|stack| stack.root.name() == region).unwrap();
        for subnet in stack.templates.iter().flat_map(|template| &template.resources) {
            if subnet.kind == "AWS::EC2::Subnet" {
                let piece = format!("{:?}", at(subnet, "CidrBlock"));
                assert!(seen.insert(piece), "{region}: {}", subnet.id);
            }
        }
    }
}

#[test]
fn a_gate_is_open_at_first_and_shut_by_a_parameter_that_deployments_leave() {
    let rendering = spec("fences");
    for region in ["us-east-1", "eu-west-1"] {
        assert_eq!(at_first(&rendering, region, "OrdersGate"), "open");
        for n in 1..=3 {
            let rule = resource(&rendering, region, &format!("OrdersShutOut{n}"));
            assert_eq!(rule.condition.as_ref().unwrap().name, "OrdersGateIsShut");
            assert_eq!(at(rule, "RuleAction"), &"deny".into());
            assert_eq!(at(rule, "PortRange.From"), &5432.into());
        }
        let door = resource(&rendering, region, "OrdersFromApi5432");
        assert_eq!(door.condition.as_ref().unwrap().name, "OrdersGateIsOpen");
        assert!(resource(&rendering, region, "StockFromApi3306").condition.is_none(), "it has a list only");
        assert!(
            find(&rendering, region, "DoorsShutOut1").is_none() && find(&rendering, region, "OpenShutOut1").is_none()
        );
    }
}

/// A refusal comes before what allows, and two of one list never have the same number, a recovery's among them.
#[test]
fn rules_of_one_list_have_numbers_of_their_own() {
    let rendering = spec("fences");
    let stack = rendering.stacks.iter().find(|stack| stack.root.name() == "us-east-1").unwrap();
    let mut numbers = BTreeSet::new();
    for rule in stack.templates.iter().flat_map(|template| &template.resources) {
        if rule.kind == "AWS::EC2::NetworkAclEntry" && at(rule, "Egress") == &false.into() {
            let Value::Int(number) = at(rule, "RuleNumber") else { panic!() };
            assert!((100..=1000).contains(number), "{number} is for recoveries");
            assert!(numbers.insert(*number), "{number} twice");
            assert_eq!(at(rule, "RuleAction") == &"allow".into(), *number == 1000, "{number}");
        }
    }
    assert_eq!(numbers.len(), 10);
}

/// What it does not do is said where somebody reads it before they need it.
#[test]
fn a_fence_claims_no_more_than_it_does() {
    let rendering = spec("fences");
    let says = |component: &str, what: &str| {
        rendering.notes.iter().any(|note| note.component.as_str() == component && note.says.contains(what))
    };
    assert!(says("orders", "a statement that has arrived, and a job of the server itself, go on"));
    assert!(says("doors", "those that are open go on") && !says("orders", "those that are open go on"));
    let beside = rendering.notes.iter().find(|note| note.component.as_str() == "orders" && note.says.contains("fence"));
    assert!(beside.unwrap().instead.contains("cases listens on the same port"));
}
