//! The result as one self-contained page: inline style, inline SVG, nothing fetched. askama escapes every value.

use askama::Template;

use super::chart::{Chart, charts, region};
use super::table::{kind_words, or_dash, or_none, some_ids, words};
use super::{Audit, Client, ClientKind, DrillResult, Percent, Seconds, Verdict};

/// Lost ids listed in the page before the reader is sent to the ledger.
const IDS: usize = 200;

/// The page. Fails only if formatting does, which is a defect.
pub fn html(result: &DrillResult) -> Result<String, std::fmt::Error> {
    let page = Page { r: result, charts: charts(result) };
    page.render().map_err(|_| std::fmt::Error)
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    r: &'a DrillResult,
    charts: Vec<Chart>,
}

struct Row {
    key: &'static str,
    name: String,
    about: &'static str,
    took: String,
    /// Share of the longest phase, percent.
    share: f64,
}

impl Page<'_> {
    fn passed(&self) -> bool {
        self.r.verdict == Verdict::Passed
    }
    /// The one sentence that an on-call engineer forwards.
    fn headline(&self) -> String {
        let o = &self.r.objectives;
        let back = match self.r.rto_seconds.ttl_honouring {
            Some(rto) => format!("Writes were acknowledged again {rto} after the fault"),
            None => "No write was acknowledged after the fault".to_owned(),
        };
        let w = &self.r.writes;
        let lost = match w.lost {
            None => "whether acknowledged writes were lost could not be audited".to_owned(),
            Some(0) => format!("none of {} acknowledged writes was lost", w.acknowledged),
            Some(lost) => format!("{lost} of {} acknowledged writes were lost", w.acknowledged),
        };
        let asked = format!("asked: RTO {}, RPO {}", words(o.rto_asked_seconds), words(o.rpo_asked_seconds));
        format!("{back}; {lost} ({asked}).")
    }
    fn phases(&self) -> Vec<Row> {
        let list = self.r.phases_seconds.list();
        let longest = list.iter().filter_map(|(_, _, took)| *took).map(Seconds::get).fold(0.001, f64::max);
        let row = |(key, about, took): (&'static str, &'static str, Option<Seconds>)| Row {
            key,
            name: key.replace('_', " "),
            about,
            took: or_dash(took),
            share: took.map_or(0.0, |took| took.get() / longest * 100.0),
        };
        list.into_iter().map(row).collect()
    }
    fn kinds(&self) -> [(&'static str, &'static str, String); 3] {
        ClientKind::ALL.map(|kind| (kind.name(), kind_words(kind), or_none(self.r.rto_seconds.of(kind))))
    }
    fn kind(&self, client: &Client) -> &'static str {
        kind_words(client.kind)
    }
    fn none(&self, rto: &Option<Seconds>) -> String {
        or_none(*rto)
    }
    fn percent(&self, percent: &Option<Percent>) -> String {
        percent.map_or("–".to_owned(), |percent| percent.to_string())
    }
    fn allowed(&self) -> String {
        self.r.objectives.unserved_allowed_seconds.map_or("–".to_owned(), words)
    }
    fn available(&self) -> bool {
        self.r.objectives.availability_met == Some(true)
    }
    /// Medians and 95th percentiles, each before and after.
    fn latencies(&self, client: &Client) -> [String; 4] {
        let (before, after) = (client.latency_before, client.latency_after);
        [
            or_dash(before.map(|latency| latency.median_seconds)),
            or_dash(after.map(|latency| latency.median_seconds)),
            or_dash(before.map(|latency| latency.p95_seconds)),
            or_dash(after.map(|latency| latency.p95_seconds)),
        ]
    }
    fn audits(&self) -> [(&'static str, &'static str, Option<&Audit>); 2] {
        let writes = &self.r.writes;
        [
            ("after failover", "after_failover", writes.after_failover.as_ref()),
            ("after failback", "after_failback", writes.after_failback.as_ref()),
        ]
    }
    fn legend(&self) -> Vec<(String, String)> {
        self.r.timeline.writes.iter().enumerate().map(|(n, w)| (region(n), w.site.to_string())).collect()
    }
    fn lost(&self) -> String {
        self.r.writes.lost.map_or("not audited".to_owned(), |lost| lost.to_string())
    }
    fn lost_ids(&self) -> String {
        some_ids(&self.r.writes.lost_ids, IDS)
    }
    fn dash(&self, seconds: &Option<Seconds>) -> String {
        or_dash(*seconds)
    }
    fn asked(&self, seconds: &Seconds) -> String {
        words(*seconds)
    }
}
