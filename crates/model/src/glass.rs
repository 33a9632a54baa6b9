//! Breaking the glass: what people say at the region that is left, and what is shown of it afterwards (SAFETY.md item 14).
//!
//! Who may say what, and what follows from it, is in `engine::glass`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Epoch, Person, SiteId};

/// How somebody made sure that a site cannot write, serve or vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fence {
    /// Its machines are off, and do not start by themselves.
    PoweredOff,
    /// Its network is off: it reaches no other site, and no client reaches it.
    NetworkCut,
    /// It no longer exists.
    Destroyed,
}

impl Fence {
    pub const ALL: [Fence; 3] = [Fence::PoweredOff, Fence::NetworkCut, Fence::Destroyed];

    pub fn name(self) -> &'static str {
        match self {
            Fence::PoweredOff => "powered-off",
            Fence::NetworkCut => "network-cut",
            Fence::Destroyed => "destroyed",
        }
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fence {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().copied().find(|fence| fence.name() == text);
        known.ok_or_else(|| format!("`{text}` is none of {}", Self::ALL.map(Fence::name).join(", ")))
    }
}

/// One person's word. Whose it is says the certificate with which it came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Word {
    pub why: String,
    /// Every other site, and how it was fenced.
    pub fenced: BTreeMap<SiteId, Fence>,
    /// What may be lost, as the person typed it.
    pub loss: String,
    /// What the person's own machine heard when it called the other sites and the controller.
    #[serde(default)]
    pub tried: BTreeMap<String, Tried>,
}

/// One call from the machine of somebody who wants to break the glass.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tried {
    pub answered: bool,
    pub says: String,
}

/// What may be asked of the agent of the region that is left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "glass")]
pub enum GlassRequest {
    /// The first person's word; or, with `confirm`, another's on the attempt of that number.
    Break {
        word: Word,
        #[serde(default)]
        confirm: Option<u32>,
    },
    /// The attempt is given up, before the epoch is taken.
    Withdraw { attempt: u32, why: String },
    /// What the glass was broken for is over, and somebody has looked at what it cost.
    Close { attempt: u32, why: String },
}

/// Glass that was broken in a region and not closed yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GlassReport {
    pub attempt: u32,
    pub epoch: Epoch,
    pub by: Vec<Person>,
    pub why: Vec<String>,
    /// What they accepted to lose.
    pub loss: String,
    /// A majority of voters has granted the epoch since: one writer is promised by the ordinary rules again.
    pub adopted: bool,
}

impl GlassReport {
    /// One line for people.
    pub fn text(&self) -> String {
        let by: Vec<_> = self.by.iter().map(Person::as_str).collect();
        let rests = if self.adopted {
            "a majority of voters has granted it since"
        } else {
            "until a majority of voters has heard of it, only their word says that nobody else writes"
        };
        format!("glass-{} was broken by {} in epoch {}; {rests}", self.attempt, by.join(" and "), self.epoch)
    }
}
