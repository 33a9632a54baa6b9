//! Bad rows replicate (seed 003 section 23, scenario 4): no failover helps, a restore to just before them does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use engine::runbook::run::Pause;
use engine::{Record, Request};
use model::backup::{RestoreTo, WallTime};
use model::time::human;
use model::{RunId, SiteId, Time};
use tokio_postgres::Client;

use crate::drill::plans::{self, connect, trouble};
use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::ledger::{self, History};
use crate::world::{WorldError, wait_for};

/// Longest that the first full backup, and then the restore, may take on a busy machine.
const COPY_WITHIN: Duration = Duration::from_secs(240);
/// What the statement without its WHERE writes.
const GARBAGE: &str = "lorem ipsum";

pub async fn corrupted_data(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let plan = stage.world.topology.database().1.backup.clone();
    let plan = plan.ok_or_else(|| WorldError::Refused("the spec declares no `backup`".into()))?;
    stage.say("waiting for the first full backup");
    wait_for("a moment that can be restored", COPY_WITHIN, async || {
        stage.api.status().await.is_ok_and(|s| s.backup.is_some_and(|b| b.to.is_some() && b.warnings.is_empty()))
    })
    .await?;
    let client = connect(&plans::database(stage.world, &stage.home)).await?;
    let said = subjects(&client).await?;
    let before = stage.brace().await?;
    // Writes are under way now.
    let begun = ledger::now();
    let mut wound = Wound::default();
    let mistake = corrupt(&client, begun, said).await?;
    wound.at = mistake.begun;
    wound.note(format!("{} rows overwritten by one statement", mistake.rows));
    stage.struck(&wound);
    spread(stage, &mistake).await?;
    // Clients see nothing, and go on: what they write now will be taken back.
    stage.settle().await;
    let asked = ledger::now();
    let run = restore(stage, before, &mistake).await?;
    stage.story.failover = Some(run);
    let end = stage.watcher.wait_for_end(run, COPY_WITHIN).await?;
    if end != engine::runbook::run::End::Succeeded {
        return Err(WorldError::Refused(format!("{run} ended: {end}")));
    }
    let took = ledger::now().since(asked);
    stage.say(&format!("{run} succeeded, {} after it was asked for", human(took)));
    stage.check(
        "restored within its objective",
        took <= plan.restore_within,
        format!("{} of {}", human(took), human(plan.restore_within)),
    );
    served_again(stage).await?;
    stage.stretching_follows().await?;
    stage.story.healed_at = Some(ledger::now());
    stage.measure_here(&wound).await;
    right_again(stage, &mistake).await?;
    taken_back(stage, &mistake, asked)?;
    kept(stage, run)?;
    stage.find_home().await;
    Ok(())
}

/// A statement that everybody regrets.
struct Mistake {
    /// By the database's own clock, before it.
    good: WallTime,
    begun: Time,
    done: Time,
    rows: u64,
    /// What rows said that were there before it, and that it overwrote.
    said: BTreeMap<String, String>,
}

async fn subjects(client: &Client) -> Result<BTreeMap<String, String>, WorldError> {
    let rows = client.query("SELECT id::text, subject FROM case_api.cases", &[]).await;
    Ok(rows.map_err(|error| trouble(&error))?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn garbage(client: &Client) -> Result<u64, WorldError> {
    let row = client.query_one("SELECT count(*) FROM case_api.cases WHERE subject = $1", &[&GARBAGE]).await;
    let count: i64 = row.map_err(|error| trouble(&error))?.get(0);
    Ok(count.unsigned_abs())
}

async fn corrupt(client: &Client, begun: Time, said: BTreeMap<String, String>) -> Result<Mistake, WorldError> {
    let clock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let good = client.query_one(clock, &[]).await.map_err(|error| trouble(&error))?.get(0);
    let bad = client.execute("UPDATE case_api.cases SET subject = $1", &[&GARBAGE]).await;
    let rows = bad.map_err(|error| trouble(&error))?;
    Ok(Mistake { good: WallTime(good), begun, done: ledger::now(), rows, said })
}

/// The database of a standby, as an operator on that machine reaches it.
fn standby(stage: &Stage<'_>, site: &SiteId) -> tokio_postgres::Config {
    let mut config = plans::database(stage.world, site);
    let port = stage.world.addresses.replication_port();
    let mut local = tokio_postgres::Config::new();
    local.host_path(stage.world.layout.site(site).join("run/pg")).port(port);
    local.user(config.get_user().unwrap_or_default()).dbname(config.get_dbname().unwrap_or_default());
    config = local.password(&stage.world.layout.application_password).clone();
    config
}

/// The other region has the bad rows too: nowhere to fail over to.
async fn spread(stage: &mut Stage<'_>, mistake: &Mistake) -> Result<(), WorldError> {
    let there = standby(stage, &stage.away);
    let bad = async || match connect(&there).await {
        Ok(client) => garbage(&client).await.unwrap_or(0),
        Err(_) => 0,
    };
    wait_for("the bad rows in the other region", RECOVER_WITHIN, async || bad().await >= mistake.rows).await?;
    let why = format!("{} of {} rows say `{GARBAGE}` at {} too", bad().await, mistake.rows, stage.away);
    stage.check("a failover would not have helped", mistake.rows > 0, why);
    Ok(())
}

/// Asked for by one, who may not do it alone, and seconded by as many as the spec wants.
async fn restore(stage: &mut Stage<'_>, before: u64, mistake: &Mistake) -> Result<RunId, WorldError> {
    let request = Request::Restore { to: RestoreTo::Time(mistake.good), site: None, accept_loss: true };
    stage.say(&format!("restoring to {}", mistake.good));
    stage.api.request(&request).await.map_err(|error| WorldError::Refused(error.to_string()))?;
    let run = stage.run_after(before).await?;
    let waits = |record: &Record| matches!(record, Record::Paused { run: of, pause: Pause::AcceptLoss { .. } | Pause::Approval { .. }, .. } if *of == run);
    wait_for("a restore that waits for a second person", RECOVER_WITHIN, async || {
        stage.watcher.lines().iter().any(|(_, record)| waits(record))
    })
    .await?;
    let started = |record: &Record| matches!(record, Record::AttemptStarted { attempt, .. } if attempt.run == run);
    let alone = stage.watcher.lines().iter().filter(|(_, record)| started(record)).count();
    stage.check("one person alone takes nothing back", alone == 0, format!("{alone} acts before the second consent"));
    let approvals = &stage.world.topology.approvals;
    for person in approvals.approvers.iter().take(approvals.accept_loss as usize) {
        // The one who asked has agreed already; that is refused, and changes nothing.
        let _ = stage.world.operator(person)?.approve(run, true).await;
    }
    Ok(run)
}

async fn served_again(stage: &Stage<'_>) -> Result<(), WorldError> {
    let progress = stage.ledger.progress();
    let count = || progress.borrow().total.acknowledged;
    let before = count();
    wait_for("acknowledged writes after the restore", RECOVER_WITHIN, async || count() > before + 10).await
}

/// Every row says again what it said, in both regions.
async fn right_again(stage: &mut Stage<'_>, mistake: &Mistake) -> Result<(), WorldError> {
    let writer = connect(&plans::database(stage.world, &stage.home)).await?;
    let (now, bad) = (subjects(&writer).await?, garbage(&writer).await?);
    let wrong = mistake.said.iter().filter(|(id, said)| now.get(*id) != Some(said)).count();
    let why = format!("{wrong} of {} rows are not as before the statement; {bad} say `{GARBAGE}`", mistake.said.len());
    stage.check("the rows are right again", wrong == 0 && bad == 0 && !mistake.said.is_empty(), why);
    let there = standby(stage, &stage.away);
    let clean = async || match connect(&there).await {
        Ok(client) => {
            let bad = garbage(&client).await;
            let all = subjects(&client).await;
            bad.is_ok_and(|bad| bad == 0)
                && all.is_ok_and(|all| mistake.said.iter().all(|(id, said)| all.get(id) == Some(said)))
        }
        Err(_) => false,
    };
    let rebuilt = wait_for("right rows in the other region", RECOVER_WITHIN, clean).await;
    let why = match &rebuilt {
        Ok(()) => format!("{} follows the restored history", stage.away),
        Err(late) => format!("{}: {late}", stage.away),
    };
    stage.check("the other region is right too", rebuilt.is_ok(), why);
    Ok(())
}

/// Lost is exactly what was committed after the moment, and nothing of before it.
fn taken_back(stage: &mut Stage<'_>, mistake: &Mistake, asked: Time) -> Result<(), WorldError> {
    let history = ledger::read(&stage.out.join("ledger.jsonl"));
    let history: History = history.map_err(|error| WorldError::Refused(error.to_string()))?;
    let lost = stage.story.after_failover.as_ref().map(|audit| audit.lost.clone()).unwrap_or_default();
    let acknowledged = |id| history.writes.get(id).and_then(|write| write.acknowledged()).map(|(at, _)| at);
    let early = lost.iter().filter(|id| acknowledged(id).is_none_or(|at| at < mistake.begun)).count();
    let why = format!("{early} writes were lost that were acknowledged before {}", mistake.good);
    stage.check("nothing of before the moment is lost", early == 0, why);
    // Sent after the statement was done, acknowledged by the writer that made it: committed after the moment for certain.
    let after = history.writes.iter().filter(|(_, write)| {
        let old =
            write.acknowledged().is_some_and(|(at, said)| said.writer_epoch == stage.story.old_epoch && at < asked);
        old && write.sent > mistake.done
    });
    let (mut expected, mut listed) = (0, 0);
    for (id, _) in after {
        expected += 1;
        listed += usize::from(lost.contains(id));
    }
    let why = format!(
        "{listed} of {expected} writes that were acknowledged after it are listed as lost, {} in all",
        lost.len()
    );
    stage.check("what came after it is listed", expected > 0 && listed == expected, why);
    Ok(())
}

/// What was taken back can still be read: the replaced directory, and what only the other region had. That the export
/// has exactly the lost writes is a check of every drill.
fn kept(stage: &mut Stage<'_>, run: RunId) -> Result<(), WorldError> {
    let home = stage.world.layout.site(&stage.home).join("postgres");
    let aside: PathBuf = home.join(format!("before-restore-{run}"));
    let whole = aside.join("PG_VERSION").exists() && aside.join("pg_wal").exists();
    let exports = stage.world.layout.site(&stage.away).join("postgres/export");
    let found = std::fs::read_dir(&exports).into_iter().flatten().flatten();
    let exports: Vec<String> = found
        .filter(|entry| entry.path().join("manifest.json").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let why = format!(
        "the replaced data is {}at {}; {} exported {}",
        if whole { "" } else { "NOT " },
        stage.home,
        stage.away,
        if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") }
    );
    stage.check("what was taken back is kept", whole && !exports.is_empty(), why);
    Ok(())
}
