//! Clients as an application's users have them: each resolves a name, calls the regional load balancer that it finds
//! there, and keeps connections in its own way. Open loop: a write is sent when its time has come, not when the one
//! before was answered, so that an outage is met by every write that falls into it.

mod attempt;
mod resolve;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use crate::ledger::entry::{ClientKind, ClientPlan, Habits, Place};
use crate::ledger::file::Log;
use crate::ledger::{Acknowledgement, WriteId, now};
use attempt::Try;
pub use resolve::{ResolveError, Resolver};
use writer::Writer;

pub use writer::UnderWay;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("client {name}: {why}")]
    Plan { name: String, why: String },
    #[error("client {name}: cannot prepare HTTP: {source}")]
    Http { name: String, source: reqwest::Error },
}

/// The running clients of one drill. Dropping them abandons what is outstanding.
pub struct Clients {
    stop: CancellationToken,
    running: JoinSet<()>,
    under_way: UnderWay,
}

impl Clients {
    /// Starts all clients, their sends spread evenly over the interval.
    ///
    /// Errors: a plan that cannot work. None is started then.
    pub fn start(plans: &[ClientPlan], log: &Log) -> Result<Self, ClientError> {
        let stop = CancellationToken::new();
        let under_way = UnderWay::default();
        let writers = plans.iter().map(|plan| Writer::new(plan.clone(), log.clone(), under_way.clone()));
        let writers = writers.collect::<Result<Vec<_>, _>>()?;
        let mut running = JoinSet::new();
        for (index, writer) in (0..).zip(writers) {
            let offset = writer.every() * index / u32::try_from(plans.len()).unwrap_or(1).max(1);
            running.spawn(writer.run(offset, stop.clone()));
        }
        Ok(Self { stop, running, under_way })
    }

    pub fn under_way(&self) -> UnderWay {
        self.under_way.clone()
    }

    /// Sends nothing new and waits for what is outstanding, at most `drain`. What has no end by then stays without one
    /// in the ledger, which counts as unknown.
    pub async fn stop(mut self, drain: Duration) {
        self.stop.cancel();
        let _ = timeout(drain, async { while self.running.join_next().await.is_some() {} }).await;
        self.running.shutdown().await;
    }
}

/// Sends each of these writes, which opened a case, once more, with the key that it had, from where `plan`'s client stands; several at a time.
/// The answer to each, or why there was none.
pub async fn replay(
    plan: &ClientPlan,
    ids: &[WriteId],
) -> Result<Vec<(WriteId, Result<Acknowledgement, String>)>, ClientError> {
    let bad = |why: String| ClientError::Plan { name: plan.name.clone(), why };
    let resolver = Resolver::new(plan).map_err(bad)?;
    let http = attempt::http(plan).map_err(|source| ClientError::Http { name: plan.name.clone(), source })?;
    let addresses = resolver.addresses().await.map_err(|error| bad(error.to_string()))?;
    let answered = addresses.first().copied().ok_or_else(|| bad("the name has no address".into()))?;
    let reached = plan.address_map.get(&answered).copied().unwrap_or(answered);
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut sent = JoinSet::new();
    for id in ids.iter().cloned() {
        let (http, host, slots, to) = (http.clone(), plan.host.clone(), slots.clone(), (reached, plan.port).into());
        sent.spawn(async move {
            let _slot = slots.acquire_owned().await;
            let to = Try { host: &host, address: to, number: 1, started: now() };
            let said = attempt::command(&http, to, &id, None).await;
            (id, said.map_err(|miss| miss.why))
        });
    }
    Ok(sent.join_all().await)
}

/// Commands of a replay that are under way together: as many as a fleet of the example serves without a queue.
const AT_ONCE: usize = 8;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
