//! The writing region is frozen as a whole, and thaws after another region has taken over: the failure that no process
//! inside can see coming (seed 003 section 23; SAFETY.md item 4).

use std::collections::BTreeSet;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, Command};

use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::world::{WorldError, death, wait_for};

/// Between two looks for processes that were born while the others were being frozen.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

pub async fn gray_pause(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let (mark, data) = (stage.world.layout.mark(&stage.home), stage.world.layout.data(&stage.home));
    let before = stage.brace().await?;
    let mut wound = Wound::default();
    let frozen = Frozen::freeze(|| death::members(&mark, Some(&data)))?;
    wound.note(format!("{} processes frozen", frozen.count()));
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &wound).await?;
    stage.check("it stayed frozen", frozen.all_stopped(), "no process of the region ran until the other region served");
    // Requests of clients that never left wait in its sockets; what thaws finds them.
    let waiting = wait_for("a write under way at the thaw", RECOVER_WITHIN, async || stage.under_way.now() > 0).await;
    let waiting = waiting.map(|()| stage.under_way.now());
    frozen.thaw().await;
    stage.check("writes under way at the thaw", waiting.is_ok(), format!("{} were outstanding", waiting.unwrap_or(0)));
    stage.say(&format!("{} thaws", stage.home));
    let fenced = stage.fences_itself().await;
    stage.check("the thawed region fenced itself", fenced.is_ok(), fenced.clone().unwrap_or_else(|why| why));
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

/// Processes that were stopped, and run on when this is dropped, or when this program ends in whatever way: a frozen
/// watchdog could not notice that, and would stay for ever.
struct Frozen {
    pids: Vec<i32>,
    /// A shell that continues them when its standard input ends.
    guard: Child,
}

impl Frozen {
    /// Stops everything that `members` finds, until it finds nobody new.
    fn freeze(members: impl Fn() -> Vec<i32>) -> Result<Self, WorldError> {
        let mut stopped = BTreeSet::new();
        loop {
            let new: Vec<i32> = members().into_iter().filter(|pid| !stopped.contains(pid)).collect();
            if new.is_empty() {
                break;
            }
            death::signal(&new, Signal::STOP);
            stopped.extend(new);
            std::thread::sleep(LOOK_AGAIN);
        }
        let pids: Vec<i32> = stopped.into_iter().collect();
        let guard = guard(&pids).map_err(|source| {
            death::signal(&pids, Signal::CONT);
            WorldError::Start { what: "the guard of frozen processes".into(), source }
        })?;
        Ok(Self { pids, guard })
    }

    fn count(&self) -> usize {
        self.pids.len()
    }

    fn all_stopped(&self) -> bool {
        self.pids.iter().all(|pid| is_stopped(*pid))
    }

    async fn thaw(mut self) {
        death::signal(&self.pids, Signal::CONT);
        drop(self.guard.stdin.take());
        let _ = self.guard.wait().await;
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        death::signal(&self.pids, Signal::CONT);
    }
}

fn guard(pids: &[i32]) -> io::Result<Child> {
    let list = pids.iter().map(i32::to_string).collect::<Vec<_>>().join(" ");
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("read -r end; kill -CONT {list}")).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// The third field of `/proc/PID/stat`, after a name that may hold anything but ends with the last parenthesis.
fn is_stopped(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_frozen_thaws_when_its_guard_loses_its_parent() {
        let mut sleeper = Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
        let pid = i32::try_from(sleeper.id().unwrap()).unwrap();
        let mut frozen = Frozen::freeze(|| vec![pid]).unwrap();
        wait_for("a stopped process", RECOVER_WITHIN, async || frozen.all_stopped()).await.unwrap();
        // As the kernel does it when this program is killed.
        drop(frozen.guard.stdin.take());
        wait_for("a process that runs on", RECOVER_WITHIN, async || !is_stopped(pid)).await.unwrap();
        frozen.thaw().await;
        sleeper.kill().await.unwrap();
    }
}
