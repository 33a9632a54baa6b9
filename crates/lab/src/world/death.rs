//! A region's death: every process in it, by SIGKILL, until none is left.
//!
//! PostgreSQL's children overwrite their environment with their titles, so they are found by the data directory they
//! stand in, and everything else by the mark that a site's processes inherit.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Environment variable that every process of a site carries: `<lab>/<site>`.
pub const MARK: &str = "ANTIPODE_SITE";

/// Processes that carry the mark, and those that stand in the data directory.
pub fn members(mark: &str, data: Option<&Path>) -> Vec<i32> {
    let mut found = with_environment(&[(MARK, mark)]);
    if let Some(data) = data {
        found.extend(drivers::process::of_directory(data).unwrap_or_default());
    }
    found.sort_unstable();
    found.dedup();
    found.retain(|pid| *pid != std::process::id() as i32);
    found
}

/// The service's instances in one zone of the site with this mark.
pub fn in_zone(mark: &str, zone: &str) -> Vec<i32> {
    with_environment(&[(MARK, mark), ("ZONE", zone)])
}

/// Processes whose environment has all of these variables.
fn with_environment(wanted: &[(&str, &str)]) -> Vec<i32> {
    let wanted: Vec<String> = wanted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        wanted.iter().all(|entry| environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes()))
    })
    .collect()
}

#[derive(Debug, thiserror::Error)]
#[error("processes survive SIGKILL: {0:?}")]
pub struct Survivors(pub Vec<i32>);

/// Kills them all, children born meanwhile included, and says how many there were.
pub fn kill(mark: &str, data: Option<&Path>) -> Result<usize, Survivors> {
    let mut killed = std::collections::BTreeSet::new();
    for _ in 0..400 {
        let members = members(mark, data);
        if members.is_empty() {
            return Ok(killed.len());
        }
        signal(&members, Signal::KILL);
        killed.extend(members);
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(Survivors(members(mark, data)))
}

pub fn signal(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        let _ = kill_process(pid, signal);
    }
}
