//! Single machines. Behind a load balancer one is a group of one, which AWS replaces by itself; else it is an instance that
//! is moved to other hardware when its own fails, and has an address that stays.

use model::Part;
use model::design::Site;

use super::asg;
use crate::resource::Resource;
use crate::root::Group;
use crate::services::id;
use crate::services::traffic::security_group;
use crate::services::{is_at, network, role};
use crate::sheet::{Sheet, regional};
use crate::value::{PARTITION, REGION, Value};
use crate::{cat, list, map};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    for site in sheet.sites(part) {
        match in_group(sheet, part, site) {
            true => asg::one(sheet, part, site),
            false => instance(sheet, part, site),
        }
    }
    notes(sheet, part);
}

fn in_group(sheet: &Sheet<'_>, part: &Part, site: &Site) -> bool {
    let front = part.component("behind").and_then(|id| sheet.part(&id));
    front.is_some_and(|front| matches!(front.kind.name.as_str(), "aws.alb" | "aws.nlb") && is_at(front, site))
}

fn notes(sheet: &mut Sheet<'_>, part: &Part) {
    let alone: Vec<&Site> = sheet.sites(part).into_iter().filter(|site| !in_group(sheet, part, site)).collect();
    let stopped = alone.iter().filter(|site| part.at(&site.id).bool("stopped") == Some(true));
    let stop: Vec<String> = stopped
        .map(|site| {
            let region = crate::sheet::aws_region(site);
            format!(
                "aws ec2 stop-instances --region {region} --instance-ids ID, after the first deployment to {}",
                site.id
            )
        })
        .collect();
    if !stop.is_empty() {
        let says = "no template makes an instance that is stopped; deployments leave one as it is";
        sheet.note(part, says, stop.join("; "));
    }
    if !alone.is_empty() && part.count("peak").is_some_and(|peak| peak > 1) {
        let says = "it is one instance in each region, and its peak needs more";
        sheet.note(part, says, "say `kind: aws.asg`, which is a group over the zones");
    }
}

fn instance(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let profile = role::instance_profile(sheet, part, site);
    let mut groups = vec![asg::firewall(sheet, part, site).att("GroupId")];
    groups.extend(security_group::needed(sheet, part, site));
    let subnet = match network::public_subnets(sheet, site) {
        Value::List(subnets) => subnets.into_iter().next().unwrap_or(crate::value::NO_VALUE),
        subnets => Value::Select(0, Box::new(subnets)),
    };
    let mut marks = vec![map! { "Key" => "Name", "Value" => sheet.named([part.id.as_str()], 255) }.into()];
    if let Value::List(tags) = sheet.tags(Some(part)) {
        marks.extend(tags);
    }
    let properties = map! {
        "ImageId" => asg::image(sheet, part, site, ". Another image is another instance"),
        "InstanceType" => super::class(part, site),
        "IamInstanceProfile" => profile.get(),
        "SubnetId" => subnet,
        "SecurityGroupIds" => groups,
        "MetadataOptions" => asg::credentials(),
        "Monitoring" => true,
        "EbsOptimized" => true,
        "PropagateTagsToVolumeOnCreation" => true,
        "BlockDeviceMappings" => asg::disk(part),
        "Tags" => marks,
    };
    let kind = "AWS::EC2::Instance";
    let instance =
        sheet.add(&root, Resource::new(Group::Compute, kind, id(part, "instance"), asked.clone(), properties));
    let address = map! { "Domain" => "vpc", "Tags" => sheet.tags(Some(part)) };
    let address =
        sheet.add(&root, Resource::new(Group::Network, "AWS::EC2::EIP", id(part, "address"), asked.clone(), address));
    let joined = map! { "AllocationId" => address.att("AllocationId"), "InstanceId" => instance.get() };
    let kind = "AWS::EC2::EIPAssociation";
    sheet.add(&root, Resource::new(Group::Compute, kind, id(part, "address of instance"), asked.clone(), joined));
    // The hardware failed: the same instance, its disks and its address go on elsewhere in the zone.
    let recover = map! {
        "AlarmDescription" => format!("The hardware under {} failed", part.id),
        "Namespace" => "AWS/EC2",
        "MetricName" => "StatusCheckFailed_System",
        "Dimensions" => list![map! { "Name" => "InstanceId", "Value" => instance.get() }],
        "Statistic" => "Minimum",
        "Period" => 60,
        "EvaluationPeriods" => 2,
        "Threshold" => 0,
        "ComparisonOperator" => "GreaterThanThreshold",
        "AlarmActions" => list![cat!["arn:", PARTITION, ":automate:", REGION, ":ec2:recover"]],
        "Tags" => sheet.tags(Some(part)),
    };
    sheet.add(&root, Resource::new(Group::Compute, "AWS::CloudWatch::Alarm", id(part, "recovery"), asked, recover));
}

/// The address by which it is reached, which stays when the instance is replaced.
pub fn address(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let root = regional(site);
    if sheet.renders(part) {
        return sheet.target(&root, id(part, "address")).get();
    }
    let how = format!("aws ec2 describe-addresses --region {} --query 'Addresses[].PublicIp'", sheet.region(&root));
    let about = format!("The address of {} in this region, which stays when the instance is replaced.", part.id);
    sheet.ask(&root, &id(part, "address"), &about, how)
}
