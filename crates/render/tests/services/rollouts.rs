//! How a new version comes inside a region, and what takes it back.

use antipode_render::value::Value;

use crate::regions::rendered;
use crate::{at, find, resource, spec, text, words};

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

#[test]
fn tasks_are_taken_back_by_an_alarm_of_their_own_region() {
    let rendering = spec("rollouts");
    for region in REGIONS {
        for (service, strategy) in [("Api", "CANARY"), ("Admin", "BLUE_GREEN"), ("Shop", "ROLLING")] {
            let of = resource(&rendering, region, &format!("{service}Service"));
            assert_eq!(at(of, "DeploymentConfiguration.Strategy"), &Value::from(strategy), "{service}");
            assert_eq!(at(of, "DeploymentConfiguration.Alarms.Rollback"), &Value::from(true), "{service}");
            let Value::Ref(alarm) = at(of, "DeploymentConfiguration.Alarms.AlarmNames.0") else { panic!("{service}") };
            assert_eq!((alarm.root.name(), &*alarm.id), (region, &*format!("{service}NewVersionFails")));
            resource(&rendering, region, &alarm.id);
        }
    }
    // The circuit breaker is for what is replaced part by part only.
    let breaker = |id: &str| {
        let Value::Map(how) = at(resource(&rendering, "eu-west-1", id), "DeploymentConfiguration") else { panic!() };
        how.get("DeploymentCircuitBreaker").is_some()
    };
    assert_eq!((breaker("ApiService"), breaker("AdminService"), breaker("ShopService")), (false, false, true));
    let minutes = at(
        resource(&rendering, "eu-west-1", "ApiService"),
        "DeploymentConfiguration.CanaryConfiguration.CanaryBakeTimeInMinutes",
    );
    assert_eq!(minutes, &Value::from(15));
}

#[test]
fn what_shifts_requests_has_two_groups_and_a_rule_and_health_sees_both() {
    let rendering = spec("rollouts");
    for region in REGIONS {
        for service in ["Api", "Admin"] {
            let of = resource(&rendering, region, &format!("{service}Service"));
            let shift = format!("{:?}", at(of, "LoadBalancers.0.AdvancedConfiguration"));
            let (green, rule) = (format!("LbTo{service}Green"), format!("LbRule{service}"));
            assert!(shift.contains(&green) && shift.contains(&rule), "{shift}");
            resource(&rendering, region, &green);
            let rule = resource(&rendering, region, &rule);
            assert_eq!(at(rule, "Actions.0.ForwardConfig.TargetGroups.0.Weight"), &Value::from(1));
            let second = at(rule, "Actions.0.ForwardConfig.TargetGroups.1.TargetGroupArn");
            assert!(format!("{second:?}").contains(&green), "{second:?}");
        }
        // Or else every second deployment would look like the loss of the region.
        let either = resource(&rendering, region, "WwwEitherGroup");
        assert_eq!(at(either, "HealthCheckConfig.HealthThreshold"), &Value::from(1));
        assert!(
            find(&rendering, region, "WorkerService").is_some_and(|of| of.properties.get("LoadBalancers").is_none())
        );
    }
    assert!(
        rendering.notes.iter().any(|note| note.component.as_str() == "worker" && note.says.contains("part by part"))
    );
}

/// The group that the last deployment left has no target: it alone would say that the region is lost.
#[test]
fn targets_are_looked_for_in_both_groups_of_a_service_that_has_two() {
    let rendering = spec("rollouts");
    for region in REGIONS {
        for service in ["Api", "Admin"] {
            let alarm = resource(&rendering, region, &format!("{service}TargetsAlarm"));
            assert_eq!(text(alarm, "Metrics.0.Expression"), "MAX([FILL(blue, 0), FILL(green, 0)])");
            for (n, colour, end) in [(1, "blue", ""), (2, "green", "Green")] {
                assert_eq!(text(alarm, &format!("Metrics.{n}.Id")), colour);
                let group = at(alarm, &format!("Metrics.{n}.MetricStat.Metric.Dimensions.0.Value"));
                assert_eq!(words::word(group), format!("{{LbTo{service}{end}TargetGroupFullName}}"));
            }
        }
        let one = resource(&rendering, region, "ShopTargetsAlarm");
        assert_eq!(text(one, "MetricName"), "HealthyHostCount");
    }
    // However short the objective: a value that comes a minute late would be no target.
    let short = rendered(
        "  lb: { kind: aws.alb }\n  api: { kind: aws.fargate, behind: lb }\n  ship: { kind: pipeline, rollout: canary }\n",
    );
    let alarm = crate::regions::resource(&short, "us-east-1", "ApiTargetsAlarm");
    assert_eq!((at(alarm, "EvaluationPeriods"), at(alarm, "DatapointsToAlarm")), (&2.into(), &2.into()));
}

#[test]
fn calls_of_a_function_are_shifted_and_go_back_when_they_fail() {
    let rendering = spec("rollouts");
    for region in REGIONS {
        for (function, how) in [("Resize", "LambdaCanary10Percent15Minutes"), ("Mail", "LambdaAllAtOnce")] {
            let group = resource(&rendering, region, &format!("{function}DeploymentGroup"));
            assert_eq!(at(group, "DeploymentConfigName"), &Value::from(format!("CodeDeployDefault.{how}")));
            assert_eq!(at(group, "AutoRollbackConfiguration.Enabled"), &Value::from(true));
            let alias = resource(&rendering, region, &format!("{function}Alias"));
            assert!(format!("{:?}", alias.policies).contains("CodeDeployLambdaAliasUpdate"), "{:?}", alias.policies);
        }
    }
}

#[test]
fn a_version_is_watched_as_long_as_the_pipeline_of_its_rollout_says() {
    let pipelines = |bake: &str| {
        let components = format!(
            "  lb: {{ kind: aws.alb }}\n  api: {{ kind: aws.fargate, behind: lb }}\n  build: {{ kind: pipeline, bake: 45m }}\n  ship: {{ kind: pipeline, rollout: canary{bake} }}\n"
        );
        let rendering = rendered(&components);
        let service = crate::regions::resource(&rendering, "us-east-1", "ApiService");
        at(service, "DeploymentConfiguration.BakeTimeInMinutes").clone()
    };
    assert_eq!(pipelines(", bake: 20m"), Value::from(20));
    assert_eq!(pipelines(""), Value::from(10), "what another pipeline says is about what it deploys");
}

/// A group that is made beside the old one begins with the fewest instances, whatever a recovery added to the old one.
#[test]
fn instances_come_as_the_pipeline_says_and_no_group_is_made_anew() {
    let rendering = spec("rollouts");
    for region in REGIONS {
        let policy =
            |group: &str| words::word(resource(&rendering, region, group).policies.get("UpdatePolicy").unwrap());
        let single = policy("SingleGroup");
        assert!(single.contains("AutoScalingRollingUpdate") && single.contains("MaxBatchSize=1"), "{single}");
        assert!(single.contains("MinInstancesInService=1"), "{single}");
        let first = resource(&rendering, region, "GroupGroup");
        let refresh = |group: &str, of: &str| {
            let of = format!("AutoScalingInstanceRefresh.Preferences.{of}");
            let Some(Value::Map(policy)) = resource(&rendering, region, group).policies.get("UpdatePolicy") else {
                panic!()
            };
            let mut words = Vec::new();
            words::below(&Value::Map(policy.clone()), &of, &mut words);
            words.join(" ")
        };
        assert_eq!(refresh("GroupGroup", "CheckpointPercentages.*"), "10 100");
        assert_eq!([refresh("GroupGroup", "CheckpointDelay"), refresh("GroupGroup", "BakeTime")], ["900", "900"]);
        assert_eq!(refresh("GroupGroup", "MaxHealthyPercentage"), "110");
        assert_eq!(refresh("BesidesGroup", "MaxHealthyPercentage"), "200");
        for group in ["GroupGroup", "BesidesGroup"] {
            assert_eq!(refresh(group, "MinHealthyPercentage"), "100", "an old one goes when a new one is healthy");
            let alarm = group.replace("Group", "") + if group == "GroupGroup" { "Group" } else { "" };
            assert_eq!(refresh(group, "AlarmSpecification.Alarms.*"), format!("{{{alarm}NewVersionFails}}"));
        }
        assert!(first.properties.get("DesiredCapacity").is_none(), "what a recovery added stays");
        assert_eq!(crate::at_first(&rendering, region, "WatchesNewInstances"), "yes");
    }
    assert!(!format!("{rendering:?}").contains("AutoScalingReplacingUpdate"));
}
