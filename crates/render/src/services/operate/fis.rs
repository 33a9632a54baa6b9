//! Experiments of AWS FIS: what a drill breaks, broken by AWS itself in the real region. Nothing starts them but people.
//!
//! They hit only what carries the workload's tag, fail when there is nothing to hit (a drill that hit nothing shows
//! nothing), stop by themselves when the region's users are hurt, and write down what they did.

use model::Part;
use model::design::Site;

use super::alarms;
use crate::availability;
use crate::resource::{Resource, Target};
use crate::root::Group;
use crate::services::{network, role};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Key, Map, PARTITION, REGION, Value};
use crate::{cat, list, map, names};

/// For how long something is broken.
const DURATION: &str = "PT10M";
/// Days; long enough for the quarterly look back.
const KEPT: u64 = 180;

const SERVICE: &str = "fis.amazonaws.com";

/// One experiment while it is put together.
struct Experiment {
    what: &'static str,
    says: String,
    targets: Map,
    actions: Map,
    may: Vec<Value>,
}

pub fn render(sheet: &mut Sheet<'_>) {
    let sites: Vec<&Site> = sheet.design.regions().collect();
    for site in sites {
        if !availability::has(aws_region(site), TEMPLATE) {
            missing(sheet, site);
            continue;
        }
        let experiments = [zone(sheet, site), isolation(sheet, site), database(sheet, site), tasks(sheet, site)];
        for experiment in experiments.into_iter().flatten() {
            experiment.write(sheet, site);
        }
    }
    let adopted = |part: &&Part| TAGGED.contains(&part.kind.name.as_str()) && !sheet.renders(part);
    if let Some(part) = sheet.design.components.iter().find(adopted) {
        let workload = &sheet.design.workload;
        sheet.note(
            part,
            "experiments find what they may break by its tags, and what is adopted has none of ours",
            format!("tag what drills may hit: aws resourcegroupstaggingapi tag-resources --tags antipode:workload={workload} --resource-arn-list ARN"),
        );
    }
}

const TEMPLATE: &str = "AWS::FIS::ExperimentTemplate";

fn missing(sheet: &mut Sheet<'_>, site: &Site) {
    let Some(part) = sheet.design.components.iter().find(|part| TAGGED.contains(&part.kind.name.as_str())) else {
        return;
    };
    let says = format!("CloudFormation has no experiments of FIS in {}", site.id);
    sheet.note(part, says, "rehearse there by hand: aws ec2 stop-instances of one zone, aws rds failover-db-cluster, and what `antipode drill` breaks");
}

/// What experiments break.
const TAGGED: [&str; 9] = [
    "aws.asg",
    "aws.ec2",
    "aws.rds",
    "aws.aurora",
    "aws.aurora-global",
    "aws.s3",
    "aws.dynamodb-global",
    "aws.ecs",
    "aws.fargate",
];

impl Experiment {
    fn new(what: &'static str, says: impl Into<String>) -> Experiment {
        Experiment { what, says: says.into(), targets: Map::new(), actions: Map::new(), may: Vec::new() }
    }
    /// Breaks all resources of a type that have the workload's tag, as far as `narrowed` lets it.
    fn hit(&mut self, sheet: &Sheet<'_>, name: &'static str, kind: &str, narrowed: Map) {
        let mut target = map! {
            "ResourceType" => kind,
            "ResourceTags" => map! { "antipode:workload" => &sheet.design.workload },
            "SelectionMode" => "ALL",
        };
        target.0.extend(narrowed.0);
        self.targets.set(name, target);
    }
    /// `on` is what FIS calls the targets of the action, and their name here.
    fn act(&mut self, name: impl Into<Key>, action: &str, on: (&'static str, &str), parameters: Map) {
        let action = map! { "ActionId" => action, "Targets" => map! { on.0 => on.1 } };
        let parameters = (!parameters.0.is_empty()).then_some(parameters);
        self.actions.set(name, action.with_some("Parameters", parameters));
    }
    fn allow(&mut self, actions: &[&str], resources: Vec<Value>) {
        self.may.push(role::allow(actions, resources));
    }
    /// On what carries the workload's tag only.
    fn allow_tagged(&mut self, sheet: &Sheet<'_>, actions: &[&str], resources: Vec<Value>) {
        let Value::Map(mut statement) = role::allow(actions, resources) else { return };
        let tag = map! { "aws:ResourceTag/antipode:workload" => &sheet.design.workload };
        statement.set("Condition", map! { "StringEquals" => tag });
        self.may.push(statement.into());
    }

    fn write(mut self, sheet: &mut Sheet<'_>, site: &Site) {
        let root = regional(site);
        let log = log(sheet, site);
        let deliver = [
            "logs:CreateLogDelivery",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
        ];
        self.allow(&deliver, vec!["*".into()]);
        let what = format!("{} experiment", self.what);
        let role = role::of_workload(sheet, &root, (Group::Control, &what), SERVICE, self.may);
        let stop = match alarms::impaired(sheet, site) {
            Some(alarm) => map! { "Source" => "aws:cloudwatch:alarm", "Value" => alarm.att("Arn") },
            None => map! { "Source" => "none" },
        };
        let name = sheet.named([self.what], 120);
        let properties = map! {
            "Description" => self.says,
            "Targets" => self.targets,
            "Actions" => self.actions,
            "StopConditions" => list![stop],
            "RoleArn" => role.att("Arn"),
            "ExperimentOptions" => map! { "AccountTargeting" => "single-account", "EmptyTargetResolutionMode" => "fail" },
            "LogConfiguration" => map! {
                "LogSchemaVersion" => 2,
                "CloudWatchLogsConfiguration" => map! { "LogGroupArn" => log.att("Arn") },
            },
            "Tags" => sheet.tag_map(None).with("Name", name),
        };
        let asked = sheet.asked_by("drills");
        let id = names::logical([what.as_str()]);
        sheet.add(&root, Resource::new(Group::Control, TEMPLATE, id, asked, properties));
    }
}

/// What experiments of a region did.
fn log(sheet: &mut Sheet<'_>, site: &Site) -> Target {
    let (root, id) = (regional(site), "ExperimentLog");
    if sheet.has(&root, id) {
        return sheet.target(&root, id);
    }
    let properties = map! {
        "LogGroupName" => format!("/{}/experiments", names::physical([sheet.design.workload.as_str()], 120)),
        "RetentionInDays" => KEPT, "Tags" => sheet.tags(None),
    };
    let asked = sheet.asked_by("drills");
    let log = Resource::new(Group::Control, "AWS::Logs::LogGroup", id, asked, properties)
        .excused(
            "CKV_AWS_158",
            "it says what was broken and when, and nothing of what users have; the service encrypts it",
        )
        .excused("CKV_AWS_338", "the evidence of a drill is kept elsewhere, for longer");
    sheet.add(&root, log)
}

fn any(sheet: &Sheet<'_>, site: &Site, kinds: &[&str]) -> bool {
    let here = |part: &&Part| part.sites.is_empty() || part.is_in(&site.id);
    sheet.design.components.iter().filter(here).any(|part| kinds.contains(&part.kind.name.as_str()))
}

fn arns(service: &str, what: &str) -> Value {
    cat!["arn:", PARTITION, ":", service, ":", REGION, ":", ACCOUNT, ":", what]
}

/// The first zone of the region answers nobody, and its instances stop.
fn zone(sheet: &mut Sheet<'_>, site: &Site) -> Option<Experiment> {
    let zone = format!("{}{}", aws_region(site), network::zones(site).first()?);
    let mut experiment = Experiment::new("zone loss", format!("The zone {zone} is lost for ten minutes"));
    if any(sheet, site, &["aws.asg", "aws.ec2", "aws.ecs", "aws.eks"]) {
        let filter = |path: &str, value: &str| map! { "Path" => path, "Values" => list![value] };
        let filters = list![filter("Placement.AvailabilityZone", &zone), filter("State.Name", "running")];
        experiment.hit(sheet, "instances", "aws:ec2:instance", map! { "Filters" => filters });
        let again = map! { "startInstancesAfterDuration" => DURATION };
        experiment.act("stop", "aws:ec2:stop-instances", ("Instances", "instances"), again);
        let instances = vec![arns("ec2", "instance/*")];
        experiment.allow_tagged(sheet, &["ec2:StopInstances", "ec2:StartInstances"], instances);
        experiment.allow(&["ec2:DescribeInstances"], vec!["*".into()]);
    }
    if sheet.has(&regional(site), "Vpc") {
        let filter = map! { "Path" => "AvailabilityZone", "Values" => list![zone.as_str()] };
        experiment.hit(sheet, "subnets", "aws:ec2:subnet", map! { "Filters" => list![filter] });
        let whole = map! { "duration" => DURATION, "scope" => "all" };
        experiment.act("disconnect", "aws:network:disrupt-connectivity", ("Subnets", "subnets"), whole);
        let made = ["network-acl/*", "subnet/*", "vpc/*"].map(|what| arns("ec2", what)).to_vec();
        let changes = [
            "ec2:CreateNetworkAcl",
            "ec2:CreateNetworkAclEntry",
            "ec2:DeleteNetworkAcl",
            "ec2:ReplaceNetworkAclAssociation",
            "ec2:CreateTags",
        ];
        experiment.allow(&changes, made);
        let asks =
            ["ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeNetworkAcls", "ec2:DescribeManagedPrefixLists"];
        experiment.allow(&asks, vec!["*".into()]);
    }
    (!experiment.actions.0.is_empty()).then_some(experiment)
}

/// Nothing is copied to the other regions any more, and nothing here reaches them.
fn isolation(sheet: &mut Sheet<'_>, site: &Site) -> Option<Experiment> {
    let others: Vec<&Site> = sheet.design.regions().filter(|other| other.id != site.id).collect();
    if others.is_empty() {
        return None;
    }
    let says = format!("{} is cut off from the other regions for ten minutes", site.id);
    let mut experiment = Experiment::new("isolation", says);
    let (buckets, tables) = (any(sheet, site, &["aws.s3"]), any(sheet, site, &["aws.dynamodb-global"]));
    if buckets {
        experiment.hit(sheet, "buckets", "aws:s3:bucket", Map::new());
        for other in &others {
            let name = names::logical(["pause copies to", aws_region(other)]);
            let parameters = map! { "duration" => DURATION, "region" => aws_region(other) };
            experiment.act(name, "aws:s3:bucket-pause-replication", ("Buckets", "buckets"), parameters);
        }
        let of = vec![cat!["arn:", PARTITION, ":s3:::*"]];
        let changes = ["s3:GetReplicationConfiguration", "s3:PutReplicationConfiguration", "s3:PauseReplication"];
        experiment.allow(&changes, of);
    }
    if tables {
        experiment.hit(sheet, "tables", "aws:dynamodb:global-table", Map::new());
        let parameters = map! { "duration" => DURATION };
        experiment.act("pauseTables", "aws:dynamodb:global-table-pause-replication", ("Tables", "tables"), parameters);
        let changes = [
            "dynamodb:DescribeTable",
            "dynamodb:GetResourcePolicy",
            "dynamodb:PutResourcePolicy",
            "dynamodb:DeleteResourcePolicy",
        ];
        experiment.allow_tagged(sheet, &changes, vec![arns("dynamodb", "table/*")]);
    }
    if buckets || tables {
        experiment.allow(&["tag:GetResources"], vec!["*".into()]);
    }
    if sheet.has(&regional(site), "Vpc") {
        experiment.hit(sheet, "subnets", "aws:ec2:subnet", Map::new());
        for other in &others {
            let name = names::logical(["cut off", aws_region(other)]);
            let parameters = map! { "duration" => DURATION, "region" => aws_region(other) };
            let action = "aws:network:route-table-disrupt-cross-region-connectivity";
            experiment.act(name, action, ("Subnets", "subnets"), parameters);
        }
        let made = [
            "network-interface/*",
            "prefix-list/*",
            "route-table/*",
            // A network interface is made in one.
            "security-group/*",
            "subnet/*",
            "vpc-endpoint/*",
            "vpc/*",
        ];
        let changes = [
            "ec2:AssociateRouteTable",
            "ec2:CreateManagedPrefixList",
            "ec2:CreateNetworkInterface",
            "ec2:CreateRoute",
            "ec2:CreateRouteTable",
            "ec2:CreateTags",
            "ec2:DeleteManagedPrefixList",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteRouteTable",
            "ec2:DisassociateRouteTable",
            "ec2:GetManagedPrefixListEntries",
            "ec2:ModifyManagedPrefixList",
            "ec2:ModifyVpcEndpoint",
            "ec2:ReplaceRouteTableAssociation",
        ];
        experiment.allow(&changes, made.map(|what| arns("ec2", what)).to_vec());
        let asks = [
            "ec2:DescribeManagedPrefixLists",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeVpcPeeringConnections",
            "ec2:DescribeVpcs",
        ];
        experiment.allow(&asks, vec!["*".into()]);
    }
    (!experiment.actions.0.is_empty()).then_some(experiment)
}

/// The instance that writes is gone, and the one in another zone takes over.
fn database(sheet: &mut Sheet<'_>, site: &Site) -> Option<Experiment> {
    let mut experiment =
        Experiment::new("writer loss", format!("The writers of the databases in {} fail over", site.id));
    if any(sheet, site, &["aws.aurora", "aws.aurora-global"]) {
        experiment.hit(sheet, "clusters", "aws:rds:cluster", Map::new());
        experiment.act("failOver", "aws:rds:failover-db-cluster", ("Clusters", "clusters"), Map::new());
        experiment.allow_tagged(sheet, &["rds:FailoverDBCluster"], vec![arns("rds", "cluster:*")]);
    }
    if any(sheet, site, &["aws.rds"]) {
        experiment.hit(sheet, "instances", "aws:rds:db", Map::new());
        let force = map! { "forceFailover" => "true" };
        experiment.act("reboot", "aws:rds:reboot-db-instances", ("DBInstances", "instances"), force);
        experiment.allow_tagged(sheet, &["rds:RebootDBInstance"], vec![arns("rds", "db:*")]);
    }
    experiment.allow(&["rds:DescribeDBClusters", "rds:DescribeDBInstances", "tag:GetResources"], vec!["*".into()]);
    (!experiment.actions.0.is_empty()).then_some(experiment)
}

/// Half of what answers stops at once.
fn tasks(sheet: &mut Sheet<'_>, site: &Site) -> Option<Experiment> {
    if !any(sheet, site, &["aws.ecs", "aws.fargate"]) {
        return None;
    }
    let mut experiment = Experiment::new("task loss", format!("Half of the tasks in {} stop", site.id));
    experiment.hit(sheet, "tasks", "aws:ecs:task", Map::new());
    experiment.targets.0.iter_mut().for_each(|(_, target)| {
        if let Value::Map(target) = target {
            target.set("SelectionMode", "PERCENT(50)");
        }
    });
    experiment.act("stop", "aws:ecs:stop-task", ("Tasks", "tasks"), Map::new());
    experiment.allow(&["ecs:StopTask"], vec![arns("ecs", "task/*")]);
    experiment
        .allow(&["ecs:DescribeTasks", "ecs:ListTasks", "ecs:DescribeClusters", "tag:GetResources"], vec!["*".into()]);
    Some(experiment)
}
