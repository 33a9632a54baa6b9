//! Who may break the glass, and who not: one refusal after the other, from a scene in which it would be granted.

use model::glass::{Fence, GlassRequest, Tried, Word};
use model::{Lsn, Topology};

use super::*;
use crate::lease::Terms;
use crate::tests::world::{A, B, W, ms, person, site, topology};

fn scene() -> Scene {
    Scene {
        site: site(B),
        database: DatabaseState::Standby {
            upstream: site(A),
            receiving: false,
            received: Lsn(100),
            replayed: Lsn(100),
            lag: Duration::ZERO,
        },
        last_commit: Some("2026-11-21T03:00:00Z".into()),
        answered: BTreeMap::new(),
        silent: [A, W].map(|name| (site(name), "no answer".to_owned())).into(),
        known: Epoch { number: 3, site: site(A) },
        promised: Duration::ZERO,
        lacks: vec![],
    }
}

fn word() -> Word {
    Word {
        why: "both sites burnt".into(),
        fenced: [A, W].map(|name| (site(name), Fence::PoweredOff)).into(),
        loss: "lose everything after 2026-11-21T03:00:00Z".into(),
        tried: BTreeMap::new(),
    }
}

struct Desk {
    topology: Topology,
    glass: Glass,
    now: Time,
}

impl Desk {
    fn new() -> Self {
        Self { topology: topology(), glass: Glass::default(), now: Time(1_000_000) }
    }
    fn ask(&mut self, by: &str, request: &GlassRequest, scene: &Scene) -> Result<Vec<GlassRecord>, &'static str> {
        let said = say(&self.glass, &self.topology, scene, &person(by), request, self.now);
        let records = said.map_err(|refused| refused.code)?;
        records.iter().for_each(|record| apply(&mut self.glass, record));
        Ok(records)
    }
    fn says(&mut self, by: &str, confirm: Option<u32>) -> Result<Vec<GlassRecord>, &'static str> {
        self.ask(by, &GlassRequest::Break { word: word(), confirm }, &scene())
    }
    fn order(&mut self, scene: &Scene) -> GlassRecord {
        let records = order(&self.glass, &self.topology, scene, self.now);
        records.iter().for_each(|record| apply(&mut self.glass, record));
        let [record] = records.try_into().expect("one record");
        record
    }
    fn agreed(&mut self) {
        self.says("ada", None).unwrap();
        self.says("bob", Some(1)).unwrap();
    }
}

#[test]
fn two_people_break_the_glass_and_one_of_them_closes_it() {
    let mut desk = Desk::new();
    desk.says("ada", None).unwrap();
    assert!(!desk.glass.open.as_ref().unwrap().agreed());
    desk.now = desk.now + ms(60_000);
    desk.says("bob", Some(1)).unwrap();
    let terms = Terms::new(&desk.topology.timing);
    let ready = ready_at(desk.glass.open.as_ref().unwrap(), terms).unwrap();
    assert_eq!(ready, desk.now + terms.promise(), "a whole promise after the last word");
    desk.now = ready;
    assert!(matches!(desk.order(&scene()), GlassRecord::Ordered { attempt: 1, .. }));
    let epoch = Epoch { number: 1_000_003, site: site(B) };
    apply(&mut desk.glass, &GlassRecord::Taken { attempt: 1, epoch: epoch.clone(), at: desk.now });
    let broken = desk.glass.broken.clone().unwrap();
    assert_eq!((broken.by, broken.epoch), (vec![person("ada"), person("bob")], epoch));
    let close = GlassRequest::Close { attempt: 1, why: "looked at what was lost".into() };
    assert_eq!(desk.ask("cyd", &close, &scene()), Err("glass-still-alone"));
    apply(&mut desk.glass, &GlassRecord::Adopted { attempt: 1 });
    desk.ask("cyd", &close, &scene()).unwrap();
    assert_eq!(desk.glass.broken, None);
    assert_eq!(desk.ask("cyd", &close, &scene()), Err("glass-no-such-attempt"));
}

#[test]
fn one_person_is_not_two() {
    let mut desk = Desk::new();
    desk.says("ada", None).unwrap();
    assert_eq!(desk.says("ada", Some(1)), Err("glass-same-person"));
    assert_eq!(desk.says("ada", None), Err("glass-same-person"));
    assert_eq!(desk.says("eve", Some(1)), Err("not-an-approver"));
    assert_eq!(desk.says("bob", None), Err("glass-not-confirmed"), "nobody agrees without naming to what");
    assert_eq!(desk.says("bob", Some(7)), Err("glass-not-confirmed"));
    assert_eq!(ready_at(desk.glass.open.as_ref().unwrap(), Terms::new(&desk.topology.timing)), None);
    assert!(order(&desk.glass, &desk.topology, &scene(), desk.now).is_empty());
    desk.says("bob", Some(1)).unwrap();
    assert_eq!(desk.says("cyd", Some(1)), Err("glass-under-way"));
}

#[test]
fn as_many_people_as_an_override_needs() {
    let mut desk = Desk::new();
    desk.topology.approvals.accept_loss = 3;
    desk.agreed();
    assert!(!desk.glass.open.as_ref().unwrap().agreed());
    desk.says("cyd", Some(1)).unwrap();
    assert!(desk.glass.open.as_ref().unwrap().agreed());
    desk.topology.approvals.accept_loss = 1;
    assert_eq!(desk.topology.approvals.glass(), 2, "never fewer than two");
}

#[test]
fn a_word_does_not_hold_for_long() {
    let mut desk = Desk::new();
    desk.says("ada", None).unwrap();
    desk.now = desk.now + desk.topology.approvals.word_holds;
    assert_eq!(desk.says("bob", Some(1)), Err("glass-no-such-attempt"));
    assert!(matches!(&expire(&desk.glass, &desk.topology, desk.now)[..], [GlassRecord::Withdrawn { attempt: 1, .. }]));
    let records = desk.says("bob", None).unwrap();
    assert!(matches!(&records[..], [GlassRecord::Withdrawn { .. }, GlassRecord::Opened { attempt: 2, .. }]));
    assert_eq!(desk.glass.open.as_ref().unwrap().people(), [person("bob")]);
}

/// Each thing that is not so, alone, is enough.
#[test]
fn what_is_seen_may_forbid_it() {
    let refused = |change: &dyn Fn(&mut Scene, &mut Topology)| {
        let (mut desk, mut scene) = (Desk::new(), scene());
        change(&mut scene, &mut desk.topology);
        let word = Word { loss: phrase(&scene), ..word() };
        desk.ask("ada", &GlassRequest::Break { word, confirm: None }, &scene).err()
    };
    assert_eq!(refused(&|_, _| ()), None);
    let answers = |name: &'static str| {
        move |scene: &mut Scene, _: &mut Topology| {
            let says = scene.silent.remove(&site(name)).unwrap();
            scene.answered.insert(site(name), says);
        }
    };
    assert_eq!(refused(&answers(A)), Some("glass-region-answers"));
    assert_eq!(refused(&answers(W)), Some("glass-quorum-reachable"));
    assert_eq!(refused(&|scene, _| drop(scene.silent.remove(&site(W)))), Some("glass-region-answers"), "nobody tried");
    assert_eq!(refused(&|scene, _| scene.lacks = vec![site(A)]), Some("glass-voter-forgot"));
    assert_eq!(refused(&|scene, _| scene.site = site(W)), Some("no-such-site"));
    let elsewhere = |_: &mut Scene, topology: &mut Topology| {
        topology.residency.insert("regulated".into(), vec![site(A)]);
    };
    assert_eq!(refused(&elsewhere), Some("not-approved-for-data-class"));
    for state in [DatabaseState::Absent, DatabaseState::Starting, DatabaseState::Busy { doing: "copying".into() }] {
        assert_eq!(refused(&|scene, _| scene.database = state.clone()), Some("target-not-standby"));
    }
    let writing = DatabaseState::Writing {
        epoch: Epoch { number: 4, site: site(B) },
        position: Lsn(100),
        remaining: ms(4_000),
        lowest_margin: ms(4_000),
        gate: true,
    };
    assert_eq!(refused(&|scene, _| scene.database = writing.clone()), Some("already-there"));
    let receives = |scene: &mut Scene, _: &mut Topology| {
        let DatabaseState::Standby { receiving, .. } = &mut scene.database else { unreachable!() };
        *receiving = true;
    };
    assert_eq!(refused(&receives), Some("glass-region-answers"));
    let fenced = DatabaseState::Fenced { why: "the lease lapsed".into(), receipt: None };
    assert_eq!(refused(&|scene, _| scene.database = fenced.clone()), None, "an old writer that is left alone");
}

#[test]
fn what_is_said_must_be_whole() {
    let refused = |change: &dyn Fn(&mut Word)| {
        let (mut desk, mut word) = (Desk::new(), word());
        change(&mut word);
        desk.ask("ada", &GlassRequest::Break { word, confirm: None }, &scene()).err()
    };
    assert_eq!(refused(&|word| word.why = " ".into()), Some("glass-no-reason"));
    assert_eq!(refused(&|word| word.fenced.retain(|name, _| *name != site(A))), Some("glass-not-fenced"));
    assert_eq!(refused(&|word| word.fenced.retain(|name, _| *name != site(W))), Some("glass-not-fenced"));
    assert_eq!(refused(&|word| word.fenced.extend([(site(B), Fence::Destroyed)])), Some("no-such-site"));
    assert_eq!(refused(&|word| word.loss = "lose an unknown amount".into()), Some("glass-loss-not-typed"));
    assert_eq!(refused(&|word| word.loss = String::new()), Some("glass-loss-not-typed"));
    let tried = |answered| ("the controller".to_owned(), Tried { answered, says: "status".into() });
    assert_eq!(refused(&|word| word.tried = [tried(true)].into()), Some("glass-region-answers"));
    assert_eq!(refused(&|word| word.tried = [tried(false)].into()), None);
}

#[test]
fn what_nobody_can_date_is_lost_in_an_unknown_amount() {
    let scene = Scene { last_commit: None, ..scene() };
    let mut desk = Desk::new();
    let ask = |loss: &str| GlassRequest::Break { word: Word { loss: loss.into(), ..word() }, confirm: None };
    assert_eq!(
        desk.ask("ada", &ask("lose everything after 2026-11-21T03:00:00Z"), &scene),
        Err("glass-loss-not-typed")
    );
    desk.ask("ada", &ask("lose an unknown amount"), &scene).unwrap();
}

/// Everything is asked again when the wait is over; who came back meanwhile is not lost.
#[test]
fn the_last_look_may_end_it() {
    let ends = |change: &dyn Fn(&mut Scene)| {
        let (mut desk, mut scene) = (Desk::new(), scene());
        desk.agreed();
        change(&mut scene);
        let record = desk.order(&scene);
        assert_eq!(desk.glass.open.is_none(), matches!(record, GlassRecord::Withdrawn { .. }));
        matches!(record, GlassRecord::Withdrawn { .. })
    };
    assert!(!ends(&|_| ()));
    assert!(ends(&|scene| drop(scene.answered.insert(site(W), "pong".into()))));
    assert!(ends(&|scene| scene.promised = ms(1)), "somebody renewed with this very voter");
    assert!(ends(&|scene| scene.last_commit = Some("2026-11-21T03:00:09Z".into())), "somebody sent more");
}

#[test]
fn an_attempt_ends_with_the_agent() {
    for agreed in [false, true] {
        let mut desk = Desk::new();
        desk.says("ada", None).unwrap();
        if agreed {
            desk.says("bob", Some(1)).unwrap();
        }
        let records = started(&desk.glass, &scene().known, Time(5));
        assert!(matches!(&records[..], [GlassRecord::Started { .. }, GlassRecord::Withdrawn { attempt: 1, .. }]));
    }
}

/// The agent dies between the order and its record: what its writer has on disk tells whether the epoch was taken.
#[test]
fn an_epoch_that_was_taken_is_known_after_a_crash() {
    let mut desk = Desk::new();
    desk.agreed();
    desk.order(&scene());
    let not = started(&desk.glass, &Epoch { number: 3, site: site(A) }, Time(5));
    assert!(matches!(&not[1], GlassRecord::Withdrawn { .. }));
    let epoch = Epoch { number: 1_000_003, site: site(B) };
    let taken = started(&desk.glass, &epoch, Time(5));
    assert!(matches!(&taken[1], GlassRecord::Taken { epoch: e, .. } if *e == epoch));
    taken.iter().for_each(|record| apply(&mut desk.glass, record));
    assert!(desk.glass.open.is_none() && !desk.glass.broken.as_ref().unwrap().adopted);
}

#[test]
fn who_gave_their_word_may_take_it_back_until_the_order() {
    let mut desk = Desk::new();
    desk.agreed();
    let withdraw = GlassRequest::Withdraw { attempt: 1, why: "it came back".into() };
    assert_eq!(desk.ask("eve", &withdraw, &scene()), Err("not-an-approver"));
    let mut other = Desk { topology: desk.topology.clone(), glass: desk.glass.clone(), now: desk.now };
    desk.ask("cyd", &withdraw, &scene()).unwrap();
    assert_eq!(desk.glass.open, None);
    other.order(&scene());
    assert_eq!(other.ask("cyd", &withdraw, &scene()), Err("past-commit-point"));
}
