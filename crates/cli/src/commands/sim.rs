use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sim::{Ends, Report, Sweep};

use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::interrupt::interrupted;
use crate::output::Output;

/// Try the engine against seeded disasters in a modelled world, and check what must always hold
///
/// Nothing real is touched. A seed is one whole disaster, and the same one every time.
#[derive(Debug, Args)]
pub struct Sim {
    /// How many seeds to try
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Try this seed alone; without --seeds
    #[arg(long, value_name = "S", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Tell every step of the seed
    #[arg(long, requires = "seed")]
    trace: bool,
    /// The first seed to try
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with = "seed")]
    from: u64,
}

impl Sim {
    pub fn run(self, output: &Output) -> Result<Exit, Failure> {
        match self.seed {
            Some(seed) => Ok(one(seed, self.trace, output)),
            None => self.many(output),
        }
    }

    fn many(self, output: &Output) -> Result<Exit, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
        let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let bar = ProgressBar::new(self.seeds).with_style(
            ProgressStyle::with_template("{bar:40} {pos}/{len} disasters, {per_sec}, {eta} left").expect("a template"),
        );
        let sweep = std::thread::scope(|scope| {
            let tries = scope.spawn(|| sim::sweep(self.from, self.seeds, &stop, &done));
            runtime.block_on(follow(&stop, &done, &bar, || tries.is_finished()));
            tries.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        bar.finish_and_clear();
        output.result(&value(&sweep), || describe(&sweep));
        match (sweep.failed.is_empty(), sweep.seeds < self.seeds) {
            (false, _) => Ok(Exit::Failed),
            (true, true) => Err(Failure::new(Code::Interrupted, format!("stopped after {} seeds", sweep.seeds))),
            (true, false) => Ok(Exit::Ok),
        }
    }
}

/// Until all is tried, or somebody stops it; the seeds under way are finished first.
async fn follow(stop: &AtomicBool, done: &AtomicU64, bar: &ProgressBar, finished: impl Fn() -> bool) {
    let mut told = std::pin::pin!(interrupted());
    while !finished() {
        tokio::select! {
            () = &mut told, if !stop.load(Ordering::Relaxed) => stop.store(true, Ordering::Relaxed),
            () = tokio::time::sleep(Duration::from_millis(50)) => bar.set_position(done.load(Ordering::Relaxed)),
        }
    }
}

fn one(seed: u64, trace: bool, output: &Output) -> Exit {
    let report = if trace { sim::trace(seed) } else { sim::run(seed) };
    output.result(&report, || {
        let steps: String = report.trace.iter().map(|line| format!("{line}\n")).collect();
        format!("{steps}{}", outcome(&report))
    });
    if report.violations.is_empty() { Exit::Ok } else { Exit::Failed }
}

fn name(kind: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(kind).unwrap_or_default();
    value.as_str().unwrap_or_default().to_string()
}

fn outcome(report: &Report) -> String {
    let how = if report.violations.is_empty() { "every invariant held" } else { "BROKEN" };
    let mut text = format!(
        "seed {}: {} of an {} workload, {:.1} s, {} events: {how}; {} acknowledged, {} lost by failovers\n",
        report.seed,
        name(&report.kind),
        name(&report.shape),
        report.took.as_secs_f64(),
        report.events,
        report.acknowledged,
        report.lost
    );
    for violation in &report.violations {
        let at = violation.at.as_secs_f64();
        text.push_str(&format!("  {} at {at:.3} s: {}\n", violation.invariant, violation.what));
    }
    text
}

fn describe(sweep: &Sweep) -> String {
    let seconds = sweep.took.as_secs_f64().max(0.001);
    let mut text = format!(
        "{} disasters in {seconds:.1} s ({:.0} a second, {} events)\n{} promotions; {} writes acknowledged, {} of them \
         lost by asynchronous or overridden failovers, all accounted for\n{} disasters hit nothing; at the end of {} no \
         region served, waiting for people\n",
        sweep.seeds,
        sweep.seeds as f64 / seconds,
        sweep.events,
        sweep.promotions,
        sweep.acknowledged,
        sweep.lost,
        sweep.vacuous,
        sweep.down_at_the_end
    );
    text.push_str(&format!("  {:18} {:>9} {:>9} {:>9}\n", "", "disasters", "waiting", "down"));
    for (kind, ends) in &sweep.by_kind {
        let Ends { disasters, waiting, down, .. } = ends;
        text.push_str(&format!("  {:18} {disasters:>9} {waiting:>9} {down:>9}\n", name(kind)));
    }
    match sweep.failed.first() {
        None => text.push_str("every invariant held\n"),
        Some(first) => {
            text.push_str(&format!("{} broke an invariant; the first:\n{}", sweep.failed.len(), outcome(first)));
            text.push_str(&format!("replay it: antipode sim --seed {} --trace\n", first.seed));
        }
    }
    text
}

fn value(sweep: &Sweep) -> serde_json::Value {
    let replay = sweep.failed.first().map(|first| format!("antipode sim --seed {} --trace", first.seed));
    let mut value = json!(sweep);
    value["first_failing_seed"] = json!(sweep.failed.first().map(|first| first.seed));
    value["replay"] = json!(replay);
    value
}
