//! One process of the fleet: started with what it must know, and never left behind.

use std::fs::{self, OpenOptions};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::FleetConfig;
use super::roster::Slot;
use crate::process::{MARKER, StillRunning, kill_directory};

/// Kills what an earlier run of this fleet left behind when it was killed itself: an orphan would hold a port, and
/// answer checks that are meant for its successor.
pub(super) fn kill_orphans(config: &FleetConfig) -> Result<(), StillRunning> {
    fs::create_dir_all(&config.logs)?;
    let gone = kill_directory(&mark(config)?, config.stop_within)?;
    if !gone.killed().is_empty() {
        tracing::warn!(fleet = %config.component, pids = ?gone.killed(), "killed instances of an earlier run");
    }
    Ok(())
}

/// What instances carry in [`MARKER`]: a path that is this fleet's alone.
fn mark(config: &FleetConfig) -> io::Result<PathBuf> {
    Ok(config.logs.canonicalize()?.join(config.component.as_str()))
}

/// A running instance, in a process group of its own, so that a Ctrl-C at the terminal does not reach it and what
/// it starts dies with it. Killed when dropped.
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
}

impl Process {
    pub(super) fn start(config: &FleetConfig, slot: &Slot) -> io::Result<Self> {
        fs::create_dir_all(&config.logs)?;
        let log = config.logs.join(format!("{}.log", slot.name));
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(&config.program);
        command.args(&config.args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.envs(config.env.iter().map(|(name, value)| (name, value.expose())));
        command.env("LISTEN", slot.address.ip().to_string()).env("PORT", slot.address.port().to_string());
        command
            .env(MARKER, mark(config)?)
            .env("SITE", config.site.as_str())
            .env("ZONE", &slot.zone)
            .env("INSTANCE", &slot.name);
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id as i32));
        Ok(Self { child, group })
    }

    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks, waits, then kills. Returns when the process is gone.
    pub(super) async fn stop(mut self, within: Duration) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(within, self.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// Returns when the process is gone and its port is free.
    pub(super) async fn kill(mut self) {
        self.signal(Signal::KILL);
        // The only error is that somebody else has reaped it.
        let _ = self.wait().await;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group without processes cannot be signalled, and need not be.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
