//! The people: they approve, accept or refuse losses, ask for what is missing, and bring the workload home.

use std::time::Duration;

use engine::runbook::run::Pause;
use engine::{Event, Request};
use model::{DatabaseState, Person, RunId, Time};

use crate::scenario::{Scenario, WITNESS};
use crate::world::{What, World};

const LOOK: Duration = Duration::from_millis(500);
/// How long after everything is mended people still try again what failed.
const PATIENCE: Duration = Duration::from_secs(150);

#[derive(Clone)]
pub struct People {
    /// How long they take to answer.
    pub thinks: Duration,
    pub accepts_loss: bool,
    /// What is waited for, and since when.
    noticed: Option<(String, Time)>,
    turn: usize,
    /// Since when all has been well at home.
    pub well_since: Option<Time>,
}

impl People {
    pub fn new(scenario: &Scenario) -> Self {
        let (thinks, accepts_loss) = (scenario.people, scenario.accepts_loss);
        Self { thinks, accepts_loss, noticed: None, turn: 0, well_since: None }
    }
}

enum Wish {
    Ask(Request),
    Approve(RunId, bool),
    Abort(RunId),
}

impl World {
    pub fn people_act(&mut self) {
        self.after(LOOK, What::People);
        self.notice_home();
        if !self.controller_runs() {
            return;
        }
        let Some((what, patience, wish)) = self.wish() else {
            self.people.noticed = None;
            return;
        };
        let since = match &self.people.noticed {
            Some((known, since)) if *known == what => *since,
            _ => self.now,
        };
        self.people.noticed = Some((what, since));
        if self.now.since(since) < patience {
            return;
        }
        self.people.turn += 1;
        let by = Person::new(["ada", "bob", "cyd"][self.people.turn % 3]);
        let event = match wish {
            Wish::Ask(request) => Event::Requested { request, by },
            Wish::Approve(run, accept_loss) => Event::Approved { run, by, accept_loss },
            Wish::Abort(run) => Event::Aborted { run, by, why: "too much would be lost".into() },
        };
        self.say(|| format!("people: {event:?}"));
        if let Some(Err(refused)) = self.tell(&event) {
            self.say(|| format!("people are refused: {}", refused.why));
        }
    }

    fn wish(&self) -> Option<(String, Duration, Wish)> {
        let (state, thinks) = (&self.control.state, self.people.thinks);
        let Some(run) = &state.run else { return self.wish_without_run() };
        let wish = match run.pause.as_ref()? {
            Pause::Approval { .. } => ("approval", thinks, Wish::Approve(run.id, false)),
            Pause::AcceptLoss { .. } if self.people.accepts_loss => ("loss", thinks, Wish::Approve(run.id, true)),
            Pause::AcceptLoss { .. } => ("refuse", thinks + Duration::from_secs(15), Wish::Abort(run.id)),
            Pause::Trouble { .. } if self.now > self.scenario.healed + PATIENCE => return None,
            Pause::Trouble { .. } => ("trouble", thinks + Duration::from_secs(2), Wish::Approve(run.id, false)),
        };
        // Each approval is another person's, so each is awaited anew.
        let what = format!("{} {} {}", wish.0, run.id, run.approvals.len() + run.loss_accepted.len());
        Some((what, wish.1, wish.2))
    }

    /// What people want when nothing is going on.
    fn wish_without_run(&self) -> Option<(String, Duration, Wish)> {
        let (state, thinks) = (&self.control.state, self.people.thinks);
        let Some(writer) = &state.writer else {
            return Some(("establish".into(), Duration::ZERO, Wish::Ask(Request::Establish)));
        };
        if self.now < self.scenario.healed {
            return None;
        }
        let report = state.watch.sites.get(&writer.site).and_then(|seen| seen.report.as_ref());
        let database = report.and_then(|report| report.database.as_ref()).map(|database| &database.state);
        let wait = thinks + Duration::from_secs(2);
        match database {
            Some(DatabaseState::Writing { .. }) if writer.site != *self.topology.preferred() => {
                Some(("failback".into(), wait, Wish::Ask(Request::Failback)))
            }
            Some(DatabaseState::Fenced { .. } | DatabaseState::Failed { .. } | DatabaseState::Standby { .. }) => {
                let odd = self.people.turn % 2 == 1;
                let to = odd.then(|| writer.site.clone());
                let request = Request::Failover { to, accept_loss: false };
                Some((format!("restore {odd}"), wait * 2, Wish::Ask(request)))
            }
            _ => None,
        }
    }

    /// Since when the preferred region serves, with its standby in step.
    fn notice_home(&mut self) {
        let well = self.control.state.run.is_none() && self.controller_runs() && self.serves(0) && {
            let database = &self.sites[0].database;
            let near = |stream: &crate::database::Stream| stream.flushed + 20 >= database.end();
            let paired = database.stream.as_ref().is_some_and(near);
            // Nobody may follow who may not hold the data; and without an order nobody follows.
            paired || self.sites[1].database.server != crate::database::Server::Standby
        };
        self.people.well_since = well.then(|| self.people.well_since.unwrap_or(self.now));
    }

    pub fn serves(&self, site: usize) -> bool {
        site != WITNESS && self.sites[site].ready(self.now) > 0
    }

    /// All is mended and well, or the time that everything may need is over.
    pub fn is_over(&self) -> bool {
        let healed = self.scenario.healed;
        if self.now < healed + Duration::from_secs(2) {
            return false;
        }
        let well = self.people.well_since.is_some_and(|since| self.now.since(since) >= Duration::from_millis(2_500));
        let run = self.control.state.run.as_ref();
        let waits = run.is_none_or(|run| run.pause.is_some());
        let late = self.now > healed + PATIENCE * 2;
        well || (self.now > healed + PATIENCE && waits && self.controller_runs()) || late
    }
}
