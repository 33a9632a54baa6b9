//! One picture of all regions side by side (seed 003 section 14.2), in each region's stack: the loss of one takes one of
//! them, and the others show the same.
//!
//! Nothing in it names a resource of another stack: metrics are found by the names that resources have or are given, so no
//! region waits for another one in order to show it.

use model::design::Site;
use model::{Part, SiteId};
use serde_json::{Value as Json, json};

use super::alarms;
use crate::resource::Resource;
use crate::root::Group;
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Value};
use crate::{map, names};

/// Components of one kind that are told apart in a picture; more are shown as they come.
const APART: usize = 6;
/// Of 24 columns.
const WIDTH: u64 = 8;
const HEIGHT: u64 = 6;

/// One picture: a metric of every component of a kind, in every region.
struct Chart {
    area: &'static str,
    kinds: &'static [&'static str],
    title: &'static str,
    /// Namespace and dimensions, as a search wants them.
    of: &'static str,
    metric: &'static str,
    statistic: &'static str,
    /// How a component is found in the values of the dimensions.
    found: Found,
}

#[derive(Clone, Copy)]
enum Found {
    /// By the name that the spec gives it or that we give it.
    Named,
    /// By a part of the name that CloudFormation makes of the logical one.
    Logical(&'static str),
    /// Not at all: every one of the account is shown.
    Any,
}

macro_rules! charts {
    ($($area:literal $kinds:tt $title:literal $of:literal $metric:literal $statistic:literal $found:expr;)*) => {
        &[$(Chart { area: $area, kinds: &$kinds, title: $title, of: $of, metric: $metric, statistic: $statistic, found: $found }),*]
    };
}

const AREAS: [&str; 8] = ["traffic", "data", "compute", "queue", "routing", "security", "cost", "recovery"];

#[rustfmt::skip]
const CHARTS: &[Chart] = charts! {
    "traffic" ["aws.alb"] "requests" "AWS/ApplicationELB,LoadBalancer" "RequestCount" "Sum" Found::Any;
    "traffic" ["aws.alb"] "errors of targets" "AWS/ApplicationELB,LoadBalancer" "HTTPCode_Target_5XX_Count" "Sum" Found::Any;
    "traffic" ["aws.alb"] "latency, p99" "AWS/ApplicationELB,LoadBalancer" "TargetResponseTime" "p99" Found::Any;
    "traffic" ["aws.nlb"] "connections" "AWS/NetworkELB,LoadBalancer" "NewFlowCount" "Sum" Found::Any;
    "traffic" ["aws.api-gateway"] "requests" "AWS/ApiGateway,ApiName" "Count" "Sum" Found::Any;
    "traffic" ["aws.api-gateway"] "errors" "AWS/ApiGateway,ApiName" "5XXError" "Sum" Found::Any;
    "data" ["aws.rds"] "how far replicas are behind, seconds" "AWS/RDS,DBInstanceIdentifier" "ReplicaLag" "Maximum" Found::Named;
    "data" ["aws.rds"] "connections" "AWS/RDS,DBInstanceIdentifier" "DatabaseConnections" "Maximum" Found::Named;
    "data" ["aws.aurora-global"] "how far copies are behind, ms" "AWS/RDS,DBClusterIdentifier" "AuroraGlobalDBReplicationLag" "Maximum" Found::Named;
    "data" ["aws.aurora", "aws.aurora-global"] "connections" "AWS/RDS,DBClusterIdentifier" "DatabaseConnections" "Maximum" Found::Named;
    "data" ["aws.dynamodb-global"] "how long a write takes to the other regions, ms" "AWS/DynamoDB,ReceivingRegion,TableName" "ReplicationLatency" "Maximum" Found::Named;
    "data" ["aws.dynamodb-global", "aws.dynamodb"] "writes that were refused for their rate" "AWS/DynamoDB,TableName" "WriteThrottleEvents" "Sum" Found::Named;
    "data" ["aws.s3"] "how far copies are behind, seconds" "AWS/S3,DestinationBucket,RuleId,SourceBucket" "ReplicationLatency" "Maximum" Found::Named;
    "data" ["aws.s3"] "objects that were not copied" "AWS/S3,DestinationBucket,RuleId,SourceBucket" "OperationsFailedReplication" "Sum" Found::Named;
    "data" ["aws.efs"] "since the last synchronisation, seconds" "AWS/EFS,DestinationFileSystemId,FileSystemId" "TimeSinceLastSync" "Maximum" Found::Any;
    "data" ["aws.elasticache"] "how far copies are behind, seconds" "AWS/ElastiCache,CacheClusterId" "GlobalDatastoreReplicationLag" "Maximum" Found::Named;
    "compute" ["aws.asg"] "instances in service" "AWS/AutoScaling,AutoScalingGroupName" "GroupInServiceInstances" "Minimum" Found::Logical("group");
    "compute" ["aws.asg"] "processors, percent" "AWS/EC2,AutoScalingGroupName" "CPUUtilization" "Average" Found::Logical("group");
    "compute" ["aws.ec2"] "failed status checks" "AWS/EC2,InstanceId" "StatusCheckFailed" "Maximum" Found::Any;
    "compute" ["aws.ecs", "aws.fargate"] "processors, percent" "AWS/ECS,ClusterName,ServiceName" "CPUUtilization" "Average" Found::Named;
    "compute" ["aws.ecs", "aws.fargate"] "tasks that run" "ECS/ContainerInsights,ClusterName,ServiceName" "RunningTaskCount" "Minimum" Found::Named;
    "compute" ["aws.eks"] "nodes" "ContainerInsights,ClusterName" "cluster_node_count" "Minimum" Found::Named;
    "compute" ["aws.lambda"] "errors" "AWS/Lambda,FunctionName" "Errors" "Sum" Found::Named;
    "compute" ["aws.lambda"] "at the same time" "AWS/Lambda,FunctionName" "ConcurrentExecutions" "Maximum" Found::Named;
    "queue" ["aws.sqs"] "age of the oldest message, seconds" "AWS/SQS,QueueName" "ApproximateAgeOfOldestMessage" "Maximum" Found::Named;
    "queue" ["aws.sqs"] "messages that wait" "AWS/SQS,QueueName" "ApproximateNumberOfMessagesVisible" "Maximum" Found::Named;
    "queue" ["aws.kinesis"] "age of what consumers read, ms" "AWS/Kinesis,StreamName" "GetRecords.IteratorAgeMilliseconds" "Maximum" Found::Named;
    "queue" ["aws.msk"] "offsets that consumers are behind" "AWS/Kafka,Cluster Name,Consumer Group,Topic" "SumOffsetLag" "Maximum" Found::Named;
    "queue" ["aws.eventbridge"] "events that reached nobody" "AWS/Events,EventBusName,RuleName" "FailedInvocations" "Sum" Found::Named;
    "cost" ["aws.vpc", "aws.asg", "aws.ecs", "aws.fargate", "aws.eks"] "out of the network, bytes" "AWS/NATGateway,NatGatewayId" "BytesOutToDestination" "Sum" Found::Any;
    "cost" ["aws.transit-gateway"] "to other networks, bytes" "AWS/TransitGateway,TransitGateway" "BytesOut" "Sum" Found::Any;
    "cost" ["aws.aurora-global"] "to other regions, bytes" "AWS/RDS,DBClusterIdentifier" "AuroraGlobalDBDataTransferBytes" "Sum" Found::Named;
};

pub fn render(sheet: &mut Sheet<'_>) {
    let sites: Vec<&Site> = sheet.design.regions().collect();
    let asked = sheet.design.of_kind("aws.cloudwatch").next();
    let asked = asked.map_or_else(|| sheet.asked_by("workload"), |part| sheet.asked(part));
    let widgets = widgets(sheet, &sites);
    for site in sites {
        let mut here = vec![state(sheet, site)];
        here.extend(widgets.iter().cloned());
        let body = json!({ "start": "-PT3H", "widgets": placed(here) }).to_string();
        // Dashboards of an account are known in every region, so each has a name of its own.
        let properties = map! {
            "DashboardName" => sheet.named(["regions", "from", site.id.as_str()], 120),
            "DashboardBody" => with_account(&body),
        };
        let board =
            Resource::new(Group::Observability, "AWS::CloudWatch::Dashboard", "Dashboard", asked.clone(), properties);
        sheet.add(&regional(site), board);
    }
}

/// What stands for the account's number in a body.
const ACCOUNT_HERE: &str = "~account~";

fn with_account(body: &str) -> Value {
    let mut pieces = Vec::new();
    for (n, piece) in body.split(ACCOUNT_HERE).enumerate() {
        if n > 0 {
            pieces.push(ACCOUNT);
        }
        pieces.push(piece.into());
    }
    Value::Concat(pieces)
}

/// The alarms that say what this region is worth: a picture of alarms shows those of its own region.
fn state(sheet: &Sheet<'_>, site: &Site) -> Json {
    let region = aws_region(site);
    let arn = |what: &str| {
        let name = sheet.named([site.id.as_str(), "region", what], 120);
        format!("arn:aws:cloudwatch:{region}:{ACCOUNT_HERE}:alarm:{name}")
    };
    let mut arns = Vec::new();
    if alarms::impaired(sheet, site).is_some() {
        arns.push(arn("impaired"));
    }
    if alarms::unready(sheet, site).is_some() {
        arns.push(arn("not ready"));
    }
    match arns.is_empty() {
        true => text(&format!("# {}", sheet.design.workload), 24, 1),
        false => {
            json!({ "type": "alarm", "width": 24, "height": 2, "properties": { "title": region, "alarms": arns } })
        }
    }
}

fn widgets(sheet: &Sheet<'_>, sites: &[&Site]) -> Vec<Json> {
    let mut widgets = Vec::new();
    for area in AREAS {
        let mut of_area: Vec<Json> =
            CHARTS.iter().filter(|chart| chart.area == area).filter_map(|chart| shown(sheet, sites, chart)).collect();
        match area {
            "routing" => of_area.extend(routing(sheet)),
            "security" => of_area.extend(counted(sheet, sites, "findings", &["threat", "finding"])),
            "recovery" => {
                of_area.push(objectives(sheet));
                of_area.extend(counted(sheet, sites, "what went wrong", &["runbook step", "workflow", "backup"]));
                of_area.extend(counted(sheet, sites, "trouble that AWS reports", &["trouble of a service"]));
            }
            _ => {}
        }
        if !of_area.is_empty() {
            widgets.push(text(&format!("## {area}"), 24, 1));
            widgets.extend(of_area);
        }
    }
    widgets
}

fn shown(sheet: &Sheet<'_>, sites: &[&Site], chart: &Chart) -> Option<Json> {
    let parts: Vec<&Part> =
        sheet.design.components.iter().filter(|part| chart.kinds.contains(&part.kind.name.as_str())).collect();
    if parts.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    for site in sites {
        let here = parts.iter().filter(|part| part.sites.is_empty() || part.is_in(&site.id));
        let mut terms: Vec<String> = match parts.len() > APART {
            true => vec![String::new()],
            false => here.map(|part| term(sheet, part, site, chart.found)).collect(),
        };
        terms.dedup();
        for term in terms {
            let search = format!("{{{}}} MetricName=\"{}\" {term}", chart.of, chart.metric);
            lines.push(line(lines.len(), site, search.trim_end(), chart.statistic));
        }
    }
    Some(picture(chart.title, &lines))
}

fn term(sheet: &Sheet<'_>, part: &Part, site: &Site, found: Found) -> String {
    match (found, crate::services::physical(part, site)) {
        (Found::Any, None) => String::new(),
        (_, Some(given)) => quoted(&given),
        (Found::Logical(what), None) => names::logical([part.id.as_str(), what]),
        (Found::Named, None) => quoted(&sheet.named([part.id.as_str()], 50)),
    }
}

/// All of its words have to be found, in any order: a search takes a text apart at its hyphens.
fn quoted(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { ' ' }).collect()
}

fn line(number: usize, site: &Site, search: &str, statistic: &str) -> Json {
    let id = format!("m{number}");
    let expression = format!("SEARCH('{search}', '{statistic}', 60)");
    json!([{ "expression": expression, "id": id, "region": aws_region(site), "label": format!("{} ${{LABEL}}", site.id) }])
}

fn picture(title: &str, lines: &[Json]) -> Json {
    json!({
        "type": "metric", "width": WIDTH, "height": HEIGHT,
        "properties": { "title": title, "view": "timeSeries", "period": 60, "region": "us-east-1", "metrics": lines },
    })
}

/// Health checks report in us-east-1, wherever they stand.
fn routing(sheet: &Sheet<'_>) -> Vec<Json> {
    let routed = ["aws.route53", "aws.route53-health-check", "aws.arc-routing-control"];
    if !sheet.design.components.iter().any(|part| routed.contains(&part.kind.name.as_str())) {
        return Vec::new();
    }
    let of = |metric: &str, statistic: &str| {
        let expression = format!("SEARCH('{{AWS/Route53,HealthCheckId}} MetricName=\"{metric}\"', '{statistic}', 60)");
        json!([{ "expression": expression, "id": "m0", "region": "us-east-1" }])
    };
    vec![
        picture("health checks: 1 is healthy", &[of("HealthCheckStatus", "Minimum")]),
        picture("checkers that find it healthy, percent", &[of("HealthCheckPercentageHealthy", "Average")]),
    ]
}

/// How often the rules of that name matched, in each region.
fn counted(sheet: &Sheet<'_>, sites: &[&Site], title: &str, rules: &[&str]) -> Option<Json> {
    let known = alarms::events::rules(sheet);
    let mut lines = Vec::new();
    for site in sites {
        for (what, _) in known.iter().filter(|(what, _)| rules.contains(what)) {
            let of = json!({ "stat": "Sum", "region": aws_region(site), "label": format!("{} {what}", site.id) });
            lines.push(json!(["AWS/Events", "MatchedEvents", "RuleName", alarms::events::name(sheet, what), of]));
        }
    }
    (!lines.is_empty()).then(|| picture(title, &lines))
}

/// What was promised, and what the last drill measured.
fn objectives(sheet: &Sheet<'_>) -> Json {
    let design = sheet.design;
    let seconds =
        |time: Option<std::time::Duration>| time.map_or("not said".to_owned(), |time| format!("{} s", time.as_secs()));
    let practice = &design.practice;
    let tested = practice.date("failover.tested").map_or("never".to_owned(), |date| date.to_string());
    let sites: Vec<&str> = design.regions().map(|site| &site.id).map(SiteId::as_str).collect();
    let says = format!(
        "| | promised | measured |\n|---|---|---|\n| RTO | {} | {} |\n| RPO | {} | {} |\n\nlast drill: {tested}\n\nregions: {}",
        seconds(design.objectives.rto),
        seconds(practice.duration("failover.rto_measured")),
        seconds(design.objectives.rpo),
        seconds(practice.duration("failover.rpo_measured")),
        sites.join(", "),
    );
    text(&says, WIDTH, HEIGHT)
}

fn text(markdown: &str, width: u64, height: u64) -> Json {
    json!({ "type": "text", "width": width, "height": height, "properties": { "markdown": markdown } })
}

/// Each beside the one before it while the row has room.
fn placed(mut widgets: Vec<Json>) -> Vec<Json> {
    let (mut x, mut y, mut row) = (0, 0, 0);
    for widget in &mut widgets {
        let (width, height) = (widget["width"].as_u64().unwrap_or(24), widget["height"].as_u64().unwrap_or(1));
        if x + width > 24 {
            (x, y, row) = (0, y + row, 0);
        }
        (widget["x"], widget["y"]) = (json!(x), json!(y));
        (x, row) = (x + width, row.max(height));
    }
    widgets
}
