//! How long a large design takes to be rendered: 1,000 components in two regions.
//!
//! `cargo bench -p antipode-render --bench render -- [COMPONENTS] [ROUNDS]`

use std::time::{Duration, Instant};

use antipode_render::render;
use model::{ComponentId, Design};

/// As `antipode` has it.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HEAD: &str = "\
workload: large
objectives: { rto: 15m, rpo: 1m }
sites:
  us-east-1: { zones: [a, b], preferred: true }
  eu-west-1: { zones: [a, b], capacity: 50% }
";

/// What is copied under other names: mostly tables, queues, topics and secrets, behind a tenth of services.
const STORES: &str = "\
components:
  lb: { kind: aws.alb, check: { path: /ready, every: 10s, failures: 3 } }
  web: { kind: aws.asg, behind: lb, peak: 4, autoscale: true, usage: { class: t3.medium } }
  api: { kind: aws.fargate, behind: lb, peak: 6, autoscale: true, usage: { vcpus: 1, memory: 2GB } }
  images: { kind: aws.s3, system_of_record: true, replication: asynchronous, versioned: true }
  thumbnails: { kind: aws.lambda }
  carts: { kind: aws.dynamodb-global, system_of_record: true }
  orders: { kind: aws.dynamodb-global, system_of_record: true }
  stock: { kind: aws.dynamodb-global, system_of_record: true }
  users: { kind: aws.dynamodb-global, system_of_record: true }
  work: { kind: aws.sqs }
  mail: { kind: aws.sqs }
  bills: { kind: aws.sqs }
  prints: { kind: aws.sqs }
  moves: { kind: aws.sqs }
  retries: { kind: aws.sqs }
  audits: { kind: aws.sqs }
  news: { kind: aws.sns }
  alerts: { kind: aws.sns }
  changes: { kind: aws.sns }
  prices: { kind: aws.sns }
  password: { kind: aws.secrets-manager, replicated: true }
  token: { kind: aws.secrets-manager, replicated: true }
  certificate: { kind: aws.secrets-manager, replicated: true }
  signature: { kind: aws.secrets-manager, replicated: true }
  passphrase: { kind: aws.secrets-manager, replicated: true }
";

/// As many of each kind: services of three kinds behind their load balancer, what they keep, what they send, and what they
/// need to be let in.
const ALIKE: &str = "\
components:
  lb: { kind: aws.alb, check: { path: /ready, every: 10s, failures: 3 } }
  web: { kind: aws.asg, behind: lb, peak: 4, autoscale: true, usage: { class: t3.medium } }
  api: { kind: aws.fargate, behind: lb, peak: 6, autoscale: true, usage: { vcpus: 1, memory: 2GB } }
  shop: { kind: aws.ecs, behind: lb, peak: 4, usage: { vcpus: 1, memory: 2GB } }
  thumbnails: { kind: aws.lambda, runtime: python3.13, handler: main.handler }
  prints: { kind: aws.lambda, runtime: nodejs22.x, handler: index.handler }
  images: { kind: aws.s3, system_of_record: true, replication: asynchronous, versioned: true }
  exports: { kind: aws.s3, versioned: true }
  carts: { kind: aws.dynamodb-global, system_of_record: true }
  stock: { kind: aws.dynamodb, sites: [us-east-1], system_of_record: true }
  work: { kind: aws.sqs }
  mail: { kind: aws.sqs }
  clicks: { kind: aws.kinesis }
  news: { kind: aws.sns }
  changes: { kind: aws.sns }
  builds: { kind: aws.ecr, replication: asynchronous }
  lock: { kind: aws.kms }
  password: { kind: aws.secrets-manager, replicated: true }
  token: { kind: aws.secrets-manager, replicated: true }
  nightly: { kind: aws.scheduler }
";

fn large(kinds: &str, components: usize) -> Design {
    let mut design = model::spec::design(&format!("{HEAD}{kinds}")).expect("the spec above has no errors");
    let kinds = std::mem::take(&mut design.components);
    design.components = (0..components)
        .map(|n| {
            let mut part = kinds[n % kinds.len()].clone();
            let copy = n / kinds.len();
            part.id = ComponentId::new(format!("{}-{copy}", part.id));
            if let Some(front) = part.text("behind").map(|front| format!("{front}-{copy}")) {
                part.values.set("behind", model::Value::Text(front));
            }
            part
        })
        .collect();
    design
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let (components, rounds) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(20));
    for (name, kinds) in [("stores", STORES), ("all alike", ALIKE)] {
        measure(name, &large(kinds, components), rounds);
    }
}

fn measure(name: &str, design: &Design, rounds: usize) {
    let components = design.components.len();
    let mut times: Vec<Duration> = Vec::new();
    let (mut files, mut resources) = (0, 0);
    for _ in 0..rounds {
        let began = Instant::now();
        let rendering = std::hint::black_box(render(design, "antipode.yaml").expect("it can be rendered"));
        times.push(began.elapsed());
        files = rendering.files.len();
        let templates = rendering.stacks.iter().flat_map(|stack| &stack.templates);
        resources = templates.map(|template| template.resources.len()).sum();
    }
    times.sort();
    println!(
        "{components} components in 2 regions, {name}: {resources} resources in {files} files in {:.0} ms (median of {rounds}), {:.0} ms (worst)",
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[times.len() - 1].as_secs_f64() * 1e3,
    );
}
