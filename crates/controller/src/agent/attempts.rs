//! What became of each order: orders may arrive twice, be asked after and be given up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use model::{ActError, AttemptId, Outcome};
use tokio::sync::watch;

use engine::Inquiry;

/// Ended attempts kept for questions about them; an engine asks about those of its active run only.
const KEPT: usize = 1_000;

#[derive(Default)]
pub struct Attempts {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    known: HashMap<AttemptId, watch::Sender<Option<Outcome>>>,
    order: BTreeMap<u64, AttemptId>,
    next: u64,
    /// Asked after before they came. That they were never seen has been told, so they must not begin any more: the
    /// engine gives the order again under another number, and an older one that came late replaced it.
    unheard: BTreeSet<AttemptId>,
}

impl Attempts {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether the attempt is new here. One that is known goes on as it was.
    pub fn begin(&self, id: AttemptId) -> bool {
        let mut inner = self.inner();
        if inner.known.contains_key(&id) || inner.unheard.contains(&id) {
            return false;
        }
        inner.known.insert(id, watch::Sender::new(None));
        let next = inner.next;
        inner.order.insert(next, id);
        inner.next += 1;
        while inner.order.len() > KEPT
            && let Some((_, oldest)) = inner.order.pop_first()
        {
            inner.known.remove(&oldest);
        }
        true
    }

    /// The first end counts.
    pub fn end(&self, id: AttemptId, outcome: Outcome) {
        if let Some(sender) = self.inner().known.get(&id) {
            sender.send_if_modified(|end| match end {
                Some(_) => false,
                None => {
                    *end = Some(outcome);
                    true
                }
            });
        }
    }

    /// Whoever is told that an attempt was never seen may rely on it: should it come later, it does not begin.
    pub fn ask(&self, id: AttemptId) -> Inquiry {
        let mut inner = self.inner();
        match inner.known.get(&id).map(|sender| sender.borrow().clone()) {
            None => {
                inner.unheard.insert(id);
                while inner.unheard.len() > KEPT {
                    inner.unheard.pop_first();
                }
                Inquiry::NeverSeen
            }
            Some(None) => Inquiry::Running,
            Some(Some(outcome)) => Inquiry::Ended(outcome),
        }
    }

    pub async fn wait(&self, id: AttemptId, within: Duration) -> Outcome {
        let Some(mut receiver) = self.inner().known.get(&id).map(watch::Sender::subscribe) else {
            return Outcome::Failed(ActError::Unknown("the agent no longer knows the attempt".into()));
        };
        let late = Outcome::Failed(ActError::Unknown(format!("no end after {}", model::time::human(within))));
        match tokio::time::timeout(within, receiver.wait_for(Option::is_some)).await {
            Ok(Ok(end)) => end.clone().unwrap_or(late),
            _ => late,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::RunId;
    use model::action::Evidence;

    use super::*;

    #[test]
    fn an_attempt_begins_once_and_its_first_end_counts() {
        let attempts = Attempts::default();
        let id = AttemptId { run: RunId(1), step: 2, number: 1 };
        assert!(attempts.begin(id) && !attempts.begin(id));
        assert_eq!(attempts.ask(id), Inquiry::Running);
        attempts.end(id, Outcome::Done(Evidence::note("first")));
        attempts.end(id, Outcome::Refused { why: "second".into() });
        assert_eq!(attempts.ask(id), Inquiry::Ended(Outcome::Done(Evidence::note("first"))));
    }

    #[tokio::test]
    async fn what_was_said_to_be_never_seen_does_not_begin_when_it_comes_late() {
        let attempts = Attempts::default();
        let id = AttemptId { run: RunId(1), step: 2, number: 1 };
        assert_eq!(attempts.ask(id), Inquiry::NeverSeen);
        assert!(!attempts.begin(id));
        let told = attempts.wait(id, Duration::ZERO).await;
        assert!(matches!(told, Outcome::Failed(ActError::Unknown(_))), "{told:?}");
        assert_eq!(attempts.ask(id), Inquiry::NeverSeen);
        assert!(attempts.begin(AttemptId { number: 2, ..id }));
    }
}
