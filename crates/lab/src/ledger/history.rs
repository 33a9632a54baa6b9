//! What became of every write: the fold of the ledger's lines.

use std::collections::BTreeMap;

use model::Time;

use super::entry::{Acknowledgement, Attempt, ClientPlan, Entry, Event, Header, Move, Read, Stale, WriteId};

#[derive(Clone, PartialEq, Debug)]
pub struct History {
    pub header: Header,
    pub writes: BTreeMap<WriteId, Write>,
    /// In the order of their answers, each with the number of the write that it went with.
    pub reads: Vec<(Time, WriteId, Read)>,
    pub stale: Vec<(Time, WriteId, Stale)>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Write {
    pub sent: Time,
    /// `None` when it opens a case.
    pub moves: Option<Move>,
    /// Attempts that failed, in order.
    pub failed: Vec<(Time, Attempt)>,
    /// `None` while the client still tries, and for ever when it was stopped meanwhile.
    pub end: Option<(Time, End)>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum End {
    Acknowledged(Acknowledgement),
    Refused,
    Unknown,
}

impl Write {
    pub fn acknowledged(&self) -> Option<(Time, &Acknowledgement)> {
        match &self.end {
            Some((at, End::Acknowledged(acknowledgement))) => Some((*at, acknowledgement)),
            _ => None,
        }
    }

    /// Sent before `at` and not ended by then.
    pub fn in_flight(&self, at: Time) -> bool {
        self.sent <= at && self.end.as_ref().is_none_or(|(end, _)| *end > at)
    }
}

impl History {
    pub fn new(header: Header) -> Self {
        Self { header, writes: BTreeMap::new(), reads: Vec::new(), stale: Vec::new() }
    }

    pub fn client(&self, name: &str) -> Option<&ClientPlan> {
        self.header.clients.iter().find(|client| client.name == name)
    }

    /// The writes of one client, in the order they were sent.
    pub fn of(&self, client: &str) -> impl DoubleEndedIterator<Item = (&WriteId, &Write)> {
        self.writes.range(WriteId::new(client, 0)..=WriteId::new(client, u64::MAX))
    }

    /// Adds one line. Errors: a line that contradicts an earlier one.
    pub fn add(&mut self, entry: Entry) -> Result<(), String> {
        let Entry { at, write: id, event } = entry;
        let moves = match &event {
            Event::Read(read) => {
                self.reads.push((at, id, read.clone()));
                return Ok(());
            }
            Event::Stale(stale) => {
                self.stale.push((at, id, stale.clone()));
                return Ok(());
            }
            Event::Moving(moves) => Some(moves.clone()),
            _ => None,
        };
        if event == Event::Sent || moves.is_some() {
            let write = Write { sent: at, moves, failed: Vec::new(), end: None };
            return match self.writes.insert(id.clone(), write) {
                None => Ok(()),
                Some(_) => Err(format!("{id} was sent before")),
            };
        }
        let write = self.writes.get_mut(&id).ok_or_else(|| format!("{id} was never sent"))?;
        if write.end.is_some() {
            return Err(format!("{id} had ended before"));
        }
        match event {
            Event::Sent | Event::Moving(_) | Event::Read(_) | Event::Stale(_) => {}
            Event::Failed(attempt) => write.failed.push((at, attempt)),
            Event::Acknowledged(acknowledgement) => write.end = Some((at, End::Acknowledged(acknowledgement))),
            Event::Refused { .. } => write.end = Some((at, End::Refused)),
            Event::Unknown { .. } => write.end = Some((at, End::Unknown)),
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ledger::entry::{ClientKind, Habits, Place, Seen};

    pub fn plan(name: &str) -> ClientPlan {
        ClientPlan {
            name: name.into(),
            kind: ClientKind::TtlHonouring,
            place: Place::Outside,
            dns: vec![],
            host: "api.case.example".into(),
            port: 8080,
            address_map: BTreeMap::new(),
            habits: Habits::default(),
        }
    }

    pub fn entry(client: &str, seq: u64, at: u64, event: Event) -> Entry {
        Entry { at: Time(at), write: WriteId::new(client, seq), event }
    }

    pub fn acknowledged(writer_epoch: u64) -> Event {
        Event::Acknowledged(Acknowledgement {
            attempt: 1,
            started: Time(0),
            address: ([127, 0, 1, 10], 8080).into(),
            site: format!("site-{writer_epoch}"),
            case: "1b4e28ba-2fa1-41d2-883f-0016d3cca427".into(),
            epoch: writer_epoch,
            writer_epoch,
            lsn: "0/0".into(),
            replayed: false,
            seen: Seen { version: 1, state: "UnderReview".into() },
        })
    }

    pub fn history(clients: Vec<ClientPlan>, entries: Vec<Entry>) -> History {
        let mut history = History::new(Header { drill: "test".into(), clients });
        entries.into_iter().for_each(|entry| history.add(entry).unwrap());
        history
    }

    #[test]
    fn lines_that_contradict_each_other_are_refused() {
        let mut history = history(vec![plan("c")], vec![entry("c", 1, 1, Event::Sent)]);
        assert!(history.add(entry("c", 1, 2, Event::Sent)).is_err());
        assert!(history.add(entry("c", 2, 2, acknowledged(1))).is_err());
        history.add(entry("c", 1, 2, acknowledged(1))).unwrap();
        assert!(history.add(entry("c", 1, 3, Event::Unknown { why: String::new() })).is_err());
    }

    #[test]
    fn a_clients_writes_are_its_own() {
        let sent = |client, seq| entry(client, seq, seq, Event::Sent);
        let history = history(vec![], vec![sent("a", 1), sent("ab", 1), sent("ab", 2), sent("b", 1)]);
        assert_eq!(history.of("ab").count(), 2);
        assert_eq!(history.of("a").count(), 1);
    }
}
