//! What keeps data, looked at by itself: writes that are refused, disks that fill, partitions that nobody leads.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric};
use super::{Tells, detection};
use crate::services::data::{dynamodb, elasticache, rds};
use crate::services::messaging::{kinesis, msk};
use crate::sheet::Sheet;
use crate::value::Value;

/// Percent of a disk or a memory: what is left goes quickly.
const FULL: u64 = 85;

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    match part.kind.name.as_str() {
        "aws.dynamodb" | "aws.dynamodb-global" => table(sheet, part, site),
        "aws.rds" => disk(sheet, part, site),
        "aws.elasticache" => memory(sheet, part, site),
        "aws.kinesis" => stream(sheet, part, site),
        "aws.msk" => cluster(sheet, part, site),
        _ => Vec::new(),
    }
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site, what: &str, look: Look, says: String) -> Alarm {
    let detection = detection::of(sheet, part, "errors");
    Alarm::new(sheet, part, Some(site), what, detection, look).tells(Tells::Impaired, says)
}

/// Errors of the service are counted by the operation that failed.
fn table(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = dynamodb::table(sheet, part, site);
    let schema = "SELECT SUM(SystemErrors) FROM SCHEMA(\"AWS/DynamoDB\", Operation, TableName)";
    let look = Look::Question(format!("{schema} WHERE TableName = '{name}'").into());
    let says = format!("Reads or writes of {} fail in {}, and not for what they ask.", part.id, site.id);
    let mut alarms = vec![one(sheet, part, site, "errors", look, says)];
    let refused = |metric| Metric::new("AWS/DynamoDB", metric, "Sum", vec![("TableName", Value::from(name.as_str()))]);
    let seen = vec![("reads", refused("ReadThrottleEvents")), ("writes", refused("WriteThrottleEvents"))];
    let look = Look::Formula(seen, "FILL(reads, 0) + FILL(writes, 0)".to_owned());
    let says = format!("Reads or writes of {} are refused for their rate in {}.", part.id, site.id);
    alarms.push(one(sheet, part, site, "throttles", look, says));
    alarms
}

/// A database whose disk is full takes no more writes, and no more of what it follows.
fn disk(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = rds::identifier(sheet, part, site);
    let look = Look::One(Metric::new("AWS/RDS", "FreeStorageSpace", "Minimum", vec![("DBInstanceIdentifier", name)]));
    let left = rds::storage(part) * (100 - FULL) / 100;
    let says = format!("{} in {} has less than {left} GiB left, and grows no more by itself.", part.id, site.id);
    vec![one(sheet, part, site, "disk", look, says).below(left << 30)]
}

fn memory(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let group = elasticache::group(sheet, part, site);
    let node = |number: &str| {
        let dimensions = vec![("CacheClusterId", Value::from(format!("{group}-{number}")))];
        Metric::new("AWS/ElastiCache", "DatabaseMemoryUsagePercentage", "Maximum", dimensions)
    };
    let look = Look::Formula(
        vec![("first", node("001")), ("second", node("002"))],
        "MAX([FILL(first, 0), FILL(second, 0)])".to_owned(),
    );
    let says = format!("{} in {} has {FULL} % of its memory in use, and drops what it keeps next.", part.id, site.id);
    vec![one(sheet, part, site, "memory", look, says).above(FULL)]
}

fn stream(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let dimensions = vec![("StreamName", kinesis::name(sheet, part, site).into())];
    let look = Look::One(Metric::new("AWS/Kinesis", "WriteProvisionedThroughputExceeded", "Sum", dimensions));
    let says = format!("Records for {} are refused for their rate in {}.", part.id, site.id);
    vec![one(sheet, part, site, "throttles", look, says)]
}

fn cluster(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = msk::name(sheet, part, site);
    let dimensions = vec![("Cluster Name", Value::from(name.as_str()))];
    let look = Look::One(Metric::new("AWS/Kafka", "OfflinePartitionsCount", "Maximum", dimensions));
    let says = format!(
        "Partitions of {} in {} have nobody who leads them: they are neither read nor written.",
        part.id, site.id
    );
    let offline = one(sheet, part, site, "partitions", look, says);
    let schema = "SELECT MAX(KafkaDataLogsDiskUsed) FROM SCHEMA(\"AWS/Kafka\", \"Broker ID\", \"Cluster Name\")";
    let look = Look::Question(format!("{schema} WHERE \"Cluster Name\" = '{name}'").into());
    let says = format!("A broker of {} in {} has {FULL} % of its disk in use.", part.id, site.id);
    vec![offline, one(sheet, part, site, "disk", look, says).above(FULL)]
}
