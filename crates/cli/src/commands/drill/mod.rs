mod round;
mod schedule;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use lab::drill::{Drill as Kind, DrillError, Plan, Round, catalogue};
use lab::report::{DrillResult, Verdict, table};
use serde_json::json;

use self::schedule::Past;
use super::up;
use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::interrupt::cancelled_on_interrupt;
use crate::output::Output;
use crate::{logs, spec_file};

/// Break the workload for real on this machine, recover, fail back, and measure at the clients
///
/// One drill ends in its report. Several, or --all, are carried out one after another, whatever becomes of each, and
/// end in one scorecard: exit status 0 when all passed, 1 when one failed, 6 when none failed but one was skipped, 130
/// when it was interrupted; the scorecard of what ran is there in each case.
#[derive(Debug, Args)]
pub struct Drill {
    /// Which disaster, or several; see --list
    #[arg(value_name = "DRILL", required_unless_present_any = ["list", "all", "due", "history"])]
    names: Vec<String>,
    /// List the drills
    #[arg(long)]
    list: bool,
    /// Carry out every drill there is
    #[arg(long, conflicts_with_all = ["names", "list"])]
    all: bool,
    /// Carry out what the spec's schedule asks for today: what is too old, failed, was never carried out, or rests on a
    /// spec or runbook that changed since
    #[arg(long, conflicts_with_all = ["names", "list", "all"])]
    due: bool,
    /// With --due: only say what is due; exit status 9 when something is
    #[arg(long, requires = "due", conflicts_with_all = ["names", "list", "all", "history"])]
    dry_run: bool,
    /// Show every drill that was recorded, and how RTO and RPO went over time
    #[arg(long, conflicts_with_all = ["names", "list", "all", "due"])]
    history: bool,
    /// Folder of the history, to which every drill adds a line
    #[arg(long, value_name = "DIR", default_value = "antipode-drills")]
    history_dir: PathBuf,
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
        let asked = named(&self.names)?;
        let topology = Arc::new(spec_file::load(&globals.file, output)?);
        let past = Past::new(&self.history_dir, &topology);
        if self.history {
            return past.show_history(output);
        }
        if self.dry_run {
            return past.show_due(output);
        }
        // Read before anything starts: what cannot be recorded afterwards is better known now.
        let known = past.entries()?.len();
        let drills = match (self.all, self.due) {
            (true, _) => catalogue().to_vec(),
            (_, true) => past.drills_due()?,
            _ => asked,
        };
        if drills.is_empty() {
            output.result(&json!({ "due": [], "recorded": known }), || "nothing is due\n".into());
            return Ok(Exit::Ok);
        }
        let spec =
            std::fs::read_to_string(&globals.file).map_err(|e| Failure::new(Code::SpecUnreadable, causes(&e)))?;
        let program = std::env::current_exe().map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
        let beside = up::beside(&globals.file);
        let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
        let (drill, alone) = (drills[0], drills.len() == 1 && !self.due && !self.all);
        if !alone {
            let kind = if self.due {
                "due"
            } else if self.all {
                "all"
            } else {
                "several"
            };
            let out = new_folder(self.out, kind)?;
            let round = Round { drills, topology: topology.clone(), spec, beside, out, program };
            return runtime.block_on(round::carry_out(round, &past, output));
        }
        if let Some(why) = drill.obstacle(&topology) {
            return Err(Failure::new(
                Code::DrillNotPossible,
                format!("`{}` cannot be carried out: {why}", drill.name()),
            )
            .hint("with `--all` such a drill is skipped, and the scorecard says why"));
        }
        let out = new_folder(self.out, drill.name())?;
        let plan = Plan { drill, topology: topology.clone(), spec, beside, out, program };
        let result = runtime.block_on(carry_out(plan, output))?;
        output.result(&result, || table(&result));
        let page = PathBuf::from(&result.evidence).with_file_name("report.html");
        output.notice(&format!("report: {}\n", page.display()));
        past.record(&result)?;
        Ok(exit(&result))
    }
}

fn exit(result: &DrillResult) -> Exit {
    if result.verdict == Verdict::Passed { Exit::Ok } else { Exit::Failed }
}

async fn carry_out(plan: Plan, output: &Output) -> Result<DrillResult, Failure> {
    let stop = cancelled_on_interrupt();
    with_progress(output, async |say| lab::drill::run(plan, say, stop).await).await.map_err(failure)
}

/// A line for each step that is told, and a spinner on a terminal.
async fn with_progress<T>(output: &Output, work: impl AsyncFnOnce(&(dyn Fn(&str) + Sync)) -> T) -> T {
    let bar = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template("{spinner} [{elapsed}] {msg}").expect("a template"));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let began = std::time::Instant::now();
    let say = |line: &str| {
        bar.set_message(line.to_string());
        let text = format!("[{:6.2}s] {line}\n", began.elapsed().as_secs_f64());
        bar.suspend(|| output.notice(&text));
    };
    let result = work(&say).await;
    bar.finish_and_clear();
    result
}

fn failure(error: DrillError) -> Failure {
    match error {
        DrillError::Interrupted => Failure::new(Code::Interrupted, causes(&DrillError::Interrupted)),
        DrillError::World(error) => up::failure(&error),
        other => Failure::new(Code::CannotStart, causes(&other)).hint("check the folder given with `--out`"),
    }
}

/// In the order given, each once.
fn named(names: &[String]) -> Result<Vec<Kind>, Failure> {
    let mut drills = Vec::new();
    for name in names {
        let drill = Kind::named(name).ok_or_else(|| unknown(name))?;
        if !drills.contains(&drill) {
            drills.push(drill);
        }
    }
    Ok(drills)
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

/// The folder that was asked for, or one of this name and time, which holds no results yet.
fn new_folder(asked: Option<PathBuf>, name: &str) -> Result<PathBuf, Failure> {
    let out = asked.unwrap_or_else(|| default_folder(name));
    for (file, what) in [("evidence.jsonl", "a drill's evidence"), ("scorecard.json", "a scorecard")] {
        if out.join(file).exists() {
            return Err(Failure::new(Code::Usage, format!("{} already holds {what}", out.display()))
                .hint("name a new folder: evidence is never overwritten"));
        }
    }
    Ok(out)
}

fn default_folder(name: &str) -> PathBuf {
    let stamp = jiff::Timestamp::now().to_string().replace([':', '-'], "");
    let second = stamp.split('.').next().unwrap_or_default().to_string();
    PathBuf::from("antipode-drills").join(format!("{name}-{second}Z"))
}
