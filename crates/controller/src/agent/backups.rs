//! A region's part of backups: whoever writes keeps the vault up to date, and any region can be restored from it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use drivers::postgres::{About, Chain, Entry, LogFile, Server, Source};
use engine::writer::Mode;
use model::action::Evidence;
use model::backup::{ArchiveReport, BackupReport, KeptReport, Mark, RestoreTo, WallTime};
use model::topology::Backup;
use model::{ActError, Outcome, RunId, SiteId, Time, Verb};
use ring::digest::{Context, SHA256, digest};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::database::ended;
use super::lease::Handle;
use super::vault::{PART, hex};
use crate::clock;
use crate::rpc::AgentClient;

/// Between two looks at what is to be archived: a part of the time in which it must be there.
const LOOKS: u32 = 4;
/// Seldom enough not to be noticed.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

pub struct Backups {
    pub site: SiteId,
    pub server: Arc<Server>,
    pub lease: Handle,
    /// The witness.
    pub vault: AgentClient,
    pub plan: Backup,
    /// For one part of what goes to or comes from the vault.
    pub within: Duration,
    pub progress: tokio::sync::Mutex<Progress>,
    pub said: Mutex<ArchiveReport>,
}

/// What this agent knows of its own archiving; forgotten whenever somebody else may have written.
#[derive(Default)]
pub struct Progress {
    known: Option<Known>,
    marked: Option<Marked>,
}

struct Known {
    names: BTreeSet<String>,
    /// When the newest usable full backup was taken, by the database's clock.
    base: Option<WallTime>,
}

struct Marked {
    mark: Mark,
    /// The number of the next transaction then: the same one now, nothing was written since.
    next: u64,
    at: Time,
}

impl Backups {
    pub fn report(&self) -> BackupReport {
        let kept = self.server.config().kept().into_iter().map(|path| KeptReport {
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            path: path.display().to_string(),
        });
        let archive = self.writes().then(|| self.said().clone());
        BackupReport { vault: None, archive, kept: kept.collect() }
    }

    fn said(&self) -> std::sync::MutexGuard<'_, ArchiveReport> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writes(&self) -> bool {
        self.lease.view().mode == Mode::Writing
    }

    /// Keeps the vault up to date while this region writes.
    pub async fn tend(self: Arc<Self>, stop: CancellationToken) {
        let mut beat = tokio::time::interval((self.plan.archive_every / LOOKS).min(LONGEST_LOOK));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = stop.cancelled() => return,
            }
            let mut progress = self.progress.lock().await;
            if !self.writes() {
                *progress = Progress::default();
                continue;
            }
            let tended = tokio::select! {
                tended = self.look_after(&mut progress) => tended,
                () = stop.cancelled() => return,
            };
            self.tell(&progress, tended.err());
        }
    }

    fn tell(&self, progress: &Progress, trouble: Option<String>) {
        if let Some(why) = &trouble {
            tracing::warn!(%why, "the archive is not up to date");
        }
        let mut said = self.said();
        said.archived = progress.marked.as_ref().map(|marked| marked.mark).or(said.archived);
        said.base = progress.known.as_ref().and_then(|known| known.base).or(said.base);
        said.trouble = trouble.unwrap_or_default();
    }

    async fn look_after(&self, progress: &mut Progress) -> Result<(), String> {
        let next = self.server.next_transaction().await.map_err(|error| error.to_string())?;
        let written = progress.marked.as_ref().is_none_or(|marked| marked.next != next);
        let behind = progress.marked.as_ref().map(|marked| clock::now().since(marked.at));
        self.said().behind = behind.filter(|_| written).unwrap_or_default();
        // Half of the bound is for what follows.
        if written && behind.is_none_or(|behind| behind >= self.plan.archive_every / 2) {
            self.complete(progress).await?;
        }
        let base = self.known(progress).await?.base;
        let age = base.map(|base| Duration::from_micros(now().0.saturating_sub(base.0).max(0) as u64));
        self.said().base_age = age;
        if age.is_none_or(|age| age >= self.plan.every) {
            self.take_base(progress).await?;
        }
        Ok(())
    }

    async fn known<'p>(&self, progress: &'p mut Progress) -> Result<&'p mut Known, String> {
        if progress.known.is_none() {
            let entries = self.vault.vault_list(self.within).await.map_err(|error| error.to_string())?;
            let usable = Chain::new(&entries).report().bases.into_iter().filter(|base| base.gap.is_none());
            let base = usable.map(|base| base.from.at).max();
            progress.known = Some(Known { names: entries.into_iter().map(|entry| entry.name).collect(), base });
        }
        Ok(progress.known.as_mut().expect("just set"))
    }

    /// Everything that is committed now is in the vault when this is done.
    async fn complete(&self, progress: &mut Progress) -> Result<Mark, String> {
        let at = clock::now();
        let mark = self.server.mark().await.map_err(|error| error.to_string())?;
        let next = self.server.next_transaction().await.map_err(|error| error.to_string())?;
        let files = self.server.complete_logs().await.map_err(|error| error.to_string())?;
        for file in files {
            if self.known(progress).await?.names.contains(&file.name) {
                continue;
            }
            let content = file.read().map_err(|error| error.to_string())?;
            let about = about(&file, &content, &mark)?;
            if let Err(why) = self.upload(&file.name, &content, about).await {
                // What is there is asked for again.
                progress.known = None;
                return Err(why);
            }
            self.known(progress).await?.names.insert(file.name);
        }
        progress.marked = Some(Marked { mark, next, at });
        Ok(mark)
    }

    async fn upload(&self, name: &str, content: &[u8], about: About) -> Result<(), String> {
        let mut sending = Sending::new(self, name);
        // An empty file has one part too.
        for part in content.chunks(PART).chain(content.is_empty().then_some(&[][..])) {
            sending.send(part).await?;
        }
        sending.seal(about).await
    }

    async fn take_base(&self, progress: &mut Progress) -> Result<(), String> {
        let name = format!("base-{}-{}", now().0, self.site);
        tracing::info!(%name, "taking a full backup");
        let (sender, parts) = mpsc::channel(1);
        let mut sending = Sending::new(self, &name);
        let (base, sent) = tokio::join!(self.server.base(sender), sending.relay(parts));
        sent?;
        let from = base.map_err(|error| error.to_string())?.from;
        sending.seal(About::Base { site: self.site.clone(), from }).await?;
        tracing::info!(%name, from = %from.at, "the full backup is in the vault");
        self.known(progress).await?.base = Some(from.at);
        self.said().base_age = Some(Duration::ZERO);
        Ok(())
    }

    pub async fn carry_out(&self, verb: &Verb, within: Duration) -> Outcome {
        match verb {
            Verb::Archive => self.archive().await,
            Verb::Restore { run, to } => self.restore(*run, to, within).await,
            Verb::PutBack { run } => self.put_back(*run).await,
            other => Outcome::Refused { why: format!("{} is no matter of backups", other.name()) },
        }
    }

    /// By order: the archive is complete up to now.
    async fn archive(&self) -> Outcome {
        let mut progress = self.progress.lock().await;
        if !self.writes() {
            return Outcome::Refused { why: "this region does not write: it has nothing to add".into() };
        }
        match self.complete(&mut progress).await {
            Ok(mark) => {
                self.tell(&progress, None);
                let note = format!("the archive is complete up to {} ({})", mark.at, mark.lsn);
                Outcome::Done(Evidence { position: Some(mark.lsn), ..Evidence::note(note) })
            }
            Err(why) => Outcome::Failed(ActError::Transient(why)),
        }
    }

    /// By order: the database as it was at `to`, in the place of the present one.
    async fn restore(&self, run: RunId, to: &RestoreTo, within: Duration) -> Outcome {
        if matches!(self.lease.view().mode, Mode::Writing | Mode::Bidding(_) | Mode::Opening { .. }) {
            return Outcome::Refused { why: "this region writes, or is about to".into() };
        }
        let entries = match self.vault.vault_list(self.within).await {
            Ok(entries) => entries,
            Err(error) => return Outcome::Failed(ActError::Transient(error.to_string())),
        };
        let Some(needed) = Chain::new(&entries).needed(to) else {
            return Outcome::Refused { why: format!("no backup in the vault, with its log, reaches {to}") };
        };
        let source = FromVault { client: &self.vault, entries: &entries, within: self.within };
        ended(self.server.recover(run, to, &needed, &source, within).await, |recovered| {
            let kept = recovered.kept.as_ref().map_or(String::new(), |path| format!("; kept: {}", path.display()));
            let note = format!("{} and its log up to {to}, {}{kept}", needed.base, recovered.stopped);
            Evidence { position: Some(recovered.fork), phases: recovered.phases.clone(), ..Evidence::note(note) }
        })
    }

    async fn put_back(&self, run: RunId) -> Outcome {
        ended(self.server.put_back(run).await, |()| Evidence::note("the data of before is in its place"))
    }
}

fn about(file: &LogFile, content: &[u8], mark: &Mark) -> Result<About, String> {
    let Some(place) = file.place else {
        let text = String::from_utf8(content.to_vec()).map_err(|_| format!("{} is no text", file.name))?;
        return Ok(About::History { text });
    };
    let last = place == (mark.timeline, mark.lsn.0.saturating_sub(1) / file.segment_bytes);
    Ok(About::Log { segment_bytes: file.segment_bytes, mark: last.then_some(*mark) })
}

/// This machine's wall clock: only for names and ages that people see.
fn now() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime(since.as_micros() as i64)
}

/// One file on its way to the vault.
struct Sending<'a> {
    backups: &'a Backups,
    name: String,
    offset: u64,
    hasher: Context,
}

impl<'a> Sending<'a> {
    fn new(backups: &'a Backups, name: &str) -> Self {
        Self { backups, name: name.to_owned(), offset: 0, hasher: Context::new(&SHA256) }
    }

    async fn send(&mut self, part: &[u8]) -> Result<(), String> {
        let Backups { vault, within, .. } = self.backups;
        vault.vault_add(&self.name, self.offset, part.to_vec(), *within).await.map_err(|error| error.to_string())?;
        self.hasher.update(part);
        self.offset += part.len() as u64;
        Ok(())
    }

    /// Everything that comes; whoever hands over is told by a closed channel that nobody listens any more.
    async fn relay(&mut self, mut parts: mpsc::Receiver<Vec<u8>>) -> Result<(), String> {
        while let Some(part) = parts.recv().await {
            for part in part.chunks(PART) {
                self.send(part).await?;
            }
        }
        Ok(())
    }

    async fn seal(self, about: About) -> Result<(), String> {
        let sha256 = hex(self.hasher.finish().as_ref());
        let entry = Entry { name: self.name, bytes: self.offset, sha256, about };
        let Backups { vault, within, .. } = self.backups;
        vault.vault_seal(&entry, *within).await.map_err(|error| error.to_string())
    }
}

/// The vault as a restore reads it. Files of the log are checked against what the vault said of them; a full backup
/// has a manifest of its own.
struct FromVault<'a> {
    client: &'a AgentClient,
    entries: &'a [Entry],
    within: Duration,
}

#[async_trait]
impl Source for FromVault<'_> {
    async fn part(&self, base: &str, offset: u64) -> Result<Vec<u8>, String> {
        self.client.vault_part(base, offset, self.within).await.map_err(|error| error.to_string())
    }

    async fn file(&self, name: &str) -> Result<Vec<u8>, String> {
        let entry = self.entries.iter().find(|entry| entry.name == name).ok_or(format!("it has no {name}"))?;
        let mut bytes = Vec::new();
        loop {
            let part = self.part(name, bytes.len() as u64).await?;
            if part.is_empty() {
                break;
            }
            bytes.extend(part);
        }
        let whole = hex(digest(&SHA256, &bytes).as_ref()) == entry.sha256;
        if whole { Ok(bytes) } else { Err(format!("{name} is damaged")) }
    }
}
