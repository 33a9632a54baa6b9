//! Around the network of a region: a log of who spoke to whom, and ways to the services that a recovery calls which need no
//! internet.

use model::design::Site;

use crate::resource::Resource;
use crate::root::Group;
use crate::services::{logs, role};
use crate::sheet::{Sheet, regional};
use crate::value::REGION;
use crate::{cat, list, map, names};

/// What a recovery calls, and what an instance needs in order to start and to be reached (seed 003 section 22.2: no
/// dependency of the recovery on the internet). S3 and DynamoDB have gateways.
const SERVICES: [&str; 18] = [
    "autoscaling",
    "ec2",
    "ec2messages",
    "ecr.api",
    "ecr.dkr",
    "ecs",
    "elasticfilesystem",
    "elasticloadbalancing",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "rds",
    "secretsmanager",
    "sqs",
    "ssm",
    "ssmmessages",
    "sts",
];

pub fn flow_logs(sheet: &mut Sheet<'_>, site: &Site) {
    let (root, asked) = (regional(site), sheet.asked_by(&format!("sites.{}", site.id)));
    let group = logs::group(sheet, None, site, (Group::Security, "flows"), None);
    let writes = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"];
    // Which groups there are is a question about all of them.
    let may =
        vec![role::allow(&writes, vec![group.att("Arn")]), role::allow(&["logs:DescribeLogGroups"], vec!["*".into()])];
    let role = role::of_workload(sheet, &root, (Group::Security, "flow logs"), "vpc-flow-logs.amazonaws.com", may);
    let properties = map! {
        "ResourceId" => sheet.target(&root, "Vpc").get(),
        "ResourceType" => "VPC",
        "TrafficType" => "ALL",
        "LogDestinationType" => "cloud-watch-logs",
        "LogGroupName" => group.get(),
        "DeliverLogsPermissionArn" => role.att("Arn"),
        "MaxAggregationInterval" => 60,
        "Tags" => sheet.tags(None),
    };
    sheet.add(&root, Resource::new(Group::Security, "AWS::EC2::FlowLog", "FlowLog", asked, properties));
}

pub fn endpoints(sheet: &mut Sheet<'_>, site: &Site) {
    let root = regional(site);
    let part = sheet.of_kind("aws.vpc").next();
    let asked = part.map_or_else(|| sheet.asked_by(&format!("sites.{}", site.id)), |part| sheet.asked(part));
    let vpc = sheet.target(&root, "Vpc");
    let rule = map! {
        "IpProtocol" => "tcp", "FromPort" => 443, "ToPort" => 443, "CidrIp" => vpc.att("CidrBlock"), "Description" => "the network itself",
    };
    let properties = map! {
        "GroupDescription" => "Lets the network reach the services", "VpcId" => vpc.get(),
        "SecurityGroupIngress" => list![rule], "Tags" => sheet.tags(part),
    };
    let kind = "AWS::EC2::SecurityGroup";
    let group =
        sheet.add(&root, Resource::new(Group::Security, kind, "EndpointsSecurityGroup", asked.clone(), properties));
    let subnets = super::private_subnets(sheet, site);
    for service in SERVICES {
        let properties = map! {
            "VpcId" => vpc.get(),
            "VpcEndpointType" => "Interface",
            "ServiceName" => cat!["com.amazonaws.", REGION, format!(".{service}")],
            "PrivateDnsEnabled" => true,
            "SubnetIds" => subnets.clone(),
            "SecurityGroupIds" => list![group.att("GroupId")],
        };
        let id = names::logical([service, "endpoint"]);
        sheet.add(&root, Resource::new(Group::Security, "AWS::EC2::VPCEndpoint", id, asked.clone(), properties));
    }
}
