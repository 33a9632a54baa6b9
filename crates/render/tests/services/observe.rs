//! What is watched, and that an alarm can be raised, reaches somebody, and means what it says.

use antipode_render::Group;
use antipode_render::resource::{Resource, Test};
use antipode_render::value::{Map, Value};

use crate::words::word;
use crate::{at, at_first, find, resource, spec, specs, text, words};

const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];

fn queries(alarm: &Resource) -> Vec<&Map> {
    let Some(Value::List(queries)) = alarm.properties.get("Metrics") else { return Vec::new() };
    let maps = queries.iter().map(|query| match query {
        Value::Map(map) => map,
        other => panic!("{other:?}"),
    });
    maps.collect()
}

fn formula(alarm: &Resource) -> String {
    match queries(alarm).first().and_then(|query| query.get("Expression")) {
        Some(Value::Text(formula)) => formula.to_string(),
        other => panic!("{}: {other:?}", alarm.id),
    }
}

fn int(alarm: &Resource, key: &str) -> i64 {
    match alarm.properties.get(key) {
        Some(Value::Int(n)) => *n,
        other => panic!("{} {key}: {other:?}", alarm.id),
    }
}

#[test]
fn whatever_answers_is_called_is_copied_or_runs_out_is_watched_in_every_region() {
    let rendering = spec("observed");
    let alarms = [
        ("LbErrors", 2),
        ("WebTargets", 1),
        ("EntranceErrors", 2),
        ("ConnectionsErrors", 2),
        ("TasksTargets", 1),
        ("ClusterFailedNodes", 0),
        ("ClusterControlPlane", 2),
        ("OrdersErrors", 2),
        ("OrdersThrottles", 2),
        ("OrdersDuration", 24_000),
        ("OrdersConcurrency", 40),
        ("OrdersLostCalls", 0),
        ("FlowFailedExecutions", 0),
        ("NightlyDroppedRuns", 0),
        ("NewsFailedMessages", 0),
        ("WorkBacklog", 900),
        ("WorkDeadLetters", 0),
        ("ClicksThrottles", 0),
        ("LogPartitions", 0),
        ("LogDisk", 85),
        ("BusLateEvents", 30_000),
        ("DbDisk", 15_i64 << 30),
        ("QuickLag", 30),
        ("SettingsErrors", 0),
        ("CertificateCertificate", 30),
        ("TrailDelivery", 1),
        ("ServersLag", 150),
    ];
    let mut wrong = Vec::new();
    for region in REGIONS {
        for (alarm, threshold) in alarms {
            let found = find(&rendering, region, &format!("{alarm}Alarm"));
            let limit = found.map(|found| found.properties.get("Threshold").map(word));
            if limit != Some(Some(threshold.to_string())) {
                wrong.push(format!("{region} {alarm}: {limit:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for region in REGIONS {
        // The objective of the spec, in seconds; and what is unusual for itself, which no number says.
        assert_eq!(text(resource(&rendering, region, "LbLatencyAlarm"), "Threshold"), "0.300");
        assert_eq!(text(resource(&rendering, region, "HubTransferAlarm"), "ThresholdMetricId"), "usual");
    }
    assert!(find(&rendering, "us-east-1", "MachineStatusAlarm").is_some());
    assert_eq!(text(resource(&rendering, "us-west-2", "MachineStatusAlarm"), "TreatMissingData"), "notBreaching");
    assert!(find(&rendering, "edge", "CdnErrorsAlarm").is_some());
    assert!(find(&rendering, "accelerator", "AcceleratorEndpointsAlarm").is_some());
}

/// With no target left, a load balancer turns away everything, and counts no request.
#[test]
fn an_alarm_of_errors_counts_what_never_was_a_request() {
    let alarm = spec("observed");
    let formula = formula(resource(&alarm, "us-east-1", "LbErrorsAlarm"));
    let all = "MAX([FILL(requests, 0), FILL(targets, 0) + FILL(balancer, 0)])";
    assert_eq!(formula, format!("IF({all} >= 20, 100 * (FILL(targets, 0) + FILL(balancer, 0)) / {all}, 0)"));
}

#[test]
fn a_replica_that_copies_no_more_is_as_bad_as_a_late_one() {
    let rendering = spec("observed");
    assert_eq!(formula(resource(&rendering, "us-west-2", "QuickLagAlarm")), "IF(lag < 0, 31, lag)");
    let idle =
        |id: &str| rendering.notes.iter().any(|note| note.component.as_str() == id && note.says.contains("idle"));
    assert!(idle("quick") && !idle("db"), "an idle PostgreSQL says five minutes, MySQL does not");
}

#[test]
fn a_replicator_is_known_by_its_name_and_its_failure_is_told_of() {
    let rendering = spec("observed");
    for (region, other) in [("us-east-1", "UsWest2"), ("us-west-2", "UsEast1")] {
        let lag = resource(&rendering, region, &format!("LogLagFrom{other}Alarm"));
        assert_eq!(text(lag, "Dimensions.0.Name"), "ReplicatorName");
        let failed = resource(&rendering, region, &format!("LogFailedCopiesFrom{other}Alarm"));
        assert_eq!(text(failed, "MetricName"), "ReplicatorFailure");
    }
}

#[test]
fn a_restore_that_fails_is_told_of_as_a_backup_is() {
    let rendering = spec("observed");
    let rule = resource(&rendering, "us-west-2", "BackupRule");
    assert_eq!(text(rule, "EventPattern.detail.$or.0.state.0"), "FAILED");
    assert_eq!(text(rule, "EventPattern.detail.$or.1.status.0"), "FAILED");
}

/// Four instances of two CPUs, four nodes of two, a machine of two; six tasks of two.
#[test]
fn a_region_may_have_what_the_workload_needs_at_its_peak() {
    let rendering = spec("observed");
    for region in REGIONS {
        let instances = resource(&rendering, region, "QuotaOfVirtualCPUsOfInstancesAlarm");
        assert_eq!((int(instances, "Threshold"), formula(instances).as_str()), (18, "SERVICE_QUOTA(used)"));
        assert_eq!(int(resource(&rendering, region, "QuotaOfVirtualCPUsOfFargateAlarm"), "Threshold"), 12);
        let unready = format!("{:?}", at(resource(&rendering, region, "RegionNotReady"), "AlarmRule"));
        assert!(unready.contains("QuotaOfVirtualCPUsOfInstancesAlarm"), "it could not take over");
        let impaired = format!("{:?}", at(resource(&rendering, region, "RegionImpaired"), "AlarmRule"));
        assert!(impaired.contains("WebTargetsAlarm") && unready.contains("WebTargetsAlarm"));
        assert!(!impaired.contains("CertificateAlarm") && !unready.contains("CertificateAlarm"));
    }
}

#[test]
fn a_signal_of_a_standby_is_told_of_once_and_moves_traffic() {
    let rendering = spec("observed");
    for region in ["UsEast1", "UsWest2"] {
        let alarm = resource(&rendering, "edge", &format!("WwwTakenOverAlarm{region}"));
        assert_eq!(formula(alarm), "ABS(DIFF(state))");
        assert!(find(&rendering, "edge", &format!("WwwNotTakenOverByUsWest2Alarm{region}")).is_none());
    }
}

#[test]
fn a_canary_of_each_region_asks_as_users_do_and_asks_every_region_by_its_own_name() {
    let rendering = spec("observed");
    for (region, other, here, there) in
        [("us-east-1", "us-west-2", "UsEast1", "UsWest2"), ("us-west-2", "us-east-1", "UsWest2", "UsEast1")]
    {
        let canary = resource(&rendering, region, "WwwCanary");
        let asks = text(canary, "RunConfig.EnvironmentVariables.ASKS");
        for name in ["www.example.com", "us-east-1.www.example.com", "us-west-2.www.example.com"] {
            assert!(asks.contains(&format!("\"{name}\"")), "{asks}");
        }
        assert_eq!(text(canary, "Schedule.Expression"), "rate(1 minute)");
        assert!(text(canary, "Name").len() <= 21);
        let own = resource(&rendering, region, &format!("WwwCanary{here}Alarm"));
        assert_eq!(text(own, "Dimensions.1.Value"), region);
        assert_eq!(text(own, "TreatMissingData"), "breaching");
        let seen = resource(&rendering, region, &format!("WwwCanary{there}Alarm"));
        assert_eq!(text(seen, "Dimensions.1.Value"), other);
        let unready = format!("{:?}", at(resource(&rendering, region, "RegionNotReady"), "AlarmRule"));
        assert!(
            unready.contains(&*own.id) && !unready.contains(&*seen.id),
            "another region's trouble is not this one's"
        );
    }
}

/// No target registered is no value at all.
#[test]
fn a_check_of_targets_takes_silence_for_the_failure_that_it_is() {
    let rendering = spec("observed");
    let check = resource(&rendering, "us-west-2", "ByAlarmAlarmCheck");
    assert_eq!(text(check, "HealthCheckConfig.InsufficientDataHealthStatus"), "Unhealthy");
    let alarm = resource(&rendering, "us-west-2", "ByAlarmCheckAlarm");
    assert_eq!(int(alarm, "EvaluationPeriods"), int(alarm, "DatapointsToAlarm"), "Route 53 takes no others");
    assert!(alarm.properties.get("Metrics").is_none() && alarm.properties.get("ExtendedStatistic").is_none());
    let own = spec("route53");
    let check = resource(&own, "eu-west-1", "ProgramAlarmCheck");
    assert_eq!(text(check, "HealthCheckConfig.InsufficientDataHealthStatus"), "LastKnownStatus");
}

/// Ten, twenty or thirty seconds or whole minutes; a day in all, or a week where a period is an hour or more.
#[test]
fn every_alarm_looks_at_a_time_that_cloudwatch_takes() {
    let mut wrong = Vec::new();
    for (name, spec) in specs::all() {
        for stack in specs::rendering(&name, &spec).stacks {
            for alarm in stack.templates.iter().flat_map(|template| &template.resources) {
                if alarm.kind != "AWS::CloudWatch::Alarm" {
                    continue;
                }
                let of_queries =
                    queries(alarm).into_iter().find_map(|query| match (query.get("Period"), query.get("MetricStat")) {
                        (Some(Value::Int(period)), _) => Some(*period),
                        (_, Some(Value::Map(stat))) => stat
                            .get("Period")
                            .and_then(|period| if let Value::Int(n) = period { Some(*n) } else { None }),
                        _ => None,
                    });
                let period = of_queries.unwrap_or_else(|| int(alarm, "Period"));
                let longest = if period >= 3600 { 7 * 86_400 } else { 86_400 };
                let good = [10, 20, 30].contains(&period) || period % 60 == 0;
                if !good || period * int(alarm, "EvaluationPeriods") > longest {
                    wrong.push(format!("{name} {}", alarm.id));
                }
                assert!(alarm.properties.get("TreatMissingData").is_some() || alarm.group != Group::Observability);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A promoted replica has no lag to report, and whose it was stays said; its next generation has one again.
#[test]
fn a_replica_that_was_promoted_is_not_waited_for() {
    let rendering = spec("alarms");
    let alarm = resource(&rendering, "us-west-2", "DbLagAlarm");
    let Value::If(lags, then, otherwise) = at(alarm, "TreatMissingData") else { panic!("{alarm:?}") };
    assert_eq!((words::word(then), words::word(otherwise)), ("breaching".to_owned(), "notBreaching".to_owned()));
    let Test::And(tests) = &lags.test else { panic!("{lags:?}") };
    let said = format!("{tests:?}");
    for name in ["DbSourceRegion", "DbGeneration", "DbPromoted"] {
        assert!(said.contains(name), "{said}");
    }
    assert_eq!(at_first(&rendering, "us-west-2", "DbPromoted"), "0");
}
