//! The result of one drill: the object that `antipode drill --json` ends in.
//!
//! Times are seconds. Those of the timeline and the journal count from the first fault and are negative before it.

use model::SiteId;
use model::action::ExportedRows;
use serde::{Deserialize, Serialize};

pub use crate::evidence::Seal;
pub use crate::ledger::ClientKind;

use super::{Percent, Seconds};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillResult {
    pub drill: String,
    pub verdict: Verdict,
    /// Why this verdict: what failed, or what a reader must know although all passed.
    pub reasons: Vec<String>,
    pub workload: String,
    /// Name of the timing profile.
    pub profile: String,
    /// `asynchronous` or `synchronous`.
    pub replication: String,
    /// Version of Antipode.
    pub antipode: String,
    /// Wall clock at the start, RFC 3339.
    pub began: String,
    /// From start to the end of clean-up.
    pub took_seconds: Seconds,
    pub rto_seconds: Rto,
    pub phases_seconds: Phases,
    pub writes: Writes,
    /// What old writers alone had, and exported before they gave it up.
    #[serde(default)]
    pub exports: Vec<Exported>,
    pub objectives: Objectives,
    pub clients: Vec<Client>,
    /// The smallest lease that the writer had left at a renewal, while no failover was called for. `None` when no
    /// renewal was seen.
    pub smallest_lease_margin_seconds: Option<Seconds>,
    pub checks: Vec<Check>,
    /// Path of `evidence.jsonl`.
    pub evidence: String,
    pub seal: Option<Seal>,
    pub timeline: Timeline,
    pub journal: Vec<JournalLine>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Passed,
    Failed,
    /// Not carried out: this machine, or this spec, does not let it.
    Skipped,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Skipped => "skipped",
        }
    }
}

/// From the fault to the first write acknowledged after it, by client kind; `None` when there was none.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Rto {
    pub ttl_honouring: Option<Seconds>,
    pub ttl_stretching: Option<Seconds>,
    pub pinned: Option<Seconds>,
}

impl Rto {
    pub fn of(&self, kind: ClientKind) -> Option<Seconds> {
        match kind {
            ClientKind::TtlHonouring => self.ttl_honouring,
            ClientKind::TtlStretching => self.ttl_stretching,
            ClientKind::Pinned => self.pinned,
        }
    }
}

/// How long each phase took; `None` for one that did not happen or was not seen. Phases may overlap.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Phases {
    pub detect: Option<Seconds>,
    pub decide: Option<Seconds>,
    pub fence: Option<Seconds>,
    pub promote: Option<Seconds>,
    pub route: Option<Seconds>,
    /// From the fault to the first acknowledged write at the client that honours TTLs.
    pub client_observed: Option<Seconds>,
}

impl Phases {
    /// Name, meaning and time of each, in order.
    pub fn list(&self) -> [(&'static str, &'static str, Option<Seconds>); 6] {
        [
            ("detect", "fault to a majority's verdict", self.detect),
            ("decide", "verdict to the start of the run", self.decide),
            ("fence", "receipt or lapsed lease of the old writer", self.fence),
            ("promote", "new epoch to an open gate", self.promote),
            ("route", "zone swapped on the reachable servers", self.route),
            ("client_observed", "fault to the first acknowledged write", self.client_observed),
        ]
    }
}

/// Writes by what the clients were told, and which acknowledged ones are gone.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Writes {
    pub acknowledged: u64,
    pub refused: u64,
    /// No answer came: the write may be there or not.
    pub unknown: u64,
    /// Acknowledged and missing in any audit; `None` when the drill did not get as far as an audit.
    pub lost: Option<u64>,
    pub lost_ids: Vec<String>,
    /// `None` when the drill did not get that far.
    pub after_failover: Option<Audit>,
    pub after_failback: Option<Audit>,
}

/// The ledger compared with the database.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Audit {
    pub present: u64,
    pub lost: u64,
    pub lost_ids: Vec<String>,
    /// Of the unknown writes, those that turned out to be there.
    pub unknown_present: u64,
}

/// What one old writer alone had (SAFETY.md item 13). Writes by their ledger ids.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Exported {
    pub site: SiteId,
    /// The rows with their labels; or the whole data directory at the site, where `rows` is `None`.
    pub place: String,
    /// `None` when its log could not be read.
    pub transactions: Option<u64>,
    /// `None` when rows could not be compared.
    pub rows: Option<ExportedRows>,
    /// Acknowledged, and the present writer does not have them.
    pub lost_ids: Vec<String>,
    /// Acknowledged, and the present writer has them too: tried again there.
    pub recovered_ids: Vec<String>,
    /// Never acknowledged to a client.
    pub unacknowledged_ids: Vec<String>,
    /// Refused, or sent by nobody.
    pub wrong_ids: Vec<String>,
    /// What could not be compared, and why.
    pub notes: Vec<String>,
}

impl Exported {
    /// One line for people.
    pub fn text(&self) -> String {
        let (Some(rows), Some(transactions)) = (&self.rows, self.transactions) else {
            return format!("{}: not comparable, the whole data directory is kept", self.site);
        };
        let (lost, never) = (self.lost_ids.len(), self.unacknowledged_ids.len());
        let again = match self.recovered_ids.len() {
            0 => String::new(),
            n => format!(", {n} recovered by a retry"),
        };
        format!(
            "{}: {transactions} transactions; {rows}; {lost} lost writes, {never} never acknowledged{again}",
            self.site
        )
    }
}

/// What the business asked for against what was measured; `None` when it could not be measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Objectives {
    pub rto_asked_seconds: Seconds,
    pub rto_measured_seconds: Option<Seconds>,
    pub rto_met: bool,
    pub rpo_asked_seconds: Seconds,
    /// Age of the oldest lost write at the fault; zero when nothing was lost.
    pub rpo_measured_seconds: Option<Seconds>,
    pub rpo_met: bool,
    /// Share of a month; `None` when the spec asks for none. Percent.
    #[serde(default)]
    pub availability_asked_percent: Option<f64>,
    /// Share of the drill in which the client that honours TTLs was served. Percent.
    #[serde(default)]
    pub availability_measured_percent: Option<Percent>,
    /// What the availability that was asked for leaves without service in 30 days.
    #[serde(default)]
    pub unserved_allowed_seconds: Option<Seconds>,
    /// Time in the drill in which that client was not served.
    #[serde(default)]
    pub unserved_measured_seconds: Option<Seconds>,
    /// Whether one such disaster leaves a month within the objective; `None` when there is none.
    #[serde(default)]
    pub availability_met: Option<bool>,
    #[serde(default)]
    pub added_latency_asked_seconds: Seconds,
    /// The largest of the clients outside that saw the recovery; negative when writes became quicker.
    #[serde(default)]
    pub added_latency_measured_seconds: Option<Seconds>,
    #[serde(default)]
    pub added_latency_met: bool,
}

/// One client and what it went through.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Client {
    pub name: String,
    pub kind: ClientKind,
    /// `outside`, or `in` a site.
    pub place: String,
    /// Its own time-out for one attempt: an outage cannot be seen finer than this.
    pub timeout_seconds: Seconds,
    pub rto_seconds: Option<Seconds>,
    /// The longest time without an acknowledgement.
    pub longest_gap_seconds: Seconds,
    pub acknowledged: u64,
    pub refused: u64,
    /// It never learned how these ended.
    pub unknown: u64,
    /// Share of the drill in which it was served.
    #[serde(default)]
    pub availability_percent: Option<Percent>,
    /// The rest of the drill.
    #[serde(default)]
    pub unserved_seconds: Seconds,
    #[serde(default)]
    pub latency_before: Option<Latency>,
    #[serde(default)]
    pub latency_after: Option<Latency>,
    /// Between the two medians.
    #[serde(default)]
    pub added_latency_seconds: Option<Seconds>,
}

/// How long acknowledged writes took, from sending them to the acknowledgement.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Latency {
    pub writes: u64,
    pub median_seconds: Seconds,
    pub p95_seconds: Seconds,
}

/// Something that must hold for the drill to prove anything.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub passed: bool,
    pub why: String,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// When the first bucket begins.
    pub from: Seconds,
    pub bucket_seconds: Seconds,
    pub writes: Vec<RegionWrites>,
    /// Failed attempts in each bucket, wherever they went.
    pub failed: Vec<u64>,
    pub lag: Vec<LagSample>,
    pub faults: Vec<FaultMark>,
    pub steps: Vec<StepBar>,
}

/// Writes acknowledged by one region, in each bucket.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RegionWrites {
    pub site: SiteId,
    pub acknowledged: Vec<u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LagSample {
    pub at: Seconds,
    /// The standby.
    pub site: SiteId,
    /// `None` while nobody can tell.
    pub lag: Option<Seconds>,
    pub bytes: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FaultMark {
    pub at: Seconds,
    pub healed: Option<Seconds>,
    pub name: String,
}

/// One step of a run, as the journal has it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepBar {
    pub run: String,
    pub name: String,
    pub site: SiteId,
    pub from: Seconds,
    /// `None` when it never ended.
    pub to: Option<Seconds>,
    pub end: StepEnd,
    /// After this step a failover goes only forward.
    pub commit_point: bool,
    pub note: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    Done,
    /// Tried, and did not work or was not allowed.
    Failed,
    /// Best effort, and not waited for.
    Skipped,
    Running,
}

impl StepEnd {
    pub fn word(self) -> &'static str {
        match self {
            StepEnd::Done => "done",
            StepEnd::Failed => "failed",
            StepEnd::Skipped => "skipped",
            StepEnd::Running => "running",
        }
    }
}

/// A line of the controller's journal in plain words.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct JournalLine {
    pub at: Seconds,
    pub what: String,
    pub why: String,
}
