//! How fast the simulator is on one core, and how long the engine's `step` takes for each kind of event.
//!
//! `cargo bench -p antipode-sim --bench speed -- [SEEDS] [FIRST]`

use std::time::{Duration, Instant};

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let (seeds, first) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(1));
    disasters(first, seeds);
}

/// What this thread has had of the processor, so that a busy machine does not count; real time where Linux is not.
fn processor_time() -> Duration {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| BEGAN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

fn disasters(first: u64, seeds: u64) {
    let (began, mut events, mut modelled) = (processor_time(), 0, 0.0);
    for seed in first..first + seeds {
        let report = antipode_sim::run(seed);
        events += report.events;
        modelled += report.took.as_secs_f64();
    }
    let took = (processor_time() - began).as_secs_f64();
    println!(
        "{seeds} disasters in {took:.2} s of one processor: {:.0} a second, {:.2} million events a second, {:.0} events and \
         {:.0} modelled seconds each",
        seeds as f64 / took,
        events as f64 / took / 1e6,
        events as f64 / seeds as f64,
        modelled / seeds as f64,
    );
}
