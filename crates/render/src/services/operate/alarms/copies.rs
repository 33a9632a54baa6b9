//! How far each copy of the data is behind, in the region that has the copy: there it can be seen when the other region
//! cannot.

use std::time::Duration;

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection};
use crate::services::data::{aurora, dynamodb, efs, elasticache, rds, s3};
use crate::services::messaging::msk;
use crate::sheet::{Sheet, aws_region};
use crate::value::Value;
use crate::{cat, names};

/// Seconds (Amazon RDS User Guide, "Monitoring replication lag" of PostgreSQL: `archive_timeout` is five minutes there).
const IDLE: u64 = 300;
/// When neither the spec nor the kind says how far behind is too far.
const TOO_FAR: Duration = Duration::from_secs(60);

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    if sheet.peers(part, site).is_empty() || part.word("replication") == Some("none") {
        return Vec::new();
    }
    match part.kind.name.as_str() {
        // What waits for every region before it says yes is behind nowhere, and reports no latency (Amazon DynamoDB Developer
        // Guide, "Multi-Region strong consistency").
        "aws.dynamodb-global" if part.word("replication") == Some("synchronous") => Vec::new(),
        "aws.drs" => servers(sheet, part, site),
        "aws.rds" => replica(sheet, part, site),
        "aws.aurora-global" => cluster(sheet, part, site),
        "aws.dynamodb-global" => table(sheet, part, site),
        "aws.s3" => bucket(sheet, part, site),
        "aws.efs" => files(sheet, part, site),
        "aws.elasticache" => cache(sheet, part, site),
        "aws.msk" => topics(sheet, part, site),
        _ => Vec::new(),
    }
}

/// From which lag on somebody is woken. Half of the RPO: a lag grows while the alarm still looks. But not what the kind has
/// on an ordinary day, which would wake people every day.
fn too_far(sheet: &Sheet<'_>, part: &Part) -> Duration {
    if let Some(said) = part.duration("lag_alarm") {
        return said;
    }
    let rpo = part.duration("objectives.rpo").or(sheet.design.objectives.rpo);
    let typical = part.across_regions().and_then(|mode| mode.rpo_typical).map(|usual| usual * 2);
    rpo.map(|rpo| rpo / 2).max(typical).unwrap_or(TOO_FAR).max(Duration::from_secs(1))
}

fn lag(sheet: &mut Sheet<'_>, part: &Part, site: &Site, look: Look, unit: Unit) -> Alarm {
    let limit = too_far(sheet, part);
    let detection = detection::of(sheet, part, "lag");
    let says = format!("The copy of {} in {} is more than {} s behind.", part.id, site.id, limit.as_secs_f64());
    let limit = match unit {
        Unit::Seconds => limit.as_secs().max(1),
        Unit::Milliseconds => u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
    };
    Alarm::new(sheet, part, Some(site), "lag", detection, look).above(limit).tells(Tells::Unready, says)
}

#[derive(Clone, Copy)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// A replica that reports nothing is broken; what follows nobody has nothing to report. Which one it is, is state. One that
/// does not copy any more says −1 (Amazon RDS User Guide, "Monitoring read replication"), which is as bad as can be.
fn replica(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = rds::identifier(sheet, part, site);
    let metric = Metric::new("AWS/RDS", "ReplicaLag", "Maximum", vec![("DBInstanceIdentifier", name)]);
    let limit = too_far(sheet, part).as_secs().max(1);
    let look = Look::Formula(vec![("lag", metric)], format!("IF(lag < 0, {}, lag)", limit + 1));
    idle(sheet, part, limit);
    let missing = match sheet.renders(part) {
        true => Missing::Depends(Value::either(rds::lags(sheet, part, site), "breaching", "notBreaching")),
        false => Missing::Unknown,
    };
    vec![lag(sheet, part, site, look, Unit::Seconds).missing(missing)]
}

/// An idle PostgreSQL writes a segment of its log every five minutes, and its replicas say that they are so far behind.
fn idle(sheet: &mut Sheet<'_>, part: &Part, limit: u64) {
    let says =
        format!("a replica of an idle PostgreSQL says that it is up to {IDLE} s behind, and {limit} s wake people");
    let postgres = part.word("engine").is_none_or(|engine| engine == "postgres");
    if !postgres || limit >= IDLE || sheet.notes.iter().any(|note| note.component == part.id && note.says == says) {
        return;
    }
    let how = "where nothing may be written for minutes, let a job write a row each ten seconds, or say a `lag_alarm` of more than 5m";
    sheet.note(part, says, how);
}

/// Only a cluster that follows reports it, and which one does is the service's own state.
fn cluster(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = aurora::identifier(sheet, part, site);
    let metric =
        Metric::new("AWS/RDS", "AuroraGlobalDBReplicationLag", "Maximum", vec![("DBClusterIdentifier", name.into())]);
    vec![lag(sheet, part, site, Look::One(metric), Unit::Milliseconds).missing(Missing::Unknown)]
}

/// Each replica reports how long its writes take to each other one; one that nobody writes to reports nothing. Writes that
/// are refused for their rate are the replicated ones too.
fn table(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = dynamodb::table(sheet, part, site);
    let mut alarms = Vec::new();
    for other in sheet.peers(part, site) {
        let dimensions = vec![("TableName", Value::from(name.as_str())), ("ReceivingRegion", aws_region(other).into())];
        let look = Look::One(Metric::new("AWS/DynamoDB", "ReplicationLatency", "Maximum", dimensions));
        let alarm = lag(sheet, part, site, look, Unit::Milliseconds);
        alarms.push(told_apart(sheet, alarm, part, site, &format!("lag to {}", other.id)));
    }
    let refused = |metric| Metric::new("AWS/DynamoDB", metric, "Sum", vec![("TableName", Value::from(name.as_str()))]);
    let look = Look::One(refused("WriteThrottleEvents"));
    let detection = detection::of(sheet, part, "errors");
    let says = format!("Writes to {} in {} are refused, those from other regions with them.", part.id, site.id);
    alarms.push(Alarm::new(sheet, part, Some(site), "replication errors", detection, look).tells(Tells::Unready, says));
    alarms
}

/// How far the copy here is behind is reported here, what could not be copied from here is reported here too (S3 User
/// Guide, "Using S3 Replication metrics": latency in the destination's region, failures in the source's).
fn bucket(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for other in sheet.peers(part, site) {
        let between = |sheet: &Sheet<'_>, from: &Site, to: &Site| {
            let (source, destination) = (s3::bucket(sheet, part, from), s3::bucket(sheet, part, to));
            vec![("SourceBucket", source), ("DestinationBucket", destination), ("RuleId", s3::rule(to).into())]
        };
        let behind = Metric::new("AWS/S3", "ReplicationLatency", "Maximum", between(sheet, other, site));
        let alarm = lag(sheet, part, site, Look::One(behind), Unit::Seconds);
        alarms.push(told_apart(sheet, alarm, part, site, &format!("lag from {}", other.id)));
        let failed = Metric::new("AWS/S3", "OperationsFailedReplication", "Sum", between(sheet, site, other));
        let at_once = detection::Detection { period: 60, evaluations: 1 };
        let what = format!("failed copies to {}", other.id);
        let says = format!("Objects of {} could not be copied from {} to {}.", part.id, site.id, other.id);
        let alarm = Alarm::new(sheet, part, Some(site), &what, at_once, Look::One(failed));
        alarms.push(alarm.tells(Tells::Only, says));
    }
    alarms
}

/// The metric names both file systems, of which a region knows its own only.
fn files(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let own = efs::file_system(sheet, part, site);
    let question = |end: &str| {
        let schema = "SELECT MAX(TimeSinceLastSync) FROM SCHEMA(\"AWS/EFS\", DestinationFileSystemId, FileSystemId)";
        Look::Question(cat![format!("{schema} WHERE {end} = '"), own.clone(), "'"])
    };
    let to = lag(sheet, part, site, question("DestinationFileSystemId"), Unit::Seconds);
    let from = lag(sheet, part, site, question("FileSystemId"), Unit::Seconds);
    vec![to, told_apart(sheet, from, part, site, "lag of its copy")]
}

/// The node that follows the other region reports it: one of the two.
fn cache(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let group = elasticache::group(sheet, part, site);
    let node = |number: &str| {
        let dimensions = vec![("CacheClusterId", Value::from(format!("{group}-{number}")))];
        Metric::new("AWS/ElastiCache", "GlobalDatastoreReplicationLag", "Maximum", dimensions)
    };
    let nodes = vec![("first", node("001")), ("second", node("002"))];
    let look = Look::Formula(nodes, "MAX([FILL(first, 0), FILL(second, 0)])".to_owned());
    vec![lag(sheet, part, site, look, Unit::Seconds)]
}

/// What the replicator of this region brings is late, or does not come: one that failed has no latency. It reports in the
/// region of the cluster that it writes to (MSK Developer Guide, "Monitor replication").
fn topics(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for other in sheet.peers(part, site) {
        let name = msk::replicator_name(sheet, part, other);
        let metric =
            |metric| Metric::new("AWS/Kafka", metric, "Maximum", vec![("ReplicatorName", name.as_str().into())]);
        let alarm = lag(sheet, part, site, Look::One(metric("ReplicationLatency")), Unit::Milliseconds);
        alarms.push(told_apart(sheet, alarm, part, site, &format!("lag from {}", other.id)));
        let what = format!("failed copies from {}", other.id);
        let detection = detection::of(sheet, part, "errors");
        let look = Look::One(metric("ReplicatorFailure"));
        let says = format!("Topics of {} are not copied from {} to {}.", part.id, other.id, site.id);
        alarms.push(Alarm::new(sheet, part, Some(site), &what, detection, look).tells(Tells::Unready, says));
    }
    alarms
}

/// Of whichever servers are copied to this region: who they are is known when their agents are installed.
fn servers(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let look = Look::Question("SELECT MAX(LagDuration) FROM \"AWS/DRS\"".into());
    vec![lag(sheet, part, site, look, Unit::Seconds)]
}

/// The same alarm, for one of several copies.
fn told_apart(sheet: &Sheet<'_>, mut alarm: Alarm, part: &Part, site: &Site, what: &str) -> Alarm {
    alarm.id = names::logical([part.id.as_str(), what, "alarm"]);
    alarm.name = sheet.named([site.id.as_str(), part.id.as_str(), what], 120);
    alarm
}
