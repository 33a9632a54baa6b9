//! Elastic Disaster Recovery: how the disks of servers arrive in each region. The servers themselves, their launch settings
//! and a recovery have no resource types.

use model::Part;
use model::design::Site;

use crate::resource::Resource;
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::network;
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::Value;
use crate::{availability, list, map, names};

const TEMPLATE: &str = "AWS::DRS::ReplicationConfigurationTemplate";

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if sheet.renders(part) {
        for site in sheet.sites(part) {
            if availability::has(aws_region(site), TEMPLATE) {
                one(sheet, part, site);
            }
        }
    }
    let mark = format!("antipode:workload={},antipode:component={}", sheet.design.workload, part.id);
    sheet.note(
        part,
        "the service has to be switched on in each region before its stack, and source servers, launch settings, recoveries and the way back have no resource type",
        format!("aws drs initialize-service --region REGION; install the agent on each server, and mark its source server, by which a recovery finds it: aws drs tag-resource --resource-arn ARN --tags {mark} --region REGION; recover with aws drs start-recovery --region REGION --source-servers sourceServerID=ID, rehearse with --is-drill; go back with aws drs reverse-replication --recovery-instance-id ID"),
    );
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let firewall = network::firewall(sheet, part, site, "Replication servers: disks arrive on port 1500");
    let subnet = match network::private_subnets(sheet, site) {
        Value::List(subnets) => subnets.into_iter().next().unwrap_or_else(|| "".into()),
        given => Value::Select(0, Box::new(given)),
    };
    let point = |id: u64, unit: &str, interval: u64, kept: u64| {
        map! { "RuleID" => id, "Units" => unit, "Interval" => interval, "RetentionDuration" => kept, "Enabled" => true }
    };
    let properties = map! {
        "StagingAreaSubnetId" => subnet,
        "ReplicationServersSecurityGroupsIDs" => list![firewall.att("GroupId")],
        "AssociateDefaultSecurityGroup" => false,
        "CreatePublicIP" => false,
        "DataPlaneRouting" => "PRIVATE_IP",
        "BandwidthThrottling" => 0,
        "DefaultLargeStagingDiskType" => "GP3",
        "EbsEncryption" => "CUSTOM",
        "EbsEncryptionKeyArn" => kms::key(sheet, part, site),
        "ReplicationServerInstanceType" => "t3.small",
        "UseDedicatedReplicationServer" => false,
        "AutoReplicateNewDisks" => true,
        // A spoilt disk is copied as it is: minutes for an hour, hours for a day, days for a week.
        "PitPolicy" => list![point(1, "MINUTE", 10, 60), point(2, "HOUR", 1, 24), point(3, "DAY", 1, 7)],
        "StagingAreaTags" => sheet.tag_map(Some(part)),
        "Tags" => sheet.tags(Some(part)),
    };
    let id = names::logical([part.id.as_str(), "replication"]);
    sheet.add(&root, Resource::new(Group::Data, TEMPLATE, id, asked, properties));
}
