//! How long a forecast takes on one core, and how much memory it needs.
//!
//! `cargo bench -p antipode-engine --bench forecast -- [SAMPLES]`

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::forecast::{History, Model, forecast};

use antipode_engine as engine;

const EXAMPLE: &str = include_str!("../../../examples/case-api/antipode.yaml");

fn main() {
    let samples = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(10_000);
    let topology = Arc::new(model::spec::parse(EXAMPLE).expect("the example is a spec"));
    let model = Model::of(&topology, &History::default());
    let began = processor_time();
    let made = forecast(&model, samples, 1);
    let took = processor_time() - began;
    println!(
        "{samples} failovers in {:.2} s of one processor: {:.0} µs each, {} decisions each; at most {} MB of memory",
        took.as_secs_f64(),
        took.as_secs_f64() * 1e6 / f64::from(samples),
        made.decisions,
        peak_megabytes().map_or("?".to_owned(), |peak| peak.to_string()),
    );
}

/// What this thread has had of the processor, so that a busy machine does not count; real time where Linux is not.
fn processor_time() -> Duration {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| BEGAN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// The most that this process ever had in memory.
fn peak_megabytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
}
