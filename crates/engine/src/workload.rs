//! The state of one workload: the fold of its journal, beside what was last seen of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::observe::Readiness;
use model::{AttemptId, Epoch, GlassReport, RunId, SiteId, Time, Topology, ZoneTable};

use crate::protocol::{Request, RoutingAddresses};
use crate::runbook::run::{Ended, Run};
use crate::watch::{Verdict, Watch};

#[derive(Clone, PartialEq, Debug)]
pub struct Workload {
    pub topology: Arc<Topology>,
    pub addresses: Arc<RoutingAddresses>,
    pub generation: u64,
    pub verdicts: BTreeMap<SiteId, Judged>,
    pub readiness: BTreeMap<SiteId, Readiness>,
    /// Who holds, or last held, the highest epoch. `None` until the workload is established.
    pub writer: Option<Writer>,
    /// The writer's own word that it is gone.
    pub gone: Option<(SiteId, String)>,
    /// Glass that people broke in a region and have not closed.
    pub glass: BTreeMap<SiteId, GlassReport>,
    pub zone: Option<ZoneTable>,
    pub frozen: Option<RunId>,
    /// The active run. Shared, because each decision looks at it as it was before.
    pub run: Option<Arc<Run>>,
    /// The run that ended last, whole.
    pub last: Option<Arc<Run>>,
    pub past: Vec<PastRun>,
    pub chores: BTreeMap<u32, Chore>,
    /// The engine proposes no failover from here until the site has been well again: its last proposal did not succeed.
    pub held: Option<SiteId>,
    /// The writer's region serves nobody, though it can be reached.
    pub unready: Option<Unready>,
    /// Volatile: what was last seen. Not from the journal.
    pub watch: Watch,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Judged {
    pub verdict: Verdict,
    pub why: Vec<String>,
    pub since: Time,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unready {
    pub site: SiteId,
    pub why: String,
    pub since: Time,
    /// A move that was proposed because of it did not succeed: the next is for people to ask for.
    pub tried: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Writer {
    pub site: SiteId,
    pub epoch: Epoch,
    pub since: Time,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PastRun {
    pub id: RunId,
    pub request: Request,
    pub from: Option<SiteId>,
    pub to: SiteId,
    pub ended: Ended,
}

/// Housekeeping of one kind at one site.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Chore {
    pub tries: u32,
    pub out: Option<(AttemptId, Time)>,
    /// When the last one ended, and whether well.
    pub ended: Option<(Time, bool)>,
}

impl Workload {
    /// A workload of which nothing is known yet.
    pub fn new(topology: Arc<Topology>, addresses: RoutingAddresses) -> Self {
        Self {
            topology,
            addresses: Arc::new(addresses),
            generation: 0,
            verdicts: BTreeMap::new(),
            readiness: BTreeMap::new(),
            writer: None,
            gone: None,
            glass: BTreeMap::new(),
            zone: None,
            frozen: None,
            run: None,
            last: None,
            past: Vec::new(),
            chores: BTreeMap::new(),
            held: None,
            unready: None,
            watch: Watch::default(),
        }
    }

    /// The highest epoch known.
    pub fn epoch(&self) -> Epoch {
        self.writer.as_ref().map_or_else(Epoch::none, |w| w.epoch.clone())
    }

    pub fn verdict(&self, site: &SiteId) -> Verdict {
        self.verdicts.get(site).map_or(Verdict::Unknown, |j| j.verdict)
    }

    /// The number of the next run.
    pub fn next_run(&self) -> RunId {
        let active = self.run.iter().map(|r| r.id.0);
        RunId(self.past.iter().map(|r| r.id.0).chain(active).max().unwrap_or(0) + 1)
    }
}
