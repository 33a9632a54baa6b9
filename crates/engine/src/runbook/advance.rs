//! Carrying out a runbook: group by group, each step from waiting to its end.

use model::action::{AcceptLoss, Action};
use model::time::human;
use model::topology::Site;
use model::{Attempt, AttemptId, Epoch, Verb};

use super::check::Finding;
use super::guard::{self, Gate};
use super::run::{End, Mode, Pause, Progress, Run};
use super::{Check, Need, Step, Work};
use crate::protocol::{Effect, Record, Request};
use crate::routing::zone_to;
use crate::turn::Turn;
use crate::watch::Verdict;
use crate::watch::verdict::fresh;

/// What a pass over a group found that people must say.
#[derive(Default)]
struct Asks {
    approval: bool,
    loss: Vec<String>,
}

impl Turn<'_> {
    /// Take the active run as far as it goes now.
    pub(crate) fn advance(&mut self) {
        loop {
            let Some(run) = self.run().cloned() else { return };
            let before = self.decided();
            self.trouble_over(&run);
            if !self.overtaken(&run) && !self.withdrawn(&run) {
                match run.mode {
                    Mode::Stopping { .. } => self.drive_stop(&run),
                    Mode::Forward | Mode::Undoing { .. } => self.drive_group(&run),
                }
            }
            if self.decided() == before {
                break;
            }
        }
        if let Some(run) = self.run().filter(|run| guard::is_stuck(run)).cloned() {
            let why = "nothing is left that could move this run".to_owned();
            // No step of the runbook: none of them will end this pause.
            self.pause(&run, Pause::Trouble { step: run.steps.len() as u32, why });
        }
    }

    /// What the run was paused for has ended well after all.
    fn trouble_over(&mut self, run: &Run) {
        let Some(Pause::Trouble { step, .. }) = run.pause else { return };
        let progress = run.steps.get(step as usize).map(|state| &state.progress);
        if matches!(progress, Some(Progress::Done | Progress::RetryAt(_))) {
            self.emit(Record::Resumed { run: run.id, why: format!("step {step} goes on"), at: self.now });
        }
    }

    /// Somebody acquired a newer epoch than this run's: its writer is no longer the writer.
    fn overtaken(&mut self, run: &Run) -> bool {
        let newest = self.state.epoch();
        let Some(epoch) = run.committed.as_ref().filter(|epoch| newest > **epoch && newest.site != epoch.site) else {
            return false;
        };
        let summary = format!("{} took epoch {newest}, above {epoch}", newest.site);
        self.end_run(run, End::Failed, summary);
        true
    }

    /// A failover that the engine proposed is no longer needed once its region is well again and nothing has begun.
    fn withdrawn(&mut self, run: &Run) -> bool {
        let Some(from) = run.runbook.from.clone().filter(|_| run.by.is_none() && run.mode == Mode::Forward) else {
            return false;
        };
        let well =
            self.state.verdict(&from) == Verdict::Up && guard::justifies(&self.state, run, &from, self.now).is_none();
        if !well || begun(run) || run.committed.is_some() {
            return false;
        }
        self.begin_stop(End::Withdrawn, format!("{from} is well again"));
        true
    }

    fn drive_group(&mut self, run: &Run) {
        let Some(group) = run.track().find(|n| !self.settled(run, *n)).map(|n| run.step(n).group) else {
            return self.complete(run);
        };
        let mut asks = Asks::default();
        for number in run.track() {
            let active = matches!(run.steps[number].progress, Progress::Out { .. } | Progress::RetryAt(_));
            if active || run.step(number).group == group {
                self.drive_step(run, number, &mut asks);
            }
            if self.run().is_none_or(|now| now.mode != run.mode || now.id != run.id) {
                return;
            }
        }
        self.settle_pause(asks);
    }

    /// Whether the run need not wait for this step.
    fn settled(&self, run: &Run, number: usize) -> bool {
        let (step, progress) = (run.step(number), &run.steps[number].progress);
        match progress {
            Progress::Done => true,
            Progress::Waiting => false,
            Progress::Failed if matches!(run.mode, Mode::Undoing { .. }) => step.need == Need::BestEffort,
            Progress::Out { .. } | Progress::RetryAt(_) if matches!(run.mode, Mode::Undoing { .. }) => false,
            _ => !self.is_required(run, step),
        }
    }

    /// Whether the run waits for the step. At least one DNS server must serve the new zone.
    fn is_required(&self, run: &Run, step: &Step) -> bool {
        match step.need {
            Need::Required => true,
            Need::BestEffort => false,
            Need::WhileUp => self.is_up(step) || !peers(run, step).any(|progress| *progress == Progress::Done),
        }
    }

    /// Whether the run fails with the step.
    fn fails_the_run(&self, run: &Run, step: &Step) -> bool {
        match step.need {
            Need::Required => true,
            Need::BestEffort => false,
            Need::WhileUp => self.is_up(step) || peers(run, step).all(|progress| *progress == Progress::Failed),
        }
    }

    fn is_up(&self, step: &Step) -> bool {
        step.site().is_some_and(|site| self.state.verdict(site) == Verdict::Up)
    }

    fn drive_step(&mut self, run: &Run, number: usize, asks: &mut Asks) {
        let (step, state) = (run.step(number), &run.steps[number]);
        match &state.progress {
            Progress::Done => {}
            Progress::Waiting => self.begin_step(run, number, asks),
            Progress::Checking if step.action().is_some() => self.order(run, number, asks),
            Progress::Checking => self.check(run, number, asks),
            Progress::RetryAt(at) if self.now >= *at => self.order(run, number, asks),
            Progress::RetryAt(at) => self.wake_at(*at),
            Progress::Out { attempt, site, inquire_at } => {
                let late = state.since.unwrap_or(self.now) + step.deadline;
                match inquire_at {
                    Some(_) => {
                        self.ask_or_give_up(run, number, *attempt, site);
                    }
                    None if self.now >= late => self.doubt(*attempt, "its deadline has passed"),
                    None => self.wake_at(late),
                }
            }
            Progress::Failed => self.failed(run, number, asks),
        }
    }

    fn begin_step(&mut self, run: &Run, number: usize, asks: &mut Asks) {
        let step = run.step(number);
        if matches!(run.pause, Some(Pause::Trouble { .. })) {
            return;
        }
        if step.gated && !run.approved() {
            asks.approval = true;
            return;
        }
        match &step.work {
            Work::Act(_) => self.order(run, number, asks),
            Work::Check(check) => {
                self.emit(Record::CheckStarted { run: run.id, step: number as u32, at: self.now });
                self.look(check, true);
            }
        }
    }

    /// A check that waits has its site looked at as often as the load balancer looks, not only at each poll.
    fn look(&mut self, check: &Check, begins: bool) {
        let Some(site) = check.site().cloned() else { return };
        let every = self.state.topology.timing.check_every;
        let seen = self.state.watch.sites.get(&site).filter(|seen| seen.report.is_some()).map(|seen| seen.at);
        match seen.map(|at| at + every).filter(|next| *next > self.now) {
            Some(next) => self.wake_at(next),
            None => {
                if self.beat || begins {
                    self.effect(Effect::Observe { site });
                }
                self.wake_in(every);
            }
        }
    }

    fn check(&mut self, run: &Run, number: usize, asks: &mut Asks) {
        let (step, state) = (run.step(number), &run.steps[number]);
        let Some(check) = step.check() else { return };
        let end = |passed, why| Record::CheckEnded { run: run.id, step: number as u32, passed, why, at: self.now };
        let late = state.since.unwrap_or(self.now) + step.deadline;
        match check.evaluate(&self.state, run, self.now) {
            Finding::Pass(why) => self.emit(end(true, why)),
            Finding::Never(why) => self.emit(end(false, why)),
            Finding::NotYet(why) if self.now >= late => {
                let why = format!("{why}, for {}", human(step.deadline));
                self.emit(end(false, why));
            }
            Finding::NotYet(_) => {
                self.look(check, false);
                self.wake_at(late);
            }
            Finding::NeedsOverride(why) => {
                asks.loss.push(why);
                self.look(check, false);
            }
        }
    }

    /// Give a step's order to its agent, if the guards allow it.
    fn order(&mut self, run: &Run, number: usize, asks: &mut Asks) {
        let step = run.step(number);
        let Some(action) = step.action() else { return };
        match self.gate(run, step) {
            Gate::Open => {}
            Gate::Wait(why) => return self.hold(run, number, why),
            Gate::Ask(why) => return asks.loss.push(why),
            Gate::Failed(why) => {
                let step = number as u32;
                return self.emit(Record::CheckEnded { run: run.id, step, passed: false, why, at: self.now });
            }
            Gate::Shut(why) => {
                if !matches!(run.pause, Some(Pause::Trouble { .. })) {
                    self.pause(run, Pause::Trouble { step: number as u32, why });
                }
                return;
            }
        }
        let action = match self.bind(run, step, action.clone()) {
            Ok(action) => action,
            Err(why) => {
                if run.pause.is_none() {
                    self.pause(run, Pause::Trouble { step: number as u32, why });
                }
                return;
            }
        };
        let state = &run.steps[number];
        let began = state.since.filter(|_| state.progress != Progress::Checking);
        let spent = began.map_or(std::time::Duration::ZERO, |since| self.now.since(since));
        let timing = &self.state.topology.timing;
        let mut deadline = step.deadline.saturating_sub(spent).max(timing.probe_timeout);
        if let Some(holds) = guard::promotion_holds_for(&self.state, run, self.now).filter(|_| step.commit_point) {
            deadline = deadline.min(holds);
        }
        // A request that hangs must leave time for the next.
        if matches!(action.verb, Verb::Exercise { .. }) {
            deadline = deadline.min(timing.request_timeout);
        }
        let id = AttemptId { run: run.id, step: number as u32, number: state.tries + 1 };
        self.send(id, action, deadline);
    }

    /// An order that may not go out yet waits as a check does, and no longer than its step may take.
    fn hold(&mut self, run: &Run, number: usize, why: String) {
        let (id, step, at) = (run.id, number as u32, self.now);
        let late = run.steps[number].since.unwrap_or(at) + run.step(number).deadline;
        match run.steps[number].progress {
            Progress::Waiting => self.emit(Record::CheckStarted { run: id, step, at }),
            _ if at >= late => self.emit(Record::CheckEnded { run: id, step, passed: false, why, at }),
            _ => {
                self.why.push(why);
                self.wake_in(self.state.topology.timing.probe_every);
            }
        }
    }

    fn send(&mut self, id: AttemptId, action: Action, deadline: std::time::Duration) {
        let attempt = Attempt { id, epoch: self.epoch_for_orders(), generation: self.state.generation, deadline };
        self.emit(Record::AttemptStarted { attempt: id, action: action.clone(), deadline, at: self.now });
        self.effect(Effect::Act { attempt, action });
        self.wake_in(deadline);
    }

    /// The newest epoch that orders may go by, because agents refuse those of older ones: the present writer's. While a
    /// run is taken back, it is the one that its target bid for in vain and that the voters keep: the target has said
    /// itself that it did not come to write in it, and is bound not to go on.
    fn epoch_for_orders(&self) -> Epoch {
        let present = self.state.epoch();
        let undone = self.run().filter(|run| matches!(run.mode, Mode::Undoing { .. }) && run.committed.is_none());
        let Some(target) = undone.map(|run| &run.runbook.to) else { return present };
        if self.state.glass.contains_key(target) {
            return present;
        }
        let highest = |site: &Site| Some(&fresh(&self.state, &site.id, self.now)?.voter.highest);
        let bid = self.state.topology.sites.iter().filter_map(highest).max().filter(|bid| bid.site == *target);
        bid.cloned().map_or(present.clone(), |bid| bid.max(present))
    }

    fn gate(&self, run: &Run, step: &Step) -> Gate {
        let forward = run.mode == Mode::Forward;
        let lost = run.runbook.from.as_ref().filter(|_| matches!(run.runbook.request, Request::Failover { .. }));
        if let Some(needed) = lost.filter(|_| forward).and_then(|lost| guard::step_needs(step, lost)) {
            return Gate::Shut(format!("it requires {} in the region being left", needed.what));
        }
        match step.action().map(|action| &action.verb) {
            Some(Verb::Promote { .. }) if forward => match guard::followed_before_return(run) {
                Ok(()) => guard::may_promote(&self.state, run, self.now),
                Err(why) => Gate::Shut(why),
            },
            Some(Verb::Promote { .. }) if !guard::may_undo(run) => Gate::Shut("the commit point has passed".to_owned()),
            Some(Verb::Fence { .. }) => guard::may_fence(&self.state, run, self.now),
            _ => Gate::Open,
        }
    }

    /// Fill in what only the run knows.
    fn bind(&mut self, run: &Run, step: &Step, mut action: Action) -> Result<Action, String> {
        match &mut action.verb {
            Verb::Promote { receipts, at_least, accept_loss } => {
                *receipts = run.receipts.clone();
                let seen = run.runbook.from.as_ref().and_then(|from| crate::watch::loss::receipt(&self.state, from));
                receipts.extend(seen.filter(|seen| run.receipts.iter().all(|known| known.site != seen.site)));
                if step.commit_point {
                    // A restore lacks what came after its moment, by intention.
                    let planned = !run.runbook.request.may_lose();
                    *at_least = run.position.filter(|_| planned);
                    *accept_loss = self.accepted_loss(run);
                }
            }
            Verb::Route { zone } => {
                let chosen = self.state.zone.as_ref().filter(|chosen| Some(&chosen.epoch) == run.committed.as_ref());
                let (chosen, new) = match (chosen, &run.committed) {
                    (Some(chosen), _) => (chosen.clone(), false),
                    (None, Some(epoch)) => (zone_to(&self.state, &run.runbook.to, epoch.clone()), true),
                    (None, None) => return Err("no new writer holds an epoch".to_owned()),
                };
                guard::may_route(run, &chosen)?;
                if new {
                    self.emit(Record::ZoneChosen { zone: chosen.clone() });
                }
                *zone = chosen;
            }
            _ => {}
        }
        Ok(action)
    }

    fn accepted_loss(&self, run: &Run) -> Option<AcceptLoss> {
        if !guard::loss_accepted(&self.state.topology, run) {
            return None;
        }
        let from = run.runbook.from.as_ref()?;
        if let Request::Restore { to, .. } = &run.runbook.request {
            let estimate = format!("everything committed after {to}");
            return Some(AcceptLoss { by: run.loss_accepted.iter().cloned().collect(), estimate });
        }
        let loss = crate::watch::loss::estimate(&self.state, from, &run.runbook.to, self.now);
        let estimate = loss.or_else(|| run.estimate.clone()).map_or("unknown".to_owned(), |loss| loss.why);
        Some(AcceptLoss { by: run.loss_accepted.iter().cloned().collect(), estimate })
    }

    /// Before the commit point a failed step undoes the run; after it, and before anything was done at all in an
    /// emergency, the run waits for people. A check that passes after all lets it go on by itself.
    fn failed(&mut self, run: &Run, number: usize, asks: &mut Asks) {
        let (step, note) = (run.step(number), run.steps[number].note.clone());
        let undoing = matches!(run.mode, Mode::Undoing { .. });
        let required = if undoing { step.need == Need::Required } else { self.fails_the_run(run, step) };
        if !required {
            return;
        }
        if let Some(why) = self.overtaken_failure(run, number).filter(|_| !undoing) {
            let (id, at) = (run.id, self.now);
            self.emit(Record::StepReset { run: id, step: number as u32, at });
            if matches!(run.pause, Some(Pause::Trouble { step: paused, .. }) if paused == number as u32) {
                self.emit(Record::Resumed { run: id, why, at });
            }
            return;
        }
        let emergency = matches!(run.runbook.request, Request::Failover { .. }) && !run.gate_passed();
        if !undoing && guard::may_undo(run) && !emergency {
            return self.begin_stop(End::Failed, format!("step {number}, {}: {note}", step.title));
        }
        if let Some(check) = step.check() {
            match check.evaluate(&self.state, run, self.now) {
                Finding::Pass(why) => return self.passes_after_all(run, number, why),
                Finding::NeedsOverride(why) => asks.loss.push(why),
                Finding::NotYet(_) | Finding::Never(_) => {}
            }
            self.wake_in(self.state.topology.timing.probe_every);
        }
        if !matches!(run.pause, Some(Pause::Trouble { .. })) {
            self.pause(run, Pause::Trouble { step: number as u32, why: format!("{}: {note}", step.title) });
        }
    }

    /// Why a failed step says nothing any more, and is done from its beginning.
    fn overtaken_failure(&self, run: &Run, number: usize) -> Option<String> {
        if self.outdated(run, number) {
            return Some(format!("the writer is in epoch {} by now", self.state.epoch()));
        }
        let step = run.step(number);
        let site = step.site().filter(|_| step.need == Need::WhileUp)?;
        let up = self.state.verdicts.get(site).filter(|judged| judged.verdict == Verdict::Up)?;
        let since = run.steps[number].since.filter(|since| up.since > *since);
        since.map(|_| format!("{site} is back"))
    }

    /// An order that was given before the new writer raised its own epoch, as it may after a lapse: whoever knows the
    /// newer one refuses it. It is one writer still, and the order is given again in its name.
    fn outdated(&self, run: &Run, number: usize) -> bool {
        let raised = self.state.writer.as_ref().filter(|writer| {
            run.committed.as_ref().is_some_and(|epoch| writer.site == epoch.site && writer.epoch > *epoch)
        });
        let since = run.steps[number].since.filter(|_| run.step(number).action().is_some());
        raised.zip(since).is_some_and(|(writer, since)| writer.since > since)
    }

    fn passes_after_all(&mut self, run: &Run, number: usize, why: String) {
        let step = number as u32;
        self.emit(Record::CheckEnded { run: run.id, step, passed: true, why: why.clone(), at: self.now });
        if matches!(run.pause, Some(Pause::Trouble { step: paused, .. }) if paused == step) {
            self.emit(Record::Resumed { run: run.id, why, at: self.now });
        }
    }

    /// Pause for what people must say, and go on once they have.
    fn settle_pause(&mut self, asks: Asks) {
        let Some(run) = self.run().cloned() else { return };
        let approvals = run.runbook.approvals;
        let wanted = if !asks.loss.is_empty() {
            let need = guard::loss_approvals(&self.state.topology);
            Some(Pause::AcceptLoss { need, estimate: asks.loss.join("; ") })
        } else if asks.approval {
            Some(Pause::Approval { need: approvals })
        } else {
            None
        };
        match (&run.pause, wanted) {
            (Some(Pause::Trouble { .. }), _) | (None, None) => {}
            (Some(now), Some(wanted)) if std::mem::discriminant(now) == std::mem::discriminant(&wanted) => {}
            (_, Some(wanted)) => self.pause(&run, wanted),
            (Some(_), None) => {
                self.emit(Record::Resumed { run: run.id, why: "what it waited for is there".to_owned(), at: self.now });
            }
        }
    }

    fn complete(&mut self, run: &Run) {
        let took = human(self.now.since(run.started));
        match &run.mode {
            Mode::Undoing { as_end, why } => self.end_run(run, *as_end, why.clone()),
            _ => {
                let to = &run.runbook.to;
                let epoch = run.committed.as_ref().map_or("no new epoch".to_owned(), |epoch| format!("epoch {epoch}"));
                self.end_run(run, End::Succeeded, format!("{to} writes in {epoch}; it took {took}"));
            }
        }
    }
}

/// Whether a run that the engine proposed has begun what must be brought to an end. A planned move has once the writer is
/// being stopped: what it does before that costs money at most.
fn begun(run: &Run) -> bool {
    if !matches!(run.runbook.request, Request::Switchover { .. }) {
        return run.gate_passed();
    }
    let steps = run.runbook.steps.iter().zip(&run.steps);
    let stops = |step: &Step| step.action().is_some_and(|action| matches!(action.verb, Verb::Fence { .. }));
    steps.into_iter().any(|(step, state)| stops(step) && state.since.is_some())
}

/// How the steps of the same group stand.
fn peers<'a>(run: &'a Run, step: &'a Step) -> impl Iterator<Item = &'a Progress> {
    let steps = run.runbook.steps.iter().zip(&run.steps).filter(|(peer, _)| peer.group == step.group);
    steps.map(|(_, state)| &state.progress)
}
