//! What the controller last heard of each site, as it stands: for `antipode probe` and for drills. Nothing is
//! concluded here; conclusions are in `engine::Status`.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::Workload;
use model::{SiteId, SiteReport, Time};
use serde::{Deserialize, Serialize};

/// Empty where nothing was heard since the controller started.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Heard {
    pub report: Option<SiteReport>,
    /// Age of the report.
    pub age: Option<Duration>,
    /// For how long, and why, the controller's own polls have failed. It is no vantage point: shown only.
    pub unanswered: Option<(Duration, String)>,
}

pub(super) fn heard(state: &Workload, now: Time) -> BTreeMap<SiteId, Heard> {
    let of = |site: &SiteId| {
        let Some(seen) = state.watch.sites.get(site) else { return Heard::default() };
        Heard {
            report: seen.report.as_deref().cloned(),
            age: seen.report.is_some().then(|| now.since(seen.at)),
            unanswered: seen.unanswered.as_ref().map(|(since, why)| (now.since(*since), why.clone())),
        }
    };
    state.topology.sites.iter().map(|site| (site.id.clone(), of(&site.id))).collect()
}
