//! The clock of the shells: monotonic, counting suspend (SAFETY.md item 2). Wall time is only ever shown.

use model::Time;
use rustix::time::{ClockId, clock_gettime};

/// Now, on `CLOCK_BOOTTIME`.
pub fn now() -> Time {
    let at = clock_gettime(ClockId::Boottime);
    Time(at.tv_sec as u64 * 1_000_000 + at.tv_nsec as u64 / 1_000)
}

/// Sleeps until `at`, at the grain of tokio's timer: a millisecond.
pub async fn sleep_until(at: Time) {
    tokio::time::sleep(at.since(now())).await;
}

/// The kernel's id of this boot: a [`Time`] means nothing under another one.
///
/// # Errors
/// Where `/proc` is not mounted.
pub fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_string())
}
