//! docs/render-observability.md: each line of sections 14.2 and 14.3 of seed 003, and what is rendered for it. Made from the
//! alarms, rules and dashboards of the specs in `tests/specs` and of the examples: a line whose metric is rendered nowhere is
//! a failure, and so is a metric that AWS does not document with these dimensions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use antipode_render::resource::Resource;
use antipode_render::value::{Map, Value};
use antipode_render::{Group, Root};
use model::ComponentId;
use serde_json::Value as Json;

use crate::metrics::KNOWN;
use crate::specs;

/// Namespace and name.
type Metric = (String, String);
/// The dimensions of an alarm, the kind that asked for it, and where it is.
type Asked = (Vec<String>, String, &'static str);

#[derive(Default, Debug)]
pub struct Seen {
    pub alarms: BTreeMap<Metric, BTreeSet<Asked>>,
    /// Of each metric of a picture: its dimensions.
    pub charts: BTreeMap<Metric, BTreeSet<Vec<String>>>,
    /// The logical names of rules, and where they are.
    rules: BTreeMap<String, BTreeSet<&'static str>>,
    texts: BTreeSet<String>,
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::Text(text)) => text.to_string(),
        Some(Value::Concat(pieces)) => pieces.iter().map(|piece| text(Some(piece))).collect(),
        _ => "?".to_owned(),
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    if let Some(Value::List(list)) = value { list } else { &[] }
}

/// The metrics that an alarm looks at, each with its dimensions. Those of a question are not all said, and are left out.
pub fn looked_at(alarm: &Map) -> Vec<(Metric, Option<Vec<String>>)> {
    let dimensions = |map: &Map| {
        let names = list(map.get("Dimensions")).iter().map(|value| match value {
            Value::Map(map) => text(map.get("Name")),
            other => panic!("{other:?}"),
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let one = |map: &Map| ((text(map.get("Namespace")), text(map.get("MetricName"))), Some(dimensions(map)));
    if alarm.get("MetricName").is_some() {
        return vec![one(alarm)];
    }
    let mut found = Vec::new();
    for query in list(alarm.get("Metrics")) {
        let Value::Map(query) = query else { continue };
        if let Some(Value::Map(stat)) = query.get("MetricStat") {
            let Some(Value::Map(metric)) = stat.get("Metric") else { panic!("{stat:?}") };
            found.push(one(metric));
        }
        let asked = text(query.get("Expression"));
        if let Some(question) = asked.strip_prefix("SELECT ") {
            let metric = question.split(['(', ')']).nth(1).unwrap().to_owned();
            let namespace = question.split('"').nth(1).unwrap().to_owned();
            let within = question.split_once("SCHEMA(").and_then(|(_, schema)| schema.split(')').next());
            let dimensions = within.map(|schema| {
                let names = schema.split(", ").skip(1).map(|name| name.trim_matches('"').to_owned());
                let mut names: Vec<String> = names.collect();
                names.sort();
                names
            });
            found.push(((namespace, metric), dimensions));
        }
    }
    found
}

fn place(root: &Root) -> &'static str {
    match root {
        Root::Region(_) => "each region",
        Root::Global | Root::Edge | Root::StackSets => "us-east-1",
        Root::Switch | Root::Accelerator => "us-west-2",
    }
}

pub fn seen() -> Seen {
    let mut seen = Seen::default();
    for (name, spec) in specs::all() {
        let design = specs::design(&name, &spec);
        let kind = |resource: &Resource| {
            let id = resource.asked.path.strip_prefix("components.");
            let part = id.and_then(|id| design.part(&ComponentId::new(id)));
            part.map_or("the workload".to_owned(), |part| part.kind.name.clone())
        };
        for stack in specs::rendering(&name, &spec).stacks {
            for resource in stack.templates.iter().flat_map(|template| &template.resources) {
                match resource.kind {
                    // What a program of the team's own reports to a health check is named by ourselves.
                    "AWS::CloudWatch::Alarm" if text(resource.properties.get("MetricName")) == "Healthy" => {}
                    "AWS::CloudWatch::Alarm" => {
                        for (metric, dimensions) in looked_at(&resource.properties) {
                            let of = (dimensions.unwrap_or_default(), kind(resource), place(&stack.root));
                            seen.alarms.entry(metric).or_default().insert(of);
                        }
                    }
                    "AWS::Events::Rule" if resource.group == Group::Observability => {
                        seen.rules.entry(resource.id.to_string()).or_default().insert(place(&stack.root));
                    }
                    "AWS::CloudWatch::Dashboard" => {
                        pictures(&mut seen, &text(resource.properties.get("DashboardBody")))
                    }
                    _ => {}
                }
            }
        }
    }
    seen
}

fn pictures(seen: &mut Seen, body: &str) {
    let body: Json = serde_json::from_str(body).unwrap();
    for widget in body["widgets"].as_array().unwrap() {
        if let Some(says) = widget["properties"]["markdown"].as_str() {
            seen.texts.insert(says.to_owned());
        }
        for line in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let Some(expression) = line[0]["expression"].as_str() else {
                let name = |n: usize| line[n].as_str().unwrap().to_owned();
                let names = (2..).step_by(2).map_while(|n| line[n].as_str().map(str::to_owned));
                seen.charts.entry((name(0), name(1))).or_default().insert(names.collect());
                continue;
            };
            for search in expression.split("SEARCH(").skip(1) {
                let metric = search.split("MetricName=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
                let of = search.split_once('{').and_then(|(_, of)| of.split_once('}')).map(|(of, _)| of);
                let namespace = of.and_then(|of| of.split(',').next()).or(search.split('"').nth(1)).unwrap().to_owned();
                let names = of.map(|of| of.split(',').skip(1).map(str::to_owned).collect());
                seen.charts.entry((namespace, metric)).or_default().insert(names.unwrap_or_default());
            }
        }
    }
}

/// The sources of a line.
enum From {
    /// An alarm on one of these metrics.
    Alarm(&'static str, &'static [&'static str]),
    /// A picture of one.
    Chart(&'static str, &'static [&'static str]),
    /// A rule of EventBridge, by its logical name.
    Rule(&'static str),
    /// A text of the dashboard with these words in it.
    Text(&'static str),
    /// What cannot be rendered, and what to do.
    Words(&'static str),
}

use From::{Alarm, Chart, Rule, Text, Words};

const HEALTH: From = Chart("AWS/Route53", &["HealthCheckStatus", "HealthCheckPercentageHealthy"]);
const OWN: From = Words("a metric of the application's own: AWS has none");

/// Section 14.2.
#[rustfmt::skip]
const FIGURES: &[(&str, &str, &[From])] = &[
    ("traffic", "request count per Region", &[Chart("AWS/ApplicationELB", &["RequestCount"]), Chart("AWS/NetworkELB", &["NewFlowCount"]), Chart("AWS/ApiGateway", &["Count"]), Chart("AWS/CloudFront", &["Requests"]), Chart("AWS/GlobalAccelerator", &["NewFlowCount"])]),
    ("traffic", "error rate", &[Chart("AWS/ApplicationELB", &["HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"]), Chart("AWS/NetworkELB", &["TCP_ELB_Reset_Count"]), Chart("AWS/ApiGateway", &["5xx"]), Chart("AWS/CloudFront", &["5xxErrorRate"]), Chart("AWS/Lambda", &["Errors"])]),
    ("traffic", "latency", &[Chart("AWS/ApplicationELB", &["TargetResponseTime"]), Chart("AWS/ApiGateway", &["Latency"])]),
    ("traffic", "health check status", &[HEALTH, Chart("AWS/ApplicationELB", &["HealthyHostCount"]), Chart("AWS/NetworkELB", &["HealthyHostCount"]), Chart("CloudWatchSynthetics", &["SuccessPercent"])]),
    ("data", "replication lag", &[Chart("AWS/RDS", &["ReplicaLag", "AuroraGlobalDBReplicationLag"]), Chart("AWS/DynamoDB", &["ReplicationLatency"]), Chart("AWS/S3", &["ReplicationLatency"]), Chart("AWS/EFS", &["TimeSinceLastSync"]), Chart("AWS/ElastiCache", &["GlobalDatastoreReplicationLag"]), Chart("AWS/Kafka", &["ReplicationLatency"]), Chart("AWS/DRS", &["LagDuration"])]),
    ("data", "conflict count", &[Chart("AWS/DynamoDB", &["ConditionalCheckFailedRequests", "TransactionConflict"]), Words("what a global table overwrote (the last writer wins) is counted nowhere: write with a condition on a version")]),
    ("data", "write error", &[Chart("AWS/DynamoDB", &["SystemErrors", "WriteThrottleEvents"]), Chart("AWS/S3", &["OperationsFailedReplication"]), Words("what a database refuses is in its log, and in the metrics of the application")]),
    ("data", "restore status", &[Chart("AWS/Backup", &["NumberOfRestoreJobsCompleted", "NumberOfRestoreJobsFailed"]), Alarm("AWS/Backup", &["NumberOfBackupJobsCompleted"]), Rule("BackupRule")]),
    ("compute", "capacity", &[Chart("AWS/AutoScaling", &["GroupInServiceInstances"]), Chart("ECS/ContainerInsights", &["RunningTaskCount"]), Chart("ContainerInsights", &["cluster_node_count"])]),
    ("compute", "saturation", &[Chart("AWS/EC2", &["CPUUtilization"]), Chart("AWS/ECS", &["CPUUtilization"]), Chart("AWS/Lambda", &["Throttles", "ConcurrentExecutions"]), Chart("AWS/Usage", &["ResourceCount"]), Chart("AWS/RDS", &["DatabaseConnections", "FreeStorageSpace"])]),
    ("compute", "warm standby size", &[Chart("AWS/AutoScaling", &["GroupInServiceInstances"]), Chart("ECS/ContainerInsights", &["RunningTaskCount"])]),
    ("compute", "scaling lag", &[Chart("AWS/AutoScaling", &["GroupDesiredCapacity"]), Chart("ECS/ContainerInsights", &["DesiredTaskCount"]), Chart("AWS/EKS", &["scheduler_pending_pods_UNSCHEDULABLE"])]),
    ("queue, stream", "backlog per Region", &[Chart("AWS/SQS", &["ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"]), Chart("AWS/Kafka", &["SumOffsetLag"])]),
    ("queue, stream", "iterator age", &[Chart("AWS/Kinesis", &["GetRecords.IteratorAgeMilliseconds"])]),
    ("queue, stream", "duplicate count", &[Chart("AWS/SQS", &["NumberOfDeduplicatedSentMessages"]), Words("of FIFO queues; elsewhere a metric of the consumer's own")]),
    ("DNS, routing", "active routing state", &[HEALTH, Words("the check of a routing control is 1 while it is on")]),
    ("DNS, routing", "TTL", &[Text("| record | policy | TTL |")]),
    ("DNS, routing", "health check result", &[HEALTH, Chart("AWS/Route53", &["DNSQueries"])]),
    ("security", "GuardDuty and Security Hub findings per Region", &[Chart("AWS/Events", &["TriggeredRules"]), Rule("ThreatRule"), Rule("FindingRule")]),
    ("security", "CloudTrail delivery", &[Chart("AWS/Events", &["TriggeredRules"]), Alarm("AWS/Events", &["TriggeredRules"])]),
    ("cost", "steady-state multi-region cost", &[Chart("AWS/Billing", &["EstimatedCharges"]), Words("`AWS::Budgets::Budget`, and `AWS::CE::AnomalyMonitor` with its subscription, in the global stack, where the spec says `budget`")]),
    ("cost", "data transfer", &[Chart("AWS/NATGateway", &["BytesOutToDestination"]), Chart("AWS/TransitGateway", &["BytesOut"]), Chart("AWS/RDS", &["AuroraGlobalDBDataTransferBytes"])]),
    ("cost", "standby waste", &[Chart("AWS/EC2", &["CPUUtilization"]), Chart("AWS/ECS", &["CPUUtilization"]), Words("what stands ready and does nothing, region by region; its price is in `antipode assess`")]),
    ("DR", "last failover drill, RTO achieved, RPO observed", &[Text("last drill:")]),
];

/// Section 14.3.
#[rustfmt::skip]
const ALARMS: &[(&str, &[From])] = &[
    ("primary Region 5xx > threshold", &[Alarm("AWS/ApplicationELB", &["HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"]), Alarm("AWS/ApiGateway", &["5xx"]), Alarm("AWS/NetworkELB", &["ClientTLSNegotiationErrorCount", "PortAllocationErrorCount", "UnhealthyRoutingFlowCount"]), Alarm("AWS/Lambda", &["Errors", "Throttles"]), Alarm("AWS/CloudFront", &["5xxErrorRate"])]),
    ("secondary Region readiness check fails", &[Alarm("AWS/ApplicationELB", &["HealthyHostCount"]), Alarm("AWS/NetworkELB", &["HealthyHostCount"]), Alarm("AWS/EC2", &["StatusCheckFailed"]), Alarm("ContainerInsights", &["cluster_failed_node_count"]), Alarm("AWS/EKS", &["apiserver_request_total_5XX", "scheduler_pending_pods_UNSCHEDULABLE"]), Alarm("AWS/GlobalAccelerator", &["UnhealthyEndpointCount"]), Alarm("CloudWatchSynthetics", &["SuccessPercent"]), Words("together: the alarm `REGION-region-not-ready`, and `…-impaired` of a region that fails its users")]),
    ("replication lag > RPO threshold", &[Alarm("AWS/RDS", &["ReplicaLag", "AuroraGlobalDBReplicationLag"]), Alarm("AWS/DynamoDB", &["ReplicationLatency"]), Alarm("AWS/S3", &["ReplicationLatency"]), Alarm("AWS/EFS", &["TimeSinceLastSync"]), Alarm("AWS/ElastiCache", &["GlobalDatastoreReplicationLag"]), Alarm("AWS/Kafka", &["ReplicationLatency"]), Alarm("AWS/DRS", &["LagDuration"]), Words("half of the RPO, but no less than twice what the kind has on an ordinary day; `lag_alarm` says another. Kinesis and SQS are copied by nobody")]),
    ("standby capacity < failover requirement", &[Alarm("AWS/AutoScaling", &["GroupInServiceInstances"]), Alarm("ECS/ContainerInsights", &["RunningTaskCount"]), Alarm("ContainerInsights", &["cluster_node_count"]), Alarm("AWS/Usage", &["ResourceCount"]), Alarm("AWS/Lambda", &["ClaimedAccountConcurrency"]), Rule("LaunchRule"), Rule("PlacementRule")]),
    ("Route 53 health check unhealthy", &[Alarm("AWS/Route53", &["HealthCheckStatus"])]),
    ("ARC routing control changed", &[Alarm("AWS/Route53", &["HealthCheckStatus"]), Rule("RoutingControlRule"), Rule("RegionSwitchRule"), Rule("RouteRule"), Rule("DialRule")]),
    ("global table replication errors", &[Alarm("AWS/DynamoDB", &["WriteThrottleEvents", "SystemErrors"])]),
    ("S3 replication failure", &[Alarm("AWS/S3", &["OperationsFailedReplication"])]),
    ("Aurora global replication lag high", &[Alarm("AWS/RDS", &["AuroraGlobalDBReplicationLag"])]),
    ("failover runbook step timeout", &[Rule("RunbookStepRule"), Rule("WorkflowRule")]),
    ("cross-region data transfer anomaly", &[Alarm("AWS/RDS", &["AuroraGlobalDBDataTransferBytes"]), Alarm("AWS/NATGateway", &["BytesOutToDestination"]), Alarm("AWS/TransitGateway", &["BytesIn"])]),
];

/// Section 14.1.
#[rustfmt::skip]
const DIMENSIONS: &[(&str, &[From])] = &[
    ("Region", &[Words("every line of every picture is one region's, and says which")]),
    ("AZ", &[Chart("AWS/ApplicationELB", &["HealthyHostCount"]), Chart("AWS/NetworkELB", &["HealthyHostCount"]), Rule("ZoneRule")]),
    ("account", &[Words("a workload is in one; others are seen through an OAM link of their own")]),
    ("cell, tenant", &[OWN]),
    ("workload, dependency", &[Words("a dashboard for each workload, a picture for each kind of component; each resource is tagged with both")]),
    ("traffic source", &[Chart("AWS/Route53", &["DNSQueries"]), Chart("AWS/CloudFront", &["Requests"])]),
    ("data replication lag", &[Words("see 14.2, data")]),
    ("failover state", &[Words("the alarms of the region at the top"), Rule("PromotionRule"), HEALTH]),
    ("deployment version", &[Text("version: ")]),
    ("feature flag state", &[OWN]),
];

fn cell(seen: &Seen, line: &str, from: &[From]) -> String {
    let mut out: Vec<String> = Vec::new();
    for source in from {
        out.push(match source {
            Alarm(namespace, names) => {
                let each = names.iter().map(|name| {
                    let of = seen.alarms.get(&((*namespace).to_owned(), (*name).to_owned()));
                    let of = of.unwrap_or_else(|| panic!("{line}: no alarm of {namespace} {name}"));
                    let places: BTreeSet<&str> = of.iter().map(|(.., place)| *place).collect();
                    format!("`{name}` ({})", Vec::from_iter(places).join(", "))
                });
                format!("{namespace}: {}", Vec::from_iter(each).join(", "))
            }
            Chart(namespace, names) => {
                for name in *names {
                    let known = seen.charts.contains_key(&((*namespace).to_owned(), (*name).to_owned()));
                    assert!(known, "{line}: no picture of {namespace} {name}");
                }
                let each = names.iter().map(|name| format!("`{name}`"));
                format!("{namespace}: {}", Vec::from_iter(each).join(", "))
            }
            Rule(id) => {
                let places = seen.rules.get(*id).unwrap_or_else(|| panic!("{line}: no rule {id}"));
                format!("rule `{id}` ({})", places.iter().copied().collect::<Vec<&str>>().join(", "))
            }
            Text(words) => {
                assert!(seen.texts.iter().any(|text| text.contains(words)), "{line}: no text with {words}");
                "a text of the dashboard".to_owned()
            }
            Words(words) => (*words).to_owned(),
        });
    }
    out.join("<br>")
}

fn page(seen: &Seen) -> String {
    let mut out = String::from(
        "# What is watched\n\n\
         Each line of section 14 of seed 003, and what `antipode render` writes for it. Made by a test from the alarms, rules and\n\
         dashboards of the specs in `crates/render/tests/specs` and of the examples. Every metric, with its dimensions, is in\n\
         `crates/render/tests/whole/metrics.rs` with the page of AWS that documents it: another one fails the test.\n\n\
         Every region has the same alarms and the same dashboard, whichever serves: which one does is state. An alarm tells the topic\n\
         of its own region (`AlarmAddress` is who is called). *each region* is the stack of every region; *us-east-1* and *us-west-2* are\n\
         where a service that is of no region reports.\n\n\
         ## 14.1 Required dimensions\n\n| dimension | where it is told apart |\n|---|---|\n",
    );
    for (line, from) in DIMENSIONS {
        writeln!(out, "| {line} | {} |", cell(seen, line, from)).unwrap();
    }
    out.push_str(
        "\n## 14.2 Critical metrics, on the dashboard of every region\n\n| area | figure | metric |\n|---|---|---|\n",
    );
    for (area, line, from) in FIGURES {
        writeln!(out, "| {area} | {line} | {} |", cell(seen, line, from)).unwrap();
    }
    out.push_str("\n## 14.3 Alarms\n\n| alarm | metric, and where |\n|---|---|\n");
    for (line, from) in ALARMS {
        writeln!(out, "| {line} | {} |", cell(seen, line, from)).unwrap();
    }
    out.push_str("\n## Every alarm\n\n| metric | by | of | where |\n|---|---|---|---|\n");
    for ((namespace, name), of) in &seen.alarms {
        let kinds: BTreeSet<&str> = of.iter().map(|(_, kind, _)| kind.as_str()).collect();
        let places: BTreeSet<&str> = of.iter().map(|(.., place)| *place).collect();
        let by: BTreeSet<String> = of.iter().map(|(by, ..)| by.join(", ")).collect();
        let joined = |set: Vec<&str>| set.join("; ");
        let by = joined(by.iter().map(String::as_str).filter(|by| !by.is_empty()).collect());
        let (kinds, places) = (Vec::from_iter(kinds).join(", "), Vec::from_iter(places).join(", "));
        writeln!(out, "| {namespace} `{name}` | {by} | {kinds} | {places} |").unwrap();
    }
    out
}

#[test]
fn the_page_of_what_is_watched_is_what_is_rendered() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/render-observability.md");
    let page = page(&seen());
    if std::env::var("ANTIPODE_PAGES").is_ok_and(|mode| mode == "write") {
        fs::write(&file, &page).unwrap();
    }
    let same = fs::read_to_string(&file).unwrap_or_default() == page;
    assert!(same, "{} is not what is rendered: run the test with ANTIPODE_PAGES=write, and look at it", file.display());
}

/// A wrong dimension is an alarm that is never raised.
#[test]
fn every_metric_is_one_that_aws_documents_with_these_dimensions() {
    let seen = seen();
    let known = |(namespace, name): &Metric, by: &[String]| {
        KNOWN.iter().any(|(of, dimensions, metrics, _)| {
            let mut dimensions: Vec<&str> = dimensions.to_vec();
            dimensions.sort_unstable();
            of == namespace && metrics.contains(&name.as_str()) && dimensions == by
        })
    };
    let mut wrong = Vec::new();
    for (metric, of) in &seen.alarms {
        wrong.extend(of.iter().filter(|(by, ..)| !known(metric, by)).map(|of| format!("alarm {metric:?} {of:?}")));
    }
    for (metric, of) in &seen.charts {
        let sorted = of.iter().map(|by| {
            let mut by = by.clone();
            by.sort();
            by
        });
        wrong.extend(sorted.filter(|by| !known(metric, by)).map(|by| format!("picture {metric:?} {by:?}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
