//! What a game day is made of: steps that every disaster shares, with their limits.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use controller::api::ApiClient;
use engine::runbook::run::End;
use engine::{Record, Request};
use model::{RunId, SiteId};

use super::story::{AtTheEnd, Story};
use super::watcher::Watcher;
use super::wound::Wound;
use super::{Course, Drill, plans};
use crate::clients::{ClientKind, ClientPlan, UnderWay};
use crate::ledger::{self, Audit, Ledger};
use crate::report::Check;
use crate::world::{self, World, WorldError, wait_for};

/// Longest that a failover or failback may take before the drill gives up on it.
pub const RECOVER_WITHIN: Duration = Duration::from_secs(60);
/// Acknowledged writes of every client before anything is broken.
const WARM_UP_WRITES: u64 = 60;
/// How long the workload is watched after each recovery.
const SETTLE: Duration = Duration::from_secs(2);

/// A running world under load, and the story so far.
pub(crate) struct Stage<'a> {
    pub drill: Drill,
    pub world: &'a World,
    /// Where the writer is at the beginning, and shall be at the end.
    pub home: SiteId,
    /// The region that takes over.
    pub away: SiteId,
    pub ledger: &'a Ledger,
    /// The drill's own folder, where the ledger is.
    pub out: &'a Path,
    pub under_way: UnderWay,
    pub api: &'a ApiClient,
    pub watcher: &'a Arc<Watcher>,
    pub story: &'a mut Story,
    pub say: &'a (dyn Fn(&str) + Sync),
}

impl Stage<'_> {
    pub fn say(&self, line: &str) {
        (self.say)(line);
    }

    /// Something that this drill alone has to show; it fails the drill when it does not hold.
    pub fn check(&mut self, name: &str, passed: bool, why: impl Into<String>) {
        self.story.own_checks.push(Check { name: name.into(), passed, why: why.into() });
    }

    /// Every client has had writes acknowledged, so that nothing is broken before it works.
    pub async fn warm_up(&mut self, clients: &[ClientPlan]) -> Result<(), WorldError> {
        let progress = self.ledger.progress();
        let enough = WARM_UP_WRITES * clients.len() as u64;
        wait_for("acknowledged writes of every client", RECOVER_WITHIN, async || {
            let progress = progress.borrow();
            progress.total.acknowledged >= enough
                && progress.by_kind.values().all(|counts| counts.acknowledged > WARM_UP_WRITES / 2)
        })
        .await?;
        self.story.old_epoch = self.epoch().await?;
        Ok(())
    }

    /// Waits for an instant at which some write is on its way: a fault between two writes would prove little. Returns
    /// the last line of the journal before the fault.
    pub async fn brace(&mut self) -> Result<u64, WorldError> {
        self.say(&format!("breaking: {}", self.drill.what()));
        let before = self.watcher.last_seq();
        self.watcher.mark_calm(false);
        let until = std::time::Instant::now() + RECOVER_WITHIN;
        while self.under_way.now() == 0 {
            if std::time::Instant::now() > until {
                return Err(WorldError::Late { what: "a write under way".into(), within: RECOVER_WITHIN });
            }
            tokio::task::yield_now().await;
        }
        Ok(before)
    }

    /// The fault is in force; times count from its first effect.
    pub fn struck(&mut self, wound: &Wound) {
        self.story.fault_at.get_or_insert(wound.at);
    }

    /// The first run that started after line `before` of the journal.
    pub async fn run_after(&self, before: u64) -> Result<RunId, WorldError> {
        self.watcher.wait_for_run(before, RECOVER_WITHIN).await
    }

    /// Errors: it ended in another way than success, or not in time.
    pub async fn succeeds(&self, run: RunId) -> Result<(), WorldError> {
        match self.watcher.wait_for_end(run, RECOVER_WITHIN).await? {
            End::Succeeded => Ok(()),
            end => Err(WorldError::Refused(format!("{run} ended: {end}"))),
        }
    }

    /// The run recovers the workload in the other region: clients are served there, and what was lost is known.
    pub async fn recovered_by(&mut self, run: RunId, wound: &Wound) -> Result<(), WorldError> {
        self.story.failover = Some(run);
        self.succeeds(run).await?;
        let took = model::time::human(ledger::now().since(self.story.fault_at.unwrap_or(wound.at)));
        self.say(&format!("{run} succeeded, {took} after the fault"));
        self.served_by(&self.away).await?;
        self.stretching_follows().await?;
        self.measure_here(wound).await;
        Ok(())
    }

    /// Ends the measuring of the recovery: what was lost up to here, and what the fault hit.
    pub async fn measure_here(&mut self, wound: &Wound) {
        self.settle().await;
        self.story.until = Some(ledger::now());
        let when = if self.drill.course() == Course::Stay { "after the fault" } else { "after failover" };
        self.story.after_failover = self.audit(when).await;
        self.story.hit = Some(wound.hit());
    }

    pub async fn settle(&self) {
        tokio::time::sleep(SETTLE).await;
    }

    /// Clients are served by `region`; how long that took, the ledger knows.
    pub async fn served_by(&self, region: &SiteId) -> Result<(), WorldError> {
        let progress = self.ledger.progress();
        let count = || progress.borrow().acknowledged_by_site.get(region.as_str()).copied().unwrap_or(0);
        wait_for(&format!("clients served by {region}"), RECOVER_WITHIN, async || count() > 0).await
    }

    /// The client that stretches TTLs follows at last; one that is pinned may never.
    pub async fn stretching_follows(&self) -> Result<(), WorldError> {
        let progress = self.ledger.progress();
        let count =
            || progress.borrow().by_kind.get(&ClientKind::TtlStretching).map_or(0, |counts| counts.acknowledged);
        let before = count();
        let within = RECOVER_WITHIN + plans::STRETCH;
        wait_for("the stretching client's next acknowledged writes", within, async || count() > before + 5).await
    }

    pub async fn heal(&mut self, wound: &mut Wound) -> Result<(), WorldError> {
        wound.heal(self.world).await?;
        self.story.healed_at = Some(ledger::now());
        Ok(())
    }

    /// The region in which the writer was has stopped it by itself, and says so in its report; `Ok` and `Err` say what
    /// was seen.
    pub async fn fences_itself(&self) -> Result<String, String> {
        let mut last = "no report".to_owned();
        let fenced = wait_for("a fenced region", RECOVER_WITHIN, async || {
            let status = self.api.status().await.ok();
            let home = status.iter().flat_map(|status| &status.sites).find(|seen| seen.site == self.home);
            let fresh = home.filter(|seen| seen.verdict == engine::watch::Verdict::Up);
            last = fresh.and_then(|seen| seen.database.clone()).unwrap_or_else(|| "no fresh report".to_owned());
            last.starts_with("fenced")
        });
        fenced.await.map(|()| format!("{} says: {last}", self.home)).map_err(|_| format!("{} says: {last}", self.home))
    }

    /// For a fault that the region is to deal with: whether nobody moved the writer since line `before` of the
    /// journal, and it writes in the epoch in which it wrote at the fault.
    pub async fn nothing_moved(&mut self, before: u64) -> Result<(), WorldError> {
        let (epoch, old) = (self.epoch().await?, self.story.old_epoch);
        let started = |record: &Record| matches!(record, Record::RunStarted { .. });
        let runs = self.watcher.lines().iter().filter(|(line, record)| line.seq > before && started(record)).count();
        let why = format!("{runs} runs were started; the epoch was {old} and is {epoch}");
        self.check("nobody failed over", runs == 0 && epoch == old, why);
        Ok(())
    }

    /// Fails back, to the first topology.
    pub async fn return_home(&mut self) -> Result<(), WorldError> {
        self.say(&format!("{} is back; failing back to it", self.home));
        let failback = self.ask_for_failback().await?;
        self.story.failback = Some(failback);
        self.succeeds(failback).await?;
        self.say(&format!("{failback} succeeded"));
        self.find_home().await;
        self.settle().await;
        Ok(())
    }

    /// Looks whether the first topology is there (again).
    pub async fn find_home(&mut self) {
        self.story.back_home = Some(back_home(self.api, &self.home).await);
    }

    /// Asks for the failback, again while it is refused because the region has not reported long enough, and approves
    /// it with as many people as the spec wants.
    pub async fn ask_for_failback(&self) -> Result<RunId, WorldError> {
        self.up(&self.home).await?;
        let before = self.watcher.last_seq();
        let mut refusal = String::new();
        let asked = wait_for("a failback that is not refused", RECOVER_WITHIN, async || {
            match self.api.request(&Request::Failback).await {
                Ok(_) => true,
                Err(error) => {
                    refusal = error.to_string();
                    false
                }
            }
        });
        if asked.await.is_err() {
            return Err(WorldError::Refused(format!("the failback was refused: {refusal}")));
        }
        let run = self.run_after(before).await?;
        let approvals = &self.world.topology.approvals;
        for person in approvals.approvers.iter().take(approvals.failback as usize) {
            // The one who asked has agreed already; that is refused, and changes nothing.
            let _ = self.world.operator(person)?.approve(run, false).await;
        }
        Ok(run)
    }

    /// The site reports, and no run is active.
    pub async fn up(&self, site: &SiteId) -> Result<(), WorldError> {
        wait_for(&format!("reports of {site}"), RECOVER_WITHIN, async || {
            self.api.status().await.is_ok_and(|s| {
                let up = |seen: &engine::status::SiteStatus| {
                    seen.site == *site && seen.verdict == engine::watch::Verdict::Up
                };
                s.run.is_none() && s.sites.iter().any(up)
            })
        })
        .await
    }

    pub async fn epoch(&self) -> Result<u64, WorldError> {
        let status = self.api.status().await.map_err(|error| WorldError::Refused(error.to_string()))?;
        Ok(status.writer.map_or(0, |writer| writer.epoch.number))
    }

    /// What the clients' histories are checked against.
    pub async fn look_at_the_end(&self) -> Option<AtTheEnd> {
        let found = async {
            let status = self.api.status().await.map_err(|error| error.to_string())?;
            let writer = status.writer.ok_or("nobody writes")?;
            let database = plans::database(self.world, &writer.site);
            let rows = ledger::fetch(&database, RECOVER_WITHIN).await.map_err(|e| e.to_string())?;
            let cases = ledger::fetch_cases(&database, RECOVER_WITHIN).await.map_err(|e| e.to_string())?;
            Ok::<_, String>(AtTheEnd { rows, cases })
        };
        found.await.inspect_err(|why| self.say(&format!("the cases at the end could not be read: {why}"))).ok()
    }

    /// Compares the ledger with the database of whoever writes now.
    pub async fn audit(&self, when: &str) -> Option<Audit> {
        let found = async {
            let history = ledger::read(&self.out.join("ledger.jsonl")).map_err(|error| error.to_string())?;
            let status = self.api.status().await.map_err(|error| error.to_string())?;
            let writer = status.writer.ok_or("nobody writes")?;
            let database = plans::database(self.world, &writer.site);
            let rows = ledger::fetch(&database, RECOVER_WITHIN).await.map_err(|e| e.to_string())?;
            Ok::<_, String>(ledger::audit(&history, &rows))
        };
        match found.await {
            Ok(audit) => {
                self.say(&format!("{when}: {} acknowledged, {} of them lost", audit.acknowledged, audit.lost.len()));
                Some(audit)
            }
            Err(why) => {
                self.say(&format!("{when}: the audit failed: {why}"));
                None
            }
        }
    }
}

/// The first topology: the writer at home, its standby streaming, traffic there.
async fn back_home(api: &ApiClient, home: &SiteId) -> Result<(), String> {
    let mut last = String::from("no status");
    let so = wait_for("the first topology", RECOVER_WITHIN, async || match api.status().await {
        Err(error) => {
            last = error.to_string();
            false
        }
        Ok(status) => {
            let writer = status.writer.as_ref().is_some_and(|writer| writer.site == *home && writer.confirmed);
            let routed = status.routing.as_ref().is_some_and(|routing| {
                routing.behind.is_empty() && routing.to.iter().all(|to| to.contains(home.as_str()))
            });
            last = format!("writer at home: {writer}; traffic at home: {routed}; serves: {}", world::serves(&status));
            writer && routed && world::serves(&status)
        }
    });
    so.await.map_err(|_| last)
}
