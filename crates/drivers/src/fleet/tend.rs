//! Keeps one slot as it is wanted: starts its instance, checks it, replaces it when it is dead, drains and stops it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::http::{self, Checker};
use super::process::Process;
use super::roster::{Finding, Roster};
use super::{FleetConfig, Orders};

pub(super) struct Tender {
    pub config: Arc<FleetConfig>,
    pub roster: Arc<Roster>,
    pub index: usize,
    pub orders: watch::Receiver<Orders>,
}

/// How the life of one process ended.
enum End {
    /// It was no longer wanted, and was stopped in order.
    Unwanted,
    Died,
}

impl Tender {
    /// Runs until the fleet is dropped.
    pub(super) async fn tend(mut self) {
        let mut deaths = 0;
        loop {
            if !self.told(true).await {
                return;
            }
            let started = Instant::now();
            match self.live(deaths > 0).await {
                End::Unwanted => deaths = 0,
                End::Died => {
                    let settled = started.elapsed() >= self.config.restart_most;
                    deaths = if settled { 1 } else { deaths + 1 };
                    self.pause(backoff(self.config.restart_backoff, self.config.restart_most, deaths)).await;
                }
            }
        }
    }

    /// Waits until this slot is wanted, or is not. False when the fleet is gone.
    async fn told(&mut self, wanted: bool) -> bool {
        let index = self.index;
        self.orders.wait_for(|orders| (index < orders.wanted as usize) == wanted).await.is_ok()
    }

    /// Nothing to wait for once the slot is no longer wanted.
    async fn pause(&mut self, delay: Duration) {
        if !delay.is_zero() {
            let _ = tokio::time::timeout(delay, self.told(false)).await;
        }
    }

    async fn live(&mut self, replaces: bool) -> End {
        let (config, roster, index) = (self.config.clone(), self.roster.clone(), self.index);
        let slot = &roster.slots[index];
        let mut process = match Process::start(&config, slot) {
            Ok(process) => process,
            Err(error) => {
                tracing::error!(instance = %slot.name, program = %config.program.display(), %error, "cannot start");
                return End::Died;
            }
        };
        roster.started(index, replaces);
        let checks = check_until_dead(&config, &roster, index, self.orders.clone());
        tokio::select! {
            status = process.wait() => {
                roster.stopped(index);
                tracing::warn!(instance = %slot.name, ?status, "an instance exited");
                End::Died
            }
            () = checks => {
                roster.given_up(index);
                tracing::warn!(instance = %slot.name, "an instance does not answer, and is killed");
                process.kill().await;
                roster.stopped(index);
                End::Died
            }
            _ = self.told(false) => {
                self.drain(process).await;
                End::Unwanted
            }
        }
    }

    /// No new request; those under way may end; then the process is asked to stop, and at last killed.
    async fn drain(&self, process: Process) {
        self.roster.draining(self.index);
        let idle = async {
            while self.roster.outstanding(self.index) > 0 {
                self.roster.slots[self.index].idle.notified().await;
            }
        };
        let _ = tokio::time::timeout(self.config.drain, idle).await;
        process.stop(self.config.stop_within).await;
        self.roster.stopped(self.index);
    }
}

/// Checks the instance over and over; returns when so many checks in a row failed that it counts as dead. One that
/// never lived yet is given the time to start.
async fn check_until_dead(config: &FleetConfig, roster: &Roster, index: usize, mut orders: watch::Receiver<Orders>) {
    let checker = http::checker(config.check_timeout);
    let address = roster.slots[index].address;
    let (started, mut lived, mut failures, mut slow) = (Instant::now(), false, 0, 0);
    loop {
        // An order to check now that comes while a check is under way is carried out after it.
        let asked = orders.borrow_and_update().checks;
        let finding = check(&checker, config, address, &mut slow).await;
        roster.checked(index, finding);
        if matches!(finding, Finding::Slow | Finding::Answered { alive: true, .. }) {
            (lived, failures) = (true, 0);
        } else if lived || started.elapsed() >= config.start_within {
            failures += 1;
            if failures >= config.dead_after {
                return;
            }
        }
        let hurry = orders.wait_for(|orders| orders.checks != asked);
        let _ = tokio::time::timeout(config.check_every, hurry).await;
    }
}

/// `slow` counts the checks in a row in which the process lived but readiness, which is deep, gave no answer in time.
async fn check(checker: &Checker, config: &FleetConfig, address: SocketAddr, slow: &mut u32) -> Finding {
    let get = |path| http::succeeds(checker, address, path, config.check_timeout);
    let (live, ready) = tokio::join!(get(&config.live), get(&config.ready));
    *slow = if live == Some(true) && ready.is_none() { *slow + 1 } else { 0 };
    match (live, ready) {
        (Some(false), _) => Finding::Answered { alive: false, ready: false },
        // One of two answers came: the process is there.
        (_, Some(ready)) => Finding::Answered { alive: true, ready },
        (Some(true), None) if *slow >= config.dead_after => Finding::Answered { alive: true, ready: false },
        (Some(true), None) => Finding::Slow,
        (None, None) => Finding::Silent,
    }
}

/// At once after the first death, then twice as long each time. `deaths` counts those in short order, from one.
fn backoff(first: Duration, most: Duration, deaths: u32) -> Duration {
    match deaths {
        0 | 1 => Duration::ZERO,
        _ => first.saturating_mul(2u32.saturating_pow(deaths - 2)).min(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_are_immediate_then_slower() {
        let wait = |deaths| backoff(Duration::from_millis(100), Duration::from_secs(5), deaths).as_millis();
        assert_eq!([1, 2, 3, 4, 8, 400].map(wait), [0, 100, 200, 400, 5_000, 5_000]);
    }
}
