//! The region is well and its database writes, but nobody is served: the application does not come up any more, or the
//! disk is full (seed 004; seed 003 section 23). Nothing is lost, so nothing may be lost: the writer moves as planned,
//! without being asked for by anybody.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use engine::{Record, Request};
use model::topology::SiteRole;
use model::{RunId, SiteId, Time};
use rustix::process::Signal;

use crate::drill::disk;
use crate::drill::plans;
use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::ledger;
use crate::world::{WorldError, death, wait_for};

/// How soon an instance that comes up is killed again.
const KILL_EVERY: Duration = Duration::from_millis(20);
/// Written to the log alone, and to no table.
const ONE_MEBIBYTE: &str = "SELECT pg_logical_emit_message(false, 'antipode-drill', repeat('x', 1048576))";
/// More than the files of the log that may lie ready.
const MOST_LOG: u32 = 256;

pub async fn app_stopped(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let mut wound = Wound::default();
    stage.struck(&wound);
    let mut killed = BTreeSet::new();
    let (down, moved) = (keep_down(stage, &mut killed), moves(stage, before));
    let moved = tokio::select! { told = moved => told?, () = down => unreachable!("it kills for ever") };
    wound.killed(killed.len());
    finish(stage, wound, moved).await
}

/// Kills each instance in the writing region as it comes up, for ever.
async fn keep_down(stage: &Stage<'_>, killed: &mut BTreeSet<i32>) {
    let mark = stage.world.layout.mark(&stage.home);
    let zones = match stage.world.topology.site(&stage.home).map(|site| &site.role) {
        Some(SiteRole::Region { zones, .. }) => zones.clone(),
        _ => Vec::new(),
    };
    loop {
        for zone in &zones {
            let instances = death::in_zone(&mark, zone);
            death::signal(&instances, Signal::KILL);
            killed.extend(instances);
        }
        tokio::time::sleep(KILL_EVERY).await;
    }
}

pub async fn full_disk(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let postgres = stage.world.layout.site(&stage.home).join(disk::FOLDER);
    let before = stage.brace().await?;
    let mut wound = Wound::default();
    stage.struck(&wound);
    let filler = Filler::fill(postgres.join("filler"))?;
    wound.note(format!("the last {} MiB of the database's disk were taken", filler.bytes / (1024 * 1024)));
    dies_and_comes_back(stage).await?;
    let moved = moves(stage, before).await?;
    drop(filler);
    let lines = stage.watcher.lines();
    let said = lines.iter().filter(|(line, _)| line.seq > before).find_map(|(_, record)| match record {
        Record::ServiceChanged { unready: Some(why), .. } => Some(why.clone()),
        _ => None,
    });
    let named = said.as_ref().is_some_and(|why| why.contains("disk is full"));
    stage.check("the reason was named", named, said.unwrap_or_else(|| "nobody said why".into()));
    finish(stage, wound, moved).await
}

/// The log goes on until there is no room for its next file. PostgreSQL panics then, and so does its recovery, which ends
/// with a checkpoint: only the room that is kept for a start brings it back.
async fn dies_and_comes_back(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let place = stage.world.layout.data(&stage.home).join("postmaster.pid");
    // Process, and the state in which it says to be.
    let postmaster = || {
        let lines = std::fs::read_to_string(&place).unwrap_or_default();
        let line = |number| lines.lines().nth(number).unwrap_or_default().trim().to_owned();
        (line(0), line(7))
    };
    let (first, _) = postmaster();
    let client = plans::connect(&plans::database(stage.world, &stage.home)).await?;
    let mut mebibytes = 0;
    while mebibytes < MOST_LOG && client.execute(ONE_MEBIBYTE, &[]).await.is_ok() {
        mebibytes += 1;
    }
    let back = wait_for("a server that came back", RECOVER_WITHIN, async || {
        let (process, state) = postmaster();
        process != first && state == "ready"
    });
    let back = back.await;
    let why = match &back {
        Ok(()) => format!("after {mebibytes} MiB of log process {first} ended; process {} serves", postmaster().0),
        Err(late) => format!("after {mebibytes} MiB of log: {late}"),
    };
    stage.check("the server died of it and came back", back.is_ok(), why);
    Ok(())
}

/// A file that takes all the room there is, until it is dropped.
struct Filler {
    file: PathBuf,
    bytes: u64,
}

impl Filler {
    fn fill(file: PathBuf) -> Result<Self, WorldError> {
        let failed = |source| WorldError::Start { what: "a full disk".into(), source };
        let taken = std::fs::File::create(&file).map_err(failed)?;
        let mut filler = Self { file, bytes: 0 };
        // In ever smaller pieces: whoever else writes there takes some meanwhile.
        for piece in [1 << 20, 64 << 10, 4 << 10_u64] {
            while rustix::fs::fallocate(&taken, rustix::fs::FallocateFlags::empty(), filler.bytes, piece).is_ok() {
                filler.bytes += piece;
            }
        }
        Ok(filler)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// The run that the fault leads to; waits until clients are served in the other region.
async fn moves(stage: &Stage<'_>, before: u64) -> Result<RunId, WorldError> {
    let moved = stage.run_after(before).await?;
    stage.served_by(&stage.away).await?;
    Ok(moved)
}

async fn finish(stage: &mut Stage<'_>, mut wound: Wound, moved: RunId) -> Result<(), WorldError> {
    // What is mended comes back as the standby: the run waits for that.
    stage.heal(&mut wound).await?;
    stage.recovered_by(moved, &wound).await?;
    planned_by_itself(stage, moved);
    noticed(stage, wound.at)?;
    instances_are_back(stage, &stage.home.clone()).await?;
    stage.return_home().await
}

/// A switchover that no person asked for.
fn planned_by_itself(stage: &mut Stage<'_>, moved: RunId) {
    let asked = stage.watcher.lines().into_iter().find_map(|(_, record)| match record {
        Record::RunStarted { run, runbook, by, cause, .. } if run == moved => {
            Some((runbook.request.clone(), by, cause))
        }
        _ => None,
    });
    let planned = matches!(&asked, Some((Request::Switchover { .. }, None, _)));
    let why = asked.map_or("no run".into(), |(request, by, cause)| {
        let by = by.map_or("the controller".into(), |by| by.to_string());
        format!("{request}, by {by}: {cause}")
    });
    stage.check("a planned move, unasked", planned, why);
}

/// Clients were failed before the writer moved: otherwise there was nothing to move for.
fn noticed(stage: &mut Stage<'_>, since: Time) -> Result<(), WorldError> {
    let history =
        ledger::read(&stage.out.join("ledger.jsonl")).map_err(|error| WorldError::Refused(error.to_string()))?;
    let failed = history.writes.values().flat_map(|write| &write.failed);
    let first = failed.filter(|(at, _)| *at >= since).map(|(_, attempt)| attempt.why.clone()).collect::<Vec<_>>();
    let why = format!("{} tries failed, the first: {}", first.len(), first.first().map_or("none", String::as_str));
    stage.check("clients saw the failure", !first.is_empty(), why);
    Ok(())
}

async fn instances_are_back(stage: &Stage<'_>, home: &SiteId) -> Result<(), WorldError> {
    wait_for("the application's instances", RECOVER_WITHIN, async || {
        let status = stage.api.status().await.ok();
        let seen = status.iter().flat_map(|status| &status.sites).find(|seen| seen.site == *home);
        seen.is_some_and(|seen| seen.fleets.values().all(|fleet| fleet.alive > 0 && fleet.alive >= fleet.wanted))
    })
    .await
}
