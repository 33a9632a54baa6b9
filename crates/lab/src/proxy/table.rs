//! The state of every link in one place, so that a partition of many links is one change.
//!
//! Whoever carries bytes asks here just before each delivery. After [`Table::change`] returns, no delivery that asks
//! later can miss it; bytes already handed to the kernel count as arrived, as on a real wire.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::fault::{Conditions, Counters, Direction, Fault, Injection, Link};

#[derive(Default)]
pub(super) struct Table {
    links: HashMap<Link, usize>,
    states: Vec<State>,
}

struct State {
    conditions: Conditions,
    /// Grows each time a blackhole of this link ends. A connection that carries an older number lived through a cut
    /// and has lost its place in the stream.
    healed: u64,
    counters: Arc<Counters>,
    gauges: Arc<Gauges>,
}

#[derive(Default)]
pub(super) struct Gauges {
    pub open: AtomicU64,
    pub there: AtomicU64,
    pub back: AtomicU64,
}

impl Table {
    /// The link's place in the table; made on first mention, so that a cut may come before the first listener.
    pub fn index(&mut self, link: &Link) -> usize {
        if let Some(index) = self.links.get(link) {
            return *index;
        }
        self.links.insert(link.clone(), self.states.len());
        self.states.push(State {
            conditions: Conditions::PASS,
            healed: 0,
            counters: Injection::new(0).counters,
            gauges: Arc::default(),
        });
        self.states.len() - 1
    }
    pub fn conditions(&self, link: &Link) -> Conditions {
        self.links.get(link).map(|index| self.states[*index].conditions).unwrap_or_default()
    }
    pub fn links(&self) -> Vec<Link> {
        self.links.keys().cloned().collect()
    }
    pub fn gauges(&self, link: &Link) -> Option<&Gauges> {
        self.links.get(link).map(|index| &*self.states[*index].gauges)
    }

    pub fn change(&mut self, changes: &[(Link, Conditions)]) -> Injection {
        let places: Vec<usize> = changes.iter().map(|(link, _)| self.index(link)).collect();
        let open = places.iter().map(|i| self.states[*i].gauges.open.load(Ordering::Relaxed)).sum();
        let injection = Injection::new(open);
        for (place, (_, conditions)) in places.into_iter().zip(changes) {
            let state = &mut self.states[place];
            let ended = |d| state.conditions.of(d) == Fault::Blackhole && conditions.of(d) != Fault::Blackhole;
            if ended(Direction::There) || ended(Direction::Back) {
                state.healed += 1;
            }
            state.conditions = *conditions;
            state.counters = injection.counters.clone();
        }
        injection
    }
}

/// One link as its connections see it.
#[derive(Clone)]
pub(super) struct View {
    table: watch::Receiver<Table>,
    place: usize,
    born: u64,
    pub gauges: Arc<Gauges>,
}

impl View {
    pub fn new(table: watch::Receiver<Table>, place: usize) -> Self {
        let (born, gauges) = {
            let table = table.borrow();
            (table.states[place].healed, table.states[place].gauges.clone())
        };
        Self { table, place, born, gauges }
    }
    /// The same view for a connection that begins now.
    pub fn renewed(&self) -> Self {
        Self::new(self.table.clone(), self.place)
    }
    /// What the link does in this direction now; `None` when a cut that this connection lived through has healed.
    pub fn fault(&self, direction: Direction) -> Option<Fault> {
        let table = self.table.borrow();
        let state = &table.states[self.place];
        (state.healed == self.born).then(|| state.conditions.of(direction))
    }
    pub fn conditions(&self) -> Conditions {
        self.table.borrow().states[self.place].conditions
    }
    pub fn counters(&self) -> Arc<Counters> {
        self.table.borrow().states[self.place].counters.clone()
    }
    /// Returns when the link's conditions may have changed since the last call; for ever pending once the network is gone.
    pub async fn changed(&mut self) {
        if self.table.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
