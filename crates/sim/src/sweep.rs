//! Many seeds at once, on every core.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{Kind, Report, run};

/// What a range of seeds came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sweep {
    /// How many were run; fewer than asked for after a stop.
    pub seeds: u64,
    pub events: u64,
    pub by_kind: BTreeMap<Kind, Ends>,
    pub vacuous: u64,
    /// Disasters at whose end no region served, by a decision that people left open.
    pub down_at_the_end: u64,
    pub promotions: u64,
    pub acknowledged: u64,
    pub lost: u64,
    /// Seeds whose disaster broke an invariant, in order.
    pub failed: Vec<Report>,
    pub took: Duration,
}

/// How the disasters of one kind ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Ends {
    pub disasters: u64,
    pub hit_nothing: u64,
    /// A run was left that waits for people.
    pub waiting: u64,
    /// No region served.
    pub down: u64,
    pub promotions: u64,
    /// Acknowledged writes that promotions left behind.
    pub lost: u64,
}

impl Ends {
    fn add(&mut self, report: &Report) {
        self.disasters += 1;
        self.hit_nothing += u64::from(report.vacuous);
        self.waiting += u64::from(report.waits);
        self.down += u64::from(!report.serves);
        self.promotions += u64::from(report.promotions);
        self.lost += report.lost as u64;
    }
}

impl Sweep {
    pub fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.events += report.events;
        self.by_kind.entry(report.kind).or_default().add(&report);
        self.vacuous += u64::from(report.vacuous);
        self.down_at_the_end += u64::from(!report.serves);
        self.promotions += u64::from(report.promotions);
        self.acknowledged += report.acknowledged as u64;
        self.lost += report.lost as u64;
        if !report.violations.is_empty() {
            self.failed.push(report);
        }
    }
}

/// Runs `count` seeds from `first` on. `stop` ends it early; `done` counts along.
pub fn sweep(first: u64, count: u64, stop: &AtomicBool, done: &AtomicU64) -> Sweep {
    let (began, next, total) = (Instant::now(), AtomicU64::new(0), Mutex::new(Sweep::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let report = run(first + number);
                    total.lock().unwrap_or_else(PoisonError::into_inner).add(report);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let mut sweep = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    sweep.failed.sort_by_key(|report| report.seed);
    sweep.took = began.elapsed();
    sweep
}
