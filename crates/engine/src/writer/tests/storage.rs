//! Voters that lose their storage.

use super::*;

impl World {
    /// Ten times a second each voter without memory asks whom it needs to hear.
    pub(super) fn recall(&mut self) {
        if !self.now.0.is_multiple_of(100_000) {
            return;
        }
        for (me, voter) in &self.voters {
            for other in voter.recalls(self.now) {
                self.wire.push((self.now + self.delay, me.clone(), other, LeaseRequest::Recall, self.now, None));
            }
        }
    }

    /// The agent of `name` starts again with an empty store.
    fn wipe(&mut self, name: &str) {
        let others = ["a", "b", "w"].into_iter().filter(|other| *other != name).map(site);
        let known = self.writers.get(&site(name)).map_or_else(Epoch::none, |writer| writer.durable().written.clone());
        let voter = Voter::start_without_memory(timing(), others, known, self.now);
        self.voters.insert(site(name), voter);
    }

    fn lacks(&self, name: &str) -> Vec<SiteId> {
        self.voters[&site(name)].lacks()
    }
}

/// The witness is the only one that both sides still reach, and it has forgotten whom it elected.
#[test]
fn a_witness_that_lost_its_storage_elects_nobody_before_it_heard_both_regions() {
    let mut world = World::started();
    world.cut(&[("a", "b"), ("a", "w")]);
    world.promote("b", 2);
    world.advance(6_000 * MS);
    assert!(world.serving(&site("b")));
    world.wipe("w");
    world.cut(&[("a", "b"), ("b", "w")]);
    world.advance(30_000 * MS);
    assert_eq!(world.lacks("w"), vec![site("b")]);
    assert!(!world.serving(&site("a")), "its epoch is older than the one that b wrote in");
    world.cut(&[("a", "b")]);
    world.advance(3_000 * MS);
    assert!(world.lacks("w").is_empty());
    assert_eq!(world.voters[&site("w")].promises().granted.site, site("b"));
    assert!(world.serving(&site("b")), "it resumes, with the witness's renewed promise");
    assert!(matches!(world.writers[&site("a")].mode(), Mode::Fenced { .. }));
}

#[test]
fn a_voter_that_lost_its_storage_stops_no_healthy_writer_and_counts_again_soon() {
    for wiped in ["w", "b"] {
        let mut world = World::started();
        world.wipe(wiped);
        world.advance(5_000 * MS);
        assert_eq!(world.lacks(wiped).len(), 2, "it waits out a whole promise before it even asks");
        world.advance(1_000 * MS);
        assert!(world.lacks(wiped).is_empty() && world.serving(&site("a")));
        let third = if wiped == "w" { "b" } else { "w" };
        world.cut(&[("a", third)]);
        world.advance(10_000 * MS);
        assert!(world.serving(&site("a")), "with the vote of {wiped}");
    }
}

#[test]
fn the_in_sync_record_is_recalled_too() {
    let mut world = World::in_sync();
    let record = world.voters[&site("w")].promises().sync.clone();
    assert!(record.in_sync.contains(&site("b")));
    world.wipe("w");
    world.advance(6_000 * MS);
    assert_eq!(world.voters[&site("w")].promises().sync, record);
}

#[test]
fn when_nobody_knows_anything_it_is_a_first_start() {
    let mut world = World::new(false);
    for name in ["a", "b", "w"] {
        world.wipe(name);
    }
    world.promote("a", 1);
    world.advance(5_000 * MS);
    assert!(!world.serving(&site("a")));
    world.advance(1_000 * MS);
    assert!(world.serving(&site("a")) && world.done(1));
}

#[test]
fn two_voters_that_lost_their_storage_at_once_elect_nobody() {
    let mut world = World::started();
    world.cut(&[("a", "b"), ("a", "w")]);
    world.promote("b", 2);
    world.advance(6_000 * MS);
    world.wipe("w");
    world.wipe("b");
    // What b's database remembers of its own epochs is all that is left of the election.
    world.cut(&[]);
    world.advance(30_000 * MS);
    assert!(!world.lacks("w").is_empty() && !world.lacks("b").is_empty());
    assert!(!world.serving(&site("a")) && !world.serving(&site("b")));
}

/// Told too early, a word may lack the epoch that was won with the forgotten grant.
#[test]
fn a_word_that_was_asked_for_during_the_wait_does_not_count() {
    let others = [site("a"), site("b")];
    let start = Time(1_000_000);
    let voter = Voter::start_without_memory(timing(), others.clone(), Epoch::none(), start);
    let reply =
        LeaseReply { highest: Epoch { number: 4, site: site("a") }, sync: SyncRecord::default(), refused: None };
    let early = others.iter().fold(voter.clone(), |voter, other| voter.heard(other, start + 5_049 * MS, &reply));
    assert_eq!(early.lacks().len(), 2);
    assert!(voter.recalls(start + 5_049 * MS).is_empty());
    let renew = LeaseRequest::Renew { epoch: reply.highest.clone() };
    assert!(!early.answer(start + 6_000 * MS, &renew).0.granted());
    let later = others.iter().fold(early, |voter, other| voter.heard(other, start + 5_050 * MS, &reply));
    assert!(later.lacks().is_empty());
    assert!(later.answer(start + 6_000 * MS, &renew).0.granted());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// As `invariant_never_two_writers`, with voters that lose their storage, one at a time.
    #[test]
    fn invariant_a_voter_that_loses_its_storage_makes_no_second_writer(
        script in prop::collection::vec((0u8..9, 0u64..6_000, 0usize..3), 1..40)
    ) {
        let mut world = World::started();
        let names = ["a", "b", "w"];
        for (number, (what, ms, which)) in script.into_iter().enumerate() {
            let number = number as u32 + 10;
            let name = names[which];
            match what {
                0 => world.cut(&[]),
                1 => world.cut(&[(names[which], names[(which + 1) % 3])]),
                2 => world.cut(&[(names[which], names[(which + 1) % 3]), (names[which], names[(which + 2) % 3])]),
                3 => world.delay = Duration::from_millis(ms / 10),
                4 | 5 if name != "w" => world.promote(name, number),
                6 if name != "w" => {
                    let attempt = world.attempt(number);
                    world.send(name, Event::Fence { attempt, clean: ms % 2 == 0 });
                }
                _ => {
                    if names.iter().all(|name| world.lacks(name).is_empty()) {
                        world.wipe(name);
                    }
                }
            }
            world.advance(Duration::from_millis(ms));
        }
    }
}
