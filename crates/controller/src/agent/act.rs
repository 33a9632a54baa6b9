//! Orders of the controller, each carried out once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use drivers::{Compute, Traffic};
use engine::writer::Event;
use model::action::Evidence;
use model::{ActError, Action, Attempt, AttemptId, ComponentId, Outcome, Verb};
use rusqlite::Connection;
use std::time::Duration;

use super::attempts::Attempts;
use super::backups::Backups;
use super::database::{DatabaseShell, ended};
use super::lease::Handle;
use super::store::{self, StoreError};
use super::voter::VoterStore;
use crate::identity::Verifier;
use engine::Inquiry;

/// Beyond an attempt's own deadline, for its end to be told.
const GRACE: Duration = Duration::from_millis(500);

pub struct Orders {
    pub attempts: Arc<Attempts>,
    pub voter: Arc<VoterStore>,
    pub verifier: Arc<Verifier>,
    pub database: Option<(Handle, Arc<DatabaseShell>)>,
    pub backups: Option<Arc<Backups>>,
    pub fleets: BTreeMap<ComponentId, Arc<dyn Compute>>,
    pub zones: BTreeMap<ComponentId, Arc<dyn Traffic>>,
    /// How many instances each fleet was last told to run; an agent that restarts runs as many again.
    pub scales: Mutex<Connection>,
    /// The newest start of a controller that was heard of.
    pub generation: AtomicU64,
}

impl Orders {
    /// Carries out `action`, or joins the attempt if it runs already, and tells its end.
    pub async fn act(self: Arc<Self>, attempt: Attempt, action: Action) -> Outcome {
        let (id, within) = (attempt.id, attempt.deadline + GRACE);
        if let Err(why) = self.admit(&attempt, &action) {
            return Outcome::Refused { why };
        }
        if self.attempts.begin(id) {
            tracing::info!(attempt = %id, verb = action.verb.name(), component = %action.component, "order");
            let orders = self.clone();
            // Outlives the connection that brought the order.
            tokio::spawn(async move {
                if let Some(outcome) = orders.carry_out(attempt, action).await {
                    orders.attempts.end(id, outcome);
                }
            });
        }
        self.attempts.wait(id, within).await
    }

    pub fn inquire(&self, attempt: AttemptId) -> Inquiry {
        self.attempts.ask(attempt)
    }

    /// Refused from here on, also if it arrives only now. What it has begun and cannot be given up goes on.
    pub async fn cancel(&self, attempt: AttemptId) -> Inquiry {
        if self.attempts.begin(attempt) {
            self.attempts.end(attempt, Outcome::Refused { why: "cancelled before it arrived".into() });
        }
        if let Some((lease, _)) = &self.database {
            lease.tell(Event::Cancel { attempt });
        }
        self.attempts.wait(attempt, GRACE).await;
        self.attempts.ask(attempt)
    }

    fn admit(&self, attempt: &Attempt, action: &Action) -> Result<(), String> {
        let known = self.generation.fetch_max(attempt.generation, Ordering::SeqCst);
        if attempt.generation < known {
            return Err(format!("the order is of controller start {}, {known} is known", attempt.generation));
        }
        let highest = self.voter.report().highest;
        let data =
            matches!(action.verb, Verb::Follow { .. } | Verb::Initialise | Verb::Restore { .. } | Verb::PutBack { .. });
        if data && highest > attempt.epoch {
            return Err(format!("the order was given in epoch {}, {highest} is known", attempt.epoch));
        }
        Ok(())
    }

    /// `None`: the lease's thread tells the end.
    async fn carry_out(&self, attempt: Attempt, action: Action) -> Option<Outcome> {
        match action.verb {
            Verb::Fence { clean } => match &self.database {
                Some((lease, _)) => {
                    lease.tell(Event::Fence { attempt, clean });
                    None
                }
                None => Some(no_such(&action.component)),
            },
            Verb::Promote { mut receipts, at_least, accept_loss } => match &self.database {
                Some((lease, shell)) => {
                    // This site's own voter would believe them.
                    receipts.retain(|receipt| self.verifier.verify(receipt));
                    let received = shell.received().await;
                    lease.tell(Event::Promote { attempt, receipts, at_least, accept_loss, received });
                    None
                }
                None => Some(no_such(&action.component)),
            },
            Verb::Initialise => Some(match &self.database {
                Some((_, shell)) => shell.initialise().await,
                None => no_such(&action.component),
            }),
            Verb::Follow { upstream } => Some(match &self.database {
                Some((_, shell)) => shell.follow(&upstream).await,
                None => no_such(&action.component),
            }),
            Verb::Archive | Verb::Restore { .. } | Verb::PutBack { .. } => Some(match &self.backups {
                Some(backups) => backups.carry_out(&action.verb, attempt.deadline).await,
                None => Outcome::Refused { why: "no backups are declared for this site".into() },
            }),
            Verb::Scale { instances } => Some(match self.fleets.get(&action.component) {
                Some(fleet) => {
                    self.remember_scale(&action.component, instances);
                    let scaled = fleet.scale(instances, attempt.deadline).await;
                    ended(scaled, |()| Evidence::note(format!("{instances} instances")))
                }
                None => no_such(&action.component),
            }),
            Verb::Exercise { write } => Some(match self.fleets.get(&action.component) {
                Some(fleet) => {
                    ended(fleet.exercise(write, attempt.deadline).await, |said| Evidence::note(said.clone()))
                }
                None => no_such(&action.component),
            }),
            Verb::Route { zone } => Some(match self.zones.get(&action.component) {
                Some(dns) => ended(dns.route(zone).await, |()| Evidence::note("serves the new zone")),
                None => no_such(&action.component),
            }),
            Verb::Suspect { on } => Some(match self.zones.get(&action.component) {
                Some(dns) => ended(dns.suspect(on).await, |()| Evidence::default()),
                None => no_such(&action.component),
            }),
        }
    }

    /// As many instances as before this agent restarted.
    pub fn scale_again(&self, within: Duration) -> Result<(), StoreError> {
        let disk = self.scales.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let scales: BTreeMap<ComponentId, u32> = store::load(&disk, SCALES)?.unwrap_or_default();
        for (id, instances) in scales {
            if let Some(fleet) = self.fleets.get(&id).cloned() {
                tokio::spawn(async move { fleet.scale(instances, within).await });
            }
        }
        Ok(())
    }

    pub fn remember_scale(&self, fleet: &ComponentId, instances: u32) {
        let disk = self.scales.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut scales: BTreeMap<ComponentId, u32> = store::load(&disk, SCALES).ok().flatten().unwrap_or_default();
        scales.insert(fleet.clone(), instances);
        if let Err(error) = store::save(&disk, SCALES, &scales) {
            tracing::warn!(%error, "a restarted agent will not know how many instances to run");
        }
    }
}

/// Under which the wanted instances are kept.
const SCALES: &str = "scales";

fn no_such(component: &ComponentId) -> Outcome {
    Outcome::Failed(ActError::Permanent(format!("this site has no {component}")))
}
