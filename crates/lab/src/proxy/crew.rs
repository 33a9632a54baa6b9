//! The tasks of one network, ended and awaited together.

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Clone, Default)]
pub(super) struct Crew {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Crew {
    /// Runs `work` until it ends or the network closes.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let stop = self.stop.clone();
        let task = self.tasks.spawn(async move {
            stop.run_until_cancelled(work).await;
        });
        task.abort_handle()
    }
    /// Runs `work` until it ends; `None` when the network closed first.
    pub async fn until_stop<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(work).await
    }
    /// Like [`Crew::spawn`] for work that cleans up after [`Crew::until_stop`] by itself.
    pub fn spawn_to_end(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }
    pub fn stop(&self) {
        self.stop.cancel();
    }
    pub async fn gone(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
