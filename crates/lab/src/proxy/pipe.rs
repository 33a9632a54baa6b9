//! One direction of one connection: read, wait as long as the link says, deliver.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use super::fault::{Counters, Direction, Fault};
use super::table::View;

/// Largest read. Big enough for replication at full speed, small enough that a cut is noticed between two chunks.
const CHUNK: usize = 128 * 1024;
/// Bytes under way on a link with latency: 200 ms at 80 MB/s.
const IN_FLIGHT: usize = 16 * 1024 * 1024;
/// What a sender may put into a blackhole before it blocks, as it would once its own send buffer is full.
const SEND_BUFFER: usize = 4 * 1024 * 1024;

/// How a direction ended by itself; a blackhole never lets it end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The sender said that it is done, and the receiver was told.
    Finished,
    /// One side is gone, or the stream lost bytes in a cut: both sides must be reset.
    Broken,
}

/// Bytes read and not yet delivered, with the moment at which each stretch is due.
struct Queue {
    bytes: Vec<u8>,
    start: usize,
    due: VecDeque<(Instant, usize)>,
    last: Instant,
}

impl Queue {
    fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, due: VecDeque::new(), last: Instant::now() }
    }
    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }
    /// Notes that the last `n` bytes arrived now.
    fn arrived(&mut self, n: usize, fault: Fault) {
        let now = Instant::now();
        self.last = match fault {
            Fault::Pass | Fault::Blackhole => self.last.max(now),
            Fault::Latency { delay, jitter } => self.last.max(now + delay + jitter.mul_f64(rand::random())),
            Fault::Slow { bytes_per_second } => self.last.max(now) + time_for(n, bytes_per_second),
        };
        self.due.push_back((self.last, n));
    }
    /// Forgets `n` bytes at the front.
    fn delivered(&mut self, mut n: usize) {
        self.start += n;
        while let Some((_, left)) = self.due.front_mut() {
            if *left > n {
                *left -= n;
                break;
            }
            n -= *left;
            self.due.pop_front();
        }
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > CHUNK && self.start * 2 > self.bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
    fn clear(&mut self) -> usize {
        let lost = self.len();
        self.delivered(lost);
        lost
    }
    /// Whether the front may go now, and how many bytes are due with it.
    fn ready(&self) -> usize {
        let now = Instant::now();
        self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, n)| n).sum()
    }
}

pub(super) fn time_for(bytes: usize, bytes_per_second: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64)
}

/// How many bytes may be read ahead of delivery, and in one read.
fn allowance(fault: Fault) -> (usize, usize) {
    match fault {
        Fault::Pass => (CHUNK, CHUNK),
        Fault::Latency { .. } => (IN_FLIGHT, CHUNK),
        // a twentieth of a second for each read, so that a slow link trickles instead of bursting
        Fault::Slow { bytes_per_second } => {
            let slice = (bytes_per_second as usize / 20).clamp(1, CHUNK);
            (slice * 4, slice)
        }
        Fault::Blackhole => (SEND_BUFFER, CHUNK),
    }
}

/// Carries bytes until the sender ends, a side breaks, or a cut heals.
pub(super) async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut view: View,
    direction: Direction,
    carried: &AtomicU64,
) -> End {
    let mut queue = Queue::new();
    let mut ended = false;
    let mut swallowed = 0;
    loop {
        let Some(fault) = view.fault(direction) else { return End::Broken };
        if fault == Fault::Blackhole {
            let lost = queue.clear();
            view.counters().dropped(lost);
            swallowed += lost;
        } else if ended && queue.len() == 0 {
            return if to.shutdown().await.is_ok() { End::Finished } else { End::Broken };
        }
        let ready = queue.ready();
        if ready > 0 {
            tokio::select! {
                biased;
                () = view.changed() => {}
                wrote = to.write(&queue.bytes[queue.start..queue.start + ready]) => match wrote {
                    Ok(n) if n > 0 => {
                        carried.fetch_add(n as u64, Ordering::Relaxed);
                        queue.delivered(n);
                    }
                    _ => return broken(view).await,
                },
            }
            continue;
        }
        let (ahead, chunk) = allowance(fault);
        let waiting = if fault == Fault::Blackhole { swallowed } else { queue.len() };
        let next = queue.due.front().map(|(due, _)| *due);
        tokio::select! {
            biased;
            () = view.changed() => {}
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            read = read_some(&mut from, &mut queue.bytes, chunk), if !ended && waiting < ahead => match read {
                Ok(0) => ended = true,
                Ok(n) => {
                    queue.arrived(n, fault);
                    if matches!(fault, Fault::Latency { .. } | Fault::Slow { .. }) {
                        view.counters().delayed(n);
                    }
                }
                Err(_) => return broken(view).await,
            },
        }
    }
}

/// A side is gone, or refused to begin. The other one hears of it at once, unless the link is silent: then not before it heals.
pub(super) async fn broken(mut view: View) -> End {
    while view.fault(Direction::There).is_some() && view.conditions().silent_somewhere() {
        view.changed().await;
    }
    End::Broken
}

/// Drops what the sender sends until it is gone; as in a cut, it blocks once its send buffer would be full.
pub(super) async fn swallow(from: &mut (impl AsyncRead + Unpin), counters: &Counters) {
    let mut bytes = Vec::new();
    let mut swallowed = 0;
    while swallowed < SEND_BUFFER {
        bytes.clear();
        match read_some(from, &mut bytes, CHUNK).await {
            Ok(n @ 1..) => {
                counters.dropped(n);
                swallowed += n;
            }
            _ => return,
        }
    }
    std::future::pending().await
}

async fn read_some(from: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>, chunk: usize) -> io::Result<usize> {
    bytes.reserve(chunk);
    from.take(chunk as u64).read_buf(bytes).await
}
