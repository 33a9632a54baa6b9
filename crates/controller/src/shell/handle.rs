//! What the API may do with the running controller: ask, look, and read the journal.

use engine::{Event, Refused, Workload};
use model::{RunId, Time};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::core::SharedJournal;
use crate::journal::{JournalError, Line};

/// What the loop takes in.
pub(super) enum Input {
    Event(Event),
    Ask { event: Event, answer: oneshot::Sender<Result<Granted, AskError>> },
    Look(Look),
}

type Look = Box<dyn FnOnce(&Workload, Time) + Send>;

/// A request that the engine took up. It is durable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// Sequence number of the journal's last line; follow the events from the next one.
    pub seq: u64,
    /// The run that is active now, or that ended last.
    pub run: Option<RunId>,
    /// What was decided, a line each.
    pub said: Vec<String>,
    pub why: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Refused(Refused),
    #[error("the controller is stopping")]
    Stopping,
}

/// A hold on the running controller. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inputs: mpsc::Sender<Input>,
    journal: SharedJournal,
    last: watch::Receiver<u64>,
}

impl Handle {
    pub(super) fn new(inputs: mpsc::Sender<Input>, journal: SharedJournal, last: watch::Receiver<u64>) -> Self {
        Self { inputs, journal, last }
    }

    /// Puts a request, approval or abort to the engine. Granted means durable.
    pub async fn ask(&self, event: Event) -> Result<Granted, AskError> {
        let (answer, answered) = oneshot::channel();
        let input = Input::Ask { event, answer };
        self.inputs.send(input).await.map_err(|_| AskError::Stopping)?;
        answered.await.map_err(|_| AskError::Stopping)?
    }

    /// Looks at the state between two decisions.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Workload, Time) -> T + Send + 'static,
    ) -> Result<T, AskError> {
        let (answer, answered) = oneshot::channel();
        let look = move |state: &Workload, now| {
            let _ = answer.send(look(state, now));
        };
        self.inputs.send(Input::Look(Box::new(look))).await.map_err(|_| AskError::Stopping)?;
        answered.await.map_err(|_| AskError::Stopping)
    }

    /// Lines of the journal from sequence number `from` on, at most `limit`.
    pub async fn lines(&self, from: u64, limit: usize) -> Result<Vec<Line>, JournalError> {
        self.journal.with(move |journal| journal.read(from, limit)).await
    }

    /// Returns when the journal has line `seq`.
    pub async fn written(&self, seq: u64) -> Result<(), AskError> {
        let mut last = self.last.clone();
        last.wait_for(|last| *last >= seq).await.map(|_| ()).map_err(|_| AskError::Stopping)
    }
}
