//! Samples of several cases, interleaved, and what they say together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::report::{DrillResult, Seconds, Verdict};

/// One measured recovery.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// What was measured: the same for all samples of a row.
    pub case: String,
    /// From the fault to the first acknowledged write by the new writer, seconds; `None` when there was none.
    pub rto_seconds: Option<Seconds>,
    /// Longest time without an acknowledged write at the client that honours TTLs.
    pub pause_seconds: Option<Seconds>,
    pub lost: Option<u64>,
    pub smallest_lease_margin_seconds: Option<Seconds>,
    pub passed: bool,
    /// Why it did not pass.
    pub why: String,
}

impl Sample {
    pub fn of_drill(case: &str, result: &DrillResult) -> Self {
        let honouring = |client: &&crate::report::Client| {
            client.kind == crate::ledger::ClientKind::TtlHonouring && client.place == "outside"
        };
        let passed = result.verdict == Verdict::Passed;
        Self {
            case: case.to_owned(),
            rto_seconds: result.rto_seconds.ttl_honouring,
            pause_seconds: result.clients.iter().find(honouring).map(|client| client.longest_gap_seconds),
            lost: result.writes.lost,
            smallest_lease_margin_seconds: result.smallest_lease_margin_seconds,
            passed,
            why: if passed { String::new() } else { result.reasons.join("; ") },
        }
    }

    pub fn of_floor(case: &str, rto: Duration, lost: u64) -> Self {
        let rto = Some(rto.into());
        Self {
            case: case.to_owned(),
            rto_seconds: rto,
            pause_seconds: rto,
            lost: Some(lost),
            smallest_lease_margin_seconds: None,
            passed: true,
            why: String::new(),
        }
    }
}

/// All samples of one case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    pub case: String,
    pub n: usize,
    pub failed: usize,
    /// Minimum, median and maximum; `None` when no sample recovered.
    pub rto_seconds: Option<[Seconds; 3]>,
    pub pause_seconds: Option<[Seconds; 3]>,
    /// Acknowledged writes lost over all samples.
    pub lost: u64,
    pub smallest_lease_margin_seconds: Option<Seconds>,
}

/// In the order in which the cases first came.
pub fn rows(samples: &[Sample]) -> Vec<Row> {
    let mut cases: Vec<&str> = Vec::new();
    for sample in samples {
        if !cases.contains(&sample.case.as_str()) {
            cases.push(&sample.case);
        }
    }
    let row = |case: &str| {
        let of: Vec<&Sample> = samples.iter().filter(|sample| sample.case == case).collect();
        let margins = of.iter().filter_map(|sample| sample.smallest_lease_margin_seconds);
        Row {
            case: case.to_owned(),
            n: of.len(),
            failed: of.iter().filter(|sample| !sample.passed).count(),
            rto_seconds: spread(of.iter().filter_map(|sample| sample.rto_seconds)),
            pause_seconds: spread(of.iter().filter_map(|sample| sample.pause_seconds)),
            lost: of.iter().filter_map(|sample| sample.lost).sum(),
            smallest_lease_margin_seconds: margins.min_by(|a, b| a.get().total_cmp(&b.get())),
        }
    };
    cases.into_iter().map(row).collect()
}

/// Of an even number of values the median is the mean of the two in the middle.
fn spread(values: impl Iterator<Item = Seconds>) -> Option<[Seconds; 3]> {
    let mut sorted: Vec<f64> = values.map(Seconds::get).collect();
    sorted.sort_by(f64::total_cmp);
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
    Some([first, median, last].map(Seconds::new))
}

/// The table of docs/benchmarks.md.
pub fn markdown(rows: &[Row]) -> String {
    let three = |values: Option<[Seconds; 3]>| match values {
        Some(values) => values.map(|value| format!("{:.2}", value.get())).join(" / "),
        None => "none".to_owned(),
    };
    let mut text = String::from(
        "| case | n | failed | RTO s (min/median/max) | longest pause s (min/median/max) | acknowledged writes lost | smallest lease margin s |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let margin =
            row.smallest_lease_margin_seconds.map_or("–".to_owned(), |margin| format!("{:.2}", margin.get()));
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {margin} |\n",
            row.case,
            row.n,
            row.failed,
            three(row.rto_seconds),
            three(row.pause_seconds),
            row.lost
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_spread_of_its_samples_and_counts_what_failed() {
        let sample = |millis, lost| Sample::of_floor("a", Duration::from_millis(millis), lost);
        let mut late = sample(900, 2);
        (late.passed, late.rto_seconds) = (false, None);
        let other = Sample::of_floor("b", Duration::from_millis(100), 0);
        let rows = rows(&[sample(300, 1), other, sample(100, 0), late, sample(200, 0), sample(400, 0)]);
        assert_eq!(rows.iter().map(|row| row.case.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((rows[0].n, rows[0].failed, rows[0].lost), (5, 1, 3));
        assert_eq!(rows[0].rto_seconds, Some([0.1, 0.25, 0.4].map(Seconds::new)));
        assert!(markdown(&rows).contains("| a | 5 | 1 | 0.10 / 0.25 / 0.40 |"));
    }
}
