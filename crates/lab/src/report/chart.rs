//! Where everything stands in the timeline's SVG: two panels and the step lanes over one time axis.
//!
//! Only geometry; the template draws it and the style sheet colours it, so that one page reads well in light and dark.

use super::{DrillResult, Seconds, StepEnd};

pub(super) const WIDTH: f64 = 1120.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 14.0;
const WRITES_TOP: f64 = 44.0;
const WRITES_HEIGHT: f64 = 190.0;
const LAG_TOP: f64 = WRITES_TOP + WRITES_HEIGHT + 38.0;
const LAG_HEIGHT: f64 = 74.0;
const STEPS_TOP: f64 = LAG_TOP + LAG_HEIGHT + 38.0;
const LANE: f64 = 21.0;
/// Width of a letter of the labels, px; a little too much rather than too little.
const LETTER: f64 = 6.3;
/// A bar narrower than this could not be seen.
const THINNEST: f64 = 3.0;

pub(super) struct Chart {
    pub title: &'static str,
    pub width: f64,
    pub height: f64,
    pub left: f64,
    pub right: f64,
    pub writes: Panel,
    pub lag: Panel,
    pub steps_top: f64,
    pub axis_y: f64,
    pub x_ticks: Vec<Tick>,
    pub faults: Vec<Fault>,
    pub rto: Option<Bracket>,
    pub bars: Vec<Bar>,
}

impl Chart {
    pub fn panels(&self) -> [&Panel; 2] {
        [&self.writes, &self.lag]
    }
}

pub(super) struct Panel {
    pub top: f64,
    pub bottom: f64,
    pub y_ticks: Vec<Tick>,
    pub series: Vec<Series>,
}

pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

/// `class` picks the colour; `area` is empty where only a line is drawn.
pub(super) struct Series {
    pub class: String,
    pub line: String,
    pub area: String,
}

pub(super) struct Fault {
    pub x: f64,
    pub width: f64,
    pub label: String,
    pub label_x: f64,
    pub anchor: &'static str,
    pub detail: String,
}

pub(super) struct Bracket {
    pub from: f64,
    pub to: f64,
    pub label: String,
}

pub(super) struct Bar {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub class: String,
    pub label: String,
    pub label_x: f64,
    pub anchor: &'static str,
    pub commit_point: bool,
    pub detail: String,
}

/// The seconds that a chart shows.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub from: f64,
    pub to: f64,
}

impl Range {
    fn x(&self, seconds: f64) -> f64 {
        let share = (seconds - self.from) / (self.to - self.from);
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
    fn has(&self, seconds: f64) -> bool {
        (self.from..=self.to).contains(&seconds)
    }
}

/// The whole drill, and where a client came back within a small part of it, that part first.
pub(super) fn charts(result: &DrillResult) -> Vec<Chart> {
    let whole = whole(result);
    let mut charts = Vec::new();
    if let Some(rto) = result.rto_seconds.ttl_honouring.map(Seconds::get) {
        let near = Range { from: (-0.4 * rto - 1.0).max(whole.from), to: (rto * 1.6 + 2.0).min(whole.to) };
        if near.to - near.from < 0.6 * (whole.to - whole.from) {
            charts.push(chart("The outage", result, near));
        }
    }
    charts.push(chart("The whole drill", result, whole));
    charts
}

fn whole(result: &DrillResult) -> Range {
    let t = &result.timeline;
    let buckets = t.writes.iter().map(|w| w.acknowledged.len()).chain([t.failed.len()]).max().unwrap_or(0);
    let mut ends = vec![t.from.get() + buckets as f64 * t.bucket_seconds.get()];
    ends.extend(t.steps.iter().map(|step| step.to.unwrap_or(step.from).get()));
    ends.extend(t.faults.iter().map(|fault| fault.healed.unwrap_or(fault.at).get()));
    let to = ends.into_iter().fold(t.from.get() + 1.0, f64::max);
    Range { from: t.from.get(), to }
}

fn chart(title: &'static str, result: &DrillResult, range: Range) -> Chart {
    let (bars, lanes) = bars(result, range);
    let axis_y = STEPS_TOP + lanes.max(1) as f64 * LANE + 4.0;
    Chart {
        title,
        width: WIDTH,
        height: axis_y + 40.0,
        left: LEFT,
        right: RIGHT,
        writes: writes(result, range),
        lag: lag(result, range),
        steps_top: STEPS_TOP,
        axis_y,
        x_ticks: ticks(range.from, range.to, 10.0, |s| (range.x(s), format!("{s}"))),
        faults: faults(result, range),
        rto: result.rto_seconds.ttl_honouring.map(|rto| Bracket {
            from: range.x(0.0),
            to: range.x(rto.get()),
            label: format!("RTO {rto}"),
        }),
        bars,
    }
}

fn writes(result: &DrillResult, range: Range) -> Panel {
    let t = &result.timeline;
    let width = t.bucket_seconds.get().max(0.001);
    let rate = |n: &u64| *n as f64 / width;
    // the whole drill's peak, so that both charts have the same scale
    let counts = t.writes.iter().flat_map(|w| &w.acknowledged).chain(&t.failed);
    let peak = counts.map(rate).fold(1.0, f64::max);
    let mut panel = panel(WRITES_TOP, WRITES_HEIGHT, peak, 4.0);
    let y = |n: &u64| panel.bottom - rate(n) / panel.peak * WRITES_HEIGHT;
    let series = |class: String, counts: &[u64], filled: bool| {
        let mut line = String::new();
        let mut before = None;
        for (n, count) in counts.iter().enumerate() {
            let from = t.from.get() + n as f64 * width;
            if from + width <= range.from || from >= range.to {
                continue;
            }
            let (x0, x1, y) = (range.x(from), range.x(from + width), y(count));
            match (before, *count) {
                (None | Some(0), 0) => {} // nothing happens: the axis is line enough
                (None | Some(0), _) => line.push_str(&format!("M{x0:.1} {:.1}V{y:.1}H{x1:.1}", panel.bottom)),
                (Some(_), 0) => line.push_str(&format!("V{y:.1}")),
                (Some(same), _) if same == *count => line.push_str(&format!("H{x1:.1}")),
                _ => line.push_str(&format!("V{y:.1}H{x1:.1}")),
            }
            before = Some(*count);
        }
        let area = if filled && !line.is_empty() { format!("{line}V{:.1}", panel.bottom) } else { String::new() };
        Series { class, line, area }
    };
    let mut all: Vec<Series> =
        t.writes.iter().enumerate().map(|(n, w)| series(region(n), &w.acknowledged, true)).collect();
    all.push(series("failed".to_owned(), &t.failed, false));
    panel.shown.series = all;
    panel.shown
}

/// Samples further apart are not joined: in between nobody stood by, or nobody could ask. Several of the watcher's polls.
const SILENT: f64 = 1.0;

fn lag(result: &DrillResult, range: Range) -> Panel {
    let samples = &result.timeline.lag;
    let shown = samples.iter().filter(|s| range.has(s.at.get()));
    // its own scale in each chart: milliseconds before a fault would vanish beside a later catching-up
    let peak = shown.filter_map(|s| s.lag).map(Seconds::get).fold(0.01, f64::max);
    let mut panel = panel(LAG_TOP, LAG_HEIGHT, peak, 2.0);
    let mut series = Vec::new();
    for (n, writes) in result.timeline.writes.iter().enumerate() {
        let (mut line, mut pen, mut before) = (String::new(), 'M', f64::NEG_INFINITY);
        for sample in samples.iter().filter(|s| s.site == writes.site && range.has(s.at.get())) {
            let Some(lag) = sample.lag else {
                pen = 'M'; // unknown: a gap, not a zero
                continue;
            };
            if sample.at.get() - before > SILENT {
                pen = 'M';
            }
            before = sample.at.get();
            let (x, y) = (range.x(sample.at.get()), panel.bottom - lag.get() / panel.peak * LAG_HEIGHT);
            // a lone sample between gaps still shows as a dot
            line.push_str(&format!("{pen}{x:.1} {y:.1}{}", if pen == 'M' { "h.01" } else { "" }));
            pen = 'L';
        }
        series.push(Series { class: region(n), line, area: String::new() });
    }
    panel.shown.series = series;
    panel.shown
}

/// The colour class of a region, by its place in the timeline.
pub(super) fn region(place: usize) -> String {
    format!("r{}", place % 4)
}

struct Scaled {
    shown: Panel,
    bottom: f64,
    peak: f64,
}

/// A panel from zero to a round number at or above `peak`.
fn panel(top: f64, height: f64, peak: f64, wanted: f64) -> Scaled {
    let step = round_step(peak / wanted);
    let peak = (peak / step).ceil() * step;
    let bottom = top + height;
    let y_ticks = ticks(0.0, peak, wanted, |v| (bottom - v / peak * height, format!("{v}")));
    Scaled { shown: Panel { top, bottom, y_ticks, series: Vec::new() }, bottom, peak }
}

/// 1, 2 or 5 times a power of ten, at or above `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-6).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= least * 0.999).unwrap_or(power * 10.0)
}

fn ticks(from: f64, to: f64, wanted: f64, place: impl Fn(f64) -> (f64, String)) -> Vec<Tick> {
    let step = round_step((to - from) / wanted);
    let (first, last) = ((from / step).ceil() as i64, (to / step + 1e-9).floor() as i64);
    let tick = |n: i64| {
        let value = (n as f64 * step * 1e6).round() / 1e6;
        let (at, label) = place(value);
        Tick { at, label }
    };
    (first..=last).map(tick).collect()
}

fn faults(result: &DrillResult, range: Range) -> Vec<Fault> {
    let shown = |fault: &&super::FaultMark| {
        let healed = fault.healed.map_or(range.to, Seconds::get);
        fault.at.get() <= range.to && healed >= range.from
    };
    let draw = |fault: &super::FaultMark| {
        let x = range.x(fault.at.get());
        let end = range.x(fault.healed.map_or(range.to, Seconds::get));
        let right = x + fault.name.len() as f64 * LETTER > RIGHT;
        let healed = fault.healed.map_or("until the end".to_owned(), |at| format!("healed at {at}"));
        Fault {
            x,
            width: end - x,
            label: fault.name.clone(),
            label_x: if right { x - 5.0 } else { x + 5.0 },
            anchor: if right { "end" } else { "start" },
            detail: format!("{} at {}, {healed}", fault.name, fault.at),
        }
    };
    result.timeline.faults.iter().filter(shown).map(draw).collect()
}

/// Step bars, each in the first lane that has room for it and its label, and the number of lanes.
fn bars(result: &DrillResult, range: Range) -> (Vec<Bar>, usize) {
    let t = &result.timeline;
    let mut lanes: Vec<f64> = Vec::new();
    let mut bars = Vec::new();
    let mut steps: Vec<_> = t.steps.iter().filter(|s| in_range(s, range)).collect();
    steps.sort_by(|a, b| a.from.get().total_cmp(&b.from.get()));
    for step in steps {
        let (x, end) = (range.x(step.from.get()), range.x(step.to.map_or(range.to, Seconds::get)));
        let width = (end - x).max(THINNEST);
        let text = step.name.chars().count() as f64 * LETTER + 8.0;
        let before = x + width + text > RIGHT && x - text > LEFT;
        let (left, right) = if before { (x - text, x + width) } else { (x, x + width + text) };
        let lane = lanes.iter().position(|taken| *taken + 4.0 <= left).unwrap_or(lanes.len());
        if lane == lanes.len() {
            lanes.push(right);
        }
        lanes[lane] = right;
        bars.push(Bar {
            x,
            y: STEPS_TOP + lane as f64 * LANE,
            width,
            class: class(step, t),
            label: step.name.clone(),
            label_x: if before { x - 4.0 } else { x + width + 4.0 },
            anchor: if before { "end" } else { "start" },
            commit_point: step.commit_point,
            detail: detail(step),
        });
    }
    (bars, lanes.len())
}

fn in_range(step: &super::StepBar, range: Range) -> bool {
    step.from.get() < range.to && step.to.map_or(range.to, Seconds::get) >= range.from
}

fn class(step: &super::StepBar, timeline: &super::Timeline) -> String {
    let place = timeline.writes.iter().position(|w| w.site == step.site);
    match step.end {
        StepEnd::Failed => "bad".to_owned(),
        StepEnd::Skipped => "skipped".to_owned(),
        StepEnd::Done | StepEnd::Running => place.map_or("other".to_owned(), region),
    }
}

fn detail(step: &super::StepBar) -> String {
    let end = step.to.map_or("no end".to_owned(), |to| format!("{to} ({})", Seconds::new(to.get() - step.from.get())));
    let commit = if step.commit_point { ", commit point" } else { "" };
    let note = if step.note.is_empty() { String::new() } else { format!(": {}", step.note) };
    format!("{} {} in {}, {} to {end}, {}{commit}{note}", step.run, step.name, step.site, step.from, step.end.word())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::passed;
    use super::super::{StepBar, StepEnd};
    use super::*;

    #[test]
    fn axes_end_on_round_numbers_above_the_peak() {
        assert_eq!([0.03, 0.6, 1.0, 2.4, 32.5].map(round_step), [0.05, 1.0, 1.0, 5.0, 50.0]);
        let panel = panel(0.0, 100.0, 130.0, 4.0);
        let labels: Vec<&str> = panel.shown.y_ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["0", "50", "100", "150"]);
        assert_eq!((panel.shown.y_ticks[0].at, panel.shown.y_ticks[3].at), (100.0, 0.0));
    }

    #[test]
    fn an_outage_is_shown_close_up_first() {
        let titles: Vec<_> = charts(&passed()).iter().map(|chart| chart.title).collect();
        assert_eq!(titles, ["The outage", "The whole drill"]);
    }

    #[test]
    fn a_rate_is_the_count_over_its_bucket() {
        let mut result = passed();
        result.timeline.writes[0].acknowledged = vec![20];
        result.timeline.writes[1].acknowledged = vec![];
        result.timeline.failed = vec![];
        let panel = writes(&result, Range { from: -8.0, to: -7.0 });
        // 20 writes in 0.1 s are 200 a second: the peak, so the line reaches the panel's top
        assert_eq!(panel.y_ticks.last().unwrap().label, "200");
        assert!(panel.series[0].line.contains(&format!("V{WRITES_TOP:.1}")), "{}", panel.series[0].line);
    }

    proptest! {
        #[test]
        fn bars_of_a_lane_never_overlap(times in prop::collection::vec((0.0f64..50.0, 0.0f64..20.0), 1..40)) {
            let mut result = passed();
            let step = |(from, took): &(f64, f64)| StepBar {
                run: "run-1".into(), name: "a step".into(), site: "x".into(), from: Seconds::new(*from),
                to: Some(Seconds::new(from + took)), end: StepEnd::Done, commit_point: false, note: String::new(),
            };
            result.timeline.steps = times.iter().map(step).collect();
            let (bars, _) = bars(&result, Range { from: -1.0, to: 71.0 });
            prop_assert_eq!(bars.len(), times.len());
            for (n, one) in bars.iter().enumerate() {
                for other in bars[..n].iter().filter(|other| other.y == one.y) {
                    prop_assert!(other.x + other.width <= one.x || one.x + one.width <= other.x);
                }
            }
        }
    }

    /// How often the pen is put down for the lag of each region.
    fn strokes(result: &DrillResult) -> usize {
        let range = Range { from: -8.0, to: 50.0 };
        lag(result, range).series.iter().map(|series| series.line.matches('M').count()).sum()
    }

    #[test]
    fn lag_is_not_drawn_where_nobody_could_tell() {
        let mut result = passed();
        let before = strokes(&result);
        let site = result.timeline.lag[0].site.clone();
        let within = |at: f64| at > -6.0 && at < -4.0;
        result.timeline.lag.retain(|sample| sample.site != site || !within(sample.at.get()));
        assert_eq!(strokes(&result), before + 1);
    }
}
