//! What is forecast: the roles that the engine moves, and how long each thing takes in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::topology::Replication;
use model::{SiteId, Topology};
use serde::Serialize;

use super::spread::{Sourced, Spread};

/// One region's loss, and the move to another, as the engine carries it out.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the engine is told of the workload. Regions beyond the one that is lost and the one that takes over decide
    /// nothing in one failover, and are left out.
    pub topology: Arc<Topology>,
    /// The earliest of these makes the region unreachable.
    pub signals: Vec<Signal>,
    pub acts: Acts,
    pub people: People,
    /// Whether a promise of voters must lapse before the writer may move.
    pub leased: bool,
    pub loss: Loss,
    pub clients: Clients,
}

/// What tells that a region is lost.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// The engine's own vantage points, with the timing of the spec: tries, their time-outs, and how long a majority must
    /// have failed.
    Probes,
    /// A check that must fail so many times in a row. The region falls silent anywhere between two tries.
    Check { every: Duration, failures: u32, timeout: Duration, says: String },
    /// An alarm that must breach for so many periods. It is evaluated once a minute, and more often where its period is
    /// shorter; whole periods are counted, as for an average.
    Alarm { period: Duration, evaluations: u32, says: String },
    /// Somebody notices.
    Noticed(Sourced),
}

/// How often an alarm looks at its periods, when they are longer than this (CloudWatch user guide, "Evaluating an alarm").
const ALARM_LOOKS: Duration = Duration::from_secs(60);

impl Signal {
    /// How long after the loss it tells, for the signals that are not the engine's own.
    pub fn spread(&self) -> Option<Spread> {
        match self {
            Signal::Probes => None,
            Signal::Check { every, failures, timeout, .. } => {
                let least = *every * failures.saturating_sub(1) + *timeout;
                Some(Spread::even(least, least + *every))
            }
            Signal::Alarm { period, evaluations, .. } => {
                let least = *period * *evaluations;
                Some(Spread::even(least, least + (*period).min(ALARM_LOOKS)))
            }
            Signal::Noticed(sourced) => Some(sourced.spread.clone()),
        }
    }
}

/// Several that work at the same time: it is over when the slowest is.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Together(pub Vec<Group>);

/// So many alike.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Group {
    /// A component, or several.
    pub of: String,
    pub count: u32,
    pub takes: Sourced,
}

impl Together {
    pub fn one(of: &str, takes: Sourced) -> Self {
        Together(vec![Group { of: of.to_owned(), count: 1, takes }])
    }

    /// Components that take the same are one group: drawing for a thousand costs as much as for one.
    pub fn add(&mut self, of: &str, takes: Sourced) {
        match self.0.iter_mut().find(|group| group.takes == takes) {
            Some(group) => group.count += 1,
            None => self.0.push(Group { of: of.to_owned(), count: 1, takes }),
        }
    }

    /// How long, and which group was the slowest.
    pub fn draw(&self, share: impl Fn(&str) -> f64) -> (Duration, usize) {
        let mut slowest = (Duration::ZERO, 0);
        for (number, group) in self.0.iter().enumerate() {
            let takes = group.takes.spread.longest_of(group.count, share(&group.of));
            if takes > slowest.0 {
                slowest = (takes, number);
            }
        }
        slowest
    }
}

/// How long each act of a failover takes at the region that takes over.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Acts {
    /// From the order until all instances run.
    pub scale: Together,
    /// From the moment that the voters are free until they have granted the new epoch.
    pub bid: Sourced,
    /// Until the data can be written there: a promotion, or a restore where there is no copy.
    pub promote: Together,
    /// From then, or from when the instances run, until they say that they are ready.
    pub ready: Sourced,
    /// A real request.
    pub exercise: Sourced,
    /// Until traffic is answered with the new region.
    pub route: Together,
}

/// How long people take. Each is asked at once and answers for themselves.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct People {
    pub approve: Sourced,
    /// To accept that acknowledged writes are lost.
    pub accept: Sourced,
}

/// What is acknowledged and not yet elsewhere when the region is lost.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Loss {
    /// The worst of these counts.
    pub lag: Together,
    /// Acknowledged writes a second; `None` when nobody has said.
    pub writes_per_second: Option<f64>,
}

/// When clients notice that traffic has moved.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Clients {
    /// How long an answer may be kept.
    pub keep: Sourced,
    /// Servers answer with a TTL of zero as soon as the region is suspected.
    pub warned: bool,
    /// Until the next request, once the answer is right.
    pub again: Sourced,
}

/// Measured lengths by act, `database/promote` or `aws.rds/promote`: what replaces a prior.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct History {
    pub acts: BTreeMap<String, Vec<Duration>>,
    /// What was measured, for the citation: `12 drills of region-loss`.
    pub about: String,
}

impl History {
    /// Fewer measurements than this say less than a prior.
    pub const ENOUGH: usize = 5;

    /// What was measured of `act`, or `prior` while too little was.
    pub fn or(&self, act: &str, prior: Sourced) -> Sourced {
        let seen = self.acts.get(act).filter(|seen| seen.len() >= Self::ENOUGH).cloned();
        let samples = seen.as_ref().map_or(0, Vec::len);
        match seen.and_then(Spread::seen) {
            Some(spread) => Sourced { spread, source: self.about.clone(), samples },
            None => prior,
        }
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const DRILLS: &str = "drills of examples/case-api on one machine, 2 cores (docs/benchmarks.md)";

impl Model {
    /// A workload that Antipode runs itself, losing its preferred region.
    pub fn of(topology: &Arc<Topology>, history: &History) -> Self {
        let one = |act: &str, p50, p95, why| history.or(act, Sourced::prior(ms(p50), ms(p95), why));
        let database = topology.database().0.to_string();
        let mut scale = Together::default();
        for (fleet, _) in topology.fleets() {
            scale.add(fleet.as_str(), one("fleet/scale", 110, 400, DRILLS));
        }
        let lag = match topology.database().1.replication {
            Replication::Synchronous => Sourced::nothing("synchronous: no write is acknowledged before it is there"),
            Replication::Asynchronous => one("database/lag", 2, 20, "a standby that streams and keeps up"),
        };
        let (front, dns) = topology.dns();
        let keep = Spread::even(Duration::ZERO, dns.ttl);
        Model {
            topology: topology.clone(),
            signals: vec![Signal::Probes],
            acts: Acts {
                scale,
                bid: one("database/bid", 8, 40, DRILLS),
                promote: Together::one(&database, one("database/promote", 50, 80, DRILLS)),
                ready: one("fleet/ready", 40, 120, DRILLS),
                exercise: one("fleet/exercise", 6, 40, DRILLS),
                route: Together::one(front.as_str(), one("dns/route", 3, 10, DRILLS)),
            },
            people: People::on_call(history),
            leased: true,
            loss: Loss { lag: Together::one(&database, lag), writes_per_second: None },
            clients: Clients {
                keep: Sourced::known(keep, "the TTL of the zone: a client's answer is of any age"),
                warned: true,
                again: one("client/again", 20, 60, "the lab's clients send every 40 ms"),
            },
        }
    }

    /// The region that is lost.
    pub fn home(&self) -> &SiteId {
        self.topology.preferred()
    }
}

impl People {
    /// Who carries the pager. Measured answers replace the prior.
    pub fn on_call(history: &History) -> Self {
        let of = |name| history.or(name, Sourced::stated(name));
        People { approve: of("people.approve"), accept: of("people.accept-loss") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn detection_is_interval_times_failures_and_period_times_evaluations() {
        let says = String::new();
        let check = Signal::Check { every: s(10), failures: 3, timeout: s(4), says: says.clone() }.spread().unwrap();
        assert_eq!((check.at(0.0), check.at(1.0)), (s(24), s(34)), "two whole intervals, the time-out, and a part");
        let alarm = Signal::Alarm { period: s(300), evaluations: 2, says: says.clone() }.spread().unwrap();
        assert_eq!(
            (alarm.at(0.0), alarm.at(1.0)),
            (s(600), s(660)),
            "ten minutes: not inside an RTO of five (seed 001)"
        );
        let short = Signal::Alarm { period: s(10), evaluations: 3, says }.spread().unwrap();
        assert_eq!(short.at(1.0), s(40));
    }

    #[test]
    fn a_thousand_alike_are_one_group_and_the_slowest_counts() {
        let quick = Sourced::known(Spread::even(s(1), s(2)), "quick");
        let mut together = Together::default();
        for n in 0..1_000 {
            together.add(&format!("c{n}"), quick.clone());
        }
        together.add("slow", Sourced::known(Spread::Always(s(9)), "slow"));
        assert_eq!(together.0.iter().map(|group| group.count).collect::<Vec<_>>(), [1_000, 1]);
        assert_eq!(together.draw(|_| 0.5), (s(9), 1));
        together.0.pop();
        let (longest, _) = together.draw(|_| 0.5);
        assert!(longest > Duration::from_millis(1_999), "{longest:?}");
    }

    #[test]
    fn measurements_replace_a_prior_once_there_are_enough() {
        let prior = Sourced::prior(s(5), s(9), "so");
        let mut history = History { about: "4 drills".into(), ..History::default() };
        history.acts.insert("database/promote".into(), vec![s(1); 4]);
        assert_eq!(history.or("database/promote", prior.clone()), prior);
        history.acts.insert("database/promote".into(), vec![s(1); 5]);
        let seen = history.or("database/promote", prior);
        assert_eq!((seen.samples, seen.spread.p50()), (5, s(1)));
    }
}
