//! Full backups, the log between them, and the way back: with a folder in place of the vault.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use antipode_drivers::Act;
use antipode_drivers::postgres::{
    About, Chain, Database, Entry, Needed, Recovered, ServerState, Source, Way, parse_history_name, parse_log_name,
};
use async_trait::async_trait;
use model::RunId;
use model::backup::{Mark, RestoreTo, WallTime};

use super::site::{PATIENCE, Site, done, epoch};

const RUN: RunId = RunId(7);

#[derive(Default)]
struct Vault(Mutex<BTreeMap<String, (Entry, Vec<u8>)>>);

impl Vault {
    fn put(&self, name: &str, bytes: Vec<u8>, about: About) {
        let entry = Entry { name: name.into(), bytes: bytes.len() as u64, sha256: String::new(), about };
        let mut files = self.0.lock().unwrap();
        let known = files.entry(name.into()).or_insert_with(|| (entry, bytes.clone()));
        assert_eq!(known.1, bytes, "{name} has one content, whoever gives it");
    }
    fn forget(&self, name: &str) {
        self.0.lock().unwrap().remove(name).expect("it was there");
    }
    fn damage(&self, name: &str) {
        let mut files = self.0.lock().unwrap();
        let bytes = &mut files.get_mut(name).expect("it is there").1;
        *bytes = damaged(bytes);
    }
    fn chain(&self) -> Chain {
        let entries: Vec<Entry> = self.0.lock().unwrap().values().map(|(entry, _)| entry.clone()).collect();
        Chain::new(&entries)
    }
    fn needed(&self, to: &RestoreTo) -> Option<Needed> {
        self.chain().needed(to)
    }
    async fn back_up(&self, site: &Site, name: &str) -> Mark {
        let (sender, mut parts) = tokio::sync::mpsc::channel(1);
        let gather = async {
            let mut all = Vec::new();
            while let Some(part) = parts.recv().await {
                all.extend(part);
            }
            all
        };
        let (base, bytes) = tokio::join!(site.server.base(sender), gather);
        let from = base.unwrap().from;
        self.put(name, bytes, About::Base { site: site.server.config().site.clone(), from });
        from
    }
    async fn archive(&self, site: &Site) -> Mark {
        let mark = site.server.mark().await.unwrap();
        for file in site.server.complete_logs().await.unwrap() {
            let about = match file.place {
                Some(place) => {
                    let last = place == (mark.timeline, (mark.lsn.0 - 1) / file.segment_bytes);
                    About::Log { segment_bytes: file.segment_bytes, mark: last.then_some(mark) }
                }
                None => About::History { text: String::from_utf8(file.read().unwrap()).unwrap() },
            };
            if !self.0.lock().unwrap().contains_key(&file.name) {
                self.put(&file.name, file.read().unwrap(), about);
            }
        }
        mark
    }
}

#[async_trait]
impl Source for Vault {
    async fn part(&self, base: &str, offset: u64) -> Result<Vec<u8>, String> {
        let files = self.0.lock().unwrap();
        let rest = files[base].1.get(offset as usize..).ok_or("past the end")?;
        Ok(rest[..rest.len().min(1 << 20)].to_vec())
    }
    async fn file(&self, name: &str) -> Result<Vec<u8>, String> {
        self.0.lock().unwrap().get(name).map(|(_, bytes)| bytes.clone()).ok_or(format!("{name} is not here"))
    }
}

async fn now(site: &Site) -> RestoreTo {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
    RestoreTo::Time(WallTime(site.application().await.query_one(sql, &[]).await.unwrap().get(0)))
}

async fn ids(site: &Site) -> Vec<i32> {
    let rows = site.application().await.query("select id from rows order by id", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn recover(site: &Site, vault: &Vault, to: &RestoreTo) -> Recovered {
    let needed = vault.needed(to).expect("covered");
    done(site.server.recover(RUN, to, &needed, vault, PATIENCE).await.unwrap())
}

fn kept(site: &Site) -> PathBuf {
    site.server.config().home.join(format!("before-restore-{RUN}"))
}

#[tokio::test]
async fn what_was_committed_by_the_moment_is_there_and_nothing_after_it() {
    let (a, vault) = (Site::writing("site-a", &[]).await, Vault::default());
    a.insert(0..5).await;
    vault.back_up(&a, "base-1").await;
    a.insert(5..10).await;
    let good = now(&a).await;
    a.insert(10..11).await;
    a.sql("update rows set id = id + 1000").await;
    vault.archive(&a).await;
    done(a.server.stop().await.unwrap());

    let recovered = recover(&a, &vault, &good).await;
    println!("{recovered:?}");
    assert_eq!((recovered.timeline, &recovered.kept), (2, &Some(kept(&a))));
    assert!(recovered.stopped.contains("before commit"), "it says where it stopped: {}", recovered.stopped);
    assert_eq!(a.server.observe().await.server, ServerState::Stopped, "nothing writes that was not promoted");
    assert!(!a.server.config().lease_file().exists());

    // As after a lost answer: the same order again changes nothing.
    let needed = vault.needed(&good).unwrap();
    let again = a.server.recover(RUN, &good, &needed, &vault, PATIENCE).await.unwrap();
    assert!(matches!(&again, Act::AlreadyDone(again) if again.fork == recovered.fork), "{again:?}");

    let wrote = done(a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap());
    assert_eq!(wrote.timeline, 2);
    assert_eq!(ids(&a).await, (0..10).collect::<Vec<_>>());
    assert!(kept(&a).join("PG_VERSION").exists(), "what was replaced is kept");
    assert_eq!(a.server.config().kept(), [kept(&a)]);
}

#[tokio::test]
async fn a_restore_that_is_taken_back_leaves_the_database_as_it_was() {
    let (a, vault) = (Site::writing("site-a", &[]).await, Vault::default());
    vault.back_up(&a, "base-1").await;
    let empty = now(&a).await;
    a.insert(0..10).await;
    vault.archive(&a).await;
    assert!(matches!(
        a.server.recover(RUN, &empty, &vault.needed(&empty).unwrap(), &vault, PATIENCE).await.unwrap(),
        Act::Refused(why) if why.contains("still write")
    ));
    done(a.server.stop().await.unwrap());
    assert_eq!(a.server.put_back(RUN).await.unwrap(), Act::AlreadyDone(()), "nothing was done yet");
    recover(&a, &vault, &empty).await;
    assert_eq!(a.server.put_back(RUN).await.unwrap(), Act::Done(()));
    assert_eq!(a.server.put_back(RUN).await.unwrap(), Act::AlreadyDone(()));
    done(a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap());
    assert_eq!(ids(&a).await, (0..10).collect::<Vec<_>>());
    assert!(a.server.config().kept().is_empty());
}

#[tokio::test]
async fn a_hole_in_the_archive_is_seen_and_not_jumped() {
    let (a, vault) = (Site::writing("site-a", &[]).await, Vault::default());
    vault.back_up(&a, "base-1").await;
    for batch in 0..4 {
        a.insert(batch * 5..batch * 5 + 5).await;
        vault.archive(&a).await;
    }
    let late = now(&a).await;
    a.insert(100..101).await;
    vault.archive(&a).await;
    assert!(vault.needed(&late).is_some());
    let logs: Vec<String> = vault.needed(&late).unwrap().logs;
    let hole = logs[logs.len() - 2].clone();
    vault.forget(&hole);
    assert_eq!(vault.needed(&late), None);
    assert_eq!(vault.chain().report().bases[0].gap.as_deref(), Some(&*hole));
    // A full backup after the hole begins anew.
    vault.back_up(&a, "base-2").await;
    let later = now(&a).await;
    a.insert(200..201).await;
    vault.archive(&a).await;
    assert_eq!(vault.needed(&later).unwrap().base, "base-2");
}

#[tokio::test]
async fn the_archive_goes_on_across_a_failover_and_the_standby_follows_the_past() {
    let vault = Vault::default();
    let (a, b) = super::pair().await;
    vault.back_up(&a, "base-1").await;
    a.insert(10..20).await;
    vault.archive(&a).await;
    a.insert(20..25).await;
    b.catches_up(&a).await;
    a.server.kill_all().await.unwrap();
    done(b.server.promote(&epoch(2, "site-b"), &[]).await.unwrap());
    b.insert(25..30).await;
    let good = now(&b).await;
    b.insert(30..40).await;
    vault.archive(&b).await;
    let followed = done(a.server.follow(&b.upstream()).await.unwrap());
    println!("the old writer: {:?}", followed.way);
    a.catches_up(&b).await;
    let names: Vec<String> = vault.needed(&good).unwrap().logs;
    let timelines: Vec<u32> = names.iter().filter_map(|name| parse_log_name(name, 16 << 20)).map(|(t, _)| t).collect();
    assert!(timelines.contains(&1) && timelines.contains(&2), "{names:?}");
    assert!(vault.0.lock().unwrap().keys().any(|name| parse_history_name(name) == Some(2)));

    // Restored where the writer was not: at the standby, which runs.
    done(b.server.stop().await.unwrap());
    let recovered = recover(&a, &vault, &good).await;
    assert_eq!(recovered.timeline, 3);
    done(a.server.start_writer(&epoch(3, "site-a"), &[]).await.unwrap());
    assert_eq!(ids(&a).await, (0..30).collect::<Vec<_>>());
    a.insert(500..501).await;
    let followed = done(b.server.follow(&a.upstream()).await.unwrap());
    println!("the other region: {followed:?}");
    assert!(matches!(followed.way, Way::Rewind | Way::Copy));
    b.catches_up(&a).await;
    assert_eq!(ids(&b).await, (0..30).chain([500]).collect::<Vec<_>>(), "what was taken back is gone there too");
}

#[tokio::test]
async fn a_moment_that_the_log_does_not_reach_is_refused_and_changes_nothing() {
    let (a, vault) = (Site::writing("site-a", &[]).await, Vault::default());
    vault.back_up(&a, "base-1").await;
    a.insert(0..5).await;
    let mark = vault.archive(&a).await;
    let beyond = RestoreTo::Time(WallTime(mark.at.0 + 3_600_000_000));
    assert_eq!(vault.needed(&beyond), None);
    let needed = vault.needed(&RestoreTo::Time(WallTime(mark.at.0 - 1))).unwrap();
    done(a.server.stop().await.unwrap());
    let answer = a.server.recover(RUN, &beyond, &needed, &vault, PATIENCE).await.unwrap();
    assert!(matches!(&answer, Act::Refused(why) if why.contains("before configured recovery target")), "{answer:?}");
    assert!(!kept(&a).exists());
    done(a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap());
    assert_eq!(ids(&a).await, (0..5).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_exchange_that_was_cut_off_is_ended_by_the_next_call_or_taken_back() {
    for finish in [true, false] {
        let (a, vault) = (Site::writing("site-a", &[]).await, Vault::default());
        vault.back_up(&a, "base-1").await;
        let empty = now(&a).await;
        a.insert(0..3).await;
        vault.archive(&a).await;
        done(a.server.stop().await.unwrap());
        recover(&a, &vault, &empty).await;
        // As it stands between the two renames.
        let home = a.server.config().home.clone();
        fs::rename(home.join("data"), home.join("data.restoring")).unwrap();
        fs::write(home.join("unfinished"), "restore\n").unwrap();
        let refused = a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap();
        assert!(matches!(refused, Act::Refused(_)), "half exchanged, it never starts: {refused:?}");
        if finish {
            let needed = vault.needed(&empty).unwrap();
            let ended = a.server.recover(RUN, &empty, &needed, &vault, PATIENCE).await.unwrap();
            assert!(matches!(ended, Act::AlreadyDone(_)));
        } else {
            assert_eq!(a.server.put_back(RUN).await.unwrap(), Act::Done(()));
        }
        done(a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap());
        assert_eq!(ids(&a).await.len(), if finish { 0 } else { 3 });
    }
}

#[tokio::test]
async fn a_backup_that_is_not_what_its_manifest_says_replaces_nothing() {
    let (a, vault) = (Site::writing("site-a", &[]).await, Vault::default());
    vault.back_up(&a, "base-1").await;
    let good = now(&a).await;
    a.insert(0..5).await;
    vault.archive(&a).await;
    done(a.server.stop().await.unwrap());
    vault.damage("base-1");
    let needed = vault.needed(&good).unwrap();
    let answer = a.server.recover(RUN, &good, &needed, &vault, PATIENCE).await.unwrap();
    assert!(matches!(&answer, Act::Refused(why) if why.contains("damaged")), "{answer:?}");
    assert!(!kept(&a).exists());
    done(a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap());
    assert_eq!(ids(&a).await, (0..5).collect::<Vec<_>>());
}

/// One byte in one file is another one; the archive itself is whole.
fn damaged(base: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (before, inside) = (directory.path().join("before"), directory.path().join("inside"));
    fs::write(&before, base).unwrap();
    fs::create_dir(&inside).unwrap();
    let tar = |args: &[&std::ffi::OsStr]| {
        assert!(std::process::Command::new("tar").args(args).status().unwrap().success());
    };
    tar(&["-xzf".as_ref(), before.as_ref(), "-C".as_ref(), inside.as_ref()]);
    let file = inside.join("global/pg_filenode.map");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    tar(&["-czf".as_ref(), before.as_ref(), "-C".as_ref(), inside.as_ref(), ".".as_ref()]);
    fs::read(&before).unwrap()
}

/// Found by the drill `corrupted-data`: the standby's connection to an upstream that was restored in place comes and goes.
#[tokio::test]
async fn a_standby_that_still_calls_the_restored_upstream_is_rewound_all_the_same() {
    let vault = Vault::default();
    let (a, b) = super::pair().await;
    vault.back_up(&a, "base-1").await;
    a.insert(10..15).await;
    let good = now(&a).await;
    a.insert(15..20).await;
    vault.archive(&a).await;
    b.catches_up(&a).await;
    done(a.server.stop().await.unwrap());
    recover(&a, &vault, &good).await;
    done(a.server.start_writer(&epoch(2, "site-a"), &[]).await.unwrap());
    for _ in 0..3 {
        let followed = b.server.follow(&a.upstream()).await.unwrap();
        let (Act::Done(followed) | Act::AlreadyDone(followed)) = followed else { panic!("{followed:?}") };
        println!("{followed:?}");
    }
    a.insert(500..501).await;
    b.catches_up(&a).await;
    let expected: Vec<i32> = ids(&a).await;
    assert!(!expected.contains(&15) && expected.contains(&14), "{expected:?}");
    assert_eq!(b.ids().await, expected);
}
