//! A hook for drills and tests: die at the worst moment, on purpose.
//!
//! `ANTIPODE_CRASH_AFTER_RECORD=<record>` aborts the process as soon as a record of that name (`attempt_started`,
//! `committed`, …) is durable, before it is applied and before any effect. `<record>:<n>` waits for the n-th one
//! that this process writes. `*` is any record of a run.

use engine::Record;

use super::ControllerError;

const NAME: &str = "ANTIPODE_CRASH_AFTER_RECORD";

#[derive(Debug, PartialEq)]
pub(super) struct Crash {
    record: String,
    left: u32,
}

impl Crash {
    /// What the environment asks for.
    pub fn from_environment() -> Result<Option<Crash>, ControllerError> {
        std::env::var(NAME).ok().map(|value| Crash::parse(&value)).transpose()
    }

    fn parse(value: &str) -> Result<Crash, ControllerError> {
        let (record, left) = value.split_once(':').map_or((value, Ok(1)), |(record, n)| (record, n.parse()));
        match left {
            Ok(left) if left > 0 && !record.is_empty() => Ok(Crash { record: record.to_string(), left }),
            _ => Err(ControllerError::CrashHook { name: NAME, value: value.to_string() }),
        }
    }

    /// Called when `records` have become durable.
    pub fn after(&mut self, records: &[Record]) {
        if self.due(records) {
            eprintln!("{NAME}: aborting after {}", self.record);
            std::process::abort();
        }
    }

    fn due(&mut self, records: &[Record]) -> bool {
        let named = records.iter().filter(|record| self.means(record)).count() as u32;
        let due = self.left > 0 && named >= self.left;
        self.left = self.left.saturating_sub(named);
        due
    }

    fn means(&self, record: &Record) -> bool {
        if self.record == "*" { of_a_run(record) } else { name(record) == self.record }
    }
}

/// Whether the record belongs to a run: not to what is watched, nor to a chore.
fn of_a_run(record: &Record) -> bool {
    let value = serde_json::to_value(record).unwrap_or_default();
    let belongs = !value["run"].is_null() || !value["attempt"].is_null();
    belongs && !value["record"].as_str().unwrap_or_default().starts_with("chore_")
}

/// The record's name as it stands in the journal.
fn name(record: &Record) -> String {
    let value = serde_json::to_value(record).unwrap_or_default();
    value["record"].as_str().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_the_nth_record_of_the_name() {
        let frozen = Record::Frozen { run: None };
        let other = Record::Restarted { generation: 1, rebooted: false, at: model::Time(1) };
        let mut crash = Crash::parse("frozen:2").unwrap();
        assert!(!crash.due(&[other.clone(), frozen.clone()]));
        assert!(!crash.due(std::slice::from_ref(&other)));
        assert!(crash.due(&[frozen.clone(), other]));
        assert!(!crash.due(&[frozen]), "once");
        let mut crash = Crash::parse("*").unwrap();
        assert!(!crash.due(&[Record::Restarted { generation: 2, rebooted: false, at: model::Time(1) }]));
        let of_a_run = Record::Resumed { run: model::RunId(1), why: String::new(), at: model::Time(1) };
        assert!(crash.due(&[of_a_run]));
        for bad in ["", "frozen:", "frozen:0", "frozen:x"] {
            assert!(Crash::parse(bad).is_err(), "{bad}");
        }
    }
}
