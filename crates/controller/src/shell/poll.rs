//! Asking every agent how its site is, again and again. A site that does not answer holds up nobody else's poll.

use std::sync::Arc;
use std::time::Duration;

use engine::Event;
use model::SiteId;
use tokio::sync::{Notify, mpsc};

use super::handle::Input;
use crate::rpc::AgentClient;

/// Polls one agent.
pub(super) struct Poll {
    pub site: SiteId,
    pub client: AgentClient,
    pub every: Duration,
    /// Until when a poll counts as unanswered.
    pub within: Duration,
    /// Asks for a poll at once.
    pub now: Arc<Notify>,
    pub inputs: mpsc::Sender<Input>,
}

impl Poll {
    /// Polls until nobody listens any more.
    pub async fn run(self) {
        let mut next = tokio::time::interval(self.every);
        next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = next.tick() => {}
                () = self.now.notified() => {}
            }
            let event = self.once().await;
            if self.inputs.send(Input::Event(event)).await.is_err() {
                return;
            }
        }
    }

    async fn once(&self) -> Event {
        let site = self.site.clone();
        match self.client.report(self.within).await {
            Ok(report) if report.site == site => Event::Reported { report: report.into() },
            Ok(report) => Event::Unanswered { why: format!("its agent reports for {}", report.site), site },
            Err(error) => Event::Unanswered { site, why: error.to_string() },
        }
    }
}
