//! How fast the simulator is on one core, and how long the engine's `step` takes for each kind of event.
//!
//! `cargo bench -p antipode-sim --bench speed -- [SEEDS] [FIRST]`

use std::time::Instant;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let (seeds, first) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(1));
    disasters(first, seeds);
}

fn disasters(first: u64, seeds: u64) {
    let (began, mut events, mut modelled) = (Instant::now(), 0, 0.0);
    for seed in first..first + seeds {
        let report = antipode_sim::run(seed);
        events += report.events;
        modelled += report.took.as_secs_f64();
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{seeds} disasters in {took:.2} s on one core: {:.0} a second, {:.2} million events a second, {:.0} events and \
         {:.0} modelled seconds each",
        seeds as f64 / took,
        events as f64 / took / 1e6,
        events as f64 / seeds as f64,
        modelled / seeds as f64,
    );
}
