//! Stopping a run before its commit point, and taking back what it did.

use model::{ActError, Outcome, Verb};

use super::run::{End, Mode, Pause, Progress, Run};
use super::steps::undo_step;
use super::{Need, Step, guard};
use crate::protocol::{Effect, Record};
use crate::turn::Turn;

impl Turn<'_> {
    /// Give the run up. What is out is cancelled and inquired after; a promotion that turns out done wins.
    pub(crate) fn begin_stop(&mut self, as_end: End, why: String) {
        let Some(run) = self.run().cloned() else { return };
        if !guard::may_undo(&run) {
            return;
        }
        self.notify(format!("{}: stopping: {why}", run.id));
        self.emit(Record::ModeChanged { run: run.id, mode: Mode::Stopping { as_end, why }, at: self.now });
        for (_, attempt, site) in run.out() {
            self.effect(Effect::Cancel { attempt, site: site.clone() });
            self.doubt(attempt, "the run is being stopped");
            self.effect(Effect::Inquire { attempt, site: site.clone() });
        }
    }

    /// Wait for the end of everything that is out, then plan the undo.
    pub(crate) fn drive_stop(&mut self, run: &Run) {
        let mut waiting = false;
        for (step, attempt, site) in run.out() {
            if !self.ask_or_give_up(run, step, attempt, site) {
                waiting = true;
            }
        }
        let Mode::Stopping { as_end, why } = &run.mode else { return };
        if waiting || self.run().is_none_or(|run| run.out().next().is_some()) {
            return;
        }
        let steps = self.plan_undo();
        self.emit(Record::UndoPlanned { run: run.id, steps });
        let mode = Mode::Undoing { as_end: *as_end, why: why.clone() };
        self.emit(Record::ModeChanged { run: run.id, mode, at: self.now });
    }

    /// Inquire after an order whose end is unknown; true when it was given up. A promotion is never given up: only
    /// its agent, or a report of the site, can say whether the commit point has passed.
    pub(crate) fn ask_or_give_up(
        &mut self,
        run: &Run,
        step: usize,
        attempt: model::AttemptId,
        site: &model::SiteId,
    ) -> bool {
        let timing = &self.state.topology.timing;
        let (every, grace) = (timing.probe_every, timing.step_deadlines.check);
        let Progress::Out { inquire_at, .. } = &run.steps[step].progress else { return false };
        let given_up_at = run.steps[step].since.unwrap_or(self.now) + run.step(step).deadline + grace;
        if self.now >= given_up_at && !run.step(step).commit_point {
            let outcome = Outcome::Failed(ActError::Unknown("its agent did not answer in time".to_owned()));
            self.emit(Record::AttemptEnded { attempt, outcome, retry_at: None, at: self.now });
            return true;
        }
        if self.beat && inquire_at.is_none_or(|at| self.now >= at) {
            self.effect(Effect::Inquire { attempt, site: site.clone() });
        }
        if self.now >= given_up_at && run.pause.is_none() {
            let why = format!("whether {site} was promoted is unknown, and it does not answer; it is asked on and on");
            self.pause(run, Pause::Trouble { step: step as u32, why });
        }
        self.wake_in(every);
        false
    }

    /// What was done, or may have been, in reverse.
    fn plan_undo(&self) -> Vec<Step> {
        let Some(run) = self.run() else { return Vec::new() };
        let deadlines = &self.state.topology.timing.step_deadlines;
        let mut group = run.runbook.steps.iter().map(|s| s.group).max().unwrap_or(0);
        let mut steps = Vec::new();
        for (number, step) in run.runbook.steps.iter().enumerate().rev() {
            let state = &run.steps[number];
            // A restore may have exchanged the data before it failed, whatever it said: the old writer must not open that.
            let exchanges = matches!(step.undo.as_ref().map(|undo| &undo.verb), Some(Verb::PutBack { .. }));
            let doubtful = state.progress == Progress::Failed && state.doubtful;
            let happened = state.progress == Progress::Done || doubtful || (exchanges && state.tries > 0);
            if let Some(action) = step.undo.as_ref().filter(|_| happened) {
                group += 1;
                let mut undo = undo_step(step, action, group, deadlines);
                if step.need == Need::BestEffort {
                    undo.need = Need::BestEffort;
                }
                steps.push(undo);
            }
        }
        steps
    }

    pub(crate) fn pause(&mut self, run: &Run, pause: Pause) {
        self.notify(format!("{}: {pause}", run.id));
        self.emit(Record::Paused { run: run.id, pause, at: self.now });
    }

    pub(crate) fn end_run(&mut self, run: &Run, end: End, summary: String) {
        for (_, attempt, site) in run.out() {
            self.effect(Effect::Cancel { attempt, site: site.clone() });
        }
        self.notify(format!("{}: {end}: {summary}", run.id));
        self.emit(Record::RunEnded { run: run.id, end, summary, at: self.now });
        self.emit(Record::Frozen { run: None });
    }
}

impl Step {
    /// Whether doing the step again after its undo is harmless. A fence is not: its undo made a writer. Nor is a restore:
    /// what it made is what was promoted.
    pub(super) fn undo_is_safe(&self) -> bool {
        !self.action().is_some_and(|action| matches!(action.verb, Verb::Fence { .. } | Verb::Restore { .. }))
    }
}
