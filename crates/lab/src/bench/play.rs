//! Longer stories than a drill: many losses in a row, a calm that must stay one, a failback of much data.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::drill::stage::Stage;
use crate::drill::wound::Wound;
use crate::drill::{Drill, DrillError, Plan, perform, plans};
use crate::proxy::Conditions;
use crate::report::DrillResult;
use crate::world::{WorldError, links_of, wait_for};

/// What is measured.
#[derive(Clone, PartialEq, Debug)]
pub enum Play {
    /// The writing region is lost and wins back its place, so many times.
    Losses { rounds: u32 },
    /// Nothing is lost for so long, but processors are starved by this many busy threads and links blink for less than
    /// half a lease. Nobody may fail over.
    Calm { lasting: Duration, busy: usize },
    /// A region is cut off, and later rewound, with so much data in its database.
    Failback { megabytes: u64 },
}

/// How often a failback is asked for in one round of losses.
const FAILBACK_TRIES: u32 = 3;
/// Between two blinks of a link.
const BLINK_EVERY: Duration = Duration::from_secs(4);
/// One statement that makes data; small enough that a standby keeps up.
const CHUNK_MEGABYTES: u64 = 16;
/// Longest that one statement, or the standby's catching up, may take.
const LOAD_WITHIN: Duration = Duration::from_secs(300);

/// Runs it in a world of its own; `plan.drill` is replaced by the one that fits the play.
pub async fn play(
    mut plan: Plan,
    play: Play,
    say: &(dyn Fn(&str) + Sync),
    stop: CancellationToken,
) -> Result<DrillResult, DrillError> {
    plan.drill = match play {
        Play::Losses { .. } => Drill::RegionLoss,
        Play::Calm { .. } => Drill::Calm,
        Play::Failback { .. } => Drill::RegionPartition,
    };
    perform(plan, say, stop, async |stage: &mut Stage<'_>| match play {
        Play::Losses { rounds } => losses(stage, rounds).await,
        Play::Calm { lasting, busy } => calm(stage, lasting, busy).await,
        Play::Failback { megabytes } => failback(stage, megabytes).await,
    })
    .await
}

async fn losses(stage: &mut Stage<'_>, rounds: u32) -> Result<(), WorldError> {
    for round in 1..=rounds {
        stage.say(&format!("loss {round} of {rounds}"));
        let before = stage.brace().await?;
        let mut wound = Wound::loss(stage.world, &stage.home).await?;
        stage.struck(&wound);
        let failover = stage.run_after(before).await?;
        match round == rounds {
            // What was lost in an earlier round is still missing in the last.
            true => stage.recovered_by(failover, &wound).await?,
            false => stage.succeeds(failover).await?,
        }
        stage.heal(&mut wound).await?;
        come_home(stage).await?;
    }
    Ok(())
}

/// A failback that a slow disk spoils before its commit point has changed nothing: it is asked for again, as people would.
async fn come_home(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    for _ in 1..FAILBACK_TRIES {
        match stage.return_home().await {
            Err(WorldError::Refused(why)) => stage.say(&format!("asking for the failback again: {why}")),
            ended => return ended,
        }
    }
    stage.return_home().await
}

async fn calm(stage: &mut Stage<'_>, lasting: Duration, busy: usize) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    // The margin is what this is about.
    stage.watcher.mark_calm(true);
    let mut wound = Wound::default();
    stage.struck(&wound);
    let _load = Load::start(busy);
    let blink = stage.world.topology.timing.lease.mul_f64(0.45);
    let until = tokio::time::Instant::now() + lasting;
    let sites: Vec<_> = stage.world.topology.sites.iter().map(|site| site.id.clone()).collect();
    let mut blinks = 0;
    for site in sites.iter().cycle() {
        if tokio::time::Instant::now() >= until {
            break;
        }
        wound.change_links(stage.world, links_of(&stage.world.topology, site), Conditions::CUT);
        tokio::time::sleep(blink).await;
        wound.heal(stage.world).await?;
        blinks += 1;
        tokio::time::sleep(BLINK_EVERY).await;
    }
    wound.note(format!("{busy} busy threads for {}; {blinks} blinks of {}", human(lasting), human(blink)));
    stage.measure_here(&wound).await;
    stage.nothing_moved(before).await?;
    stage.find_home().await;
    Ok(())
}

async fn failback(stage: &mut Stage<'_>, megabytes: u64) -> Result<(), WorldError> {
    stage.say(&format!("filling the database with {megabytes} MB"));
    fill(stage, megabytes).await?;
    let before = stage.brace().await?;
    let mut wound = Wound::partition(stage.world, &stage.home);
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &wound).await?;
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

async fn fill(stage: &Stage<'_>, megabytes: u64) -> Result<(), WorldError> {
    let refused = |error: tokio_postgres::Error| WorldError::Refused(format!("filling the database: {error}"));
    let (client, connection) =
        plans::database(stage.world, &stage.home).connect(tokio_postgres::NoTls).await.map_err(refused)?;
    tokio::spawn(connection);
    client.batch_execute("create table ballast (id bigserial primary key, text text)").await.map_err(refused)?;
    // Random text, which no storage makes smaller: 32 rows of 32 hexadecimal digits in each kilobyte.
    let rows = CHUNK_MEGABYTES * 1024;
    let sql = format!(
        "insert into ballast (text) select (select string_agg(md5(random()::text || n::text || part::text), '') \
         from generate_series(1, 32) part) from generate_series(1, {rows}) n"
    );
    for _ in 0..megabytes.div_ceil(CHUNK_MEGABYTES) {
        client.batch_execute(&sql).await.map_err(refused)?;
    }
    wait_for("the standby to catch up", LOAD_WITHIN, async || {
        stage.api.status().await.is_ok_and(|status| {
            status
                .sites
                .iter()
                .any(|site| site.upstream.is_some() && site.lag_bytes.is_some_and(|bytes| bytes < 1 << 20))
        })
    })
    .await
}

fn human(duration: Duration) -> String {
    model::time::human(duration)
}

/// Threads that do nothing but take processors away; they end when this is dropped.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(busy: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let spin = |stop: Arc<AtomicBool>| {
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        Self { threads: (0..busy).map(|_| spin(stop.clone())).collect(), stop }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
