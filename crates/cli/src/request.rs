//! What `switchover`, `failover` and `failback` share: showing the plan, asking for it, and following the run.

use clap::Args;
use controller::shell::Granted;
use engine::Request;
use model::RunId;
use serde_json::json;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::following::{self, Hope};
use crate::operator::{Operator, block_on};
use crate::output::Output;
use crate::plan_text;

#[derive(Debug, Args)]
pub struct How {
    /// Print every step, what it calls and what that depends on; do nothing
    #[arg(long, conflicts_with = "detach")]
    pub plan: bool,
    #[command(flatten)]
    pub detach: Detach,
}

#[derive(Debug, Args)]
pub struct Detach {
    /// Return as soon as it is taken up, instead of following the run
    #[arg(long)]
    pub detach: bool,
}

pub fn run(request: Request, how: How, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
    if how.plan {
        return block_on(async { plan(&request, &Operator::looking(globals, output)?, output).await });
    }
    block_on(async {
        let operator = Operator::acting(globals, output)?;
        let granted = operator.api.request(&request).await.map_err(|e| operator.failure(&e))?;
        taken_up(&operator, output, &granted, how.detach.detach, Hope::Succeeds).await
    })
}

async fn plan(request: &Request, operator: &Operator, output: &Output) -> Result<Exit, Failure> {
    let runbook = operator.api.plan(request).await.map_err(|e| operator.failure(&e))?;
    output.result(&runbook, || plan_text::of(&runbook));
    Ok(Exit::Ok)
}

/// Follows the run that was asked for, approved or aborted, unless that was not wanted.
pub async fn taken_up(
    operator: &Operator,
    output: &Output,
    granted: &Granted,
    detach: bool,
    hope: Hope,
) -> Result<Exit, Failure> {
    let run = granted.run.ok_or_else(|| {
        Failure::new(Code::RunFailed, "it was taken up, and no run came of it")
            .hint(format!("`{}` tells why", operator.command("journal")))
    })?;
    if !detach {
        let from = granted.seq.saturating_sub(granted.said.len() as u64) + 1;
        return following::follow(operator, output, run, from, hope).await;
    }
    let again = operator.command("status --watch");
    let value = json!({ "run": run, "state": "taken-up", "follow": again });
    output.result(&value, || format!("{run} is taken up; `{again}` shows it\n"));
    Ok(Exit::Ok)
}

/// `run-3`, or 3.
pub fn run_id(text: &str) -> Result<RunId, String> {
    let number = text.strip_prefix("run-").unwrap_or(text).parse();
    number.map(RunId).map_err(|_| "a run is named as in `run-3`".to_owned())
}
