//! The workloads that are tried, each from the text of a spec, as an operator would write it.

use std::sync::{Arc, OnceLock};

use model::Topology;
use serde::Serialize;

/// What differs between the workloads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Asynchronous; fails over by itself.
    Automatic,
    /// Asynchronous; asks people.
    Ask,
    /// RPO zero; a writer that is left alone blocks.
    Block,
    /// RPO zero; a writer that is left alone records so and goes on.
    Degrade,
    /// The second region may not hold the data.
    Unapproved,
    /// As the first, with backups in a vault.
    BackedUp,
}

impl Shape {
    pub const ALL: [Shape; 6] =
        [Shape::Automatic, Shape::Ask, Shape::Block, Shape::Degrade, Shape::Unapproved, Shape::BackedUp];

    pub fn topology(self) -> Arc<Topology> {
        static KEPT: OnceLock<Vec<Arc<Topology>>> = OnceLock::new();
        let kept = KEPT.get_or_init(|| Shape::ALL.iter().map(|shape| Arc::new(shape.parse())).collect());
        kept[Shape::ALL.iter().position(|shape| *shape == self).unwrap_or(0)].clone()
    }

    fn parse(self) -> Topology {
        // Looking half as often as the profile says shows the same in half the events; leaving a region long before its
        // lease is over strains the voters.
        let timing = match self {
            Shape::Ask | Shape::Unapproved => "profile: standard",
            _ => "probe_every: 400ms, check_every: 200ms, unreachable_after: 2s",
        };
        let (rpo, mode, database, approved) = match self {
            Shape::Automatic => ("12s", "automatic", "asynchronous", "[north, south]"),
            Shape::BackedUp => ("12s", "automatic", "asynchronous, backup: { every: 1h }", "[north, south]"),
            Shape::Ask => ("12s", "ask", "asynchronous", "[north, south]"),
            Shape::Block => ("0s", "automatic", "synchronous, when_alone: block", "[north, south]"),
            Shape::Degrade => ("0s", "automatic", "synchronous, when_alone: degrade", "[north, south]"),
            Shape::Unapproved => ("12s", "automatic", "asynchronous", "[north]"),
        };
        let text = TEXT.replace("@rpo", rpo).replace("@mode", mode);
        let text = text.replace("@timing", timing).replace("@database", database).replace("@approved", approved);
        match model::spec::parse(&text) {
            Ok(topology) => topology,
            Err(problems) => panic!("the simulator's own spec is wrong: {problems:?}"),
        }
    }
}

/// The RPO of the asynchronous workloads is near the least that a lease of 5 s and a lag of 5 s allow, so that it bites.
const TEXT: &str = "
workload: register
artifact: v1
objectives: { rto: 10m, rpo: @rpo, data_class: regulated }
residency: { regulated: @approved }
approvals: { failover: 1, failback: 2, override: 2, approvers: [ada, bob, cyd] }
failover: @mode
timing: { @timing }
sites:
  north:   { zones: [a, b], preferred: true, traffic_weight: 100 }
  south:   { zones: [a, b], traffic_weight: 0, capacity: 50% }
  witness: { witness: true }
components:
  front: { kind: dns, zone: case.example, policy: failover, ttl: 1s }
  api:   { kind: fleet, command: case-api, needs: [cases, key], ready: /ready, peak: 4, exercise: 'POST /cases {}' }
  cases: { kind: postgres, system_of_record: true, replication: @database }
  key:   { kind: secret, env: KEY }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_a_spec() {
        for shape in Shape::ALL {
            assert_eq!(shape.topology().sites.len(), 3, "{shape:?}");
        }
    }
}
