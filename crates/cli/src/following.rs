//! Following a run: what it does, a line each, until it ends or waits for people.

use std::time::Duration;

use controller::journal::Line;
use engine::Record;
use engine::runbook::run::{End, Pause};
use engine::status::RunStatus;
use engine::watch::Verdict;
use model::RunId;
use model::time::human;
use serde_json::json;
use tokio::time::Instant;

use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::interrupt::interrupted;
use crate::operator::Operator;
use crate::output::Output;

/// Longest that one question waits for news.
const LISTEN: Duration = Duration::from_secs(5);
/// Longest that a controller may be away before we stop waiting for it: it is restarted in seconds, or not soon.
const AWAY: Duration = Duration::from_secs(60);

/// What is awaited of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hope {
    Succeeds,
    /// It was told to stop.
    Stops,
}

/// Follows `run` from journal line `from` on, and tells how it stands.
pub async fn follow(operator: &Operator, output: &Output, run: RunId, from: u64, hope: Hope) -> Result<Exit, Failure> {
    let mut following = Following { operator, output, run, next: from, began: None, titles: Vec::new() };
    let stands = tokio::select! {
        stands = following.until_it_stands(hope) => stands?,
        () = interrupted() => {
            let again = operator.command("status --watch");
            output.notice(&format!("{run} goes on without this terminal; `{again}` shows it\n"));
            if output.is_json() {
                output.value(&json!({ "run": run, "state": "interrupted", "follow": again }));
            }
            return Ok(Exit::Interrupted);
        }
    };
    conclude(operator, output, &stands, hope)
}

struct Following<'a> {
    operator: &'a Operator,
    output: &'a Output,
    run: RunId,
    next: u64,
    began: Option<(u64, String)>,
    titles: Vec<String>,
}

impl Following<'_> {
    /// Until the run has ended, or waits for people; returns how it stands then.
    async fn until_it_stands(&mut self, hope: Hope) -> Result<RunStatus, Failure> {
        loop {
            let stands = self.look().await?;
            if stands.end.is_some() || waits(&stands, hope) {
                while !self.read(Duration::ZERO).await? {}
                return Ok(stands);
            }
            // Until something is written that can have ended it, or for a while.
            while !self.read(LISTEN).await? {}
        }
    }

    async fn look(&mut self) -> Result<RunStatus, Failure> {
        let api = &self.operator.api;
        let status = self.patiently(|| api.status()).await?;
        let of = |found: Option<RunStatus>| found.filter(|found| found.run == self.run);
        let found = of(status.run).or(of(status.last_run)).ok_or_else(|| {
            Failure::new(Code::RunFailed, format!("{} is over, and another has run since", self.run))
                .hint(format!("`{}` tells how it ended", self.operator.command("journal")))
        })?;
        self.titles = found.steps.iter().map(|step| step.title.clone()).collect();
        Ok(found)
    }

    /// Tells what is new; says whether it is time to look how the run stands.
    async fn read(&mut self, wait: Duration) -> Result<bool, Failure> {
        let (api, next) = (&self.operator.api, self.next);
        let lines = self.patiently(|| api.events(next, wait)).await?;
        let mut look = lines.is_empty();
        for line in &lines {
            self.next = line.seq + 1;
            let Ok(record) = line.record() else { continue };
            look |= matches!(record, Record::Paused { .. } | Record::RunEnded { .. } | Record::UndoPlanned { .. });
            if let Some(text) = self.text(&record) {
                let after = self.elapsed(line);
                self.output.notice(&format!("{after:>7}  {text}\n"));
            }
        }
        Ok(look)
    }

    /// A controller that is being restarted answers again soon.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, controller::rpc::CallError>>,
    {
        let began = Instant::now();
        let mut told = false;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) if began.elapsed() > AWAY => return Err(self.operator.failure(&error)),
                Err(error) => error,
            };
            if !std::mem::replace(&mut told, true) {
                let run = self.run;
                self.output.notice(&format!("         {error}; waiting for it: {run} goes on where it stood\n"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn elapsed(&mut self, line: &Line) -> String {
        let (at, boot) = self.began.get_or_insert((line.at.0, line.boot.clone()));
        if *boot != line.boot {
            return String::new();
        }
        let seconds = Duration::from_micros(line.at.0.saturating_sub(*at)).as_secs_f64();
        format!("{seconds:.1}s")
    }

    /// A record as it matters to whoever watches this run, steps by their titles.
    fn text(&mut self, record: &Record) -> Option<String> {
        if let Record::RunStarted { run, runbook, .. } = record
            && *run == self.run
        {
            self.titles = runbook.steps.iter().map(|step| step.title.clone()).collect();
        }
        let title = |step: u32| match self.titles.get(step as usize) {
            Some(title) => format!("{step}: {title}"),
            None => format!("{step}"),
        };
        match record {
            Record::CheckStarted { .. } | Record::Frozen { .. } => None,
            Record::CheckEnded { run, step, passed, why, .. } if *run == self.run => {
                Some(format!("{} {}: {why}", if *passed { "✓" } else { "✗" }, title(*step)))
            }
            Record::AttemptStarted { attempt, action, deadline, .. } if attempt.run == self.run => {
                let (title, what) = (title(attempt.step), engine::record::action_text(action));
                let again = if attempt.number > 1 { format!(", try {}", attempt.number) } else { String::new() };
                Some(format!("→ {title} ({what}, within {}{again})", human(*deadline)))
            }
            Record::AttemptEnded { attempt, outcome, .. } if attempt.run == self.run => {
                let mark = if outcome.evidence().is_some() { "✓" } else { "✗" };
                let text = record.text();
                let said = text.split_once(": ").map_or(text.as_str(), |(_, said)| said);
                Some(format!("{mark} {}: {said}", title(attempt.step)))
            }
            Record::VerdictChanged { site, verdict: Verdict::Up, .. } => Some(format!("{site} is up")),
            other => Some(other.text()).filter(|text| !text.is_empty()),
        }
    }
}

/// Whether nothing happens until somebody says something. A run that is being taken back waits for nobody's approval.
fn waits(run: &RunStatus, hope: Hope) -> bool {
    match &run.pause {
        None => false,
        Some(Pause::Trouble { .. }) => true,
        Some(Pause::Approval { .. } | Pause::AcceptLoss { .. }) => hope == Hope::Succeeds,
    }
}

/// What the run waits for, counted, and the commands that give it; the likeliest first.
pub fn next_steps(operator: &Operator, run: &RunStatus) -> Option<(String, Vec<String>)> {
    let abort = || operator.command(&format!("abort {} --why '…'", run.run));
    let (says, first) = match run.pause.as_ref()? {
        Pause::Approval { need } => {
            let given = approvals("approval", *need, &run.approvals);
            (given, operator.approve(run.run, &run.approvals, false))
        }
        Pause::AcceptLoss { need, estimate } => {
            let given = approvals("acceptance of the loss", *need, &run.loss_accepted);
            (format!("{given}. {estimate}"), operator.approve(run.run, &run.loss_accepted, true))
        }
        pause @ Pause::Trouble { .. } => (pause.to_string(), operator.approve(run.run, &[], false)),
    };
    let aborts = run.committed.is_none().then(abort);
    Some((says, [first].into_iter().chain(aborts).collect()))
}

fn approvals(what: &str, need: u32, given: &[model::Person]) -> String {
    let by = if given.is_empty() { String::new() } else { format!(" ({})", crate::operator::list(given)) };
    let people = if need == 1 { "1 person".to_owned() } else { format!("{need} different people") };
    format!("waits for the {what} of {people}; {} given{by}", given.len())
}

/// The result, and the exit status that says it.
pub fn conclude(operator: &Operator, output: &Output, run: &RunStatus, hope: Hope) -> Result<Exit, Failure> {
    let summary = run.summary.clone().unwrap_or_default();
    if let Some((says, commands)) = next_steps(operator, run).filter(|_| run.end.is_none()) {
        let next = json!({ "run": run.run, "state": "waiting", "waits_for": says, "next": commands, "status": run });
        let or = commands.iter().skip(1).map(|command| format!("or:   {command}\n")).collect::<String>();
        output.result(&next, || format!("{} {says}\nnext: {}\n{or}", run.run, commands[0]));
        return Ok(Exit::AwaitingApproval);
    }
    let fine = match run.end {
        Some(End::Succeeded) => true,
        Some(End::Aborted) => hope == Hope::Stops,
        Some(End::Failed | End::Withdrawn | End::Superseded) | None => false,
    };
    let end = run.end.map_or("goes on".to_owned(), |end| end.to_string());
    if !fine {
        return Err(Failure::new(Code::RunFailed, format!("{} {end}: {summary}", run.run)).hint(format!(
            "`{}` shows where the workload stands, `{}` what was done",
            operator.command("status"),
            operator.command("journal")
        )));
    }
    let value = json!({ "run": run.run, "state": run.end, "summary": summary, "status": run });
    output.result(&value, || format!("{} {end}: {summary}\n", run.run));
    Ok(Exit::Ok)
}
