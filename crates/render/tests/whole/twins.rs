//! Two components of one kind stand beside one another: whatever AWS wants to have once, only one of them makes.

use std::collections::BTreeMap;

use antipode_render::resource::Resource;
use antipode_render::{RenderError, Rendering, render};
use model::{ComponentId, Design, Value};

use crate::specs;
use crate::words::{all, word};

/// What says the name of a thing, in one type or another.
const NAMES: [&str; 32] = [
    "AlarmName",
    "AliasName",
    "AutoScalingGroupName",
    "BackupPlan.BackupPlanName",
    "BackupVaultName",
    "BucketName",
    "CacheSubnetGroupName",
    "ClusterIdentifier",
    "ClusterName",
    "DashboardName",
    "DBClusterIdentifier",
    "DBInstanceIdentifier",
    "DBSubnetGroupName",
    "DomainName",
    "FunctionName",
    "GlobalClusterIdentifier",
    "GroupName",
    "LaunchTemplateName",
    "LogGroupName",
    "ManagedPolicyName",
    "Name",
    "QueueName",
    "RepositoryName",
    "ReplicationGroupId",
    "RoleName",
    "RuleName",
    "SecretName",
    "ServiceName",
    "StateMachineName",
    "StreamName",
    "TableName",
    "TopicName",
];

/// What tells things of a type apart, where that is not a name; of those with nothing, an account has one in a region.
const APART: [(&str, &[&str]); 38] = [
    ("AWS::ApiGatewayV2::ApiMapping", &["DomainName", "ApiMappingKey"]),
    ("AWS::ApplicationAutoScaling::ScalableTarget", &["ResourceId", "ScalableDimension"]),
    ("AWS::Config::ConfigurationRecorder", &[]),
    ("AWS::Config::DeliveryChannel", &[]),
    ("AWS::DRS::ReplicationConfigurationTemplate", &[]),
    ("AWS::EC2::NetworkAclEntry", &["NetworkAclId", "Egress", "RuleNumber"]),
    ("AWS::EC2::Route", &["RouteTableId", "DestinationCidrBlock"]),
    (
        "AWS::EC2::SecurityGroupIngress",
        &["GroupId", "CidrIp", "SourceSecurityGroupId", "SourcePrefixListId", "IpProtocol", "FromPort", "ToPort"],
    ),
    ("AWS::EC2::SubnetNetworkAclAssociation", &["SubnetId"]),
    ("AWS::EC2::SubnetRouteTableAssociation", &["SubnetId"]),
    ("AWS::EC2::TransitGatewayRoute", &["TransitGatewayRouteTableId", "DestinationCidrBlock"]),
    ("AWS::EC2::VPCEndpoint", &["VpcId", "ServiceName"]),
    ("AWS::EC2::VPCGatewayAttachment", &["VpcId", "InternetGatewayId"]),
    ("AWS::ECR::ReplicationConfiguration", &[]),
    ("AWS::EFS::MountTarget", &["FileSystemId", "SubnetId"]),
    ("AWS::EKS::Addon", &["ClusterName", "AddonName"]),
    ("AWS::ElasticLoadBalancingV2::Listener", &["LoadBalancerArn", "Port"]),
    ("AWS::ElasticLoadBalancingV2::ListenerRule", &["ListenerArn", "Priority"]),
    ("AWS::Events::EventBusPolicy", &["EventBusName", "StatementId"]),
    ("AWS::GlobalAccelerator::EndpointGroup", &["ListenerArn", "EndpointGroupRegion"]),
    ("AWS::GuardDuty::Detector", &[]),
    ("AWS::IAM::OIDCProvider", &["Url"]),
    ("AWS::Lambda::Alias", &["FunctionName", "Name"]),
    ("AWS::Lambda::EventInvokeConfig", &["FunctionName", "Qualifier"]),
    ("AWS::Lambda::EventSourceMapping", &["FunctionName", "EventSourceArn", "Topics"]),
    ("AWS::RDS::DBInstance", &["DBInstanceIdentifier"]),
    ("AWS::Route53::RecordSet", &["HostedZoneId", "Name", "Type", "SetIdentifier"]),
    ("AWS::Route53RecoveryControl::RoutingControl", &["ControlPanelArn", "Name"]),
    ("AWS::Route53RecoveryControl::SafetyRule", &["ControlPanelArn", "Name"]),
    ("AWS::S3::BucketPolicy", &["Bucket"]),
    ("AWS::SNS::TopicPolicy", &["Topics"]),
    ("AWS::SQS::QueuePolicy", &["Queues"]),
    ("AWS::SecurityHub::FindingAggregator", &[]),
    ("AWS::SecurityHub::Hub", &[]),
    ("AWS::Shield::Protection", &["ResourceArn"]),
    ("AWS::WAFv2::LoggingConfiguration", &["ResourceArn"]),
    ("AWS::WAFv2::WebACLAssociation", &["ResourceArn"]),
    ("AWS::XRay::SamplingRule", &["SamplingRule.RuleName"]),
];

/// Types whose names are of the whole account, not of a region.
const OF_ACCOUNT: [&str; 4] =
    ["AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::InstanceProfile", "AWS::S3::Bucket"];

/// Types of which several may have one name; of templates of DRS no page says that there can be one.
const ALIKE: [&str; 2] = ["AWS::CertificateManager::Certificate", "AWS::DRS::ReplicationConfigurationTemplate"];

/// Each component twice, where the spec's own words let it.
fn doubled(design: &Design) -> Design {
    let mut doubled = design.clone();
    for part in &design.components {
        let mut twin = part.clone();
        twin.id = ComponentId::new(format!("{}-two", part.id));
        let given: Vec<(String, String)> = ["id", "record", "image.name", "name"]
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), format!("two-{}", part.text(key)?))))
            .collect();
        given.into_iter().for_each(|(key, text)| twin.values.set(&key, Value::Text(text)));
        doubled.components.push(twin);
    }
    doubled
}

/// What cannot be there twice for reasons of the spec is there once.
fn rendered(name: &str, text: &str) -> (usize, Rendering) {
    let mut design = doubled(&specs::design(name, text));
    for _ in 0..20 {
        match render(&design, "antipode.yaml") {
            Ok(rendering) => return (design.components.iter().filter(|part| is_twin(&part.id)).count(), rendering),
            Err(RenderError::Impossible(problems)) => {
                let refused = |id: &ComponentId| {
                    problems.iter().any(|problem| problem.path.starts_with(&format!("components.{id}")))
                };
                let before = design.components.len();
                design.components.retain(|part| !is_twin(&part.id) || !refused(&part.id));
                assert_ne!(design.components.len(), before, "{name}: {problems:#?}");
            }
            Err(error) => panic!("{name}: {error:#?}"),
        }
    }
    panic!("{name}: refused again and again")
}

fn is_twin(id: &ComponentId) -> bool {
    id.as_str().ends_with("-two")
}

/// What nothing else of its type may say; `None` when several may be alike.
fn identity(resource: &Resource) -> Option<String> {
    if let Some((_, paths)) = APART.iter().find(|(kind, _)| *kind == resource.kind) {
        let said: Vec<String> = paths.iter().map(|path| all(resource, path).join(",")).collect();
        return (paths.is_empty() || said.iter().any(|said| !said.is_empty())).then(|| said.join(" "));
    }
    let name = NAMES.iter().find_map(|key| resource.properties.get(key))?;
    Some(word(name))
}

/// What has the name of another thing of its type.
fn twice(rendering: &Rendering) -> Vec<String> {
    let mut known: BTreeMap<(String, &str, String), Vec<String>> = BTreeMap::new();
    for stack in &rendering.stacks {
        for resource in stack.templates.iter().flat_map(|template| &template.resources) {
            let Some(name) = identity(resource).filter(|_| !ALIKE.contains(&resource.kind)) else { continue };
            let name = name.replace("{AWS::Region}", &stack.region);
            // What is named after another resource of its stack is that resource's.
            let within = match OF_ACCOUNT.contains(&resource.kind) {
                true => String::new(),
                false if name.contains('{') => stack.root.to_string(),
                false => stack.region.clone(),
            };
            let id = format!("{} of {}", resource.id, stack.root);
            known.entry((within, resource.kind, name)).or_default().push(id);
        }
    }
    let several = known.into_iter().filter(|(_, ids)| ids.len() > 1);
    several.map(|((_, kind, name), ids)| format!("{kind} {name}: {}", ids.join(", "))).collect()
}

#[test]
fn no_two_things_have_one_name() {
    let (mut wrong, mut twins) = (Vec::new(), 0);
    for (name, text) in specs::all() {
        let (count, rendering) = rendered(&name, &text);
        twins += count;
        wrong.extend(twice(&rendering).into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(twins > 250, "{twins} of the components are there twice");
}
