//! What the clients went through: RTO, gaps, availability, latency, by pure calculation from the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Time;
use serde::{Deserialize, Serialize};

use super::entry::{Acknowledgement, ClientKind, ClientPlan, Place};
use super::history::{End, History, Write};
use super::service::{Latency, Service};

/// What was done to the workload, and for how long its effect was watched.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub at: Time,
    /// When measuring ended. Acknowledgements after it do not count.
    pub until: Time,
    pub recovery: Recovery,
    /// When the fault itself was over, if it was within the measuring: before that, a client that was served again may
    /// still feel it. `None` where it goes on, and the workload has left it.
    #[serde(default)]
    pub over: Option<Time>,
}

/// By which acknowledgement a client sees that the workload has recovered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// It comes from a writer with a higher epoch than the one at the fault. The old writer may go on
    /// acknowledging until its lease ends: that is not recovery.
    NewEpoch { above: u64 },
    /// The same writer is to come back: it is the acknowledgement that ended the longest silence. A client with no
    /// failed attempt was not affected.
    SameWriter,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub fault: Fault,
    pub clients: Vec<ClientResult>,
    /// Writes outstanding at the instant of the fault. None makes a drill vacuous (SAFETY.md item 11).
    pub in_flight_at_fault: u64,
    /// Whether any client saw an outage. If none did, the drill is vacuous.
    pub anyone_saw_outage: bool,
    /// The slowest of the clients outside, by kind; `None` when one of them never recovered.
    pub rto: BTreeMap<ClientKind, Option<Duration>>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClientResult {
    pub client: String,
    pub kind: ClientKind,
    pub place: Place,
    pub request_timeout: Duration,
    pub sent: u64,
    pub acknowledged: u64,
    pub refused: u64,
    /// Without a known end, those that the client still tried when it was stopped included.
    pub unknown: u64,
    /// Acknowledged in the end, but after at least one failed attempt.
    pub retried: u64,
    pub in_flight_at_fault: u64,
    /// From the fault to the first acknowledgement that shows recovery, of a write sent after the fault.
    pub rto: Option<Duration>,
    /// Longest time without an acknowledgement from the first send to the end of measuring.
    pub longest_gap: Duration,
    /// When that gap began.
    pub gap_from: Time,
    /// Over the whole drill, its end included.
    #[serde(default)]
    pub service: Service,
    /// Of the writes sent and acknowledged before the fault.
    #[serde(default)]
    pub latency_before: Option<Latency>,
    /// Of the writes sent after this client saw the recovery and the fault was over; `None` when it did not, or saw too little of it.
    #[serde(default)]
    pub latency_after: Option<Latency>,
    /// After the fault, an attempt failed, or the silence was longer than one attempt may take.
    pub saw_outage: bool,
}

pub fn measure(history: &History, fault: &Fault) -> Measurement {
    let clients: Vec<ClientResult> =
        history.header.clients.iter().map(|client| measure_client(history, client, fault)).collect();
    let mut rto = BTreeMap::new();
    for client in clients.iter().filter(|client| client.place == Place::Outside) {
        let slowest = rto.entry(client.kind).or_insert(Some(Duration::ZERO));
        *slowest = slowest.zip(client.rto).map(|(a, b): (Duration, Duration)| a.max(b));
    }
    Measurement {
        fault: fault.clone(),
        in_flight_at_fault: clients.iter().map(|client| client.in_flight_at_fault).sum(),
        anyone_saw_outage: clients.iter().any(|client| client.saw_outage),
        clients,
        rto,
    }
}

fn measure_client(history: &History, plan: &ClientPlan, fault: &Fault) -> ClientResult {
    let all: Vec<&Write> = history.of(&plan.name).map(|(_, write)| write).collect();
    let service = Service::of(&all, plan.habits.request_timeout, plan.habits.every);
    let writes: Vec<&Write> = all.into_iter().filter(|write| write.sent <= fault.until).collect();
    let count = |matches: fn(&Write) -> bool| writes.iter().filter(|write| matches(write)).count() as u64;
    let acknowledged = count(|write| write.acknowledged().is_some());
    let refused = count(|write| matches!(write.end, Some((_, End::Refused))));
    let sent = writes.len() as u64;
    let (gap_from, longest_gap) = longest_gap(&writes, fault.until);
    let failed_after =
        writes.iter().flat_map(|write| &write.failed).any(|(at, _)| (fault.at..=fault.until).contains(at));
    let silent = gap_from + longest_gap > fault.at && longest_gap > plan.habits.request_timeout;
    let rto = rto(&writes, fault, failed_after || silent);
    ClientResult {
        client: plan.name.clone(),
        kind: plan.kind,
        place: plan.place.clone(),
        request_timeout: plan.habits.request_timeout,
        sent,
        acknowledged,
        refused,
        unknown: sent - acknowledged - refused,
        retried: count(|write| write.acknowledged().is_some() && !write.failed.is_empty()),
        in_flight_at_fault: writes.iter().filter(|write| write.in_flight(fault.at)).count() as u64,
        rto,
        longest_gap,
        gap_from,
        service,
        latency_before: Latency::between(&writes, Time::ZERO, fault.at),
        latency_after: rto.and_then(|rto| {
            let from = fault.over.map_or(fault.at + rto, |over| over.max(fault.at + rto));
            Latency::between(&writes, from, fault.until)
        }),
        saw_outage: failed_after || silent,
    }
}

impl ClientResult {
    /// How much longer the median acknowledged write takes after the recovery than before the fault; negative when it
    /// takes less. Seconds.
    pub fn added_latency(&self) -> Option<f64> {
        let (before, after) = (self.latency_before?, self.latency_after?);
        Some(after.median.as_secs_f64() - before.median.as_secs_f64())
    }
}

fn rto(writes: &[&Write], fault: &Fault, affected: bool) -> Option<Duration> {
    // Acknowledgements within the measured time of writes sent after the fault, in the order they came.
    let mut seen: Vec<(Time, &Acknowledgement)> =
        writes.iter().filter(|write| write.sent > fault.at).filter_map(|write| write.acknowledged()).collect();
    seen.retain(|(at, _)| *at <= fault.until);
    seen.sort_by_key(|(at, _)| *at);
    let recovered = match fault.recovery {
        Recovery::NewEpoch { above } => seen.iter().find(|(_, said)| said.writer_epoch > above)?.0,
        Recovery::SameWriter if !affected => fault.at,
        Recovery::SameWriter => {
            let times: Vec<Time> = std::iter::once(fault.at).chain(seen.iter().map(|(at, _)| *at)).collect();
            let last = *times.last()?;
            let longest = times.windows(2).max_by_key(|pair| pair[1].since(pair[0]))?;
            // Silence to the very end, longer than any before it: never recovered.
            if fault.until.since(last) > longest[1].since(longest[0]) {
                return None;
            }
            longest[1]
        }
    };
    Some(recovered.since(fault.at))
}

/// When the longest time without an acknowledgement began, and how long it was.
fn longest_gap(writes: &[&Write], until: Time) -> (Time, Duration) {
    let Some(first) = writes.iter().map(|write| write.sent).min() else { return (until, Duration::ZERO) };
    let mut times: Vec<Time> = writes.iter().filter_map(|write| write.acknowledged()).map(|(at, _)| at).collect();
    times.retain(|at| *at <= until);
    times.extend([first, until]);
    times.sort();
    let gaps = times.windows(2).map(|pair| (pair[0], pair[1].since(pair[0])));
    gaps.max_by_key(|(_, gap)| *gap).unwrap_or((until, Duration::ZERO))
}

/// Writes per bucket of time, for a chart.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Series {
    /// Start of the first bucket: the first send.
    pub from: Time,
    pub bucket: Duration,
    /// Acknowledged, by the region that served; each list has one number per bucket.
    pub acknowledged: BTreeMap<String, Vec<u64>>,
    /// Failed attempts.
    pub failed: Vec<u64>,
}

/// `bucket` of at least a millisecond.
pub fn series(history: &History, bucket: Duration) -> Series {
    let bucket = bucket.max(Duration::from_millis(1));
    let from = history.writes.values().map(|write| write.sent).min().unwrap_or_default();
    let index = |at: Time| (at.since(from).as_micros() / bucket.as_micros()) as usize;
    let mut acknowledged: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut failed = Vec::new();
    for write in history.writes.values() {
        write.failed.iter().for_each(|(at, _)| bump(&mut failed, index(*at)));
        if let Some((at, said)) = write.acknowledged() {
            bump(acknowledged.entry(said.site.clone()).or_default(), index(at));
        }
    }
    let length = acknowledged.values().map(Vec::len).chain([failed.len()]).max().unwrap_or(0);
    failed.resize(length, 0);
    acknowledged.values_mut().for_each(|counts| counts.resize(length, 0));
    Series { from, bucket, acknowledged, failed }
}

fn bump(counts: &mut Vec<u64>, index: usize) {
    if counts.len() <= index {
        counts.resize(index + 1, 0);
    }
    counts[index] += 1;
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
