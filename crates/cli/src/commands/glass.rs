//! `antipode failover --break-glass`: asks the agent of the region that is left, and nobody else.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use controller::journal::Line;
use controller::rpc::wire::GlassView;
use controller::rpc::{AgentClient, CallError};
use engine::glass::GlassRecord;
use model::SiteId;
use model::glass::{Fence, GlassRequest, Tried, Word};
use serde_json::json;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::glass_text;
use crate::interrupt::interrupted;
use crate::operator::{ASK_WITHIN, Operator, block_on};
use crate::output::Output;
use crate::request::How;

/// The agent calls every other site before it answers, and writes what was said to its disk.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked what has become of it.
const EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
#[command(next_help_heading = "When only one region is left")]
pub struct Glass {
    /// Make the region of `--to` the writer without a majority: two people say that all others are lost
    #[arg(long, requires = "to", conflicts_with = "accept_loss")]
    pub break_glass: bool,
    /// Why; kept in the region's journal
    #[arg(long, value_name = "TEXT", requires = "break_glass")]
    why: Option<String>,
    /// How another site was kept from writing and voting: powered-off, network-cut or destroyed; once for each
    #[arg(long, value_name = "SITE=HOW", value_parser = fenced, requires = "break_glass")]
    fenced: Vec<(SiteId, Fence)>,
    /// What may be lost, typed as `--plan` says it; asked for on a terminal
    #[arg(long, value_name = "PHRASE", requires = "break_glass")]
    lose: Option<String>,
    /// Agree to what another person has opened
    #[arg(long, value_name = "N", requires = "break_glass", value_parser = number)]
    confirm: Option<u32>,
    /// Give up what was opened, before the epoch is taken
    #[arg(long, value_name = "N", requires_all = ["break_glass", "why"], conflicts_with_all = ["confirm", "lose", "fenced"], value_parser = number)]
    withdraw: Option<u32>,
    /// Say that it is over: the other sites are back, and somebody has looked at what it cost
    #[arg(long, value_name = "N", requires_all = ["break_glass", "why"], conflicts_with_all = ["confirm", "lose", "fenced", "withdraw"], value_parser = number)]
    close: Option<u32>,
}

fn fenced(text: &str) -> Result<(SiteId, Fence), String> {
    let (site, how) = text.split_once('=').ok_or("write it as SITE=HOW, such as `eu-west-1=powered-off`")?;
    Ok((SiteId::new(site.trim()), how.trim().parse()?))
}

/// `glass-3`, or 3.
fn number(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("glass-").unwrap_or(text).parse();
    number.map_err(|_| "an attempt is named as in `glass-3`".to_owned())
}

impl Glass {
    pub fn run(self, to: &SiteId, how: &How, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        block_on(async {
            let operator = match how.plan {
                true => Operator::looking(globals, output)?,
                false => Operator::acting(globals, output)?,
            };
            if !operator.lab.addresses.sites().any(|site| site == to) {
                let sites: Vec<_> = operator.lab.addresses.sites().map(SiteId::as_str).collect();
                let why = format!("`{to}` is not a region of this workload");
                let hint = format!("its sites are {}", sites.join(", "));
                return Err(Failure::refused("no-such-site".into(), why, hint));
            }
            let desk = Desk { agent: operator.agent(to)?, operator: &operator, output, site: to.clone() };
            if how.plan {
                return desk.show().await;
            }
            if let Some(attempt) = self.withdraw {
                return desk.end(GlassRequest::Withdraw { attempt, why: self.why.unwrap_or_default() }).await;
            }
            if let Some(attempt) = self.close {
                return desk.end(GlassRequest::Close { attempt, why: self.why.unwrap_or_default() }).await;
            }
            desk.give_word(self, how.detach.detach).await
        })
    }
}

struct Desk<'a> {
    agent: AgentClient,
    operator: &'a Operator,
    output: &'a Output,
    site: SiteId,
}

impl Desk<'_> {
    async fn show(&self) -> Result<Exit, Failure> {
        let view = self.view().await?;
        let lines = self.lines(1).await?;
        let value = json!({ "site": self.site, "glass": view, "journal": lines });
        self.output.result(&value, || glass_text::whole(&view, &lines, self.operator));
        Ok(Exit::Ok)
    }

    async fn view(&self) -> Result<GlassView, Failure> {
        self.agent.glass(ANSWERS_WITHIN).await.map_err(|error| self.failure(&error))
    }

    async fn lines(&self, from: u64) -> Result<Vec<Line>, Failure> {
        self.agent.glass_journal(from, ANSWERS_WITHIN).await.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &CallError) -> Failure {
        match error {
            CallError::Refused { problem, .. } if problem.code != "refused" => {
                Failure::refused(problem.code.clone(), &problem.why, &problem.hint)
            }
            CallError::Unreachable { why, .. } => {
                Failure::new(Code::GlassNoAgent, format!("the agent of {} does not answer: {why}", self.site))
                    .hint("ask from a machine that reaches the region, and start its agent if it is away")
            }
            other => {
                let plan = glass_text::command(self.operator, &self.site, "--plan");
                Failure::new(Code::GlassNoAgent, causes(other))
                    .hint(format!("it may or may not have taken it up: `{plan}` tells"))
            }
        }
    }

    async fn end(&self, request: GlassRequest) -> Result<Exit, Failure> {
        let before = self.view().await?.last;
        let view = self.agent.break_glass(&request, ANSWERS_WITHIN).await.map_err(|error| self.failure(&error))?;
        let lines = self.lines(before + 1).await?;
        let value = json!({ "site": self.site, "glass": view, "journal": lines });
        self.output.result(&value, || glass_text::journal(&lines));
        Ok(Exit::Ok)
    }

    async fn give_word(&self, said: Glass, detach: bool) -> Result<Exit, Failure> {
        let tried = self.call_everybody().await;
        let view = self.view().await?;
        if let Some(obstacle) = &view.obstacle {
            // For its journal too: that somebody wanted it, and why not.
            self.output.notice(&format!("{}\n", obstacle.why));
        }
        let loss = match said.lose {
            Some(loss) => loss,
            None => self.ask_what_may_be_lost(&view, said.confirm)?,
        };
        let word = Word { why: said.why.unwrap_or_default(), fenced: said.fenced.into_iter().collect(), loss, tried };
        let request = GlassRequest::Break { word, confirm: said.confirm };
        let given = self.agent.break_glass(&request, ANSWERS_WITHIN).await.map_err(|error| self.failure(&error))?;
        let Some(open) = &given.open else { return self.follow(view.last + 1, said.confirm.unwrap_or(0)).await };
        if !open.agreed() {
            let next = glass_text::next(&given, open, self.operator);
            let value = json!({ "state": "waiting", "attempt": open.attempt, "next": next, "glass": given });
            self.output.result(&value, || glass_text::waits(&given, open, &next));
            return Ok(Exit::AwaitingApproval);
        }
        if detach {
            let again = glass_text::command(self.operator, &self.site, "--plan");
            let value = json!({ "state": "taken-up", "attempt": open.attempt, "follow": again });
            self.output.result(&value, || format!("glass-{} is taken up; `{again}` shows it\n", open.attempt));
            return Ok(Exit::Ok);
        }
        self.follow(view.last + 1, open.attempt).await
    }

    /// Whoever answers this machine is not lost, whatever the region that is left can reach.
    async fn call_everybody(&self) -> BTreeMap<String, Tried> {
        let mut tried = BTreeMap::new();
        let others = self.operator.lab.addresses.sites().filter(|site| **site != self.site);
        let calls: Vec<_> = others
            .filter_map(|site| Some((site.to_string(), self.operator.agent(site).ok()?)))
            .map(|(site, agent)| tokio::spawn(async move { (site, outcome(agent.ping(ASK_WITHIN).await)) }))
            .collect();
        tried.insert("the controller".to_owned(), outcome(self.operator.api.status().await));
        for call in calls {
            tried.extend(call.await);
        }
        tried
    }

    /// On a terminal only: whatever runs unattended must have been given the words.
    fn ask_what_may_be_lost(&self, view: &GlassView, confirm: Option<u32>) -> Result<String, Failure> {
        if !std::io::stdin().is_terminal() || self.output.is_json() {
            return Ok(String::new());
        }
        self.output.notice(&glass_text::before_typing(view, confirm));
        let _ = std::io::stderr().flush();
        let mut typed = String::new();
        let read = std::io::stdin().lock().read_line(&mut typed);
        read.map_err(|error| Failure::new(Code::Usage, format!("cannot read what was typed: {error}")))?;
        Ok(typed.trim().to_owned())
    }

    async fn follow(&self, from: u64, attempt: u32) -> Result<Exit, Failure> {
        tokio::select! {
            ended = self.until_served(from, attempt) => ended,
            () = interrupted() => {
                let again = glass_text::command(self.operator, &self.site, "--plan");
                self.output.notice(&format!(
                    "glass-{attempt} goes on without this terminal; `{again}` shows it, `--withdraw {attempt}` gives it up \
                     until the epoch is taken\n"
                ));
                if self.output.is_json() {
                    self.output.value(&json!({ "attempt": attempt, "state": "interrupted", "follow": again }));
                }
                Ok(Exit::Interrupted)
            }
        }
    }

    /// A line each, until traffic is there or it has failed.
    async fn until_served(&self, mut from: u64, attempt: u32) -> Result<Exit, Failure> {
        let mut all = Vec::new();
        let mut taken = None;
        loop {
            for line in self.patiently(from).await? {
                from = line.seq + 1;
                let Ok(record) = line.parse::<GlassRecord>() else { continue };
                self.output.notice(&format!("{}  {}\n", line.wall, record.text()));
                match &record {
                    GlassRecord::Taken { attempt: of, epoch, .. } if *of == attempt => taken = Some(epoch.clone()),
                    GlassRecord::Withdrawn { attempt: of, why, .. } | GlassRecord::Failed { attempt: of, why }
                        if *of == attempt =>
                    {
                        return Err(Failure::new(Code::GlassFailed, format!("no epoch was taken: {why}"))
                            .hint("nothing was changed; everybody must give their word anew"));
                    }
                    _ => {}
                }
                all.push(line);
            }
            if let Some(epoch) = &taken
                && self.routed(&all)
            {
                let value = json!({ "attempt": attempt, "state": "succeeded", "epoch": epoch, "journal": all });
                self.output.result(&value, || glass_text::done(&self.site, attempt, epoch, self.operator));
                return Ok(Exit::Ok);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn routed(&self, lines: &[Line]) -> bool {
        let traffic = |record: &GlassRecord| matches!(record, GlassRecord::Step { done: true, what, .. } if what == engine::glass::TRAFFIC);
        lines.iter().filter_map(|line| line.parse().ok()).any(|record| traffic(&record))
    }

    /// An agent that is being restarted answers again soon; what it says then tells how it ended.
    async fn patiently(&self, from: u64) -> Result<Vec<Line>, Failure> {
        let until = tokio::time::Instant::now() + ANSWERS_WITHIN;
        loop {
            match self.agent.glass_journal(from, ASK_WITHIN).await {
                Ok(lines) => return Ok(lines),
                Err(error) if tokio::time::Instant::now() >= until => return Err(self.failure(&error)),
                Err(_) => tokio::time::sleep(EVERY).await,
            }
        }
    }
}

/// Whatever comes back over a proven connection is an answer.
fn outcome<T>(called: Result<T, CallError>) -> Tried {
    match called {
        Ok(_) => Tried { answered: true, says: "it answered".into() },
        Err(error) => {
            let answered = matches!(error, CallError::Refused { .. } | CallError::Unreadable { .. });
            Tried { answered, says: error.to_string() }
        }
    }
}
