//! Groups of instances over the zones of a region, started from the region's own image and replaced when they are unhealthy.

use super::{floor, rollout};
use crate::services::id;
use crate::services::in_each_region;
use model::Part;
use model::design::Site;

use crate::resource::{Given, Resource, Target};
use crate::root::{Group, Root};
use crate::services::{network, role};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::{Map, Value};
use crate::{list, map, names};

/// Where instances listen for their load balancer.
const PORT: u16 = 8080;
/// Seconds: the most that CloudFormation waits for one batch.
const LONGEST_PAUSE: u64 = 3600;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    in_each_region(sheet, part, one);
}

/// The group of one region.
pub fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let root = regional(site);
    let asked = sheet.asked(part);
    let template = launch_template(sheet, part, site);
    let (minimum, peak) = sizes(part, site);
    // One more than the peak, so that an instance is replaced while all the others serve. CloudFormation refuses to keep as
    // many in service as there can be at most (CloudFormation User Guide, "UpdatePolicy attribute").
    let maximum = part.at(&site.id).count("maximum").unwrap_or(peak + 1);
    let in_service = minimum.max(1).min(maximum.saturating_sub(1));
    let behind = part.component("behind").and_then(|id| sheet.part(&id));
    let targets = behind.and_then(|front| {
        let firewall = firewall(sheet, part, site);
        super::behind(sheet, front, part, site, ("instance", PORT, &firewall))
    });
    let warm_up = part.duration("warm_up").map_or(300, |time| time.as_secs());
    let marks = sheet
        .tag_map(Some(part))
        .0
        .into_iter()
        .map(|(key, value)| Value::Map(map! { "Key" => key, "Value" => value, "PropagateAtLaunch" => true }));
    let marks: Vec<Value> = marks.collect();
    let about = format!("The fewest instances of {} in this region.", part.id);
    let least = sheet.setting(&root, &id(part, "minimum"), &about, minimum.to_string());
    let properties = map! {
        "VPCZoneIdentifier" => network::private_subnets(sheet, site),
        "MinSize" => floor::of(sheet, part, site, least),
        "MaxSize" => sheet.setting(&root, &id(part, "maximum"), &format!("The most instances of {} in this region.", part.id), maximum.to_string()),
        "LaunchTemplate" => map! { "LaunchTemplateId" => template.get(), "Version" => template.att("LatestVersionNumber") },
        "HealthCheckType" => if targets.is_some() { "ELB" } else { "EC2" },
        "HealthCheckGracePeriod" => warm_up,
        "DefaultInstanceWarmup" => warm_up,
        "MetricsCollection" => list![map! { "Granularity" => "1Minute" }],
    };
    let properties =
        properties.with_some("TargetGroupARNs", targets.map(|group| list![group.get()])).with("Tags", marks);
    let mut group = Resource::new(
        Group::Compute,
        "AWS::AutoScaling::AutoScalingGroup",
        id(part, "group"),
        asked.clone(),
        properties,
    );
    // How many run is decided while it runs: nothing here sets it, so no deployment takes away what a recovery added.
    let alarm = rollout::of_balancer(sheet, part, site);
    let renewed = rollout::of_instances(sheet, part, site, alarm).unwrap_or_else(|| {
        map! { "AutoScalingRollingUpdate" => map! {
            "MinInstancesInService" => in_service, "MaxBatchSize" => 1, "PauseTime" => format!("PT{}S", warm_up.min(LONGEST_PAUSE)),
            "SuspendProcesses" => list!["HealthCheck", "ReplaceUnhealthy", "AZRebalance", "AlarmNotification", "ScheduledActions"],
        } }
    });
    // What a recovery made the fewest stays so until the template says another number (CloudFormation User Guide,
    // "UpdatePolicy attribute", AutoScalingScheduledAction).
    let left = map! { "IgnoreUnmodifiedGroupSizeProperties" => true };
    group.policies = map! { "UpdatePolicy" => renewed.with("AutoScalingScheduledAction", left) };
    let group = sheet.add(&root, group);
    if part.bool("autoscale") == Some(true) {
        let properties = map! {
            "AutoScalingGroupName" => group.get(),
            "PolicyType" => "TargetTrackingScaling",
            "TargetTrackingConfiguration" => map! {
                "PredefinedMetricSpecification" => map! { "PredefinedMetricType" => "ASGAverageCPUUtilization" },
                "TargetValue" => 60,
            },
        };
        sheet.add(
            &root,
            Resource::new(Group::Compute, "AWS::AutoScaling::ScalingPolicy", id(part, "scaling"), asked, properties),
        );
    }
}

/// The fewest and the most instances of a region: a share of the peak, and all of it when the others are lost.
pub fn sizes(part: &Part, site: &Site) -> (u64, u64) {
    let here = part.at(&site.id);
    let single = part.kind.name == "aws.ec2";
    let peak = here.count("peak").unwrap_or(if single { 1 } else { 2 });
    let share = here.percent("capacity").or(site.capacity).unwrap_or(100.0);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let ready = (peak as f64 * share / 100.0).ceil() as u64;
    let ready = if here.bool("stopped") == Some(true) { 0 } else { ready };
    let minimum = here.count("minimum").unwrap_or(ready);
    (minimum, here.count("maximum").unwrap_or(peak.max(minimum).max(1)))
}

/// The group's own name, which its metrics have.
pub fn name(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "group")).get(),
        false => crate::services::physical(part, site).unwrap_or_else(|| part.id.to_string()).into(),
    }
}

/// Its ARN, which has a number of AWS in it; asked for, where it is adopted, by the stack that names it.
pub fn arn(sheet: &mut Sheet<'_>, from: &Root, part: &Part, site: &Site) -> Value {
    let root = regional(site);
    if sheet.renders(part) {
        return sheet.target(&root, id(part, "group")).att("AutoScalingGroupARN");
    }
    let name = crate::services::physical(part, site).unwrap_or_else(|| part.id.to_string());
    let how = format!(
        "aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names {name} --region {} --query 'AutoScalingGroups[].AutoScalingGroupARN'",
        sheet.region(&root)
    );
    let name = names::logical([part.id.as_str(), "group arn", site.id.as_str()]);
    sheet.ask(from, &name, &format!("The ARN of the group {} in {}.", part.id, site.id), how)
}

/// What instances of this component may reach and be reached by.
pub fn firewall(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    network::firewall(sheet, part, site, "What the instances reach, and who reaches them")
}

/// The image of a region: a parameter of Systems Manager names it.
pub fn image(sheet: &mut Sheet<'_>, part: &Part, site: &Site, more: &str) -> Value {
    let path = format!("/{}/{}/image", sheet.design.workload, part.id);
    let about = format!("Where this region's image of {} is named: an SSM parameter{more}.", part.id);
    let kind = "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>";
    sheet.parameter(&regional(site), parameter(&id(part, "image"), kind, &about, Given::Spec(path)))
}

/// Credentials are given to who asks with a token from the instance itself, and to nobody behind it.
pub fn credentials() -> Map {
    map! { "HttpTokens" => "required", "HttpPutResponseHopLimit" => 1 }
}

/// The disk that an instance starts from, by the name that its image has for it (Amazon EC2 User Guide, "Device names for
/// volumes"): under another one it would be a second disk, and the first as the image has it.
pub fn disk(part: &Part) -> Value {
    let name = part.text("image.disk").unwrap_or("/dev/xvda");
    list![map! { "DeviceName" => name, "Ebs" => map! { "Encrypted" => true, "VolumeType" => "gp3" } }]
}

/// How an instance is started: the region's image, an encrypted disk, credentials by its role only.
pub fn launch_template(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let root = regional(site);
    let asked = sheet.asked(part);
    let group = firewall(sheet, part, site);
    let profile = role::instance_profile(sheet, part, site);
    let data = map! {
        "ImageId" => image(sheet, part, site, ", written by whoever builds or copies the image"),
        "InstanceType" => super::class(part, site),
        "IamInstanceProfile" => map! { "Arn" => profile.att("Arn") },
        "SecurityGroupIds" => list![group.att("GroupId")],
        "MetadataOptions" => credentials(),
        "Monitoring" => map! { "Enabled" => true },
        "BlockDeviceMappings" => disk(part),
        "TagSpecifications" => list![map! { "ResourceType" => "instance", "Tags" => sheet.tags(Some(part)) }],
    };
    sheet.add(
        &root,
        Resource::new(
            Group::Compute,
            "AWS::EC2::LaunchTemplate",
            id(part, "launch template"),
            asked,
            map! { "LaunchTemplateData" => data },
        ),
    )
}
