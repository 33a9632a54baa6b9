//! How fast the simulator is on one core, and how long the engine's `step` takes for each kind of event.
//!
//! `cargo bench -p antipode-sim --bench speed -- [SEEDS] [FIRST]`

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antipode_sim::{Report, Shape};
use engine::Event;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let (seeds, first) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(1));
    steps();
    disasters(first, seeds);
}

/// What this thread has had of the processor, so that a busy machine does not count; real time where Linux is not.
fn processor_time() -> Duration {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| BEGAN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// Of a workload that is established and well, as nearly all events find it.
fn steps() {
    const TIMES: u32 = 200_000;
    let (state, now) = antipode_sim::established(Shape::Automatic);
    let report = |site: &model::SiteId| state.watch.sites[site].report.clone();
    let mut events = vec![("tick", Event::Tick)];
    for site in &state.topology.sites {
        let told = report(&site.id).map(|report: Arc<_>| (site.id.as_str(), Event::Reported { report }));
        events.extend(told);
    }
    for (name, event) in events {
        let began = processor_time();
        (0..TIMES).for_each(|_| drop(black_box(engine::step(black_box(&state), now, &event))));
        let each = (processor_time() - began) / TIMES;
        println!("step upon {name}: {} ns", each.as_nanos());
    }
}

fn disasters(first: u64, seeds: u64) {
    let (began, mut events, mut modelled, mut digest) = (processor_time(), 0, 0.0, Digest::default());
    for seed in first..first + seeds {
        let report = antipode_sim::run(seed);
        events += report.events;
        modelled += report.took.as_secs_f64();
        digest.add(&report);
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
    println!("outcomes {:016x}: another number for the same seeds is another model", digest.0);
}

/// Of what each disaster came to, whatever number of events that took.
#[derive(Default)]
struct Digest(u64);

impl Digest {
    fn add(&mut self, report: &Report) {
        let Report { seed, took, vacuous, serves, promotions, acknowledged, lost, violations, .. } = report;
        let numbers = [*seed, took.as_micros() as u64, u64::from(*vacuous), u64::from(*serves), u64::from(*promotions)];
        let more = [*acknowledged as u64, *lost as u64, violations.len() as u64];
        for number in numbers.into_iter().chain(more) {
            self.0 = (self.0 ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }
}
