//! The PostgreSQL driver against real servers: SAFETY.md items 6, 7, 8, 12 and 13 as far as one machine can show them.

#[path = "postgres/backup.rs"]
mod backup;
#[path = "postgres/disk.rs"]
mod disk;
#[path = "postgres/export.rs"]
mod export;
#[path = "postgres/given_up.rs"]
mod given_up;
#[path = "postgres/site.rs"]
mod site;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use antipode_drivers::Act;
use antipode_drivers::postgres::{Database, Server, ServerState, Way, Wrote};
use antipode_drivers::process;
use model::{Epoch, Lsn, SiteId};
use rustix::process::Signal;
use site::{Site, done, epoch, eventually};

/// Two sites, `b` a standby of `a`, caught up with ten rows.
async fn pair() -> (Site, Site) {
    let a = Site::writing("site-a", &["site-b"]).await;
    let b = Site::new("site-b", &["site-a"]);
    let followed = done(b.server.follow(&a.upstream()).await.unwrap());
    assert_eq!((followed.way, &followed.divergence), (Way::Copy, &None));
    println!("first copy: {:?}", followed.phases);
    a.insert(0..10).await;
    b.catches_up(&a).await;
    (a, b)
}

fn say(what: &str, wrote: &Wrote) {
    println!("{what}: {:?}", wrote.phases);
}

#[tokio::test]
async fn a_writer_starts_records_its_epoch_and_is_observed() {
    let a = Site::new("site-a", &[]);
    assert_eq!(a.server.observe().await.server, ServerState::Absent);
    assert!(matches!(a.server.start_writer(&epoch(1, "site-a"), &[]).await.unwrap(), Act::Refused(_)));
    assert_eq!(a.server.initialise().await.unwrap(), Act::Done(()));
    assert_eq!(a.server.initialise().await.unwrap(), Act::AlreadyDone(()));
    assert_eq!(a.server.observe().await.server, ServerState::Stopped);

    let wrote = done(a.server.start_writer(&epoch(1, "site-a"), &[]).await.unwrap());
    say("start", &wrote);
    assert_eq!(wrote.timeline, 1);
    let again = a.server.start_writer(&epoch(1, "site-a"), &[]).await.unwrap();
    assert!(matches!(again, Act::AlreadyDone(_)), "{again:?}");

    let client = a.application().await;
    let rows = client.query("select number, site from antipode.epochs", &[]).await.unwrap();
    let rows: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [(1, "site-a".to_owned())]);
    let forbidden = client.execute("insert into antipode.epochs values (9, 'x', 1, '0/0')", &[]).await;
    assert!(forbidden.is_err(), "the application may only read epochs");

    let started = Instant::now();
    let observed = a.server.observe().await;
    println!("observe: {:?}", started.elapsed());
    assert!(matches!(observed.server, ServerState::Writing { position } if position > Lsn(0)), "{observed:?}");
    assert_eq!((observed.timeline, observed.written), (1, epoch(1, "site-a")));
}

#[tokio::test]
async fn without_the_lease_file_no_server_starts() {
    let a = Site::writing("site-a", &[]).await;
    assert!(a.server.config().lease_file().exists());
    done(a.server.stop().await.unwrap());
    assert!(!a.server.config().lease_file().exists());

    let by_hand = by_hand(&a);
    assert!(!by_hand.0, "it started: {}", by_hand.1);
    assert!(by_hand.1.contains("lease.conf"), "{}", by_hand.1);
    assert!(a.pids().is_empty());
    // Nor does a lease file that a killed agent left outlive the start of the next agent.
    fs::write(a.server.config().lease_file(), "").unwrap();
    drop(Server::new(a.server.config().clone()).unwrap());
    assert!(!a.server.config().lease_file().exists());
    // The same by hand with a lease file does start: it was the file that held it back.
    fs::write(a.server.config().lease_file(), "").unwrap();
    let by_hand = self::by_hand(&a);
    assert!(by_hand.0, "{}", by_hand.1);
}

/// What an operator, or a boot script, would do. Whether it started, and the log.
fn by_hand(site: &Site) -> (bool, String) {
    let config = site.server.config();
    let pg_ctl = format!(
        "'{}' -D '{}' -l '{}' -w start",
        config.binaries.program("pg_ctl").display(),
        config.data().display(),
        config.home.join("by-hand.log").display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &pg_ctl]).current_dir("/");
    if let Some(user) = config.run_as {
        command.uid(user.uid).gid(user.gid);
    }
    let ok = command.stdout(std::process::Stdio::null()).status().unwrap().success();
    (ok, fs::read_to_string(config.home.join("by-hand.log")).unwrap_or_default())
}

#[tokio::test]
async fn replicates_and_promotes() {
    let (a, b) = pair().await;
    let standby = b.server.observe().await;
    assert!(matches!(&standby.server, ServerState::Standby { upstream, .. } if *upstream == SiteId::new("site-a")));
    assert_eq!(standby.written, epoch(1, "site-a"));
    eventually("a sees its standby", async || {
        let seen = a.server.observe().await.standbys;
        seen.len() == 1 && seen[0].site == SiteId::new("site-b") && seen[0].streaming && !seen[0].synchronous
    })
    .await;
    assert!(matches!(b.server.follow(&a.upstream()).await.unwrap(), Act::AlreadyDone(_)));
    assert!(matches!(b.server.start_writer(&epoch(2, "site-b"), &[]).await.unwrap(), Act::Refused(_)));

    a.server.kill_all().await.unwrap();
    let started = Instant::now();
    let wrote = done(b.server.promote(&epoch(2, "site-b"), &[]).await.unwrap());
    println!("promotion took {:?}", started.elapsed());
    say("promotion", &wrote);
    assert_eq!(wrote.timeline, 2);
    b.insert(10..12).await;
    assert_eq!(b.ids().await, (0..12).collect::<Vec<_>>());
    let again = b.server.promote(&epoch(2, "site-b"), &[]).await.unwrap();
    assert!(matches!(again, Act::AlreadyDone(Wrote { timeline: 2, lsn, .. }) if lsn == wrote.lsn), "{again:?}");
    assert_eq!(b.server.observe().await.written, epoch(2, "site-b"));
}

#[tokio::test]
async fn a_promotion_cuts_the_stream_of_a_writer_that_lives() {
    let (a, b) = pair().await;
    done(b.server.promote(&epoch(2, "site-b"), &[]).await.unwrap());
    a.insert(100..110).await;
    assert_eq!(b.ids().await, (0..10).collect::<Vec<_>>());
}

/// A session that goes on committing by itself, one row at a time.
async fn writes_alone(site: &Site) {
    let client = site.application().await;
    tokio::spawn(async move {
        let endless =
            "do $$ begin for i in 1000..2000000000 loop insert into rows values (i); commit; end loop; end $$";
        let _ = client.batch_execute(endless).await;
    });
    let started = site.application().await;
    eventually("it writes", async || {
        started.query_one("select count(*) from rows where id >= 1000", &[]).await.unwrap().get::<_, i64>(0) > 10
    })
    .await;
}

#[tokio::test]
async fn orphans_of_a_killed_postmaster_are_killed_too() {
    let a = Site::writing("site-a", &[]).await;
    writes_alone(&a).await;
    let postmaster = a.postmaster();
    process::signal(postmaster, Signal::KILL);
    eventually("the postmaster is gone", async || !a.pids().contains(&postmaster)).await;
    assert!(!a.pids().is_empty(), "a backend lives on, or this test shows nothing");

    let gone = a.server.kill_all().await.unwrap();

    assert!(!gone.killed().is_empty());
    println!("killed {} in {:?}", gone.killed().len(), gone.took());
    assert!(a.pids().is_empty());
    assert_eq!(a.server.observe().await.server, ServerState::Stopped);
    // What it left does not stand in the way of the next start.
    done(a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap());
    assert_eq!(a.server.observe().await.written, epoch(2, "site-a"));
}

/// After a crash of one backend PostgreSQL would start anew by itself, and show what was waiting for the standby.
#[tokio::test]
async fn a_writer_that_waits_for_a_standby_ends_when_a_backend_crashes_and_one_that_does_not_goes_on() {
    let a = Site::writing("site-a", &[]).await;
    let postmaster = a.postmaster();
    for waits in [false, true] {
        let standbys: &[SiteId] = if waits { &[SiteId::new("site-b")] } else { &[] };
        a.server.set_synchronous(standbys).await.unwrap();
        let client = a.returning().await;
        let backend: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        process::signal(backend, Signal::KILL);
        if waits {
            eventually("the server ends", async || !a.pids().contains(&postmaster)).await;
        } else {
            eventually("sessions were ended", async || client.is_closed()).await;
            drop(a.returning().await);
            assert!(a.pids().contains(&postmaster), "it starts anew by itself");
        }
    }
    a.server.kill_all().await.unwrap();
}

#[tokio::test]
async fn a_stopped_postmaster_is_seen_and_killed() {
    let a = Site::with("site-a", &[], |config| config.limits.query = Duration::from_millis(300));
    done(a.server.initialise().await.unwrap());
    eventually("it starts", async || a.server.start_writer(&epoch(1, "site-a"), &[]).await.is_ok()).await;
    for pid in a.pids() {
        process::signal(pid, Signal::STOP);
    }
    assert_eq!(a.server.observe().await.server, ServerState::Unresponsive);
    let started = Instant::now();
    a.server.kill_all().await.unwrap();
    println!("killed the stopped in {:?}", started.elapsed());
    assert!(a.pids().is_empty());
    assert!(!a.server.config().lease_file().exists());
}

#[tokio::test]
async fn a_kill_overtakes_a_start() {
    let a = Site::new("site-a", &[]);
    done(a.server.initialise().await.unwrap());
    let first = epoch(1, "site-a");
    let (start, kill) = tokio::join!(a.server.start_writer(&first, &[]), async {
        eventually("it is on its way", async || !a.pids().is_empty()).await;
        a.server.kill_all().await
    });
    kill.unwrap();
    println!("the start ended with {start:?}");
    assert!(start.is_err(), "{start:?}");
    assert!(a.pids().is_empty());
}

/// `a` is killed after it wrote rows that `b`, promoted, does not have.
async fn diverged() -> (Site, Site) {
    let (a, b) = pair().await;
    done(b.server.promote(&epoch(2, "site-b"), &[]).await.unwrap());
    a.insert(500..507).await;
    b.insert(10..15).await;
    a.server.kill_all().await.unwrap();
    (a, b)
}

#[tokio::test]
async fn a_diverged_writer_exports_rewinds_and_streams() {
    let (a, b) = diverged().await;
    let followed = done(a.server.follow(&b.upstream()).await.unwrap());
    println!("rewind: {:?}", followed.phases);

    assert_eq!(followed.way, Way::Rewind);
    let divergence = followed.divergence.expect("a divergence");
    assert_eq!((divergence.timeline, divergence.commits), (1, Some(7)));
    let manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(divergence.export.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["commits"], 7);
    let commits = fs::read_to_string(divergence.export.join("commits.jsonl")).unwrap();
    assert_eq!(commits.lines().filter(|line| line.contains("COMMIT")).count(), 7);
    for segment in manifest["segments"].as_array().unwrap() {
        let path = divergence.export.join(segment["name"].as_str().unwrap());
        assert_eq!(fs::metadata(path).unwrap().len(), segment["bytes"].as_u64().unwrap());
    }
    a.catches_up(&b).await;
    assert_eq!(a.ids().await, (0..15).collect::<Vec<_>>(), "the divergent rows are gone, the new ones are there");

    // And back: the roles can change again.
    done(b.server.stop().await.unwrap());
    let wrote = done(a.server.promote(&epoch(3, "site-a"), &[]).await.unwrap());
    assert_eq!(wrote.timeline, 3);
    assert_eq!(done(b.server.follow(&a.upstream()).await.unwrap()).way, Way::Direct);
}

/// As after the archive was told to end a file, with nothing written since.
#[tokio::test]
async fn a_diverged_writer_whose_log_ended_with_a_file_is_rewound() {
    let (a, b) = pair().await;
    done(b.server.promote(&epoch(2, "site-b"), &[]).await.unwrap());
    a.insert(500..503).await;
    a.server.mark().await.unwrap();
    a.server.kill_all().await.unwrap();
    let followed = done(a.server.follow(&b.upstream()).await.unwrap());
    println!("rewind: {:?}", followed.phases);

    assert_eq!(
        (followed.way, followed.divergence.and_then(|d| d.commits)),
        (Way::Rewind, Some(4)),
        "and the mark's own"
    );
    a.catches_up(&b).await;
    assert_eq!(a.ids().await, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_pg_control_all_is_kept_and_copied_anew() {
    let (a, b) = diverged().await;
    fs::remove_file(a.server.config().data().join("global/pg_control")).unwrap();
    let followed = done(a.server.follow(&b.upstream()).await.unwrap());
    println!("copy: {:?}", followed.phases);

    assert_eq!(followed.way, Way::Copy);
    let kept = followed.divergence.expect("something is kept");
    assert_eq!(kept.commits, None);
    assert!(kept.export.join("PG_VERSION").exists() && kept.export.join("pg_wal").exists());
    a.catches_up(&b).await;
    assert_eq!(a.ids().await, (0..15).collect::<Vec<_>>());
}

/// What `pg_rewind` would read is not there any more, as after a long absence.
#[tokio::test]
async fn a_diverged_writer_whose_log_is_gone_is_kept_and_copied_anew() {
    let (a, b) = diverged().await;
    for entry in fs::read_dir(a.server.config().data().join("pg_wal")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_file() {
            fs::remove_file(entry).unwrap();
        }
    }
    let followed = done(a.server.follow(&b.upstream()).await.unwrap());

    assert_eq!(followed.way, Way::Copy);
    let kept = followed.divergence.expect("something is kept");
    assert_eq!(kept.commits, None, "nobody can count them");
    assert!(kept.export.join("global/pg_control").exists() && kept.export.join("base").exists());
    a.catches_up(&b).await;
    assert_eq!(a.ids().await, (0..15).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let a = Site::writing("site-a", &[]).await;
    a.insert(0..10).await;
    done(a.server.stop().await.unwrap());
    let version = a.server.config().data().join("PG_VERSION");
    let right = fs::read_to_string(&version).unwrap();
    fs::write(&version, "9.6\n").unwrap();
    let error = a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap_err().to_string();
    assert!(error.contains("incompatible with server"), "{error}");
    assert!(a.pids().is_empty());

    fs::write(&version, right).unwrap();
    done(a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap());
    assert_eq!(a.ids().await, (0..10).collect::<Vec<_>>(), "nothing was lost meanwhile");
}

/// A server that copies a log makes its next files ahead, and they hold nothing yet; any of them was taken to tell how large
/// a file is, and no clean stop was told for one any more.
#[tokio::test]
async fn a_clean_stop_is_told_beside_files_that_were_made_ahead() {
    let a = Site::writing("site-a", &[]).await;
    a.insert(0..10).await;
    let log = a.server.config().data().join("pg_wal");
    for number in 2..14 {
        fs::write(log.join(format!("00000001{:08X}{number:08X}", 0)), vec![0; 16 << 20]).unwrap();
    }
    let first = done(a.server.stop().await.unwrap()).end;
    let Act::AlreadyDone(again) = a.server.stop().await.unwrap() else { panic!("it was stopped") };
    assert_eq!(again.end, first);
}

#[tokio::test]
async fn a_clean_switchover_leaves_nothing_behind() {
    let (a, b) = pair().await;
    a.insert(10..20).await;
    let end = done(a.server.stop().await.unwrap()).end;
    eventually(
        "b has replayed the end",
        async || matches!(b.server.observe().await.server, ServerState::Standby { replayed, .. } if replayed >= end),
    )
    .await;
    let ServerState::Standby { replayed, .. } = b.server.observe().await.server else { panic!("no standby") };
    assert_eq!(replayed, end, "the end that we compute is the one that the standby sees");
    let again = a.server.stop().await.unwrap();
    assert!(matches!(again, Act::AlreadyDone(stopped) if stopped.end == end));

    let wrote = done(b.server.promote(&epoch(2, "site-b"), &[]).await.unwrap());
    assert_eq!(wrote.lsn, end);
    let followed = done(a.server.follow(&b.upstream()).await.unwrap());
    println!("direct: {:?}", followed.phases);
    assert_eq!((followed.way, followed.divergence), (Way::Direct, None));
    b.insert(20..21).await;
    a.catches_up(&b).await;
    assert_eq!(a.ids().await, (0..21).collect::<Vec<_>>());
}

#[tokio::test]
async fn synchronous_commits_wait_for_the_standby() {
    let (a, b) = pair().await;
    let name = SiteId::new("site-b");
    assert_eq!(a.server.set_synchronous(std::slice::from_ref(&name)).await.unwrap(), Act::Done(()));
    assert_eq!(a.server.set_synchronous(std::slice::from_ref(&name)).await.unwrap(), Act::AlreadyDone(()));
    eventually("b is synchronous", async || a.server.observe().await.standbys.iter().any(|s| s.synchronous)).await;
    a.insert(10..11).await;

    b.server.kill_all().await.unwrap();
    let client = a.application().await;
    let stuck = tokio::spawn(async move { client.execute("insert into rows values (11)", &[]).await });
    let watcher = a.application().await;
    let waiting = "select 1 from pg_stat_activity where wait_event = 'SyncRep'";
    eventually("the commit waits", async || !watcher.query(waiting, &[]).await.unwrap().is_empty()).await;
    assert!(!stuck.is_finished());
    assert_eq!(a.server.set_synchronous(&[]).await.unwrap(), Act::Done(()));
    stuck.await.unwrap().unwrap();

    assert_eq!(b.server.start_standby(&a.upstream()).await.unwrap(), Act::Done(()));
    let ServerState::Writing { position } = a.server.observe().await.server else { panic!("no writer") };
    let flushed = a.server.wait_flushed(position, &name, site::PATIENCE).await.unwrap();
    assert!(!matches!(flushed, Act::Refused(_)));
    b.catches_up(&a).await;
    assert_eq!(b.ids().await, (0..12).collect::<Vec<_>>());
}

/// The checkpointer alone tells sessions whether there is anybody to wait for, and reads its configuration only between
/// two checkpoints.
#[tokio::test]
async fn a_standby_counts_as_waited_for_only_when_the_server_was_proven_to_heed_the_order() {
    let (a, b) = pair().await;
    let name = SiteId::new("site-b");
    let checkpointer = a.process_titled("checkpointer");
    process::signal(checkpointer, Signal::STOP);
    assert_eq!(a.server.set_synchronous(std::slice::from_ref(&name)).await.unwrap(), Act::Done(()));
    let client = a.application().await;
    let said = "select 1 from pg_settings where name = 'synchronous_standby_names' and setting like '%site-b%'";
    assert_eq!(client.query(said, &[]).await.unwrap().len(), 1, "every session says that it waits");
    let seen = a.server.observe().await.standbys;
    assert!(seen.iter().any(|s| s.streaming) && seen.iter().all(|s| !s.synchronous), "{seen:?}");
    b.server.kill_all().await.unwrap();
    a.insert(10..11).await; // and this commit did not
    done(b.server.start_standby(&a.upstream()).await.unwrap());

    process::signal(checkpointer, Signal::CONT);
    let heeded = async || a.server.observe().await.standbys.iter().any(|s| s.synchronous);
    eventually("the server is known to heed the order", heeded).await;
    b.server.kill_all().await.unwrap();
    let stuck = tokio::spawn(async move { client.execute("insert into rows values (11)", &[]).await });
    let waiting = "select 1 from pg_stat_activity where wait_event = 'SyncRep'";
    let watcher = a.application().await;
    eventually("the commit waits", async || !watcher.query(waiting, &[]).await.unwrap().is_empty()).await;
    stuck.abort();
}

#[tokio::test]
async fn settings_in_the_catalogue_that_lose_writes_are_found() {
    let a = Site::writing("site-a", &[]).await;
    assert_eq!(a.server.lax_commits().await.unwrap(), []);
    a.sql(
        "alter role \"case-api\" set synchronous_commit = local; \
         alter database cases set synchronous_commit = off; \
         alter role \"case-api\" in database cases set synchronous_commit = on; \
         create function hurry() returns void language sql set synchronous_commit = remote_write as 'select'",
    )
    .await;
    let found = a.server.lax_commits().await.unwrap();
    let found: Vec<(&str, &str)> = found.iter().map(|lax| (lax.whose.as_str(), lax.value.as_str())).collect();
    let expected =
        [("for database cases", "off"), ("for role case-api", "local"), ("in function hurry()", "remote_write")];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_timeline_made_twice_is_copied_not_rewound() {
    let (a, b) = pair().await;
    let c = Site::new("site-c", &["site-b"]);
    done(c.server.follow(&a.upstream()).await.unwrap());
    c.catches_up(&a).await;
    a.server.kill_all().await.unwrap();
    done(b.server.promote(&epoch(2, "site-b"), &[]).await.unwrap());
    done(c.server.promote(&epoch(3, "site-c"), &[]).await.unwrap());
    b.insert(600..603).await;
    assert_eq!(b.server.observe().await.timeline, c.server.observe().await.timeline, "or this test shows nothing");
    assert!(matches!(b.server.follow(&c.upstream()).await.unwrap(), Act::Refused(_)), "it still writes");
    b.server.kill_all().await.unwrap();

    let followed = done(b.server.follow(&c.upstream()).await.unwrap());

    assert_eq!((followed.way, followed.divergence.unwrap().commits), (Way::Copy, None));
    b.catches_up(&c).await;
    assert_eq!(b.ids().await, (0..10).collect::<Vec<_>>());
    assert_eq!(b.server.observe().await.written, Epoch { number: 3, site: SiteId::new("site-c") });
}
