//! What operators may ask the controller, over mutual TLS. The person is who the certificate says.
//!
//! | path | method, body | answer |
//! |---|---|---|
//! | `/status` | GET | `engine::Status` |
//! | `/reports` | GET | [`Heard`] of each site |
//! | `/journal?from=&limit=` | GET | lines of the journal |
//! | `/events?from=&wait=` | GET | lines from `from` on, at once or as soon as there is one, within `wait` seconds |
//! | `/plan` | POST `engine::Request` | the runbook, of which nothing is done |
//! | `/request` | POST `engine::Request` | [`Granted`](crate::shell::Granted) |
//! | `/approve` | POST [`Approve`] | `Granted` |
//! | `/abort` | POST [`Abort`] | `Granted` |
//!
//! What the engine refuses is a 409 with its code, reason and hint. A 503 means that the controller is stopping and
//! that the request may or may not have been taken up: the journal tells.

mod client;
mod reports;
mod server;

use model::RunId;
use serde::{Deserialize, Serialize};

pub use client::ApiClient;
pub use reports::Heard;
pub use server::router;

/// Agreement to what a run waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approve {
    pub run: RunId,
    /// Also to lose the acknowledged writes that the run estimates.
    #[serde(default)]
    pub accept_loss: bool,
}

/// The wish to stop a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Abort {
    pub run: RunId,
    pub why: String,
}
