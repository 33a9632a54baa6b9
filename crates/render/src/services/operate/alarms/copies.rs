//! How far each copy of the data is behind, in the region that has the copy: there it can be seen when the other region
//! cannot.

use std::time::Duration;

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection};
use crate::names;
use crate::resource::Condition;
use crate::services::data::{aurora, rds};
use crate::sheet::{Sheet, regional};
use crate::value::Value;

/// When neither the spec nor the kind says how far behind is too far.
const TOO_FAR: Duration = Duration::from_secs(60);

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    if sheet.peers(part, site).is_empty() || part.word("replication") == Some("none") {
        return Vec::new();
    }
    match part.kind.name.as_str() {
        "aws.rds" => replica(sheet, part, site),
        "aws.aurora-global" => cluster(sheet, part, site),
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

/// A replica that reports nothing is broken; what follows nobody has nothing to report. Which one it is, is state.
fn replica(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = rds::identifier(sheet, part, site);
    let look = Look::One(Metric::new("AWS/RDS", "ReplicaLag", "Maximum", vec![("DBInstanceIdentifier", name)]));
    let missing = match sheet.renders(part) {
        true => {
            let source = Value::Parameter(regional(site), names::logical([part.id.as_str(), "source region"]));
            let follows = Condition::given(names::logical([part.id.as_str(), "follows"]), source);
            Missing::Depends(Value::either(follows, "breaching", "notBreaching"))
        }
        false => Missing::Unknown,
    };
    vec![lag(sheet, part, site, look, Unit::Seconds).missing(missing)]
}

/// Only a cluster that follows reports it, and which one does is the service's own state.
fn cluster(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = aurora::identifier(sheet, part, site);
    let metric =
        Metric::new("AWS/RDS", "AuroraGlobalDBReplicationLag", "Maximum", vec![("DBClusterIdentifier", name.into())]);
    vec![lag(sheet, part, site, Look::One(metric), Unit::Milliseconds).missing(Missing::Unknown)]
}
