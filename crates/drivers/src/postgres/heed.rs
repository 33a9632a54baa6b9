//! Whether an order to wait for a standby is in effect for every session.
//!
//! A session asks shared memory whether there is anybody to wait for, and only the checkpointer writes that there. It
//! reads its configuration between checkpoints: while it makes one at full speed it is deaf, also for seconds, and commits
//! pass without the standby although `pg_stat_replication` already calls it synchronous. A checkpoint that was asked for
//! after the reload begins after the checkpointer has read it; so when that one is done the order is in effect.
//!
//! Rejected: a commit as a probe, which a quick standby confirms before anybody can see whether it waited.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::server::Server;
use super::session::Session;

/// What is known about the last order that gave commits somebody to wait for.
#[derive(Default)]
pub(super) struct Heed(Mutex<Arc<AtomicU8>>);

/// Nothing is in doubt: the server was started so, or nobody is to be waited for.
const HEEDED: u8 = 0;
const ASKED: u8 = 1;
const FAILED: u8 = 2;

impl Heed {
    fn now(&self) -> Arc<AtomicU8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    pub fn known(&self) -> bool {
        self.now().load(Ordering::SeqCst) == HEEDED
    }
    fn replace(&self, state: u8) -> Arc<AtomicU8> {
        let new = Arc::new(AtomicU8::new(state));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = new.clone();
        new
    }
    /// A server that is started reads its configuration before anything else.
    pub fn started(&self) {
        self.replace(HEEDED);
    }
    /// Somebody is to be waited for where nobody was.
    pub fn doubt(&self) {
        self.replace(FAILED);
    }
}

impl Server {
    /// Proves that the order is in effect, apart from all verbs: a checkpoint may take long.
    pub(super) fn prove_heeded(&self) {
        let state = self.heed.now();
        if state.compare_exchange(FAILED, ASKED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return;
        }
        let config = self.config.clone();
        tokio::spawn(async move {
            let within = config.limits.start;
            let proof = async {
                let session = Session::local(&config, "postgres", within).await?;
                session.run("a checkpoint after the order to wait", "checkpoint", within).await
            };
            let proof = proof.await;
            if let Err(error) = &proof {
                tracing::warn!(site = %config.site, %error, "whether commits wait for the standby is not known");
            }
            state.store(if proof.is_ok() { HEEDED } else { FAILED }, Ordering::SeqCst);
        });
    }
}
