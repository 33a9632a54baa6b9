//! What `bin/bench links` collects: a line of Markdown for each case.

use std::time::Duration;

/// `seen`: the smallest lease margin so far, and the longest time without an acknowledgement.
pub fn row(how: &str, case: &str, lost: &str, seen: Option<(Duration, Duration)>, outcome: &str) {
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let (margin, gap) = seen.map_or(("".into(), "".into()), |(margin, gap)| (seconds(margin), seconds(gap)));
    println!("| {how} | {case} | {lost} | {margin} | {gap} | {outcome} |");
}
