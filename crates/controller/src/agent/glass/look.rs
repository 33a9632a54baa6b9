//! What is seen when somebody asks: who answers, and what data is here.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::glass::Scene;
use model::time::human;
use model::{LeaseRequest, PeerProbe, SiteId};

use super::GlassDesk;
use crate::agent::report::database_state;
use crate::rpc::{AgentClient, CallError};

impl GlassDesk {
    pub(super) async fn look(&self) -> Scene {
        let parts = &self.parts;
        let (answered, silent) = self.call_everybody().await;
        let seen = parts.shell.look().await;
        let last_commit = parts.shell.last_commit().await;
        let voter = parts.orders.voter.report();
        Scene {
            site: parts.site.clone(),
            database: database_state(&parts.lease.view(), Some(&seen), true),
            last_commit,
            answered,
            silent,
            known: voter.highest,
            promised: voter.promise_remaining.max(voter.quiet_remaining),
            lacks: voter.lacks,
        }
    }

    /// Every other site's voter, now. One call that fails proves nothing, so the probes' last answer counts as well.
    async fn call_everybody(&self) -> (BTreeMap<SiteId, String>, BTreeMap<SiteId, String>) {
        let timing = &self.parts.topology.timing;
        let calls = self.parts.others.iter().map(|(site, client)| {
            let (site, client, within) = (site.clone(), client.clone(), timing.renew_timeout);
            tokio::spawn(async move { (site, call(&client, within).await) })
        });
        let (mut answered, mut silent) = (BTreeMap::new(), BTreeMap::new());
        let calls: Vec<_> = calls.collect();
        let mut said = BTreeMap::new();
        for call in calls {
            said.extend(call.await);
        }
        let probes = self.parts.probes.report();
        for site in self.parts.others.keys() {
            let called = said.remove(site).unwrap_or_else(|| Err("the call was interrupted".into()));
            match (called, lately(probes.get(site), timing.unreachable_after)) {
                (Ok(says), _) => drop(answered.insert(site.clone(), says)),
                (Err(why), Some(age)) => {
                    drop(answered.insert(site.clone(), format!("it answered {} ago ({why})", human(age))));
                }
                (Err(why), None) => {
                    let last = match probes.get(site).and_then(|probe| probe.answered) {
                        Some(age) => format!("last heard {} ago", human(age)),
                        None => "never heard since this agent started".into(),
                    };
                    silent.insert(site.clone(), format!("{why}; {last}"));
                }
            }
        }
        (answered, silent)
    }
}

fn lately(probe: Option<&PeerProbe>, within: Duration) -> Option<Duration> {
    probe.and_then(|probe| probe.answered).filter(|age| *age < within)
}

/// What its voter knows; `Err` when nobody is there. Whatever comes back over a proven connection is an answer.
async fn call(client: &AgentClient, within: Duration) -> Result<String, String> {
    match client.lease(&LeaseRequest::Recall, within).await {
        Ok(reply) => Ok(format!("its voter knows epoch {}", reply.highest)),
        Err(error @ (CallError::Refused { .. } | CallError::Unreadable { .. })) => Ok(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
