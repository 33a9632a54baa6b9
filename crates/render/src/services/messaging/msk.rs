//! Kafka: a cluster over the zones of each region, and in each region a replicator that brings the others' topics.
//!
//! What a cluster is called by has a number of AWS in it, and two regions that each wait for the other's number could never
//! begin. So the other cluster is state: empty at first, and said once it stands.

use model::Part;
use model::design::Site;

use super::{id, named};
use crate::resource::{Condition, Keep, Resource, Target};
use crate::root::Group;
use crate::services::data::database;
use crate::services::guard::kms;
use crate::services::{logs, network, peers, role};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, PARTITION, REGION, Value};
use crate::{cat, list, map};

/// Where clients come in by their role.
const PORT: u16 = 9098;
/// Of a broker, when the spec says nothing.
const GIBIBYTES: u64 = 100;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let sites = sheet.sites(part);
    for site in &sites {
        settled(sheet, part, site);
        let (cluster, firewall) = cluster(sheet, part, site);
        if part.word("replication") != Some("none") {
            for other in sites.iter().filter(|other| other.id != site.id) {
                replicator(sheet, part, site, other, (&cluster, &firewall));
            }
        }
    }
    if sites.len() > 1 && part.word("replication") != Some("none") {
        sheet.note(
            part,
            "replicators are made once the clusters stand, and need to be told of each other",
            "aws kafka list-clusters-v2 --region REGION --query 'ClusterInfoList[].ClusterArn', and give it as the parameter that ends in the other region's name at the second deployment",
        );
    }
}

/// The subnets of a cluster are those that it was made in (CloudFormation, "AWS::MSK::Cluster BrokerNodeGroupInfo"): others are
/// another cluster, which cannot have the name of the one that stands.
fn settled(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    if network::others_than_before(sheet, site, &id(part, "cluster")) {
        sheet.problem(
            &format!("sites.{}", site.id),
            format!("`{}` stands in the zones that {} had when it was made, and cannot come to others", part.id, site.id),
            "leave its zones as they are; or give the component another name: that is another cluster beside it, and the old one stays until somebody deletes it",
        );
    }
}

fn cluster(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> (Target, Target) {
    let (root, asked) = (regional(site), sheet.asked(part));
    network::firewall(sheet, part, site, "Who reaches the brokers");
    let firewall = database::firewall(sheet, part, site, PORT);
    let itself = map! {
        "GroupId" => firewall.att("GroupId"), "SourceSecurityGroupId" => firewall.att("GroupId"), "IpProtocol" => "tcp",
        "FromPort" => u32::from(PORT), "ToPort" => u32::from(PORT), "Description" => "replicators",
    };
    let inside =
        Resource::new(Group::Security, "AWS::EC2::SecurityGroupIngress", id(part, "within"), asked.clone(), itself);
    sheet.add(&root, inside);
    let zones = network::zones(site).len() as u64;
    let brokers = part.at(&site.id).count("usage.instances").unwrap_or(zones).div_ceil(zones) * zones;
    let size = part.size("size").map_or(GIBIBYTES, |bytes| bytes.div_ceil(1 << 30).div_ceil(brokers).max(1));
    let stand = peers::stand(sheet, &root, part);
    let by_role = || map! { "Sasl" => map! { "Iam" => map! { "Enabled" => true } } };
    // Other networks are let in by an update only (MSK Developer Guide, "Multi-VPC private connectivity").
    let others = Value::when(stand, map! { "VpcConnectivity" => map! { "ClientAuthentication" => by_role() } });
    let nodes = map! {
        "ClientSubnets" => network::private_subnets(sheet, site), "SecurityGroups" => list![firewall.att("GroupId")],
        "InstanceType" => part.at(&site.id).text("usage.class").unwrap_or("kafka.m7g.large"),
        "StorageInfo" => map! { "EBSStorageInfo" => map! { "VolumeSize" => size } }, "ConnectivityInfo" => others,
    };
    let log = logs::group(sheet, Some(part), site, (Group::Data, "logs"), None);
    let key = kms::key(sheet, part, site);
    let properties = map! {
        "ClusterName" => name(sheet, part, site),
        "KafkaVersion" => "3.8.x",
        "NumberOfBrokerNodes" => brokers,
        "BrokerNodeGroupInfo" => nodes,
        "EncryptionInfo" => map! {
            "EncryptionAtRest" => map! { "DataVolumeKMSKeyId" => key },
            "EncryptionInTransit" => map! { "ClientBroker" => "TLS", "InCluster" => true },
        },
        "ClientAuthentication" => by_role(),
        "EnhancedMonitoring" => "PER_TOPIC_PER_BROKER",
        "LoggingInfo" => map! { "BrokerLogs" => map! { "CloudWatchLogs" => map! { "Enabled" => true, "LogGroup" => log.get() } } },
        "Tags" => sheet.tag_map(Some(part)),
    };
    let cluster = Resource::new(Group::Data, "AWS::MSK::Cluster", id(part, "cluster"), asked.clone(), properties);
    let cluster = sheet.add(&root, cluster.keep(Keep::Retain));
    let reads = map! {
        "Effect" => "Allow", "Principal" => map! { "Service" => "kafka.amazonaws.com" },
        "Action" => list!["kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2"],
        "Resource" => cluster.get(),
    };
    let policy = map! { "ClusterArn" => cluster.get(), "Policy" => role::policy(vec![reads.into()]) };
    let stand = peers::stand(sheet, &root, part);
    let policy = Resource::new(Group::Data, "AWS::MSK::ClusterPolicy", id(part, "policy"), asked, policy);
    sheet.add(&root, policy.only_if(stand));
    (cluster, firewall)
}

/// The name of the cluster of a region, which its metrics have.
pub fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    named(sheet, part, site, 64)
}

/// What the replicator that brings the topics of `other` is called.
pub fn replicator_name(sheet: &Sheet<'_>, part: &Part, other: &Site) -> String {
    sheet.named([part.id.as_str(), "from", other.id.as_str()], 120)
}

/// Brings what `other` has to `site`, under the same names: what was brought once is not brought back (MSK Developer Guide,
/// "Replicate topics with identical names").
fn replicator(sheet: &mut Sheet<'_>, part: &Part, site: &Site, other: &Site, (cluster, firewall): (&Target, &Target)) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let about = format!("The ARN of the cluster of {} in {}, once it stands.", part.id, other.id);
    let there = sheet.state(&root, &id(part, &format!("cluster in {}", other.id)), &about, "");
    let known = Condition::given(id(part, &format!("knows {}", other.id)), there.clone());
    let own = |what: &str| cat!["arn:", PARTITION, ":kafka:", REGION, ":", ACCOUNT, ":", what, "/*"];
    let far = |what: &str| cat!["arn:", PARTITION, ":kafka:", aws_region(other), ":", ACCOUNT, ":", what, "/*"];
    let connect = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster"];
    let reads = [
        "kafka-cluster:DescribeTopic",
        "kafka-cluster:DescribeTopicDynamicConfiguration",
        "kafka-cluster:ReadData",
        "kafka-cluster:DescribeGroup",
        "kafka-cluster:AlterGroup",
    ];
    let writes = [
        "kafka-cluster:AlterTopic",
        "kafka-cluster:AlterTopicDynamicConfiguration",
        "kafka-cluster:CreateTopic",
        "kafka-cluster:WriteData",
        "kafka-cluster:WriteDataIdempotently",
        "kafka-cluster:AlterCluster",
    ];
    let may = vec![
        role::allow(&connect, vec![own("cluster"), far("cluster")]),
        role::allow(&reads, vec![own("topic"), own("group"), far("topic"), far("group")]),
        role::allow(&writes, vec![own("cluster"), own("topic")]),
    ];
    let what = format!("from {}", other.id);
    let role = role::service_role(sheet, part, site, (Group::Data, &what), "kafka.amazonaws.com", &[], may);
    let network = map! { "SubnetIds" => network::private_subnets(sheet, site), "SecurityGroupIds" => list![firewall.att("GroupId")] };
    let end =
        |arn: Value| map! { "AmazonMskCluster" => map! { "MskClusterArn" => arn }, "VpcConfig" => network.clone() };
    let topics = map! {
        "TopicsToReplicate" => list![".*"], "DetectAndCopyNewTopics" => true, "CopyTopicConfigurations" => true,
        "CopyAccessControlListsForTopics" => true, "TopicNameConfiguration" => map! { "Type" => "IDENTICAL" },
        "StartingPosition" => map! { "Type" => "EARLIEST" },
    };
    let groups = map! { "ConsumerGroupsToReplicate" => list![".*"], "SynchroniseConsumerGroupOffsets" => true, "DetectAndCopyNewConsumerGroups" => true };
    let info = map! {
        "SourceKafkaClusterArn" => there.clone(), "TargetKafkaClusterArn" => cluster.get(), "TargetCompressionType" => "NONE",
        "TopicReplication" => topics, "ConsumerGroupReplication" => groups,
    };
    let properties = map! {
        "ReplicatorName" => replicator_name(sheet, part, other),
        "KafkaClusters" => list![end(there), end(cluster.get())],
        "ReplicationInfoList" => list![info],
        "ServiceExecutionRoleArn" => role.att("Arn"),
        "Tags" => sheet.tags(Some(part)),
    };
    let replicator = Resource::new(Group::Data, "AWS::MSK::Replicator", id(part, &what), asked, properties);
    sheet.add(&root, replicator.only_if(known));
}
