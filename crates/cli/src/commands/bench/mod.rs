mod forecast;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use lab::bench::{BenchError, Play, Row, Sample, floor, markdown, play, rows};
use lab::drill::{Drill, DrillError, Plan};
use lab::report::{DrillResult, Verdict};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::up;
use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::interrupt::cancelled_on_interrupt;
use crate::output::Output;
use crate::{logs, spec_file};
use forecast::Forecast;

/// Measure on this machine what the documentation claims
///
/// Slow: a quarter of an hour and more. Every sample is a whole world that is started, broken and taken down.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
    /// A new folder for every sample's report and evidence, and bench.json
    #[arg(long, global = true, value_name = "DIR", default_value = "antipode-bench")]
    out: PathBuf,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How soon clients write again, beside the floor: a promotion that is ordered at once by somebody who knows
    ///
    /// Interleaved: each round takes one sample of every case. Killed: everything in the region dies. Silent: it lives,
    /// and nobody hears it.
    Failover {
        /// Specs, such as one for each timing profile
        #[arg(required = true)]
        specs: Vec<PathBuf>,
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Lose the writing region so many times in a row, in one world, and count the acknowledged writes that are gone
    Losses {
        spec: PathBuf,
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Whether nobody fails over while processors are starved and links blink for less than half a lease
    Calm {
        spec: PathBuf,
        /// Seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        lasting: u64,
        /// Threads that do nothing but spin
        #[arg(long, value_name = "N", default_value_t = 8)]
        busy: usize,
    },
    /// How long the failback by rewind takes when the database is large
    Failback {
        spec: PathBuf,
        #[arg(long, value_name = "MB", default_value_t = 1024)]
        megabytes: u64,
    },
    /// Whether the recoveries that `failover` measured lie where the forecast says. Nothing is started
    Forecast(Forecast),
}

impl Bench {
    pub fn run(self, output: &Output) -> Result<Exit, Failure> {
        if let What::Forecast(forecast) = &self.what {
            return forecast.run(output);
        }
        logs::quiet();
        let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
        if self.out.join("bench.json").exists() {
            return Err(Failure::new(Code::Usage, format!("{} already holds a measurement", self.out.display()))
                .hint("name a new folder with `--out`"));
        }
        runtime.block_on(async {
            let stop = cancelled_on_interrupt();
            let began = std::time::Instant::now();
            let say = |line: &str| output.notice(&format!("[{:7.2}s] {line}\n", began.elapsed().as_secs_f64()));
            self.measure(output, &say, &stop).await
        })
    }

    async fn measure(
        &self,
        output: &Output,
        say: &(dyn Fn(&str) + Sync),
        stop: &CancellationToken,
    ) -> Result<Exit, Failure> {
        let played = match &self.what {
            What::Forecast(forecast) => return forecast.run(output),
            What::Failover { specs, rounds } => {
                let samples = self.failovers(specs, *rounds, output, say, stop).await?;
                return self.report(&samples, output);
            }
            What::Losses { spec, rounds } => (spec, Play::Losses { rounds: *rounds }),
            What::Calm { spec, lasting, busy } => {
                (spec, Play::Calm { lasting: Duration::from_secs(*lasting), busy: *busy })
            }
            What::Failback { spec, megabytes } => (spec, Play::Failback { megabytes: *megabytes }),
        };
        let plan = plan(played.0, Drill::RegionLoss, self.out.join("play"), output)?;
        let result = play(plan, played.1, say, stop.clone()).await.map_err(failure)?;
        for bar in result.timeline.steps.iter().filter(|bar| bar.name == "follow") {
            let took = bar.to.map_or(0.0, |to| to.get() - bar.from.get());
            output.notice(&format!("{} at {}: {took:.2} s: {}\n", bar.name, bar.site, bar.note));
        }
        let mut sample = Sample::of_drill(&result.drill, &result);
        if matches!(self.what, What::Calm { .. }) {
            // Nothing was to recover: when the last disturbance ended is no recovery time.
            sample.rto_seconds = None;
        }
        self.report(&[sample], output)
    }

    async fn failovers(
        &self,
        specs: &[PathBuf],
        rounds: u32,
        output: &Output,
        say: &(dyn Fn(&str) + Sync),
        stop: &CancellationToken,
    ) -> Result<Vec<Sample>, Failure> {
        let mut samples = Vec::new();
        for round in 1..=rounds {
            say(&format!("round {round} of {rounds}"));
            for (case, silent) in [("floor, killed", false), ("floor, silent", true)] {
                let (took, lost) = floor(silent).await.map_err(bench_failure)?;
                samples.push(Sample::of_floor(case, took, lost));
            }
            for spec in specs {
                for (name, drill) in
                    [("killed", Drill::RegionLoss), ("silent", Drill::RegionPartition), ("planned", Drill::Switchover)]
                {
                    let stem = spec.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    let folder = self.out.join(format!("{stem}-{name}-{round}"));
                    let plan = plan(spec, drill, folder, output)?;
                    let quiet = |_: &str| ();
                    let result = lab::drill::run(plan, &quiet, stop.clone()).await.map_err(failure)?;
                    let case = case(&result, name);
                    samples.push(Sample::of_drill(&case, &result));
                    say(&last(&samples));
                }
            }
        }
        Ok(samples)
    }

    fn report(&self, samples: &[Sample], output: &Output) -> Result<Exit, Failure> {
        let rows: Vec<Row> = rows(samples);
        let whole = json!({ "rows": rows, "samples": samples });
        let written = std::fs::create_dir_all(&self.out)
            .and_then(|()| std::fs::write(self.out.join("bench.json"), format!("{whole:#}\n")));
        written.map_err(|e| Failure::new(Code::CannotStart, causes(&e)).hint("check the folder given with `--out`"))?;
        output.result(&whole, || markdown(&rows));
        for sample in samples.iter().filter(|sample| !sample.passed) {
            output.notice(&format!("{} failed: {}\n", sample.case, sample.why));
        }
        Ok(if samples.iter().all(|sample| sample.passed) { Exit::Ok } else { Exit::Failed })
    }
}

fn case(result: &DrillResult, name: &str) -> String {
    let short = if result.replication == "synchronous" { "sync" } else { "async" };
    format!("{} {short}, {name}", result.profile)
}

fn last(samples: &[Sample]) -> String {
    let Some(sample) = samples.last() else { return String::new() };
    let rto = sample.rto_seconds.map_or("none".to_owned(), |rto| format!("{:.2} s", rto.get()));
    let word = if sample.passed { Verdict::Passed.word() } else { Verdict::Failed.word() };
    format!("{}: {word}, RTO {rto}, lost {}", sample.case, sample.lost.unwrap_or(0))
}

fn plan(spec: &Path, drill: Drill, out: PathBuf, output: &Output) -> Result<Plan, Failure> {
    let topology = Arc::new(spec_file::load(spec, output)?);
    let text = std::fs::read_to_string(spec).map_err(|e| Failure::new(Code::SpecUnreadable, causes(&e)))?;
    let program = std::env::current_exe().map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
    Ok(Plan { drill, topology, spec: text, beside: up::beside(spec), out, program })
}

fn bench_failure(error: BenchError) -> Failure {
    match error {
        BenchError::Drill(error) => failure(error),
        other => Failure::new(Code::CannotStart, causes(&other)),
    }
}

fn failure(error: DrillError) -> Failure {
    match error {
        DrillError::Interrupted => Failure::new(Code::Interrupted, causes(&DrillError::Interrupted)),
        DrillError::World(error) => up::failure(&error),
        other => Failure::new(Code::CannotStart, causes(&other)).hint("check the folder given with `--out`"),
    }
}
