//! The first start of a workload, and following runs.

use std::time::Duration;

use controller::api::ApiClient;
use controller::journal::Line;
use engine::runbook::run::End;
use engine::{Record, Request, Status};
use model::{Person, RunId};

use super::{World, WorldError, wait_for};

/// Longest that a whole first start may take on a slow machine; each step has its own deadline besides.
const ESTABLISH_WITHIN: Duration = Duration::from_secs(180);
/// Longest that one question waits for news.
const LISTEN: Duration = Duration::from_secs(5);

/// Brings a new workload into being, or waits until one that was up before serves again.
pub async fn establish(world: &World, say: impl Fn(&str)) -> Result<(), WorldError> {
    let api = world.operator(&world.somebody()?)?;
    world.wait_until_reported(&api).await?;
    let status = api.status().await.map_err(|error| WorldError::Refused(error.to_string()))?;
    let first = status.writer.is_none();
    if first {
        let granted = api.request(&Request::Establish).await.map_err(|error| WorldError::Refused(error.to_string()))?;
        let run = granted.run.ok_or_else(|| WorldError::Refused("no run was started".into()))?;
        follow(&api, granted.seq.saturating_sub(granted.said.len() as u64) + 1, run, &say).await?;
    }
    // After a failover the other region stays fenced until a failback: whoever starts the workload again must be able to
    // ask for that.
    let (what, enough): (_, fn(&Status) -> bool) =
        if first { ("the writer, its standby and the fleets", serves) } else { ("the writer and its fleets", writes) };
    say(&format!("waiting for {what}"));
    wait_for("a workload that serves in its region", ESTABLISH_WITHIN, async || {
        api.status().await.is_ok_and(|status| enough(&status))
    })
    .await
}

/// A confirmed writer with a standby, and ready instances beside it.
pub fn serves(status: &Status) -> bool {
    let writer = status.writer.as_ref().map(|writer| &writer.site);
    writes(status) && status.sites.iter().any(|site| site.upstream.is_some() && site.upstream.as_ref() == writer)
}

/// A confirmed writer, and ready instances beside it.
fn writes(status: &Status) -> bool {
    let Some(writer) = status.writer.as_ref().filter(|writer| writer.confirmed) else { return false };
    let home = status.sites.iter().find(|site| site.site == writer.site);
    home.is_some_and(|home| home.fleets.values().all(|fleet| fleet.ready > 0 && fleet.ready >= fleet.wanted))
}

/// Tells every record of `run` until it ends; a run that does not succeed is an error.
pub async fn follow(api: &ApiClient, from: u64, run: RunId, say: &impl Fn(&str)) -> Result<(), WorldError> {
    let mut next = from;
    loop {
        // A controller that is being restarted answers again soon.
        let Ok(lines) = api.events(next, LISTEN).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        for line in &lines {
            next = line.seq + 1;
            let Some(record) = record(line) else { continue };
            say(&record.text());
            if let Record::RunEnded { run: ended, end, summary, .. } = &record
                && *ended == run
            {
                let succeeded = *end == End::Succeeded;
                return if succeeded {
                    Ok(())
                } else {
                    Err(WorldError::Refused(format!("{run} ended: {end}: {summary}")))
                };
            }
        }
    }
}

pub fn record(line: &Line) -> Option<Record> {
    serde_json::from_value(line.record.clone()).ok()
}

impl World {
    /// One of the approvers, to act as.
    pub fn somebody(&self) -> Result<Person, WorldError> {
        let first = self.topology.approvals.approvers.first().cloned();
        first.ok_or_else(|| WorldError::Refused("the spec names no approver to act as".into()))
    }
}
