//! Restores beyond the one of the drill `corrupted-data`: one that is taken back when the data has changed places
//! already, and one to a position in the log, in the region that does not write.

use antipode_lab::world::wait_for;
use engine::runbook::run::End;
use engine::{Record, Request};
use model::backup::{RestoreTo, WallTime};
use model::{Outcome, RunId, SiteId, Verb};

use crate::site::{Lab, PATIENCE, go_on, spec, stop};
use crate::writer::connect;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_aborted_puts_all_back_and_one_elsewhere_goes_to_a_position() {
    let backup = "replication: asynchronous, backup: { every: 1h, archive_every: 4s, restore_within: 30m }";
    let lab = Lab::up(&spec("ask").replace("replication: asynchronous", backup)).await;
    wait_for("a moment that can be restored", PATIENCE, async || {
        lab.api.status().await.is_ok_and(|status| status.backup.is_some_and(|backup| backup.to.is_some()))
    })
    .await
    .unwrap();
    sql(&lab, "create table things (id int primary key)").await;
    insert(&lab, 1, 10).await;
    aborted_when_all_has_changed_places(&lab).await;
    to_a_position_elsewhere(&lab).await;
    lab.down().await;
}

/// Nobody can be promoted while both other voters are frozen, so that the run is caught between its restore and its
/// commit point.
async fn aborted_when_all_has_changed_places(lab: &Lab) {
    let good = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text";
    let good = WallTime(value(lab, &lab.alpha, good).await.parse().unwrap());
    insert(lab, 11, 20).await;
    let before = lab.wait_writing(&lab.alpha).await;
    let run = restore(lab, RestoreTo::Time(good), &lab.alpha).await;
    let home = lab.world().layout.site(&lab.alpha).join("postgres");
    // All that the vault has to give was fetched when the recovery is configured.
    wait_for("the recovery", PATIENCE, async || home.join("restore.conf").exists()).await.unwrap();
    let voters = [&lab.bravo, &lab.charlie].map(|site| lab.agent_pid(site).unwrap());
    for voter in voters {
        stop(voter);
    }
    let promoting = |record: &Record| {
        matches!(record, Record::AttemptStarted { attempt, action, .. }
            if attempt.run == run && matches!(action.verb, Verb::Promote { .. }))
    };
    wait_for_record(lab, "an order to promote", promoting).await;
    let aside = home.join(format!("before-restore-{run}"));
    assert!(aside.join("PG_VERSION").exists(), "the data has changed places");
    lab.api.abort(run, "a test").await.unwrap();
    let put_back = |record: &Record| matches!(record, Record::AttemptEnded { outcome: Outcome::Done(evidence), .. } if evidence.note.contains("data of before"));
    wait_for_record(lab, "the old data in its place", put_back).await;
    voters.iter().for_each(|voter| go_on(*voter));

    assert_eq!(ended(lab, run).await, End::Aborted);
    assert!(lab.wait_writing(&lab.alpha).await > before);
    assert_eq!(ids(lab, &lab.alpha).await, (1..=20).collect::<Vec<_>>(), "nothing was taken back");
    assert!(!aside.exists() && home.join("data/PG_VERSION").exists());
}

async fn to_a_position_elsewhere(lab: &Lab) {
    insert(lab, 21, 30).await;
    let position = value(lab, &lab.alpha, "select pg_current_wal_insert_lsn()::text").await;
    insert(lab, 31, 40).await;
    let run = restore(lab, RestoreTo::Lsn(position.parse().unwrap()), &lab.bravo).await;

    assert_eq!(ended(lab, run).await, End::Succeeded);
    lab.wait_writing(&lab.bravo).await;
    assert_eq!(ids(lab, &lab.bravo).await, (1..=30).collect::<Vec<_>>());
    let layout = &lab.world().layout;
    let kept = layout.site(&lab.bravo).join(format!("postgres/before-restore-{run}/PG_VERSION"));
    assert!(kept.exists(), "the standby's data is kept");
    // The old writer alone has what was taken back, and exported it before it followed.
    let exports = layout.site(&lab.alpha).join("postgres/export");
    let found = std::fs::read_dir(exports).unwrap().flatten().map(|export| export.path().join("rows.jsonl"));
    let rows: String = found.map(|rows| std::fs::read_to_string(rows).unwrap_or_default()).collect();
    let things: Vec<&str> = rows.lines().filter(|line| line.contains("things") && line.contains("only_here")).collect();
    assert_eq!(things.len(), 10, "{rows}");
    insert_at(lab, &lab.bravo, 51, 52).await;
}

/// Asked for by one, seconded by another.
async fn restore(lab: &Lab, to: RestoreTo, site: &SiteId) -> RunId {
    let request = Request::Restore { to, site: Some(site.clone()), accept_loss: true };
    // The controller may not have heard yet that the writer writes again, and so can add to the archive.
    let mut refused = String::new();
    let asked = wait_for("a restore that is not refused", PATIENCE, async || match lab.api.request(&request).await {
        Ok(_) => true,
        Err(error) => {
            refused = error.to_string();
            false
        }
    });
    asked.await.unwrap_or_else(|late| panic!("{late}: {refused}"));
    let mut run = None;
    wait_for("a run", PATIENCE, async || {
        run = lab.api.status().await.ok().and_then(|status| status.run).map(|run| run.run);
        run.is_some()
    })
    .await
    .unwrap();
    let (run, second) = (run.unwrap(), lab.world().operator(&"budi".into()).unwrap());
    second.approve(run, true).await.unwrap();
    run
}

async fn ended(lab: &Lab, run: RunId) -> End {
    let mut end = None;
    let over = wait_for("the end of a run", PATIENCE, async || {
        let last = lab.api.status().await.ok().and_then(|status| status.last_run);
        end = last.filter(|last| last.run == run).and_then(|last| last.end);
        end.is_some()
    });
    over.await.unwrap();
    end.unwrap()
}

async fn wait_for_record(lab: &Lab, what: &str, so: impl Fn(&Record) -> bool) {
    let (mut from, mut found) = (1, false);
    wait_for(what, PATIENCE, async || {
        for line in lab.api.journal(from, 1_000).await.unwrap_or_default() {
            from = line.seq + 1;
            found |= serde_json::from_value(line.record).is_ok_and(|record| so(&record));
        }
        found
    })
    .await
    .unwrap();
}

async fn sql(lab: &Lab, sql: &str) {
    let (client, _tie) = connect(&lab.gate(&lab.alpha)).await.unwrap();
    client.batch_execute(sql).await.unwrap();
}

async fn insert(lab: &Lab, first: i32, last: i32) {
    insert_at(lab, &lab.alpha, first, last).await;
}

async fn insert_at(lab: &Lab, site: &SiteId, first: i32, last: i32) {
    let (client, _tie) = connect(&lab.gate(site)).await.unwrap();
    let rows = format!("insert into things select generate_series({first}, {last})");
    client.batch_execute(&rows).await.unwrap();
}

async fn value(lab: &Lab, site: &SiteId, sql: &str) -> String {
    let (client, _tie) = connect(&lab.gate(site)).await.unwrap();
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn ids(lab: &Lab, site: &SiteId) -> Vec<i32> {
    let (client, _tie) = connect(&lab.gate(site)).await.unwrap();
    client.query("select id from things order by id", &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}
