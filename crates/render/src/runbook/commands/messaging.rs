//! Whose events go where: to the cluster of the region that is moved to.

use super::{Made, Ways, by_hand, words};
use crate::runbook::names;
use crate::services::msk;
use crate::sheet::Sheet;

/// Producers and consumers are told of the other cluster's brokers, and start again. Consumers that were copied go on where they
/// were, and read some events twice.
pub fn moved(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let (part, called) = (ways.part, msk::name(sheet, ways.part, ways.to));
    let how = format!(
        "aws kafka list-clusters-v2 --cluster-name-filter {} --region {region} --query 'ClusterInfoList[?ClusterName==`{called}`] | [0].ClusterArn' --output text",
        names::quoted(&called)
    );
    let cluster = names::found(&[part.id.to_string(), ways.to.id.to_string()], "its cluster", &how);
    let how = format!(
        "aws kafka get-bootstrap-brokers --cluster-arn {} --region {region} --query 'BootstrapBrokerStringSaslIam || BootstrapBrokerStringTls' --output text",
        cluster.shell()
    );
    let brokers = names::found(&words(&part.id, "brokers"), "whom its clients ask first", &how);
    let mut commands = vec![format!(
        "echo {}   # what its clients in {region} are configured with, before they start again",
        brokers.shell()
    )];
    let here = sheet.needing(part).filter(|client| client.sites.is_empty() || client.is_in(&ways.to.id));
    commands.extend(here.map(|client| again(sheet, client, ways)));
    let written = format!(
        "SEARCH('\"'\"'Namespace=\\\"AWS/Kafka\\\" MetricName=\\\"BytesInPerSec\\\" \\\"{called}\\\"'\"'\"', '\"'\"'Average'\"'\"', 60)"
    );
    let see = format!(
        "aws cloudwatch get-metric-data --region {region} --start-time \"$(date -u -d '-10 minutes' +%FT%TZ)\" --end-time \"$(date -u +%FT%TZ)\" --metric-data-queries '[{{\"Id\":\"written\",\"Expression\":\"{written}\"}}]' --query 'MetricDataResults[].[Label,Values[0]]' --output text   # bytes in a second, by broker: more than none"
    );
    by_hand(commands, Some(see), vec![cluster, brokers])
}

/// How a client starts again.
fn again(sheet: &Sheet<'_>, client: &model::Part, ways: &Ways<'_>) -> String {
    let (_, region) = ways.regions();
    match client.kind.name.as_str() {
        "aws.ecs" | "aws.fargate" => {
            let name =
                crate::services::physical(client, ways.to).unwrap_or_else(|| sheet.named([client.id.as_str()], 255));
            let name = names::quoted(&name);
            format!("aws ecs update-service --cluster {name} --service {name} --force-new-deployment --region {region}")
        }
        _ => format!("# start {} in {region} again, as you always do", client.id),
    }
}
