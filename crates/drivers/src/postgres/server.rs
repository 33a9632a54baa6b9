//! Starting, stopping and killing.

use std::ffi::OsStr;
use std::fs;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use model::{ActError, Epoch, Lsn, SiteId};
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::config::{Config, text};
use super::control::Control;
use super::files::{own, remove, remove_directory};
use super::heed::Heed;
use super::reserve::Room;
use super::session::Session;
use super::watch::{LagClock, Written};
use super::{Database, Error, Followed, Observed, Stopped, Upstream, Wrote, acted};
use crate::process::{self, Gone, MARKER};
use crate::{Act, Acted};

/// The PostgreSQL server of one site. See [`Database`].
pub struct Server {
    pub(super) config: Config,
    /// Verbs take turns.
    pub(super) verb: tokio::sync::Mutex<()>,
    processes: Mutex<Processes>,
    pub(super) session: tokio::sync::Mutex<Option<Arc<Session>>>,
    pub(super) lag: Mutex<LagClock>,
    pub(super) written: Mutex<Written>,
    pub(super) heed: Heed,
}

/// Spawning and the order to kill exclude each other through this lock, so that nothing can start unseen.
#[derive(Default)]
struct Processes {
    /// Orders to kill so far.
    kills: u64,
    postmaster: Option<Child>,
}

/// A verb's permission to start processes; void once an order to kill came.
#[derive(Clone, Copy)]
pub(super) struct Pass(u64);

/// How far a started server got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    Yes,
    /// It still recovers; a standby that cannot reach its upstream may stay so for long.
    NotYet,
}

impl Server {
    /// Takes charge of a data directory, present or not. Nothing is started or stopped, but a lease file without a
    /// running server is removed: whoever left it may have lost its lease since.
    ///
    /// # Errors
    /// [`Error::Config`] for values that cannot work; when the directories cannot be made.
    pub fn new(mut config: Config) -> Result<Self, Error> {
        config.check()?;
        config.make_directories()?;
        for directory in [&mut config.home, &mut config.run_dir] {
            *directory = directory.canonicalize().map_err(Error::file(format!("find {}", directory.display())))?;
        }
        config.check()?;
        let server = Self {
            config,
            verb: tokio::sync::Mutex::default(),
            processes: Mutex::default(),
            session: tokio::sync::Mutex::default(),
            lag: Mutex::default(),
            written: Mutex::default(),
            heed: Heed::default(),
        };
        if !server.is_running()? {
            remove(&server.config.lease_file())?;
        }
        Ok(server)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Any process of the data directory counts.
    pub(super) fn is_running(&self) -> Result<bool, Error> {
        let found = process::of_directory(&self.config.data()).map_err(Error::file("list the processes"))?;
        Ok(!found.is_empty())
    }

    pub(super) fn pass(&self) -> Pass {
        Pass(self.processes().kills)
    }

    fn processes(&self) -> MutexGuard<'_, Processes> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command that [`process::kill_directory`] finds, with no setting of libpq inherited and messages in English.
    fn command(&self, program: &str) -> Command {
        self.command_at(&self.config.binaries.program(program))
    }

    fn command_at(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env(MARKER, self.config.data()).env("LC_ALL", "C").env("PGPASSFILE", self.config.passfile());
        command.current_dir(&self.config.home).stdin(Stdio::null()).process_group(0);
        if let Some(user) = self.config.run_as {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    pub(super) fn spawn(&self, mut command: Command, pass: Pass, what: &str) -> Result<Child, Error> {
        let processes = self.processes();
        if processes.kills != pass.0 {
            return Err(Error::Overtaken);
        }
        command.spawn().map_err(Error::file(format!("start {what}")))
    }

    /// A tool of the operating system, under the same rules.
    pub(super) fn system_tool(&self, program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.command_at(program.as_ref());
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// A tool that dies with the verb that runs it.
    pub(super) fn tool(&self, program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.command(program);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs a tool to its end.
    pub(super) async fn run(
        &self,
        program: &str,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        pass: Pass,
    ) -> Result<Output, Error> {
        let child = self.spawn(self.tool(program, args), pass, program)?;
        let output = child.wait_with_output().await.map_err(Error::file(format!("wait for {program}")))?;
        if output.status.success() {
            return Ok(output);
        }
        Err(Error::ended(program, output.status, &[output.stdout, output.stderr].concat()))
    }

    pub(super) async fn control(&self, pass: Pass) -> Result<Control, Error> {
        let output = self.run("pg_controldata", ["-D", &text(&self.config.data())], pass).await?;
        Control::parse(&String::from_utf8_lossy(&output.stdout))
    }

    async fn make(&self) -> Result<Act, Error> {
        let config = &self.config;
        if config.has_data() {
            return Ok(Act::AlreadyDone(()));
        }
        if config.unfinished().exists() {
            return Err(Error::Refused("a copy of the upstream was left unfinished, follow it again".into()));
        }
        if let Some(found) = config.left_over() {
            let why = found.whole.unwrap_or_default();
            return Err(Error::Refused(format!("there is a data directory, and no server starts from it: {why}")));
        }
        let pass = self.pass();
        remove_directory(&config.data())?; // an earlier try that did not end
        config.make_directories()?;
        let password = config.home.join("password");
        config.write(&password, &config.superuser.password)?;
        let (data, pwfile) = (text(&config.data()), format!("--pwfile={}", text(&password)));
        let mut args = vec!["-D", &data, "-U", &config.superuser.role, "-A", "scram-sha-256", &pwfile];
        args.extend(["--encoding=UTF8", "--locale=C", "--data-checksums"]);
        if !config.sync_on_create {
            args.push("--no-sync");
        }
        let made = self.run("initdb", args, pass).await;
        remove(&password)?;
        made?;
        config.write_configuration()?;
        Ok(Act::Done(()))
    }

    /// Starts the server with this lease file. It must not run yet.
    pub(super) async fn start(&self, lease: &str, pass: Pass) -> Result<Ready, Error> {
        let config = &self.config;
        // Also our own files need a little.
        config.room_for_start();
        config.write_configuration()?;
        config.remove_locks()?;
        let (log, begins) = config.open_log()?;
        let both = log.try_clone().map_err(Error::file("open the server's log"))?;
        own(&config.log(), config.run_as, 0o600)?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(config.data()).stdout(log).stderr(both);
        {
            let mut processes = self.processes();
            if processes.kills != pass.0 {
                return Err(Error::Overtaken);
            }
            config.write(&config.lease_file(), lease)?;
            processes.postmaster = Some(command.spawn().map_err(Error::file("start postgres"))?);
        }
        let ready = self.wait_ready(begins).await?;
        if ready == Ready::Yes {
            config.take_back();
            config.keep_room();
        }
        Ok(ready)
    }

    async fn wait_ready(&self, log_begins: u64) -> Result<Ready, Error> {
        let started = Instant::now();
        let pidfile = self.config.data().join("postmaster.pid");
        while started.elapsed() < self.config.limits.start {
            if !self.postmaster_lives() {
                let said = last_lines(self.config.log_since(log_begins).as_bytes());
                return Err(Error::DiedStarting { said });
            }
            // The eighth line of the lock file is the postmaster's own statement of its state.
            let lines = fs::read_to_string(&pidfile).unwrap_or_default();
            if lines.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
                return Ok(Ready::Yes);
            }
            sleep(self.config.limits.poll).await;
        }
        Ok(Ready::NotYet)
    }

    /// Whether the first process of the server that we started has ended, whatever became of its children.
    pub(super) fn postmaster_died(&self) -> bool {
        self.processes().postmaster.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Reaps it on the way.
    fn postmaster_lives(&self) -> bool {
        self.processes().postmaster.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// # Errors
    /// [`Error::Refused`] when there is nothing that could be started.
    pub(super) fn check_startable(&self) -> Result<(), Error> {
        if self.config.unfinished().exists() {
            return Err(Error::Refused("a rewind or copy was left unfinished, follow the upstream again".into()));
        }
        if !self.config.has_data() {
            return Err(Error::Refused("there is no data directory, initialise it or follow an upstream".into()));
        }
        Ok(())
    }

    async fn become_writer(&self, epoch: &Epoch, synchronous: &[SiteId]) -> Result<Act<Wrote>, Error> {
        self.check_startable()?;
        if self.config.is_standby() {
            return Err(Error::Refused("this is a standby's data directory, promote it".into()));
        }
        let pass = self.pass();
        if self.is_running()? {
            self.order_wait(epoch, synchronous, pass).await?;
            return Ok(Act::AlreadyDone(self.begin_epoch(epoch, super::Stopwatch::start()).await?));
        }
        let mut watch = super::Stopwatch::start();
        self.heed.started();
        if self.start(&self.config.writer_lease(epoch, synchronous), pass).await? == Ready::NotYet {
            return Err(Error::Slow { what: "starting".into(), after: self.config.limits.start });
        }
        watch.lap("start");
        Ok(Act::Done(self.begin_epoch(epoch, watch).await?))
    }

    async fn become_standby(&self, upstream: &Upstream) -> Result<Act, Error> {
        self.check_startable()?;
        if !self.config.is_standby() {
            return Err(Error::Refused("this data directory was written, follow the upstream instead".into()));
        }
        let pass = self.pass();
        if self.is_running()? {
            self.write_lease(&self.config.standby_lease(upstream), pass)?;
            self.reload().await?;
            return Ok(Act::AlreadyDone(()));
        }
        self.start(&self.config.standby_lease(upstream), pass).await?;
        Ok(Act::Done(()))
    }

    /// Replaces the lease file of a running server, unless an order to kill came.
    pub(super) fn write_lease(&self, lease: &str, pass: Pass) -> Result<(), Error> {
        let processes = self.processes();
        if processes.kills != pass.0 {
            return Err(Error::Overtaken);
        }
        self.config.write(&self.config.lease_file(), lease)
    }

    async fn halt(&self) -> Result<Act<Stopped>, Error> {
        if !self.config.has_data() {
            return Err(Error::Refused("there is no data directory".into()));
        }
        let ran = self.is_running()?;
        if ran {
            self.config.room_for_stop();
            self.ask_to_stop().await?;
        }
        *self.session.lock().await = None;
        let gone = self.kill().await?;
        let pass = self.pass();
        let control = self.control(pass).await?;
        let end = match control.state.as_str() {
            "shut down" => self.record_end(&control, pass).await?,
            "shut down in recovery" => control.recovery_end,
            other => return Err(Error::Silent(format!("it stopped, but not cleanly: the cluster state is {other}"))),
        };
        let stopped = Stopped { end, gone };
        Ok(if ran { Act::Done(stopped) } else { Act::AlreadyDone(stopped) })
    }

    /// Fast shutdown: sessions are ended, connected standbys are sent all of the log.
    pub(super) async fn ask_to_stop(&self) -> Result<(), Error> {
        let pidfile = self.config.data().join("postmaster.pid");
        let pid = fs::read_to_string(pidfile).ok().and_then(|text| text.lines().next()?.trim().parse::<i32>().ok());
        let ours = process::of_directory(&self.config.data()).map_err(Error::file("list the processes"))?;
        let Some(pid) = pid.filter(|pid| ours.contains(pid)) else {
            return Err(Error::Silent("its first process is gone while others remain".into()));
        };
        process::signal(pid, Signal::INT);
        let (started, limits) = (Instant::now(), &self.config.limits);
        while self.is_running()? {
            if started.elapsed() > limits.stop {
                return Err(Error::Slow { what: "a clean stop".into(), after: limits.stop });
            }
            self.postmaster_lives();
            sleep(limits.poll).await;
        }
        Ok(())
    }

    pub(super) async fn kill(&self) -> Result<Gone, Error> {
        self.forbid(None)?;
        self.sweep().await
    }

    /// As part of a verb, which goes on with the new pass; unless an order to kill came.
    pub(super) async fn kill_under(&self, pass: Pass) -> Result<Pass, Error> {
        let pass = self.forbid(Some(pass))?;
        self.sweep().await?;
        Ok(pass)
    }

    /// From here on nothing starts under an older pass.
    fn forbid(&self, pass: Option<Pass>) -> Result<Pass, Error> {
        let mut processes = self.processes();
        if pass.is_some_and(|pass| pass.0 != processes.kills) {
            return Err(Error::Overtaken);
        }
        processes.kills += 1;
        remove(&self.config.lease_file())?;
        Ok(Pass(processes.kills))
    }

    async fn sweep(&self) -> Result<Gone, Error> {
        let (data, limit) = (self.config.data(), self.config.limits.kill);
        let killing = tokio::task::spawn_blocking(move || process::kill_directory(&data, limit));
        let gone = killing.await.map_err(|e| Error::Silent(e.to_string()))??;
        let postmaster = self.processes().postmaster.take();
        if let Some(mut child) = postmaster {
            let _ = child.wait().await;
        }
        self.config.remove_locks()?;
        Ok(gone)
    }
}

/// Kills what is left when its owner is gone, so that a panic leaves no server behind.
impl Drop for Server {
    fn drop(&mut self) {
        let owned = self.processes().postmaster.is_some();
        if owned {
            let _ = remove(&self.config.lease_file());
            let _ = process::kill_directory(&self.config.data(), self.config.limits.kill);
        }
    }
}

/// The end of what a program said, enough to see the reason.
pub(super) fn last_lines(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join("; ")
}

#[async_trait]
impl Database for Server {
    async fn observe(&self) -> Observed {
        self.look().await
    }
    async fn initialise(&self) -> Acted {
        let _turn = self.verb.lock().await;
        acted(self.make().await)
    }
    async fn start_writer(&self, epoch: &Epoch, synchronous: &[SiteId]) -> Acted<Wrote> {
        let _turn = self.verb.lock().await;
        acted(self.become_writer(epoch, synchronous).await)
    }
    async fn start_standby(&self, upstream: &Upstream) -> Acted {
        let _turn = self.verb.lock().await;
        acted(self.become_standby(upstream).await)
    }
    async fn promote(&self, epoch: &Epoch, synchronous: &[SiteId]) -> Acted<Wrote> {
        let _turn = self.verb.lock().await;
        acted(self.take_over(epoch, synchronous).await)
    }
    async fn stop(&self) -> Acted<Stopped> {
        let _turn = self.verb.lock().await;
        acted(self.halt().await)
    }
    async fn kill_all(&self) -> Result<Gone, ActError> {
        Ok(self.kill().await?)
    }
    async fn follow(&self, upstream: &Upstream) -> Acted<Followed> {
        let _turn = self.verb.lock().await;
        acted(self.rejoin(upstream).await)
    }
    async fn set_synchronous(&self, standbys: &[SiteId]) -> Acted {
        let _turn = self.verb.lock().await;
        acted(self.name_synchronous(standbys).await)
    }
    async fn wait_flushed(&self, position: Lsn, standby: &SiteId, within: std::time::Duration) -> Acted {
        acted(self.flushed(position, standby, within).await)
    }
    async fn lax_commits(&self) -> Result<Vec<super::LaxCommit>, ActError> {
        Ok(self.find_lax_commits().await?)
    }
    fn room(&self) -> Room {
        self.config.room()
    }
    async fn keep_room(&self) {
        // Not in the middle of a start or stop that is given the room.
        if let Ok(_turn) = self.verb.try_lock() {
            self.config.keep_room();
        }
    }
    async fn last_replayed_commit(&self) -> Result<Option<String>, ActError> {
        Ok(self.find_last_replayed_commit().await?)
    }
}
