//! The cases' orders, given to the simulator's world.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use engine::writer::{Effect, Event};
use model::action::ExportedRows;
use model::backup::RestoreTo;
use model::{ActError, Epoch, Outcome, RunId, Verb};
use sim::Shape;
use sim::by_hand::{ByHand, Harm, State, Written};

use super::order::Order;
use crate::World;
use crate::case::{Given, Where};

pub struct Modelled {
    world: ByHand,
    /// Virtual time spent on one question.
    waited: Duration,
    remembered: Option<RestoreTo>,
}

/// Of the only run that restores anything.
pub const RUN: RunId = RunId(7);

/// Between two looks, and for all looks at one question.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);

impl Modelled {
    pub fn given(given: Given, seed: u64) -> Self {
        let world = ByHand::new(Shape::Automatic, seed);
        let mut modelled = Self { world, waited: Duration::ZERO, remembered: None };
        if !matches!(given, Given::Single | Given::Pair) {
            return modelled;
        }
        assert_eq!(modelled.order(Where::A, Verb::Initialise), "done");
        assert_eq!(modelled.open(Where::A, 1), "opened");
        for number in 1..=3 {
            assert_eq!((modelled.world.write(0), modelled.world.written(number)), (number, Written::Acknowledged));
        }
        if given == Given::Pair {
            assert_eq!(modelled.follow(Where::B), "done");
            while modelled.world.see(0).stream.is_none_or(|stream| !stream.complete) {
                modelled.world.pass(LOOK);
            }
        }
        modelled
    }

    fn order(&mut self, at: Where, verb: Verb) -> String {
        self.world.order(at.number(), verb).map_or("nothing is told".into(), |outcome| ended(&outcome))
    }

    fn epoch(&self, at: Where, number: u64) -> Epoch {
        Epoch { number, site: self.world.site(at.number()) }
    }

    fn open(&mut self, at: Where, epoch: u64) -> String {
        let epoch = self.epoch(at, epoch);
        told(self.world.effect(at.number(), Effect::Open { epoch }))
    }

    fn follow(&mut self, at: Where) -> String {
        let upstream = self.world.site(at.other().number());
        self.order(at, Verb::Follow { upstream })
    }

    /// Nobody is told.
    fn harm(&mut self, at: Where, harm: Harm) -> String {
        self.world.harm(at.number(), harm);
        String::new()
    }

    fn named(&self, site: &model::SiteId) -> &'static str {
        let known = Where::BOTH.iter().find(|region| self.world.site(region.number()) == *site);
        known.map_or("nobody", |region| region.name())
    }
}

/// An outcome as a case says it.
pub fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(evidence) => "done".to_owned() + &kept(evidence.export.as_ref().map(|export| export.rows)),
        Outcome::AlreadyDone(_) => "already done".into(),
        Outcome::Refused { .. } => "refused".into(),
        Outcome::Failed(ActError::Transient(_)) => "failed for now".into(),
        Outcome::Failed(ActError::Permanent(_)) => "failed for good".into(),
        Outcome::Failed(ActError::Unknown(_)) => "unknown".into(),
    }
}

/// What was kept of the data that is given up, by its rows where they could be compared.
pub fn kept(export: Option<Option<ExportedRows>>) -> String {
    match export {
        None => String::new(),
        Some(Some(rows)) => format!(", {} writes were only here", rows.only_here),
        Some(None) => ", all of it was kept".into(),
    }
}

/// The event as a case says it.
pub fn told(event: Option<Event>) -> String {
    match event {
        Some(Event::Opened { .. }) => "opened".into(),
        Some(Event::OpenFailed { .. }) => "not opened".into(),
        Some(Event::Gone { end: Some(_) }) => "gone, with its end".into(),
        Some(Event::Gone { end: None }) => "gone, without its end".into(),
        other => format!("{other:?}"),
    }
}

pub fn answered(written: Written) -> String {
    match written {
        Written::Acknowledged => "acknowledged",
        Written::Refused => "refused",
        Written::Pending => "no answer",
    }
    .into()
}

impl World<Order> for Modelled {
    async fn perform(&mut self, order: &Order) -> String {
        match order {
            Order::Initialise(at) => self.order(*at, Verb::Initialise),
            Order::Open { at, epoch, .. } => self.open(*at, *epoch),
            Order::Restart { at, epoch } => {
                let epoch = self.epoch(*at, *epoch);
                told(self.world.restart(at.number(), &epoch))
            }
            Order::Stop { at, clean } => told(self.world.effect(at.number(), Effect::Stop { clean: *clean })),
            Order::Follow(at) => self.follow(*at),
            Order::Wait { at, standby } => {
                let standby = standby.then(|| self.world.site(at.other().number()));
                self.world.effect(at.number(), Effect::Synchronous { standby });
                String::new()
            }
            Order::Write { number, at, .. } => {
                assert_eq!(self.world.write(at.number()), *number, "writes are numbered in turn");
                answered(self.world.written(*number))
            }
            Order::Await(number) => {
                let began = Instant::now();
                while self.world.written(*number) == Written::Pending && self.pass(began).await {}
                answered(self.world.written(*number))
            }
            Order::Crash(at) => self.harm(*at, Harm::Crash),
            Order::Freeze(at) => self.harm(*at, Harm::Freeze),
            Order::Thaw(at) => self.harm(*at, Harm::Thaw),
            Order::Cut => self.harm(Where::A, Harm::Cut),
            Order::Mend => self.harm(Where::A, Harm::Mend),
            Order::Archive(at) => self.order(*at, Verb::Archive),
            Order::Remember(at) => {
                self.remembered = Some(self.world.moment(at.number()));
                String::new()
            }
            Order::Restore(at) => {
                let to = self.remembered.expect("a moment is remembered first");
                self.order(*at, Verb::Restore { run: RUN, to })
            }
            Order::PutBack(at) => self.order(*at, Verb::PutBack { run: RUN }),
            Order::Fill(at) => self.harm(*at, Harm::Fill),
            Order::Empty(at) => self.harm(*at, Harm::Empty),
            Order::Damage(at) => self.harm(*at, Harm::Damage),
            Order::See(_) => unreachable!("a look is no order"),
        }
    }

    async fn see(&mut self, order: &Order) -> BTreeSet<String> {
        let Order::See(region) = order else { unreachable!("{order:?} is no look") };
        let seen = self.world.see(region.number());
        let mut facts: Vec<String> = match &seen.state {
            State::Absent => vec!["absent".into()],
            State::Stopped => vec!["stopped".into()],
            State::Unresponsive => vec!["unresponsive".into()],
            State::Writing => vec!["writing".into()],
            State::Standby { upstream, receiving } => vec![
                format!("standby of {}", upstream.as_ref().map_or("nobody", |site| self.named(site))),
                if *receiving { "receives" } else { "receives nothing" }.into(),
            ],
        };
        if !matches!(seen.state, State::Standby { .. } | State::Writing) {
            return facts.into_iter().collect();
        }
        facts.push(format!("timeline {}", seen.timeline));
        facts.push(format!("epoch {} {}", seen.written.number, self.named(&seen.written.site)));
        facts.push(seen.writes.iter().fold("rows".into(), |text, number| format!("{text} {number}")));
        if seen.state == State::Writing {
            match &seen.stream {
                None => facts.push("nobody streams".into()),
                Some(stream) => {
                    let name = self.named(&stream.to);
                    facts.push(format!("{name} streams"));
                    facts.push(if stream.complete { format!("{name} has all") } else { format!("{name} lacks some") });
                    facts.extend(stream.synchronous.then(|| format!("commits wait for {name}")));
                }
            }
        }
        facts.into_iter().collect()
    }

    async fn pass(&mut self, _: Instant) -> bool {
        self.world.pass(LOOK);
        self.waited += LOOK;
        let more = self.waited < PATIENCE;
        if !more {
            self.waited = Duration::ZERO;
        }
        more
    }
}
