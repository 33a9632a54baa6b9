//! Rows that only an old writer had, as it exported them before it gave them up, beside what their clients were told
//! (SAFETY.md item 13).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::entry::WriteId;
use super::history::{End, History};

/// What a client knows of an exported write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Acknowledged, and the present writer does not have it.
    Lost,
    /// Acknowledged, and the present writer has it too: the client tried again there.
    Recovered,
    /// Never acknowledged: the client does not know its end.
    Unacknowledged,
    /// The client was told that it had no effect.
    Refused,
    /// In the name of a client that did not send it.
    Stranger,
}

/// The writes of an export by label, and how many of its rows carry no client's number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Labelled {
    pub writes: BTreeMap<WriteId, Label>,
    pub unnumbered: u64,
}

impl Labelled {
    pub fn ids(&self, label: Label) -> impl Iterator<Item = &WriteId> {
        self.writes.iter().filter(move |(_, of)| **of == label).map(|(id, _)| id)
    }
}

/// What a line of `rows.jsonl` has to say here.
#[derive(Deserialize)]
struct Line {
    ledger: Option<String>,
}

fn label(history: &History, lost: &BTreeSet<WriteId>, id: &WriteId) -> Label {
    match history.writes.get(id).map(|write| write.end.as_ref().map(|(_, end)| end)) {
        None => Label::Stranger,
        Some(Some(End::Acknowledged(_))) if lost.contains(id) => Label::Lost,
        Some(Some(End::Acknowledged(_))) => Label::Recovered,
        Some(Some(End::Refused)) => Label::Refused,
        Some(None | Some(End::Unknown)) => Label::Unacknowledged,
    }
}

/// Copies an export's rows, each with the label of its write in front, and says which writes they are. A row without a
/// client's number gets the label `null`.
///
/// # Errors
/// A line that is not a row of an export, or a file that cannot be read or written.
pub fn labelled(
    history: &History,
    lost: &BTreeSet<WriteId>,
    rows: impl BufRead,
    mut out: impl Write,
) -> io::Result<Labelled> {
    let mut found = Labelled::default();
    for line in rows.lines() {
        let line = line?;
        let Line { ledger } = serde_json::from_str(&line)?;
        let known = match &ledger {
            None => {
                found.unnumbered += 1;
                None
            }
            Some(number) => {
                // Others than our clients write too: the platform's own exercise, for one.
                let id = WriteId::parse(number).filter(|id| history.client(&id.client).is_some());
                let label = id.as_ref().map(|id| label(history, lost, id));
                match id.zip(label) {
                    Some((id, label)) => drop(found.writes.insert(id, label)),
                    None => found.unnumbered += 1,
                }
                label
            }
        };
        // Not written anew: numbers keep all their digits.
        let rest = line.strip_prefix('{').ok_or_else(|| io::Error::other("a row is not a JSON object"))?;
        writeln!(out, "{{\"label\":{},{rest}", serde_json::to_string(&known)?)?;
    }
    out.flush()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::entry::Event;
    use crate::ledger::history::tests::{acknowledged, entry, history, plan};

    #[test]
    fn each_exported_write_is_labelled_by_what_its_client_was_told() {
        let mut entries: Vec<_> = (1..=5).map(|seq| entry("in-side", seq, seq, Event::Sent)).collect();
        let ends =
            [acknowledged(1), acknowledged(2), Event::Unknown { why: "?".into() }, Event::Refused { why: "no".into() }];
        entries.extend((1..).zip(ends).map(|(seq, end)| entry("in-side", seq, 10 + seq, end)));
        let history = history(vec![plan("in-side")], entries);
        let lost = BTreeSet::from([WriteId::new("in-side", 1)]);
        let rows = r#"{"table":"t","ledger":"in-side-1","here":{"n":1.50}}
{"table":"t","ledger":"in-side-2","here":{}}
{"table":"t","ledger":"in-side-3","here":{}}
{"table":"t","ledger":"in-side-4","here":{}}
{"table":"t","ledger":"in-side-5","here":{}}
{"table":"t","ledger":"in-side-6","here":{}}
{"table":"t","ledger":"odd","here":{}}
{"table":"t","ledger":null,"here":{}}
"#;
        let mut out = Vec::new();
        let found = labelled(&history, &lost, rows.as_bytes(), &mut out).unwrap();
        let of = |label| found.ids(label).map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of(Label::Lost), ["in-side-1"]);
        assert_eq!(of(Label::Recovered), ["in-side-2"]);
        assert_eq!(of(Label::Unacknowledged), ["in-side-3", "in-side-5"]);
        assert_eq!(of(Label::Refused), ["in-side-4"]);
        assert_eq!(of(Label::Stranger), ["in-side-6"]);
        assert_eq!(found.unnumbered, 2, "one without a number, one of somebody else");
        let out = String::from_utf8(out).unwrap();
        let first = r#"{"label":"lost","table":"t","ledger":"in-side-1","here":{"n":1.50}}"#;
        assert_eq!(out.lines().next(), Some(first));
        assert!(out.lines().last().unwrap().starts_with(r#"{"label":null,"#));
        assert!(labelled(&history, &lost, "[]".as_bytes(), Vec::new()).is_err());
    }
}
