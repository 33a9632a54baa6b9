//! Drills: break something for real, let the workload recover, go back to the first topology, and measure at the clients.
//!
//! A drill proves nothing when its fault hit nothing, when no client saw it, when no write was under way, or when
//! clean-up left something: each of these is a check that fails it.

mod checks;
mod fault;
mod plans;
mod result;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use controller::api::ApiClient;
use engine::Request;
use engine::runbook::run::End;
use model::{RunId, SiteId, Time, Topology};
use tokio_util::sync::CancellationToken;

pub use fault::{Drill, catalogue};

use crate::clients::{ClientKind, Clients, UnderWay};
use crate::evidence::{self, Kind, Opening};
use crate::ledger::{self, Audit, Header, Ledger};
use crate::report::DrillResult;
use crate::world::{self, World, WorldError, wait_for};
use watcher::Watcher;

/// What a drill is told.
pub struct Plan {
    pub drill: Drill,
    pub topology: Arc<Topology>,
    /// The spec's own text, for the evidence.
    pub spec: String,
    /// Where the spec stands.
    pub beside: PathBuf,
    /// A new folder for report, evidence and ledger.
    pub out: PathBuf,
    /// This program.
    pub program: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    #[error(transparent)]
    World(#[from] WorldError),
    #[error("cannot {doing} {}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
    #[error(transparent)]
    Clients(#[from] crate::clients::ClientError),
    #[error(transparent)]
    Evidence(#[from] evidence::WriteError),
    #[error("the report cannot be written")]
    Report(#[from] std::fmt::Error),
    #[error("interrupted; everything that was started has been stopped")]
    Interrupted,
}

/// Longest that a failover or failback may take before the drill gives up on it.
const RECOVER_WITHIN: Duration = Duration::from_secs(60);
/// Acknowledged writes of every client before anything is broken.
const WARM_UP_WRITES: u64 = 60;
/// How long the workload is watched after each recovery.
const SETTLE: Duration = Duration::from_secs(2);
/// Longest that a client's last writes may take when it stops.
const DRAIN: Duration = Duration::from_secs(4);

/// What happened, in the order it did; filled in as far as the drill came.
#[derive(Default)]
pub(crate) struct Story {
    pub fault_at: Option<Time>,
    pub healed_at: Option<Time>,
    /// When the measuring of the failover ended.
    pub until: Option<Time>,
    pub old_epoch: u64,
    /// What the fault hit, and in words.
    pub hit: Option<(bool, String)>,
    pub failover: Option<RunId>,
    pub failback: Option<RunId>,
    pub after_failover: Option<Audit>,
    pub after_failback: Option<Audit>,
    /// Why the drill did not get further.
    pub stopped: Option<String>,
    pub back_home: Option<Result<(), String>>,
    pub leftovers: Vec<String>,
    pub controller_killed_in: Option<RunId>,
}

/// Runs one drill from nothing to nothing. `say` hears every line of progress.
///
/// A drill that fails is a result, not an error; an error means that it could not be run or reported.
pub async fn run(plan: Plan, say: &(dyn Fn(&str) + Sync), stop: CancellationToken) -> Result<DrillResult, DrillError> {
    let (began, began_wall) = (ledger::now(), jiff::Timestamp::now().to_string());
    make_folder(&plan.out)?;
    let scratch = scratch()?;
    say(&format!("{}: {}", plan.drill.name(), plan.drill.what()));
    say("starting two regions and a witness");
    let up = World::up(plan.topology.clone(), &plan.beside, scratch.path(), None, &plan.program).await;
    let world = up.inspect_err(|_| {
        // Only when it is empty.
        let _ = std::fs::remove_dir(&plan.out);
    })?;
    let mut story = Story::default();
    let told = tokio::select! {
        told = act(&plan, &world, &mut story, say) => told,
        () = stop.cancelled() => Err(DrillError::Interrupted),
    };
    let logs = plan.out.join("logs");
    say("stopping everything");
    let marks = leftover_marks(&world);
    keep_logs(scratch.path(), &logs);
    keep_exports(scratch.path(), &plan.out.join("exports"));
    story.leftovers = world.down().await;
    story.leftovers.extend(left_behind(&marks, scratch));
    let watched = match told {
        Ok(watched) => watched,
        Err(error) => {
            // Nothing was measured: only what helps to find out why is kept, and nothing at all after Ctrl-C.
            if matches!(error, DrillError::Interrupted) {
                let _ = std::fs::remove_dir_all(&plan.out);
            }
            return Err(error);
        }
    };
    let result = result::assemble(&plan, story, watched, began, began_wall)?;
    if result.verdict == crate::report::Verdict::Passed {
        let _ = std::fs::remove_dir_all(&logs);
    }
    Ok(result)
}

/// Everything between a running world and its end. The clients and the watcher are stopped here.
async fn act(
    plan: &Plan,
    world: &World,
    story: &mut Story,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Arc<Watcher>, DrillError> {
    world::establish(world, |_| {}).await?;
    let api = world.operator(&world.somebody()?)?;
    let watcher = Watcher::start(api.clone());
    let header = Header { drill: plan.drill.name().into(), clients: plans::clients(world, plan.drill) };
    let ledger = Ledger::create(&plan.out.join("ledger.jsonl"), &header)?;
    let clients = Clients::start(&header.clients, &ledger.log())?;
    say(&format!("{} clients write through DNS and the load balancers", header.clients.len()));
    if let Err(error) = rehearse(
        plan,
        world,
        story,
        &Stage { ledger: &ledger, under_way: clients.under_way(), api: &api, watcher: &watcher },
        say,
    )
    .await
    {
        say(&format!("stopped: {error}"));
        story.stopped = Some(error.to_string());
    }
    story.until.get_or_insert_with(ledger::now);
    clients.stop(DRAIN).await;
    if story.after_failover.is_some() && story.stopped.is_none() {
        story.after_failback = audit(plan, world, say, "after failback").await;
    }
    ledger.close()?;
    watcher.finish().await;
    Ok(watcher)
}

/// What a rehearsal works with.
struct Stage<'a> {
    ledger: &'a Ledger,
    under_way: UnderWay,
    api: &'a ApiClient,
    watcher: &'a Arc<Watcher>,
}

async fn rehearse(
    plan: &Plan,
    world: &World,
    story: &mut Story,
    stage: &Stage<'_>,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), WorldError> {
    let Stage { ledger, under_way, api, watcher } = stage;
    let (home, away) = (world.topology.preferred().clone(), away(&world.topology));
    warm_up(ledger, &plans::clients(world, plan.drill)).await?;
    story.old_epoch = epoch(api).await?;

    say(&format!("breaking: {}", plan.drill.what()));
    let before = watcher.last_seq();
    watcher.mark_calm(false);
    // A fault between two writes would prove little: wait for an instant at which some are on their way.
    wait_for_instant(under_way).await?;
    let mut wound = fault::inject(plan.drill, world, api, &home, &away).await?;
    story.fault_at = Some(wound.at);
    let failover = watcher.wait_for_run(before, RECOVER_WITHIN).await?;
    story.failover = Some(failover);
    if plan.drill == Drill::ControllerCrash {
        fault::crash_controller(world, watcher, failover).await?;
        story.controller_killed_in = Some(failover);
        say(&format!("the controller was killed in the middle of {failover} and started again"));
    }
    let end = watcher.wait_for_end(failover, RECOVER_WITHIN).await?;
    say(&format!("{failover} {end}, {} after the fault", model::time::human(ledger::now().since(wound.at))));
    if end != End::Succeeded {
        return Err(WorldError::Refused(format!("{failover} ended: {end}")));
    }
    wait_for_clients(ledger, &away).await?;
    wait_for_stretching(ledger).await?;
    tokio::time::sleep(SETTLE).await;
    story.until = Some(ledger::now());
    story.after_failover = audit(plan, world, say, "after failover").await;

    story.hit = Some(wound.hit());
    wound.heal(world, &home).await?;
    story.healed_at = Some(ledger::now());
    say(&format!("{home} is back; failing back to it"));
    let failback = fail_back(world, api, watcher, &home).await?;
    story.failback = Some(failback);
    let end = watcher.wait_for_end(failback, RECOVER_WITHIN).await?;
    say(&format!("{failback} {end}"));
    if end != End::Succeeded {
        return Err(WorldError::Refused(format!("{failback} ended: {end}")));
    }
    story.back_home = Some(back_home(api, &home).await);
    tokio::time::sleep(SETTLE).await;
    Ok(())
}

/// Every client has had writes acknowledged, so that nothing is broken before it works.
async fn warm_up(ledger: &Ledger, clients: &[crate::clients::ClientPlan]) -> Result<(), WorldError> {
    let progress = ledger.progress();
    let enough = WARM_UP_WRITES * clients.len() as u64;
    wait_for("acknowledged writes of every client", RECOVER_WITHIN, async || {
        let progress = progress.borrow();
        progress.total.acknowledged >= enough
            && progress.by_kind.values().all(|counts| counts.acknowledged > WARM_UP_WRITES / 2)
    })
    .await
}

/// Clients are served by `region`; how long that took, the ledger knows.
async fn wait_for_clients(ledger: &Ledger, region: &SiteId) -> Result<(), WorldError> {
    let progress = ledger.progress();
    wait_for("clients served by the other region", RECOVER_WITHIN, async || {
        progress.borrow().acknowledged_by_site.get(region.as_str()).is_some_and(|count| *count > 0)
    })
    .await
}

/// The client that stretches TTLs follows at last; one that is pinned may never.
async fn wait_for_stretching(ledger: &Ledger) -> Result<(), WorldError> {
    let progress = ledger.progress();
    let count = || progress.borrow().by_kind.get(&ClientKind::TtlStretching).map_or(0, |counts| counts.acknowledged);
    let before = count();
    let within = RECOVER_WITHIN + plans::STRETCH;
    wait_for("the stretching client's next acknowledged writes", within, async || count() > before + 5).await
}

/// Returns while some attempt is on its way.
async fn wait_for_instant(under_way: &UnderWay) -> Result<(), WorldError> {
    let until = std::time::Instant::now() + RECOVER_WITHIN;
    while under_way.now() == 0 {
        if std::time::Instant::now() > until {
            return Err(WorldError::Late { what: "a write under way".into(), within: RECOVER_WITHIN });
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn epoch(api: &ApiClient) -> Result<u64, WorldError> {
    let status = api.status().await.map_err(|error| WorldError::Refused(error.to_string()))?;
    Ok(status.writer.map_or(0, |writer| writer.epoch.number))
}

/// Asks for the failback, again while it is refused because the region has not reported long enough, and approves it
/// with as many people as the spec wants.
async fn fail_back(world: &World, api: &ApiClient, watcher: &Arc<Watcher>, home: &SiteId) -> Result<RunId, WorldError> {
    wait_for("the healed region's reports", RECOVER_WITHIN, async || {
        api.status().await.is_ok_and(|s| {
            s.run.is_none() && s.sites.iter().any(|s| s.site == *home && s.verdict == engine::watch::Verdict::Up)
        })
    })
    .await?;
    let before = watcher.last_seq();
    let mut refusal = String::new();
    let asked = wait_for("a failback that is not refused", RECOVER_WITHIN, async || {
        match api.request(&Request::Failback).await {
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
    let run = watcher.wait_for_run(before, RECOVER_WITHIN).await?;
    for person in world.topology.approvals.approvers.iter().take(world.topology.approvals.failback as usize) {
        // The one who asked has agreed already; that this is refused changes nothing.
        let _ = world.operator(person)?.approve(run, false).await;
    }
    Ok(run)
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

async fn audit(plan: &Plan, world: &World, say: &(dyn Fn(&str) + Sync), when: &str) -> Option<Audit> {
    let found = async {
        let history = ledger::read(&plan.out.join("ledger.jsonl")).map_err(|error| error.to_string())?;
        let api = world.operator(&world.somebody().map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        let status = api.status().await.map_err(|error| error.to_string())?;
        let writer = status.writer.ok_or("nobody writes")?;
        let rows =
            ledger::fetch(&plans::database(world, &writer.site), RECOVER_WITHIN).await.map_err(|e| e.to_string())?;
        Ok::<_, String>(ledger::audit(&history, &rows))
    };
    match found.await {
        Ok(audit) => {
            say(&format!("{when}: {} acknowledged, {} of them lost", audit.acknowledged, audit.lost.len()));
            Some(audit)
        }
        Err(why) => {
            say(&format!("{when}: the audit failed: {why}"));
            None
        }
    }
}

/// The region that takes over.
pub(crate) fn away(topology: &Topology) -> SiteId {
    let home = topology.preferred();
    topology.others(home).next().unwrap_or(home).clone()
}

fn make_folder(path: &Path) -> Result<(), DrillError> {
    std::fs::create_dir_all(path).map_err(|source| DrillError::File { doing: "make", path: path.into(), source })
}

fn scratch() -> Result<tempfile::TempDir, DrillError> {
    let made = tempfile::Builder::new().prefix("antipode-").tempdir();
    made.map_err(|source| DrillError::File { doing: "make a folder in", path: std::env::temp_dir(), source })
}

/// Marks and data directories by which what is left of each site is found.
fn leftover_marks(world: &World) -> Vec<(String, PathBuf)> {
    let sites = world.topology.sites.iter().map(|site| &site.id);
    sites.map(|site| (world.layout.mark(site), world.layout.data(site))).collect()
}

/// After everything was stopped: processes and files that should not be there any more.
fn left_behind(marks: &[(String, PathBuf)], scratch: tempfile::TempDir) -> Vec<String> {
    let mut left = Vec::new();
    for (mark, data) in marks {
        let members = world::death::members(mark, Some(data));
        if !members.is_empty() {
            left.push(format!("processes of {mark}: {members:?}"));
        }
    }
    let path = scratch.path().to_path_buf();
    if let Err(error) = scratch.close() {
        left.push(format!("{}: {error}", path.display()));
    }
    left
}

/// Every process's log, for finding out why a drill failed.
fn keep_logs(root: &Path, to: &Path) {
    let sites = std::fs::read_dir(root.join("sites")).into_iter().flatten().flatten();
    for site in sites {
        let target = to.join(site.file_name());
        let _ = std::fs::create_dir_all(&target);
        let logs = std::fs::read_dir(site.path().join("logs")).into_iter().flatten().flatten();
        for log in logs {
            let _ = std::fs::copy(log.path(), target.join(log.file_name()));
        }
        let _ = std::fs::copy(site.path().join("postgres").join("server.log"), target.join("postgres.log"));
    }
    let _ = std::fs::copy(root.join("controller").join("controller.log"), to.join("controller.log"));
}

/// What says which transactions only the old writer had; the log segments themselves go with the world.
fn keep_exports(root: &Path, to: &Path) {
    let sites = std::fs::read_dir(root.join("sites")).into_iter().flatten().flatten();
    for export in
        sites.flat_map(|site| std::fs::read_dir(site.path().join("postgres/export")).into_iter().flatten().flatten())
    {
        let target = to.join(export.file_name());
        for name in ["manifest.json", "commits.jsonl"] {
            if export.path().join(name).exists() {
                let _ = std::fs::create_dir_all(&target);
                let _ = std::fs::copy(export.path().join(name), target.join(name));
            }
        }
    }
}

/// The first line, the spec and everything that was found out.
fn open_evidence(plan: &Plan) -> Result<evidence::Writer, DrillError> {
    let opening = Opening::new(plan.drill.name(), plan.spec.as_bytes());
    let mut writer = evidence::Writer::create(&plan.out.join("evidence.jsonl"), &opening)?;
    writer.append(Kind::Spec, &plan.spec)?;
    Ok(writer)
}
