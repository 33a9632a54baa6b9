//! What people say to the test world, and what they can read of it.

use model::RunId;

use super::world::*;
use crate::runbook::run::Run;
use crate::{Effect, Event, Refused, Request, Workload, apply};

impl World {
    pub fn ask(&mut self, request: Request, by: &str) -> Option<Refused> {
        self.refused = None;
        self.send(&Event::Requested { request, by: person(by) });
        self.drain();
        self.refused.clone()
    }

    pub fn approve(&mut self, by: &str, accept_loss: bool) -> Option<Refused> {
        let run = self.state.run.as_ref().map_or(RunId(99), |run| run.id);
        self.refused = None;
        self.send(&Event::Approved { run, by: person(by), accept_loss });
        self.drain();
        self.refused.clone()
    }

    pub fn abort(&mut self, by: &str) -> Option<Refused> {
        let run = self.state.run.as_ref().map_or(RunId(99), |run| run.id);
        self.refused = None;
        self.send(&Event::Aborted { run, by: person(by), why: "changed my mind".into() });
        self.drain();
        self.refused.clone()
    }

    pub fn run(&self) -> &Run {
        self.state.run.as_ref().unwrap_or_else(|| panic!("a run is active:\n{}", self.transcript()))
    }

    pub fn last_end(&self) -> Option<String> {
        let last = self.state.last.as_ref().filter(|_| self.state.run.is_none());
        last.and_then(|run| run.end.as_ref()).map(|ended| ended.end.to_string())
    }

    pub fn transcript(&self) -> String {
        self.journal.iter().map(|record| format!("{}\n", record.text())).collect()
    }

    /// Acts that left, as text, without housekeeping.
    pub fn acts(&self) -> Vec<String> {
        let acts = self.effects.iter().filter_map(|effect| match effect {
            Effect::Act { attempt, action } if attempt.id.run != RunId(0) => Some(crate::record::action_text(action)),
            _ => None,
        });
        acts.collect()
    }

    /// The fold of the whole journal is the state.
    pub fn refold(&self) -> Workload {
        let mut state = self.started.clone();
        self.journal.iter().for_each(|record| apply(&mut state, record));
        state.watch = self.state.watch.clone();
        state
    }
}
