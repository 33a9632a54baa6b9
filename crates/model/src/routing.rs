//! Routing state: the zone that every site's DNS server answers from.
//!
//! A zone is swapped whole, never name by name, and is ordered by (epoch, serial): a server refuses an older
//! one (SAFETY.md item 15). Policies follow Route 53's (seed 003 section 8).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Epoch, SiteId};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ZoneTable {
    /// `case.example`, without the trailing dot.
    pub zone: String,
    pub epoch: Epoch,
    pub serial: u64,
    /// By full name, without the trailing dot.
    pub names: BTreeMap<String, NameTable>,
}

impl ZoneTable {
    /// What decides which of two zones is newer.
    pub fn version(&self) -> (&Epoch, u64) {
        (&self.epoch, self.serial)
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NameTable {
    pub policy: Policy,
    pub ttl: Duration,
    pub targets: Vec<Target>,
}

/// One site's answer for a name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Target {
    pub site: SiteId,
    pub addresses: Vec<Ipv4Addr>,
    /// The routing control: an operator's or a run's decision, above any health check.
    pub enabled: bool,
    /// Failover order: the lowest healthy enabled one answers.
    pub rank: u32,
    /// Weighted policy: share of answers, 0 to 1000.
    pub weight: u32,
    /// Geolocation policy: ISO 3166 country or continent codes, or `*` for everybody else.
    pub geo: Vec<String>,
    /// Latency policy: expected milliseconds from a client network (CIDR) to this site.
    pub latency: BTreeMap<String, u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The best-ranked healthy site answers alone.
    Failover,
    /// Healthy sites share answers by weight.
    Weighted,
    /// The healthy site with the lowest latency from the client's network answers.
    Latency,
    /// The site that claims the client's country or continent answers.
    Geolocation,
    /// Up to eight healthy addresses, in random order.
    Multivalue,
}
