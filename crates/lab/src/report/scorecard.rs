//! Many drills on one page: for each the objective, what was broken, what was measured and the verdict.

use std::fmt::Write;

use askama::Template;
use comfy_table::{CellAlignment, Table};
use serde::{Deserialize, Serialize};

use super::table::{RULED, kind_words, or_dash, or_none, words};
use super::{Client, DrillResult, Objectives, Percent, Rto, Seconds, Verdict};

/// The result of several drills, one after another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scorecard {
    pub workload: String,
    pub profile: String,
    pub replication: String,
    /// Version of Antipode.
    pub antipode: String,
    /// Wall clock at the start, RFC 3339.
    pub began: String,
    pub took_seconds: Seconds,
    /// Failed when any drill failed; skipped when none did, but not every one was carried out.
    pub verdict: Verdict,
    /// Somebody stopped it: the drills that had not ended by then count as skipped.
    pub interrupted: bool,
    pub drills: Vec<Scored>,
}

/// One drill of a scorecard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scored {
    pub drill: String,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// What the drill breaks.
    pub what: String,
    /// What its fault hit this time; `None` when it did not get that far.
    pub hit: Option<String>,
    pub measured: Option<Measured>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub took_seconds: Seconds,
    pub objectives: Objectives,
    pub rto_seconds: Rto,
    /// Acknowledged writes that are gone; `None` when they were not counted.
    pub lost: Option<u64>,
    /// Every vantage point.
    pub clients: Vec<Client>,
    /// The drill's own page, relative to the scorecard.
    pub report: String,
}

impl Scored {
    /// `folder` holds the drill's own report, relative to the scorecard.
    pub fn of(result: &DrillResult, what: &str, folder: &str) -> Self {
        let hit = result.checks.iter().find(|check| check.name == "the fault hit something");
        Self {
            drill: result.drill.clone(),
            verdict: result.verdict,
            reasons: result.reasons.clone(),
            what: what.into(),
            hit: hit.map(|check| check.why.clone()),
            measured: Some(Measured {
                took_seconds: result.took_seconds,
                objectives: result.objectives.clone(),
                rto_seconds: result.rto_seconds,
                lost: result.writes.lost,
                clients: result.clients.clone(),
                report: format!("{folder}/report.html"),
            }),
        }
    }

    /// A drill that was not, or could not be, carried out.
    pub fn without(drill: &str, what: &str, verdict: Verdict, why: String) -> Self {
        Self { drill: drill.into(), verdict, reasons: vec![why], what: what.into(), hit: None, measured: None }
    }
}

/// Nothing ran is not a pass.
pub fn verdict_of(drills: &[Scored]) -> Verdict {
    let any = |verdict| drills.iter().any(|drill| drill.verdict == verdict);
    match () {
        () if any(Verdict::Failed) => Verdict::Failed,
        () if drills.is_empty() || any(Verdict::Skipped) => Verdict::Skipped,
        () => Verdict::Passed,
    }
}

impl Scorecard {
    pub fn count(&self, verdict: Verdict) -> usize {
        self.drills.iter().filter(|drill| drill.verdict == verdict).count()
    }

    /// `13 passed, 0 failed, 1 skipped`
    pub fn tally(&self) -> String {
        let count = |verdict: Verdict| format!("{} {}", self.count(verdict), verdict.word());
        [Verdict::Passed, Verdict::Failed, Verdict::Skipped].map(count).join(", ")
    }

    fn began_words(&self) -> String {
        let stopped = if self.interrupted { ", interrupted" } else { "" };
        format!("{} in {}{stopped}", self.tally(), words(self.took_seconds))
    }
}

/// One line for each drill, then why those that did not pass did not.
pub fn scorecard_table(card: &Scorecard) -> String {
    let mut text = format!(
        "{}: {} (workload {}, profile {}, {} replication)\n\n",
        card.verdict.word(),
        card.began_words(),
        card.workload,
        card.profile,
        card.replication
    );
    let head = ["drill", "verdict", "RTO", "RPO", "lost", "availability", "unserved", "added latency", "took"];
    let mut table = Table::new();
    table.load_style(RULED).set_header(head);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let asked = card.drills.iter().find_map(|drill| drill.measured.as_ref()).map(|measured| &measured.objectives);
    if let Some(asked) = asked {
        let percent = asked.availability_asked_percent.map_or("–".to_owned(), |percent| format!("{percent}%"));
        let unserved = asked.unserved_allowed_seconds.map_or("–".to_owned(), words);
        let latency = format!("< {}", words(asked.added_latency_asked_seconds));
        let (rto, rpo) = (words(asked.rto_asked_seconds), words(asked.rpo_asked_seconds));
        table.add_row(["asked", "", &rto, &rpo, "", &percent, &unserved, &latency, ""]);
    }
    for drill in &card.drills {
        table.add_row(row(drill));
    }
    let _ = writeln!(text, "{table}");
    for drill in card.drills.iter().filter(|drill| drill.verdict != Verdict::Passed) {
        for reason in &drill.reasons {
            let _ = writeln!(text, "\n{} {}: {reason}", drill.drill, drill.verdict.word());
        }
    }
    text
}

fn row(drill: &Scored) -> [String; 9] {
    let dash = || "–".to_owned();
    let name = [drill.drill.clone(), drill.verdict.word().to_owned()];
    let cells = match &drill.measured {
        None => std::array::from_fn(|_| dash()),
        Some(measured) => {
            let met = &measured.objectives;
            [
                or_none(measured.rto_seconds.ttl_honouring),
                or_dash(met.rpo_measured_seconds),
                measured.lost.map_or_else(dash, |lost| lost.to_string()),
                met.availability_measured_percent.map_or_else(dash, |percent| percent.to_string()),
                or_dash(met.unserved_measured_seconds),
                or_dash(met.added_latency_measured_seconds),
                measured.took_seconds.to_string(),
            ]
        }
    };
    let [name, verdict] = name;
    let [rto, rpo, lost, availability, unserved, added, took] = cells;
    [name, verdict, rto, rpo, lost, availability, unserved, added, took]
}

/// The page, self-contained but for the links to each drill's own. Fails only if formatting does, which is a defect.
pub fn scorecard_html(card: &Scorecard) -> Result<String, std::fmt::Error> {
    Page { card }.render().map_err(|_| std::fmt::Error)
}

#[derive(Template)]
#[template(path = "scorecard.html")]
struct Page<'a> {
    card: &'a Scorecard,
}

impl Page<'_> {
    fn began_words(&self) -> String {
        self.card.began_words()
    }
    fn class(&self, verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Passed => "good",
            Verdict::Failed => "bad",
            Verdict::Skipped => "skip",
        }
    }
    /// What was asked of every drill: they share one spec.
    fn asked(&self) -> Option<&Objectives> {
        self.card.drills.iter().find_map(|drill| drill.measured.as_ref()).map(|measured| &measured.objectives)
    }
    fn words(&self, seconds: &Seconds) -> String {
        words(*seconds)
    }
    fn words_or_dash(&self, seconds: &Option<Seconds>) -> String {
        seconds.map_or("–".to_owned(), words)
    }
    fn dash(&self, seconds: &Option<Seconds>) -> String {
        or_dash(*seconds)
    }
    fn none(&self, seconds: &Option<Seconds>) -> String {
        or_none(*seconds)
    }
    fn percent(&self, percent: &Option<Percent>) -> String {
        percent.map_or("–".to_owned(), |percent| percent.to_string())
    }
    fn met(&self, met: &bool) -> &'static str {
        if *met { "" } else { "bad" }
    }
    fn kind(&self, client: &Client) -> &'static str {
        kind_words(client.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{failed, passed};
    use super::*;

    fn card() -> Scorecard {
        let drills = vec![
            Scored::of(&passed(), "the writing region is killed", "region-loss"),
            Scored { drill: "zone-loss".into(), ..Scored::of(&failed(), "a zone is killed", "zone-loss") },
            Scored::without("full-disk", "the disk fills up", Verdict::Skipped, "needs root, for a tmpfs".into()),
        ];
        Scorecard {
            workload: "case-api".into(),
            profile: "standard".into(),
            replication: "asynchronous".into(),
            antipode: "0.1.0".into(),
            began: "2026-07-01T09:00:00Z".into(),
            took_seconds: Seconds::new(125.0),
            verdict: verdict_of(&drills),
            interrupted: false,
            drills,
        }
    }

    #[test]
    fn the_card_as_people_read_it() {
        insta::assert_snapshot!(scorecard_table(&card()));
    }

    #[test]
    fn one_failure_fails_the_card_and_what_was_not_done_is_no_pass() {
        let scored = |verdict| Scored::without("x", "", verdict, String::new());
        let of = |verdicts: &[Verdict]| verdict_of(&verdicts.iter().map(|v| scored(*v)).collect::<Vec<_>>());
        use Verdict::{Failed, Passed, Skipped};
        assert_eq!(of(&[Passed, Failed, Skipped]), Failed);
        assert_eq!(of(&[Passed, Skipped]), Skipped);
        assert_eq!(of(&[Passed, Passed]), Passed);
        assert_eq!(of(&[]), Skipped);
    }

    #[test]
    fn the_page_says_what_the_json_says_and_links_to_each_report() {
        let card = card();
        let page = scorecard_html(&card).unwrap();
        for drill in &card.drills {
            assert!(page.contains(&drill.drill) && page.contains(&drill.what), "{}", drill.drill);
            if let Some(measured) = &drill.measured {
                assert!(page.contains(&format!("href=\"{}\"", measured.report)));
            }
        }
        for text in ["5.613 s", "12.207 s", "90.318 %", "needs root, for a tmpfs", "1 passed, 1 failed, 1 skipped"] {
            assert!(page.contains(text), "{text}");
        }
        for outside in ["http:", "https:", "src=", "url(", "@import", "<script", "<link", "NaN"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let json = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<Scorecard>(&json).unwrap(), card);
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let mut card = card();
        card.workload = "<script>".into();
        card.drills[0].reasons = vec!["<script>".into()];
        card.drills[1].drill = "<script>".into();
        assert!(!scorecard_html(&card).unwrap().contains("<script"));
    }

    /// `cargo test -p antipode-lab write_sample_scorecard -- --ignored` leaves a page to look at.
    #[test]
    #[ignore = "writes a page for the eye"]
    fn write_sample_scorecard() {
        let path = std::env::current_exe().unwrap().with_file_name("scorecard.html");
        std::fs::write(&path, scorecard_html(&card()).unwrap()).unwrap();
        println!("{}", path.display());
    }
}
