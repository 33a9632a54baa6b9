//! Containers on instances of the region: a group of instances over its zones that ECS grows and shrinks as tasks need it.

use model::Part;
use model::design::Site;

use super::asg;
use super::containers::{self, id};
use crate::resource::{Given, Resource, Target};
use crate::root::Group;
use crate::services::{network, role};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::Value;
use crate::{list, map};

/// AWS's own image for such instances, as this region has it.
const IMAGE: &str = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id";

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    for site in sheet.sites(part) {
        let cluster = containers::cluster(sheet, part, site);
        let (provider, joined) = provider(sheet, part, site, &cluster);
        let strategy = list![map! { "CapacityProvider" => provider.get(), "Weight" => 1 }];
        let launched = map! { "CapacityProviderStrategy" => strategy };
        // A cluster starts nothing by a provider that it has not joined yet.
        containers::service(sheet, part, site, &cluster, (launched, Some(joined)));
    }
}

/// The instances, and how ECS asks for more of them: the provider, and what joins it to the cluster.
fn provider(sheet: &mut Sheet<'_>, part: &Part, site: &Site, cluster: &Target) -> (Target, Target) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let template = launch_template(sheet, part, site);
    let most = super::asg::sizes(part, site).1;
    let about = format!("The most instances for {} in this region.", part.id);
    let most = parameter(&id(part, "most instances"), "Number", &about, Given::Spec(most.to_string()));
    let properties = map! {
        "VPCZoneIdentifier" => network::private_subnets(sheet, site),
        "MinSize" => "0",
        "MaxSize" => sheet.parameter(&root, most),
        "NewInstancesProtectedFromScaleIn" => true,
        "LaunchTemplate" => map! { "LaunchTemplateId" => template.get(), "Version" => template.att("LatestVersionNumber") },
        "Tags" => list![map! { "Key" => "AmazonECSManaged", "Value" => "true", "PropagateAtLaunch" => true }],
    };
    let kind = "AWS::AutoScaling::AutoScalingGroup";
    let group = sheet.add(&root, Resource::new(Group::Compute, kind, id(part, "group"), asked.clone(), properties));
    let managed = map! { "AutoScalingGroupArn" => group.att("AutoScalingGroupARN"), "ManagedTerminationProtection" => "ENABLED",
    "ManagedDraining" => "ENABLED", "ManagedScaling" => map! { "Status" => "ENABLED", "TargetCapacity" => 100 } };
    let provider = map! { "AutoScalingGroupProvider" => managed, "Tags" => sheet.tags(Some(part)) };
    let kind = "AWS::ECS::CapacityProvider";
    let provider = sheet.add(&root, Resource::new(Group::Compute, kind, id(part, "capacity"), asked.clone(), provider));
    let strategy = list![map! { "CapacityProvider" => provider.get(), "Weight" => 1 }];
    let joined = map! { "Cluster" => cluster.get(), "CapacityProviders" => list![provider.get()], "DefaultCapacityProviderStrategy" => strategy };
    let kind = "AWS::ECS::ClusterCapacityProviderAssociations";
    let joined = sheet.add(&root, Resource::new(Group::Compute, kind, id(part, "capacity of cluster"), asked, joined));
    (provider, joined)
}

fn launch_template(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let (root, asked) = (regional(site), sheet.asked(part));
    let about = "AWS's image for instances that run containers, as this region has it.";
    let image = parameter(
        &id(part, "image"),
        "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
        about,
        Given::Spec(IMAGE.to_owned()),
    );
    let firewall = network::firewall(sheet, part, site, "What the tasks reach, and who reaches them");
    let profile = instance_profile(sheet, part, site);
    // Instances know the cluster's name before it is there.
    let name = containers::name(sheet, part, site);
    let script = base64(&format!("#!/bin/sh\necho ECS_CLUSTER={name} >>/etc/ecs/ecs.config\n"));
    let data = map! {
        "ImageId" => sheet.parameter(&root, image),
        "InstanceType" => super::class(part, site),
        "IamInstanceProfile" => map! { "Arn" => profile.att("Arn") },
        "SecurityGroupIds" => list![firewall.att("GroupId")],
        "MetadataOptions" => asg::credentials(),
        "Monitoring" => map! { "Enabled" => true },
        "BlockDeviceMappings" => asg::disk(part),
        "UserData" => script,
        "TagSpecifications" => list![map! { "ResourceType" => "instance", "Tags" => sheet.tags(Some(part)) }],
    };
    let kind = "AWS::EC2::LaunchTemplate";
    let properties = map! { "LaunchTemplateData" => data };
    sheet.add(&root, Resource::new(Group::Compute, kind, id(part, "launch template"), asked, properties))
}

fn instance_profile(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let managed = ["service-role/AmazonEC2ContainerServiceforEC2Role", "AmazonSSMManagedInstanceCore"];
    let role =
        role::service_role(sheet, part, site, (Group::Compute, "instance"), "ec2.amazonaws.com", &managed, Vec::new());
    let asked = sheet.asked(part);
    let properties = map! { "Roles" => list![role.get()] };
    let kind = "AWS::IAM::InstanceProfile";
    sheet.add(&regional(site), Resource::new(Group::Compute, kind, id(part, "instance profile"), asked, properties))
}

/// What an instance runs at its first start is handed over in base 64.
fn base64(text: &str) -> Value {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for piece in text.as_bytes().chunks(3) {
        let bits = piece.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - piece.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= piece.len() { char::from(digit) } else { '=' });
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_handed_over_in_base_64() {
        for (text, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(text), Value::from(coded));
        }
    }
}
