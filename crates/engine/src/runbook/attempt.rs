//! What becomes of orders: their ends, and the commit point.

use model::action::Evidence;
use model::observe::DatabaseState;
use model::{ActError, AttemptId, Epoch, Outcome, RunId};

use super::Need;
use super::run::{Mode, Progress, Run};
use crate::protocol::{Effect, Inquiry, Record};
use crate::turn::Turn;

impl Turn<'_> {
    pub(crate) fn progressed(&mut self, attempt: AttemptId, note: &str) {
        let step = self.awaited(attempt).map(|(run, step)| run.steps[step].note.clone());
        if step.is_some_and(|known| known != note) {
            self.emit(Record::AttemptNoted { attempt, note: note.to_owned() });
        }
    }

    /// The active run and the step whose order `attempt` still is out.
    fn awaited(&self, attempt: AttemptId) -> Option<(&Run, usize)> {
        let run = self.run().filter(|run| run.id == attempt.run)?;
        let (step, ..) = run.out().find(|(_, out, _)| *out == attempt)?;
        Some((run, step))
    }

    pub(crate) fn ended(&mut self, attempt: AttemptId, outcome: &Outcome) {
        if attempt.run == RunId(0) {
            return self.chore_ended(attempt, outcome);
        }
        let epoch = outcome.evidence().and_then(|evidence| evidence.epoch.clone());
        let Some((run, step)) = self.awaited(attempt) else {
            self.why.push(format!("{attempt} is awaited no longer: its end changes nothing"));
            // Except that an epoch is a fact, however late the news.
            if let Some(epoch) = epoch {
                self.saw_epoch(&epoch, "told late");
            }
            return;
        };
        let (run, at) = (run.clone(), self.now);
        let commits = run.step(step).commit_point;
        match outcome {
            Outcome::Done(_) | Outcome::AlreadyDone(_) if commits && epoch.is_none() => {
                self.doubt(attempt, "its agent named no epoch");
            }
            Outcome::Done(_) | Outcome::AlreadyDone(_) => {
                self.emit(Record::AttemptEnded { attempt, outcome: outcome.clone(), retry_at: None, at });
                // A writer may have raised its epoch unseen, just before it was fenced.
                let fenced_in = outcome.evidence().and_then(|evidence| Some(evidence.receipt.as_ref()?.epoch.clone()));
                match epoch.or(fenced_in) {
                    Some(epoch) if commits => self.commit(&epoch, "answered by its agent"),
                    Some(epoch) => self.saw_epoch(&epoch, "answered by its agent"),
                    None => {}
                }
            }
            Outcome::Failed(ActError::Unknown(why)) => self.doubt(attempt, why),
            Outcome::Failed(_) | Outcome::Refused { .. } => {
                let again = match outcome {
                    // What must be taken back is refused while reports lag behind what its agent knows.
                    Outcome::Refused { .. } => step >= run.runbook.steps.len(),
                    Outcome::Failed(error) => matches!(error, ActError::Transient(_)),
                    Outcome::Done(_) | Outcome::AlreadyDone(_) => false,
                };
                let retry_at = if again { self.retry_at(&run, step) } else { None };
                self.emit(Record::AttemptEnded { attempt, outcome: outcome.clone(), retry_at, at });
            }
        }
    }

    /// When a step that failed for now is tried again: after a probe's interval, within its deadline, and not while
    /// the run is being stopped.
    fn retry_at(&self, run: &Run, step: usize) -> Option<model::Time> {
        let timing = &self.state.topology.timing;
        // What nobody waits for is not worth a journal full of tries at a dead region.
        let best_effort = run.step(step).need == Need::BestEffort && run.mode == Mode::Forward;
        let at = self.now + if best_effort { timing.unreachable_after } else { timing.probe_every };
        let since = run.steps[step].since.unwrap_or(self.now);
        let stopping = matches!(run.mode, Mode::Stopping { .. });
        (!stopping && at < since + run.step(step).deadline).then_some(at)
    }

    pub(crate) fn doubt(&mut self, attempt: AttemptId, why: &str) {
        let Some((run, step)) = self.awaited(attempt) else { return };
        let Progress::Out { site, inquire_at, .. } = &run.steps[step].progress else { return };
        let (site, known) = (site.clone(), inquire_at.is_some());
        if !known {
            let inquire_at = self.now + self.state.topology.timing.probe_every;
            self.emit(Record::AttemptDoubted { attempt, why: why.to_owned(), inquire_at });
            self.effect(Effect::Inquire { attempt, site });
        }
    }

    pub(crate) fn inquired(&mut self, attempt: AttemptId, answer: &Inquiry) {
        match answer {
            Inquiry::Ended(Outcome::Failed(ActError::Unknown(why))) => self.ended_unknown(attempt, why),
            Inquiry::Ended(outcome) => self.ended(attempt, outcome),
            Inquiry::Running => self.why.push(format!("{attempt} is still running")),
            Inquiry::NeverSeen => {
                let Some((run, step)) = self.awaited(attempt) else { return };
                let doubted = matches!(run.steps[step].progress, Progress::Out { inquire_at: Some(_), .. });
                if !doubted {
                    return;
                }
                let run = run.clone();
                let retry_at = self.retry_at(&run, step).map(|_| self.now);
                if retry_at.is_none() && self.may_have_promoted(&run, step, attempt) {
                    return;
                }
                self.emit(Record::AttemptLost { attempt, retry_at, at: self.now });
            }
        }
    }

    /// Even the agent does not know. Every act but a promotion looks before it does anything, so that it may simply be
    /// tried again; a promotion only once a later report of the site shows that it did not happen.
    fn ended_unknown(&mut self, attempt: AttemptId, why: &str) {
        let Some((run, step)) = self.awaited(attempt).map(|(run, step)| (run.clone(), step)) else { return };
        if self.may_have_promoted(&run, step, attempt) {
            return;
        }
        let (retry_at, at) = (self.retry_at(&run, step), self.now);
        // What is not tried again may have happened, and is undone with the rest.
        let error = if retry_at.is_some() { ActError::Transient } else { ActError::Unknown };
        let outcome = Outcome::Failed(error(why.to_owned()));
        self.emit(Record::AttemptEnded { attempt, outcome, retry_at, at });
    }

    /// Whether the promotion may have happened although its own agent knows nothing of it: it may have forgotten by a
    /// restart. Only a report that came after the doubt can say that it did not: the database is a copy, or is not at
    /// work and never held an epoch that we do not know.
    fn may_have_promoted(&mut self, run: &Run, step: usize, attempt: AttemptId) -> bool {
        let Progress::Out { site, inquire_at, .. } = &run.steps[step].progress else { return false };
        if !run.step(step).commit_point {
            return false;
        }
        let seen = self.state.watch.sites.get(site).filter(|seen| inquire_at.is_some_and(|at| seen.at > at));
        let database = seen.and_then(|_| crate::watch::loss::database(&self.state, site, self.now));
        let did_not = database.is_some_and(|database| match database.state {
            DatabaseState::Standby { .. } => true,
            DatabaseState::Absent | DatabaseState::Fenced { .. } | DatabaseState::Failed { .. } => {
                database.written <= self.state.epoch()
            }
            DatabaseState::Starting | DatabaseState::Writing { .. } | DatabaseState::Busy { .. } => false,
        });
        if !did_not {
            self.why.push(format!("{attempt}: its own agent does not know its end; the site's reports decide"));
            self.wake_in(self.state.topology.timing.probe_every);
        }
        !did_not
    }

    /// The commit point: the target holds the epoch. Whatever was being stopped or undone goes forward now.
    pub(crate) fn commit(&mut self, epoch: &Epoch, how: &str) {
        let Some(run) = self.run().cloned() else { return };
        if run.committed.is_some() {
            return;
        }
        if let Some(step) = run.commit_step() {
            self.finish_commit_step(&run, step, epoch, how);
        }
        self.emit(Record::Committed { run: run.id, epoch: epoch.clone(), at: self.now });
        self.why.push(format!("{} holds epoch {epoch}, {how}", epoch.site));
        if run.mode != Mode::Forward {
            self.turn_forward(&run);
        }
    }

    fn finish_commit_step(&mut self, run: &Run, step: usize, epoch: &Epoch, how: &str) {
        match &run.steps[step].progress {
            Progress::Done => {}
            Progress::Out { attempt, .. } => {
                let evidence = Evidence { epoch: Some(epoch.clone()), ..Evidence::note(how) };
                let (attempt, outcome) = (*attempt, Outcome::AlreadyDone(evidence));
                self.emit(Record::AttemptEnded { attempt, outcome, retry_at: None, at: self.now });
            }
            _ => {
                let (run, step, why) = (run.id, step as u32, how.to_owned());
                self.emit(Record::CheckEnded { run, step, passed: true, why, at: self.now });
            }
        }
    }

    /// The promotion that was to be stopped had happened: what was cancelled or undone is done again.
    fn turn_forward(&mut self, run: &Run) {
        let forward = run.runbook.steps.len();
        for (_, attempt, site) in run.out().filter(|(step, ..)| *step >= forward) {
            self.effect(Effect::Cancel { attempt, site: site.clone() });
        }
        self.emit(Record::UndoPlanned { run: run.id, steps: Vec::new() });
        self.emit(Record::ModeChanged { run: run.id, mode: Mode::Forward, at: self.now });
        let again = run.runbook.steps.iter().zip(&run.steps).enumerate().filter(|(_, (step, state))| {
            let undone = state.progress == Progress::Failed || step.undo.is_some();
            undone
                && step.action().is_some()
                && step.need != Need::BestEffort
                && !step.commit_point
                && step.undo_is_safe()
        });
        for step in again.map(|(number, _)| number as u32).collect::<Vec<_>>() {
            self.emit(Record::StepReset { run: run.id, step, at: self.now });
        }
    }
}
