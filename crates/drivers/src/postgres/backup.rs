//! The writing server's part of a backup: full copies, and the files of the log between them.
//!
//! # Intuition
//! The files of the log lie in the data directory until they are recycled, `wal_keep` later. So they are read from there
//! when they are complete, by whoever writes now: after a failover the new writer has the old one's files too, because
//! it received them. A file that only fills slowly is ended by [`Server::mark`].
//!
//! # Rejected
//! - `archive_command`: the server would run a shell for each file, and decide when; a setting of the server would reach
//!   the vault.
//! - `pg_receivewal`: one more process and slot to keep through every failover, for bytes that are on this disk anyway.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use model::backup::{Mark, WallTime};
use model::{ActError, Lsn};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::Error;
use super::backup_chain::{history_name, parse_history_name, parse_log_name};
use super::config::text;
use super::server::{Server, last_lines};
use super::session::column;

/// How much of a full backup is handed over at once.
const PART: usize = 4 << 20;

/// A file of this server's log that will not change any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFile {
    pub name: String,
    /// `None` for a timeline's history.
    pub place: Option<(u32, u64)>,
    pub segment_bytes: u64,
    path: PathBuf,
}

/// A full backup that was handed over whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base {
    /// It can be taken to here, and to any later moment.
    pub from: Mark,
}

const NOW: &str = "
    select ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int as timeline,
        pg_current_wal_insert_lsn() as lsn, (extract(epoch from clock_timestamp()) * 1000000)::bigint as at,
        pg_snapshot_xmax(pg_current_snapshot()) as next,
        (select setting from pg_settings where name = 'wal_segment_size') as segment_bytes";

/// Where the log stands.
struct Now {
    mark: Mark,
    next: u64,
    segment_bytes: u64,
}

impl Server {
    async fn now(&self) -> Result<Now, Error> {
        let rows = self.ask("ask where the log stands", NOW, self.config.limits.start).await?;
        let row = rows.first().ok_or_else(|| Error::parse("an empty answer", NOW))?;
        let number = |name| column(row, name).parse::<u64>().map_err(|_| Error::parse("a number", column(row, name)));
        Ok(Now {
            mark: Mark {
                timeline: number("timeline")? as u32,
                lsn: column(row, "lsn").parse().map_err(|why: String| Error::parse("a position", why))?,
                at: WallTime(number("at")? as i64),
            },
            next: number("next")?,
            segment_bytes: number("segment_bytes")?,
        })
    }

    /// The number that the next transaction gets: unchanged, nothing was written since.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn next_transaction(&self) -> Result<u64, ActError> {
        Ok(self.now().await?.next)
    }

    /// Ends the present file of the log, so that it can be archived. Every commit from before `at` lies before `lsn`, and
    /// a commit of our own lies between: without one after its moment a recovery would not know where to stop.
    ///
    /// # Errors
    /// When the server does not answer, or does not write; when its disk is full.
    pub async fn mark(&self) -> Result<Mark, ActError> {
        Ok(self.end_log_file().await?)
    }

    async fn end_log_file(&self) -> Result<Mark, Error> {
        // The next one would find no room, and the server would panic: what is left of this one may last for long.
        self.check_room_to_write("ending a file of the log")?;
        let within = self.config.limits.start;
        let now = self.now().await?;
        // Nobody's data: it must not wait for a standby that may be gone.
        let commit = "begin; set local synchronous_commit = local; select pg_current_xact_id(); commit";
        self.ask("mark the log", commit, within).await?;
        let ended = self.ask("end the file of the log", "select pg_switch_wal() as lsn", within).await?;
        let lsn = ended.first().map(|row| column(row, "lsn")).unwrap_or_default();
        let lsn = lsn.parse().map_err(|why: String| Error::parse("a position", why))?;
        Ok(Mark { lsn, ..now.mark })
    }

    /// Files that are complete, in the order of the log: those of this server's own history, and every timeline's origin.
    ///
    /// # Errors
    /// When the server does not answer; when its directory cannot be read.
    pub async fn complete_logs(&self) -> Result<Vec<LogFile>, ActError> {
        let now = self.now().await?;
        Ok(self.list_logs(&now)?)
    }

    fn list_logs(&self, now: &Now) -> Result<Vec<LogFile>, Error> {
        let directory = self.config.data().join("pg_wal");
        let history = self.config.history(now.mark.timeline)?;
        let ended = |timeline: u32, segment: u64| {
            let span = history.spans().iter().find(|(t, _)| *t == timeline);
            let end = span.map(|(_, end)| (*end).min(now.mark.lsn));
            // Names beyond the end are of recycled files that hold something else.
            end.is_some_and(|end| segment < end.0 / now.segment_bytes)
        };
        let listed = fs::read_dir(&directory).map_err(Error::file(format!("list {}", directory.display())))?;
        let (mut logs, mut histories) = (Vec::new(), Vec::new());
        for entry in listed.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let place = parse_log_name(&name, now.segment_bytes);
            let file = LogFile { name, place, segment_bytes: now.segment_bytes, path: entry.path() };
            match place {
                Some((timeline, segment)) if ended(timeline, segment) => logs.push(file),
                None if parse_history_name(&file.name).is_some() => histories.push(file),
                _ => {}
            }
        }
        logs.sort_by_key(|file| file.place.map(|(timeline, segment)| (segment, timeline)));
        histories.extend(logs);
        Ok(histories)
    }

    /// A full backup as one compressed tar file, handed over part by part. The server goes on meanwhile. It dies with this
    /// call, and with every order to kill.
    ///
    /// # Errors
    /// When it did not end well: what was handed over is then no backup.
    pub async fn base(&self, parts: mpsc::Sender<Vec<u8>>) -> Result<Base, ActError> {
        Ok(self.take_base(parts).await?)
    }

    async fn take_base(&self, parts: mpsc::Sender<Vec<u8>>) -> Result<Base, Error> {
        // It begins with a checkpoint, and that one panics without room for small files.
        self.check_room_to_write("a full backup")?;
        let pass = self.pass();
        let conninfo = self.config.conninfo_to(&text(&self.config.run_dir), self.config.listen.port());
        let args = ["-D", "-", "-F", "tar", "-X", "fetch", "-c", "fast", "-z", "-v", "-w", "-d", &conninfo];
        let mut child = self.spawn(self.tool("pg_basebackup", args), pass, "pg_basebackup")?;
        let mut complaints = child.stderr.take().expect("standard error is a pipe");
        let said = tokio::spawn(async move {
            let mut said = Vec::new();
            let _ = complaints.read_to_end(&mut said).await;
            said
        });
        let mut out = child.stdout.take().expect("standard output is a pipe");
        let handed = hand_over(&mut out, &parts).await;
        let status = child.wait().await.map_err(Error::file("wait for pg_basebackup"))?;
        let said = said.await.unwrap_or_default();
        handed?;
        if !status.success() {
            let (program, status) = ("pg_basebackup".into(), status.to_string());
            return Err(Error::Program { program, status, said: last_lines(&said) });
        }
        let said = String::from_utf8_lossy(&said).into_owned();
        let (timeline, lsn) =
            limits(&said).ok_or_else(|| Error::parse("pg_basebackup, which lacks its ends", &said))?;
        // Later than its end, never earlier: what was committed between the two is in the log that follows.
        let at = self.now().await?.mark.at;
        Ok(Base { from: Mark { timeline, lsn, at } })
    }
}

async fn hand_over(out: &mut (impl AsyncRead + Unpin), parts: &mpsc::Sender<Vec<u8>>) -> Result<(), Error> {
    loop {
        let mut part = Vec::with_capacity(PART);
        let read = (&mut *out).take(PART as u64).read_to_end(&mut part).await;
        if read.map_err(Error::file("read from pg_basebackup"))? == 0 {
            return Ok(());
        }
        if parts.send(part).await.is_err() {
            return Err(Error::Refused("whoever takes the backup has given up".into()));
        }
    }
}

/// From what `pg_basebackup -v` says: its timeline, and where it is consistent.
fn limits(said: &str) -> Option<(u32, Lsn)> {
    let after = |label: &str| said.lines().find_map(|line| line.split_once(label)).map(|(_, rest)| rest.trim());
    let (_, timeline) = after("write-ahead log start point:")?.split_once("on timeline ")?;
    Some((timeline.trim().parse().ok()?, after("write-ahead log end point:")?.parse().ok()?))
}

impl LogFile {
    /// The content, without the zeros at its end, of which a file that was ended early has many.
    ///
    /// # Errors
    /// When it is gone, or has been recycled while it was read.
    pub fn read(&self) -> Result<Vec<u8>, ActError> {
        Ok(self.content()?)
    }

    fn content(&self) -> Result<Vec<u8>, Error> {
        let what = || Error::file(format!("read {}", self.path.display()));
        let mut file = File::open(&self.path).map_err(what())?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(what())?;
        let opened = file.metadata().map_err(what())?.ino();
        // The server recycles a file by giving it another name, then writes into it.
        if fs::metadata(&self.path).map_err(what())?.ino() != opened {
            return Err(Error::Silent(format!("{} was recycled while it was read", self.name)));
        }
        if let Some((timeline, segment)) = self.place {
            check_first_page(&bytes, timeline, segment * self.segment_bytes)
                .map_err(|why| Error::Silent(format!("{} is not what its name says: {why}", self.name)))?;
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(used);
        }
        Ok(bytes)
    }
}

/// Each page of the log says which timeline wrote it and where it belongs. The first of a timeline's first file may be of
/// the timeline before.
fn check_first_page(bytes: &[u8], timeline: u32, address: u64) -> Result<(), String> {
    let header = bytes.get(..16).ok_or("it is too short")?;
    let wrote = u32::from_ne_bytes(header[4..8].try_into().expect("four bytes"));
    let at = u64::from_ne_bytes(header[8..16].try_into().expect("eight bytes"));
    if at != address || wrote == 0 || wrote > timeline {
        return Err(format!("it holds timeline {wrote} from {}", Lsn(at)));
    }
    Ok(())
}

/// A timeline's origin as it is stored.
pub(super) fn is_history(name: &str) -> bool {
    parse_history_name(name).is_some_and(|timeline| history_name(timeline) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_backup_are_what_its_program_says() {
        let said = "pg_basebackup: initiating base backup\npg_basebackup: write-ahead log start point: 0/2000028 on \
                    timeline 3\npg_basebackup: write-ahead log end point: 0/2000138\n";
        assert_eq!(limits(said), Some((3, Lsn(0x200_0138))));
        assert_eq!(limits("nothing"), None);
    }

    #[test]
    fn a_recycled_file_is_not_taken_for_what_its_name_says() {
        let mut page = vec![0; 32];
        page[4..8].copy_from_slice(&2u32.to_ne_bytes());
        page[8..16].copy_from_slice(&0x300_0000u64.to_ne_bytes());
        assert!(check_first_page(&page, 2, 0x300_0000).is_ok());
        assert!(
            check_first_page(&page, 3, 0x300_0000).is_ok(),
            "the new timeline's first file begins with the old one"
        );
        assert!(check_first_page(&page, 1, 0x300_0000).is_err());
        assert!(check_first_page(&page, 2, 0x400_0000).is_err());
        assert!(check_first_page(&[0; 32], 2, 0).is_err(), "a file that was never written");
    }
}
