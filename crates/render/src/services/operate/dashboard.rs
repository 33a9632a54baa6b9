//! One picture of all regions side by side (seed 003 section 14.2), in each region's stack: the loss of one takes one of
//! them, and the others show the same.
//!
//! Nothing in it names a resource of another stack: metrics are found by the names that resources have or are given, so no
//! region waits for another one in order to show it.

use model::design::Site;
use model::{Part, SiteId};
use serde_json::{Value as Json, json};

use super::{alarms, canary};
use crate::resource::Resource;
use crate::root::Group;
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Value};
use crate::{map, names};

/// Components of one kind that are told apart in a picture; more are shown as they come. Fewer where the whole would be too
/// large for a template.
const APART: [usize; 3] = [6, 2, 0];
/// Of the template's 51,200: what else stands in it has room too.
const MOST_BYTES: usize = 40_000;
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
    shows: Shows,
    statistic: &'static str,
    /// How a component is found in the values of the dimensions.
    found: Found,
}

/// What one line is.
#[derive(Clone, Copy)]
enum Shows {
    Each(&'static str),
    /// The first, in percent of the second: all components of a region together.
    Percent(&'static [&'static str], &'static str),
    /// By how much the first is more than the second: likewise.
    Missing(&'static str, &'static str),
}

#[derive(Clone, Copy)]
enum Found {
    /// By the name that the spec gives it or that we give it.
    Named,
    /// By a part of the name that CloudFormation makes of the logical one.
    Logical(&'static str),
    /// Not at all: every one of the account is shown.
    Any,
    /// By these words.
    By(&'static str),
    /// Not at all, and in one region only: where a service that is of no region reports.
    In(&'static str),
}

macro_rules! charts {
    ($($area:literal $kinds:tt $title:literal $of:literal $shows:expr, $statistic:literal $found:expr;)*) => {
        &[$(Chart { area: $area, kinds: &$kinds, title: $title, of: $of, shows: $shows, statistic: $statistic, found: $found }),*]
    };
}

const AREAS: [&str; 8] = ["traffic", "data", "compute", "queue", "routing", "security", "cost", "recovery"];

use Found::{Any, By, In, Logical, Named};
use Shows::{Each, Missing, Percent};

#[rustfmt::skip]
const CHARTS: &[Chart] = charts! {
    "traffic" ["aws.alb"] "requests" "AWS/ApplicationELB,LoadBalancer" Each("RequestCount"), "Sum" Any;
    "traffic" ["aws.alb"] "failed requests, percent" "AWS/ApplicationELB,LoadBalancer" Percent(&["HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"], "RequestCount"), "Sum" Any;
    "traffic" ["aws.alb"] "latency, p99, seconds" "AWS/ApplicationELB,LoadBalancer" Each("TargetResponseTime"), "p99" Any;
    "traffic" ["aws.alb"] "healthy targets, zone by zone" "AWS/ApplicationELB,AvailabilityZone,LoadBalancer,TargetGroup" Each("HealthyHostCount"), "Minimum" Any;
    "traffic" ["aws.nlb"] "connections" "AWS/NetworkELB,LoadBalancer" Each("NewFlowCount"), "Sum" Any;
    "traffic" ["aws.nlb"] "connections that were reset, percent" "AWS/NetworkELB,LoadBalancer" Percent(&["TCP_ELB_Reset_Count", "TCP_Target_Reset_Count"], "NewFlowCount"), "Sum" Any;
    "traffic" ["aws.nlb"] "healthy targets of connections, zone by zone" "AWS/NetworkELB,AvailabilityZone,LoadBalancer,TargetGroup" Each("HealthyHostCount"), "Minimum" Any;
    "traffic" ["aws.api-gateway"] "requests to entrances" "AWS/ApiGateway,ApiId" Each("Count"), "Sum" Any;
    "traffic" ["aws.api-gateway"] "failed requests to entrances, percent" "AWS/ApiGateway,ApiId" Percent(&["5xx"], "Count"), "Sum" Any;
    "traffic" ["aws.api-gateway"] "latency of entrances, p99, ms" "AWS/ApiGateway,ApiId" Each("Latency"), "p99" Any;
    "traffic" ["aws.cloudfront"] "requests at the edge" "AWS/CloudFront,DistributionId,Region" Each("Requests"), "Sum" In("us-east-1");
    "traffic" ["aws.cloudfront"] "failed requests at the edge, percent" "AWS/CloudFront,DistributionId,Region" Each("5xxErrorRate"), "Average" In("us-east-1");
    "traffic" ["aws.global-accelerator"] "connections to accelerators" "AWS/GlobalAccelerator,Accelerator" Each("NewFlowCount"), "Sum" In("us-west-2");
    "data" ["aws.rds"] "how far replicas are behind, seconds" "AWS/RDS,DBInstanceIdentifier" Each("ReplicaLag"), "Maximum" Named;
    "data" ["aws.rds"] "connections" "AWS/RDS,DBInstanceIdentifier" Each("DatabaseConnections"), "Maximum" Named;
    "data" ["aws.rds"] "disk that is left, bytes" "AWS/RDS,DBInstanceIdentifier" Each("FreeStorageSpace"), "Minimum" Named;
    "data" ["aws.aurora-global"] "how far copies are behind, ms" "AWS/RDS,DBClusterIdentifier" Each("AuroraGlobalDBReplicationLag"), "Maximum" Named;
    "data" ["aws.aurora", "aws.aurora-global"] "connections to clusters" "AWS/RDS,DBClusterIdentifier" Each("DatabaseConnections"), "Maximum" Named;
    "data" ["aws.dynamodb-global"] "how long a write takes to the other regions, ms" "AWS/DynamoDB,ReceivingRegion,TableName" Each("ReplicationLatency"), "Maximum" Named;
    "data" ["aws.dynamodb-global", "aws.dynamodb"] "conflicts: conditions that did not hold" "AWS/DynamoDB,TableName" Each("ConditionalCheckFailedRequests"), "Sum" Named;
    "data" ["aws.dynamodb-global", "aws.dynamodb"] "conflicts: transactions that met" "AWS/DynamoDB,TableName" Each("TransactionConflict"), "Sum" Named;
    "data" ["aws.dynamodb-global", "aws.dynamodb"] "writes that were refused for their rate" "AWS/DynamoDB,TableName" Each("WriteThrottleEvents"), "Sum" Named;
    "data" ["aws.dynamodb-global", "aws.dynamodb"] "errors of the service" "AWS/DynamoDB,Operation,TableName" Each("SystemErrors"), "Sum" Named;
    "data" ["aws.s3"] "how far buckets are behind, seconds" "AWS/S3,DestinationBucket,RuleId,SourceBucket" Each("ReplicationLatency"), "Maximum" Named;
    "data" ["aws.s3"] "bytes that are not copied yet" "AWS/S3,DestinationBucket,RuleId,SourceBucket" Each("BytesPendingReplication"), "Maximum" Named;
    "data" ["aws.s3"] "objects that were not copied" "AWS/S3,DestinationBucket,RuleId,SourceBucket" Each("OperationsFailedReplication"), "Sum" Named;
    "data" ["aws.efs"] "since the last synchronisation, seconds" "AWS/EFS,DestinationFileSystemId,FileSystemId" Each("TimeSinceLastSync"), "Maximum" Any;
    "data" ["aws.elasticache"] "how far caches are behind, seconds" "AWS/ElastiCache,CacheClusterId" Each("GlobalDatastoreReplicationLag"), "Maximum" Named;
    "data" ["aws.msk"] "how far topics are behind, ms" "AWS/Kafka,ReplicatorName" Each("ReplicationLatency"), "Maximum" Named;
    "data" ["aws.drs"] "how far servers are behind, seconds" "AWS/DRS,SourceServerID" Each("LagDuration"), "Maximum" Any;
    "compute" ["aws.asg"] "instances in service" "AWS/AutoScaling,AutoScalingGroupName" Each("GroupInServiceInstances"), "Minimum" Logical("group");
    "compute" ["aws.asg"] "instances that are wanted and not there yet" "AWS/AutoScaling,AutoScalingGroupName" Missing("GroupDesiredCapacity", "GroupInServiceInstances"), "Maximum" Logical("group");
    "compute" ["aws.asg"] "processors, percent" "AWS/EC2,AutoScalingGroupName" Each("CPUUtilization"), "Average" Logical("group");
    "compute" ["aws.ec2"] "failed status checks" "AWS/EC2,InstanceId" Each("StatusCheckFailed"), "Maximum" Any;
    "compute" ["aws.ecs", "aws.fargate"] "processors of tasks, percent" "AWS/ECS,ClusterName,ServiceName" Each("CPUUtilization"), "Average" Named;
    "compute" ["aws.ecs", "aws.fargate"] "tasks that run" "ECS/ContainerInsights,ClusterName,ServiceName" Each("RunningTaskCount"), "Minimum" Named;
    "compute" ["aws.ecs", "aws.fargate"] "tasks that are wanted and not there yet" "ECS/ContainerInsights,ClusterName,ServiceName" Missing("DesiredTaskCount", "RunningTaskCount"), "Maximum" Named;
    "compute" ["aws.eks"] "nodes" "ContainerInsights,ClusterName" Each("cluster_node_count"), "Minimum" Named;
    "compute" ["aws.eks"] "pods that find no node" "AWS/EKS,ClusterName" Each("scheduler_pending_pods_UNSCHEDULABLE"), "Maximum" Named;
    "compute" ["aws.lambda"] "failed calls, percent" "AWS/Lambda,FunctionName" Percent(&["Errors"], "Invocations"), "Sum" Named;
    "compute" ["aws.lambda"] "refused calls" "AWS/Lambda,FunctionName" Each("Throttles"), "Sum" Named;
    "compute" ["aws.lambda"] "calls at the same time" "AWS/Lambda,FunctionName" Each("ConcurrentExecutions"), "Maximum" Named;
    "compute" ["aws.asg", "aws.ec2", "aws.ecs", "aws.eks", "aws.fargate"] "virtual CPUs in use, of which the account has a quota" "AWS/Usage,Class,Resource,Service,Type" Each("ResourceCount"), "Maximum" By("Resource=\"vCPU\"");
    "queue" ["aws.sqs"] "age of the oldest message, seconds" "AWS/SQS,QueueName" Each("ApproximateAgeOfOldestMessage"), "Maximum" Named;
    "queue" ["aws.sqs"] "messages that wait" "AWS/SQS,QueueName" Each("ApproximateNumberOfMessagesVisible"), "Maximum" Named;
    "queue" ["aws.sqs"] "messages that came twice, and were taken once" "AWS/SQS,QueueName" Each("NumberOfDeduplicatedSentMessages"), "Sum" Named;
    "queue" ["aws.kinesis"] "age of what consumers read, ms" "AWS/Kinesis,StreamName" Each("GetRecords.IteratorAgeMilliseconds"), "Maximum" Named;
    "queue" ["aws.msk"] "offsets that consumers are behind" "AWS/Kafka,Cluster Name,Consumer Group,Topic" Each("SumOffsetLag"), "Maximum" Named;
    "queue" ["aws.eventbridge"] "events that reached nobody" "AWS/Events,EventBusName,RuleName" Each("FailedInvocations"), "Sum" Named;
    "queue" ["aws.sns"] "messages that reached nobody" "AWS/SNS,TopicName" Each("NumberOfNotificationsFailed"), "Sum" Named;
    "queue" ["aws.step-functions"] "failed executions" "AWS/States,StateMachineArn" Each("ExecutionsFailed"), "Sum" Named;
    "routing" ["aws.route53"] "questions of resolvers, by zone" "AWS/Route53,HostedZoneId" Each("DNSQueries"), "Sum" In("us-east-1");
    "cost" ["aws.vpc", "aws.asg", "aws.ecs", "aws.fargate", "aws.eks"] "out of the network, bytes" "AWS/NATGateway,NatGatewayId" Each("BytesOutToDestination"), "Sum" Any;
    "cost" ["aws.transit-gateway"] "to other networks and regions, bytes" "AWS/TransitGateway,TransitGateway,TransitGatewayAttachment" Each("BytesOut"), "Sum" Any;
    "cost" ["aws.aurora-global"] "to other regions, bytes" "AWS/RDS,DBClusterIdentifier" Each("AuroraGlobalDBDataTransferBytes"), "Sum" Named;
};

pub fn render(sheet: &mut Sheet<'_>) {
    let sites: Vec<&Site> = sheet.design.regions().collect();
    let fits = |widgets: &Vec<Json>| json!(widgets).to_string().len() < MOST_BYTES;
    let mut tries = APART.iter().map(|apart| widgets(sheet, &sites, *apart));
    let widgets = tries.find(fits).unwrap_or_else(|| widgets(sheet, &sites, 0));
    for site in sites {
        let board = board(sheet, site, &widgets);
        sheet.add(&regional(site), board);
    }
}

fn board(sheet: &Sheet<'_>, site: &Site, widgets: &[Json]) -> Resource {
    let asked = sheet.of_kind("aws.cloudwatch").next();
    let asked = asked.map_or_else(|| sheet.asked_by("workload"), |part| sheet.asked(part));
    let mut here = vec![state(sheet, site)];
    here.extend(widgets.iter().cloned());
    let body = json!({ "start": "-PT3H", "widgets": placed(here) }).to_string();
    // Dashboards of an account are known in every region, so each has a name of its own.
    let properties = map! {
        "DashboardName" => sheet.named(["regions", "from", site.id.as_str()], 120),
        "DashboardBody" => with_account(&body),
    };
    Resource::new(Group::Observability, "AWS::CloudWatch::Dashboard", "Dashboard", asked, properties)
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

fn widgets(sheet: &Sheet<'_>, sites: &[&Site], apart: usize) -> Vec<Json> {
    let mut widgets = Vec::new();
    for area in AREAS {
        let charts = CHARTS.iter().filter(|chart| chart.area == area);
        let mut of_area: Vec<Json> = charts.filter_map(|chart| shown(sheet, sites, chart, apart)).collect();
        match area {
            "routing" => of_area.extend(routing(sheet)),
            "security" => {
                of_area.extend(counted(sheet, sites, "findings", &["threat", "finding"]));
                of_area.extend(counted(sheet, sites, "what was switched off", &["guard"]));
                of_area.extend(delivered(sheet, sites));
            }
            "cost" => of_area.push(bill()),
            "recovery" => {
                of_area.push(objectives(sheet));
                of_area.extend(restores(sheet, sites));
                of_area.extend(counted(sheet, sites, "promotions", &["promotion"]));
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

fn shown(sheet: &Sheet<'_>, sites: &[&Site], chart: &Chart, apart: usize) -> Option<Json> {
    let parts: Vec<&Part> =
        sheet.design.components.iter().filter(|part| chart.kinds.contains(&part.kind.name.as_str())).collect();
    if parts.is_empty() {
        return None;
    }
    if let In(region) = chart.found {
        let search = searched(chart.of, names_of(chart.shows)[0], "", chart.statistic);
        let of = json!([{ "expression": search, "id": "m0", "region": region }]);
        return Some(picture(chart.title, &[of]));
    }
    let mut lines = Vec::new();
    for site in sites {
        let here = parts.iter().filter(|part| part.sites.is_empty() || part.is_in(&site.id));
        let mut terms: Vec<String> = match parts.len() > apart {
            true => vec![String::new()],
            false => here.map(|part| term(sheet, part, site, chart.found)).collect(),
        };
        terms.dedup();
        for term in terms {
            lines.push(line(lines.len(), site, chart, &term));
        }
    }
    Some(picture(chart.title, &lines))
}

fn names_of(shows: Shows) -> Vec<&'static str> {
    match shows {
        Each(metric) => vec![metric],
        Percent(some, all) => some.iter().copied().chain([all]).collect(),
        Missing(wanted, there) => vec![wanted, there],
    }
}

fn term(sheet: &Sheet<'_>, part: &Part, site: &Site, found: Found) -> String {
    match (found, crate::services::physical(part, site)) {
        (By(words), _) => words.to_owned(),
        (_, Some(given)) => quoted(&given),
        (Any | In(_), None) => String::new(),
        (Logical(what), None) => names::logical([part.id.as_str(), what]),
        (Named, None) => quoted(&sheet.named([part.id.as_str()], 50)),
    }
}

/// All of its words have to be found, in any order: a search takes a text apart at its hyphens.
fn quoted(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { ' ' }).collect()
}

fn searched(of: &str, metric: &str, term: &str, statistic: &str) -> String {
    let search = format!("{{{of}}} MetricName=\"{metric}\" {term}");
    format!("SEARCH('{}', '{statistic}', 60)", search.trim_end())
}

/// All that a line shows; one that is of several metrics adds each up over the components that it finds.
fn line(number: usize, site: &Site, chart: &Chart, term: &str) -> Json {
    let search = |metric: &str| searched(chart.of, metric, term, chart.statistic);
    let sum = |metric: &&str| format!("SUM({})", search(metric));
    let expression = match chart.shows {
        Each(metric) => search(metric),
        Percent(some, all) => {
            let some: Vec<String> = some.iter().map(sum).collect();
            format!("100 * ({}) / {}", some.join(" + "), sum(&all))
        }
        Missing(wanted, there) => format!("{} - {}", sum(&wanted), sum(&there)),
    };
    let label = match chart.shows {
        Each(_) => format!("{} ${{LABEL}}", site.id),
        Percent(..) | Missing(..) => format!("{} {}", site.id, term).trim_end().to_owned(),
    };
    json!([{ "expression": expression, "id": format!("m{number}"), "region": aws_region(site), "label": label }])
}

fn picture(title: &str, lines: &[Json]) -> Json {
    json!({
        "type": "metric", "width": WIDTH, "height": HEIGHT,
        "properties": { "title": title, "view": "timeSeries", "period": 60, "region": "us-east-1", "metrics": lines },
    })
}

/// Health checks report in us-east-1, wherever they stand.
fn routing(sheet: &Sheet<'_>) -> Vec<Json> {
    let mut shown = checked(sheet);
    shown.extend(asked(sheet));
    let mut says = "| record | policy | TTL | what moves it |\n|---|---|---|---|\n".to_owned();
    let records = sheet.of_kind("aws.route53").filter_map(|part| Some((part.text("record")?, part)));
    for (record, part) in records {
        let ttl = part.duration("ttl").map_or("an alias has none".to_owned(), |ttl| format!("{} s", ttl.as_secs()));
        let [policy, shift] = ["policy", "shift"].map(|key| part.word(key).unwrap_or("not said"));
        says.push_str(&format!("| {record} | {policy} | {ttl} | {shift} |\n"));
    }
    if sheet.of_kind("aws.route53").next().is_some() {
        shown.push(text(&says, WIDTH, HEIGHT));
    }
    shown
}

/// What canaries find, from each region of each.
fn asked(sheet: &Sheet<'_>) -> Option<Json> {
    let mut lines = Vec::new();
    for part in sheet.of_kind("aws.route53") {
        let name = canary::name(sheet, part);
        for site in sheet.sites(part).into_iter().filter(|site| canary::stands(sheet, part, site)) {
            for (step, _) in canary::steps(sheet, part) {
                let of = json!({
                    "stat": "Average", "region": aws_region(site), "label": format!("{} asks {step}", site.id),
                });
                lines.push(json!(["CloudWatchSynthetics", "SuccessPercent", "CanaryName", name, "StepName", step, of]));
            }
        }
    }
    (!lines.is_empty()).then(|| picture("what canaries find, percent", &lines))
}

fn checked(sheet: &Sheet<'_>) -> Vec<Json> {
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
            lines.push(json!(["AWS/Events", "TriggeredRules", "RuleName", alarms::events::name(sheet, what), of]));
        }
    }
    (!lines.is_empty()).then(|| picture(title, &lines))
}

/// What trails deliver: a line for each, where it is.
fn delivered(sheet: &Sheet<'_>, sites: &[&Site]) -> Option<Json> {
    let mut lines = Vec::new();
    for trail in sheet.of_kind("aws.cloudtrail") {
        for site in sites {
            let of = json!({ "stat": "Sum", "region": aws_region(site), "label": format!("{} {}", site.id, trail.id) });
            let rule = alarms::events::name(sheet, &format!("{} delivers", trail.id));
            lines.push(json!(["AWS/Events", "TriggeredRules", "RuleName", rule, of]));
        }
    }
    (!lines.is_empty()).then(|| picture("what trails deliver", &lines))
}

/// Jobs that restored, and that could not: of whatever AWS Backup was asked to.
fn restores(sheet: &Sheet<'_>, sites: &[&Site]) -> Option<Json> {
    let rules = alarms::events::rules(sheet);
    rules.iter().find(|(what, _)| *what == "backup")?;
    let mut lines = Vec::new();
    for site in sites {
        for metric in ["NumberOfRestoreJobsCompleted", "NumberOfRestoreJobsFailed"] {
            let id = format!("m{}", lines.len());
            let search = format!("SEARCH('Namespace=\"AWS/Backup\" MetricName=\"{metric}\"', 'Sum', 300)");
            let label = format!("{} ${{LABEL}}", site.id);
            lines.push(json!([{ "expression": search, "id": id, "region": aws_region(site), "label": label }]));
        }
    }
    Some(picture("restores", &lines))
}

/// What AWS expects the month to cost so far, by service: of all regions together, known in us-east-1 a few times a day, and
/// only where the account has billing alerts on.
fn bill() -> Json {
    let search = "SEARCH('{AWS/Billing,Currency,ServiceName} MetricName=\"EstimatedCharges\"', 'Maximum', 21600)";
    picture("this month, by service, USD", &[json!([{ "expression": search, "id": "m0", "region": "us-east-1" }])])
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
        "| | promised | measured |\n|---|---|---|\n| RTO | {} | {} |\n| RPO | {} | {} |\n\nlast drill: {tested}\n\nversion: {}\n\nregions: {}",
        seconds(design.objectives.rto),
        seconds(practice.duration("failover.rto_measured")),
        seconds(design.objectives.rpo),
        seconds(practice.duration("failover.rpo_measured")),
        design.artifact.as_deref().unwrap_or("not said"),
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
