//! How an order of the lease to its database is carried out with a driver, and the event that tells its end.

use std::time::Duration;

use drivers::Act;
use drivers::postgres::{Database, ServerState};
use engine::writer::Event;
use model::{Epoch, SiteId};

/// Between two tries to kill what would not die.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes the server writable in `epoch`. Commits wait for `standby` from the first moment on: a server that is told later may
/// heed it later still.
pub async fn open(driver: &dyn Database, epoch: &Epoch, standby: Option<SiteId>) -> Event {
    let waits_for: Vec<SiteId> = standby.into_iter().collect();
    let opened = match driver.observe().await.server {
        ServerState::Standby { .. } => driver.promote(epoch, &waits_for).await,
        ServerState::Stopped | ServerState::Writing { .. } => driver.start_writer(epoch, &waits_for).await,
        other => Ok(Act::Refused(format!("the server is {other:?}"))),
    };
    match opened {
        Ok(Act::Done(wrote) | Act::AlreadyDone(wrote)) => Event::Opened { phases: wrote.phases, end: wrote.lsn },
        Ok(Act::Refused(why)) => Event::OpenFailed { why },
        Err(error) => Event::OpenFailed { why: error.to_string() },
    }
}

/// After a crash: what is left of the server goes first.
pub async fn restart(driver: &dyn Database, epoch: &Epoch, standby: Option<SiteId>) -> Event {
    match driver.kill_all().await {
        Err(error) => Event::OpenFailed { why: error.to_string() },
        Ok(_) => open(driver, epoch, standby).await,
    }
}

/// Until no process is left. `Gone` is only ever said with that proven, its end only after a clean stop.
pub async fn stop(driver: &dyn Database, clean: bool) -> Event {
    if clean {
        match driver.stop().await {
            Ok(Act::Done(stopped) | Act::AlreadyDone(stopped)) => return Event::Gone { end: Some(stopped.end) },
            other => tracing::warn!(?other, "the clean stop failed; killing"),
        }
    }
    loop {
        match driver.kill_all().await {
            Ok(_) => return Event::Gone { end: None },
            Err(error) => tracing::error!(%error, "processes of the database survive; killing again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
