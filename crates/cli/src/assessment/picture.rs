//! Cost against RTO: each strategy a point, the objectives as lines, in one SVG that the page's style sheet colours.
//!
//! Cost begins at zero, so that twice as high is twice as dear. Times are on a logarithmic axis, which says so: they reach
//! from seconds to days. A strategy that does not recover stands beyond the axis, under "never"; one of which a price is
//! missing is drawn hollow, with `≥`, since its cost is a lower bound.

use std::fmt::Write;
use std::time::Duration;

use model::time::human;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 92.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = HEIGHT - 62.0;
/// The end of the axis of times; beyond it is "never".
const RIGHT: f64 = 850.0;
const NEVER: f64 = 925.0;
/// Height of a line of labels, px.
const LINE: f64 = 16.0;
/// Width of a letter, px; rather too much than too little.
const LETTER: f64 = 6.9;
/// Kept free of names around a point, px.
const ROOM: f64 = 11.0;

/// One strategy.
#[derive(Clone, Debug)]
pub struct Point {
    pub name: String,
    /// The 95th percentile; `None`: more than one in twenty losses is never recovered from.
    pub rto: Option<Duration>,
    /// Dollars a month.
    pub month: f64,
    /// Whether everything that it needs has a price.
    pub whole: bool,
    pub tone: Tone,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    Chosen,
    Meets,
    Misses,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Chosen => "chosen",
            Tone::Meets => "meets",
            Tone::Misses => "misses",
        }
    }
}

/// The picture; `None` when there is nothing to compare.
pub fn svg(points: &[Point], rto: Option<Duration>, budget: Option<f64>) -> Option<String> {
    if points.len() < 2 {
        return None;
    }
    let times = Times::of(points.iter().filter_map(|point| point.rto).chain(rto));
    let money = Money::of(points.iter().map(|point| point.month).chain(budget));
    let mut out = format!(
        "<svg class=\"picture\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"cost a month against recovery time, by strategy\">\n"
    );
    // What meets both objectives is below the one line and left of the other.
    if let (Some(rto), Some(budget)) = (rto, budget) {
        let (x, y) = (times.x(rto), money.y(budget));
        rect(&mut out, "meets-both", LEFT, y, x - LEFT, BOTTOM - y);
    }
    axes(&mut out, &times, &money);
    if let Some(rto) = rto {
        let x = times.x(rto);
        line(&mut out, "objective", (x, TOP), (x, BOTTOM));
        text(&mut out, "objective-name", x + 5.0, TOP + 11.0, "start", &format!("RTO {}", human(rto)));
    }
    if let Some(budget) = budget {
        let y = money.y(budget);
        line(&mut out, "objective", (LEFT, y), (RIGHT, y));
        text(&mut out, "objective-name", RIGHT - 5.0, y - 5.0, "end", &format!("budget {} USD", thousands(budget)));
    }
    for mark in marks(points, &times, &money) {
        draw(&mut out, &mark);
    }
    out.push_str("</svg>\n");
    Some(out)
}

/// The logarithmic axis: whole powers, named as people name times.
struct Times {
    least: f64,
    most: f64,
}

const NAMED: [(u64, &str); 12] = [
    (1, "1 s"),
    (5, "5 s"),
    (15, "15 s"),
    (60, "1 min"),
    (300, "5 min"),
    (900, "15 min"),
    (3_600, "1 h"),
    (4 * 3_600, "4 h"),
    (12 * 3_600, "12 h"),
    (86_400, "1 day"),
    (4 * 86_400, "4 days"),
    (14 * 86_400, "14 days"),
];

impl Times {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let seconds: Vec<f64> = times.map(|time| time.as_secs_f64().max(0.5)).collect();
        let (least, most) =
            (seconds.iter().copied().fold(f64::MAX, f64::min), seconds.iter().copied().fold(1.0, f64::max));
        let below =
            NAMED.iter().rev().find(|(named, _)| (*named as f64) < least).map_or(0.5, |(named, _)| *named as f64);
        let above = NAMED.iter().find(|(named, _)| *named as f64 > most).map_or(most * 1.5, |(named, _)| *named as f64);
        Self { least: below, most: above }
    }
    fn x(&self, time: Duration) -> f64 {
        let seconds = time.as_secs_f64().clamp(self.least, self.most);
        LEFT + (RIGHT - LEFT) * (seconds / self.least).ln() / (self.most / self.least).ln()
    }
    fn ticks(&self) -> impl Iterator<Item = (f64, &'static str)> {
        let inside = NAMED.iter().filter(|(named, _)| (self.least..=self.most).contains(&(*named as f64)));
        inside.map(|(named, name)| (self.x(Duration::from_secs(*named)), *name))
    }
}

/// The axis of money, from zero.
struct Money {
    step: f64,
    most: f64,
}

impl Money {
    fn of(amounts: impl Iterator<Item = f64>) -> Self {
        let most = amounts.fold(1.0, f64::max);
        let rough = most / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|by| by * power).find(|step| *step >= rough).unwrap_or(rough);
        Self { step, most: (most * 1.06 / step).ceil() * step }
    }
    fn y(&self, amount: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (amount / self.most).clamp(0.0, 1.0)
    }
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let count = (self.most / self.step).round() as u32;
        let step = self.step;
        (0..=count).map(move |number| f64::from(number) * step)
    }
}

fn axes(out: &mut String, times: &Times, money: &Money) {
    for amount in money.ticks() {
        let y = money.y(amount);
        line(out, "rule", (LEFT, y), (NEVER + 40.0, y));
        text(out, "", LEFT - 8.0, y + 4.0, "end", &thousands(amount));
    }
    for (x, name) in times.ticks() {
        line(out, "axis", (x, BOTTOM), (x, BOTTOM + 5.0));
        text(out, "", x, BOTTOM + 19.0, "middle", name);
    }
    line(out, "axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
    line(out, "beyond", (RIGHT + 22.0, TOP), (RIGHT + 22.0, BOTTOM));
    text(out, "", NEVER, BOTTOM + 19.0, "middle", "never");
    let middle = (LEFT + RIGHT) / 2.0;
    text(out, "strong", middle, HEIGHT - 14.0, "middle", "RTO that 95 of 100 losses keep (logarithmic)");
    let (x, y) = (20.0, f64::midpoint(TOP, BOTTOM));
    writeln!(
        out,
        "<text class=\"strong\" x=\"{x}\" y=\"{y:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y:.1})\">USD a month</text>"
    )
    .ok();
}

/// Where a strategy stands, and where its name does.
struct Mark<'a> {
    point: &'a Point,
    x: f64,
    y: f64,
    label: String,
    label_x: f64,
    label_y: f64,
    anchor: &'static str,
}

/// Names stand right of their points, left where there is no room, and below or above each other where they would cover one
/// another, or a point.
fn marks<'a>(points: &'a [Point], times: &Times, money: &Money) -> Vec<Mark<'a>> {
    let mut marks: Vec<Mark<'a>> = Vec::new();
    let mut order: Vec<&Point> = points.iter().collect();
    order.sort_by(|a, b| b.month.total_cmp(&a.month));
    let place = |point: &Point| (point.rto.map_or(NEVER, |rto| times.x(rto)), money.y(point.month));
    let places: Vec<(f64, f64)> = order.iter().map(|point| place(point)).collect();
    for point in order {
        let (x, y) = place(point);
        let least = if point.whole { "" } else { "≥ " };
        let time = point.rto.map_or("never".to_owned(), human);
        let label = format!("{}: {time}, {least}{} USD", point.name, thousands(point.month));
        let wide = label.chars().count() as f64 * LETTER;
        let (label_x, anchor) = if x + 12.0 + wide > NEVER + 40.0 { (x - 12.0, "end") } else { (x + 12.0, "start") };
        let span = |x: f64, anchor: &str| if anchor == "end" { (x - wide, x) } else { (x, x + wide) };
        let (from, to) = span(label_x, anchor);
        let covers = |other: &Mark<'_>, label_y: f64| {
            let wide = other.label.chars().count() as f64 * LETTER;
            let (a, b) = if other.anchor == "end" {
                (other.label_x - wide, other.label_x)
            } else {
                (other.label_x, other.label_x + wide)
            };
            a < to && from < b && (other.label_y - label_y).abs() < LINE
        };
        let hides = |label_y: f64| {
            let on = |(px, py): &(f64, f64)| from - ROOM < *px && *px < to + ROOM && (label_y - 4.0 - py).abs() < ROOM;
            places.iter().any(|other| *other != (x, y) && on(other))
        };
        // At its point, a line below, one above, two below, …, and never on the axis.
        let lines = (0..20).flat_map(|n| [f64::from(n), -f64::from(n)]);
        let mut heights = lines.map(|n| y + 4.0 + n * LINE).filter(|height| (TOP..BOTTOM).contains(height));
        let free = heights.find(|height| !hides(*height) && !marks.iter().any(|other| covers(other, *height)));
        let label_y = free.unwrap_or(y + 4.0);
        marks.push(Mark { point, x, y, label, label_x, label_y, anchor });
    }
    marks
}

fn draw(out: &mut String, mark: &Mark<'_>) {
    let class = mark.point.tone.class();
    let hollow = if mark.point.whole { "" } else { " hollow" };
    if (mark.label_y - 4.0 - mark.y).abs() > LINE {
        let to = if mark.anchor == "end" { mark.label_x + 4.0 } else { mark.label_x - 4.0 };
        line(out, "leader", (mark.x, mark.y), (to, mark.label_y - 4.0));
    }
    writeln!(out, "<circle class=\"point {class}{hollow}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"6\"/>", mark.x, mark.y).ok();
    text(out, &format!("name {class}"), mark.label_x, mark.label_y, mark.anchor, &mark.label);
}

fn line(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    writeln!(out, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>").ok();
}

fn rect(out: &mut String, class: &str, x: f64, y: f64, width: f64, height: f64) {
    writeln!(out, "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>")
        .ok();
}

fn text(out: &mut String, class: &str, x: f64, y: f64, anchor: &str, words: &str) {
    let words = super::html::coded(words);
    writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>").ok();
}

/// `1,234`, and cents only where there is little.
pub fn thousands(amount: f64) -> String {
    if amount < 10.0 && amount.fract() > 0.004 {
        return format!("{amount:.2}");
    }
    let digits = format!("{:.0}", amount.max(0.0));
    let mut out = String::new();
    for (number, digit) in digits.chars().enumerate() {
        if number > 0 && (digits.len() - number).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(n * 60)
    }

    fn point(name: &str, rto: Option<Duration>, month: f64) -> Point {
        Point { name: name.into(), rto, month, whole: true, tone: Tone::Misses }
    }

    fn ladder() -> Vec<Point> {
        vec![
            point("staying", None, 400.0),
            point("backup", Some(minutes(600)), 450.0),
            point("pilot light", Some(minutes(40)), 900.0),
            point("warm standby", Some(minutes(12)), 1_500.0),
            Point { tone: Tone::Chosen, ..point("hot standby", Some(minutes(4)), 2_400.0) },
            Point { whole: false, ..point("active/active", Some(Duration::from_secs(20)), 4_100.0) },
        ]
    }

    #[test]
    fn cost_begins_at_zero_and_is_in_proportion() {
        let money = Money::of([4_100.0].into_iter());
        assert_eq!((money.y(0.0), money.ticks().next()), (BOTTOM, Some(0.0)));
        let (one, two) = (BOTTOM - money.y(1_000.0), BOTTOM - money.y(2_000.0));
        assert!((two - 2.0 * one).abs() < 1e-9);
        assert!(money.most >= 4_100.0 && money.ticks().count() <= 12);
    }

    #[test]
    fn ten_times_longer_is_as_far_everywhere() {
        let times = Times::of([Duration::from_secs(2), minutes(600)].into_iter());
        let x = |seconds| times.x(Duration::from_secs(seconds));
        assert!(((x(40) - x(4)) - (x(4_000) - x(400))).abs() < 1e-9);
        assert!(x(4) < x(40) && x(2) >= LEFT && times.x(minutes(600)) <= RIGHT);
        assert!(times.ticks().count() >= 4);
    }

    #[test]
    fn every_strategy_is_there_with_its_figures_and_no_names_cover_each_other() {
        let points = ladder();
        let drawn = svg(&points, Some(minutes(30)), Some(3_000.0)).unwrap();
        for label in
            ["warm standby: 12m, 1,500 USD", "active/active: 20s, ≥ 4,100 USD", "staying: never, 400 USD", "RTO 30m"]
        {
            assert!(drawn.contains(label), "{label} in {drawn}");
        }
        assert_eq!((drawn.matches("<circle").count(), drawn.matches("hollow").count()), (6, 1));
        let (times, money) = (Times::of([minutes(1), minutes(600)].into_iter()), Money::of([4_100.0].into_iter()));
        let crowd: Vec<Point> = (0..6).map(|n| point("a strategy", Some(minutes(5)), 100.0 + f64::from(n))).collect();
        let placed = marks(&crowd, &times, &money);
        for (number, mark) in placed.iter().enumerate() {
            assert!(
                placed[..number].iter().all(|other| (other.label_y - mark.label_y).abs() >= LINE),
                "{}",
                mark.label
            );
        }
    }

    #[test]
    fn one_point_is_no_comparison_and_names_are_escaped() {
        assert!(svg(&ladder()[..1], None, None).is_none());
        let named = [point("<b>", Some(minutes(1)), 0.0), point("b", Some(minutes(1)), 0.0)];
        assert!(!svg(&named, None, None).unwrap().contains("<b>"));
    }

    #[test]
    fn amounts_are_read_at_a_glance() {
        let amounts = [0.0, 5.25, 21.2, 999.6, 12_345.0, 1_234_567.0].map(thousands);
        assert_eq!(amounts, ["0", "5.25", "21", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn a_name_hides_no_other_point() {
        let near = vec![
            point("staying in one region", Some(minutes(1_020)), 8.5),
            point("backup and restore", Some(minutes(360)), 20.0),
            point("pilot light", Some(minutes(98)), 62.0),
            point("warm standby", Some(minutes(95)), 120.0),
            point("active/passive hot standby", Some(minutes(95)), 211.0),
            point("active/active", Some(minutes(95)), 213.0),
        ];
        let times = Times::of(near.iter().filter_map(|point| point.rto).chain([minutes(2)]));
        let money = Money::of([900.0].into_iter());
        let marks = marks(&near, &times, &money);
        for (name, point) in marks.iter().flat_map(|name| marks.iter().map(move |point| (name, point))) {
            let wide = name.label.chars().count() as f64 * LETTER;
            let from = if name.anchor == "end" { name.label_x - wide } else { name.label_x };
            let over = from < point.x && point.x < from + wide && (name.label_y - 4.0 - point.y).abs() < 8.0;
            assert!(!over, "{} covers the point of {}", name.label, point.label);
        }
    }
}
