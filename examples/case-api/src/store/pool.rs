//! A few connections to the writer, replaced as soon as they fail.
//!
//! A session goes back to the pool only when told to ([`Session::give_back`]); one that is dropped on any other
//! path closes its connection, so that no transaction is ever continued by another request. A commit that waits
//! keeps its session, hence at most `pool_size` server processes can ever wait for a standby.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    #[error("every database connection is busy")]
    Busy,
    #[error("connecting to the database took longer than {0:?}")]
    ConnectTimeout(Duration),
    #[error("cannot connect to the database: {0}")]
    Connect(#[source] tokio_postgres::Error),
}

pub struct Pool {
    config: Config,
    connect_timeout: Duration,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Link>>,
}

struct Link {
    client: Client,
    warnings: Arc<AtomicU64>,
}

/// One connection in use by one request.
pub struct Session {
    pool: Arc<Pool>,
    link: Link,
    /// Was used before: the server may have closed it without our knowing yet.
    pub reused: bool,
    _slot: OwnedSemaphorePermit,
}

impl Pool {
    pub fn new(config: Config, connect_timeout: Duration, size: u16) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(size.into()));
        Arc::new(Self { config, connect_timeout, slots, idle: Mutex::default() })
    }

    /// A session by `deadline`: an idle connection, else a new one.
    pub async fn get(self: &Arc<Self>, deadline: Instant) -> Result<Session, PoolError> {
        let slot = timeout_at(deadline, self.slots.clone().acquire_owned()).await;
        let Ok(Ok(slot)) = slot else { return Err(PoolError::Busy) };
        let (link, reused) = match self.take_idle() {
            Some(link) => (link, true),
            None => (self.connect(deadline).await?, false),
        };
        Ok(Session { pool: self.clone(), link, reused, _slot: slot })
    }

    fn take_idle(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|link| !link.client.is_closed());
        idle.pop()
    }

    async fn connect(&self, deadline: Instant) -> Result<Link, PoolError> {
        // The whole start-up is bounded, not the TCP handshake alone: a frozen gate's kernel still accepts.
        let limit = self.connect_timeout.min(deadline.saturating_duration_since(Instant::now()));
        let connected = timeout(limit, self.config.connect(NoTls)).await;
        let (client, mut connection) = match connected {
            Err(_) => return Err(PoolError::ConnectTimeout(limit)),
            Ok(result) => result.map_err(PoolError::Connect)?,
        };
        let warnings = Arc::new(AtomicU64::new(0));
        let counter = warnings.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                let AsyncMessage::Notice(notice) = message else { continue };
                tracing::warn!(code = notice.code().code(), "database says: {}", notice.message());
                if notice.parsed_severity() == Some(Severity::Warning) {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Ok(Link { client, warnings })
    }
}

impl Session {
    pub fn client(&self) -> &Client {
        &self.link.client
    }

    /// Warnings that the server has sent on this connection. A warning that precedes an answer is counted before
    /// the answer is delivered: one task reads both, in order.
    pub fn warnings(&self) -> u64 {
        self.link.warnings.load(Ordering::SeqCst)
    }

    /// Makes the connection available again. Only for a session with no transaction open.
    pub fn give_back(self) {
        if !self.link.client.is_closed() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.link);
        }
    }
}
