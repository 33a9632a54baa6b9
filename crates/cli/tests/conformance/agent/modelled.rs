//! The agents' orders, given to the simulator's world.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use engine::Inquiry;
use model::observe::{FleetReport, VoterReport, ZoneReport};
use model::routing::{NameTable, Policy, Target};
use model::{
    Attempt, AttemptId, Epoch, LeaseReply, LeaseRequest, Receipt, Refusal, RunId, SiteId, SyncRecord, Verb, ZoneTable,
};
use sim::Shape;
use sim::by_hand::ByHand;

use super::order::{Act, Ask, Order};
use crate::World;
use crate::case::{Given, Where};
use crate::database::modelled::ended;

pub struct Modelled {
    world: ByHand,
    waited: Duration,
}

const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);
/// An order may take so long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The two regions' ids, and how a case calls them.
pub struct Names(pub [SiteId; 2]);

impl Names {
    fn site(&self, at: Where) -> SiteId {
        self.0[at.number()].clone()
    }
    fn of(&self, site: &SiteId) -> &'static str {
        Where::BOTH.into_iter().find(|at| self.0[at.number()] == *site).map_or("witness", Where::name)
    }
    fn epoch(&self, number: u64, of: Where) -> Epoch {
        Epoch { number, site: self.site(of) }
    }

    pub fn attempt(&self, number: u32, start: u64, knowing: u64) -> Attempt {
        let (id, epoch) = (attempt_id(number), self.epoch(knowing, Where::A));
        Attempt { id, epoch, generation: start, deadline: DEADLINE }
    }

    pub fn verb(&self, act: &Act) -> Verb {
        match act {
            Act::Scale(instances) => Verb::Scale { instances: *instances },
            Act::Zone { epoch, serial, to } => Verb::Route { zone: self.zone(*epoch, *serial, *to) },
            Act::Suspect(on) => Verb::Suspect { on: *on },
            Act::Exercise => Verb::Exercise { write: true },
            Act::Initialise => Verb::Initialise,
            Act::Archive => Verb::Archive,
        }
    }

    fn zone(&self, epoch: u64, serial: u64, to: Where) -> ZoneTable {
        let target = |at: Where| Target {
            site: self.site(at),
            addresses: vec![Ipv4Addr::new(10, 0, 0, at.number() as u8 + 1)],
            enabled: at == to,
            rank: 0,
            weight: 0,
            geo: Vec::new(),
            latency: Default::default(),
        };
        let targets = Where::BOTH.map(target).into();
        let table = NameTable { policy: Policy::Failover, ttl: Duration::from_secs(1), targets };
        let names = [("api.case.example".to_owned(), table)].into();
        ZoneTable { zone: "case.example".into(), epoch: self.epoch(epoch, Where::A), serial, names }
    }

    pub fn request(&self, by: Where, epoch: u64, ask: &Ask) -> LeaseRequest {
        let epoch = self.epoch(epoch, by);
        let receipts = Vec::new();
        match ask {
            Ask::Sound => LeaseRequest::Sound { epoch, receipts },
            Ask::Acquire => LeaseRequest::Acquire { epoch, receipts },
            Ask::Renew => LeaseRequest::Renew { epoch },
            Ask::Release => {
                let (site, signature) = (self.site(by), String::new());
                LeaseRequest::Release { receipt: Receipt { workload: "w".into(), site, epoch, end: None, signature } }
            }
            Ask::Record(version) => {
                let in_sync = vec![self.site(by.other())];
                LeaseRequest::RecordSync { epoch, record: SyncRecord { version: *version, in_sync } }
            }
        }
    }

    /// What is so, as a case says it.
    pub fn facts(&self, zone: &ZoneReport, fleet: &FleetReport, voter: &VoterReport, secret: bool) -> BTreeSet<String> {
        let either = |so: bool, yes: &str, no: &str| if so { yes } else { no }.to_owned();
        let mut facts = vec![
            either(zone.suspect, "suspects", "suspects nothing"),
            either(zone.fenced, "refuses its own names", "answers its own names"),
            format!("wants {}", fleet.wanted),
            format!("{} live", fleet.alive()),
            format!("{} ready", fleet.ready()),
            either(voter.promise_remaining.is_zero(), "promised nothing", "promised"),
            either(voter.quiet_remaining.is_zero(), "waits for nothing", "waits out a promise"),
            either(secret, "has the secret", "lacks the secret"),
        ];
        facts.push(match zone.epoch.is_none() {
            true => "no zone".into(),
            false => format!("zone {} {}", zone.epoch.number, zone.serial),
        });
        let enabled = zone.enabled.values().flatten();
        facts.extend(enabled.map(|site| format!("leads to {}", self.of(site))));
        facts.push(match voter.highest.is_none() {
            true => "knows no epoch".into(),
            false => format!("knows {} {}", voter.highest.number, self.of(&voter.highest.site)),
        });
        facts.push(format!("record {}", voter.sync.version));
        facts.extend(voter.lacks.iter().map(|site| format!("lacks {}", self.of(site))));
        facts.into_iter().collect()
    }
}

pub fn attempt_id(number: u32) -> AttemptId {
    AttemptId { run: RunId(1), step: number, number: 1 }
}

/// A voter's reply as a case says it.
pub fn replied(reply: &LeaseReply) -> String {
    match &reply.refused {
        None => "granted",
        Some(Refusal::Promised { .. }) => "refused: promised",
        Some(Refusal::Quiet { .. }) => "refused: waits out a promise",
        Some(Refusal::OldEpoch { .. }) => "refused: an old epoch",
        Some(Refusal::GlassBroken { .. }) => "refused: broken glass",
        Some(Refusal::SyncMoved { .. }) => "refused: an old record",
        Some(Refusal::Amnesiac { .. }) => "refused: it remembers nothing",
    }
    .into()
}

pub fn inquired(inquiry: &Inquiry) -> String {
    match inquiry {
        Inquiry::NeverSeen => "never seen".into(),
        Inquiry::Running => "running".into(),
        Inquiry::Ended(outcome) => ended(outcome),
    }
}

impl Modelled {
    pub fn given(given: Given, seed: u64) -> Self {
        assert_eq!(given, Given::Agent, "these cases have no database");
        Self { world: ByHand::new(Shape::Automatic, seed), waited: Duration::ZERO }
    }

    fn names(&self) -> Names {
        Names(Where::BOTH.map(|at| self.world.site(at.number())))
    }
}

impl World<Order> for Modelled {
    async fn perform(&mut self, order: &Order) -> String {
        let names = self.names();
        match order {
            Order::Act { number, start, knowing, act } => {
                let told = self.world.act(0, names.attempt(*number, *start, *knowing), names.verb(act));
                told.map_or("nothing is told".into(), |outcome| ended(&outcome))
            }
            Order::Cancel(number) => {
                self.world.cancel(0, attempt_id(*number));
                String::new()
            }
            Order::Inquire(number) => {
                let inquiry = self.world.inquire(0, attempt_id(*number));
                inquiry.map_or("nothing is told".into(), |inquiry| inquired(&inquiry))
            }
            Order::Ask { by, epoch, ask } => replied(&self.world.ask(0, &names.request(*by, *epoch, ask))),
            Order::Restart | Order::LoseStore => {
                self.world.restart_agent(0, *order == Order::LoseStore);
                String::new()
            }
            // Every modelled site has every secret.
            Order::LoseSecret => String::new(),
            Order::See => unreachable!("a look is no order"),
        }
    }

    async fn see(&mut self, _: &Order) -> BTreeSet<String> {
        let report = self.world.report(0);
        let (zone, fleet) = (report.zones.values().next(), report.fleets.values().next());
        let secret = report.secrets.values().all(|secret| secret.digest.is_some());
        self.names().facts(zone.expect("a zone"), fleet.expect("a fleet"), &report.voter, secret)
    }

    async fn pass(&mut self, _: Instant) -> bool {
        self.world.pass(LOOK);
        self.waited += LOOK;
        self.waited < PATIENCE
    }
}
