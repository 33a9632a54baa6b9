//! Back to a moment of the past: a new data directory from a full backup and the log after it.
//!
//! # Intuition
//! The recovery runs in a directory beside the present one, in a server that listens to nobody, and ends there: on a
//! timeline of its own, stopped cleanly. Only then do the two directories change places, by renames. The old one is kept
//! as `before-restore-<run>`. Whoever may write is promoted later, as ever; nothing here makes a writer.
//!
//! # Rejected
//! - To stop at the moment (`recovery_target_action = shutdown`) and let the promotion end the recovery: a server that is
//!   started again without that target replays whatever log it finds, and the mistake is back.
//! - Replacing the data directory in place: a recovery that fails would leave nothing to go back to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use model::backup::RestoreTo;
use model::{Lsn, RunId};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::Child;
use tokio::time::sleep;

use super::backup::is_history;
use super::backup_chain::Needed;
use super::config::{Config, text};
use super::control::Control;
use super::files::{own, remove, remove_directory, sync_parent};
use super::history::History;
use super::server::{Pass, Server, last_lines};
use super::session::{Session, column};
use super::{Error, Phases, Stopwatch, acted};
use crate::{Act, Acted, process};

/// Where backups come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// The next part of the full backup of that name; empty at its end.
    async fn part(&self, base: &str, offset: u64) -> Result<Vec<u8>, String>;
    /// A whole file of the log or of a timeline's origin.
    async fn file(&self, name: &str) -> Result<Vec<u8>, String>;
}

/// A database as it was.
#[derive(Clone, PartialEq, Debug)]
pub struct Recovered {
    /// Its own, on which nothing was written yet.
    pub timeline: u32,
    /// Where that left the past: everything before it is here, nothing after it.
    pub fork: Lsn,
    /// What the server said of the first transaction that it left out.
    pub stopped: String,
    /// The directory that was replaced, if there was one.
    pub kept: Option<PathBuf>,
    pub phases: Phases,
}

/// `restored.json` beside the data directory: whose work a half-done exchange is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Exchange {
    run: RunId,
    timeline: u32,
    fork: Lsn,
    stopped: String,
    /// There was a directory to put aside.
    kept: bool,
}

const EXCHANGING: &str = "restore\n";

impl Config {
    fn beside(&self) -> PathBuf {
        self.home.join("data.restoring")
    }
    fn aside(&self, run: RunId) -> PathBuf {
        self.home.join(format!("before-restore-{run}"))
    }
    fn exchange_file(&self) -> PathBuf {
        self.home.join("restored.json")
    }
    fn exchange(&self, run: RunId) -> Option<Exchange> {
        let text = fs::read_to_string(self.exchange_file()).ok()?;
        serde_json::from_str(&text).ok().filter(|exchange: &Exchange| exchange.run == run)
    }
    fn is_exchanging(&self) -> bool {
        fs::read_to_string(self.unfinished()).is_ok_and(|text| text == EXCHANGING)
    }

    /// The data directories that restores have put aside.
    pub fn kept(&self) -> Vec<PathBuf> {
        let named =
            |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("before-restore-"));
        let mut found: Vec<PathBuf> =
            fs::read_dir(&self.home).into_iter().flatten().flatten().map(|e| e.path()).filter(named).collect();
        found.sort();
        found
    }

    /// As the server's own, without the lease file: it answers nobody but us.
    fn recovery_conf(&self, socket: &Path, needed: &Needed, to: &RestoreTo) -> String {
        let own = self.server_conf();
        let lines = own.lines().filter(|line| !line.starts_with("include"));
        let target = match to {
            // PostgreSQL knows no `Z` in a setting.
            RestoreTo::Time(time) => {
                format!("recovery_target_time = '{}+00'", time.to_string().trim_end_matches('Z').replace('T', " "))
            }
            RestoreTo::Lsn(lsn) => format!("recovery_target_lsn = '{lsn}'"),
        };
        let more = [
            "listen_addresses = ''".to_owned(),
            format!("unix_socket_directories = '{}'", text(socket).replace('\'', "''")),
            // All that it needs lies in its own pg_wal.
            "restore_command = 'false'".to_owned(),
            target,
            format!("recovery_target_timeline = '{}'", needed.timeline),
            "recovery_target_action = 'promote'".to_owned(),
            "recovery_target_inclusive = on".to_owned(),
            // Nobody else may undo or redo what happens here.
            "primary_conninfo = ''".to_owned(),
            "synchronous_standby_names = ''".to_owned(),
        ];
        lines.map(str::to_owned).chain(more).collect::<Vec<_>>().join("\n") + "\n"
    }
}

impl Server {
    /// Puts the database as it was at `to` into the place of the present one, which is kept. The server must not write; a
    /// running standby is stopped. Repeating a call that was cut off ends it.
    ///
    /// # Errors
    /// `Unknown` once the directories may have changed places: [`Server::put_back`] or another call settles that.
    pub async fn recover(
        &self,
        run: RunId,
        to: &RestoreTo,
        needed: &Needed,
        source: &dyn Source,
        within: Duration,
    ) -> Acted<Recovered> {
        let _turn = self.verb.lock().await;
        acted(self.restore(run, to, needed, source, within).await)
    }

    /// Undoes [`Server::recover`], wholly or half done: the directory that was put aside is in its place again.
    pub async fn put_back(&self, run: RunId) -> Acted {
        let _turn = self.verb.lock().await;
        acted(self.undo_exchange(run).await)
    }

    async fn restore(
        &self,
        run: RunId,
        to: &RestoreTo,
        needed: &Needed,
        source: &dyn Source,
        within: Duration,
    ) -> Result<Act<Recovered>, Error> {
        needed.check()?;
        let (config, pass, mut watch) = (&self.config, self.pass(), Stopwatch::start());
        if let Some(exchange) = config.exchange(run) {
            let pass = self.settle(pass).await?;
            let done = !config.is_exchanging() && config.has_data() && !config.beside().exists();
            if !done {
                self.exchange(&exchange, pass).await?;
            }
            return Ok(Act::AlreadyDone(self.recovered(exchange, watch.phases)));
        }
        if config.unfinished().exists() {
            return Err(Error::Refused("a rewind, copy or restore was left unfinished here".into()));
        }
        if self.is_running()? && !config.is_standby() {
            return Err(Error::Refused("this server may still write, stop it first".into()));
        }
        let pass = self.settle(pass).await?;
        self.clear_beside().await?;
        watch.lap("stop");
        self.unpack(&needed.base, source, pass).await?;
        self.place_logs(needed, source).await?;
        watch.lap("fetch");
        let (timeline, fork, stopped) = self.replay(to, needed, pass, within).await?;
        watch.lap("recover");
        let kept = config.data().exists();
        let exchange = Exchange { run, timeline, fork, stopped, kept };
        self.exchange(&exchange, pass).await?;
        watch.lap("exchange");
        Ok(Act::Done(self.recovered(exchange, watch.phases)))
    }

    fn recovered(&self, exchange: Exchange, phases: Phases) -> Recovered {
        let Exchange { run, timeline, fork, stopped, kept } = exchange;
        Recovered { timeline, fork, stopped, kept: kept.then(|| self.config.aside(run)), phases }
    }

    /// What an earlier try left, and every process of it.
    async fn clear_beside(&self) -> Result<(), Error> {
        let (beside, limit) = (self.config.beside(), self.config.limits.kill);
        let directory = beside.clone();
        let killing = tokio::task::spawn_blocking(move || process::kill_directory(&directory, limit));
        killing.await.map_err(|e| Error::Silent(e.to_string()))??;
        remove_directory(&beside)
    }

    /// The full backup, through `tar`.
    async fn unpack(&self, base: &str, source: &dyn Source, pass: Pass) -> Result<(), Error> {
        let beside = self.config.beside();
        fs::create_dir(&beside).map_err(Error::file(format!("make {}", beside.display())))?;
        own(&beside, self.config.run_as, 0o700)?;
        let mut command = self.system_tool("tar", ["-x", "-z", "-f", "-", "-C", &text(&beside)]);
        command.stdin(Stdio::piped());
        let mut child = self.spawn(command, pass, "tar")?;
        let mut input = child.stdin.take().expect("standard input is a pipe");
        let mut offset = 0;
        loop {
            let part = source.part(base, offset).await.map_err(|why| Error::Silent(format!("the vault: {why}")))?;
            if part.is_empty() {
                break;
            }
            offset += part.len() as u64;
            if input.write_all(&part).await.is_err() {
                break; // it has ended, and says why
            }
        }
        drop(input);
        let output = child.wait_with_output().await.map_err(Error::file("wait for tar"))?;
        if output.status.success() {
            return self.verify(pass).await;
        }
        let said = last_lines(&output.stderr);
        Err(Error::Program { program: "tar".into(), status: output.status.to_string(), said })
    }

    /// Every file of the backup by its own manifest, and the log that it needs: before anything is replaced by it.
    async fn verify(&self, pass: Pass) -> Result<(), Error> {
        let beside = text(&self.config.beside());
        match self.run("pg_verifybackup", ["--exit-on-error", "--quiet", &beside], pass).await {
            Err(Error::Program { said, .. }) => Err(Error::Refused(format!("the backup is damaged: {said}"))),
            other => other.map(drop),
        }
    }

    async fn place_logs(&self, needed: &Needed, source: &dyn Source) -> Result<(), Error> {
        let wal = self.config.beside().join("pg_wal");
        for name in needed.logs.iter().chain(&needed.histories) {
            let mut bytes = source.file(name).await.map_err(|why| Error::Silent(format!("the vault: {why}")))?;
            if !is_history(name) {
                bytes.resize(needed.segment_bytes as usize, 0);
            }
            self.place(&wal.join(name), &bytes)?;
        }
        // Also timelines that this side made and no vault has heard of: their numbers must not be given again.
        let present = fs::read_dir(self.config.data().join("pg_wal")).into_iter().flatten().flatten();
        for entry in present {
            let name = entry.file_name();
            let unknown = name.to_str().is_some_and(is_history) && !wal.join(&name).exists();
            if unknown {
                let bytes = fs::read(entry.path()).map_err(Error::file("read a timeline's history"))?;
                self.place(&wal.join(&name), &bytes)?;
            }
        }
        Ok(())
    }

    fn place(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        fs::write(path, bytes).map_err(Error::file(format!("write {}", path.display())))?;
        own(path, self.config.run_as, 0o600)
    }

    /// Runs the recovery to its end. Its new timeline, where that begins, and what was left out first.
    async fn replay(
        &self,
        to: &RestoreTo,
        needed: &Needed,
        pass: Pass,
        within: Duration,
    ) -> Result<(u32, Lsn, String), Error> {
        let config = &self.config;
        let (beside, socket) = (config.beside(), config.run_dir.join("restore"));
        fs::create_dir_all(&socket).map_err(Error::file(format!("make {}", socket.display())))?;
        own(&socket, config.run_as, 0o700)?;
        config.write_configuration()?;
        let conf = config.home.join("restore.conf");
        config.write(&conf, &config.recovery_conf(&socket, needed, to))?;
        for (name, content) in [("postgresql.auto.conf", ""), ("recovery.signal", "")] {
            config.write(&beside.join(name), content)?;
        }
        remove(&beside.join("standby.signal"))?;
        let (log, begins) = config.open_log()?;
        let both = log.try_clone().map_err(Error::file("open the server's log"))?;
        let conf = format!("config_file={}", text(&conf));
        let mut command = self.tool("postgres", ["-D", &text(&beside), "-c", &conf]);
        command.stdout(log).stderr(both);
        let mut server = self.spawn(command, pass, "postgres")?;
        let ended = self.recovery_ended(&mut server, &socket, within).await;
        let said = config.log_since(begins);
        if let Err(e) = ended {
            let _ = server.kill().await;
            self.clear_beside().await?;
            return Err(match e {
                Error::DiedStarting { .. } => Error::Refused(format!("the recovery ended early: {}", why_not(&said))),
                other => other,
            });
        }
        let timeline = self.timeline_of(&socket).await?;
        self.end_recovery(&mut server, within).await?;
        let history = fs::read_to_string(beside.join(format!("pg_wal/{timeline:08X}.history")));
        let history = history.map_err(Error::file("read the new timeline's history"))?;
        let fork = History::parse(&history, timeline)?.began();
        config.write(&beside.join("postgresql.conf"), "# The configuration is beside the data directory.\n")?;
        Ok((timeline, fork, left_out(&said)))
    }

    async fn recovery_ended(&self, server: &mut Child, socket: &Path, within: Duration) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            if server.try_wait().map_err(Error::file("look at postgres"))?.is_some() {
                return Err(Error::DiedStarting { said: String::new() });
            }
            let answer = self.ask_beside(socket, "select pg_is_in_recovery() as recovery").await;
            if answer.is_ok_and(|answer| answer == "f") {
                return Ok(());
            }
            if started.elapsed() > within {
                return Err(Error::Slow { what: "the recovery".into(), after: within });
            }
            sleep(self.config.limits.poll * 10).await;
        }
    }

    async fn timeline_of(&self, socket: &Path) -> Result<u32, Error> {
        let sql =
            "select ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int as recovery";
        let answer = self.ask_beside(socket, sql).await?;
        answer.parse().map_err(|_| Error::parse("a timeline", answer))
    }

    async fn ask_beside(&self, socket: &Path, sql: &str) -> Result<String, Error> {
        let (mut config, within) = (self.config.clone(), self.config.limits.start);
        config.run_dir = socket.to_owned();
        let session = Session::local(&config, "postgres", within).await?;
        let rows = session.rows("ask the recovering server", sql, within).await?;
        Ok(rows.first().map(|row| column(row, "recovery").to_owned()).unwrap_or_default())
    }

    /// Stops it, and makes sure that it ended whole.
    async fn end_recovery(&self, server: &mut Child, within: Duration) -> Result<(), Error> {
        let pid = server.id().map(|id| id as i32);
        if let Some(pid) = pid {
            process::signal(pid, rustix::process::Signal::INT);
        }
        let stopped = tokio::time::timeout(within, server.wait()).await;
        if stopped.is_err() {
            return Err(Error::Slow { what: "stopping the recovered server".into(), after: within });
        }
        let output = self.run("pg_controldata", ["-D", &text(&self.config.beside())], self.pass()).await?;
        let control = Control::parse(&String::from_utf8_lossy(&output.stdout))?;
        match control.state.as_str() {
            "shut down" => Ok(()),
            other => Err(Error::Silent(format!("the recovered database did not stop cleanly: it is {other}"))),
        }
    }

    /// The two directories change places. Each line may be the last before a crash: the next call goes on from there.
    async fn exchange(&self, exchange: &Exchange, pass: Pass) -> Result<(), Error> {
        let config = &self.config;
        let (data, beside, aside) = (config.data(), config.beside(), config.aside(exchange.run));
        // Nothing of the present directory may run, and nobody has ordered anything else meanwhile.
        self.kill_under(pass).await?;
        let doubt = |what: &str| {
            let what = what.to_owned();
            move |e: std::io::Error| Error::Slow { what: format!("{what} ({e})"), after: Duration::ZERO }
        };
        let record = serde_json::to_string(exchange).expect("plain data serialises");
        config.write(&config.exchange_file(), &record)?;
        config.write(&config.unfinished(), EXCHANGING)?;
        if exchange.kept && !aside.exists() {
            let made = config.home.join("made.json");
            if made.exists() {
                fs::rename(&made, data.join("antipode-made.json")).map_err(doubt("keep what was made"))?;
            }
            fs::rename(&data, &aside).map_err(doubt("put the present data aside"))?;
        }
        if beside.exists() {
            fs::rename(&beside, &data).map_err(doubt("put the restored data in place"))?;
        }
        sync_parent(&data)?;
        remove(&config.home.join("made.json"))?;
        config.write_configuration()?;
        remove(&config.unfinished())?;
        sync_parent(&config.unfinished())
    }

    async fn undo_exchange(&self, run: RunId) -> Result<Act, Error> {
        let (config, pass) = (&self.config, self.pass());
        let (data, aside) = (config.data(), config.aside(run));
        self.clear_beside().await?;
        let Some(exchange) = config.exchange(run) else { return Ok(Act::AlreadyDone(())) };
        if self.is_running()? {
            return Err(Error::Refused("the restored database runs already".into()));
        }
        self.kill_under(pass).await?;
        config.write(&config.unfinished(), EXCHANGING)?;
        if aside.exists() {
            remove_directory(&data)?;
            fs::rename(&aside, &data).map_err(Error::file("put the old data back"))?;
        } else if !exchange.kept {
            remove_directory(&data)?;
        }
        let made = data.join("antipode-made.json");
        if made.exists() {
            fs::rename(made, config.home.join("made.json")).map_err(Error::file("put back what was made"))?;
        }
        sync_parent(&data)?;
        config.write_configuration()?;
        remove(&config.exchange_file())?;
        remove(&config.unfinished())?;
        sync_parent(&config.unfinished())?;
        Ok(Act::Done(()))
    }
}

/// `recovery stopping before commit of transaction 745, time ...`, or after a position.
fn left_out(log: &str) -> String {
    let line = log.lines().rev().find(|line| line.contains("recovery stopping"));
    line.and_then(|line| line.split_once("LOG:")).map_or_else(String::new, |(_, said)| said.trim().to_owned())
}

fn why_not(log: &str) -> String {
    let fatal: Vec<&str> =
        log.lines().filter_map(|line| line.split_once("FATAL:")).map(|(_, said)| said.trim()).collect();
    if fatal.is_empty() { last_lines(log.as_bytes()) } else { fatal.join("; ") }
}
