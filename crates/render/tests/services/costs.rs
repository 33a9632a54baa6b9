//! What costs more than it may, and backups that do not come.

use antipode_render::value::Value;

use crate::regions::{rendered, resource, two_regions};
use crate::{at, says, spec, specs, words};

/// `budget` of the spec is a number that somebody is told of before it is spent.
#[test]
fn a_budget_and_what_is_unlike_it_are_told() {
    let rendering = spec("observed");
    says(
        &rendering,
        "global",
        &[
            ("Budget", "Budget.BudgetLimit.Amount", "4000"),
            ("Budget", "Budget.TimeUnit", "MONTHLY"),
            ("Budget", "Budget.CostFilters.TagKeyValue.*", "user:antipode:workload$seen"),
            ("Budget", "NotificationsWithSubscribers.*.Notification.NotificationType", "ACTUAL ACTUAL FORECASTED"),
            ("Budget", "NotificationsWithSubscribers.*.Notification.Threshold", "80 100 100"),
            (
                "Budget",
                "NotificationsWithSubscribers.*.Subscribers.*.Address",
                "{AlarmTopic} {AlarmTopic} {AlarmTopic}",
            ),
            ("CostAnomalies", "MonitorArnList.*", "{CostMonitor}"),
            ("CostAnomalies", "Subscribers.*.Address", "{AlarmTopic}"),
            ("CostAnomalies", "Frequency", "IMMEDIATE"),
        ],
    );
    let text = |id: &str, key: &str| words::all(resource(&rendering, "global", id), key).join("");
    let ours = r#"{"Tags":{"Key":"antipode:workload","Values":["seen"],"MatchOptions":["EQUALS"]}}"#;
    assert_eq!(text("CostMonitor", "MonitorSpecification"), ours);
    let from = text("CostAnomalies", "ThresholdExpression");
    assert!(from.contains("IMPACT_ABSOLUTE") && from.contains(r#"["400"]"#), "a tenth of the budget: {from}");
    // Neither comes to an encrypted topic without both.
    for (id, key) in [("AlarmTopicPolicy", "PolicyDocument.Statement.*"), ("AlarmKey", "KeyPolicy.Statement.*")] {
        let who = text(id, &format!("{key}.Principal.Service"));
        assert!(who.contains("budgets.amazonaws.com") && who.contains("costalerts.amazonaws.com"), "{id}: {who}");
    }
    assert!(rendering.notes.iter().any(|note| note.instead.contains("update-cost-allocation-tags-status")));
    let without = rendered("  q: { kind: aws.sqs }\n");
    let resources = without.stacks.iter().flat_map(|stack| &stack.templates).flat_map(|template| &template.resources);
    assert!(!resources.into_iter().any(|resource| resource.kind.starts_with("AWS::Budgets")), "nobody asked");
}

/// A plan whose backups are never begun has no failed job.
#[test]
fn backups_that_do_not_come_are_told() {
    let text = two_regions(
        "  images: { kind: aws.s3 }\n  db: { kind: aws.rds, replication: asynchronous }\n  b: { kind: aws.backup, protects: [images, db], backup: { every: 1d } }\n  hourly: { kind: aws.backup, protects: [db], backup: { every: 1h } }\n  weekly: { kind: aws.backup, protects: [db], backup: { every: 7d } }\n",
    );
    let rendering = specs::rendering("test", &text);
    for region in ["us-east-1", "eu-west-1"] {
        says(
            &rendering,
            region,
            &[
                ("BNoBackupAlarm", "MetricName", "NumberOfBackupJobsCompleted"),
                ("BNoBackupAlarm", "Dimensions.*.Value", "test-b-vault"),
                ("BNoBackupAlarm", "ComparisonOperator", "LessThanThreshold"),
                ("BNoBackupAlarm", "Threshold", "1"),
                ("BNoBackupAlarm", "Period", "3600"),
                ("BNoBackupAlarm", "EvaluationPeriods", "37"),
                ("BNoBackupAlarm", "TreatMissingData", "breaching"),
                ("BNoBackupAlarm", "AlarmActions.*", "{AlarmTopic}"),
                ("HourlyNoBackupAlarm", "EvaluationPeriods", "14"),
                // Its copy in the other region may have no backups of its own.
                ("HourlyNoBackupAlarm", "TreatMissingData", "missing"),
            ],
        );
        assert!(
            at(resource(&rendering, region, "HourlyNoBackupAlarm"), "InsufficientDataActions.0") != &Value::from("")
        );
        let rule = words::all(resource(&rendering, region, "RegionNotReady"), "AlarmRule").join("");
        assert!(!rule.contains("NoBackup"), "it keeps nobody from taking over: {rule}");
    }
    let resources = rendering.stacks.iter().flat_map(|stack| &stack.templates).flat_map(|template| &template.resources);
    assert!(
        !resources.into_iter().any(|resource| &*resource.id == "WeeklyNoBackupAlarm"),
        "no alarm looks back so far"
    );
}
