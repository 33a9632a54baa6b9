use std::time::Duration;

use model::Time;
use proptest::prelude::*;

use super::*;
use crate::ledger::entry::{Attempt, Entry, Event};
use crate::ledger::history::tests::{acknowledged, entry, history, plan};

const MS: u64 = 1_000;

/// `(sent, acknowledged, by epoch)` in milliseconds; never acknowledged when 0.
fn writes(list: &[(u64, u64, u64)]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (seq, (sent, acked, epoch)) in (1..).zip(list) {
        entries.push(entry("c", seq, sent * MS, Event::Sent));
        if *acked > 0 {
            entries.push(entry("c", seq, acked * MS, acknowledged(*epoch)));
        }
    }
    entries
}

fn failed(seq: u64, at: u64) -> Entry {
    let attempt = Attempt { number: 1, started: Time(0), address: None, unknown: true, why: "?".into() };
    entry("c", seq, at * MS, Event::Failed(attempt))
}

fn fault(at: u64, until: u64, recovery: Recovery) -> Fault {
    Fault { at: Time(at * MS), until: Time(until * MS), recovery, over: None }
}

fn one(entries: Vec<Entry>, fault: &Fault) -> ClientResult {
    measure(&history(vec![plan("c")], entries), fault).clients.remove(0)
}

const NEW: Recovery = Recovery::NewEpoch { above: 1 };

#[test]
fn the_old_writers_last_words_are_not_recovery() {
    // At 120 the old writer, still within its lease, acknowledges a write sent after the fault at 100.
    let list = [(10, 12, 1), (95, 130, 1), (110, 120, 1), (150, 0, 0), (160, 700, 2), (600, 650, 2)];
    let result = one(writes(&list), &fault(100, 1_000, NEW));
    assert_eq!(result.rto, Some(Duration::from_millis(550)));
    assert_eq!(result.in_flight_at_fault, 1);
    assert_eq!((result.sent, result.acknowledged, result.unknown), (6, 5, 1));
    assert_eq!((result.gap_from, result.longest_gap), (Time(130 * MS), Duration::from_millis(520)));
}

#[test]
fn a_write_sent_before_the_fault_shows_no_recovery() {
    let result = one(writes(&[(90, 300, 2), (200, 400, 2)]), &fault(100, 1_000, NEW));
    assert_eq!(result.rto, Some(Duration::from_millis(300)));
}

#[test]
fn no_recovery_within_the_measured_time_is_none() {
    assert_eq!(one(writes(&[(90, 95, 1), (200, 1_500, 2)]), &fault(100, 1_000, NEW)).rto, None);
    assert_eq!(one(writes(&[(90, 95, 1), (200, 300, 1)]), &fault(100, 1_000, NEW)).rto, None);
}

#[test]
fn the_same_writer_recovers_when_the_longest_silence_ends() {
    let same = |until| fault(100, until, Recovery::SameWriter);
    let list = [(90, 95, 1), (110, 115, 1), (200, 0, 0), (480, 500, 1), (520, 525, 1)];
    let entries = || writes(&list).into_iter().chain([failed(3, 210)]).collect::<Vec<_>>();
    assert_eq!(one(entries(), &same(600)).rto, Some(Duration::from_millis(400)));
    assert_eq!(one(entries(), &same(9_000)).rto, None, "silent to the end");
    let calm = one(writes(&[(90, 95, 1), (110, 115, 1), (150, 155, 1)]), &same(170));
    assert_eq!((calm.rto, calm.saw_outage), (Some(Duration::ZERO), false), "not affected");
}

#[test]
fn an_outage_is_a_failure_or_a_long_silence_after_the_fault() {
    let calm = [(10, 12, 1), (50, 52, 1), (110, 112, 2), (150, 152, 2)];
    assert!(!one(writes(&calm), &fault(100, 200, NEW)).saw_outage);
    let with_failure =
        |at| writes(&calm[..3]).into_iter().chain([entry("c", 9, 1, Event::Sent), failed(9, at)]).collect();
    assert!(!one(with_failure(60), &fault(100, 200, NEW)).saw_outage, "before the fault");
    assert!(one(with_failure(120), &fault(100, 200, NEW)).saw_outage);
    // The plan's request time-out is 1 s.
    assert!(one(writes(&[(10, 12, 1), (1_100, 1_200, 2)]), &fault(100, 1_300, NEW)).saw_outage);
}

#[test]
fn added_latency_compares_medians_before_the_fault_and_after_the_recovery() {
    // 5 ms before the fault at 2 s; retries that end the outage at 5 s; 65 ms in the other region from then on.
    let mut list: Vec<_> = (1..50u64).map(|n| (n * 40, n * 40 + 5, 1)).collect();
    list.extend((50..125).map(|n| (n * 40, 5_000 + n, 2)));
    list.extend((126..200).map(|n| (n * 40, n * 40 + 65, 2)));
    let result = one(writes(&list), &fault(2_000, 9_000, NEW));
    assert_eq!(result.rto, Some(Duration::from_millis(3_051)));
    let median = |latency: Option<Latency>| latency.map(|l| (l.writes, l.median));
    assert_eq!(median(result.latency_before), Some((49, Duration::from_millis(5))));
    assert_eq!(median(result.latency_after), Some((73, Duration::from_millis(65))), "not the writes that waited");
    assert!((result.added_latency().unwrap() - 0.060).abs() < 1e-9);
    // 8 s of writes, whose last second says nothing; of the 75 sent in the outage the last 22 waited less than 1 s.
    assert_eq!((result.service.due, result.service.due - result.service.in_time), (173, 53));
    let blinking = Fault { over: Some(Time(7_500 * MS)), ..fault(2_000, 9_000, NEW) };
    assert_eq!(one(writes(&list), &blinking).latency_after.map(|l| l.writes), None, "12 writes after it was over");
    let never = one(writes(&list), &fault(2_000, 9_000, Recovery::NewEpoch { above: 2 }));
    assert_eq!((never.latency_after, never.added_latency()), (None, None), "it never recovered");
}

#[test]
fn the_slowest_client_outside_counts_for_its_kind() {
    let named = |name: &str, kind, place| ClientPlan { name: name.into(), kind, place, ..plan(name) };
    let clients = vec![
        named("a", ClientKind::TtlHonouring, Place::Outside),
        named("b", ClientKind::TtlHonouring, Place::Outside),
        named("in", ClientKind::TtlHonouring, Place::Inside("x".into())),
        named("p", ClientKind::Pinned, Place::Outside),
    ];
    let mut entries = Vec::new();
    for (name, acked) in [("a", 300), ("b", 400), ("in", 900), ("p", 0)] {
        entries.push(entry(name, 1, 150 * MS, Event::Sent));
        if acked > 0 {
            entries.push(entry(name, 1, acked * MS, acknowledged(2)));
        }
    }
    let result = measure(&history(clients, entries), &fault(100, 1_000, NEW));
    let expected = [(ClientKind::TtlHonouring, Some(Duration::from_millis(300))), (ClientKind::Pinned, None)];
    assert_eq!(result.rto, BTreeMap::from(expected));
}

#[test]
fn the_chart_counts_every_acknowledgement_once() {
    let mut entries = writes(&[(0, 5, 1), (10, 15, 1), (20, 1_020, 2), (30, 0, 0)]);
    entries.push(failed(4, 2_040));
    let series = series(&history(vec![plan("c")], entries), Duration::from_secs(1));
    let expected = BTreeMap::from([("site-1".to_owned(), vec![2, 0, 0]), ("site-2".to_owned(), vec![0, 1, 0])]);
    assert_eq!((series.acknowledged, series.failed), (expected, vec![0, 0, 1]));
}

proptest! {
    #[test]
    fn rto_and_gap_stay_within_what_was_measured(
        list in prop::collection::vec((1..2_000u64, 0..500u64, 1..4u64), 0..80),
        at in 1..2_000u64,
        same in any::<bool>(),
    ) {
        let list: Vec<_> = list.into_iter().map(|(sent, took, epoch)| (sent, if took == 0 { 0 } else { sent + took }, epoch)).collect();
        let fault = fault(at, 2_500, if same { Recovery::SameWriter } else { NEW });
        let result = one(writes(&list), &fault);
        let watched = fault.until.since(fault.at);
        prop_assert!(result.rto.is_none_or(|rto| rto <= watched));
        prop_assert_eq!(result.sent, result.acknowledged + result.refused + result.unknown);
        prop_assert!(result.gap_from + result.longest_gap <= fault.until);
        if let (Recovery::NewEpoch { .. }, Some(rto)) = (&fault.recovery, result.rto) {
            let earlier = list.iter().any(|w| w.0 > at && w.1 > at && w.2 > 1 && Duration::from_millis(w.1 - at) < rto);
            prop_assert!(!earlier, "an earlier acknowledgement showed recovery");
        }
    }
}
