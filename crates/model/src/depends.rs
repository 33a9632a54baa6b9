//! What an act needs to be alive. `assess` refuses a runbook that requires the region being left, and the
//! controller enforces the same list while it runs (static stability).

use serde::Serialize;

use crate::{Action, SiteId, Verb};

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Dependency {
    pub on: Home,
    pub plane: DependencyPlane,
    pub required: bool,
    pub what: &'static str,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    Site(SiteId),
    /// Any two of the three voters.
    VoterMajority,
    /// The site that keeps the backups: the witness.
    Vault,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyPlane {
    Control,
    Data,
}

/// Everything that carrying out `action` touches.
///
/// The vault is not homed in a region: whoever keeps it, it is the witness.
pub fn depends_on(action: &Action) -> Vec<Dependency> {
    let agent = |site: &SiteId| Dependency {
        on: Home::Site(site.clone()),
        plane: DependencyPlane::Control,
        required: true,
        what: "the site's agent",
    };
    let mut list = vec![agent(&action.site)];
    match &action.verb {
        Verb::Promote { .. } => list.push(Dependency {
            on: Home::VoterMajority,
            plane: DependencyPlane::Control,
            required: true,
            what: "grants for the new epoch",
        }),
        Verb::Follow { upstream } => list.push(Dependency {
            on: Home::Site(upstream.clone()),
            plane: DependencyPlane::Data,
            required: true,
            what: "write-ahead log and pages of the upstream",
        }),
        Verb::Archive | Verb::Restore { .. } => list.push(Dependency {
            on: Home::Vault,
            plane: DependencyPlane::Data,
            required: true,
            what: "full backups and archived log",
        }),
        Verb::Exercise { .. } => list.push(Dependency {
            on: Home::Site(action.site.clone()),
            plane: DependencyPlane::Data,
            required: true,
            what: "the site's load balancer, instances and database",
        }),
        _ => {}
    }
    list
}
