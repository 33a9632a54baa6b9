//! The one word that is said first of a design: whether a recovery of it would hold what it promises.

use model::findings::Severity;
use serde::Serialize;

use super::Review;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing worse than a note was found. That a recovery works is shown by a drill, not by this.
    Ready,
    /// Something endangers a recovery, or nobody says whether it does.
    AtRisk,
    /// A recovery stops, breaks an objective, or is not allowed.
    NotReady,
}

impl Review {
    /// Whatever anybody accepts: accepting a finding repairs nothing.
    pub fn standing(&self) -> Standing {
        match self.findings.iter().map(|finding| finding.severity).max() {
            _ if self.first_blocker.is_some() => Standing::NotReady,
            Some(Severity::Error) => Standing::NotReady,
            Some(Severity::Warning) => Standing::AtRisk,
            Some(Severity::Note) | None => Standing::Ready,
        }
    }
}
