//! Kubernetes: a cluster in each region, with nodes over its zones, reached from its own network only.

use model::Part;
use model::design::Site;

use super::{asg, first, floor};
use crate::resource::{Condition, Given, Resource, Target};
use crate::root::Group;
use crate::services::id;
use crate::services::{logs, network, physical, role};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{cat, list, map};

/// What every cluster needs before anything runs on it; the second has to find a node.
const ADDONS: [&str; 5] =
    ["vpc-cni", "coredns", "kube-proxy", "eks-pod-identity-agent", "amazon-cloudwatch-observability"];
const LOGGED: [&str; 5] = ["api", "audit", "authenticator", "controllerManager", "scheduler"];

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    for site in sheet.sites(part) {
        let cluster = cluster(sheet, part, site);
        let nodes = nodes(sheet, part, site, &cluster);
        addons(sheet, part, site, (&cluster, &nodes));
        let_in(sheet, part, site, &cluster);
        let provider = map! { "Url" => cluster.att("OpenIdConnectIssuerUrl"), "ClientIdList" => list!["sts.amazonaws.com"], "Tags" => sheet.tags(Some(part)) };
        add(sheet, part, site, (Group::Compute, "AWS::IAM::OIDCProvider", "identity"), provider);
    }
    // Amazon EKS API reference, "NodegroupScalingConfig": what is wanted lies between the fewest and the most.
    let Some(cluster) = sheet.sites(part).first().map(|site| name(sheet, part, site)) else { return };
    sheet.note(
        part,
        "a deployment that makes its fewest nodes more than there are is refused: it does not say again how many there are",
        format!(
            "before that deployment, in each region: aws eks update-nodegroup-config --cluster-name {cluster} --nodegroup-name NODEGROUP --scaling-config desiredSize=NODES --region REGION; aws eks list-nodegroups names it"
        ),
    );
}

/// What the cluster of a region is called.
pub fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    physical(part, site).unwrap_or_else(|| sheet.named([part.id.as_str()], 100))
}

/// The deployments that are scaled when a region is taken, each with its namespace; `None` when one cannot be.
pub fn scaled(sheet: &mut Sheet<'_>, part: &Part) -> Option<Vec<(String, String)>> {
    let plain = |word: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (2..=63).contains(&word.len()) && word.chars().all(fits) && !word.starts_with('-') && !word.ends_with('-')
    };
    let mut named = Vec::new();
    for text in part.words("scales").unwrap_or_default() {
        match text.split_once('/').filter(|(namespace, name)| plain(namespace) && plain(name)) {
            Some((namespace, name)) => named.push((namespace.to_owned(), name.to_owned())),
            None => {
                let path = format!("components.{}.scales", part.id);
                if !sheet.problems.iter().any(|problem| problem.path == path) {
                    let says = format!("`{text}` is no deployment of a namespace");
                    sheet.problem(&path, says, "name it like shop/api, as Kubernetes does");
                }
                return None;
            }
        }
    }
    Some(named)
}

/// The parameter that lets a plan of Region switch in.
pub fn let_in_how(part: &Part) -> String {
    id(part, "switch role")
}

/// Lets a plan of Region switch scale, and nothing else, in the namespaces that it is for. Its role is made after the
/// regions, so each cluster is told of it once it stands.
fn let_in(sheet: &mut Sheet<'_>, part: &Part, site: &Site, cluster: &Target) {
    let named = scaled(sheet, part).unwrap_or_default();
    if named.is_empty() {
        return;
    }
    let name = let_in_how(part);
    let about = format!("The ARN of the role of a plan of Region switch that may scale in {}; empty: none.", part.id);
    let role = sheet.state(&regional(site), &name, &about, "");
    let known = Condition::given(format!("{name}IsKnown"), role.clone());
    let mut namespaces: Vec<Value> = Vec::new();
    for (namespace, _) in &named {
        let namespace = Value::from(namespace.as_str());
        if !namespaces.contains(&namespace) {
            namespaces.push(namespace);
        }
    }
    let policy = cat!["arn:", PARTITION, ":eks::aws:cluster-access-policy/AmazonARCRegionSwitchScalingPolicy"];
    let scope = map! { "Type" => "namespace", "Namespaces" => namespaces };
    let properties = map! {
        "ClusterName" => cluster.get(), "PrincipalArn" => role, "Type" => "STANDARD",
        "AccessPolicies" => list![map! { "PolicyArn" => policy, "AccessScope" => scope }], "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    let entry = Resource::new(Group::Compute, "AWS::EKS::AccessEntry", id(part, "switch access"), asked, properties);
    sheet.add(&regional(site), entry.only_if(known));
}

fn add(sheet: &mut Sheet<'_>, part: &Part, site: &Site, what: (Group, &'static str, &str), properties: Map) -> Target {
    let asked = sheet.asked(part);
    sheet.add(&regional(site), Resource::new(what.0, what.1, id(part, what.2), asked, properties))
}

fn cluster(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let name = name(sheet, part, site);
    let group = format!("/aws/eks/{name}/cluster");
    let logs = logs::group(sheet, Some(part), site, (Group::Compute, "logs"), Some(group));
    let key = key(sheet, part, site);
    let role = role::service_role(
        sheet,
        part,
        site,
        (Group::Compute, "cluster"),
        "eks.amazonaws.com",
        &["AmazonEKSClusterPolicy"],
        Vec::new(),
    );
    let firewall = network::firewall(sheet, part, site, "Who reaches the cluster");
    let logged: Vec<Value> = LOGGED.iter().map(|kind| map! { "Type" => *kind }.into()).collect();
    let properties = map! {
        "Name" => name,
        "RoleArn" => role.att("Arn"),
        "ResourcesVpcConfig" => map! {
            "SubnetIds" => network::private_subnets(sheet, site), "SecurityGroupIds" => list![firewall.att("GroupId")],
            "EndpointPrivateAccess" => true, "EndpointPublicAccess" => false,
        },
        "AccessConfig" => map! { "AuthenticationMode" => "API" },
        "EncryptionConfig" => list![map! { "Provider" => map! { "KeyArn" => key.att("Arn") }, "Resources" => list!["secrets"] }],
        "Logging" => map! { "ClusterLogging" => map! { "EnabledTypes" => logged } },
        "ZonalShiftConfig" => map! { "Enabled" => true },
        "DeletionProtection" => true,
        "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    let cluster = Resource::new(Group::Compute, "AWS::EKS::Cluster", id(part, "cluster"), asked, properties);
    sheet.add(&regional(site), cluster.after(logs))
}

/// What the cluster's secrets are encrypted with.
fn key(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let owner = map! {
        "Sid" => "Owner", "Effect" => "Allow", "Principal" => map! { "AWS" => cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":root"] },
        "Action" => "kms:*", "Resource" => "*",
    };
    let properties = map! {
        "Description" => format!("Encrypts the secrets of {}", part.id),
        "EnableKeyRotation" => true,
        "KeyPolicy" => role::policy(vec![owner.into()]),
        "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    let key = Resource::new(Group::Security, "AWS::KMS::Key", id(part, "secrets key"), asked, properties);
    sheet.add(&regional(site), key.keep(crate::resource::Keep::Retain))
}

fn nodes(sheet: &mut Sheet<'_>, part: &Part, site: &Site, cluster: &Target) -> Target {
    let root = regional(site);
    let managed = [
        "AmazonEKSWorkerNodePolicy",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEKS_CNI_Policy",
        "AmazonSSMManagedInstanceCore",
        "CloudWatchAgentServerPolicy",
    ];
    let role =
        role::service_role(sheet, part, site, (Group::Compute, "node"), "ec2.amazonaws.com", &managed, Vec::new());
    // Named here, the group of the cluster does not come by itself. The component's own is what data and load balancers let in.
    let firewall = network::firewall(sheet, part, site, "Who reaches the cluster");
    let data = map! {
        "SecurityGroupIds" => list![cluster.att("ClusterSecurityGroupId"), firewall.att("GroupId")],
        "MetadataOptions" => asg::credentials(),
        "BlockDeviceMappings" => list![map! { "DeviceName" => "/dev/xvda", "Ebs" => map! { "Encrypted" => true, "VolumeType" => "gp3", "VolumeSize" => 50 } }],
    };
    let template = map! { "LaunchTemplateData" => data };
    let template = add(sheet, part, site, (Group::Compute, "AWS::EC2::LaunchTemplate", "launch template"), template);
    let (minimum, maximum) = asg::sizes(part, site);
    let number = |sheet: &mut Sheet<'_>, what: &str, about: &str, value: Given| {
        let about = format!("{about} of {} in this region.", part.id);
        sheet.parameter(&root, parameter(&id(part, what), "Number", &about, value))
    };
    let least = number(sheet, "minimum", "The fewest nodes", Given::Spec(minimum.to_string()));
    let sizes = map! {
        "MinSize" => floor::of(sheet, part, site, least),
        "MaxSize" => number(sheet, "maximum", "The most nodes", Given::Spec(maximum.to_string())),
        "DesiredSize" => first::only(sheet, part, site, ("nodes", "nodes"), minimum),
    };
    let properties = map! {
        "ClusterName" => cluster.get(),
        "NodeRole" => role.att("Arn"),
        "Subnets" => network::private_subnets(sheet, site),
        "InstanceTypes" => list![super::class(part, site)],
        "ScalingConfig" => sizes,
        "LaunchTemplate" => map! { "Id" => template.get(), "Version" => template.att("LatestVersionNumber") },
        "UpdateConfig" => map! { "MaxUnavailable" => 1 },
        "NodeRepairConfig" => map! { "Enabled" => true },
        "Tags" => sheet.tag_map(Some(part)),
    };
    add(sheet, part, site, (Group::Compute, "AWS::EKS::Nodegroup", "nodes"), properties)
}

fn addons(sheet: &mut Sheet<'_>, part: &Part, site: &Site, (cluster, nodes): (&Target, &Target)) {
    for name in ADDONS {
        let properties = map! { "AddonName" => name, "ClusterName" => cluster.get(), "ResolveConflicts" => "OVERWRITE", "Tags" => sheet.tags(Some(part)) };
        let asked = sheet.asked(part);
        let addon = Resource::new(Group::Compute, "AWS::EKS::Addon", id(part, name), asked, properties);
        let addon = if ["coredns", "amazon-cloudwatch-observability"].contains(&name) {
            addon.after(nodes.clone())
        } else {
            addon
        };
        sheet.add(&regional(site), addon);
    }
}
