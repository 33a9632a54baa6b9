//! A small world of three voters and two writers, with virtual time and messages that are lost, late and doubled.

mod glass;
mod rights;
mod storage;
mod waits;

use std::collections::BTreeMap;

use model::topology::WhenAlone;
use model::{ActError, RunId};
use proptest::prelude::*;

use super::*;
use crate::lease::{Promises, Voter};

const MS: Duration = Duration::from_millis(1);

fn timing() -> Terms {
    let topology_timing = model::Timing {
        profile: "test".into(),
        lease: 5_000 * MS,
        renew_every: 500 * MS,
        renew_timeout: 400 * MS,
        clock_drift_ppm: 10_000,
        stop_margin: 200 * MS,
        probe_every: 250 * MS,
        probe_timeout: 400 * MS,
        suspect_after: 700 * MS,
        unreachable_after: 2_000 * MS,
        unready_after: 10_000 * MS,
        stale_after: 1_500 * MS,
        request_timeout: 5_000 * MS,
        check_every: 100 * MS,
        healthy_for: 3_000 * MS,
        max_lag: 5_000 * MS,
        step_deadlines: model::topology::StepDeadlines {
            check: 15_000 * MS,
            fence: 5_000 * MS,
            promote: 20_000 * MS,
            follow: 60_000 * MS,
            scale: 20_000 * MS,
            route: 3_000 * MS,
            exercise: 5_000 * MS,
        },
    };
    Terms::new(&topology_timing)
}

fn site(name: &str) -> SiteId {
    SiteId::new(name)
}

struct World {
    now: Time,
    voters: BTreeMap<SiteId, Voter>,
    writers: BTreeMap<SiteId, Writer>,
    /// Sites whose messages to each other are lost.
    cut: Vec<(SiteId, SiteId)>,
    delay: Duration,
    /// Deliver at, from, to, request or reply.
    wire: Vec<(Time, SiteId, SiteId, LeaseRequest, Time, Option<LeaseReply>)>,
    answers: Vec<(AttemptId, Outcome)>,
    receipts: Vec<Receipt>,
    /// Who may serve clients now, by its gate.
    gates: BTreeMap<SiteId, bool>,
    /// Whom each server's commits wait for.
    waits: BTreeMap<SiteId, Option<SiteId>>,
    /// Newest epoch that ever had an open gate.
    served: Epoch,
    /// People broke the glass although others lived.
    two_by_decree: bool,
}

impl World {
    fn new(rpo_zero: bool) -> Self {
        let names = ["a", "b", "w"].map(site);
        let rules = |me: &SiteId| Rules {
            me: me.clone(),
            voters: names.to_vec(),
            terms: timing(),
            renew_every: 500 * MS,
            sync: rpo_zero.then(|| SyncRules { when_alone: WhenAlone::Degrade, lost_after: 2_000 * MS }),
            partners: names[..2].iter().filter(|n| *n != me).cloned().collect(),
            restart_after_crash: true,
        };
        let voter = |n: &SiteId| (n.clone(), Voter::start(timing(), Promises::default(), Time::ZERO));
        Self {
            now: Time::ZERO,
            voters: names.iter().map(voter).collect(),
            writers: names[..2].iter().map(|n| (n.clone(), Writer::new(rules(n), Durable::default()))).collect(),
            cut: vec![],
            delay: MS,
            wire: vec![],
            answers: vec![],
            receipts: vec![],
            gates: BTreeMap::new(),
            waits: BTreeMap::new(),
            served: Epoch::none(),
            two_by_decree: false,
        }
    }

    fn passes(&self, from: &SiteId, to: &SiteId) -> bool {
        from == to || !self.cut.iter().any(|(f, t)| (f == from && t == to) || (f == to && t == from))
    }

    fn send(&mut self, me: &str, event: Event) {
        let me = site(me);
        let effects = self.writers.get_mut(&me).unwrap().step(self.now, event);
        for effect in effects {
            self.perform(&me, effect);
        }
    }

    fn perform(&mut self, me: &SiteId, effect: Effect) {
        match effect {
            Effect::Ask { voter, request } => {
                let at = self.now + if voter == *me { Duration::ZERO } else { self.delay };
                self.wire.push((at, me.clone(), voter, request, self.now, None));
            }
            Effect::Open { .. } | Effect::Restart => {
                self.send(me.as_str(), Event::Opened { phases: vec![], end: Lsn(100) })
            }
            Effect::OpenGate { epoch } => {
                self.gates.insert(me.clone(), true);
                assert!(epoch > self.served || epoch.site == self.served.site, "{epoch} opened after {}", self.served);
                self.served = epoch.max(self.served.clone());
            }
            Effect::ShutGate => drop(self.gates.insert(me.clone(), false)),
            Effect::Stop { .. } => self.send(me.as_str(), Event::Gone { end: Some(Lsn(100)) }),
            Effect::Certify { epoch, end, attempt } => {
                let receipt = Receipt { workload: "w".into(), site: me.clone(), epoch, end, signature: String::new() };
                if let Some(attempt) = attempt {
                    let evidence = Evidence { receipt: Some(receipt.clone().into()), ..Evidence::default() };
                    self.answers.push((attempt, Outcome::Done(evidence)));
                }
                self.receipts.push(receipt);
            }
            Effect::Answer { attempt, outcome } => self.answers.push((attempt, outcome)),
            Effect::Synchronous { standby } => drop(self.waits.insert(me.clone(), standby)),
            Effect::Say { .. } => {}
        }
    }

    fn serving(&self, name: &SiteId) -> bool {
        let open = self.gates.get(name).copied().unwrap_or(false);
        open && self.writers[name].deadline().is_some_and(|deadline| self.now < deadline)
    }

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while self.now < end {
            self.now = self.now + 10 * MS;
            let (due, later): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.wire).into_iter().partition(|m| m.0 <= self.now);
            self.wire = later;
            for message in due {
                self.deliver(message);
            }
            for name in ["a", "b"] {
                self.send(name, Event::Tick);
            }
            self.recall();
            let writers: Vec<_> = ["a", "b"].map(site).into_iter().filter(|n| self.serving(n)).collect();
            assert!(self.two_by_decree || writers.len() < 2, "two writers at {}", self.now);
        }
    }

    fn deliver(
        &mut self,
        (_, from, to, request, sent, reply): (Time, SiteId, SiteId, LeaseRequest, Time, Option<LeaseReply>),
    ) {
        if !self.passes(&from, &to) {
            return;
        }
        match reply {
            None => {
                let (reply, next) = self.voters[&to].answer(self.now, &request);
                self.voters.insert(to.clone(), next);
                let at = self.now + if from == to { Duration::ZERO } else { self.delay };
                self.wire.push((at, from, to, request, sent, Some(reply)));
            }
            Some(reply) if request == LeaseRequest::Recall => {
                let next = self.voters[&from].heard(&to, sent, &reply);
                self.voters.insert(from, next);
            }
            Some(reply) => self.send(from.as_str(), Event::Voted { voter: to, request, sent, reply }),
        }
    }

    fn attempt(&self, number: u32) -> Attempt {
        let highest = self.voters.values().map(|v| v.promises().granted.clone()).max().unwrap();
        let id = AttemptId { run: RunId(1), step: number, number: 1 };
        Attempt { id, epoch: highest, generation: 1, deadline: 20_000 * MS }
    }

    fn promote(&mut self, who: &str, number: u32) {
        let order = Event::Promote {
            attempt: self.attempt(number),
            receipts: self.receipts.clone(),
            at_least: None,
            accept_loss: None,
            received: Lsn(100),
        };
        self.send(who, order);
    }

    fn streams(&mut self, who: &str, standby: &str, streaming: bool, flushed: u64) {
        let stream = Stream { site: site(standby), streaming, synchronous: streaming, flushed: Lsn(flushed) };
        self.send(who, Event::Standbys { streams: vec![stream], position: Lsn(200) });
    }

    fn cut(&mut self, pairs: &[(&str, &str)]) {
        self.cut = pairs.iter().map(|(a, b)| (site(a), site(b))).collect();
    }

    fn started() -> Self {
        let mut world = Self::new(false);
        world.promote("a", 1);
        world.advance(1_000 * MS);
        assert!(world.serving(&site("a")));
        world
    }
    /// `a` writes synchronously, and the record names `b`.
    fn in_sync() -> Self {
        let mut world = Self::new(true);
        world.promote("a", 1);
        world.advance(1_000 * MS);
        for _ in 0..4 {
            world.streams("a", "b", true, 200);
            world.advance(100 * MS);
        }
        assert!(world.writers[&site("a")].in_sync().contains(&site("b")));
        world
    }
    fn outcome(&self, number: u32) -> Option<&Outcome> {
        self.answers.iter().find(|(id, _)| id.step == number).map(|(_, outcome)| outcome)
    }
    fn done(&self, number: u32) -> bool {
        matches!(self.outcome(number), Some(Outcome::Done(_)))
    }
}

#[test]
fn a_lost_writer_is_replaced_when_its_lease_is_over_and_not_before() {
    let mut world = World::started();
    world.cut(&[("a", "b"), ("a", "w")]);
    world.promote("b", 2);
    world.advance(4_400 * MS);
    assert!(!world.serving(&site("b")) && world.outcome(2).is_none());
    world.advance(1_000 * MS);
    assert!(world.serving(&site("b")) && world.done(2));
    assert!(!world.serving(&site("a")));
    assert!(world.writers[&site("a")].lapsed().is_some());
}

#[test]
fn the_old_writer_fences_itself_for_good_when_it_comes_back() {
    let mut world = World::started();
    world.cut(&[("a", "b"), ("a", "w")]);
    world.promote("b", 2);
    world.advance(6_000 * MS);
    world.cut(&[]);
    world.advance(2_000 * MS);
    assert!(matches!(world.writers[&site("a")].mode(), Mode::Fenced { .. }));
    assert!(world.serving(&site("b")));
}

#[test]
fn losing_any_one_site_or_link_stops_nobody() {
    for cut in [&[("a", "b")][..], &[("a", "w")], &[("b", "w")], &[("a", "b"), ("w", "b")], &[("a", "w"), ("b", "w")]] {
        let mut world = World::started();
        world.cut(cut);
        world.advance(20_000 * MS);
        assert!(world.serving(&site("a")), "{cut:?}");
    }
}

#[test]
fn a_candidate_that_cannot_win_leaves_the_writer_alone() {
    let mut world = World::started();
    world.cut(&[("a", "b")]);
    world.promote("b", 2);
    world.advance(25_000 * MS);
    assert!(world.serving(&site("a")));
    assert!(matches!(world.outcome(2), Some(Outcome::Failed(_))));
    assert_eq!(world.voters[&site("b")].promises().granted.number, 1, "nothing was promised to the candidate");
}

#[test]
fn a_writer_whose_links_were_all_cut_resumes_by_itself_when_nobody_was_elected() {
    let mut world = World::started();
    world.cut(&[("a", "b"), ("a", "w")]);
    world.advance(8_000 * MS);
    assert!(!world.serving(&site("a")));
    world.cut(&[]);
    world.advance(2_000 * MS);
    assert!(world.serving(&site("a")));
    assert_eq!(world.writers[&site("a")].epoch().unwrap().number, 2);
}

#[test]
fn a_receipt_spares_the_wait() {
    let mut world = World::started();
    let attempt = world.attempt(2);
    world.send("a", Event::Fence { attempt, clean: true });
    world.promote("b", 3);
    world.advance(200 * MS);
    assert!(world.done(2) && world.done(3));
    assert!(world.serving(&site("b")));
}

#[test]
fn a_fenced_writer_never_resumes_by_itself() {
    let mut world = World::started();
    let attempt = world.attempt(2);
    world.send("a", Event::Fence { attempt, clean: false });
    world.advance(20_000 * MS);
    assert!(!world.serving(&site("a")));
    world.send("a", Event::Restarted { standby: false });
    world.advance(20_000 * MS);
    assert!(!world.serving(&site("a")));
}

#[test]
fn a_promotion_that_arrives_after_its_cancellation_is_harmless() {
    let mut world = World::started();
    let late = world.attempt(2);
    world.send("b", Event::Cancel { attempt: late.id });
    world.cut(&[("a", "b"), ("a", "w")]);
    world.promote("b", 2);
    world.advance(10_000 * MS);
    assert!(matches!(world.outcome(2), Some(Outcome::Refused { .. })));
    assert!(!world.serving(&site("b")));
}

#[test]
fn an_order_of_an_old_epoch_or_controller_is_refused() {
    let mut world = World::started();
    let (old_epoch, mut old_controller) = (world.attempt(5), world.attempt(6));
    let attempt = world.attempt(2);
    world.send("a", Event::Fence { attempt, clean: true });
    world.promote("b", 3);
    world.advance(500 * MS);
    world.send("a", Event::Fence { attempt: old_epoch, clean: true });
    assert!(world.outcome(5).is_some());
    old_controller.generation = 0;
    world.send("b", Event::Fence { attempt: old_controller, clean: true });
    assert!(matches!(world.outcome(6), Some(Outcome::Refused { .. })));
    assert!(world.serving(&site("b")));
}

#[test]
fn a_voter_raised_by_a_dead_candidate_cannot_stop_the_writer() {
    let mut world = World::started();
    // A candidate at b that got as far as its own voter, then died.
    let bid = LeaseRequest::Acquire { epoch: Epoch { number: 2, site: site("b") }, receipts: vec![] };
    let lapsed = Voter::start(timing(), Promises::default(), Time::ZERO);
    let (_, raised) = lapsed.answer(world.now, &bid);
    world.voters.insert(site("b"), raised);
    world.advance(2_000 * MS);
    world.cut(&[("a", "w")]);
    world.advance(20_000 * MS);
    assert!(world.serving(&site("a")), "with a and b alone, in epoch {:?}", world.writers[&site("a")].epoch());
}

#[test]
fn a_crashed_server_is_started_again_once_then_fenced_with_a_receipt() {
    let mut world = World::started();
    world.send("a", Event::ServerExited { why: "signal 9".into() });
    world.advance(100 * MS);
    assert!(world.serving(&site("a")));
    world.send("a", Event::ServerExited { why: "signal 9".into() });
    assert!(matches!(world.writers[&site("a")].mode(), Mode::Fenced { .. }));
    assert_eq!(world.receipts.len(), 1);
}

#[test]
fn with_rpo_zero_only_a_recorded_standby_is_promoted_unless_two_people_accept_the_loss() {
    let mut world = World::new(true);
    world.promote("a", 1);
    world.advance(1_000 * MS);
    world.cut(&[("a", "b"), ("a", "w")]);
    world.promote("b", 2);
    world.advance(8_000 * MS);
    assert!(matches!(world.outcome(2), Some(Outcome::Refused { .. })));
    let accept_loss = Some(AcceptLoss { by: vec![], estimate: "3 s".into() });
    let attempt = world.attempt(3);
    world.send("b", Event::Promote { attempt, receipts: vec![], at_least: None, accept_loss, received: Lsn(1) });
    world.advance(8_000 * MS);
    assert!(world.done(3) && world.serving(&site("b")));
}

#[test]
fn a_standby_is_waited_for_before_it_is_recorded_and_recorded_out_before_it_is_no_longer_waited_for() {
    let mut world = World::new(true);
    world.promote("a", 1);
    world.advance(1_000 * MS);
    assert_eq!(world.waits[&site("a")], None);
    world.streams("a", "b", true, 150);
    assert_eq!(world.waits[&site("a")], Some(site("b")), "waited for first");
    for _ in 0..3 {
        world.streams("a", "b", true, 199);
        world.advance(100 * MS);
    }
    assert!(world.writers[&site("a")].in_sync().is_empty(), "it lacks what was acknowledged before the wait began");
    world.streams("a", "b", true, 200);
    world.advance(100 * MS);
    assert!(world.writers[&site("a")].in_sync().contains(&site("b")));
    world.cut(&[("a", "b"), ("a", "w")]);
    world.advance(2_500 * MS);
    world.streams("a", "b", false, 200);
    world.advance(100 * MS);
    assert_eq!(world.waits[&site("a")], Some(site("b")), "no majority recorded the drop: still waited for");
    world.cut(&[("a", "b")]);
    world.streams("a", "b", false, 200);
    world.advance(100 * MS);
    world.streams("a", "b", false, 200);
    assert_eq!(world.waits[&site("a")], None);
    assert!(world.voters[&site("w")].promises().sync.in_sync.is_empty());
}

#[test]
fn a_standby_is_not_recorded_before_the_server_was_twice_seen_to_wait_for_it() {
    let mut world = World::new(true);
    world.promote("a", 1);
    world.advance(1_000 * MS);
    let look = |world: &mut World, synchronous| {
        let stream = Stream { site: site("b"), streaming: true, synchronous, flushed: Lsn(200) };
        world.send("a", Event::Standbys { streams: vec![stream], position: Lsn(200) });
        world.advance(100 * MS);
        world.writers[&site("a")].in_sync().contains(&site("b"))
    };
    assert!(!look(&mut world, false), "ordered");
    assert!(!look(&mut world, false), "not in effect");
    assert!(!look(&mut world, true), "in effect in one process");
    assert!(look(&mut world, true));
}

#[test]
fn a_recorded_standby_is_promoted_without_an_override_and_a_dropped_one_is_not() {
    for dropped in [false, true] {
        let mut world = World::in_sync();
        if dropped {
            world.cut(&[("a", "b")]);
            world.advance(2_500 * MS);
            world.streams("a", "b", false, 200);
            world.advance(100 * MS);
        }
        world.cut(&[("a", "b"), ("a", "w")]);
        world.promote("b", 2);
        world.advance(8_000 * MS);
        assert_eq!(world.done(2), !dropped);
    }
}

#[test]
fn after_a_restart_clients_wait_until_the_standby_has_what_recovery_brought_back() {
    let mut world = World::in_sync();
    world.send("a", Event::ServerExited { why: "signal 9".into() });
    assert!(!world.serving(&site("a")));
    world.streams("a", "b", true, 99);
    assert!(!world.serving(&site("a")));
    world.streams("a", "b", true, 100);
    assert!(world.serving(&site("a")));
}

#[test]
fn a_copy_that_reaches_the_end_of_a_cleanly_stopped_writer_needs_no_record() {
    for (received, promoted) in [(99, false), (100, true)] {
        let mut world = World::new(true);
        world.promote("a", 1);
        world.advance(1_000 * MS);
        let attempt = world.attempt(2);
        world.send("a", Event::Fence { attempt, clean: true });
        let (attempt, receipts) = (world.attempt(3), world.receipts.clone());
        let received = Lsn(received);
        world.send("b", Event::Promote { attempt, receipts, at_least: None, accept_loss: None, received });
        world.advance(1_000 * MS);
        assert_eq!(world.done(3), promoted, "the writer's log ended at 100, the copy's at {received}");
    }
}

#[test]
fn a_log_that_ends_too_early_is_not_promoted() {
    let mut world = World::started();
    let attempt = world.attempt(2);
    let order =
        Event::Promote { attempt, receipts: vec![], at_least: Some(Lsn(101)), accept_loss: None, received: Lsn(100) };
    world.send("b", order);
    assert!(matches!(world.outcome(2), Some(Outcome::Failed(ActError::Transient(_)))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever links are cut, whoever is ordered to do what and whichever voter or agent restarts: never two writers
    /// (asserted in `World::advance` every 10 ms) and never an older epoch after a newer one (in `OpenGate`).
    #[test]
    fn invariant_never_two_writers(script in prop::collection::vec((0u8..9, 0u64..6_000, 0usize..3), 1..40)) {
        let mut world = World::started();
        let names = ["a", "b", "w"];
        for (number, (what, ms, which)) in script.into_iter().enumerate() {
            let number = number as u32 + 10;
            let name = names[which];
            match what {
                0 => world.cut(&[]),
                1 => world.cut(&[(names[which], names[(which + 1) % 3])]),
                2 => world.cut(&[(names[which], names[(which + 1) % 3]), (names[which], names[(which + 2) % 3])]),
                3 => world.delay = Duration::from_millis(ms),
                4 | 5 if name != "w" => world.promote(name, number),
                6 if name != "w" => {
                    let attempt = world.attempt(number);
                    world.send(name, Event::Fence { attempt, clean: ms % 2 == 0 });
                }
                7 => {
                    let promises = world.voters[&site(name)].promises().clone();
                    world.voters.insert(site(name), Voter::start(timing(), promises, world.now));
                }
                8 if name != "w" => {
                    let old = &world.writers[&site(name)];
                    let (rules, durable) = (old.rules.clone(), old.durable.clone());
                    world.gates.insert(site(name), false);
                    world.writers.insert(site(name), Writer::new(rules, durable));
                    world.send(name, Event::Restarted { standby: false });
                }
                _ => {}
            }
            world.advance(Duration::from_millis(ms));
        }
    }
}

/// The voter that elected another site is free again by now, and answers before this site's own.
#[test]
fn a_lapsed_writer_does_not_bid_above_another_sites_epoch_whoever_answers_first() {
    let mut world = World::started();
    world.cut(&[("a", "b"), ("a", "w")]);
    world.promote("b", 2);
    world.advance(6_000 * MS);
    let elected = world.voters[&site("w")].promises().granted.clone();
    assert_eq!(elected.site, site("b"));
    let sound = LeaseRequest::Sound { epoch: elected.next(&site("a")), receipts: vec![] };
    // No bid of a moment ago holds it back.
    world.writers.get_mut(&site("a")).unwrap().bids_after = Time::ZERO;
    let reply = LeaseReply { highest: elected, sync: SyncRecord::default(), refused: None };
    world.send("a", Event::Voted { voter: site("w"), request: sound, sent: world.now, reply });
    assert!(matches!(world.writers[&site("a")].mode(), Mode::Fenced { .. }));
}

/// A receipt may cover an epoch that was asked for and never granted. Were that epoch won later, the receipt, late,
/// would release its promise under a healthy writer.
#[test]
fn no_epoch_is_won_that_an_own_receipt_covers() {
    let mut world = World::started();
    let asked = Epoch { number: 7, site: site("a") };
    let writer = world.writers.get_mut(&site("a")).unwrap();
    writer.asked = asked.clone();
    let attempt = world.attempt(2);
    world.send("a", Event::Fence { attempt, clean: false });
    assert!(world.receipts.iter().any(|receipt| receipt.covers(&asked)));
    world.promote("b", 3);
    world.advance(1_000 * MS);
    let attempt = world.attempt(4);
    world.send("b", Event::Fence { attempt, clean: true });
    world.promote("a", 5);
    world.advance(1_000 * MS);
    assert!(world.serving(&site("a")));
    let won = world.writers[&site("a")].epoch().unwrap();
    assert!(!world.receipts.iter().any(|receipt| receipt.covers(won)), "{won}");
}
