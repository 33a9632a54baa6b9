//! Which addresses answer a question: a pure function of the zone, the client, health, and a die roll.
//!
//! The policies are those of seed 003 section 8. Two rules come before all of them:
//! - a target that is not `enabled` never answers, whatever its health: that is the routing control;
//! - an unhealthy target drops out, but when no healthy one can answer, all enabled ones count as healthy ("fail
//!   open", as Route 53 does): checks that all fail say more about the checks than about every site at once, and an
//!   answer that may fail beats one that surely does. A site that nobody has judged is healthy: unknown is not down.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use model::SiteId;
use model::routing::{NameTable, Policy, Target};

use super::cidr::closest;

/// Addresses in one multivalue answer, as in Route 53.
const MULTIVALUE_MOST: usize = 8;

/// Whom the answer is for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Client {
    /// From the EDNS client subnet, else where the question came from. `None` when it is not IPv4.
    pub address: Option<Ipv4Addr>,
    /// Where that address is: ISO 3166 codes, the most specific first (country, then continent).
    pub codes: Vec<String>,
}

/// What is known of each site's health.
pub type Healthy = BTreeMap<SiteId, bool>;

/// The addresses that answer. Empty only when nothing is enabled or, under geolocation, when no enabled site claims
/// the client's place and none claims `*`. `roll` is evenly distributed over all of `u32`.
pub fn choose(name: &NameTable, client: &Client, health: &Healthy, roll: u32) -> Vec<Ipv4Addr> {
    let enabled: Vec<&Target> = name.targets.iter().filter(|t| t.enabled && !t.addresses.is_empty()).collect();
    let healthy: Vec<&Target> =
        enabled.iter().copied().filter(|t| health.get(&t.site).copied().unwrap_or(true)).collect();
    let answer = pick(name.policy, &healthy, client, roll);
    if answer.is_empty() { pick(name.policy, &enabled, client, roll) } else { answer }
}

fn pick(policy: Policy, targets: &[&Target], client: &Client, roll: u32) -> Vec<Ipv4Addr> {
    let one = match policy {
        Policy::Multivalue => return several(targets, roll),
        Policy::Failover => best_rank(targets),
        Policy::Weighted => by_weight(targets, roll),
        Policy::Latency => by_latency(targets, client),
        Policy::Geolocation => by_place(targets, client),
    };
    let mut addresses = one.map(|target| target.addresses.clone()).unwrap_or_default();
    // Clients mostly take the first address: each gets its turn.
    let turn = roll as usize % addresses.len().max(1);
    addresses.rotate_left(turn);
    addresses
}

fn best_rank<'a>(targets: &[&'a Target]) -> Option<&'a Target> {
    targets.iter().copied().min_by_key(|t| (t.rank, &t.site))
}

/// Weight zero answers only where nothing has weight; then all share evenly.
fn by_weight<'a>(targets: &[&'a Target], roll: u32) -> Option<&'a Target> {
    let total: u64 = targets.iter().map(|t| u64::from(t.weight)).sum();
    if total == 0 {
        return targets.get(scaled(roll, targets.len() as u64) as usize).copied();
    }
    let mut point = scaled(roll, total);
    targets.iter().copied().find(|target| {
        let hit = point < u64::from(target.weight);
        point = point.saturating_sub(u64::from(target.weight));
        hit
    })
}

/// `roll` as an even choice among `0..below`.
fn scaled(roll: u32, below: u64) -> u64 {
    (u64::from(roll) * below) >> 32
}

/// A site without a measurement for the client's network comes after every site with one, in order of rank.
fn by_latency<'a>(targets: &[&'a Target], client: &Client) -> Option<&'a Target> {
    let expected = |t: &Target| client.address.and_then(|a| closest(&t.latency, a).copied()).unwrap_or(u32::MAX);
    targets.iter().copied().min_by_key(|t| (expected(t), t.rank, &t.site))
}

/// The most specific claim wins; where several sites make the same claim, the best-ranked.
fn by_place<'a>(targets: &[&'a Target], client: &Client) -> Option<&'a Target> {
    let claims = |code: &str| {
        let claiming: Vec<&Target> =
            targets.iter().copied().filter(|t| t.geo.iter().any(|claim| claim.eq_ignore_ascii_case(code))).collect();
        best_rank(&claiming)
    };
    client.codes.iter().map(String::as_str).chain(["*"]).find_map(claims)
}

fn several(targets: &[&Target], roll: u32) -> Vec<Ipv4Addr> {
    let mut addresses: Vec<Ipv4Addr> = targets.iter().flat_map(|t| t.addresses.iter().copied()).collect();
    let mut state = u64::from(roll);
    // Fisher and Yates: every order is as likely as any other.
    for last in (1..addresses.len()).rev() {
        addresses.swap(last, scaled(scramble(&mut state), last as u64 + 1) as usize);
    }
    addresses.truncate(MULTIVALUE_MOST);
    addresses
}

/// One step of the SplitMix64 generator: one roll becomes as many as a shuffle needs.
fn scramble(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 32) as u32
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
