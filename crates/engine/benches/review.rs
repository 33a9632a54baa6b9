//! How long the review of a large design takes: 1,000 components over 5 regions.
//!
//! `cargo bench -p antipode-engine --bench review -- [COMPONENTS] [ROUNDS]`

use std::time::{Duration, Instant};

use antipode_engine::assess::review;
use model::{ComponentId, Design};

/// One router; the others, with much to say and much left open, are copied under other names.
const SPEC: &str = "\
workload: large
objectives: { rto: 15m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1, eu-central-1, eu-north-1, eu-south-1, eu-west-3] }
sites:
  eu-west-1: { zones: [a, b], preferred: true }
  eu-central-1: { zones: [a, b], capacity: 25% }
  eu-north-1: { zones: [a] }
  eu-south-1: { zones: [a, b] }
  eu-west-3: { zones: [a, b] }
components:
  www: { kind: aws.route53, policy: latency, ttl: 20m, shift: dns-record, check: { path: /health, depth: shallow, every: 30s, failures: 3 } }
  web: { kind: aws.asg, id: web-eu-west-1, peak: 40, capacity: 10%, needs: [db, password], sessions: sticky, image: { built: 2026-01-01, sites: [eu-west-1] }, alarm: { period: 5m, evaluations: 3 } }
  db: { kind: aws.rds, system_of_record: true, replication: asynchronous, lag: 2m, writers: every, backup: { every: 1d, sites: [eu-west-1] } }
  log: { kind: stream, replication: asynchronous, events: { identity: id } }
  password: { kind: aws.secrets-manager, sites: [eu-west-1] }
";

fn large(components: usize) -> Design {
    let mut design = model::spec::design(SPEC).expect("the spec above has no errors");
    let kinds = design.components.split_off(1);
    let copies = (0..components.saturating_sub(1)).map(|i| {
        let mut part = kinds[i % kinds.len()].clone();
        part.id = ComponentId::new(format!("{}-{}", part.id, i / kinds.len()));
        part.needs = part.needs.iter().map(|need| ComponentId::new(format!("{need}-{}", i / kinds.len()))).collect();
        part
    });
    design.components.extend(copies);
    design
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let (components, rounds) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(20));
    let design = large(components);
    let today = "2026-11-21".parse().expect("a date");
    let mut times: Vec<Duration> = Vec::new();
    let mut found = 0;
    for _ in 0..rounds {
        let began = Instant::now();
        found = std::hint::black_box(review(&design, today)).findings.len();
        times.push(began.elapsed());
    }
    times.sort();
    println!(
        "{components} components over 5 regions: {found} findings in {:.1} ms (median of {rounds}), {:.1} ms (worst)",
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[times.len() - 1].as_secs_f64() * 1e3,
    );
}
