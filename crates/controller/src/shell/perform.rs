//! Doing what the engine decided: every effect is a task, and every end of one an event.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::{Effect, Event};
use model::{ActError, Action, Attempt, AttemptId, Outcome, SiteId, Topology};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::handle::Input;
use super::poll::Poll;
use crate::identity::{Identity, IdentityError};
use crate::rpc::{AgentClient, CallError};

pub(super) struct Performer {
    sites: BTreeMap<SiteId, Site>,
    every: Duration,
    /// How long an answer may travel, beside what the agent may take to find it.
    answer_within: Duration,
    inputs: mpsc::Sender<Input>,
    tasks: JoinSet<()>,
}

struct Site {
    client: AgentClient,
    /// Polls have connections of their own: a poll must not wait behind a long order, nor a reset hit one.
    poll: AgentClient,
    poll_now: Arc<Notify>,
}

impl Performer {
    pub fn new(
        identity: &Identity,
        topology: &Topology,
        agents: &BTreeMap<SiteId, SocketAddr>,
        inputs: mpsc::Sender<Input>,
    ) -> Result<Self, IdentityError> {
        let answer_within = topology.timing.probe_timeout;
        let client = |site: &SiteId, at: SocketAddr| AgentClient::new(identity, site.clone(), at, answer_within);
        let mut sites = BTreeMap::new();
        for (site, address) in agents {
            let (client, poll) = (client(site, *address)?, client(site, *address)?);
            sites.insert(site.clone(), Site { client, poll, poll_now: Arc::default() });
        }
        let every = topology.timing.probe_every;
        Ok(Self { sites, every, answer_within, inputs, tasks: JoinSet::new() })
    }

    pub fn start_polls(&self, tasks: &mut JoinSet<()>) {
        for (id, site) in &self.sites {
            let poll = Poll {
                site: id.clone(),
                client: site.poll.clone(),
                every: self.every,
                within: self.answer_within,
                now: site.poll_now.clone(),
                inputs: self.inputs.clone(),
            };
            tasks.spawn(poll.run());
        }
    }

    /// Starts every effect; waits for none.
    pub fn perform(&mut self, effects: Vec<Effect>) {
        while self.tasks.try_join_next().is_some() {}
        for effect in effects {
            self.start(effect);
        }
    }

    fn start(&mut self, effect: Effect) {
        match effect {
            Effect::Act { attempt, action } => self.act(attempt, action),
            Effect::Inquire { attempt, site } => self.inquire(attempt, &site),
            Effect::Cancel { attempt, site } => self.cancel(attempt, &site),
            Effect::Observe { site } => {
                if let Some(site) = self.sites.get(&site) {
                    site.poll_now.notify_one();
                }
            }
            Effect::Notify { text } => warn!(target: "antipode::notify", "{text}"),
        }
    }

    fn client(&self, site: &SiteId) -> Option<AgentClient> {
        self.sites.get(site).map(|site| site.client.clone())
    }

    fn act(&mut self, attempt: Attempt, action: Action) {
        let (id, inputs) = (attempt.id, self.inputs.clone());
        let client = self.client(&action.site);
        let within = attempt.deadline + self.answer_within;
        self.tasks.spawn(async move {
            let outcome = match client {
                Some(client) => client.act(attempt, action, within).await.unwrap_or_else(outcome_of),
                None => unknown_site(&action.site),
            };
            let _ = inputs.send(Input::Event(Event::Ended { attempt: id, outcome })).await;
        });
    }

    fn inquire(&mut self, attempt: AttemptId, site: &SiteId) {
        let Some(client) = self.client(site) else { return };
        let (inputs, within) = (self.inputs.clone(), self.answer_within);
        self.tasks.spawn(async move {
            match client.inquire(attempt, within).await {
                Ok(answer) => {
                    let answer = answer.into();
                    let _ = inputs.send(Input::Event(Event::Inquired { attempt, answer })).await;
                }
                Err(error) => debug!(%attempt, %error, "no answer to an inquiry; the engine asks again"),
            }
        });
    }

    /// The end of a cancelled attempt is told where its order waits, or to a later inquiry.
    fn cancel(&mut self, attempt: AttemptId, site: &SiteId) {
        let Some(client) = self.client(site) else { return };
        let within = self.answer_within;
        self.tasks.spawn(async move {
            if let Err(error) = client.cancel(attempt, within).await {
                debug!(%attempt, %error, "cannot cancel");
            }
        });
    }
}

/// How an order ended that has no answer.
fn outcome_of(error: CallError) -> Outcome {
    let may_have_happened = error.may_have_happened();
    match error {
        CallError::Refused { problem, .. } if !may_have_happened => Outcome::Refused { why: problem.why },
        error if may_have_happened => Outcome::Failed(ActError::Unknown(error.to_string())),
        error => Outcome::Failed(ActError::Transient(error.to_string())),
    }
}

fn unknown_site(site: &SiteId) -> Outcome {
    Outcome::Failed(ActError::Permanent(format!("the controller has no address for the agent of {site}")))
}
