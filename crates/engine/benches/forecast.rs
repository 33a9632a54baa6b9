//! How long forecast, cost and strategies take on one core, and how much memory they need: for the example that is drilled,
//! and for a design of 1,000 components over 5 regions.
//!
//! `cargo bench -p antipode-engine --bench forecast -- [SAMPLES]`

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antipode_engine::assess::strategy::{Effort, strategies};
use antipode_engine::cost::{bill, price};
use antipode_engine::forecast::{History, Model, Variant, forecast, model_of};
use model::Design;

const EXAMPLE: &str = include_str!("../../../examples/case-api/antipode.yaml");

fn main() {
    let samples: u32 = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(10_000);
    let topology = Arc::new(model::spec::parse(EXAMPLE).expect("the example is a spec"));
    let history = History::default();
    timed(&format!("case-api: {samples} failovers"), || {
        let made = forecast(&Model::of(&topology, &history), samples, 1);
        format!("{} decisions each, RTO {:?}", made.decisions, made.rto)
    });
    let design = large(1_000);
    timed(&format!("1,000 components over 5 regions: {samples} failovers"), || {
        let variant = Variant::new(&design, None).expect("it has a second region");
        let made = forecast(&model_of(&variant, &history), samples, 1);
        format!("{} decisions each, {} recovered", made.decisions, made.recovered)
    });
    timed("the same: its bill", || {
        let cost = price(&bill(&design, None), model::rates::bundled());
        format!("{} lines, {} missing", cost.lines.len(), cost.missing.len())
    });
    timed("the same: all six strategies, 1,000 failovers each", || {
        let effort = Effort { samples: 1_000, seed: 1 };
        strategies(&design, model::rates::bundled(), &history, effort).verdict
    });
    println!("at most {} MB of memory", peak_megabytes().map_or("?".to_owned(), |peak| peak.to_string()));
}

fn timed(what: &str, work: impl FnOnce() -> String) {
    let began = processor_time();
    let says = work();
    println!("{what}: {:.3} s of one processor ({says})", (processor_time() - began).as_secs_f64());
}

/// Instances, databases, tables and buckets in turn, each a little different from the others.
fn large(components: usize) -> Design {
    let mut text = String::from(
        "workload: large\nobjectives: { rto: 30m, rpo: 1m, availability: 99.95%, survives: region }\nfailover: automatic\nsites:\n",
    );
    for (number, region) in ["us-east-1", "us-west-2", "eu-west-1", "ap-south-1", "ap-southeast-1"].iter().enumerate() {
        let role = if number == 0 { "preferred: true" } else { "capacity: 25%" };
        let _ = writeln!(text, "  {region}: {{ zones: [a, b], {role} }}");
    }
    text += "components:\n  www: { kind: aws.route53, record: www.example.com, policy: failover, ttl: 60s, shift: health-check, \
             check: { path: /ready, every: 10s, failures: 3 } }\n";
    for number in 1..components {
        let about = match number % 4 {
            0 => "kind: aws.asg, peak: 4, usage: { class: t3.large }",
            1 => {
                "kind: aws.rds, system_of_record: true, replication: asynchronous, size: 100GB, usage: { class: db.t3.large, instances: 1 }"
            }
            2 => "kind: aws.dynamodb-global, system_of_record: true, usage: { writes: 1M/month, storage: 10GB }",
            _ => "kind: aws.s3, system_of_record: true, replication: asynchronous, size: 1TB, usage: { storage: 1TB }",
        };
        let lag =
            if number % 4 == 0 { format!("warm_up: {}s", number % 90) } else { format!("lag: {}s", 1 + number % 50) };
        let _ = writeln!(text, "  c{number}: {{ {about}, {lag} }}");
    }
    model::spec::design(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
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
