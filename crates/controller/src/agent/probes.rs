//! What this vantage point sees of the other sites: shallow (does the agent answer?) and deep (is the region ready?).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::observe::Readiness;
use model::{PeerProbe, SiteId, Time};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::rpc::AgentClient;

/// Tries to one site. Answers may overtake one another, so each is judged by when it was sent.
#[derive(Clone, Default, Debug)]
struct Tries {
    last_good: Option<(Time, Time, Duration)>,
    /// When the failed tries after the last good one were sent.
    failed: Vec<Time>,
    last_failure_seen: Time,
    ready: Readiness,
    ready_round_trip: Option<Duration>,
}

impl Tries {
    fn good(&mut self, sent: Time, now: Time) {
        if self.last_good.is_none_or(|(last, ..)| last < sent) {
            self.last_good = Some((sent, now, now.since(sent)));
        }
        self.failed.retain(|failed| *failed > sent);
    }
    fn bad(&mut self, sent: Time, now: Time) {
        if self.last_good.is_none_or(|(last, ..)| last < sent) {
            self.failed.push(sent);
            self.last_failure_seen = self.last_failure_seen.max(now);
        }
    }
    fn report(&self, now: Time) -> PeerProbe {
        let first_failed = self.failed.iter().min().copied();
        PeerProbe {
            answered: self.last_good.map(|(_, at, _)| now.since(at)),
            round_trip: self.last_good.map(|(.., took)| took),
            // Only up to the last try that is known to have failed: what was not tried is not known.
            failing_for: first_failed.map_or(Duration::ZERO, |first| self.last_failure_seen.since(first)),
            failures: self.failed.len() as u32,
            ready: self.ready.clone(),
            ready_round_trip: self.ready_round_trip,
        }
    }
}

#[derive(Default)]
pub struct Probes {
    sites: Mutex<BTreeMap<SiteId, Tries>>,
}

pub struct Target {
    pub site: SiteId,
    pub agent: AgentClient,
    /// The regional load balancer and its deep check.
    pub front: Option<(SocketAddr, String)>,
}

impl Probes {
    pub fn report(&self) -> BTreeMap<SiteId, PeerProbe> {
        let now = clock::now();
        let sites = self.sites.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        sites.iter().map(|(site, tries)| (site.clone(), tries.report(now))).collect()
    }

    fn update(&self, site: &SiteId, change: impl FnOnce(&mut Tries)) {
        let mut sites = self.sites.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        change(sites.entry(site.clone()).or_default());
    }

    /// Tries `target` every `every`, each try on its own, until stopped.
    pub async fn run(self: Arc<Self>, target: Target, every: Duration, timeout: Duration, stop: CancellationToken) {
        let target = Arc::new(target);
        let mut beat = tokio::time::interval(every);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let http = reqwest::Client::builder().no_proxy().timeout(timeout).build().unwrap_or_default();
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = stop.cancelled() => return,
            }
            let (probes, target, http) = (self.clone(), target.clone(), http.clone());
            tokio::spawn(async move {
                tokio::join!(probes.shallow(&target, timeout), probes.deep(&target, &http));
            });
        }
    }

    async fn shallow(&self, target: &Target, timeout: Duration) {
        let sent = clock::now();
        let answered = target.agent.ping(timeout).await.is_ok();
        let now = clock::now();
        self.update(&target.site, |tries| if answered { tries.good(sent, now) } else { tries.bad(sent, now) });
    }

    async fn deep(&self, target: &Target, http: &reqwest::Client) {
        let Some((front, path)) = &target.front else { return };
        let sent = clock::now();
        let ready = match http.get(format!("http://{front}{path}")).send().await {
            Ok(answer) if answer.status().is_success() => Readiness::Ready,
            Ok(answer) => Readiness::NotReady { why: format!("HTTP {}", answer.status().as_u16()) },
            Err(error) if error.is_timeout() => Readiness::NotReady { why: "no answer in time".into() },
            Err(_) => Readiness::NotReady { why: "no connection".into() },
        };
        let took = clock::now().since(sent);
        self.update(&target.site, |tries| {
            tries.ready_round_trip = (ready == Readiness::Ready).then_some(took);
            tries.ready = ready;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(ms * 1000)
    }

    #[test]
    fn a_streak_of_failures_lasts_from_its_first_to_its_last_known_try() {
        let mut tries = Tries::default();
        tries.good(at(100), at(110));
        tries.bad(at(350), at(750));
        tries.bad(at(600), at(1_000));
        let probe = tries.report(at(9_000));
        assert_eq!(probe.failing_for, Duration::from_millis(650), "not until now: nothing was tried since");
        assert_eq!((probe.failures, probe.answered), (2, Some(Duration::from_millis(8_890))));
    }

    #[test]
    fn a_late_failure_does_not_undo_a_newer_answer() {
        let mut tries = Tries::default();
        tries.good(at(600), at(610));
        tries.bad(at(350), at(750));
        assert_eq!(tries.report(at(800)).failing_for, Duration::ZERO);
        tries.bad(at(850), at(1_250));
        tries.good(at(1_100), at(1_260));
        assert_eq!(tries.report(at(1_300)).failures, 0);
    }
}
