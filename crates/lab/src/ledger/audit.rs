//! Which writes are there: the ledger against the rows, by exact id.

use serde::{Deserialize, Serialize};

use super::entry::WriteId;
use super::history::{End, History};
use super::rows::Rows;

/// All lists are sorted. Only `lost`, `duplicates`, `refused_present` and `strangers` are ever wrong.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Audit {
    pub acknowledged: u64,
    /// Acknowledged, and not there: the measured RPO.
    pub lost: Vec<WriteId>,
    /// The client never learned the end, and it took effect.
    pub unknown_present: Vec<WriteId>,
    /// The client never learned the end, and it did not take effect. Not lost: nothing was promised.
    pub unknown_absent: Vec<WriteId>,
    /// Not ended when the ledger was read; counted neither as unknown nor as lost.
    pub pending: u64,
    pub refused: u64,
    /// Refused for certain, and there all the same.
    pub refused_present: Vec<WriteId>,
    /// Took effect more than once, and how often.
    pub duplicates: Vec<(WriteId, u64)>,
    /// In the name of one of our clients, but never sent.
    pub strangers: Vec<WriteId>,
}

impl Audit {
    /// Every write took effect once or not at all, and only when it was sent. Says nothing about lost ones, which
    /// asynchronous replication permits within the RPO.
    pub fn is_consistent(&self) -> bool {
        self.refused_present.is_empty() && self.duplicates.is_empty() && self.strangers.is_empty()
    }
}

/// Compares the ledger with the rows. Read the ledger first and the rows after it: a row may come after its
/// acknowledgement was read, never the other way round.
pub fn audit(history: &History, rows: &Rows) -> Audit {
    let mut audit = Audit::default();
    for (id, write) in &history.writes {
        let present = rows.effects(id) > 0;
        match write.end.as_ref().map(|(_, end)| end) {
            None => audit.pending += 1,
            Some(End::Acknowledged(_)) => {
                audit.acknowledged += 1;
                if !present {
                    audit.lost.push(id.clone());
                }
            }
            Some(End::Unknown) if present => audit.unknown_present.push(id.clone()),
            Some(End::Unknown) => audit.unknown_absent.push(id.clone()),
            Some(End::Refused) => {
                audit.refused += 1;
                if present {
                    audit.refused_present.push(id.clone());
                }
            }
        }
    }
    for (id, effects) in rows.iter().filter(|(id, _)| history.client(&id.client).is_some()) {
        if effects > 1 {
            audit.duplicates.push((id.clone(), effects));
        }
        // One above the last that was read was sent since.
        let last = history.of(&id.client).next_back().map(|(last, _)| last.seq);
        if !history.writes.contains_key(id) && last.is_some_and(|last| id.seq < last) {
            audit.strangers.push(id.clone());
        }
    }
    audit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::entry::Event;
    use crate::ledger::history::tests::{acknowledged, entry, history, plan};

    fn ids(seqs: &[u64]) -> Vec<WriteId> {
        seqs.iter().map(|seq| WriteId::new("c", *seq)).collect()
    }

    #[test]
    fn every_write_lands_in_its_own_class() {
        let unknown = || Event::Unknown { why: "?".into() };
        let refused = || Event::Refused { why: "no".into() };
        let ends = [acknowledged(1), acknowledged(1), unknown(), unknown(), refused(), refused(), acknowledged(1)];
        let mut entries: Vec<_> = (0..8).filter(|seq| *seq != 6).map(|seq| entry("c", seq, seq, Event::Sent)).collect();
        let ended = [0, 1, 2, 3, 4, 5, 7];
        entries.extend(ended.into_iter().zip(ends).map(|(seq, end)| entry("c", seq, 10 + seq, end)));
        entries.push(entry("c", 8, 30, Event::Sent));
        let history = history(vec![plan("c")], entries);
        let row = |seq, effects| (WriteId::new("c", seq), effects);
        let mut rows = Rows::from_iter([row(1, 1), row(2, 1), row(5, 1), row(6, 1), row(7, 2), row(9, 1)]);
        rows.insert(WriteId::new("somebody-else", 1), 3);

        let audit = audit(&history, &rows);
        let expected = Audit {
            acknowledged: 3,
            lost: ids(&[0]),
            unknown_present: ids(&[2]),
            unknown_absent: ids(&[3]),
            pending: 1,
            refused: 2,
            refused_present: ids(&[5]),
            duplicates: vec![(WriteId::new("c", 7), 2)],
            strangers: ids(&[6]),
        };
        assert_eq!(audit, expected);
        assert!(!audit.is_consistent());
    }

    proptest! {
        #[test]
        fn lost_is_acknowledged_minus_present(writes in prop::collection::vec((0..4u8, 0..3u64), 0..60)) {
            let mut entries = Vec::new();
            let mut rows = Rows::default();
            for (seq, (end, effects)) in (0..).zip(&writes) {
                entries.push(entry("c", seq, seq, Event::Sent));
                match end {
                    0 => entries.push(entry("c", seq, seq, acknowledged(1))),
                    1 => entries.push(entry("c", seq, seq, Event::Unknown { why: String::new() })),
                    2 => entries.push(entry("c", seq, seq, Event::Refused { why: String::new() })),
                    _ => {}
                }
                if *effects > 0 {
                    rows.insert(WriteId::new("c", seq), *effects);
                }
            }
            let audit = audit(&history(vec![plan("c")], entries), &rows);
            let matching = |end, there: fn(u64) -> bool| {
                (0..).zip(&writes).filter(|(_, w)| w.0 == end && there(w.1)).map(|(seq, _)| seq).collect::<Vec<u64>>()
            };
            prop_assert_eq!(audit.lost, ids(&matching(0, |n| n == 0)));
            prop_assert_eq!(audit.unknown_present, ids(&matching(1, |n| n > 0)));
            prop_assert_eq!(audit.unknown_absent, ids(&matching(1, |n| n == 0)));
            prop_assert_eq!(audit.refused_present, ids(&matching(2, |n| n > 0)));
            prop_assert_eq!(audit.pending as usize, matching(3, |_| true).len());
            prop_assert_eq!(audit.duplicates.len(), writes.iter().filter(|w| w.1 > 1).count());
            prop_assert!(audit.strangers.is_empty());
        }
    }
}
