//! Whether a failover would work if the writing region were lost now: the question that every status answers first.
//!
//! Intuition: plan it, and ask each of its pre-checks on what is known now. Two are left out: whether the region is
//! lost is supposed, and deployments are frozen by the run itself.

use std::sync::Arc;

use model::{RunId, SiteId, Time};
use serde::{Deserialize, Serialize};

use crate::fold::apply;
use crate::protocol::{Record, Request};
use crate::runbook::check::Finding;
use crate::runbook::plan::plan;
use crate::runbook::{Check, Phase, Runbook};
use crate::watch::loss::estimate;
use crate::workload::Workload;

/// What a failover would meet now.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Outlook {
    /// Where it would go.
    pub to: Option<SiteId>,
    /// What would stop it.
    pub obstacles: Vec<String>,
    /// What people would have to accept.
    pub asks: Vec<String>,
    /// What the pre-checks say that pass.
    pub passes: Vec<String>,
}

impl Outlook {
    /// Nothing would stop it, and nobody would have to accept a loss.
    pub fn works(&self) -> bool {
        self.to.is_some() && self.obstacles.is_empty() && self.asks.is_empty()
    }
}

/// The outlook of a failover to the best other region.
pub fn outlook(state: &Workload, now: Time) -> Outlook {
    let request = Request::Failover { to: None, accept_loss: false };
    match plan(state, &request, now) {
        Ok(runbook) => of(state, runbook, now),
        Err(refused) => Outlook { obstacles: vec![refused.why], ..Outlook::default() },
    }
}

fn of(state: &Workload, runbook: Runbook, now: Time) -> Outlook {
    let mut outlook = Outlook { to: Some(runbook.to.clone()), ..Outlook::default() };
    let estimate = runbook.from.as_ref().and_then(|from| estimate(state, from, &runbook.to, now));
    let mut supposed = state.clone();
    let record = Record::RunStarted {
        run: RunId(0),
        runbook: Arc::new(runbook.clone()),
        by: None,
        cause: String::new(),
        base: state.epoch(),
        estimate,
        receipts: Vec::new(),
        at: now,
    };
    apply(&mut supposed, &record);
    let Some(run) = &supposed.run else { return outlook };
    let checks = runbook.steps.iter().filter(|step| step.phase == Phase::PreCheck).filter_map(|step| step.check());
    for check in checks.filter(|check| !matches!(check, Check::IncidentScope { .. } | Check::Frozen)) {
        match check.evaluate(state, run, now) {
            Finding::Pass(why) => outlook.passes.push(why),
            Finding::NotYet(why) | Finding::Never(why) => outlook.obstacles.push(why),
            Finding::NeedsOverride(why) => outlook.asks.push(why),
        }
    }
    outlook
}
