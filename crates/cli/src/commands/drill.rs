use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use lab::drill::{Drill as Kind, DrillError, Plan, catalogue};
use lab::report::{DrillResult, Verdict, table};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::up;
use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::output::Output;
use crate::{logs, spec_file};

/// Break the workload for real on this machine, recover, fail back, and measure at the clients
#[derive(Debug, Args)]
pub struct Drill {
    /// Which disaster; see --list
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// List the drills
    #[arg(long)]
    list: bool,
    /// A new folder for report, evidence and ledger [default: antipode-drills/DRILL-TIME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Drill {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        if self.list {
            return Ok(list(output));
        }
        logs::quiet();
        let name = self.name.unwrap_or_default();
        let drill = Kind::named(&name).ok_or_else(|| unknown(&name))?;
        let topology = Arc::new(spec_file::load(&globals.file, output)?.topology);
        let spec =
            std::fs::read_to_string(&globals.file).map_err(|e| Failure::new(Code::SpecUnreadable, causes(&e)))?;
        let program = std::env::current_exe().map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
        let out = self.out.unwrap_or_else(|| default_folder(drill));
        if out.join("evidence.jsonl").exists() {
            return Err(Failure::new(Code::Usage, format!("{} already holds a drill's evidence", out.display()))
                .hint("name a new folder: evidence is never overwritten"));
        }
        let plan = Plan { drill, topology, spec, beside: up::beside(&globals.file), out, program };
        let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
        let result = runtime.block_on(carry_out(plan, output))?;
        output.result(&result, || table(&result));
        let page = PathBuf::from(&result.evidence).with_file_name("report.html");
        output.notice(&format!("report: {}\n", page.display()));
        Ok(exit(&result))
    }
}

fn exit(result: &DrillResult) -> Exit {
    if result.verdict == Verdict::Passed { Exit::Ok } else { Exit::Failed }
}

async fn carry_out(plan: Plan, output: &Output) -> Result<DrillResult, Failure> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt()).expect("a runtime with signals"),
        signal(SignalKind::terminate()).expect("likewise"),
    );
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
        told.cancel();
    });
    let bar = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template("{spinner} [{elapsed}] {msg}").expect("a template"));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let began = std::time::Instant::now();
    let say = |line: &str| {
        bar.set_message(line.to_string());
        let text = format!("[{:6.2}s] {line}\n", began.elapsed().as_secs_f64());
        bar.suspend(|| output.notice(&text));
    };
    let result = lab::drill::run(plan, &say, stop).await;
    bar.finish_and_clear();
    result.map_err(failure)
}

fn failure(error: DrillError) -> Failure {
    match error {
        DrillError::Interrupted => Failure::new(Code::Interrupted, causes(&DrillError::Interrupted)),
        DrillError::World(error) => up::failure(&error),
        other => Failure::new(Code::CannotStart, causes(&other)).hint("check the folder given with `--out`"),
    }
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = catalogue().iter().map(|drill| drill.name()).collect();
    Failure::new(Code::UnknownDrill, format!("there is no drill `{name}`"))
        .hint(format!("the drills are {}", names.join(", ")))
}

fn list(output: &Output) -> Exit {
    let drills: Vec<_> =
        catalogue().iter().map(|drill| json!({ "name": drill.name(), "what": drill.what() })).collect();
    output.result(&drills, || {
        catalogue().iter().map(|drill| format!("{:18} {}\n", drill.name(), drill.what())).collect::<String>()
    });
    Exit::Ok
}

fn default_folder(drill: Kind) -> PathBuf {
    let stamp = jiff::Timestamp::now().to_string().replace([':', '-'], "");
    let second = stamp.split('.').next().unwrap_or_default().to_string();
    PathBuf::from("antipode-drills").join(format!("{}-{second}Z", drill.name()))
}
