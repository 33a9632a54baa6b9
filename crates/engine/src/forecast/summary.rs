//! From samples to what people read: quantiles, the parts of the recovery, what it rests on.

use std::fmt;
use std::time::Duration;

use model::time::human;
use serde::{Serialize, Serializer};

use super::PHASES;
use super::roles::{Model, Signal, Together};
use super::spread::{Sourced, Spread};
use super::world::{Ended, HORIZON, Sample};

/// Shown as people write durations, serialised as seconds with three decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Secs(pub Duration);

impl Serialize for Secs {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64((self.0.as_secs_f64() * 1_000.0).round() / 1_000.0)
    }
}

impl fmt::Display for Secs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&human(self.0))
    }
}

/// `None`: in so many samples there was no recovery at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Quantiles {
    pub p5: Option<Secs>,
    pub p50: Option<Secs>,
    pub p95: Option<Secs>,
    pub p99: Option<Secs>,
    /// Of those that have one.
    pub mean: Option<Secs>,
}

/// One part of the recovery.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PhaseForecast {
    pub phase: &'static str,
    pub about: &'static str,
    pub p50: Secs,
    pub p95: Secs,
    pub p99: Secs,
    /// Its mean in the samples whose RTO is about the median, and about the 95th percentile: these add up to the RTO.
    pub at_p50: Secs,
    pub at_p95: Secs,
}

/// What held up the recovery, and in what share of the samples.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Slowest {
    pub phase: &'static str,
    pub of: String,
    /// 0 to 1.
    pub share: f64,
}

/// What a number rests on.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Cited {
    pub act: String,
    pub takes: Spread,
    pub source: String,
    /// Measurements; 0 for a prior.
    pub samples: usize,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Forecast {
    pub samples: u32,
    pub seed: u64,
    /// Samples in which traffic moved in the end.
    pub recovered: u32,
    /// Samples that had not ended when virtual time was up: nobody was served by then, and nothing had been given up.
    pub unended: u32,
    /// How much virtual time there was.
    pub horizon: Secs,
    /// Samples in which the engine decided the same again and again. Any but 0 is a fault of this program.
    pub circling: u32,
    /// Samples in which people had to accept the loss first.
    pub asked: u32,
    pub rto: Quantiles,
    pub phases: Vec<PhaseForecast>,
    /// What was acknowledged and is not in the region that takes over, as a span of time.
    pub rpo: Quantiles,
    /// The same in writes; `None` when nobody said how many there are. p50, p95, p99.
    pub lost_writes: Option<[u64; 3]>,
    pub slowest: Vec<Slowest>,
    pub sources: Vec<Cited>,
    /// Mean number of the engine's decisions in a sample.
    pub decisions: u32,
}

impl Forecast {
    /// What is said of samples that did not end; `None` when each did.
    pub fn did_not_end(&self) -> Option<String> {
        let Forecast { unended, circling, samples, horizon, .. } = self;
        match (unended, circling) {
            (0, 0) => None,
            (_, 0) => Some(format!("{unended} of {samples} losses had not ended after {horizon} of virtual time")),
            (_, _) => Some(format!(
                "{circling} of {samples} losses went round in a circle, and no more were drawn: please report it with this spec"
            )),
        }
    }

    /// Whether a measured time lies between the 5th and the 95th percentile.
    pub fn expects(&self, rto: Duration) -> bool {
        let below = |edge: Option<Secs>| edge.is_some_and(|edge| rto >= edge.0);
        below(self.rto.p5) && self.rto.p95.is_none_or(|edge| rto <= edge.0)
    }
}

pub(super) fn summarise(model: &Model, mut samples: Vec<Sample>, seed: u64) -> Forecast {
    let count = samples.len();
    // What never recovers is longer than anything that does.
    samples.sort_by_key(|sample| sample.rto.unwrap_or(Duration::MAX));
    let phases = PHASES.iter().enumerate().map(|(index, (phase, about))| {
        let mut lengths: Vec<Duration> = samples.iter().map(|sample| sample.phases[index]).collect();
        lengths.sort_unstable();
        let at = |share| Secs(lengths[rank(count, share)]);
        let near = |share| near(&samples, share, |sample| sample.phases[index]);
        let (at_p50, at_p95) = (near(0.5), near(0.95));
        PhaseForecast { phase, about, p50: at(0.5), p95: at(0.95), p99: at(0.99), at_p50, at_p95 }
    });
    let phases = phases.collect();
    let mut losses: Vec<Option<Duration>> = samples.iter().map(|sample| Some(sample.loss)).collect();
    losses.sort_unstable();
    let writes = model.loss.writes_per_second;
    let lost = |rate: f64| {
        [0.5, 0.95, 0.99].map(|share| {
            let loss = losses[rank(count, share)].unwrap_or_default();
            (loss.as_secs_f64() * rate).ceil() as u64
        })
    };
    let ended = |how: Ended| samples.iter().filter(|sample| sample.ended == how).count() as u32;
    Forecast {
        samples: count as u32,
        seed,
        recovered: ended(Ended::Served),
        unended: ended(Ended::Late),
        horizon: Secs(HORIZON),
        circling: ended(Ended::Circling),
        asked: samples.iter().filter(|sample| sample.asked).count() as u32,
        rto: quantiles(&samples.iter().map(|sample| sample.rto).collect::<Vec<_>>()),
        phases,
        rpo: quantiles(&losses),
        lost_writes: writes.map(lost),
        slowest: slowest(model, &samples),
        sources: sources(model),
        decisions: (samples.iter().map(|sample| u64::from(sample.decisions)).sum::<u64>() / count as u64) as u32,
    }
}

/// The nearest rank: the smallest value that at least this share does not exceed.
fn rank(count: usize, share: f64) -> usize {
    ((share * count as f64).ceil() as usize).clamp(1, count) - 1
}

/// Of values in ascending order, those without one last.
fn quantiles(values: &[Option<Duration>]) -> Quantiles {
    let at = |share| values[rank(values.len(), share)].map(Secs);
    let known: Vec<Duration> = values.iter().flatten().copied().collect();
    let total: f64 = known.iter().map(Duration::as_secs_f64).sum();
    let mean = (!known.is_empty()).then(|| Secs(Duration::from_secs_f64(total / known.len() as f64)));
    Quantiles { p5: at(0.05), p50: at(0.5), p95: at(0.95), p99: at(0.99), mean }
}

/// The mean of something over the samples about a quantile of the RTO: a fiftieth of all, and at least one.
fn near(samples: &[Sample], share: f64, what: impl Fn(&Sample) -> Duration) -> Secs {
    let (middle, wide) = (rank(samples.len(), share), samples.len() / 100);
    let some = &samples[middle.saturating_sub(wide)..(middle + wide + 1).min(samples.len())];
    let total: f64 = some.iter().map(|sample| what(sample).as_secs_f64()).sum();
    Secs(Duration::from_secs_f64(total / some.len() as f64))
}

fn slowest(model: &Model, samples: &[Sample]) -> Vec<Slowest> {
    let of = |phase: &'static str, index: usize, together: &Together| {
        let counted = together.0.iter().enumerate().map(move |(number, group)| {
            let times = samples.iter().filter(|sample| sample.slowest[index] == number).count();
            let of = match group.count {
                1 => group.of.clone(),
                many => format!("{} and {} like it", group.of, many - 1),
            };
            Slowest { phase, of, share: times as f64 / samples.len() as f64 }
        });
        let mut counted: Vec<Slowest> = counted.filter(|slowest| slowest.share > 0.0).collect();
        counted.sort_by(|a, b| b.share.total_cmp(&a.share));
        counted
    };
    [of("scale", 0, &model.acts.scale), of("promote", 1, &model.acts.promote)].concat()
}

fn sources(model: &Model) -> Vec<Cited> {
    let mut all = Vec::new();
    for signal in &model.signals {
        let cited = match signal {
            Signal::Probes => continue,
            Signal::Check { says, .. } | Signal::Alarm { says, .. } => (says.clone(), 0),
            Signal::Noticed(sourced) => (sourced.source.clone(), sourced.samples),
        };
        let takes = signal.spread().unwrap_or(Spread::NOTHING);
        all.push(Cited { act: "detect".into(), takes, source: cited.0, samples: cited.1 });
    }
    let mut cite = |act: &str, sourced: &Sourced| {
        let Sourced { spread, source, samples } = sourced.clone();
        all.push(Cited { act: act.to_owned(), takes: spread, source, samples });
    };
    if model.topology.failover == model::topology::FailoverMode::Ask {
        cite("decide", &model.people.approve);
    }
    cite("accept a loss", &model.people.accept);
    if model.leased {
        cite("fence", &model.acts.bid);
    }
    let groups = [
        ("promote", &model.acts.promote),
        ("scale", &model.acts.scale),
        ("route", &model.acts.route),
        ("lag", &model.loss.lag),
    ];
    for (act, together) in groups {
        for group in &together.0 {
            cite(&format!("{act} · {}", group.of), &group.takes);
        }
    }
    cite("ready", &model.acts.ready);
    cite("exercise", &model.acts.exercise);
    cite("clients keep an answer", &model.clients.keep);
    cite("clients ask again", &model.clients.again);
    all
}
