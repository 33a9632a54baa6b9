//! Services of containers: the same image in every region, pulled from the region's own registry, over its zones.
//!
//! How many tasks run is decided while it runs. A template says a number for the first deployment only, while the parameter
//! `AtFirst1` is not empty, which `deploy.sh` empties at the next one, because CloudFormation sets a number that it is told
//! again and again. So no deployment takes away what a recovery or the load added. Services that came to a region together
//! share that parameter (see [`first`](super::first)).

use model::Part;
use model::design::Site;

use super::rollout::{self, Rollout};
use super::{asg, ecr, first, floor};
use crate::resource::{Given, Resource, Target};
use crate::root::Group;
pub use crate::services::id;
use crate::services::traffic::colours;
use crate::services::{access, logs, network, physical, role};
use crate::sheet::{Sheet, aws_region, parameter, regional};
use crate::value::{Map, REGION, Value};
use crate::{cat, list, map};

/// Where tasks listen for their load balancer.
const PORT: u16 = 8080;
const CONTAINER: &str = "app";

/// What both its cluster and its service are called in a region, in metrics and commands.
pub fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    physical(part, site).unwrap_or_else(|| sheet.named([part.id.as_str()], 255))
}

pub fn cluster(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let settings = list![map! { "Name" => "containerInsights", "Value" => "enabled" }];
    let properties = map! { "ClusterName" => name(sheet, part, site), "ClusterSettings" => settings, "Tags" => sheet.tags(Some(part)) };
    let asked = sheet.asked(part);
    sheet.add(
        &regional(site),
        Resource::new(Group::Compute, "AWS::ECS::Cluster", id(part, "cluster"), asked, properties),
    )
}

/// The cluster and the service of a component that is rendered.
pub fn named(sheet: &Sheet<'_>, part: &Part, site: &Site) -> (Target, Target) {
    let root = regional(site);
    (sheet.target(&root, id(part, "cluster")), sheet.target(&root, id(part, "service")))
}

/// Tasks of a component, started as `launched` says: by instances that have `joined` the cluster, or by Fargate.
pub fn service(
    sheet: &mut Sheet<'_>,
    part: &Part,
    site: &Site,
    cluster: &Target,
    (launched, joined): (Map, Option<Target>),
) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let task = task(sheet, part, site, joined.is_none());
    let firewall = network::firewall(sheet, part, site, "What the tasks reach, and who reaches them");
    let targets = targets(sheet, part, site, &firewall);
    let network = map! { "AwsvpcConfiguration" => map! {
        "AssignPublicIp" => "DISABLED", "SecurityGroups" => list![firewall.att("GroupId")], "Subnets" => network::private_subnets(sheet, site),
    } };
    let (how, shift) = shifted(sheet, part, site, targets.as_ref());
    let alarm = rollout::of_balancer(sheet, part, site);
    let deployment = rollout::of_tasks(sheet, part, how, alarm.as_ref().map(Target::get));
    let warm_up = part.duration("warm_up").map_or(120, |time| time.as_secs());
    let grace = targets.is_some().then_some(warm_up);
    let balancers = targets.map(|group| {
        let first =
            map! { "ContainerName" => CONTAINER, "ContainerPort" => u32::from(PORT), "TargetGroupArn" => group.get() };
        list![first.with_some("AdvancedConfiguration", shift)]
    });
    let named = name(sheet, part, site);
    let mut properties = map! { "Cluster" => cluster.get(), "ServiceName" => named, "TaskDefinition" => task.get() };
    properties.0.extend(launched.0);
    properties.set("DesiredCount", at_first(sheet, part, site));
    let rest = map! {
        "NetworkConfiguration" => network, "DeploymentConfiguration" => deployment,
        "AvailabilityZoneRebalancing" => "ENABLED", "EnableECSManagedTags" => true, "PropagateTags" => "SERVICE",
    };
    properties.0.extend(rest.0);
    let properties = properties
        .with_some("LoadBalancers", balancers)
        .with_some("HealthCheckGracePeriodSeconds", grace)
        .with("Tags", sheet.tags(Some(part)));
    let mut service = Resource::new(Group::Compute, "AWS::ECS::Service", id(part, "service"), asked, properties);
    service.depends_on.extend(joined);
    let service = sheet.add(&root, service);
    scaling(sheet, part, site, (cluster, &service));
}

/// How many tasks a first deployment starts: as many as there are at least, because scaling leaves alone what began below
/// that (Amazon ECS Developer Guide, "Automatically scale your Amazon ECS service"). None where the registry is made by the
/// same deployment: there is no image yet.
fn at_first(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let empty = ecr::is_ours(sheet, part, site);
    let count = if empty { 0 } else { asg::sizes(part, site).0 };
    let count = first::only(sheet, part, site, ("service", "tasks"), count);
    if empty && !sheet.notes.iter().any(|note| note.component == part.id && note.says.starts_with("a registry")) {
        let (region, named) = (aws_region(site), name(sheet, part, site));
        sheet.note(
            part,
            "a registry that was just made has no image: the first deployment starts no task",
            format!("push the image to the registry of each region, then in each, {region} first: aws ecs update-service --cluster {named} --service {named} --desired-count {} --region {region}", asg::sizes(part, site).0),
        );
    }
    let unmade = !empty && part.at(&site.id).text("image.name").is_none() && ecr::is_made_by_nobody(sheet);
    if unmade && !sheet.notes.iter().any(|note| note.component == part.id && note.says.starts_with("no registry")) {
        let says = "no registry is rendered: where its repository or its image is not there, the tasks of a first deployment do not start, and it is taken back";
        let how = format!(
            "add an `aws.ecr`, say `image: {{ name: … }}`, or make {} in each region and push the image, before the first deployment",
            ecr::repository_name(sheet, part, site)
        );
        sheet.note(part, says, how);
    }
    count
}

/// How a new version comes, and what ECS shifts requests with. Only an application load balancer of ours has a rule that it
/// may change; without one, tasks are replaced part by part.
fn shifted(sheet: &mut Sheet<'_>, part: &Part, site: &Site, targets: Option<&Target>) -> (Rollout, Option<Map>) {
    let how = rollout::said(sheet, part).unwrap_or(Rollout::Rolling);
    if how == Rollout::Rolling {
        return (how, None);
    }
    let front = rollout::two_colours(sheet, part, site);
    let (Some(front), Some(first)) = (front, targets) else {
        let says = "no application load balancer of ours leads to it, and so its tasks are replaced part by part";
        if !sheet.notes.iter().any(|note| note.component == part.id && note.says == says) {
            sheet.note(part, says, "put it `behind` an `aws.alb` that is rendered");
        }
        return (Rollout::Rolling, None);
    };
    let (green, rule) = colours::of(sheet, (front, part), site, first);
    let managed = ["AmazonECSInfrastructureRolePolicyForLoadBalancers"];
    let role =
        role::service_role(sheet, part, site, (Group::Compute, "shift"), "ecs.amazonaws.com", &managed, Vec::new());
    let shift = map! {
        "AlternateTargetGroupArn" => green.get(), "ProductionListenerRule" => rule.get(), "RoleArn" => role.att("Arn"),
    };
    (how, Some(shift))
}

fn targets(sheet: &mut Sheet<'_>, part: &Part, site: &Site, firewall: &Target) -> Option<Target> {
    let front = part.component("behind").and_then(|id| sheet.part(&id))?;
    super::behind(sheet, front, part, site, ("ip", PORT, firewall))
}

/// What a task is: the region's own image of the workload's version.
fn task(sheet: &mut Sheet<'_>, part: &Part, site: &Site, fargate: bool) -> Target {
    let (root, asked) = (regional(site), sheet.asked(part));
    let logs = logs::group(sheet, Some(part), site, (Group::Compute, "logs"), None);
    let starts = role::service_role(
        sheet,
        part,
        site,
        (Group::Compute, "start"),
        "ecs-tasks.amazonaws.com",
        &["service-role/AmazonECSTaskExecutionRolePolicy"],
        Vec::new(),
    );
    let may = access::needed(sheet, part, site);
    let runs = role::service_role(sheet, part, site, (Group::Compute, "task"), "ecs-tasks.amazonaws.com", &[], may);
    let (cpu, memory) = if fargate { fargate_size(part) } else { (cpu(part), memory(part)) };
    let image = cat![ecr::repository(sheet, part, site), ":", version(sheet, site)];
    let log = map! { "awslogs-group" => logs.get(), "awslogs-region" => REGION, "awslogs-stream-prefix" => CONTAINER };
    let container = map! {
        "Name" => CONTAINER,
        "Image" => image,
        "Essential" => true,
        "ReadonlyRootFilesystem" => true,
        "PortMappings" => list![map! { "ContainerPort" => u32::from(PORT), "Protocol" => "tcp" }],
        "LogConfiguration" => map! { "LogDriver" => "awslogs", "Options" => log },
    };
    let properties = map! {
        "Family" => sheet.named([part.id.as_str()], 255),
        "RequiresCompatibilities" => list![if fargate { "FARGATE" } else { "EC2" }],
        "NetworkMode" => "awsvpc",
        "Cpu" => cpu.to_string(),
        "Memory" => memory.to_string(),
        "ExecutionRoleArn" => starts.att("Arn"),
        "TaskRoleArn" => runs.att("Arn"),
        "ContainerDefinitions" => list![container],
        "Tags" => sheet.tags(Some(part)),
    };
    sheet.add(&root, Resource::new(Group::Compute, "AWS::ECS::TaskDefinition", id(part, "task"), asked, properties))
}

/// The version that every region runs.
pub fn version(sheet: &mut Sheet<'_>, site: &Site) -> Value {
    let about = "The version of the workload, the same in every region.";
    match sheet.design.artifact.clone() {
        Some(artifact) => sheet.setting(&regional(site), "Artifact", about, artifact),
        None => sheet.ask(&regional(site), "Artifact", about, "the version that was built last, such as 2026.07.01"),
    }
}

/// CPU units, 1,024 to a CPU.
fn cpu(part: &Part) -> u64 {
    part.count("usage.vcpus").unwrap_or(1) * 1024
}

/// MiB.
fn memory(part: &Part) -> u64 {
    part.size("usage.memory").map_or(2048, |bytes| bytes.div_ceil(1 << 20))
}

/// The sizes that Fargate has (Amazon ECS Developer Guide, "Task CPU and memory"): CPU units, and MiB from, to, and by.
const SIZES: [(u64, u64, u64, u64); 7] = [
    (256, 512, 2048, 512),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
];

/// The smallest size that has as much as the spec wants.
fn fargate_size(part: &Part) -> (u64, u64) {
    let (cpu, memory) = (cpu(part), memory(part));
    let fits = SIZES.iter().find(|(units, _, most, _)| *units >= cpu && *most >= memory);
    let (units, least, most, step) = *fits.unwrap_or(&SIZES[SIZES.len() - 1]);
    (units, (memory.max(least).div_ceil(step) * step).min(most))
}

fn scaling(sheet: &mut Sheet<'_>, part: &Part, site: &Site, (cluster, service): (&Target, &Target)) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let (minimum, maximum) = asg::sizes(part, site);
    let number = |sheet: &mut Sheet<'_>, what: &str, about: String, value: u64| {
        let number = parameter(&id(part, what), "Number", &about, Given::Spec(value.to_string()));
        sheet.parameter(&root, number)
    };
    let least = number(sheet, "minimum", format!("The fewest tasks of {} in this region.", part.id), minimum);
    let target = map! {
        "ServiceNamespace" => "ecs",
        "ScalableDimension" => "ecs:service:DesiredCount",
        "ResourceId" => cat!["service/", cluster.get(), "/", service.att("Name")],
        "MinCapacity" => floor::of(sheet, part, site, least),
        "MaxCapacity" => number(sheet, "maximum", format!("The most tasks of {} in this region.", part.id), maximum),
    };
    let kind = "AWS::ApplicationAutoScaling::ScalableTarget";
    let target = sheet.add(&root, Resource::new(Group::Compute, kind, id(part, "scale"), asked.clone(), target));
    let policy = map! {
        "PolicyName" => sheet.named([part.id.as_str(), "cpu"], 255),
        "PolicyType" => "TargetTrackingScaling",
        "ScalingTargetId" => target.get(),
        "TargetTrackingScalingPolicyConfiguration" => map! {
            "PredefinedMetricSpecification" => map! { "PredefinedMetricType" => "ECSServiceAverageCPUUtilization" },
            "TargetValue" => 60,
            // Where nobody wants it to shrink by itself, it only grows.
            "DisableScaleIn" => part.bool("autoscale") != Some(true),
        },
    };
    let kind = "AWS::ApplicationAutoScaling::ScalingPolicy";
    sheet.add(&root, Resource::new(Group::Compute, kind, id(part, "scaling"), asked, policy));
}
