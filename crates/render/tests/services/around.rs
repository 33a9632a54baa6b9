//! What stands around the workload in each region: its network, who is let in, and what watches.

use crate::{at, resource, says, spec, words};

const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];

/// A zone that is lost takes no other zone's way out with it.
#[test]
fn each_zone_has_a_way_out_of_its_own() {
    let rendering = spec("alarms");
    for region in REGIONS {
        for zone in ["A", "B"] {
            let of = |what: &str| format!("{what}{zone}");
            let named = |what: &str| format!("{{{what}{zone}}}");
            let small = zone.to_lowercase();
            says(
                &rendering,
                region,
                &[
                    (&of("PrivateSubnet"), "AvailabilityZone", &format!("{{AWS::Region}}{small}")),
                    (&of("PublicSubnet"), "AvailabilityZone", &format!("{{AWS::Region}}{small}")),
                    (&of("PrivateAssociation"), "SubnetId", &named("PrivateSubnet")),
                    (&of("PrivateAssociation"), "RouteTableId", &named("PrivateRoutes")),
                    (&of("PublicAssociation"), "SubnetId", &named("PublicSubnet")),
                    (&of("PublicAssociation"), "RouteTableId", "{PublicRoutes}"),
                    (&of("WayOut"), "SubnetId", &named("PublicSubnet")),
                    (&of("PrivateWayOut"), "RouteTableId", &named("PrivateRoutes")),
                    (&of("PrivateWayOut"), "NatGatewayId", &named("WayOut")),
                    (&of("PrivateWayOut"), "DestinationCidrBlock", "0.0.0.0/0"),
                ],
            );
        }
        says(
            &rendering,
            region,
            &[
                ("PublicWayOut", "GatewayId", "{InternetGateway}"),
                ("PublicWayOut", "RouteTableId", "{PublicRoutes}"),
                ("S3Endpoint", "RouteTableIds.*", "{PublicRoutes} {PrivateRoutesA} {PrivateRoutesB}"),
                ("DynamodbEndpoint", "RouteTableIds.*", "{PublicRoutes} {PrivateRoutesA} {PrivateRoutesB}"),
            ],
        );
        let ranges = ["PublicSubnetA", "PublicSubnetB", "PrivateSubnetA", "PrivateSubnetB"];
        let ranges = ranges.map(|id| format!("{:?}", at(resource(&rendering, region, id), "CidrBlock")));
        assert!((0..4).all(|n| !ranges[n + 1..].contains(&ranges[n])), "{ranges:?}");
    }
}

/// What a recovery calls answers by its usual name within the network, in each zone.
#[test]
fn services_are_reached_without_the_internet() {
    let mut seen = 0;
    for (name, text) in crate::specs::all() {
        let rendering = crate::specs::rendering(&name, &text);
        let resources = rendering.stacks.iter().flat_map(|stack| &stack.templates).flat_map(|of| &of.resources);
        let within = resources.filter(|one| one.kind == "AWS::EC2::VPCEndpoint");
        for endpoint in within.filter(|one| words::all(one, "VpcEndpointType").join("") == "Interface") {
            assert_eq!(at(endpoint, "PrivateDnsEnabled"), &true.into(), "{name}: {}", endpoint.id);
            let said = |path| words::all(endpoint, path).join("");
            assert!(said("SecurityGroupIds.*").contains("EndpointsSecurityGroup"), "{name}: {}", endpoint.id);
            assert!(said("SubnetIds").contains("PrivateSubnet"), "{name}: {}", endpoint.id);
            assert!(said("ServiceName").starts_with("com.amazonaws.{AWS::Region}."), "{name}: {}", endpoint.id);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// A request goes by the rules of its own region, whichever that is, and none of them only counts.
#[test]
fn users_come_by_rules_that_refuse() {
    let mut seen = 0;
    for (name, text) in crate::specs::all() {
        let rendering = crate::specs::rendering(&name, &text);
        let resources = rendering.stacks.iter().flat_map(|stack| &stack.templates).flat_map(|of| &of.resources);
        let resources: Vec<_> = resources.collect();
        for rules in resources.iter().filter(|resource| resource.kind == "AWS::WAFv2::WebACL") {
            let said = words::all(rules, "Rules.*.Name").join(" ");
            assert!(said.contains("CommonRuleSet") && said.contains("MostRequests"), "{name}: {said}");
            let does = words::all(rules, "Rules").join(" ");
            assert!(does.contains("Block") && !does.contains("Count"), "{name}: {does}");
            seen += 1;
        }
        for joined in resources.iter().filter(|resource| resource.kind == "AWS::WAFv2::WebACLAssociation") {
            for (end, kind) in
                [("ResourceArn", "AWS::ElasticLoadBalancingV2::LoadBalancer"), ("WebACLArn", "AWS::WAFv2::WebACL")]
            {
                let end = words::word(at(joined, end));
                let stands = |id: &str| end.starts_with(&format!("{{{id}"));
                assert!(resources.iter().any(|other| other.kind == kind && stands(&other.id)), "{name}: {end}");
            }
            seen += 1;
        }
    }
    assert!(seen > 3, "{seen}");
}

/// Whoever looks at the dashboard of any region sees them all, and each picture says of which region it is.
#[test]
fn the_dashboard_of_a_region_shows_all_of_them() {
    let rendering = spec("alarms");
    for region in REGIONS {
        let body = words::all(resource(&rendering, region, "Dashboard"), "DashboardBody").join("");
        for seen in REGIONS {
            assert!(body.contains(&format!(r#""region":"{seen}""#)), "{seen} in {region}");
        }
    }
}

/// A call that fails is tried again, and one that is handed over too: what is lost with a region is begun again elsewhere.
#[test]
fn work_that_fails_is_tried_again_before_it_is_given_up() {
    let rendering = spec("operate");
    for state in ["Ask where", "Work", "Hand over"] {
        let tries = format!("Definition.States.{state}.Retry.*.MaxAttempts");
        says(&rendering, "eu-west-1", &[("FlowMachine", &tries, "3")]);
    }
    says(
        &rendering,
        "eu-west-1",
        &[
            ("FlowMachine", "Definition.States.Work.Catch.*.Next", "Handed over before"),
            ("FlowMachine", "RoleArn", "{FlowExecutionRole.Arn}"),
        ],
    );
    let arn = words::all(resource(&rendering, "eu-west-1", "NightlySchedule"), "Target.Arn").join("");
    assert!(arn.contains(":states:eu-west-1:"), "{arn}");
}
