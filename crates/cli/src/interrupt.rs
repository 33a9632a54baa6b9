//! Ctrl-C and SIGTERM, in one way for all commands.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// When somebody presses Ctrl-C or asks us to end. Listens from the call on, not only from the first poll.
pub fn interrupted() -> impl Future<Output = ()> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt()).expect("a runtime with signals"),
        signal(SignalKind::terminate()).expect("likewise"),
    );
    async move {
        tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
    }
}

/// Cancelled when [`interrupted`].
pub fn cancelled_on_interrupt() -> CancellationToken {
    let (stop, told) = (CancellationToken::new(), interrupted());
    let stopping = stop.clone();
    tokio::spawn(async move {
        told.await;
        stopping.cancel();
    });
    stop
}
