//! How well one client was served: the share of the drill in which it was, and how long its writes took before the
//! fault and after the recovery. By pure calculation, like everything in [`super::measure`](mod@super::measure).

use std::time::Duration;

use model::Time;
use serde::{Deserialize, Serialize};

use super::history::Write;

/// Fewer writes than this have no latency worth a name: at 25 writes/s it is less than a second of them.
const FEWEST: usize = 20;

/// What share of the drill a client was served. It sends at a fixed rate whatever becomes of its writes, so a share of
/// the writes is a share of the time.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Service {
    /// Writes whose time-out was over before the client sent its last write: what came later was cut short by the end
    /// of the drill, and says nothing.
    pub due: u64,
    /// Of these, acknowledged no later after they were sent than one attempt may take, by whichever attempt.
    pub in_time: u64,
    /// Time between two sends: what each write stands for.
    pub every: Duration,
}

impl Service {
    /// Of all writes of one client, over the whole drill, failback included.
    pub fn of(writes: &[&Write], timeout: Duration, every: Duration) -> Self {
        let last = writes.iter().map(|write| write.sent).max().unwrap_or_default();
        let due = || writes.iter().filter(|write| write.sent + timeout <= last);
        let in_time = |write: &&&Write| write.acknowledged().is_some_and(|(at, _)| at <= write.sent + timeout);
        Self { due: due().count() as u64, in_time: due().filter(in_time).count() as u64, every }
    }

    /// From 0 to 1; `None` when no write was due.
    pub fn availability(&self) -> Option<f64> {
        (self.due > 0).then(|| self.in_time as f64 / self.due as f64)
    }

    /// The time that the writes stand for which were not acknowledged in time.
    pub fn unserved(&self) -> Duration {
        self.every * u32::try_from(self.due - self.in_time).unwrap_or(u32::MAX)
    }
}

/// How long acknowledged writes took from sending to acknowledgement, failed attempts and pauses included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Latency {
    pub writes: u64,
    pub median: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
}

impl Latency {
    /// Of the writes that were sent after `from`, no later than `to`, and acknowledged by `to`. `None` with fewer than
    /// 20 of them.
    pub fn between(writes: &[&Write], from: Time, to: Time) -> Option<Self> {
        let sent = writes.iter().filter(|write| write.sent > from && write.sent <= to);
        let took = sent.filter_map(|write| write.acknowledged().map(|(at, _)| (at, at.since(write.sent))));
        let mut took: Vec<Duration> = took.filter(|(at, _)| *at <= to).map(|(_, took)| took).collect();
        took.sort();
        let (median, p95) = (percentile(&took, 50)?, percentile(&took, 95)?);
        (took.len() >= FEWEST).then_some(Self { writes: took.len() as u64, median, p95 })
    }
}

/// The smallest value that at least `percent` of `sorted` do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::entry::{Entry, Event};
    use crate::ledger::history::tests::{acknowledged, entry, history, plan};

    const MS: u64 = 1_000;
    const SECOND: Duration = Duration::from_secs(1);
    const EVERY: Duration = Duration::from_millis(40);

    /// `(sent, took)` in milliseconds; never acknowledged without `took`.
    fn with<T>(list: &[(u64, Option<u64>)], read: impl FnOnce(&[&Write]) -> T) -> T {
        let lines = (1..).zip(list).flat_map(|(seq, (sent, took))| -> Vec<Entry> {
            let end = took.map(|took| entry("c", seq, (sent + took) * MS, acknowledged(1)));
            [entry("c", seq, sent * MS, Event::Sent)].into_iter().chain(end).collect()
        });
        let history = history(vec![plan("c")], lines.collect());
        read(&history.of("c").map(|(_, write)| write).collect::<Vec<_>>())
    }

    fn steady(from: u64, count: u64, took: u64) -> Vec<(u64, Option<u64>)> {
        (0..count).map(|n| (from + n * 40, Some(took))).collect()
    }

    #[test]
    fn a_late_answer_is_no_service() {
        // At the time-out to the millisecond is in time; a millisecond later is not, nor is never.
        let list = [(0, Some(5)), (40, Some(1_000)), (80, Some(1_001)), (120, None), (1_120, Some(5)), (1_160, None)];
        let service = with(&list, |writes| Service::of(writes, SECOND, EVERY));
        assert_eq!((service.due, service.in_time), (4, 2), "those from 1120 on had no time to be answered");
        assert_eq!((service.availability(), service.unserved()), (Some(0.5), Duration::from_millis(80)));
    }

    #[test]
    fn nobody_is_available_to_nobody() {
        assert_eq!(with(&[], |writes| Service::of(writes, SECOND, EVERY)).availability(), None);
        assert_eq!(with(&[(0, Some(1))], |writes| Service::of(writes, SECOND, EVERY)).availability(), None);
    }

    #[test]
    fn the_latency_counts_from_the_first_send_to_the_acknowledgement() {
        let mut list = steady(10, 94, 4);
        list.extend(steady(5_000, 6, 300));
        let latency = with(&list, |writes| Latency::between(writes, Time::ZERO, Time(20_000 * MS))).unwrap();
        let ms = Duration::from_millis;
        assert_eq!(latency, Latency { writes: 100, median: ms(4), p95: ms(300) });
        let latency = with(&steady(10, 40, 4), |writes| Latency::between(writes, Time::ZERO, Time(20_000 * MS)));
        assert_eq!(latency.unwrap().p95, ms(4));
    }

    #[test]
    fn only_what_was_sent_and_acknowledged_in_the_span_counts() {
        let between = |from: u64, to: u64| {
            with(&steady(0, 50, 100), |writes| Latency::between(writes, Time(from * MS), Time(to * MS)))
        };
        assert_eq!(between(0, 4_000).map(|latency| latency.writes), Some(49), "the one sent at 0 was sent before");
        assert_eq!(between(1, 1_000).map(|latency| latency.writes), Some(22), "960 and 1000 were answered later");
        assert_eq!(between(1, 800), None, "too few to tell");
    }

    proptest! {
        #[test]
        fn shares_and_percentiles_stay_in_bounds(
            list in prop::collection::vec((0..5_000u64, prop::option::of(0..3_000u64)), 0..120),
        ) {
            let (service, latency) = with(&list, |writes| {
                (Service::of(writes, SECOND, EVERY), Latency::between(writes, Time::ZERO, Time::MAX))
            });
            prop_assert!(service.in_time <= service.due && service.due <= list.len() as u64);
            prop_assert!(service.availability().is_none_or(|share| (0.0..=1.0).contains(&share)));
            if let Some(latency) = latency {
                prop_assert!(latency.median <= latency.p95);
                let longest = list.iter().filter_map(|(_, took)| *took).max().unwrap_or(0);
                prop_assert!(latency.p95 <= Duration::from_millis(longest));
                let above = |limit: Duration| {
                    list.iter().filter(|(sent, took)| *sent > 0 && took.is_some_and(|t| Duration::from_millis(t) > limit)).count()
                };
                prop_assert!(above(latency.median) * 2 <= latency.writes as usize);
                prop_assert!(above(latency.p95) * 20 <= latency.writes as usize);
            }
        }
    }
}
