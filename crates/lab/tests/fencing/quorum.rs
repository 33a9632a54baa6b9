//! A witness of the test's own: asks both regions, again and again and past every link, who writes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use controller::rpc::AgentClient;
use model::{DatabaseState, Epoch, SiteId};
use tokio::task::JoinSet;

const ASK: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_millis(50);

/// Two regions may not both hold an unexpired right, with their gates open, at one time.
pub struct Quorums {
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    looks: u64,
    two: Vec<String>,
}

impl Quorums {
    pub fn watch(first: (SiteId, AgentClient), second: (SiteId, AgentClient)) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut task = JoinSet::new();
        task.spawn(look(first, second, seen.clone()));
        Self { seen, _task: task }
    }

    /// At most one writer was ever seen, and somebody looked often enough to say so.
    pub fn assert_at_most_one(&self, looks: u64) {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.two, Vec::<String>::new());
        assert!(seen.looks >= looks, "only {} looks at both regions", seen.looks);
    }
}

impl Seen {
    fn look(&mut self, first: (&SiteId, Option<Epoch>, Option<Epoch>), second: (&SiteId, Option<Epoch>)) {
        self.looks += 1;
        if let ((one, Some(before), Some(after)), (other, Some(between))) = (first, second)
            && before == after
        {
            self.two.push(format!("{one} writes in {before} while {other} writes in {between}"));
        }
    }
}

/// The second region's word counts against the first one's only when the first said the same before and after: each
/// report is of another moment.
async fn look(first: (SiteId, AgentClient), second: (SiteId, AgentClient), seen: Arc<Mutex<Seen>>) {
    loop {
        let before = writes(&first.1).await;
        let between = writes(&second.1).await;
        let after = writes(&first.1).await;
        seen.lock().unwrap().look((&first.0, before, after), (&second.0, between));
        tokio::time::sleep(EVERY).await;
    }
}

async fn writes(agent: &AgentClient) -> Option<Epoch> {
    match agent.report(ASK).await.ok()?.database?.state {
        DatabaseState::Writing { epoch, gate: true, .. } => Some(epoch),
        _ => None,
    }
}
