//! The ledger's measurements in the report's words. Nothing is measured here.

use std::collections::BTreeSet;

use model::{SiteId, Time};

use crate::ledger::{self, ClientKind, ClientResult, Measurement, Place, Series};

use super::{Audit, Client, Latency, Percent, RegionWrites, Rto, Seconds, Timeline, Writes};

/// From `fault` to `at`, negative before it.
pub fn since_fault(at: Time, fault: Time) -> Seconds {
    Seconds::new((at.0 as f64 - fault.0 as f64) / 1e6)
}

impl From<&Measurement> for Rto {
    fn from(measured: &Measurement) -> Self {
        let of = |kind| measured.rto.get(&kind).copied().flatten().map(Seconds::from);
        Self {
            ttl_honouring: of(ClientKind::TtlHonouring),
            ttl_stretching: of(ClientKind::TtlStretching),
            pinned: of(ClientKind::Pinned),
        }
    }
}

impl From<&ClientResult> for Client {
    fn from(client: &ClientResult) -> Self {
        Self {
            name: client.client.clone(),
            kind: client.kind,
            place: match &client.place {
                Place::Outside => "outside".to_owned(),
                Place::Inside(site) => format!("in {site}"),
            },
            timeout_seconds: client.request_timeout.into(),
            rto_seconds: client.rto.map(Seconds::from),
            longest_gap_seconds: client.longest_gap.into(),
            acknowledged: client.acknowledged,
            refused: client.refused,
            unknown: client.unknown,
            availability_percent: client.service.availability().map(Percent::of_share),
            unserved_seconds: client.service.unserved().into(),
            latency_before: client.latency_before.map(Latency::from),
            latency_after: client.latency_after.map(Latency::from),
            added_latency_seconds: client.added_latency().map(Seconds::new),
        }
    }
}

impl From<ledger::Latency> for Latency {
    fn from(latency: ledger::Latency) -> Self {
        Self { writes: latency.writes, median_seconds: latency.median.into(), p95_seconds: latency.p95.into() }
    }
}

impl From<&ledger::Audit> for Audit {
    fn from(audit: &ledger::Audit) -> Self {
        Self {
            present: audit.acknowledged - audit.lost.len() as u64,
            lost: audit.lost.len() as u64,
            lost_ids: audit.lost.iter().map(ToString::to_string).collect(),
            unknown_present: audit.unknown_present.len() as u64,
        }
    }
}

impl Writes {
    /// Sums over all clients; what is lost in either audit is lost.
    pub fn new(clients: &[Client], after_failover: Option<Audit>, after_failback: Option<Audit>) -> Self {
        let audits = || after_failover.iter().chain(&after_failback);
        let lost: BTreeSet<String> = audits().flat_map(|audit| audit.lost_ids.iter().cloned()).collect();
        let sum = |count: fn(&Client) -> u64| clients.iter().map(count).sum();
        Self {
            acknowledged: sum(|client| client.acknowledged),
            refused: sum(|client| client.refused),
            unknown: sum(|client| client.unknown),
            lost: audits().next().map(|_| lost.len() as u64),
            lost_ids: lost.into_iter().collect(),
            after_failover,
            after_failback,
        }
    }
}

impl Timeline {
    /// The writes' part of a timeline; lag, faults and steps are the caller's to add. `regions` decides order and so
    /// colour; one that served nothing stays in, with no writes.
    pub fn of_writes(series: &Series, fault: Time, regions: &[SiteId]) -> Self {
        let served = |site: &SiteId| RegionWrites {
            site: site.clone(),
            acknowledged: series.acknowledged.get(site.as_str()).cloned().unwrap_or_default(),
        };
        Self {
            from: since_fault(series.from, fault),
            bucket_seconds: series.bucket.into(),
            writes: regions.iter().map(served).collect(),
            failed: series.failed.clone(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_either_audit_misses_is_lost() {
        let audit = |ids: &[&str]| Audit {
            lost: ids.len() as u64,
            lost_ids: ids.iter().map(ToString::to_string).collect(),
            ..Audit::default()
        };
        let writes = Writes::new(&[], Some(audit(&["x-1", "x-2"])), Some(audit(&["x-2", "x-3"])));
        assert_eq!((writes.lost, writes.lost_ids), (Some(3), vec!["x-1".into(), "x-2".into(), "x-3".into()]));
        assert_eq!(Writes::new(&[], None, None).lost, None, "not audited is not nothing lost");
    }

    #[test]
    fn the_timeline_counts_from_the_fault() {
        let series = Series {
            from: Time(2_000_000),
            bucket: Duration::from_millis(100),
            acknowledged: BTreeMap::from([("b".to_owned(), vec![1, 2])]),
            failed: vec![0, 3],
        };
        let timeline = Timeline::of_writes(&series, Time(5_500_000), &["a".into(), "b".into()]);
        assert_eq!((timeline.from, timeline.bucket_seconds), (Seconds::new(-3.5), Seconds::new(0.1)));
        assert_eq!(timeline.writes[0].acknowledged, Vec::<u64>::new());
        assert_eq!(timeline.writes[1].acknowledged, [1, 2]);
    }
}
