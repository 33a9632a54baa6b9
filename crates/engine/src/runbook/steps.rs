//! The steps of each runbook (seed 003 sections 15 and 16).

use model::action::Action;
use model::depends::depends_on;
use model::time::human;
use model::topology::{Postgres, Replication, WhenAlone};
use model::{ComponentId, SiteId, Verb};

use super::{Check, Depends, DependsOn, Need, Phase, Step, Work};
use crate::record::action_text;
use crate::workload::Workload;

/// A runbook being written: steps are added to the present group until [`Draft::then`].
pub(super) struct Draft<'a> {
    pub(super) state: &'a Workload,
    phase: Phase,
    group: u32,
    pub(super) gated: bool,
    /// The new writer has no standby until the lost region is back.
    alone: bool,
    steps: Vec<Step>,
}

pub(super) fn establish(state: &Workload, to: &SiteId) -> Vec<Step> {
    let mut draft = Draft::new(state);
    for site in state.topology.regions().map(|s| s.id.clone()) {
        draft.check("the region answers", Check::Healthy { site });
    }
    draft.check("the region may hold the data", Check::Residency { site: to.clone() });
    draft.check("nobody has written yet", Check::Unwritten);
    draft.check("secrets are there", Check::Secrets { site: to.clone() });
    draft.frozen();
    draft.then(Phase::Step);
    draft.database("create the database", to, Verb::Initialise);
    draft.then(Phase::Step);
    draft.promote(to);
    draft.scale_up(to);
    draft.then(Phase::Step);
    // Before traffic: a synchronous writer may acknowledge nothing until it has a standby.
    for site in state.topology.others(to) {
        draft.follow(site, to);
        draft.scale_down(site);
    }
    draft.then(Phase::Step);
    draft.verify(to);
    draft.then(Phase::Step);
    draft.route(to, None);
    draft.then(Phase::PostCheck);
    for site in state.topology.others(to) {
        draft.check("the standby streams", Check::Streaming { site: site.clone(), upstream: to.clone() });
    }
    draft.exercise(to);
    draft.finish()
}

pub(super) fn failover(state: &Workload, from: &SiteId, to: &SiteId) -> Vec<Step> {
    let mut draft = Draft::new(state);
    draft.check("the incident is the region's", Check::IncidentScope { site: from.clone() });
    draft.check("the target may hold the data", Check::Residency { site: to.clone() });
    draft.check("the target answers and stands by", Check::Standby { site: to.clone() });
    draft.check("the loss is within the objective", Check::WithinRpo { from: from.clone(), to: to.clone() });
    draft.check("secrets are there and equal", Check::Secrets { site: to.clone() });
    draft.check("the artifact is the same", Check::Artifact { site: to.clone() });
    draft.frozen();
    draft.then(Phase::Step);
    draft.scale_up(to);
    // Everything up to here costs money at most. What follows needs the approvals.
    draft.gated = true;
    draft.alone = true;
    draft.fence(from, false).need = Need::BestEffort;
    draft.promote(to);
    draft.then(Phase::Step);
    draft.verify(to);
    draft.then(Phase::Step);
    draft.route(to, Some(from));
    draft.then(Phase::PostCheck);
    draft.check("nobody writes in an older epoch", Check::NoOldWriter { site: from.clone() });
    draft.exercise(to);
    draft.finish()
}

/// The region that holds the highest epoch, and is fenced, writes again.
pub(super) fn reinstate(state: &Workload, to: &SiteId) -> Vec<Step> {
    let mut draft = Draft::new(state);
    draft.check("the region answers", Check::Healthy { site: to.clone() });
    draft.check("the region may hold the data", Check::Residency { site: to.clone() });
    draft.check("secrets are there and equal", Check::Secrets { site: to.clone() });
    draft.check("the artifact is the same", Check::Artifact { site: to.clone() });
    draft.frozen();
    draft.then(Phase::Step);
    draft.scale_up(to);
    draft.gated = true;
    draft.alone = true;
    draft.promote(to);
    draft.then(Phase::Step);
    draft.verify(to);
    draft.then(Phase::Step);
    draft.route(to, None);
    draft.then(Phase::PostCheck);
    draft.check("nobody writes in an older epoch", Check::NoOldWriter { site: to.clone() });
    draft.exercise(to);
    draft.finish()
}

pub(super) fn switchover(state: &Workload, from: &SiteId, to: &SiteId) -> Vec<Step> {
    let mut draft = Draft::new(state);
    draft.check("the region being left answers", Check::Healthy { site: from.clone() });
    draft.check("the region being left writes", Check::Writing { site: from.clone() });
    draft.check("the target answers", Check::Healthy { site: to.clone() });
    draft.check("the target may hold the data", Check::Residency { site: to.clone() });
    draft.check("the standby streams with little lag", streaming(to, from));
    draft.check("secrets are there and equal", Check::Secrets { site: to.clone() });
    draft.check("the artifact is the same", Check::Artifact { site: to.clone() });
    draft.frozen();
    draft.gated = true;
    draft.then(Phase::Step);
    draft.hand_over(from, to);
    draft.finish()
}

pub(super) fn failback(state: &Workload, from: &SiteId, to: &SiteId) -> Vec<Step> {
    let mut draft = Draft::new(state);
    let well = format!("the preferred region has been well for {}", human(state.topology.timing.healthy_for));
    draft.check(&well, Check::HealthyFor { site: to.clone() });
    draft.check("the region being left answers", Check::Healthy { site: from.clone() });
    draft.check("the region being left writes", Check::Writing { site: from.clone() });
    draft.check("the preferred region may hold the data", Check::Residency { site: to.clone() });
    draft.check("secrets are there and equal", Check::Secrets { site: to.clone() });
    draft.check("the artifact is the same", Check::Artifact { site: to.clone() });
    draft.frozen();
    draft.gated = true;
    draft.then(Phase::Step);
    draft.follow(to, from);
    draft.then(Phase::Step);
    draft.check("the standby streams with little lag", streaming(to, from));
    draft.then(Phase::Step);
    draft.hand_over(from, to);
    draft.finish()
}

fn streaming(site: &SiteId, upstream: &SiteId) -> Check {
    Check::Streaming { site: site.clone(), upstream: upstream.clone() }
}

impl<'a> Draft<'a> {
    pub(super) fn new(state: &'a Workload) -> Self {
        Draft { state, phase: Phase::PreCheck, group: 0, gated: false, alone: false, steps: Vec::new() }
    }

    pub(super) fn then(&mut self, phase: Phase) {
        self.phase = phase;
        self.group += 1;
    }

    /// The planned move of a writer, both regions helping.
    fn hand_over(&mut self, from: &SiteId, to: &SiteId) {
        self.scale_up(to);
        self.then(Phase::Step);
        self.check("enough instances run", Check::CapacityAlive { site: to.clone() });
        self.check("the standby still streams with little lag", streaming(to, from));
        self.then(Phase::Step);
        self.fence(from, true);
        self.then(Phase::Step);
        self.promote(to);
        self.then(Phase::Step);
        if self.postgres().replication == Replication::Synchronous {
            // It may acknowledge nothing until it has a standby.
            self.follow(from, to);
            self.then(Phase::Step);
        }
        self.verify(to);
        self.then(Phase::Step);
        self.route(to, None);
        self.then(Phase::Step);
        if self.postgres().replication == Replication::Asynchronous {
            self.follow(from, to);
        }
        self.scale_down(from);
        self.then(Phase::PostCheck);
        self.check("the old writer streams from the new", streaming(from, to));
        self.check("nobody writes in an older epoch", Check::NoOldWriter { site: from.clone() });
        self.exercise(to);
    }

    /// All that must hold before traffic moves (DESIGN.md, invariant 4).
    pub(super) fn verify(&mut self, to: &SiteId) {
        self.check("the new writer writes", Check::Writing { site: to.clone() });
        self.check("enough instances are ready", Check::CapacityReady { site: to.clone() });
        self.check("secrets are still equal", Check::Secrets { site: to.clone() });
        // Only once instances are ready: an earlier request would fail, and wait for its next try.
        self.then(Phase::Step);
        self.exercise(to);
    }

    pub(super) fn frozen(&mut self) {
        self.check("deployments are frozen", Check::Frozen);
    }

    pub(super) fn promote(&mut self, to: &SiteId) {
        let verb = Verb::Promote { receipts: Vec::new(), at_least: None, accept_loss: None };
        self.database("take the next epoch and promote", to, verb).commit_point = true;
    }

    pub(super) fn fence(&mut self, from: &SiteId, clean: bool) -> &mut Step {
        let back = Verb::Promote { receipts: Vec::new(), at_least: None, accept_loss: None };
        let undo = self.on_database(from, back);
        let step = self.database("stop the old writer", from, Verb::Fence { clean });
        step.undo = Some(undo);
        step
    }

    pub(super) fn follow(&mut self, site: &SiteId, upstream: &SiteId) {
        self.database("follow the writer", site, Verb::Follow { upstream: upstream.clone() });
    }

    pub(super) fn scale_up(&mut self, site: &SiteId) {
        for (component, fleet) in self.state.topology.fleets() {
            let scale = |instances| act_on(site, component, Verb::Scale { instances });
            let standby = self.state.topology.standby_instances(site, fleet.peak);
            self.act("scale to the peak", scale(fleet.peak)).undo = Some(scale(standby));
        }
    }

    pub(super) fn scale_down(&mut self, site: &SiteId) {
        for (component, fleet) in self.state.topology.fleets() {
            let instances = self.state.topology.standby_instances(site, fleet.peak);
            self.act("scale to stand by", act_on(site, component, Verb::Scale { instances }));
        }
    }

    pub(super) fn exercise(&mut self, site: &SiteId) {
        for (component, fleet) in self.state.topology.fleets() {
            // A writer that was told to block while it is alone acknowledges nothing, by choice.
            let blocks = self.alone && self.postgres().replication == Replication::Synchronous;
            let blocks = blocks && self.postgres().when_alone == WhenAlone::Block;
            let write = fleet.exercise.is_some() && !blocks;
            self.act("a real request succeeds", act_on(site, component, Verb::Exercise { write }));
        }
    }

    /// Every site's DNS server; the one of the region being lost is tried and not waited for.
    pub(super) fn route(&mut self, to: &SiteId, lost: Option<&SiteId>) {
        let (component, _) = self.state.topology.dns();
        // A preview: the epoch is known, and the zone made, once the new writer has it.
        let zone = crate::routing::zone_to(self.state, to, self.state.epoch().next(to));
        for site in self.state.topology.sites.iter().map(|s| &s.id) {
            let step = self.act("send traffic there", act_on(site, component, Verb::Route { zone: zone.clone() }));
            step.need = if Some(site) == lost { Need::BestEffort } else { Need::WhileUp };
        }
    }

    pub(super) fn postgres(&self) -> &'a Postgres {
        self.state.topology.database().1
    }

    pub(super) fn on_database(&self, site: &SiteId, verb: Verb) -> Action {
        act_on(site, self.state.topology.database().0, verb)
    }

    pub(super) fn database(&mut self, title: &str, site: &SiteId, verb: Verb) -> &mut Step {
        let action = self.on_database(site, verb);
        self.act(title, action)
    }

    fn act(&mut self, title: &str, action: Action) -> &mut Step {
        let depends = depends_on(&action).into_iter().map(Depends::from).collect();
        self.push(title, Work::Act(action), depends)
    }

    pub(super) fn check(&mut self, title: &str, check: Check) -> &mut Step {
        let depends = check_depends(&check);
        self.push(title, Work::Check(check), depends)
    }

    fn push(&mut self, title: &str, work: Work, depends: Vec<Depends>) -> &mut Step {
        // Past the commit point there is nothing left to agree to.
        let committed = self.steps.iter().any(|step| step.commit_point && step.group < self.group);
        let step = Step {
            title: title.to_owned(),
            phase: self.phase,
            group: self.group,
            deadline: work.deadline(&self.state.topology.timing.step_deadlines),
            work,
            need: Need::Required,
            commit_point: false,
            gated: self.gated && !committed,
            depends,
            undo: None,
        };
        self.steps.push(step);
        self.steps.last_mut().expect("just pushed")
    }

    /// What is best effort requires nothing.
    pub(super) fn finish(mut self) -> Vec<Step> {
        for step in self.steps.iter_mut().filter(|s| s.need == Need::BestEffort) {
            for depends in &mut step.depends {
                depends.required = false;
            }
        }
        self.steps
    }
}

fn act_on(site: &SiteId, component: &ComponentId, verb: Verb) -> Action {
    Action { site: site.clone(), component: component.clone(), verb }
}

/// The undo of a step, as a step of its own.
pub(super) fn undo_step(step: &Step, action: &Action, group: u32, deadlines: &model::topology::StepDeadlines) -> Step {
    let work = Work::Act(action.clone());
    // A writer must be back before a run may end, on the data that it had; spare instances only cost money.
    let must = matches!(action.verb, Verb::Promote { .. } | Verb::PutBack { .. });
    let need = if must { Need::Required } else { Need::BestEffort };
    Step {
        title: format!("undo: {}", step.title),
        phase: Phase::Undo,
        group,
        deadline: work.deadline(deadlines),
        need,
        commit_point: false,
        gated: false,
        depends: depends_on(action).into_iter().map(Depends::from).collect(),
        undo: None,
        work,
    }
}

/// What a check must hear from. The engine itself is where the controller is.
fn check_depends(check: &Check) -> Vec<Depends> {
    let on = match check {
        Check::IncidentScope { .. } | Check::NoOldWriter { .. } | Check::Unwritten => Some(DependsOn::VoterMajority),
        Check::Frozen | Check::Residency { .. } | Check::LossOf { .. } => None,
        Check::Covered { .. } => Some(DependsOn::Vault),
        other => other.site().map(|site| DependsOn::Site(site.clone())),
    };
    let what = "reports".to_owned();
    on.map(|on| Depends { on, plane: "control".to_owned(), required: true, what }).into_iter().collect()
}

impl Step {
    pub(super) fn text(&self, number: usize) -> String {
        let mut marks = String::new();
        for (mark, on) in [
            ("best effort", self.need == Need::BestEffort),
            ("while its site is up", self.need == Need::WhileUp),
            ("needs approval", self.gated),
            ("COMMIT POINT", self.commit_point),
        ] {
            if on {
                marks.push_str(&format!(" [{mark}]"));
            }
        }
        let what = self.work.text();
        let depends: Vec<_> = self.depends.iter().map(Depends::text).collect();
        let undo = self.undo.as_ref().map_or(String::new(), |undo| format!("      undo: {}\n", action_text(undo)));
        let needs = if depends.is_empty() { "nothing".to_owned() } else { depends.join(", ") };
        format!(
            "{number:>4}  {}.{} {}: {what}, within {}{marks}\n      needs {needs}\n{undo}",
            self.group,
            match self.phase {
                Phase::PreCheck => "pre",
                Phase::Step => "step",
                Phase::PostCheck => "post",
                Phase::Undo => "undo",
            },
            self.title,
            model::time::human(self.deadline),
        )
    }
}

impl Depends {
    fn text(&self) -> String {
        let on = match &self.on {
            DependsOn::Site(site) => site.to_string(),
            DependsOn::VoterMajority => "a majority of sites".to_owned(),
            DependsOn::Vault => "the vault at the witness".to_owned(),
        };
        let weak = if self.required { "" } else { ", if it can be had" };
        format!("{on} ({}: {}{weak})", self.plane, self.what)
    }
}
