//! Who is answered with what: records, the checks that they follow, and what leads to all regions.

use antipode_render::resource::Given;

use crate::{at_first, find, regions, resource, says, spec, words};

/// Each record leads to its own region's load balancer, and follows its own region's check.
#[test]
fn a_record_follows_the_check_that_the_spec_wants() {
    let rendering = spec("route53");
    for (record, check, follows) in [
        ("Checked", "{CheckedCheck}", "true"),
        ("Signalled", "{SignalledAnswers}", "false"),
        ("ByPeople", "{ByPeopleAnswers}", "false"),
        ("Switched", "{SwitchedSwitchCheck}", "false"),
        ("Both", "{BothAnswers}", "false"),
        ("Weighted", "{WeightedCheck}", "true"),
        ("Latency", "{LatencyAlarmCheck}", "true"),
        ("Near", "{NearAllChecks}", "true"),
        ("Several", "{SeveralAllChecks}", "true"),
    ] {
        let id = format!("{record}Record");
        for region in ["us-east-1", "eu-west-1"] {
            says(
                &rendering,
                region,
                &[
                    (&id, "HealthCheckId", check),
                    (&id, "AliasTarget.EvaluateTargetHealth", follows),
                    (&id, "AliasTarget.DNSName", "{LbLoadBalancer.DNSName}"),
                    (&id, "AliasTarget.HostedZoneId", "{LbLoadBalancer.CanonicalHostedZoneID}"),
                    (&id, "SetIdentifier", region),
                ],
            );
        }
    }
}

#[test]
fn a_record_is_chosen_by_what_its_policy_says() {
    let rendering = spec("route53");
    says(
        &rendering,
        "eu-west-1",
        &[
            ("CheckedRecord", "Failover", "{CheckedFailover}"),
            ("WeightedRecord", "Weight", "{WeightedWeight}"),
            ("LatencyRecord", "Region", "eu-west-1"),
            ("NearRecord", "GeoProximityLocation.AWSRegion", "eu-west-1"),
            ("SeveralRecord", "Weight", "1"),
            ("PlacesRecordEU", "GeoLocation.ContinentCode", "EU"),
        ],
    );
    says(
        &rendering,
        "us-east-1",
        &[
            ("NearRecord", "GeoProximityLocation.Bias", "10"),
            ("PlacesRecordBR", "GeoLocation.CountryCode", "BR"),
            ("PlacesRecordEverybody", "GeoLocation.CountryCode", "*"),
        ],
    );
    for (region, side, weight) in [("us-east-1", "PRIMARY", "60"), ("eu-west-1", "SECONDARY", "40")] {
        assert_eq!(at_first(&rendering, region, "CheckedFailover"), side);
        assert_eq!(at_first(&rendering, region, "WeightedWeight"), weight);
    }
    assert_eq!(at_first(&rendering, "edge", "SimpleLeadsTo"), "us-east-1");
}

#[test]
fn a_check_looks_as_often_and_as_deep_as_is_said() {
    let rendering = spec("route53");
    let config = |key: &str| format!("HealthCheckConfig.{key}");
    says(
        &rendering,
        "eu-west-1",
        &[
            ("CheckedCheck", &config("RequestInterval"), "10"),
            ("CheckedCheck", &config("FailureThreshold"), "2"),
            ("CheckedCheck", &config("ResourcePath"), "/ready"),
            ("CheckedCheck", &config("Type"), "HTTPS"),
            ("CheckedCheck", &config("Port"), "443"),
            ("CheckedCheck", &config("EnableSNI"), "true"),
            ("CheckedCheck", &config("FullyQualifiedDomainName"), "{LbLoadBalancer.DNSName}"),
            ("HealthCheck", &config("RequestInterval"), "30"),
            ("HealthCheck", &config("FailureThreshold"), "3"),
            ("HealthCheck", &config("ResourcePath"), "/deep"),
            ("SwitchedSwitchCheck", &config("RoutingControlArn"), "{SwitchSwitchControlEuWest1}"),
            ("BothAnswers", &config("ChildHealthChecks.*"), "{BothSwitchCheck} {BothCheck}"),
            ("BothAnswers", &config("HealthThreshold"), "2"),
            ("NearAllChecks", &config("ChildHealthChecks.*"), "{NearCheck} {NearAlarmCheck}"),
            ("NearAllChecks", &config("HealthThreshold"), "2"),
            ("SeveralAllChecks", &config("ChildHealthChecks.*"), "{HealthCheck} {ProgramAlarmCheck}"),
        ],
    );
}

/// The metric of the region's own targets; that nobody measures is no failure.
#[test]
fn a_check_of_an_alarm_reads_the_alarm_of_its_own_region() {
    let rendering = spec("route53");
    says(
        &rendering,
        "eu-west-1",
        &[
            ("LatencyAlarmCheck", "HealthCheckConfig.AlarmIdentifier.Name", "{LatencyCheckAlarm}"),
            ("LatencyAlarmCheck", "HealthCheckConfig.AlarmIdentifier.Region", "eu-west-1"),
            ("LatencyAlarmCheck", "HealthCheckConfig.InsufficientDataHealthStatus", "Unhealthy"),
            ("LatencyCheckAlarm", "MetricName", "HealthyHostCount"),
            ("LatencyCheckAlarm", "Namespace", "AWS/ApplicationELB"),
            ("LatencyCheckAlarm", "Statistic", "Maximum"),
            ("LatencyCheckAlarm", "Threshold", "1"),
            ("LatencyCheckAlarm", "ComparisonOperator", "LessThanThreshold"),
            ("LatencyCheckAlarm", "TreatMissingData", "missing"),
            (
                "LatencyCheckAlarm",
                "Dimensions.*.Value",
                "{LbLoadBalancer.LoadBalancerFullName} {LbToWeb.TargetGroupFullName}",
            ),
            ("ProgramCheckAlarm", "Dimensions.*.Value", "program"),
        ],
    );
}

#[test]
fn a_signal_is_looked_for_where_it_was_raised_within_half_a_minute() {
    let rendering = spec("route53");
    let config = |key: &str| format!("HealthCheckConfig.{key}");
    for check in ["SignalledTakenOver", "SignalledNotTakenOverByUsEast1"] {
        says(
            &rendering,
            "eu-west-1",
            &[
                (check, &config("RequestInterval"), "10"),
                (check, &config("FailureThreshold"), "3"),
                (check, &config("ResourcePath"), "/take-over"),
                (check, &config("Type"), "HTTPS"),
            ],
        );
    }
    says(
        &rendering,
        "eu-west-1",
        &[
            ("SignalledNotTakenOverByUsEast1", &config("Inverted"), "true"),
            (
                "SignalledNotTakenOverByUsEast1",
                &config("FullyQualifiedDomainName"),
                "names-signalled-signal-{AWS::AccountId}-us-east-1.s3.us-east-1.{AWS::URLSuffix}",
            ),
            ("ByPeopleAnswers", &config("ChildHealthChecks.*"), "{ByPeopleTakenOver} {ByPeopleNotTakenOverByUsEast1}"),
            ("ByPeopleAnswers", &config("HealthThreshold"), "1"),
        ],
    );
}

#[test]
fn a_gate_that_is_closed_keeps_every_switch_as_it_is() {
    let rendering = spec("route53");
    let both = "{SwitchControlUsEast1} {SwitchControlEuWest1}";
    says(
        &rendering,
        "switch",
        &[
            ("SwitchGateFirst", "GatingRule.GatingControls.*", "{SwitchGate}"),
            ("SwitchGateFirst", "GatingRule.TargetControls.*", both),
            ("SwitchGateFirst", "GatingRule.WaitPeriodMs", "5000"),
            ("SwitchOneRegionAtLeast", "AssertionRule.AssertedControls.*", both),
            ("SwitchOneRegionAtLeast", "AssertionRule.WaitPeriodMs", "5000"),
            ("SwitchControlEuWest1", "ControlPanelArn", "{SwitchPanel}"),
            ("SwitchGate", "ControlPanelArn", "{SwitchPanel}"),
        ],
    );
}

#[test]
fn a_target_is_given_up_after_the_failures_that_are_said() {
    let rendering = spec("alarms");
    says(
        &rendering,
        "us-west-2",
        &[
            ("LbToWeb", "HealthCheckPath", "/ready"),
            ("LbToWeb", "HealthCheckIntervalSeconds", "10"),
            ("LbToWeb", "HealthCheckTimeoutSeconds", "5"),
            ("LbToWeb", "UnhealthyThresholdCount", "2"),
            ("LbToWeb", "HealthyThresholdCount", "2"),
            ("LbHttps", "Protocol", "HTTPS"),
            ("LbHttps", "SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
            ("LbHttps", "DefaultActions.*.TargetGroupArn", "{LbToWeb}"),
            ("LbHttp", "DefaultActions.*.RedirectConfig.Protocol", "HTTPS"),
            ("LbLoadBalancer", "Subnets.*", "{PublicSubnetA} {PublicSubnetB}"),
        ],
    );
    let attributes = words::all(resource(&rendering, "us-west-2", "LbLoadBalancer"), "LoadBalancerAttributes").join("");
    for attribute in ["deletion_protection.enabled Value=true", "drop_invalid_header_fields.enabled Value=true"] {
        assert!(attributes.contains(attribute), "{attributes}");
    }
}

#[test]
fn a_zone_that_is_impaired_is_left_and_practised() {
    says(
        &spec("route53"),
        "eu-west-1",
        &[
            ("ZonesOfLb", "ZonalAutoshiftStatus", "ENABLED"),
            ("ZonesOfLb", "ResourceIdentifier", "{LbLoadBalancer}"),
            ("ZonesOfLb", "PracticeRunConfiguration.OutcomeAlarms.*.AlarmIdentifier", "{ZonesOutcomeOfLb.Arn}"),
            ("ZonesOutcomeOfLb", "Dimensions.*.Value", "{LbLoadBalancer.LoadBalancerFullName}"),
        ],
    );
}

#[test]
fn an_accelerator_leads_to_the_load_balancer_of_each_region_and_looks_at_it() {
    let rendering = spec("traffic");
    for (group, region, balancer) in [
        ("AcceleratorApSouth1", "ap-south-1", "{ApSouth1LbLoadBalancer}"),
        ("AcceleratorEuWest1", "eu-west-1", "{EuWest1LbLoadBalancer}"),
    ] {
        says(
            &rendering,
            "accelerator",
            &[
                (group, "EndpointGroupRegion", region),
                (group, "EndpointConfigurations.*.EndpointId", balancer),
                (group, "EndpointConfigurations.*.Weight", "128"),
                (group, "HealthCheckIntervalSeconds", "10"),
                (group, "ThresholdCount", "2"),
                (group, "ListenerArn", "{AcceleratorListener}"),
            ],
        );
    }
    says(&rendering, "accelerator", &[("AcceleratorAccelerator", "Enabled", "true")]);
}

/// The edge gives a region up quickly, and asks it over TLS under its own name.
#[test]
fn the_edge_asks_the_other_region_after_an_error() {
    let rendering = spec("traffic");
    let config = |key: &str| format!("DistributionConfig.{key}");
    says(
        &rendering,
        "edge",
        &[
            (
                "CdnDistribution",
                &config("OriginGroups.Items.*.FailoverCriteria.StatusCodes.Items.*"),
                "500 502 503 504",
            ),
            ("CdnDistribution", &config("OriginGroups.Items.*.FailoverCriteria.StatusCodes.Quantity"), "4"),
            ("CdnDistribution", &config("OriginGroups.Items.*.Members.Items.*.OriginId"), "{CdnFirst} {CdnSecond}"),
            ("CdnDistribution", &config("Origins.*.ConnectionAttempts"), "2 2 2"),
            ("CdnDistribution", &config("Origins.*.ConnectionTimeout"), "4 4 4"),
            (
                "CdnDistribution",
                &config("Origins.*.CustomOriginConfig.OriginProtocolPolicy"),
                "https-only https-only https-only",
            ),
            (
                "CdnDistribution",
                &config("Origins.*.DomainName"),
                "ap-south-1.www.example.com eu-west-1.www.example.com www.example.com",
            ),
            ("CdnDistribution", &config("WebACLId"), "{RulesRulesArn}"),
            ("CdnDistribution", &config("ViewerCertificate.MinimumProtocolVersion"), "TLSv1.2_2021"),
            ("CdnDistribution", &config("Enabled"), "true"),
            ("StoredDistribution", &config("DefaultCacheBehavior.TargetOriginId"), "regions"),
            ("StoredDistribution", &config("Origins.*.OriginAccessControlId"), "{StoredAccess} {StoredAccess}"),
        ],
    );
    assert_eq!(at_first(&rendering, "edge", "CdnFirst"), "ap-south-1");
    assert_eq!(at_first(&rendering, "edge", "CdnSecond"), "eu-west-1");
}

#[test]
fn a_certificate_of_a_region_proves_its_own_name_too() {
    let rendering = spec("traffic");
    for region in ["ap-south-1", "eu-west-1"] {
        let names = words::all(resource(&rendering, region, "Certificate"), "SubjectAlternativeNames.*").join(" ");
        assert!(names.contains(&format!("{region}.www.example.com")), "{names}");
        says(
            &rendering,
            region,
            &[
                ("Certificate", "ValidationMethod", "DNS"),
                ("LbHttps", "Certificates.*.CertificateArn", "{Certificate}"),
            ],
        );
    }
}

/// A zone whose records can be changed although us-east-1 is impaired.
#[test]
fn a_zone_recovers_by_itself_and_stays() {
    let rendering = spec("traffic");
    says(&rendering, "global", &[("ExampleComZone", "HostedZoneFeatures.EnableAcceleratedRecovery", "true")]);
    assert_eq!(resource(&rendering, "global", "ExampleComZone").keep, antipode_render::resource::Keep::Retain);
}

#[test]
fn two_hubs_know_the_way_to_each_other_once_both_stand() {
    let rendering = spec("hubs");
    says(
        &rendering,
        "ap-south-1",
        &[
            ("HubToEuWest1", "PeerTransitGatewayId", "{HubGatewayOfEuWest1}"),
            ("HubToEuWest1", "PeerRegion", "eu-west-1"),
            ("HubRouteEuWest1", "DestinationCidrBlock", "{NetworkRangeOfEuWest1}"),
            ("HubRouteEuWest1", "TransitGatewayRouteTableId", "{HubRoutes}"),
            ("HubWayToEuWest1B", "RouteTableId", "{PrivateRoutesB}"),
            ("HubGateway", "AutoAcceptSharedAttachments", "disable"),
        ],
    );
    for (region, route) in [("ap-south-1", "HubRouteEuWest1"), ("eu-west-1", "HubRouteApSouth1")] {
        assert!(resource(&rendering, region, route).condition.is_some());
    }
    assert!(find(&rendering, "eu-west-1", "HubToApSouth1").is_none(), "one side asks, the other accepts");
}

fn asked(rendering: &antipode_render::Rendering, root: &str, parameter: &str) -> String {
    let stack = rendering.stacks.iter().find(|stack| stack.root.name() == root).unwrap();
    let known = stack.master().parameters.iter().find(|known| known.name == parameter);
    match &known.unwrap_or_else(|| panic!("{root} has no {parameter}")).value {
        Given::Ask(how) => how.clone(),
        other => panic!("{parameter} is {other:?}"),
    }
}

/// Metrics know a load balancer by what follows `loadbalancer/` in its ARN.
#[test]
fn the_full_name_of_an_adopted_load_balancer_is_what_its_metrics_have() {
    let lb = |kind: &str| {
        let components = format!(
            "  lb: {{ kind: {kind}, managed: adopt, id: \"lb-{{site}}\" }}\n  web: {{ kind: aws.asg, behind: lb }}\n"
        );
        asked(&regions::rendered(&components), "us-east-1", "LbFullName")
    };
    for kind in ["aws.alb", "aws.nlb"] {
        let how = lb(kind);
        assert!(how.contains("LoadBalancerArn' --output text") && how.ends_with(" | cut -d/ -f2-"), "{how}");
    }
}

/// Asked for the zones from a name on, Route 53 says the next one where there is none of that name, and a private one before a
/// public one.
#[test]
fn a_zone_is_found_by_its_whole_name_or_not_at_all() {
    let how = asked(
        &regions::rendered("  lb: { kind: aws.alb }\n  www: { kind: aws.route53, record: www.example.com, to: lb }\n"),
        "us-east-1",
        "WwwHostedZone",
    );
    assert!(how.contains("HostedZones[?Name=='example.com.' && Config.PrivateZone==\\`false\\`].Id | [0]"), "{how}");
    assert!(!how.contains("--max-items"), "{how}");
}

/// A deployment of a region that was left would put its records back, and lead users there.
#[test]
fn records_that_a_recovery_takes_away_stay_away() {
    let spec = |policy: &str| {
        format!(
            "  lb: {{ kind: aws.alb }}\n  www: {{ kind: aws.route53, record: www.example.com, to: lb, {policy} }}\n"
        )
    };
    for policy in ["policy: failover, shift: dns-record", "policy: weighted, shift: manual", "policy: latency"] {
        let rendering = regions::rendered(&spec(policy));
        for region in ["us-east-1", "eu-west-1"] {
            let record = resource(&rendering, region, "WwwRecord");
            let condition = record.condition.as_ref().map(|condition| format!("{condition:?}"));
            assert!(
                condition.as_ref().is_some_and(|condition| condition.contains("WwwAnswers")),
                "{policy}: {condition:?}"
            );
            assert_eq!(at_first(&rendering, region, "WwwAnswers"), "yes");
        }
    }
    for moved in ["policy: failover, shift: health-check, check: { path: / }", "policy: simple, shift: dns-record"] {
        let rendering = regions::rendered(&spec(moved));
        let records =
            rendering.stacks.iter().flat_map(|stack| &stack.templates).flat_map(|template| &template.resources);
        let mut records = records.filter(|resource| *resource.id == *"WwwRecord").peekable();
        assert!(records.peek().is_some() && records.all(|record| record.condition.is_none()), "{moved}");
    }
}
