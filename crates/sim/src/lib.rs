//! The simulated world: the engine that runs in production, against modelled sites, links, clocks, databases, clients
//! and people. No I/O and no real time: a seed is a whole disaster, and the same one every time.
//!
//! ```text
//! seed ─► Scenario ─► World { queue of events, in virtual time } ─► Report { violations, trace }
//!                       ├ Site × 3: engine::lease::Voter, engine::writer::Writer, database, gate, watchdog, clock
//!                       ├ Control:  engine::{observe, step, apply, resume} and a journal
//!                       └ Clients, People, Net, faults; Judge checks the invariants after every event
//! ```
//! The model behaves as the real shell in `controller::agent` does, and is coarser where that decides nothing: a probe is
//! one event, a rewind one step. What a region's whole freeze, or that of an agent together
//! with its watchdog, may let through (SAFETY.md item 4) is not modelled.

mod agent;
pub mod by_hand;
mod clients;
mod control;
mod data;
mod database;
mod faults;
mod glass;
mod glass_judge;
pub mod guards;
mod invariants;
mod net;
mod operator;
mod orders;
mod queue;
mod report;
mod rng;
mod scenario;
mod site;
mod spec;
mod sweep;
mod vault;
mod world;

use std::time::Duration;

use serde::Serialize;

pub use guards::Weakness;
pub use invariants::Violation;
pub use scenario::Kind;
pub use spec::Shape;
pub use sweep::{Ends, Sweep, sweep};

use rng::Rng;
use scenario::Scenario;
use world::{VARIANTS, World};

/// What one seed's disaster came to.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub kind: Kind,
    pub shape: Shape,
    pub events: u64,
    /// How long the disaster took in the modelled world.
    pub took: Duration,
    /// No fault met anything while a write was in flight: this seed proves nothing (DESIGN.md, invariant 8).
    pub vacuous: bool,
    /// Whether some region served when it was over. A run that waits for people may leave none.
    pub serves: bool,
    /// A run was left that waits for people.
    pub waits: bool,
    pub promotions: u32,
    pub acknowledged: usize,
    /// Acknowledged writes that promotions left behind.
    pub lost: usize,
    /// The first of each kind.
    pub violations: Vec<Violation>,
    /// Every step of it, one line each; empty unless asked for.
    pub trace: Vec<String>,
}

/// The disaster of one seed.
pub fn run(seed: u64) -> Report {
    run_with(seed, Weakness::default(), false)
}

/// Likewise, telling every step.
pub fn trace(seed: u64) -> Report {
    run_with(seed, Weakness::default(), true)
}

/// The controller's state of a workload that is established and well, and its time: for measurements.
pub fn established(shape: Shape) -> (engine::Workload, model::Time) {
    let world = world::beginning(shape, false, 0);
    (world.control.state.clone(), world.controller_clock())
}

/// Which kind of disaster a seed means.
pub fn kind(seed: u64) -> Kind {
    Scenario::draw(seed, &mut Rng::new(seed)).kind
}

/// The disaster of one seed, with guards taken away.
pub fn run_with(seed: u64, weakness: Weakness, trace: bool) -> Report {
    let mut rng = Rng::new(seed);
    let scenario = Scenario::draw(seed, &mut rng);
    let (kind, shape) = (scenario.kind, scenario.shape);
    let variant = rng.below(VARIANTS);
    let mut world = match (weakness == Weakness::default(), trace) {
        (true, false) => world::beginning(shape, scenario.inside, variant).clone(),
        _ => World::established(shape, scenario.inside, variant, weakness, trace),
    };
    world.befall(scenario, rng);
    world.run();
    let trace = world.take_trace();
    Report {
        seed,
        kind,
        shape,
        events: world.events,
        took: world.now.since(model::Time::ZERO),
        vacuous: world.hits == 0,
        serves: (0..2).any(|site| world.serves(site)),
        waits: world.control.state.run.is_some(),
        promotions: world.judge.promotions,
        acknowledged: world.clients.acknowledged().count(),
        lost: world.judge.lost(),
        violations: world.judge.violations,
        trace,
    }
}

#[cfg(test)]
mod crashes;
#[cfg(test)]
mod glass_tests;
#[cfg(test)]
mod tests;
