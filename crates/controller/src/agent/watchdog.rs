//! The agent's parent: kills the database when the agent's right to let it write is over.
//!
//! The agent tells its deadline over a pipe. If it is not extended in time, and the agent has not said that no process
//! of the database is left, then the agent is frozen, wedged or dead: the watchdog kills the database *and* the agent,
//! so that no byte held up in it can pass later, and starts the agent anew (SAFETY.md items 4 and 6). As child
//! subreaper it inherits every process that the agent leaves behind.

use std::io::Write;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use model::Time;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, set_child_subreaper, waitid, waitpid};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::agent::config::AgentConfig;
use crate::clock;

/// Pause before a dead agent is started again, so that one that dies at once does not spin.
const RESTART_PAUSE: Duration = Duration::from_millis(200);
/// How long to look for newer words of the agent before its end is decided; a part of the margin of half `stop_margin`.
const GLANCE: Duration = Duration::from_millis(2);
/// How long a polite stop may take before everything is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The agent's end of the pipe: its standard output.
pub struct Leash;

/// The watchdog is gone; nothing would stop the database if this agent froze.
#[derive(Debug, thiserror::Error)]
#[error("the watchdog is gone")]
pub struct Unleashed;

impl Leash {
    /// Never waits: a frozen watchdog must not hold up the lease.
    pub fn attach() -> std::io::Result<Self> {
        let out = std::io::stdout();
        fcntl_setfl(&out, fcntl_getfl(&out)? | OFlags::NONBLOCK)?;
        Ok(Self)
    }
    /// `None`: no process of the database is left, or it runs as a copy.
    pub fn tell(&self, deadline: Option<Time>) -> Result<(), Unleashed> {
        let mut out = std::io::stdout().lock();
        let line = format!("{}\n", deadline.map_or(0, |time| time.0));
        match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Err(Unleashed),
            _ => Ok(()),
        }
    }
}

/// Runs the agent until told to stop by SIGTERM or SIGINT, or, when `tied`, by the end of standard input: whoever
/// started this process has ended.
pub fn run(config_file: &Path, config: &AgentConfig, tied: bool) -> std::io::Result<ExitCode> {
    set_child_subreaper(Pid::from_raw(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(guard(config_file, config, tied));
    // A thread may still wait for standard input.
    runtime.shutdown_background();
    ended
}

async fn guard(config_file: &Path, config: &AgentConfig, tied: bool) -> std::io::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let untied = crate::tie::untied(tied);
    tokio::pin!(untied);
    loop {
        // The agent takes it for granted that nobody serves before it does.
        while !kill_database(config) {
            tokio::time::sleep(RESTART_PAUSE).await;
        }
        let mut agent = spawn(config_file)?;
        let ended = tokio::select! {
            ended = watch(&mut agent, config) => ended?,
            _ = terminate.recv() => Ended::Told,
            _ = interrupt.recv() => Ended::Told,
            () = &mut untied => Ended::Told,
        };
        if ended == Ended::Told {
            stop(&mut agent).await;
            kill_database(config);
            kill_orphans();
            return Ok(ExitCode::SUCCESS);
        }
        kill_database(config);
        kill_orphans();
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

#[derive(PartialEq, Eq)]
enum Ended {
    Told,
    Died,
}

fn spawn(config_file: &Path) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["agent", "--child", "--config"])
        .arg(config_file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Until the agent has died, of itself or by our hand.
async fn watch(agent: &mut Child, config: &AgentConfig) -> std::io::Result<Ended> {
    let stdout = agent.stdout.take().ok_or_else(|| std::io::Error::other("the agent has no pipe"))?;
    let mut lines = BufReader::new(stdout).lines();
    let mut deadline: Option<Time> = None;
    let mut reap = tokio::time::interval(Duration::from_millis(500));
    loop {
        let told = tokio::select! {
            told = next(&mut lines) => Some(told),
            // After a freeze of our own the pipe may hold what a healthy agent told meanwhile, and a timer that was
            // due may come before it.
            () = lapse(deadline) => tokio::time::timeout(GLANCE, next(&mut lines)).await.ok(),
            _ = reap.tick() => {
                reap_orphans(agent.id());
                continue;
            }
        };
        match told {
            Some(Some(told)) => deadline = told,
            Some(None) => {
                let _ = agent.kill().await;
                return Ok(Ended::Died);
            }
            None => {
                tracing::warn!("the lease ended and the agent did not fence: killing its database and it");
                // The database first: while it lives it may still commit. Then the agent, which may hold its answers.
                kill_database(config);
                agent.kill().await?;
                return Ok(Ended::Died);
            }
        }
    }
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<Option<Time>> {
    let line = lines.next_line().await.ok().flatten()?;
    Some(line.trim().parse().ok().filter(|micros| *micros > 0).map(Time))
}

async fn lapse(deadline: Option<Time>) {
    match deadline {
        Some(deadline) => clock::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn stop(agent: &mut Child) {
    if let Some(pid) = agent.id().and_then(|id| Pid::from_raw(id as i32)) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(STOP_WITHIN, agent.wait()).await.is_err() {
        let _ = agent.kill().await;
    }
}

/// Whether no process of the database is left.
fn kill_database(config: &AgentConfig) -> bool {
    let Some(database) = &config.database else { return true };
    match drivers::process::kill_directory(&database.data(), config.topology.timing.step_deadlines.fence) {
        Ok(gone) if !gone.killed().is_empty() => tracing::warn!(killed = ?gone.killed(), "processes of the database"),
        Ok(_) => {}
        Err(error) => {
            tracing::error!(%error, "processes of the database survive");
            return false;
        }
    }
    true
}

/// What a dead agent leaves, such as instances of its fleets, came to us; the next agent starts its own. Their children
/// come to us in turn.
fn kill_orphans() {
    for _ in 0..100 {
        reap_orphans(None);
        let orphans = children();
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans.into_iter().filter_map(|pid| Pid::from_raw(pid as i32)) {
            let _ = rustix::process::kill_process(orphan, rustix::process::Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    tracing::error!(left = ?children(), "processes of the last agent survive");
}

fn children() -> Vec<u32> {
    let me = std::process::id();
    let listed = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Waits for children that are not ours by birth: PostgreSQL's, after its agent died.
fn reap_orphans(agent: Option<u32>) {
    while let Ok(Some(status)) =
        waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
    {
        let _ = status;
        let Some(pid) = zombie_child(agent) else { return };
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// A dead child other than the agent, which tokio itself waits for.
fn zombie_child(agent: Option<u32>) -> Option<Pid> {
    children().into_iter().filter(|pid| Some(*pid) != agent).find_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let dead = stat.rsplit(')').next()?.trim_start().starts_with('Z');
        dead.then(|| Pid::from_raw(pid as i32)).flatten()
    })
}
