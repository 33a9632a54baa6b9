//! How long a failover will take and what it will lose, before it happens: the engine itself, in virtual time.
//!
//! ```text
//! Model (roles, and how long each act takes) ─┬─ sample 1: the region is lost ─► observe, step, apply ─► Sample
//!                                             ├─ sample 2 …                                              │
//!                                             └─ sample N ──────────────────────────────────► Forecast ◄─┘
//! ```
//! The decisions are those of [`crate::step`], on the events that a controller would give it; only the world is modelled.
//! So what the engine would wait for (a majority's verdict, an approval, a promise that lapses, instances that are not
//! ready yet) is waited for here too. How each number is made: docs/forecast.md.

pub mod availability;
mod design;
mod dice;
mod roles;
mod scene;
mod spread;
mod summary;
#[cfg(test)]
mod tests;
mod world;

pub use availability::Availability;
pub use design::{
    UNNAMED, Variant, backed_up_away, between_backups, is_record, losses_of_records, model as model_of, own_losses,
    stays,
};
pub use dice::SplitMix;
pub use roles::{Acts, Clients, Group, History, Loss, Model, People, Signal, Together};
pub use spread::{Sourced, Spread};
pub use summary::{Cited, Forecast, PhaseForecast, Quantiles, Secs, Slowest};
pub use world::{Ended, HORIZON, Sample};

use dice::Dice;
use world::{Pace, World, calm};

/// The parts of a recovery in their order, and what each lasts from and to. They add up to the RTO.
pub const PHASES: [(&str, &str); 7] = [
    ("detect", "the loss to the verdict"),
    ("decide", "the verdict to the order to promote: checks, approvals and accepted losses"),
    ("fence", "the order until the old writer's promise has lapsed and a new epoch is granted"),
    ("promote", "the epoch until the data can be written"),
    ("scale", "from then until capacity is ready and a real request has succeeded"),
    ("route", "the first order to move traffic until every server answers with the new region"),
    ("clients", "from then until a client that honours TTLs is served"),
];

/// After so many samples that turn in a circle no more are drawn: the next would too.
const CIRCLES: usize = 3;

/// So many losses of the region, each drawn from the dice of its own number: the same seed, the same forecast. Fewer, when
/// [`Ended::Circling`] is how they end: a forecast always comes to an end.
pub fn forecast(model: &Model, samples: u32, seed: u64) -> Forecast {
    let calm = calm(model);
    let (mut losses, mut circles) = (Vec::with_capacity(samples as usize), 0);
    for number in 0..samples.max(1) {
        let loss = World::new(model, &calm, Dice::of(seed, number), Pace::Changes).run();
        circles += usize::from(loss.ended == Ended::Circling);
        losses.push(loss);
        if circles == CIRCLES {
            break;
        }
    }
    summary::summarise(model, losses, seed)
}
