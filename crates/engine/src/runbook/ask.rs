//! What people ask: requests, approvals, aborts.

use std::sync::Arc;

use model::{Person, RunId};

use super::guard;
use super::plan::plan;
use super::run::{End, Mode, Pause, Progress, Run};
use crate::protocol::{Effect, Record, Refused, Request};
use crate::turn::Turn;

impl Turn<'_> {
    pub(crate) fn requested(&mut self, request: &Request, by: &Person) -> Result<(), Refused> {
        if let Some(run) = self.seconds(request, by) {
            let accept_loss = request.accepts_loss();
            return self.approved(run, by, accept_loss);
        }
        guard::one_run(&self.state, request)?;
        let runbook = plan(&self.state, request, self.now)?;
        let receipts = self.supersede(by);
        self.start(runbook, Some(by), format!("asked by {by}"), receipts);
        let Some(run) = self.run().map(|run| run.id) else { return Ok(()) };
        if self.may_approve(by) {
            let accept_loss = request.accepts_loss();
            self.emit(Record::Approved { run, by: by.clone(), accept_loss });
        }
        Ok(())
    }

    /// Whether the request asks for what the engine has proposed already: then it is an approval.
    fn seconds(&self, request: &Request, by: &Person) -> Option<RunId> {
        let Request::Failover { to, .. } = request else { return None };
        let proposed = self.run().filter(|run| run.by.is_none() && guard::before_commit(run))?;
        if !matches!(proposed.runbook.request, Request::Failover { .. }) {
            return None;
        }
        let same = to.as_ref().is_none_or(|to| *to == proposed.runbook.to);
        (same && proposed.mode == Mode::Forward && self.may_approve(by)).then_some(proposed.id)
    }

    /// End the active run in favour of a new one; the new one has its fence receipts.
    fn supersede(&mut self, by: &Person) -> Vec<model::Receipt> {
        let Some(run) = self.run().cloned() else { return Vec::new() };
        for (_, attempt, site) in run.out() {
            self.effect(Effect::Cancel { attempt, site: site.clone() });
        }
        let summary = format!("{by} asked for a failover instead");
        self.emit(Record::RunEnded { run: run.id, end: End::Superseded, summary, at: self.now });
        run.receipts.clone()
    }

    fn may_approve(&self, by: &Person) -> bool {
        self.state.topology.approvals.approvers.contains(by)
    }

    fn this_run(&self, run: RunId) -> Result<Arc<Run>, Refused> {
        self.run().filter(|active| active.id == run).cloned().ok_or_else(|| {
            let hint = match self.run() {
                Some(active) => format!("{} is active", active.id),
                None => "no run is active".to_owned(),
            };
            Refused::new("no-such-run", format!("{run} is not active"), hint)
        })
    }

    fn approver(&self, by: &Person) -> Result<(), Refused> {
        if self.may_approve(by) {
            return Ok(());
        }
        let names: Vec<_> = self.state.topology.approvals.approvers.iter().map(Person::as_str).collect();
        Err(Refused::new(
            "not-an-approver",
            format!("{by} is not an approver of this workload"),
            format!("approvers are {}; `approvals` in the spec says so", names.join(", ")),
        ))
    }

    pub(crate) fn approved(&mut self, run: RunId, by: &Person, accept_loss: bool) -> Result<(), Refused> {
        let active = self.this_run(run)?;
        self.approver(by)?;
        if let Some(Pause::Trouble { step, .. }) = active.pause
            && !matches!(active.mode, Mode::Stopping { .. })
        {
            self.try_again(&active, step, by);
            return Ok(());
        }
        let loses = active.runbook.request.may_lose();
        let consents = accept_loss && loses && !active.loss_accepted.contains(by) && guard::before_commit(&active);
        let approves = !active.approved() && !active.approvals.contains(by);
        if !consents && !approves {
            return Err(Refused::new(
                "nothing-to-approve",
                format!("{run} waits for nothing that {by} can still give"),
                match &active.pause {
                    Some(pause) => format!("it {pause}"),
                    None => "`antipode status` shows what it is doing".to_owned(),
                },
            ));
        }
        self.emit(Record::Approved { run, by: by.clone(), accept_loss });
        self.why.push(format!("{by} agrees"));
        Ok(())
    }

    fn try_again(&mut self, run: &super::run::Run, step: u32, by: &Person) {
        if run.steps.get(step as usize).is_some_and(|s| s.progress == Progress::Failed) {
            self.emit(Record::StepReset { run: run.id, step, at: self.now });
        }
        self.emit(Record::Resumed { run: run.id, why: format!("{by} asked to try step {step} again"), at: self.now });
    }

    pub(crate) fn aborted(&mut self, run: RunId, by: &Person, why: &str) -> Result<(), Refused> {
        let active = self.this_run(run)?;
        if active.by.as_ref() != Some(by) {
            self.approver(by)?;
        }
        if !guard::may_undo(&active) {
            return Err(Refused::new(
                "past-commit-point",
                format!("{run} has passed its commit point"),
                "it goes only forward; when it has ended, a switchover or failback leads back",
            ));
        }
        if active.mode == Mode::Forward {
            self.begin_stop(End::Aborted, format!("aborted by {by}: {why}"));
        } else {
            self.why.push(format!("{run} is already being taken back"));
        }
        Ok(())
    }
}
