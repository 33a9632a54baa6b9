//! Whatever happens on the way, nothing is thrown away that was not kept, and what was kept is named (SAFETY.md item 13).

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use antipode_drivers::Act;
use antipode_drivers::postgres::{Database, Divergence, ServerState, Way};
use antipode_drivers::process;
use tokio_postgres::NoTls;

use super::diverged;
use super::site::{PATIENCE, Site, done, epoch, eventually, free_port};

/// A server that reads a copy of a kept directory, as docs/kept-data.md says.
struct Reader {
    server: Child,
    folder: PathBuf,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = process::kill_directory(&self.folder, PATIENCE);
        let _ = self.server.wait();
    }
}

/// The rows of a data directory that was kept whole.
async fn rows_in(site: &Site, kept: &Path) -> Vec<i32> {
    let config = site.server.config();
    let folder = config.home.join("read");
    assert!(Command::new("cp").arg("-a").arg(kept).arg(&folder).status().unwrap().success());
    for name in ["standby.signal", "recovery.signal", "postmaster.pid"] {
        let _ = fs::remove_file(folder.join(name));
    }
    fs::write(folder.join("postgresql.conf"), "").unwrap();
    fs::write(folder.join("pg_hba.conf"), "local all all trust\n").unwrap();
    let port = free_port();
    let mut command = Command::new(config.binaries.program("postgres"));
    command.arg("-D").arg(&folder).args(["-c", "listen_addresses=", "-c", "dynamic_shared_memory_type=mmap"]);
    command.arg("-c").arg(format!("port={port}"));
    command.arg("-c").arg(format!("unix_socket_directories={}", config.run_dir.display()));
    command.current_dir(&folder).process_group(0);
    if let Some(user) = config.run_as {
        command.uid(user.uid).gid(user.gid);
    }
    let _reader = Reader { server: command.spawn().unwrap(), folder };
    let mut to = tokio_postgres::Config::new();
    to.host_path(&config.run_dir).port(port).dbname(&config.application.database).user(&config.superuser.role);
    let mut found = None;
    eventually("a server on the copy", async || {
        let Ok((client, connection)) = to.connect(NoTls).await else { return false };
        tokio::spawn(connection);
        let rows = client.query("select id from rows order by id", &[]).await;
        found = rows.ok().map(|rows| rows.iter().map(|row| row.get(0)).collect());
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// The old writer has the rows 500 to 506 alone.
fn old_rows() -> Vec<i32> {
    (0..10).chain(500..507).collect()
}

/// It was kept whole, the report says where and why, and the rows are in it.
async fn kept_whole(site: &Site, divergence: Option<Divergence>, why: &str) {
    let divergence = divergence.expect("the report names what was kept");
    assert!(divergence.whole.as_ref().is_some_and(|said| said.contains(why)), "{divergence:?}");
    assert_eq!((divergence.commits, divergence.rows), (None, None));
    let manifest = fs::read_to_string(divergence.export.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"whole\":true") && manifest.contains(why), "{manifest}");
    assert_eq!(rows_in(site, &divergence.export).await, old_rows());
}

#[tokio::test]
async fn what_is_to_be_kept_whole_is_kept_by_the_next_try_when_the_first_is_cut_off() {
    let (a, b) = diverged().await;
    // Its history cannot be read, and the directory cannot be moved, as on a full disk.
    let control = a.server.config().data().join("global/pg_control");
    let (hidden, export) = (a.server.config().home.join("pg_control"), a.server.config().home.join("export"));
    fs::rename(&control, &hidden).unwrap();
    fs::write(&export, "in the way").unwrap();
    let error = a.server.follow(&b.upstream()).await.unwrap_err().to_string();
    assert!(error.contains("export directory"), "{error}");
    assert_eq!(a.server.observe().await.server, ServerState::Unfinished);
    fs::rename(&hidden, &control).unwrap();
    fs::remove_file(&export).unwrap();

    let followed = done(a.server.follow(&b.upstream()).await.unwrap());
    assert_eq!(followed.way, Way::Copy);
    kept_whole(&a, followed.divergence, "pg_control").await;
    a.catches_up(&b).await;
    assert_eq!(a.ids().await, (0..15).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_restore_left_unfinished_is_no_reason_to_throw_the_data_away() {
    let (a, b) = diverged().await;
    fs::write(a.server.config().home.join("unfinished"), "restore\n").unwrap();
    let followed = done(a.server.follow(&b.upstream()).await.unwrap());
    assert_eq!(followed.way, Way::Copy);
    kept_whole(&a, followed.divergence, "a restore was left unfinished").await;
}

#[tokio::test]
async fn a_directory_without_its_version_is_damaged_and_not_absent() {
    let (a, b) = diverged().await;
    let version = a.server.config().data().join("PG_VERSION");
    let right = fs::read_to_string(&version).unwrap();
    fs::remove_file(&version).unwrap();
    let Act::Refused(why) = a.server.initialise().await.unwrap() else { panic!("an empty database instead") };
    assert!(why.contains("no server starts from it: it has no PG_VERSION"), "{why}");
    let followed = done(a.server.follow(&b.upstream()).await.unwrap());
    let kept = followed.divergence.as_ref().expect("it is kept").export.clone();
    fs::write(kept.join("PG_VERSION"), right).unwrap();
    kept_whole(&a, followed.divergence, "it has no PG_VERSION").await;
}

/// The agent may die between the act and its report; whoever asks again is told.
#[tokio::test]
async fn what_was_given_up_is_named_until_this_side_writes_again() {
    let (mut a, b) = diverged().await;
    let first = done(a.server.follow(&b.upstream()).await.unwrap());
    assert_eq!(first.way, Way::Rewind);
    let export = first.divergence.expect("an export");
    let Act::AlreadyDone(again) = a.server.follow(&b.upstream()).await.unwrap() else { panic!("it follows") };
    assert_eq!(again.divergence.as_ref(), Some(&export));
    a.server.kill_all().await.unwrap();
    a.reopen(|_| ());
    let again = done(a.server.follow(&b.upstream()).await.unwrap());
    assert_eq!((again.way, again.divergence), (Way::Direct, Some(export)));

    a.catches_up(&b).await;
    done(b.server.stop().await.unwrap());
    done(a.server.promote(&epoch(3, "site-a"), &[]).await.unwrap());
    done(b.server.follow(&a.upstream()).await.unwrap());
    b.catches_up(&a).await;
    done(a.server.stop().await.unwrap());
    done(b.server.promote(&epoch(4, "site-b"), &[]).await.unwrap());
    let again = done(a.server.follow(&b.upstream()).await.unwrap());
    assert_eq!((again.way, again.divergence), (Way::Direct, None), "it gave nothing up since it wrote");
}
