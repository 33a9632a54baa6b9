//! What a right is not: late, of another record, or a reason to ask again and again.

use super::*;

fn granted(highest: &Epoch, version: u64, in_sync: &[&str]) -> LeaseReply {
    let sync = SyncRecord { version, in_sync: in_sync.iter().copied().map(site).collect() };
    LeaseReply { highest: highest.clone(), sync, refused: None }
}

fn asks(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Ask { .. })).count()
}

#[test]
fn a_server_that_opens_too_late_never_opens_its_gate() {
    let mut world = World::started();
    let (now, writer) = (world.now, world.writers.get_mut(&site("a")).unwrap());
    let effects = writer.step(now, Event::ServerExited { why: "killed".into() });
    assert!(effects.contains(&Effect::Restart));
    let late = writer.deadline().unwrap();
    let effects = writer.step(late, Event::Opened { phases: vec![], end: Lsn(100) });
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::OpenGate { .. })), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Stop { clean: false })), "{effects:?}");
}

/// The writer changed the record between the candidate's questions: what it had acknowledged since was lost.
#[test]
fn a_record_that_moved_while_the_voters_were_asked_counts() {
    let mut world = World::new(true);
    let old = Epoch { number: 1, site: site("a") };
    let attempt = Attempt { epoch: old.clone(), ..world.attempt(2) };
    let writer = world.writers.get_mut(&site("b")).unwrap();
    let order = Event::Promote { attempt, receipts: vec![], at_least: None, accept_loss: None, received: Lsn(1) };
    let mut asked = writer.step(Time::ZERO, order);
    for (version, in_sync) in [(1, &["b"][..]), (2, &[][..])] {
        let questions = asked.clone().into_iter().filter_map(|effect| match effect {
            Effect::Ask { voter, request } if voter != site("a") => Some((voter, request)),
            _ => None,
        });
        for (voter, request) in questions {
            let reply = granted(&old, version, in_sync);
            asked = writer.step(Time::ZERO, Event::Voted { voter, request, sent: Time::ZERO, reply });
        }
    }
    assert!(!asked.iter().any(|effect| matches!(effect, Effect::Open { .. })), "{asked:?}");
    let refused = |effect: &Effect| matches!(effect, Effect::Answer { outcome: Outcome::Refused { .. }, .. });
    assert!(asked.iter().any(refused), "{asked:?}");
}

/// A bid that was refused at once asked every voter anew, and each answer began the next bid: questions without end.
#[test]
fn a_lapsed_writer_begins_one_bid_each_interval() {
    let mut world = World::new(true);
    let (wrote, raised) = (Epoch { number: 1, site: site("a") }, Epoch { number: 2, site: site("a") });
    let writer = world.writers.get_mut(&site("a")).unwrap();
    (writer.durable.written, writer.highest) = (wrote, raised.clone());
    writer.mode = Mode::Lapsed { why: "both links were cut".into(), since: Time::ZERO };
    let mut now = Time(10_000_000);
    writer.step(now, Event::Tick);
    let mut answer = |now, voter: &str| {
        let request = LeaseRequest::Sound { epoch: raised.next(&site("a")), receipts: vec![] };
        let reply = granted(&raised, 1, &["b"]);
        writer.step(now, Event::Voted { voter: site(voter), request, sent: now, reply })
    };
    assert_eq!(asks(&answer(now, "a")) + asks(&answer(now, "b")), 0, "not before every voter was heard");
    assert_eq!(asks(&answer(now, "w")), 3, "then a bid begins");
    answer(now, "b");
    for voter in ["a", "b", "w"] {
        assert_eq!(asks(&answer(now, voter)), 0, "it was refused by the record, and the next waits");
    }
    now = now + 500 * MS;
    assert!((0..3).map(|_| asks(&answer(now, "w"))).sum::<usize>() > 0, "and comes");
}

/// Two voters have not heard of it. The third would grant too, but says who was elected.
#[test]
fn a_lapsed_writer_bids_above_no_other_sites_epoch() {
    let mut world = World::new(false);
    let (wrote, elected) = (Epoch { number: 1, site: site("a") }, Epoch { number: 2, site: site("b") });
    let writer = world.writers.get_mut(&site("a")).unwrap();
    (writer.durable.written, writer.highest) = (wrote.clone(), wrote.clone());
    writer.mode = Mode::Lapsed { why: "both links were cut".into(), since: Time::ZERO };
    let now = Time(10_000_000);
    writer.step(now, Event::Tick);
    for (voter, knows) in [("a", &wrote), ("w", &wrote), ("b", &elected)] {
        let request = LeaseRequest::Sound { epoch: elected.next(&site("a")), receipts: vec![] };
        let reply = granted(knows, 0, &[]);
        let effects = writer.step(now, Event::Voted { voter: site(voter), request, sent: now, reply });
        let acquires = |effect: &Effect| matches!(effect, Effect::Ask { request: LeaseRequest::Acquire { .. }, .. });
        assert!(!effects.iter().any(acquires) && !matches!(writer.mode, Mode::Bidding(_)), "{voter}: {effects:?}");
    }
    assert!(matches!(writer.mode, Mode::Fenced { .. }), "{:?}", writer.mode);
}

/// Whoever gave it did not know of the epoch that this site knows of: nobody is even asked.
#[test]
fn an_order_of_an_older_epoch_asks_nobody() {
    let mut world = World::new(false);
    let attempt = world.attempt(2);
    let writer = world.writers.get_mut(&site("b")).unwrap();
    writer.highest = Epoch { number: 2, site: site("a") };
    let order = Event::Promote { attempt, receipts: vec![], at_least: None, accept_loss: None, received: Lsn(1) };
    let effects = writer.step(Time::ZERO, order);
    assert_eq!(asks(&effects), 0, "{effects:?}");
    assert!(matches!(&effects[..], [Effect::Answer { outcome: Outcome::Refused { .. }, .. }]), "{effects:?}");
}

/// Its own bid has raised it, of which whoever gives the next order may not have heard (the simulator's seed 225402).
#[test]
fn an_own_epoch_is_no_reason_to_refuse_an_order() {
    let mut world = World::new(false);
    let attempt = world.attempt(2);
    let writer = world.writers.get_mut(&site("b")).unwrap();
    writer.highest = Epoch { number: 2, site: site("b") };
    let order = Event::Promote { attempt, receipts: vec![], at_least: None, accept_loss: None, received: Lsn(1) };
    writer.step(Time::ZERO, order);
    let Mode::Bidding(bid) = &writer.mode else { panic!("{:?}", writer.mode) };
    assert_eq!(bid.epoch.number, 3, "above what it bid for before");
}
