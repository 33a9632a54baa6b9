//! The history of drills as one self-contained page: RTO and RPO over time for each drill, and every line.

use askama::Template;
use engine::schedule::{Basis, Entry, Trend, trend};

/// The page. Fails only if formatting does, which is a defect.
pub fn history_html(workload: &str, entries: &[Entry], basis: &Basis) -> Result<String, std::fmt::Error> {
    let mut drills: Vec<&str> = Vec::new();
    for entry in entries {
        if !drills.contains(&entry.drill.as_str()) {
            drills.push(&entry.drill);
        }
    }
    let plots = drills.iter().flat_map(|drill| {
        let of: Vec<&Entry> = entries.iter().filter(|entry| entry.drill == *drill).collect();
        [plot(drill, "RTO", &of, |entry| entry.rto_seconds), plot(drill, "RPO", &of, |entry| entry.rpo_seconds)]
    });
    let page = Page { workload, entries, basis, plots: plots.flatten().collect() };
    page.render().map_err(|_| std::fmt::Error)
}

#[derive(Template)]
#[template(path = "history.html")]
struct Page<'a> {
    workload: &'a str,
    entries: &'a [Entry],
    basis: &'a Basis,
    plots: Vec<Plot>,
}

impl Page<'_> {
    /// The latest first.
    fn latest(&self) -> Vec<&Entry> {
        self.entries.iter().rev().collect()
    }
    fn time(&self, seconds: &u64) -> String {
        time(*seconds)
    }
    fn seconds(&self, figure: &Option<f64>) -> String {
        figure.map_or("–".to_owned(), |seconds| format!("{seconds:.3} s"))
    }
    fn holds(&self, entry: &Entry) -> bool {
        entry.basis == *self.basis
    }
}

/// RFC 3339, or `?` for what no calendar has.
pub fn time(seconds: u64) -> String {
    let stamp = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    stamp.map_or("?".to_owned(), |stamp| stamp.to_string())
}

pub fn trend_words(trend: Option<Trend>) -> &'static str {
    match trend {
        Some(Trend::Better) => "better",
        Some(Trend::Steady) => "steady",
        Some(Trend::Worse) => "worse",
        None => "too few for a trend",
    }
}

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = HEIGHT - 24.0;

/// One figure of one drill; seconds upwards, time to the right.
struct Plot {
    title: String,
    trend: &'static str,
    line: String,
    dots: Vec<Dot>,
    /// Place and label of zero and of the largest.
    y: [(f64, String); 2],
    from: String,
    to: String,
}

struct Dot {
    x: f64,
    y: f64,
    passed: bool,
    detail: String,
}

/// `None` when the drill never had this figure.
fn plot(drill: &str, name: &str, entries: &[&Entry], figure: fn(&Entry) -> Option<f64>) -> Option<Plot> {
    let points: Vec<(&Entry, f64)> = entries.iter().filter_map(|entry| Some((*entry, figure(entry)?))).collect();
    let (first, last) = (points.iter().map(|p| p.0.ended).min()?, points.iter().map(|p| p.0.ended).max()?);
    // A millisecond at least: all zeros are a line on the axis, not a division by zero.
    let top = points.iter().map(|p| p.1).fold(0.001, f64::max);
    let span = (last - first).max(1) as f64;
    let x = |ended: u64| LEFT + (ended - first) as f64 / span * (WIDTH - LEFT - 12.0);
    let y = |seconds: f64| BOTTOM - seconds.max(0.0) / top * (BOTTOM - TOP);
    let dots: Vec<Dot> = points
        .iter()
        .map(|(entry, seconds)| Dot {
            x: x(entry.ended),
            y: y(*seconds),
            passed: entry.passed,
            detail: format!("{}: {seconds:.3} s", time(entry.ended)),
        })
        .collect();
    let step = |(n, dot): (usize, &Dot)| format!("{}{:.1} {:.1}", if n == 0 { 'M' } else { 'L' }, dot.x, dot.y);
    Some(Plot {
        title: format!("{name} of {drill}, seconds"),
        trend: trend_words(trend(&points.iter().map(|p| p.1).collect::<Vec<_>>())),
        line: dots.iter().enumerate().map(step).collect(),
        dots,
        y: [(BOTTOM, "0 s".into()), (y(top), format!("{top:.3} s"))],
        from: day(first),
        to: day(last),
    })
}

fn day(seconds: u64) -> String {
    time(seconds).split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(drill: &str, ended: u64, rto: f64) -> Entry {
        let basis = Basis { spec: "s".into(), runbook: "r".into() };
        let (rto_seconds, rpo_seconds) = (Some(rto), Some(0.0));
        Entry {
            drill: drill.into(),
            ended,
            passed: rto < 9.0,
            rto_seconds,
            rpo_seconds,
            basis,
            report: "r.html".into(),
        }
    }

    fn entries() -> Vec<Entry> {
        let rtos = [5.2, 5.1, 5.3, 6.4, 6.6, 9.5];
        (0..).zip(rtos).map(|(n, rto)| entry("region-loss", 1_780_000_000 + n * 2_592_000, rto)).collect()
    }

    #[test]
    fn the_page_plots_what_was_recorded_with_units_and_fetches_nothing() {
        let page = history_html("case-api", &entries(), &entries()[0].basis).unwrap();
        for text in ["RTO of region-loss, seconds", "9.500 s", "worse", "2026-05-28", "holds"] {
            assert!(page.contains(text), "{text}");
        }
        assert_eq!(page.matches("<circle").count(), 12);
        for outside in ["http:", "https:", "src=", "url(", "@import", "<script", "<link", "NaN", "inf"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_single_entry_and_none_have_a_page_and_names_are_escaped() {
        let basis = Basis { spec: "other".into(), runbook: "r".into() };
        let one = history_html("<script>", &[entry("<script>", 1_780_000_000, 5.0)], &basis).unwrap();
        assert!(!one.contains("<script") && !one.contains("NaN") && one.contains("expired"));
        assert!(history_html("x", &[], &basis).unwrap().contains("No drill was recorded yet"));
    }

    #[test]
    fn the_largest_is_at_the_top_and_zero_on_the_axis() {
        let all = entries();
        let plot = plot("region-loss", "RTO", &all.iter().collect::<Vec<_>>(), |entry| entry.rto_seconds).unwrap();
        assert_eq!((plot.dots[5].y, plot.y[0].0), (TOP, BOTTOM));
        assert!(plot.dots.windows(2).all(|two| two[0].x < two[1].x));
    }

    /// `cargo test -p antipode-lab write_sample_history -- --ignored` leaves a page to look at.
    #[test]
    #[ignore = "writes a page for the eye"]
    fn write_sample_history() {
        let path = std::env::current_exe().unwrap().with_file_name("history.html");
        std::fs::write(&path, history_html("case-api", &entries(), &entries()[0].basis).unwrap()).unwrap();
        println!("{}", path.display());
    }
}
