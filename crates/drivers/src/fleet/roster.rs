//! Which instances there are, what their checks say, and which one takes the next request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::header::HeaderValue;
use model::observe::InstanceReport;
use tokio::sync::{Notify, watch};

/// A place for one instance; its address outlives the processes that take it in turn.
#[derive(Debug)]
pub(super) struct Slot {
    pub name: String,
    pub zone: String,
    pub address: SocketAddr,
    /// `site/instance`, as replies carry it.
    pub served_by: HeaderValue,
    /// Told when the last outstanding request ends.
    pub idle: Notify,
}

/// What one check of a running instance found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Finding {
    /// Nothing came back in time. Not yet an answer, so what was known stays known; others are preferred meanwhile.
    Silent,
    /// The process answered, but whether it is ready did not come in time: what was known of that stays known too.
    Slow,
    /// An answer, or a refused connection, which is one too.
    Answered { alive: bool, ready: bool },
}

#[derive(Clone, Default, Debug)]
struct State {
    /// A process has this slot.
    running: bool,
    alive: bool,
    ready: bool,
    /// The last check got no answer, or not all of it.
    silent: bool,
    /// Takes no more requests: it is about to stop.
    draining: bool,
    outstanding: u32,
    /// The number of the turn in which it was last picked.
    picked: u64,
}

#[derive(Default, Debug)]
struct States {
    slots: Vec<State>,
    turn: u64,
    replaced: u64,
}

/// The slots of one fleet, shared by those who tend instances and those who send them requests.
#[derive(Debug)]
pub(super) struct Roster {
    pub slots: Vec<Slot>,
    states: Mutex<States>,
    changed: watch::Sender<()>,
}

/// One request's claim on an instance, for as long as any of its reply is still to come.
#[derive(Debug)]
pub(super) struct Turn {
    roster: Arc<Roster>,
    pub index: usize,
}

impl Turn {
    pub(super) fn slot(&self) -> &Slot {
        &self.roster.slots[self.index]
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut states = self.roster.states();
        let state = &mut states.slots[self.index];
        state.outstanding -= 1;
        if state.outstanding == 0 {
            self.roster.slots[self.index].idle.notify_one();
        }
    }
}

impl Roster {
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        let states = States { slots: vec![State::default(); slots.len()], ..States::default() };
        Self { slots, states: Mutex::new(states), changed: watch::Sender::new(()) }
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut State)) {
        change(&mut self.states().slots[index]);
        self.changed.send_replace(());
    }

    /// Wakes on every change of any instance.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn started(&self, index: usize, replaces: bool) {
        self.states().replaced += u64::from(replaces);
        // Requests still outstanding belong to the process before: they end by themselves.
        self.change(index, |s| {
            *s = State { running: true, outstanding: s.outstanding, picked: s.picked, ..State::default() }
        });
    }

    pub(super) fn stopped(&self, index: usize) {
        self.change(index, |s| *s = State { outstanding: s.outstanding, picked: s.picked, ..State::default() });
    }

    /// From now on the instance gets no new request.
    pub(super) fn draining(&self, index: usize) {
        self.change(index, |s| s.draining = true);
    }

    pub(super) fn checked(&self, index: usize, finding: Finding) {
        self.change(index, |s| match finding {
            Finding::Silent => s.silent = true,
            Finding::Slow => (s.alive, s.silent) = (true, true),
            Finding::Answered { alive, ready } => {
                (s.alive, s.ready, s.silent) = (alive, alive && ready, false);
            }
        });
    }

    /// So many checks in a row got no answer that it counts as gone.
    pub(super) fn given_up(&self, index: usize) {
        self.change(index, |s| (s.alive, s.ready) = (false, false));
    }

    pub(super) fn outstanding(&self, index: usize) -> u32 {
        self.states().slots[index].outstanding
    }

    /// Claims a ready instance that is not in `tried`: one that answers its checks, with the fewest outstanding
    /// requests, and among equals in the zone and then the instance whose last turn is longest ago. So zones share
    /// evenly, however many instances each has.
    pub(super) fn pick(self: &Arc<Self>, tried: &[usize]) -> Option<Turn> {
        let mut states = self.states();
        let zone_picked = |zone: &str| {
            let of_zone = self.slots.iter().zip(&states.slots).filter(|(slot, _)| slot.zone == zone);
            of_zone.map(|(_, state)| state.picked).max()
        };
        let open = (0..self.slots.len()).filter(|index| {
            let state = &states.slots[*index];
            state.ready && !state.draining && !tried.contains(index)
        });
        let index = open.min_by_key(|index| {
            let state = &states.slots[*index];
            (state.silent, state.outstanding, zone_picked(&self.slots[*index].zone), state.picked)
        })?;
        states.turn += 1;
        let turn = states.turn;
        let state = &mut states.slots[index];
        (state.picked, state.outstanding) = (turn, state.outstanding + 1);
        Some(Turn { roster: self.clone(), index })
    }

    pub(super) fn replaced(&self) -> u64 {
        self.states().replaced
    }

    /// Instances that are wanted, and others while they still run.
    pub(super) fn report(&self, wanted: u32) -> Vec<InstanceReport> {
        let states = self.states();
        let shown = |index: usize| index < wanted as usize || states.slots[index].running;
        let report = |index: usize| {
            let (slot, state) = (&self.slots[index], &states.slots[index]);
            let ready = state.ready && !state.draining;
            InstanceReport { name: slot.name.clone(), zone: slot.zone.clone(), alive: state.alive, ready }
        };
        (0..self.slots.len()).filter(|index| shown(*index)).map(report).collect()
    }

    /// Whether the first `wanted` slots are alive and no other runs.
    pub(super) fn settled(&self, wanted: u32) -> bool {
        let states = self.states();
        let right = |(index, state): (usize, &State)| {
            if index < wanted as usize { state.alive && !state.draining } else { !state.running }
        };
        states.slots.iter().enumerate().all(right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Finding = Finding::Answered { alive: true, ready: true };

    /// Slots in these zones, all running and ready.
    fn roster(zones: &str) -> Arc<Roster> {
        let slot = |(index, zone): (usize, char)| Slot {
            name: format!("{zone}{index}"),
            zone: zone.to_string(),
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            served_by: HeaderValue::from_static("x"),
            idle: Notify::new(),
        };
        let roster = Arc::new(Roster::new(zones.chars().enumerate().map(slot).collect()));
        for index in 0..zones.len() {
            roster.started(index, false);
            roster.checked(index, UP);
        }
        roster
    }

    fn picks(roster: &Arc<Roster>, count: usize) -> String {
        (0..count).map(|_| roster.pick(&[]).map_or("-".into(), |turn| turn.slot().zone.clone())).collect()
    }

    #[test]
    fn zones_take_turns_whatever_their_size() {
        assert_eq!(picks(&roster("abab"), 8), "abababab");
        assert_eq!(picks(&roster("aaab"), 8), "abababab");
    }

    #[test]
    fn the_fewest_outstanding_comes_first() {
        let roster = roster("aab");
        let mut held: Vec<Turn> = (0..3).map(|_| roster.pick(&[]).unwrap()).collect();
        let mut indexes: Vec<usize> = held.iter().map(|turn| turn.index).collect();
        indexes.sort();
        assert_eq!(indexes, [0, 1, 2]);
        held.retain(|turn| turn.index != 1);
        assert_eq!(roster.pick(&[]).unwrap().index, 1, "the one that was freed");
    }

    #[test]
    fn a_busy_instance_waits_for_its_turn_to_end() {
        let roster = roster("ab");
        let first = roster.pick(&[]).unwrap();
        let others: Vec<Turn> = (0..3).map(|_| roster.pick(&[]).unwrap()).collect();
        assert_eq!(others.iter().filter(|turn| turn.index == first.index).count(), 1, "two each");
        drop((first, others));
        assert_eq!([roster.outstanding(0), roster.outstanding(1)], [0, 0]);
    }

    #[test]
    fn only_ready_instances_are_picked() {
        let roster = roster("ab");
        roster.checked(0, Finding::Answered { alive: true, ready: false });
        assert_eq!(picks(&roster, 3), "bbb");
        assert!(roster.pick(&[1]).is_none(), "tried already");
        roster.draining(1);
        assert_eq!(picks(&roster, 1), "-");
        roster.checked(0, Finding::Answered { alive: false, ready: true });
        assert_eq!(picks(&roster, 1), "-", "ready without alive is not ready");
    }

    #[test]
    fn a_silent_instance_is_the_last_resort_until_it_is_given_up() {
        let roster = roster("ab");
        roster.checked(0, Finding::Silent);
        assert_eq!(picks(&roster, 3), "bbb");
        roster.stopped(1);
        assert_eq!(picks(&roster, 2), "aa", "no answer is not a no");
        roster.given_up(0);
        assert_eq!(picks(&roster, 1), "-");
    }

    #[test]
    fn settled_means_all_wanted_and_no_other() {
        let roster = roster("abab");
        assert!(roster.settled(4) && !roster.settled(3));
        roster.stopped(3);
        assert!(roster.settled(3) && !roster.settled(4));
        assert_eq!((roster.report(3).len(), roster.report(4).len(), roster.report(1).len()), (3, 4, 3));
    }
}
