//! What leads to all regions: whom it asks first is state, and nothing is lost by a second writer.

use antipode_render::value::Value;

use crate::regions::{at_first, list, map, of_kind, rendered, resource};

const TO: &str = "  lb: { kind: aws.alb }\n  web: { kind: aws.asg, behind: lb }\n";

#[test]
fn writes_go_to_the_name_that_leads_to_the_writer_and_reads_to_either_region() {
    let rendering = rendered(&format!(
        "  www: {{ kind: aws.route53, record: www.example.com, to: lb, policy: failover, shift: health-check }}\n  cdn: {{ kind: aws.cloudfront, to: lb, serves: both }}\n{TO}"
    ));
    let distribution = resource(&rendering, "edge", "CdnDistribution");
    let config = map(distribution.properties.get("DistributionConfig"));
    let origin = |id: &str| {
        let origins = list(config.get("Origins")).iter().map(|origin| map(Some(origin)));
        origins.into_iter().find(|origin| origin.get("Id") == Some(&id.into())).unwrap().get("DomainName").cloned()
    };
    assert_eq!(origin("writer"), Some("www.example.com".into()));
    let default = map(config.get("DefaultCacheBehavior"));
    assert_eq!(default.get("TargetOriginId"), Some(&"writer".into()));
    let fixed = map(Some(&list(config.get("CacheBehaviors"))[0]));
    assert_eq!(fixed.get("TargetOriginId"), Some(&"regions".into()));
    assert!(!list(fixed.get("AllowedMethods")).contains(&Value::from("POST")));
    let group = map(Some(&list(map(config.get("OriginGroups")).get("Items"))[0]));
    let members = list(map(group.get("Members")).get("Items"));
    let asked: Vec<String> =
        members.iter().map(|member| at_first(&rendering, "edge", map(Some(member)).get("OriginId"))).collect();
    assert_eq!(asked, ["us-east-1", "eu-west-1"]);
}

#[test]
fn the_dial_of_a_region_is_state() {
    let rendering = rendered(&format!("  fast: {{ kind: aws.global-accelerator, to: lb }}\n{TO}"));
    let groups = of_kind(&rendering, "accelerator", "AWS::GlobalAccelerator::EndpointGroup");
    assert_eq!(groups.len(), 2);
    for group in groups {
        assert_eq!(at_first(&rendering, "accelerator", group.properties.get("TrafficDialPercentage")), "100");
    }
}

#[test]
fn one_routing_control_at_least_stays_on() {
    let rendering = rendered(&format!(
        "  www: {{ kind: aws.route53, record: www.example.com, to: lb, shift: routing-control }}\n  switch: {{ kind: aws.arc-routing-control, to: lb }}\n{TO}"
    ));
    let rule = resource(&rendering, "switch", "SwitchOneRegionAtLeast");
    assert_eq!(list(map(rule.properties.get("AssertionRule")).get("AssertedControls")).len(), 2);
    let config = map(rule.properties.get("RuleConfig"));
    assert_eq!((config.get("Type"), config.get("Threshold")), (Some(&"ATLEAST".into()), Some(&1.into())));
    for root in ["us-east-1", "eu-west-1"] {
        let check = map(resource(&rendering, root, "WwwSwitchCheck").properties.get("HealthCheckConfig"));
        assert_eq!(check.get("Type"), Some(&"RECOVERY_CONTROL".into()));
    }
}

/// Two networks are joined when both stand, and neither waits for the other.
#[test]
fn networks_are_joined_by_what_each_is_told_of_the_other() {
    let rendering = rendered("  link: { kind: aws.vpc-peering }\n");
    let asks = of_kind(&rendering, "us-east-1", "AWS::EC2::VPCPeeringConnection");
    assert_eq!(asks.len(), 1);
    assert!(asks[0].condition.is_some());
    assert_eq!(at_first(&rendering, "us-east-1", asks[0].properties.get("PeerVpcId")), "");
    let back = resource(&rendering, "eu-west-1", "LinkWayToUsEast1A");
    assert!(back.condition.is_some());
    assert_eq!(at_first(&rendering, "eu-west-1", back.properties.get("DestinationCidrBlock")), "10.0.0.0/16");
    assert!(rendering.stacks.iter().all(|stack| stack.after.is_empty()));
}
