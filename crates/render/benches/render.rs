//! How long a large design takes to be rendered: 1,000 components in two regions.
//!
//! `cargo bench -p antipode-render --bench render -- [COMPONENTS] [ROUNDS]`

use std::process::Command;
use std::time::Instant;

use antipode_render::runbook::Recovery;
use antipode_render::{Told, render_with};
use model::{ComponentId, Design};

#[path = "../tests/checkers/recoveries.rs"]
mod recoveries;

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

/// As `antipode render` does, each in a process of its own.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [once, which, components] = arguments.as_slice()
        && once == "once"
    {
        let (_, kinds) = DESIGNS[which.parse::<usize>().expect("the number of a design")];
        return render_once(&large(kinds, components.parse().expect("a number of components")));
    }
    let mut numbers = arguments.iter().filter_map(|text| text.parse::<usize>().ok());
    let (components, rounds) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(20));
    for which in 0..DESIGNS.len() {
        measure(which, components, rounds);
    }
}

const DESIGNS: [(&str, &str); 2] = [("stores", STORES), ("all alike", ALIKE)];

/// Prints microseconds, resources and files.
fn render_once(design: &Design) {
    // With its runbooks, which are longer than an engine would order them; it orders none for the loss of a region that waits.
    let mut recoveries = recoveries::recoveries(design);
    let waits = |recovery: &&mut Recovery| Some(&recovery.from) != design.preferred().map(|site| &site.id);
    recoveries.iter_mut().filter(waits).for_each(|recovery| recovery.calls.clear());
    let told = Told { recoveries, ..Told::default() };
    let began = Instant::now();
    let rendering = std::hint::black_box(render_with(design, "antipode.yaml", &told).expect("it can be rendered"));
    let took = began.elapsed().as_micros();
    let templates = rendering.stacks.iter().flat_map(|stack| &stack.templates);
    let resources: usize = templates.map(|template| template.resources.len()).sum();
    println!("{took} {resources} {}", rendering.files.len());
}

fn measure(which: usize, components: usize, rounds: usize) {
    let itself = std::env::current_exe().expect("a program has a path");
    let (mut times, mut made) = (Vec::new(), String::new());
    for _ in 0..rounds {
        let arguments = ["once".to_owned(), which.to_string(), components.to_string()];
        let output = Command::new(&itself).args(arguments).output().expect("it can be started again");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let (took, rest) = said.split_once(' ').expect("a time, and what was made");
        times.push(took.parse::<f64>().expect("microseconds") / 1e3);
        made = rest.replacen(' ', " resources in ", 1);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{components} components in 2 regions, {}: {made} files in {:.0} ms (median of {rounds} processes), {:.0} to {:.0} ms",
        DESIGNS[which].0,
        times[times.len() / 2],
        times[0],
        times[times.len() - 1],
    );
}
