//! What only the old writer has is found, written down and synced before it is given up (SAFETY.md item 13).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use antipode_drivers::postgres::{Database, Divergence, Followed, ServerState, Way};
use antipode_drivers::{Act, process};
use model::action::ExportedRows;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::site::{Site, done, epoch, eventually};

const TABLES: &str = "
    create schema shop;
    create table shop.cases (id int primary key, client text, seq bigint, subject text);
    create table shop.pairs (a text, b numeric(10,2), at timestamptz default '2026-01-01Z', note json, primary key (a, b));
    create table shop.heap (v text);
    insert into shop.cases select g, 'c0', g, 'before' from generate_series(1, 6) g;
    insert into shop.pairs values ('x', 1.50, '2026-01-01Z', '{\"a\" : 1,\n \"a\" : 2}'), ('y', 2, '2026-01-01Z', null);
    insert into shop.heap values ('kept'), ('twice'), ('twice'), ('moved'), ('gone');
    create table shop.untouched (id int primary key);
    insert into shop.untouched select generate_series(1, 100)";

/// A writer and its standby, which have the same tables.
async fn pair() -> (Site, Site) {
    let ledger = BTreeMap::from([("shop.cases".to_owned(), vec!["client".to_owned(), "seq".to_owned()])]);
    let a = Site::with("site-a", &["site-b"], |config| config.ledger = ledger);
    a.server.initialise().await.unwrap();
    done(a.server.start_writer(&epoch(1, "site-a"), &[]).await.unwrap());
    a.sql(TABLES).await;
    let b = Site::new("site-b", &["site-a"]);
    done(b.server.follow(&a.upstream()).await.unwrap());
    b.catches_up(&a).await;
    (a, b)
}

/// Promotes the standby while the writer lives, as in a partition; what the writer does afterwards only it has.
async fn parted() -> (Site, Site) {
    let (a, b) = pair().await;
    part(&b).await;
    (a, b)
}

async fn part(b: &Site) {
    done(b.server.promote(&epoch(2, "site-b"), &[]).await.unwrap());
}

async fn follow(a: &Site, b: &Site) -> Followed {
    a.server.kill_all().await.unwrap();
    let followed = done(a.server.follow(&b.upstream()).await.unwrap());
    println!("{:?}: {:?}", followed.way, followed.phases);
    followed
}

async fn insert_cases(site: &Site, ids: std::ops::Range<i32>) {
    site.sql(&format!(
        "insert into shop.cases select g, 'c1', g, 'new' from generate_series({}, {}) g",
        ids.start,
        ids.end - 1
    ))
    .await;
}

/// The last checkpoint that both have lies in another file of the log than the divergence, and the old writer has one of
/// its own after that, with which it recovers. Three cases are only there.
async fn parted_far_from_a_checkpoint() -> (Site, Site) {
    let (a, b) = pair().await;
    let admin = a.admin().await;
    admin.batch_execute("checkpoint").await.unwrap();
    admin.batch_execute("select pg_switch_wal()").await.unwrap();
    a.sql("insert into shop.untouched values (1000)").await;
    b.catches_up(&a).await;
    part(&b).await;
    insert_cases(&a, 10..13).await;
    admin.batch_execute("checkpoint").await.unwrap();
    (a, b)
}

/// Removes all but the newest file of a stopped server's log, so that pg_rewind finds no common checkpoint.
fn remove_common_log(site: &Site) {
    let wal = site.server.config().data().join("pg_wal");
    let mut files: Vec<_> = fs::read_dir(&wal).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().len() == 24);
    files.sort();
    // Files prepared for later come after the one in use; those before the checkpoint are what both have.
    let checkpoint = site.checkpoint_file();
    let before: Vec<_> =
        files.iter().filter(|path| *path.file_name().unwrap().to_string_lossy() < *checkpoint).collect();
    assert!(!before.is_empty(), "{files:?}, {checkpoint}");
    before.iter().for_each(|path| fs::remove_file(path).unwrap());
}

/// The lines of an export.
fn lines(export: &Path) -> Vec<Value> {
    let text = fs::read_to_string(export.join("rows.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Table, kind, and the key, or the whole row of a table that has none.
fn title(line: &Value) -> String {
    let row = if line["here"].is_null() { &line["there"] } else { &line["here"] };
    let key = if line["key"].is_null() { row } else { &line["key"] };
    format!("{} {} {key}", line["table"].as_str().unwrap(), line["kind"].as_str().unwrap())
}

fn titles(export: &Path) -> Vec<String> {
    let mut titles: Vec<String> = lines(export).iter().map(title).collect();
    titles.sort();
    titles
}

fn manifest(divergence: &Divergence) -> Value {
    serde_json::from_str(&fs::read_to_string(divergence.export.join("manifest.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn rows_that_only_the_old_writer_has_are_exported_with_their_ledger_ids() {
    let (a, b) = pair().await;
    // Begun before the divergence, committed after it: its first row is in the log that both have.
    let slow = a.application().await;
    slow.batch_execute("begin; insert into shop.cases values (100, 'c9', 1, 'slow')").await.unwrap();
    b.catches_up(&a).await;
    part(&b).await;
    slow.batch_execute("savepoint s; insert into shop.cases values (101, 'c9', 2, 'slow'); release s; commit")
        .await
        .unwrap();

    a.sql("insert into shop.cases values (10, 'c1', 17, 'new')").await;
    a.sql("update shop.cases set subject = 'first' where id = 1").await;
    a.sql("update shop.cases set subject = 'here' where id = 1").await;
    a.sql("delete from shop.cases where id = 2").await;
    a.sql("update shop.cases set subject = 'both, here' where id = 3").await;
    a.sql("update shop.cases set subject = 'the same' where id = 4").await;
    a.sql("delete from shop.cases where id = 5").await;
    a.sql("begin; insert into shop.cases values (11, 'c1', 18, 'undone'); rollback").await;
    a.sql("insert into shop.cases values (12, 'c1', 19, 'short'); delete from shop.cases where id = 12").await;
    a.sql("update shop.pairs set b = 1.75 where a = 'x'; insert into shop.pairs (a, b) values ('z', 0.10)").await;
    b.sql("update shop.cases set subject = 'both, there' where id = 3; delete from shop.cases where id = 5").await;
    b.sql("update shop.cases set subject = 'the same' where id = 4; update shop.cases set subject = 'x' where id = 6")
        .await;
    b.sql("insert into shop.cases values (20, 'c2', 1, 'there')").await;

    let divergence = follow(&a, &b).await.divergence.unwrap();
    assert_eq!(
        titles(&divergence.export),
        [
            "shop.cases differs {\"id\":1}",
            "shop.cases differs {\"id\":3}",
            "shop.cases gone_here {\"id\":2}",
            "shop.cases only_here {\"id\":100}",
            "shop.cases only_here {\"id\":101}",
            "shop.cases only_here {\"id\":10}",
            "shop.pairs gone_here {\"a\":\"x\",\"b\":1.5}",
            "shop.pairs only_here {\"a\":\"x\",\"b\":1.75}",
            "shop.pairs only_here {\"a\":\"z\",\"b\":0.1}",
        ]
    );
    let lines: BTreeMap<String, Value> =
        lines(&divergence.export).into_iter().map(|line| (title(&line), line)).collect();
    let new = &lines["shop.cases only_here {\"id\":10}"];
    assert_eq!(new["ledger"], "c1-17");
    assert_eq!(new["here"], json!({ "id": 10, "client": "c1", "seq": 17, "subject": "new" }));
    assert!(new["there"].is_null() && new["committed"].as_str().unwrap().contains("20"), "{new}");
    assert_eq!(lines["shop.cases only_here {\"id\":100}"]["ledger"], "c9-1");
    let both = &lines["shop.cases differs {\"id\":3}"];
    assert_eq!((&both["here"]["subject"], &both["there"]["subject"]), (&json!("both, here"), &json!("both, there")));
    assert_eq!((&both["changed_there"], &both["ledger"]), (&json!(true), &json!("c0-3")));
    assert_eq!(lines["shop.cases differs {\"id\":1}"]["changed_there"], false);
    let text = fs::read_to_string(divergence.export.join("rows.jsonl")).unwrap();
    assert!(
        text.contains(r#""b":1.50,"at":"2026-01-01T00:00:00+00:00","note":{"a" : 1,  "a" : 2}"#),
        "kept whole: {text}"
    );

    assert_eq!(divergence.rows, Some(ExportedRows { only_here: 5, differs: 2, gone_here: 2, same: 1 }));
    let manifest = manifest(&divergence);
    assert_eq!(manifest["compared"]["tables"]["shop.cases"]["only_here"], 3);
    assert!(manifest["compared"]["tables"].get("shop.untouched").is_none(), "untouched tables are not read");
    // Both deletes, the first update of row 1, and the insert of row 12 with its delete.
    assert_eq!(manifest["compared"]["without_rows"], 4, "{manifest}");
    a.catches_up(&b).await;
    nothing_of_the_copy(&a);
}

fn nothing_of_the_copy(site: &Site) {
    let config = site.server.config();
    assert!(!config.home.join("compare").exists() && !config.run_dir.join("compare").exists());
    assert_eq!(process::of_directory(&config.home.join("compare/data")).unwrap(), Vec::<i32>::new());
}

/// Of the table without a key: kind and value.
fn heap(title: &str) -> String {
    let (kind, value) = title.split_once(' ').unwrap();
    format!("shop.heap {kind} {{\"v\":\"{value}\"}}")
}

#[tokio::test]
async fn tables_without_a_key_are_compared_as_multisets() {
    let (a, b) = parted().await;
    a.sql("insert into shop.heap values ('new'), ('new'), ('kept'), ('retried'), ('retried')").await;
    a.sql("delete from shop.heap where v = 'gone'; update shop.heap set v = v where v = 'moved'").await;
    a.sql("delete from shop.heap where ctid = (select min(ctid) from shop.heap where v = 'twice')").await;
    b.sql("insert into shop.heap values ('there'), ('retried')").await;
    let divergence = follow(&a, &b).await.divergence.unwrap();
    let expected =
        ["gone_here gone", "gone_here twice", "only_here kept", "only_here new", "only_here new", "only_here retried"];
    assert_eq!(titles(&divergence.export), expected.map(heap));
    assert_eq!(divergence.rows, Some(ExportedRows { only_here: 4, gone_here: 2, differs: 0, same: 2 }));
}

#[tokio::test]
async fn tables_written_anew_made_or_dropped_are_compared_whole() {
    let (a, b) = parted().await;
    a.sql("truncate shop.cases; insert into shop.cases values (1, 'c0', 1, 'before'), (50, 'c5', 5, 'after')").await;
    a.sql("truncate shop.heap; insert into shop.heap values ('kept'), ('new')").await;
    a.sql("create table shop.made (id int primary key); insert into shop.made values (1)").await;
    a.sql("update shop.pairs set note = '1' where a = 'y'").await;
    b.sql("insert into shop.cases values (60, 'c6', 6, 'there'); create table shop.other (id int)").await;
    b.sql("alter table shop.pairs add column extra int").await;
    let divergence = follow(&a, &b).await.divergence.unwrap();
    let mut expected: Vec<String> = (2..=6).map(|id| format!("shop.cases gone_here {{\"id\":{id}}}")).collect();
    expected.push("shop.cases only_here {\"id\":50}".into());
    expected
        .extend(["gone_here gone", "gone_here moved", "gone_here twice", "gone_here twice", "only_here new"].map(heap));
    expected.push("shop.made only_here {\"id\":1}".into());
    expected.push("shop.pairs differs {\"a\":\"y\",\"b\":2.0}".into());
    assert_eq!(titles(&divergence.export), expected);
    let notes = manifest(&divergence)["compared"]["notes"].to_string();
    for note in ["shop.made is only here", "shop.other is only there", "shop.pairs has the columns"] {
        assert!(notes.contains(note), "{notes}");
    }
}

#[tokio::test]
async fn rows_behind_a_policy_are_not_taken_for_lost() {
    let (a, b) = parted().await;
    b.sql("alter table shop.cases enable row level security; alter table shop.cases force row level security").await;
    a.sql("update shop.cases set subject = 'here' where id = 1").await;
    let divergence = follow(&a, &b).await.divergence.unwrap();
    assert_eq!(titles(&divergence.export), ["shop.cases differs {\"id\":1}"]);
}

#[tokio::test]
async fn without_room_for_a_copy_nothing_is_rewound() {
    let (mut a, b) = parted().await;
    insert_cases(&a, 10..12).await;
    a.server.kill_all().await.unwrap();
    a.reopen(|config| config.limits.spare_bytes = u64::MAX / 2);
    match a.server.follow(&b.upstream()).await.unwrap() {
        Act::Refused(why) => assert!(why.contains("cannot be exported") && why.contains("MB are free"), "{why}"),
        other => panic!("not refused: {other:?}"),
    }
    assert!(!a.server.config().home.join("unfinished").exists(), "nothing was rewound");
    nothing_of_the_copy(&a);
    a.reopen(|config| config.limits.spare_bytes = 0);
    let followed = follow(&a, &b).await;
    assert_eq!((followed.way, followed.divergence.unwrap().rows.unwrap().only_here), (Way::Rewind, 2));
}

#[tokio::test]
async fn killed_in_the_middle_of_the_export_nothing_is_rewound_and_it_is_done_anew() {
    let (a, b) = parted().await;
    insert_cases(&a, 10..12).await;
    a.server.kill_all().await.unwrap();
    // The copy cannot be compared while the new writer is frozen in the middle of it: its tables are locked.
    let lock = b.application().await;
    lock.batch_execute("begin; lock table shop.cases").await.unwrap();
    let (home, copy) = (a.server.config().home.clone(), a.server.config().home.join("compare/data"));
    let upstream = b.upstream();
    {
        let follow = a.server.follow(&upstream);
        tokio::pin!(follow);
        let waits = eventually("the comparison waits for the lock", async || {
            let waiting = "select 1 from pg_locks where not granted";
            !lock.query(waiting, &[]).await.unwrap().is_empty()
        });
        tokio::select! {
            ended = &mut follow => panic!("it ended: {ended:?}"),
            () = waits => {}
        }
        assert!(!process::of_directory(&copy).unwrap().is_empty(), "a copy runs");
        a.server.kill_all().await.unwrap();
        // Dropped here, as when the agent is killed.
    }
    let export = fs::read_dir(home.join("export")).unwrap().next().unwrap().unwrap().path();
    assert!(!export.join("manifest.json").exists(), "the export is not complete");
    assert!(!home.join("unfinished").exists(), "nothing was rewound");
    lock.batch_execute("rollback").await.unwrap();

    let followed = follow(&a, &b).await;
    assert_eq!((followed.way, followed.divergence.clone().unwrap().rows.unwrap().only_here), (Way::Rewind, 2));
    assert_eq!(lines(&followed.divergence.unwrap().export).len(), 2);
    nothing_of_the_copy(&a);
}

/// A page of the log begins with a header, so that a fork at its end is not where the next record stands.
#[tokio::test]
async fn a_divergence_that_begins_with_a_page_of_the_log_is_compared_and_rewound() {
    let (a, b) = pair().await;
    let admin = a.admin().await;
    // It writes to the log now and then.
    let writer = "select pid from pg_stat_activity where backend_type = 'background writer'";
    process::signal(admin.query_one(writer, &[]).await.unwrap().get(0), Signal::STOP);
    let in_page = "select ((pg_current_wal_insert_lsn() - '0/0') % 8192)::int";
    let mut at: i32 = 0;
    for _ in 0..100 {
        at = admin.query_one(in_page, &[]).await.unwrap().get(0);
        if at == 24 {
            break; // the next record stands after the header of a page that is new
        }
        // A message longer than 255 bytes takes 54 bytes more, and any takes a multiple of eight.
        let fills = if 8192 - at > 400 { 8192 - at - 54 } else { 8000 };
        admin.execute("select pg_logical_emit_message(false, '', repeat('x', $1))", &[&fills]).await.unwrap();
    }
    assert_eq!(at, 24, "no record ended with a page");
    eventually("the log is on the disk", async || {
        let flushed = "select pg_current_wal_insert_lsn() - 24 = pg_current_wal_flush_lsn()";
        admin.query_one(flushed, &[]).await.unwrap().get(0)
    })
    .await;
    b.catches_up(&a).await;
    part(&b).await;
    insert_cases(&a, 10..13).await;
    let followed = follow(&a, &b).await;
    let divergence = followed.divergence.unwrap();
    assert_eq!(divergence.lsn.0 % 8192, 0, "{divergence:?}");
    assert_eq!((followed.way, divergence.commits, divergence.rows.unwrap().only_here), (Way::Rewind, Some(1), 3));
    a.catches_up(&b).await;
}

/// The recovery that comes before a rewind ends with a checkpoint, which may not recycle the log that the rewind reads.
#[tokio::test]
async fn a_rewind_finds_its_log_after_the_recovery_that_it_needs() {
    let (a, b) = parted_far_from_a_checkpoint().await;
    a.server.kill_all().await.unwrap();
    let followed = follow(&a, &b).await;
    assert_eq!((followed.way, followed.divergence.unwrap().rows.unwrap().only_here), (Way::Rewind, 3));
    a.catches_up(&b).await;
}

#[tokio::test]
async fn a_rewind_whose_log_is_gone_is_a_copy_after_the_export() {
    let (a, b) = parted_far_from_a_checkpoint().await;
    a.server.kill_all().await.unwrap();
    remove_common_log(&a);
    let followed = follow(&a, &b).await;
    assert_eq!(followed.way, Way::Copy);
    let divergence = followed.divergence.unwrap();
    assert_eq!(divergence.rows, Some(ExportedRows { only_here: 3, ..ExportedRows::default() }));
    assert_eq!(lines(&divergence.export).len(), 3);
    a.catches_up(&b).await;
}

#[tokio::test]
async fn an_export_survives_a_rewind_that_was_left_unfinished() {
    let (a, b) = parted_far_from_a_checkpoint().await;
    a.server.kill_all().await.unwrap();
    remove_common_log(&a);
    let home = a.server.config().home.clone();
    let upstream = b.upstream();
    {
        let follow = a.server.follow(&upstream);
        tokio::pin!(follow);
        let begun = eventually("a rewind or copy begins", async || home.join("unfinished").exists());
        tokio::select! {
            ended = &mut follow => panic!("it ended: {ended:?}"),
            () = begun => {}
        }
        a.server.kill_all().await.unwrap();
    }
    assert_eq!(a.server.observe().await.server, ServerState::Unfinished);
    let followed = follow(&a, &b).await;
    assert_eq!((followed.way, followed.divergence.unwrap().rows.unwrap().only_here), (Way::Copy, 3));
}
