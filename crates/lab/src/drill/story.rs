//! What happened in a drill, in the order it did; filled in as far as the drill came.

use model::{RunId, Time};

use crate::ledger::{Audit, Cases, Rows};
use crate::report::Check;

#[derive(Default)]
pub(crate) struct Story {
    pub fault_at: Option<Time>,
    pub healed_at: Option<Time>,
    /// When the measuring of the recovery ended.
    pub until: Option<Time>,
    pub old_epoch: u64,
    /// People have agreed to lose so much: it stands in the place of the recovery point objective.
    pub accepted_loss: Option<std::time::Duration>,
    /// What the fault hit, and in words.
    pub hit: Option<(bool, String)>,
    /// The run that recovered the workload; none where the region was to deal with it.
    pub failover: Option<RunId>,
    pub failback: Option<RunId>,
    /// After the recovery, wherever the writer is then.
    pub after_failover: Option<Audit>,
    /// At the very end, at home.
    pub after_failback: Option<Audit>,
    /// What the cases are then, for the check of the clients' histories.
    pub at_the_end: Option<AtTheEnd>,
    /// Why the drill did not get further.
    pub stopped: Option<String>,
    pub back_home: Option<Result<(), String>>,
    pub leftovers: Vec<String>,
    /// What this drill alone has to show.
    pub own_checks: Vec<Check>,
}

/// The database of the last writer, after the last client stopped.
pub(crate) struct AtTheEnd {
    pub rows: Rows,
    pub cases: Cases,
}
