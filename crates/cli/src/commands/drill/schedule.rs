//! What the spec's schedule asks for, and what was done about it so far.

use std::path::Path;
use std::sync::Arc;

use engine::schedule::{ALL, Basis, Due, Entry, days, due, trend};
use lab::drill::{Drill, catalogue};
use lab::rehearsals::{self, HistoryError};
use lab::report::{DrillResult, Scorecard, Verdict, history_html, time, trend_words};
use model::Topology;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::output::Output;
use crate::table;

/// The history of one workload's drills, and what new evidence rests on.
pub struct Past<'a> {
    pub folder: &'a Path,
    pub topology: &'a Arc<Topology>,
    pub basis: Basis,
}

/// Seconds since 1970.
pub fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

impl<'a> Past<'a> {
    pub fn new(folder: &'a Path, topology: &'a Arc<Topology>) -> Self {
        Self { folder, topology, basis: rehearsals::basis(topology) }
    }

    pub fn entries(&self) -> Result<Vec<Entry>, Failure> {
        rehearsals::read(self.folder, &self.topology.workload).map_err(failure)
    }

    pub fn record(&self, result: &DrillResult) -> Result<(), Failure> {
        self.append(&rehearsals::entry_of(result, &self.basis, now()))
    }

    /// A round of all drills counts as one more entry. An interrupted one proves nothing, not even a failure.
    pub fn record_round(&self, card: &Scorecard, report: &Path) -> Result<(), Failure> {
        let whole = catalogue().iter().all(|drill| card.drills.iter().any(|scored| scored.drill == drill.name()));
        if card.interrupted || !whole {
            return Ok(());
        }
        self.append(&Entry {
            drill: ALL.into(),
            ended: now(),
            passed: card.verdict == Verdict::Passed,
            rto_seconds: None,
            rpo_seconds: None,
            basis: self.basis.clone(),
            report: report.display().to_string(),
        })
    }

    fn append(&self, entry: &Entry) -> Result<(), Failure> {
        rehearsals::append(self.folder, &self.topology.workload, entry).map_err(failure)
    }

    fn due(&self) -> Result<Vec<Due>, Failure> {
        let known = |name: &str| Drill::named(name).is_some();
        Ok(due(&self.topology.drills, known, &self.entries()?, &self.basis, now()))
    }

    /// The drills to carry out now, each once.
    pub fn drills_due(&self) -> Result<Vec<Drill>, Failure> {
        let due: Vec<String> = self.due()?.into_iter().filter(|d| d.standing.is_due()).map(|d| d.drill).collect();
        let all = due.iter().any(|drill| drill == ALL);
        Ok(catalogue().iter().copied().filter(|drill| all || due.iter().any(|d| d == drill.name())).collect())
    }

    /// Prints the schedule and where it stands. Exit status 9 when something is due.
    pub fn show_due(&self, output: &Output) -> Result<Exit, Failure> {
        let (due, now) = (self.due()?, now());
        let line = |line: &Due| {
            let mut value = json!(line);
            value["why"] = json!(line.standing.text(now));
            value["due"] = json!(line.standing.is_due());
            value
        };
        output.result(&due.iter().map(line).collect::<Vec<_>>(), || due_text(&due, now));
        Ok(if due.iter().any(|line| line.standing.is_due()) { Exit::Due } else { Exit::Ok })
    }

    pub fn show_history(&self, output: &Output) -> Result<Exit, Failure> {
        let entries = self.entries()?;
        let figures = figures(&entries);
        let html = history_html(&self.topology.workload, &entries, &self.basis);
        let page = self.folder.join("history.html");
        let written = html.map_err(std::io::Error::other).and_then(|html| {
            std::fs::create_dir_all(self.folder)?;
            std::fs::write(&page, html)
        });
        written.map_err(|source| failure(HistoryError::File { doing: "write", path: page.clone(), source }))?;
        output.result(&json!({ "entries": entries, "trends": figures }), || history_text(&entries, &self.basis));
        output.notice(&format!("page: {}\n", page.display()));
        Ok(Exit::Ok)
    }
}

fn due_text(due: &[Due], now: u64) -> String {
    if due.is_empty() {
        return "the spec schedules no drill\n".into();
    }
    let row = |line: &Due| {
        let last = line.last.map_or("never".to_owned(), |last| format!("{} ago", days(now.saturating_sub(last))));
        [line.drill.clone(), days(line.every_seconds), last, line.standing.text(now)]
    };
    table::draw(["drill", "every", "last", "standing"], due.iter().map(row))
}

/// The figures of one drill over time, and where they go.
fn figures(entries: &[Entry]) -> Value {
    let mut all = serde_json::Map::new();
    for drill in names(entries) {
        let (rto, rpo) = (series(entries, drill, |e| e.rto_seconds), series(entries, drill, |e| e.rpo_seconds));
        all.insert(drill.to_owned(), json!({ "rto": trend(&rto), "rpo": trend(&rpo) }));
    }
    Value::Object(all)
}

fn names(entries: &[Entry]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for entry in entries {
        if !names.contains(&entry.drill.as_str()) {
            names.push(&entry.drill);
        }
    }
    names
}

fn series(entries: &[Entry], drill: &str, figure: fn(&Entry) -> Option<f64>) -> Vec<f64> {
    entries.iter().filter(|entry| entry.drill == drill).filter_map(figure).collect()
}

fn history_text(entries: &[Entry], basis: &Basis) -> String {
    if entries.is_empty() {
        return "no drill was recorded yet\n".into();
    }
    let seconds = |figure: Option<f64>| figure.map_or("–".to_owned(), |seconds| format!("{seconds:.3} s"));
    let row = |entry: &Entry| {
        let verdict = if entry.passed { "passed" } else { "failed" };
        let rests = if entry.basis == *basis { "holds" } else { "expired" };
        let (rto, rpo) = (seconds(entry.rto_seconds), seconds(entry.rpo_seconds));
        [time(entry.ended), entry.drill.clone(), verdict.into(), rto, rpo, rests.into(), entry.report.clone()]
    };
    let head = ["ended", "drill", "verdict", "RTO", "RPO", "evidence", "report"];
    let mut text = table::draw(head, entries.iter().map(row));
    let mut rows = Vec::new();
    for drill in names(entries) {
        for (name, figure) in [("RTO", (|e| e.rto_seconds) as fn(&Entry) -> _), ("RPO", |e| e.rpo_seconds)] {
            let series = series(entries, drill, figure);
            if let (Some(least), Some(most)) = (least(&series), most(&series)) {
                let range = format!("{least:.3} to {most:.3} s");
                rows.push([
                    drill.to_owned(),
                    name.into(),
                    sparkline(&series),
                    range,
                    trend_words(trend(&series)).into(),
                ]);
            }
        }
    }
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table::draw(["drill", "figure", "over time", "range", "trend"], rows));
    }
    text
}

fn least(series: &[f64]) -> Option<f64> {
    series.iter().copied().reduce(f64::min)
}
fn most(series: &[f64]) -> Option<f64> {
    series.iter().copied().reduce(f64::max)
}

/// From zero to the largest, the latest 40.
fn sparkline(series: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = most(series).unwrap_or(0.0).max(f64::MIN_POSITIVE);
    let bar = |value: &f64| BARS[((value / top).clamp(0.0, 1.0) * 7.0).round() as usize];
    series[series.len().saturating_sub(40)..].iter().map(bar).collect()
}

fn failure(error: HistoryError) -> Failure {
    let hint = match &error {
        HistoryError::File { .. } => "check the folder given with `--history-dir`",
        HistoryError::Line { .. } => "restore the file, or move it away: every drill is then due again",
        HistoryError::Newer { .. } => "use the version of antipode that wrote it, or a later one",
    };
    Failure::new(Code::HistoryUnreadable, causes(&error)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(drill: &str, ended: u64, rto: f64) -> Entry {
        let basis = Basis { spec: "s".into(), runbook: "r".into() };
        let report = format!("antipode-drills/{drill}/report.html");
        let (rto_seconds, rpo_seconds) = (Some(rto), Some(0.0));
        Entry { drill: drill.into(), ended, passed: rto < 9.0, rto_seconds, rpo_seconds, basis, report }
    }

    #[test]
    fn the_history_as_people_read_it() {
        let rtos = [5.2, 5.1, 5.3, 6.4, 6.6, 9.5];
        let mut entries: Vec<Entry> =
            (0..).zip(rtos).map(|(n, rto)| entry("region-loss", 1_780_000_000 + n * 2_592_000, rto)).collect();
        entries.push(Entry { rto_seconds: None, rpo_seconds: None, ..entry("all", 1_796_000_000, 1.0) });
        let now = Basis { spec: "s".into(), runbook: "r2".into() };
        entries[5].basis = now.clone();
        insta::assert_snapshot!(history_text(&entries, &now));
    }

    #[test]
    fn a_sparkline_begins_at_zero() {
        assert_eq!(sparkline(&[0.0, 4.0, 8.0]), "▁▅█");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
        assert_eq!(sparkline(&[5.0; 60]).chars().count(), 40);
    }
}
