//! How each record changes the state. Deterministic and total: a record that no longer fits changes nothing.

use std::sync::Arc;

use model::observe::Readiness;
use model::{ActError, AttemptId, Outcome, Time};

use crate::protocol::{Record, Request};
use crate::runbook::run::{End, Ended, Mode, Progress, Run, StepState};
use crate::watch::Verdict;
use crate::workload::{Judged, PastRun, Unready, Workload, Writer};

/// How many ended runs stay in the state; the journal has them all.
const REMEMBERED_RUNS: usize = 50;

/// Fold one record into the state.
pub fn apply(state: &mut Workload, record: &Record) {
    match record {
        Record::Restarted { generation, rebooted, at } => restart(state, *generation, *rebooted, *at),
        Record::VerdictChanged { site, verdict, why, at } => {
            if *verdict == Verdict::Up && state.held.as_ref() == Some(site) && state.gone.is_none() {
                state.held = None;
            }
            state.verdicts.insert(site.clone(), Judged { verdict: *verdict, why: why.clone(), since: *at });
        }
        Record::ReadinessChanged { site, ready, .. } => {
            state.readiness.insert(site.clone(), ready.clone());
        }
        Record::WriterSeen { epoch, at, .. } => raise_writer(state, epoch, *at),
        Record::GlassBroken { site, glass, .. } => match glass {
            Some(glass) => drop(state.glass.insert(site.clone(), glass.clone())),
            None => drop(state.glass.remove(site)),
        },
        Record::WriterGone { site, why, .. } => {
            state.gone = why.as_ref().map(|why| (site.clone(), why.clone()));
            if state.gone.is_none() && state.held.as_ref() == Some(site) {
                state.held = None;
            }
        }
        Record::ServiceChanged { site, unready, at } => {
            let unready = unready.clone();
            state.unready = unready.map(|why| Unready { site: site.clone(), why, since: *at, tried: false });
        }
        Record::Frozen { run } => state.frozen = *run,
        Record::ZoneChosen { zone } => state.zone = Some(zone.clone()),
        Record::ChoreStarted { attempt, at, .. } => {
            let chore = state.chores.entry(attempt.step).or_default();
            chore.tries = attempt.number;
            chore.out = Some((*attempt, *at));
        }
        Record::ChoreEnded { attempt, outcome, at } => {
            let chore = state.chores.entry(attempt.step).or_default();
            if chore.out.is_some_and(|(out, _)| out == *attempt) {
                chore.out = None;
                chore.ended = Some((*at, outcome.evidence().is_some()));
            }
        }
        Record::RunStarted { .. } => start_run(state, record),
        Record::Committed { run, epoch, at } => {
            raise_writer(state, epoch, *at);
            if let Some(active) = state.run.as_mut().filter(|active| active.id == *run) {
                Arc::make_mut(active).committed = Some(epoch.clone());
            }
        }
        Record::RunEnded { run, end, summary, at } => {
            if state.run.as_ref().is_some_and(|active| active.id == *run) {
                end_run(state, *end, summary, *at);
            }
        }
        other => apply_to_run(state, other),
    }
}

fn restart(state: &mut Workload, generation: u64, rebooted: bool, at: Time) {
    state.generation = generation;
    for judged in state.verdicts.values_mut() {
        *judged = Judged { verdict: Verdict::Unknown, why: vec!["the controller restarted".to_owned()], since: at };
    }
    for ready in state.readiness.values_mut() {
        *ready = Readiness::Unknown;
    }
    for chore in state.chores.values_mut() {
        chore.out = None;
        chore.ended = None;
    }
    let Some(run) = state.run.as_mut().map(Arc::make_mut) else { return };
    for step in &mut run.steps {
        if rebooted && step.since.is_some() {
            step.since = Some(at);
        }
        match &mut step.progress {
            Progress::Out { inquire_at, .. } => *inquire_at = Some(at),
            Progress::RetryAt(time) => *time = at,
            _ => {}
        }
    }
}

fn raise_writer(state: &mut Workload, epoch: &model::Epoch, at: Time) {
    if *epoch > state.epoch() {
        state.writer = Some(Writer { site: epoch.site.clone(), epoch: epoch.clone(), since: at });
        state.gone = None;
        state.held = None;
        state.unready = None;
    }
}

fn start_run(state: &mut Workload, record: &Record) {
    let Record::RunStarted { run, runbook, by, cause, base, estimate, receipts, at } = record else { return };
    state.run = Some(Arc::new(Run {
        id: *run,
        runbook: runbook.clone(),
        by: by.clone(),
        cause: cause.clone(),
        started: *at,
        base: base.clone(),
        approvals: Default::default(),
        loss_accepted: Default::default(),
        mode: Mode::Forward,
        pause: None,
        steps: runbook.steps.iter().map(|_| StepState::default()).collect(),
        undo: Vec::new(),
        committed: None,
        receipts: receipts.clone(),
        position: None,
        estimate: estimate.clone(),
        end: None,
    }));
}

fn end_run(state: &mut Workload, end: End, summary: &str, at: Time) {
    let Some(mut active) = state.run.take() else { return };
    let run = Arc::make_mut(&mut active);
    if run.by.is_none() && matches!(end, End::Failed | End::Aborted) {
        match (&run.runbook.request, &mut state.unready) {
            // What could not be moved may still have to be won back when its region is lost.
            (Request::Switchover { .. }, Some(unready)) => unready.tried = true,
            (Request::Switchover { .. }, None) => {}
            _ => state.held = run.runbook.from.clone(),
        }
    }
    let ended = Ended { end, at, summary: summary.to_owned() };
    run.end = Some(ended.clone());
    run.pause = None;
    let (from, to) = (run.runbook.from.clone(), run.runbook.to.clone());
    state.past.push(PastRun { id: run.id, request: run.runbook.request.clone(), from, to, ended });
    if state.past.len() > REMEMBERED_RUNS {
        state.past.remove(0);
    }
    state.last = Some(active);
}

fn apply_to_run(state: &mut Workload, record: &Record) {
    let Some(run) = state.run.as_mut().map(Arc::make_mut) else { return };
    match record {
        Record::Approved { run: id, by, accept_loss } if *id == run.id => {
            run.approvals.insert(by.clone());
            if *accept_loss {
                run.loss_accepted.insert(by.clone());
            }
        }
        Record::Paused { run: id, pause, .. } if *id == run.id => run.pause = Some(pause.clone()),
        Record::Resumed { run: id, .. } if *id == run.id => run.pause = None,
        Record::ModeChanged { run: id, mode, .. } if *id == run.id => {
            run.mode = mode.clone();
            run.pause = None;
        }
        Record::UndoPlanned { run: id, steps } if *id == run.id => {
            run.undo = steps.clone();
            run.steps.truncate(run.runbook.steps.len());
            run.steps.extend(steps.iter().map(|_| StepState::default()));
        }
        Record::CheckStarted { run: id, step, at } if *id == run.id => {
            if let Some(step) = run.steps.get_mut(*step as usize) {
                step.progress = Progress::Checking;
                step.since = Some(*at);
            }
        }
        Record::CheckEnded { run: id, step, passed, why, .. } if *id == run.id => {
            if let Some(step) = run.steps.get_mut(*step as usize) {
                step.progress = if *passed { Progress::Done } else { Progress::Failed };
                step.note = why.clone();
            }
        }
        Record::StepReset { run: id, step, .. } if *id == run.id => {
            if let Some(step) = run.steps.get_mut(*step as usize) {
                *step = StepState { tries: step.tries, ..StepState::default() };
            }
        }
        other => apply_to_attempt(run, other),
    }
}

fn apply_to_attempt(run: &mut Run, record: &Record) {
    match record {
        Record::AttemptStarted { attempt, action, at, .. } if attempt.run == run.id => {
            if let Some(step) = run.steps.get_mut(attempt.step as usize) {
                step.tries = attempt.number;
                if step.progress == Progress::Checking {
                    // It only waited for leave to go out.
                    step.since = None;
                }
                step.since.get_or_insert(*at);
                step.progress = Progress::Out { attempt: *attempt, site: action.site.clone(), inquire_at: None };
            }
        }
        Record::AttemptDoubted { attempt, why, inquire_at: at } => {
            if let Some(step) = awaited(run, attempt) {
                step.note = why.clone();
                if let Progress::Out { inquire_at, .. } = &mut step.progress {
                    *inquire_at = Some(*at);
                }
            }
        }
        Record::AttemptNoted { attempt, note } => {
            if let Some(step) = awaited(run, attempt) {
                step.note = note.clone();
            }
        }
        Record::AttemptLost { attempt, retry_at, .. } => {
            if let Some(step) = awaited(run, attempt) {
                step.progress = retry_at.map_or(Progress::Failed, Progress::RetryAt);
            }
        }
        Record::AttemptEnded { attempt, outcome, retry_at, .. } => end_attempt(run, attempt, outcome, *retry_at),
        _ => {}
    }
}

fn end_attempt(run: &mut Run, attempt: &AttemptId, outcome: &Outcome, retry_at: Option<Time>) {
    let Some(step) = awaited(run, attempt) else { return };
    step.progress = match (outcome.evidence(), retry_at) {
        (_, Some(at)) => Progress::RetryAt(at),
        (Some(_), None) => Progress::Done,
        (None, None) => Progress::Failed,
    };
    step.note = match outcome {
        Outcome::Done(evidence) | Outcome::AlreadyDone(evidence) => evidence.note.clone(),
        Outcome::Refused { why } => why.clone(),
        Outcome::Failed(error) => error.to_string(),
    };
    step.doubtful = matches!(outcome, Outcome::Failed(ActError::Unknown(_)));
    let Some(evidence) = outcome.evidence() else { return };
    if let Some(receipt) = &evidence.receipt {
        run.position = receipt.end.or(evidence.position).or(run.position);
        run.receipts.retain(|r| r.site != receipt.site);
        run.receipts.push((**receipt).clone());
    }
}

/// The step whose order `attempt` still is out.
fn awaited<'a>(run: &'a mut Run, attempt: &AttemptId) -> Option<&'a mut StepState> {
    if attempt.run != run.id {
        return None;
    }
    let step = run.steps.get_mut(attempt.step as usize)?;
    matches!(&step.progress, Progress::Out { attempt: out, .. } if out == attempt).then_some(step)
}
