//! Drills: break something for real, let the workload recover, go back to the first topology, and measure at the clients.
//!
//! A drill proves nothing when its fault hit nothing, when no client saw it, when no write was under way, or when
//! clean-up left something: each of these is a check that fails it.

mod catalogue;
mod checks;
mod days;
mod disk;
mod exports;
pub(crate) mod plans;
mod result;
mod round;
pub(crate) mod stage;
mod story;
mod watcher;
pub(crate) mod wound;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{SiteId, Topology};
use tokio_util::sync::CancellationToken;

pub use catalogue::{Course, Drill, catalogue};
pub use round::{Round, run_round};

use crate::clients::Clients;
use crate::evidence::{self, Kind, Opening};
use crate::ledger::{self, Header, Ledger};
use crate::report::DrillResult;
use crate::world::{self, World, WorldError};
use stage::Stage;
use story::Story;
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

/// Longest that a client's last writes may take when it stops.
const DRAIN: Duration = Duration::from_secs(4);

/// Runs one drill from nothing to nothing. `say` hears every line of progress.
///
/// A drill that fails is a result, not an error; an error means that it could not be run or reported.
pub async fn run(
    mut plan: Plan,
    say: &(dyn Fn(&str) + Sync),
    stop: CancellationToken,
) -> Result<DrillResult, DrillError> {
    let drill = plan.drill;
    days::prepare(drill, Arc::make_mut(&mut plan.topology));
    perform(plan, say, stop, async |stage: &mut Stage<'_>| days::rehearse(drill, stage).await).await
}

/// A world for `play`, from nothing to nothing, judged as the plan's drill is.
pub(crate) async fn perform(
    plan: Plan,
    say: &(dyn Fn(&str) + Sync),
    stop: CancellationToken,
    play: impl AsyncFnOnce(&mut Stage<'_>) -> Result<(), WorldError>,
) -> Result<DrillResult, DrillError> {
    let (began, began_wall) = (ledger::now(), jiff::Timestamp::now().to_string());
    make_folder(&plan.out)?;
    let scratch = scratch()?;
    say(&format!("{}: {}", plan.drill.name(), plan.drill.what()));
    say("starting two regions and a witness");
    let disk = disk::Disk::for_drill(plan.drill, &plan.topology, scratch.path());
    let disk = disk.inspect_err(|_| {
        let _ = std::fs::remove_dir(&plan.out);
    })?;
    let up = World::up(plan.topology.clone(), &plan.beside, scratch.path(), None, &plan.program).await;
    let world = up.inspect_err(|_| {
        // Only when it is empty.
        let _ = std::fs::remove_dir(&plan.out);
    })?;
    let mut story = Story::default();
    let told = tokio::select! {
        told = act(&plan, &world, &mut story, say, play) => told,
        () = stop.cancelled() => Err(DrillError::Interrupted),
    };
    let logs = plan.out.join("logs");
    say("stopping everything");
    let marks = leftover_marks(&world);
    keep_logs(scratch.path(), &logs);
    exports::keep(scratch.path(), &plan.out.join("exports"));
    story.leftovers = world.down().await;
    drop(disk);
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
    play: impl AsyncFnOnce(&mut Stage<'_>) -> Result<(), WorldError>,
) -> Result<Arc<Watcher>, DrillError> {
    world::establish(world, |_| {}).await?;
    let api = world.operator(&world.somebody()?)?;
    let watcher = Watcher::start(api.clone());
    let header = Header { drill: plan.drill.name().into(), clients: plans::clients(world, plan.drill) };
    let ledger = Ledger::create(&plan.out.join("ledger.jsonl"), &header)?;
    let clients = Clients::start(&header.clients, &ledger.log())?;
    say(&format!("{} clients write through DNS and the load balancers", header.clients.len()));
    let mut stage = Stage {
        drill: plan.drill,
        world,
        home: world.topology.preferred().clone(),
        away: away(&world.topology),
        ledger: &ledger,
        out: &plan.out,
        under_way: clients.under_way(),
        api: &api,
        watcher: &watcher,
        story,
        say,
    };
    let rehearsed = async {
        stage.warm_up(&header.clients).await?;
        play(&mut stage).await
    };
    if let Err(error) = rehearsed.await {
        say(&format!("stopped: {error}"));
        stage.story.stopped = Some(error.to_string());
    }
    stage.story.until.get_or_insert_with(ledger::now);
    clients.stop(DRAIN).await;
    if stage.story.after_failover.is_some() && stage.story.stopped.is_none() {
        let when = if plan.drill.course() == Course::Stay { "at the end" } else { "after failback" };
        stage.story.after_failback = stage.audit(when).await;
        stage.story.at_the_end = stage.look_at_the_end().await;
    }
    ledger.close()?;
    watcher.finish().await;
    Ok(watcher)
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

/// The first line, the spec and everything that was found out.
fn open_evidence(plan: &Plan) -> Result<evidence::Writer, DrillError> {
    let opening = Opening::new(plan.drill.name(), plan.spec.as_bytes());
    let mut writer = evidence::Writer::create(&plan.out.join("evidence.jsonl"), &opening)?;
    writer.append(Kind::Spec, &plan.spec)?;
    Ok(writer)
}
