//! What an agent answers. Every body is JSON; a refusal is a [`super::Problem`] with a 4xx status.
//!
//! | path | method, body | answer | who may ask |
//! |---|---|---|---|
//! | [`PING`] | GET | [`PingReply`] | every member |
//! | [`REPORT`] | GET | `model::SiteReport` | controller, operators |
//! | [`ACT`] | POST [`ActRequest`] | `model::Outcome`, when it has ended | controller |
//! | [`INQUIRE`] | POST [`AttemptRequest`] | [`AttemptReply`] | controller |
//! | [`CANCEL`] | POST [`AttemptRequest`] | [`AttemptReply`], as it stands after cancelling | controller |
//! | [`LEASE`] | POST `model::LeaseRequest` | `model::LeaseReply` | agents |
//! | [`VAULT`] | GET | the entries of the vault | agents |
//! | [`VAULT_PART`] | GET | bytes from there on, empty at the end | agents |
//! | [`VAULT_PART`] | POST bytes | | agents of regions |
//! | [`VAULT_SEAL`] | POST an entry | | agents of regions |
//! | [`GLASS`] | GET | [`GlassView`]; nothing is changed | operators |
//! | [`GLASS`] | POST `model::glass::GlassRequest` | [`GlassView`] | operators |
//! | [`GLASS_JOURNAL`] | GET | lines of that region's journal of broken glass | operators |

use std::time::Duration;

use engine::glass::{Open, Scene};
use model::{Action, Attempt, AttemptId, GlassReport, Outcome, SiteId};
use serde::{Deserialize, Serialize};

use super::access::Problem;

pub const PING: &str = "/ping";
pub const REPORT: &str = "/report";
pub const ACT: &str = "/act";
pub const INQUIRE: &str = "/inquire";
pub const CANCEL: &str = "/cancel";
pub const LEASE: &str = "/lease";
pub const VAULT: &str = "/vault";
pub const VAULT_PART: &str = "/vault/part/{name}/{offset}";
pub const VAULT_SEAL: &str = "/vault/seal";
pub const GLASS: &str = "/glass";
pub const GLASS_JOURNAL: &str = "/glass/journal/{from}";

/// The path of the lines from number `from` on.
pub fn glass_journal(from: u64) -> String {
    GLASS_JOURNAL.replace("{from}", &from.to_string())
}

/// How breaking the glass stands at a region.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GlassView {
    pub scene: Scene,
    /// Why it cannot be broken now, whoever asks.
    pub obstacle: Option<Problem>,
    /// What everybody must type.
    pub phrase: String,
    /// How many different people must give their word.
    pub people: u32,
    /// Until the epoch may be taken, once all have.
    pub waits: Option<Duration>,
    /// How long that is after the last word: a whole promise, so that a writer that was just cut off has stopped.
    pub wait_after_last_word: Duration,
    pub word_holds: Duration,
    pub open: Option<Open>,
    pub broken: Option<GlassReport>,
    /// The writer here holds its epoch by people's word.
    pub alone: bool,
    /// The last line of the journal.
    pub last: u64,
}

/// The path of one part of a file in the vault.
pub fn vault_part(name: &str, offset: u64) -> String {
    VAULT_PART.replace("{name}", name).replace("{offset}", &offset.to_string())
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PingReply {
    pub site: SiteId,
    /// Changes when the agent restarts.
    pub incarnation: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ActRequest {
    pub attempt: Attempt,
    pub action: Action,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AttemptRequest {
    pub attempt: AttemptId,
}

/// What became of an attempt, as far as its agent knows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum AttemptReply {
    /// The order never arrived, or the agent has restarted since and holds no trace of it.
    NeverSeen,
    Running,
    Ended {
        outcome: Outcome,
    },
}

/// How the engine is told.
impl From<AttemptReply> for engine::Inquiry {
    fn from(reply: AttemptReply) -> Self {
        match reply {
            AttemptReply::NeverSeen => engine::Inquiry::NeverSeen,
            AttemptReply::Running => engine::Inquiry::Running,
            AttemptReply::Ended { outcome } => engine::Inquiry::Ended(outcome),
        }
    }
}
