//! What was seen. All ages are durations measured by the reporter's own clock: no clock is compared with another.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backup::BackupReport;
use crate::{ComponentId, Epoch, GlassReport, Lsn, Receipt, SiteId, SyncRecord};

/// One agent's account of its own site, and of what it sees of the others from there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SiteReport {
    pub site: SiteId,
    /// Changes when the agent restarts.
    pub incarnation: u64,
    pub voter: VoterReport,
    /// Only in data sites.
    pub database: Option<DatabaseReport>,
    pub fleets: BTreeMap<ComponentId, FleetReport>,
    pub zones: BTreeMap<ComponentId, ZoneReport>,
    /// Digests only; the secret itself never leaves its site.
    pub secrets: BTreeMap<ComponentId, SecretReport>,
    /// What this vantage point sees of each other site.
    pub probes: BTreeMap<SiteId, PeerProbe>,
    #[serde(default)]
    pub backup: BackupReport,
    /// Glass that was broken here and is not closed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glass: Option<GlassReport>,
}

/// What a site's voter has durably promised, and to whom the promise still runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct VoterReport {
    pub highest: Epoch,
    pub promise_remaining: Duration,
    pub quiet_remaining: Duration,
    pub sync: SyncRecord,
    /// It has lost its storage, and grants nothing until it has heard what these sites' voters know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<SiteId>,
}

/// One vantage point's view of one other site.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PeerProbe {
    /// The agent answered (shallow liveness): how long ago the last answer was, and its round trip.
    pub answered: Option<Duration>,
    pub round_trip: Option<Duration>,
    /// For how long every try has failed; zero while the last one succeeded. Only tries count: a vantage point
    /// that has not tried knows nothing.
    pub failing_for: Duration,
    /// Tries in the present streak of failures.
    pub failures: u32,
    /// Deep readiness: the load balancer's `/ready`, as a client would see it.
    pub ready: Readiness,
    pub ready_round_trip: Option<Duration>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Readiness {
    #[default]
    Unknown,
    Ready,
    NotReady {
        why: String,
    },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DatabaseReport {
    pub component: ComponentId,
    pub state: DatabaseState,
    pub timeline: u32,
    /// The epoch in which this data directory was last written.
    pub written: Epoch,
    /// As the writer sees its standbys; empty elsewhere.
    pub standbys: Vec<StandbyReport>,
    /// Why nothing more can be written though the server runs: its disk is full. Absent while there is room.
    #[serde(default)]
    pub full: Option<String>,
    /// What a writer that stands alone does now, for every status (seed 003 section 9.1, question 5).
    pub alone: Option<Alone>,
    /// What makes a writer's acknowledgements worth less than the spec says, and what its disk has no room for, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

impl DatabaseReport {
    /// Of a site without a data directory.
    pub fn absent(component: ComponentId) -> Self {
        Self {
            component,
            state: DatabaseState::Absent,
            timeline: 0,
            written: Epoch::none(),
            standbys: Vec::new(),
            full: None,
            alone: None,
            findings: Vec::new(),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum DatabaseState {
    /// No data directory yet.
    Absent,
    Starting,
    /// A read-only copy. `lag` is the time since the last replayed commit while bytes are outstanding, zero when
    /// all that was received is replayed; `behind` compares with the upstream's last reported position.
    Standby {
        upstream: SiteId,
        receiving: bool,
        received: Lsn,
        replayed: Lsn,
        lag: Duration,
    },
    /// Holds the lease. `remaining` is until the holder's own deadline; `lowest_margin` the smallest it ever was at
    /// a renewal in this epoch. `gate` is whether clients' bytes pass.
    Writing {
        epoch: Epoch,
        position: Lsn,
        remaining: Duration,
        lowest_margin: Duration,
        gate: bool,
    },
    /// Working on an order: acquiring a lease, promoting, rewinding, copying.
    Busy {
        doing: String,
    },
    /// Stopped for good until it is told to follow or to promote. The receipt is there when all SAFETY.md item 5
    /// asks for holds.
    Fenced {
        why: String,
        receipt: Option<Receipt>,
    },
    /// The server cannot be started.
    Failed {
        why: String,
        receipt: Option<Receipt>,
    },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StandbyReport {
    pub site: SiteId,
    pub streaming: bool,
    pub synchronous: bool,
    pub sent: Lsn,
    pub flushed: Lsn,
    pub replayed: Lsn,
    /// Write-ahead log not yet flushed there.
    pub lag_bytes: u64,
    pub lag: Duration,
}

/// A writer without its standby: what the spec chose (`when_alone`), and since when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Alone {
    pub since: Duration,
    pub policy: crate::topology::WhenAlone,
    /// Plain words for a status line.
    pub says: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FleetReport {
    pub artifact: String,
    pub wanted: u32,
    pub instances: Vec<InstanceReport>,
    /// Replacements since the agent started.
    pub replaced: u64,
}

impl FleetReport {
    pub fn alive(&self) -> u32 {
        self.instances.iter().filter(|i| i.alive).count() as u32
    }
    pub fn ready(&self) -> u32 {
        self.instances.iter().filter(|i| i.ready).count() as u32
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct InstanceReport {
    pub name: String,
    pub zone: String,
    /// The process answers at all.
    pub alive: bool,
    /// It says that its dependencies work.
    pub ready: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ZoneReport {
    pub epoch: Epoch,
    pub serial: u64,
    /// Sites enabled in the zone's routing, by name of record.
    pub enabled: BTreeMap<String, Vec<SiteId>>,
    /// TTL zero is served because a fault is suspected.
    pub suspect: bool,
    /// Names that point home are refused because this site is fenced.
    pub fenced: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SecretReport {
    /// SHA-256, hexadecimal, salted with the workload's and component's names; `None` when missing.
    pub digest: Option<String>,
}
