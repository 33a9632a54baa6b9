//! A process that must not outlive the one that started it.

use std::io::Read;

/// Returns when standard input ends, which it does when whoever holds the other end has ended, however that came about.
/// Never returns when not `tied`.
pub async fn untied(tied: bool) {
    if !tied {
        return std::future::pending().await;
    }
    let ended = tokio::task::spawn_blocking(|| {
        let mut rest = [0; 64];
        while std::io::stdin().read(&mut rest).is_ok_and(|read| read > 0) {}
    });
    let _ = ended.await;
}
