//! Each anomaly in a history made for it; and a model service, whose right executions never alarm and whose spoilt ones
//! always do.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ledger::entry::{Acknowledgement, Entry, Event, Move, Read, Stale};
use crate::ledger::history::tests::{entry, history, plan};
use crate::ledger::rows::Trail;

const CASE: &str = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";

fn seen(version: u64, state: &str) -> Seen {
    Seen { version, state: state.into() }
}

fn acknowledged(case: &str, epoch: u64, seen: Seen) -> Event {
    Event::Acknowledged(Acknowledgement {
        attempt: 1,
        started: Time(0),
        address: ([127, 0, 1, 10], 8080).into(),
        site: "a".into(),
        case: case.into(),
        epoch,
        writer_epoch: epoch,
        lsn: "0/0".into(),
        replayed: false,
        seen,
    })
}

fn moving(to: &str) -> Event {
    Event::Moving(Move { case: CASE.into(), expected: 1, to: to.into() })
}

fn read(started: u64, epoch: u64, seen: Option<Seen>) -> Event {
    Event::Read(Read { started: Time(started), case: CASE.into(), writer_epoch: epoch, seen })
}

/// A case that is opened (1), moved on (2) and read, all in epoch 1.
fn story() -> Vec<Entry> {
    vec![
        entry("c", 1, 10, Event::Sent),
        entry("c", 1, 20, acknowledged(CASE, 1, seen(1, FIRST))),
        entry("c", 2, 30, moving("Closed")),
        entry("c", 2, 40, acknowledged(CASE, 1, seen(2, "Closed"))),
        entry("c", 3, 60, read(50, 1, Some(seen(2, "Closed")))),
    ]
}

fn trail(version: u64, was: Option<&str>, became: &str, key: &str) -> Trail {
    Trail { version, was: was.map(str::to_owned), became: became.into(), key: key.into() }
}

fn end() -> (Rows, Cases) {
    let rows = Rows::from_iter([(WriteId::new("c", 1), 1), (WriteId::new("c", 2), 1)]);
    let trail = vec![trail(1, None, FIRST, "c-1"), trail(2, Some(FIRST), "Closed", "c-2")];
    (rows, Cases::from([(CASE.into(), Case { now: seen(2, "Closed"), trail })]))
}

/// The case as it was opened, without its transition.
fn end_without_the_move() -> (Rows, Cases) {
    let (mut rows, mut cases) = end();
    rows.insert(WriteId::new("c", 2), 0);
    let case = cases.get_mut(CASE).unwrap();
    case.trail.pop();
    case.now = seen(1, FIRST);
    (rows, cases)
}

fn judge(entries: Vec<Entry>, (rows, cases): (Rows, Cases), losing: &[u64]) -> Verdict {
    check(&history(vec![plan("c")], entries), &rows, &cases, &losing.iter().copied().collect())
}

fn kinds(verdict: &Verdict) -> Vec<Kind> {
    let kinds: BTreeSet<Kind> = verdict.found.iter().map(|anomaly| anomaly.kind).collect();
    kinds.into_iter().collect()
}

#[test]
fn a_right_history_has_no_anomaly() {
    let mut entries = story();
    // Under way together with the transition: it may see either.
    entries.push(entry("c", 4, 61, read(35, 1, Some(seen(1, FIRST)))));
    let verdict = judge(entries, end(), &[]);
    assert_eq!((verdict.found.as_slice(), verdict.reads, verdict.moves, verdict.writes), (&[][..], 2, 1, 2));
}

#[test]
fn an_acknowledged_write_that_is_gone_is_lost_unless_a_failover_may_lose_it() {
    let verdict = judge(story(), end_without_the_move(), &[]);
    assert_eq!(kinds(&verdict), [Kind::LostWrite], "{:?}", verdict.found);
    assert_eq!(verdict.found.len(), 1, "told once: {:?}", verdict.found);
    assert_eq!(kinds(&judge(story(), end_without_the_move(), &[1])), [Kind::LostWrite], "of the losing epoch itself");
    assert_eq!(judge(story(), end_without_the_move(), &[2]).found, []);
}

#[test]
fn what_a_read_saw_of_an_unanswered_write_must_last_too() {
    let mut entries = story();
    entries[3] = entry("c", 2, 40, Event::Unknown { why: "no answer".into() });
    assert_eq!(kinds(&judge(entries.clone(), end_without_the_move(), &[])), [Kind::LostWrite]);
    assert_eq!(judge(entries, end_without_the_move(), &[2]).found, []);
}

#[test]
fn a_second_effect_is_found_in_rows_and_in_the_trail() {
    let (mut rows, cases) = end();
    rows.insert(WriteId::new("c", 1), 2);
    assert_eq!(kinds(&judge(story(), (rows, cases), &[])), [Kind::DoubleEffect]);
    let (rows, mut cases) = end();
    let case = cases.get_mut(CASE).unwrap();
    case.trail.push(trail(3, Some("Closed"), "Closed", "c-2"));
    case.now.version = 3;
    assert!(kinds(&judge(story(), (rows, cases), &[])).contains(&Kind::DoubleEffect));
}

#[test]
fn a_command_on_a_version_that_is_past_is_stale() {
    let stale = |started, accepted, writer_epoch| {
        let asked = Move { case: CASE.into(), expected: 1, to: "Escalated".into() };
        Event::Stale(Stale { started: Time(started), asked, writer_epoch, accepted })
    };
    let with = |event| [story(), vec![entry("c", 5, 80, event)]].concat();
    assert_eq!(judge(with(stale(70, false, 1)), end(), &[]).found, []);
    assert_eq!(kinds(&judge(with(stale(70, true, 1)), end(), &[])), [Kind::StaleTransition]);
    assert_eq!(kinds(&judge(with(stale(70, true, 2)), end(), &[2])), [Kind::StaleTransition], "nothing was lost");
    let verdict = judge(with(stale(70, true, 2)), end_without_the_move(), &[2]);
    assert_eq!((verdict.found.as_slice(), verdict.within_loss), (&[][..], 1), "what it was stale to is lost");
    // A transition that was acknowledged although a read had seen its version before it was sent.
    let mut entries = story();
    entries.push(entry("c", 6, 70, Event::Moving(Move { case: CASE.into(), expected: 1, to: "Escalated".into() })));
    entries.push(entry("c", 6, 80, acknowledged(CASE, 1, seen(2, "Escalated"))));
    let (mut rows, cases) = end();
    rows.insert(WriteId::new("c", 6), 1);
    assert_eq!(kinds(&judge(entries, (rows, cases), &[])), [Kind::StaleTransition]);
}

#[test]
fn a_state_that_nobody_asked_for_is_torn() {
    for torn in [seen(1, "Closed"), seen(2, FIRST), seen(2, "Escalated"), seen(3, "Closed")] {
        let entries = [story(), vec![entry("c", 5, 80, read(35, 1, Some(torn.clone())))]].concat();
        assert!(kinds(&judge(entries, end(), &[])).contains(&Kind::TornTransition), "{torn:?}");
    }
    let spoil: [fn(&mut Case); 5] = [
        |case| case.now.state = "Escalated".into(),
        |case| case.now.version = 3,
        |case| drop(case.trail.remove(0)),
        |case| case.trail[1].was = Some("Escalated".into()),
        |case| case.trail[1].became = "Escalated".into(),
    ];
    for spoil in spoil {
        let (rows, mut cases) = end();
        spoil(cases.get_mut(CASE).unwrap());
        assert!(kinds(&judge(story(), (rows, cases), &[])).contains(&Kind::TornTransition));
    }
}

#[test]
fn a_read_does_not_go_back_but_for_what_a_failover_lost() {
    let with = |seen, epoch| [story(), vec![entry("c", 5, 80, read(70, epoch, seen))]].concat();
    let old = || Some(seen(1, FIRST));
    assert_eq!(kinds(&judge(with(old(), 1), end(), &[])), [Kind::ReadBackInTime]);
    assert_eq!(kinds(&judge(with(None, 1), end(), &[])), [Kind::ReadBackInTime]);
    assert_eq!(kinds(&judge(with(old(), 2), end(), &[2])), [Kind::ReadBackInTime], "what it misses is not lost");
    let verdict = judge(with(old(), 2), end_without_the_move(), &[2]);
    assert_eq!((verdict.found.as_slice(), verdict.within_loss), (&[][..], 1));
    let verdict = judge(with(None, 2), end_without_the_move(), &[2]);
    assert_eq!(kinds(&verdict), [Kind::ReadBackInTime], "the case itself was not lost");
}

#[test]
fn an_older_writer_does_not_answer_after_a_newer_one() {
    let entries = vec![
        entry("c", 1, 10, Event::Sent),
        entry("c", 1, 20, acknowledged(CASE, 1, seen(1, FIRST))),
        entry("c", 2, 40, read(30, 2, Some(seen(1, FIRST)))),
        entry("c", 3, 60, read(50, 1, Some(seen(1, FIRST)))),
    ];
    let (rows, mut cases) = end();
    let case = cases.get_mut(CASE).unwrap();
    case.trail.pop();
    case.now = seen(1, FIRST);
    assert_eq!(kinds(&judge(entries, (rows, cases), &[2])), [Kind::ReadBackInTime]);
}

/// A right service and its clients: each thing takes effect at one instant between its beginning and its end. A
/// failover takes the newest effects back; clients never learn of some answers.
#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    cases: Vec<Case>,
    /// Effects in order: the write, its case, and whether that was opened by it.
    effects: Vec<(WriteId, usize, bool)>,
    epoch: u64,
}

fn name(case: usize) -> String {
    format!("00000000-0000-0000-0000-{case:012}")
}

/// What happens next, where among the cases, and how long before and after its instant it begins and ends.
type Happening = (u8, usize, u64, u64);

impl Model {
    fn run(happenings: &[Happening], failover: Option<(usize, usize)>) -> (History, Rows, Cases) {
        let mut model = Model { epoch: 1, ..Self::default() };
        for (number, happening) in happenings.iter().enumerate() {
            if let Some((_, lost)) = failover.filter(|(at, _)| *at == number) {
                model.fail_over(lost);
            }
            model.happens(number as u64, happening);
        }
        // The ledger has a line when something was sent, and one when it ended.
        model.entries.sort_by_key(|entry| entry.at);
        let rows = model.effects.iter().map(|(id, ..)| (id.clone(), 1)).collect();
        let cases = model.cases.iter().enumerate().filter(|(_, case)| !case.trail.is_empty());
        let cases = cases.map(|(number, case)| (name(number), case.clone())).collect();
        (history(vec![plan("c")], model.entries), rows, cases)
    }

    fn fail_over(&mut self, lost: usize) {
        self.epoch += 1;
        for (_, case, _) in self.effects.split_off(self.effects.len().saturating_sub(lost)).into_iter().rev() {
            let case = &mut self.cases[case];
            case.trail.pop();
            if let Some(last) = case.trail.last() {
                case.now = seen(last.version, &last.became);
            }
        }
    }

    fn happens(&mut self, number: u64, (what, case, before, after): &Happening) {
        // Instants are 10 apart, and so what is 30 long runs beside its neighbours.
        let instant = 1_000 + number * 10;
        let (from, to, id) = (instant - before, instant + after, WriteId::new("c", number));
        let case = case % self.cases.len().max(1);
        // One in eight answers never comes.
        let silent = number % 8 == 7;
        match what {
            0..=2 => {
                let made = self.cases.len();
                let trail = vec![trail(1, None, FIRST, &id.to_string())];
                self.cases.push(Case { now: seen(1, FIRST), trail });
                self.effects.push((id, made, true));
                self.entries.push(entry("c", number, from, Event::Sent));
                self.ends(number, to, silent, acknowledged(&name(made), self.epoch, seen(1, FIRST)));
            }
            _ if self.cases.is_empty() => {}
            3..=4 => {
                let asked =
                    Move { case: name(case), expected: 1, to: ["Closed", "Escalated"][number as usize % 2].into() };
                self.entries.push(entry("c", number, from, Event::Moving(asked.clone())));
                let there = &mut self.cases[case];
                let takes = there.trail.len() == 1;
                if takes {
                    there.trail.push(trail(2, Some(FIRST), &asked.to, &id.to_string()));
                    there.now = seen(2, &asked.to);
                    self.effects.push((id, case, false));
                }
                let answer = acknowledged(&asked.case, self.epoch, seen(2, &asked.to));
                let end = if takes { answer } else { Event::Refused { why: "409".into() } };
                self.ends(number, to, silent, end);
            }
            5 if self.cases[case].trail.len() == 2 => {
                let asked = Move { case: name(case), expected: 1, to: "Closed".into() };
                let stale = Stale { started: Time(from), asked, writer_epoch: self.epoch, accepted: false };
                self.entries.push(entry("c", number, to, Event::Stale(stale)));
            }
            _ => {
                let there = &self.cases[case];
                let seen = (!there.trail.is_empty()).then(|| there.now.clone());
                let read = Read { started: Time(from), case: name(case), writer_epoch: self.epoch, seen };
                self.entries.push(entry("c", number, to, Event::Read(read)));
            }
        }
    }

    fn ends(&mut self, number: u64, to: u64, silent: bool, end: Event) {
        let end = if silent { Event::Unknown { why: "no answer".into() } } else { end };
        self.entries.push(entry("c", number, to, end));
    }
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec((0..9u8, 0..64usize, 0..30u64, 1..30u64), 10..80)
}

/// A right execution, spoilt in one way. `None` when this one has nothing that could be spoilt so.
fn spoilt(kind: Kind, pick: usize, (history, rows, cases): &mut (History, Rows, Cases)) -> Option<()> {
    let mut known: BTreeMap<String, Time> = BTreeMap::new();
    for (at, said) in history.writes.values().filter_map(|write| write.acknowledged()) {
        let first = known.entry(said.case.clone()).or_insert(at);
        *first = at.min(*first);
    }
    let answered: Vec<WriteId> =
        history.writes.iter().filter(|(_, write)| write.acknowledged().is_some()).map(|(id, _)| id.clone()).collect();
    let after = |read: &Read| known.get(&read.case).is_some_and(|at| *at < read.started);
    let reads: Vec<usize> = (0..history.reads.len()).filter(|n| after(&history.reads[*n].2)).collect();
    let any = |count: usize| (count > 0).then(|| pick % count);
    match kind {
        Kind::LostWrite => rows.insert(answered[any(answered.len())?].clone(), 0),
        Kind::DoubleEffect => rows.insert(answered[any(answered.len())?].clone(), 2),
        Kind::ReadBackInTime => history.reads[reads[any(reads.len())?]].2.seen = None,
        Kind::TornTransition => {
            let read = &mut history.reads[reads[any(reads.len())?]].2;
            read.seen = Some(Seen { version: 7, state: "Closed".into() });
        }
        Kind::StaleTransition => {
            let moved: BTreeMap<String, Time> = history
                .writes
                .values()
                .filter_map(|write| {
                    let (at, said) = write.acknowledged().filter(|(_, said)| said.seen.version == 2)?;
                    Some((said.case.clone(), at))
                })
                .collect();
            let past = |stale: &Stale| moved.get(&stale.asked.case).is_some_and(|at| *at < stale.started);
            let stale: Vec<usize> = (0..history.stale.len()).filter(|n| past(&history.stale[*n].2)).collect();
            history.stale[stale[any(stale.len())?]].2.accepted = true;
        }
    }
    let _ = cases;
    Some(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_right_execution_never_alarms(happenings in happenings(), at in 0..80usize, lost in 0..6usize, fails: bool) {
        let (history, rows, cases) = Model::run(&happenings, fails.then_some((at, lost)));
        let losing = if fails { Losing::from([2]) } else { Losing::new() };
        let verdict = check(&history, &rows, &cases, &losing);
        prop_assert_eq!(verdict.found, vec![]);
    }

    #[test]
    fn a_spoilt_execution_always_does(happenings in happenings(), pick: usize) {
        for kind in [
            Kind::LostWrite, Kind::DoubleEffect, Kind::StaleTransition, Kind::TornTransition, Kind::ReadBackInTime,
        ] {
            let mut run = Model::run(&happenings, None);
            if spoilt(kind, pick, &mut run).is_some() {
                let (history, rows, cases) = run;
                let found = kinds(&check(&history, &rows, &cases, &Losing::new()));
                prop_assert!(found.contains(&kind), "{kind:?} was not found, but {found:?}");
            }
        }
    }
}
