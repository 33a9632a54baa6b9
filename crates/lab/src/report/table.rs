//! The result in the terminal.

use std::fmt::Write;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::{ClientKind, DrillResult, Latency, Seconds};

/// Lost ids printed before the reader is sent to the ledger.
const IDS: usize = 20;

/// One rule, below the header.
pub(super) const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Verdict, objectives, phases, clients, writes and failed checks as plain text, no colour, a line break at the end.
pub fn table(result: &DrillResult) -> String {
    let mut text = format!(
        "{} {} in {} (workload {}, profile {}, {} replication)\n",
        result.drill,
        result.verdict.word(),
        result.took_seconds,
        result.workload,
        result.profile,
        result.replication
    );
    for reason in &result.reasons {
        let _ = writeln!(text, "  {reason}");
    }
    for part in [objectives(result), phases(result), clients(result), served(result), writes(result)] {
        let _ = write!(text, "\n{part}\n");
    }
    if !result.writes.lost_ids.is_empty() {
        let _ = writeln!(text, "\nlost writes: {}", some_ids(&result.writes.lost_ids, IDS));
    }
    for export in &result.exports {
        let _ = writeln!(text, "\nexported before it was given up: {}\n  {}", export.text(), export.place);
    }
    if let Some(margin) = result.smallest_lease_margin_seconds {
        let _ = writeln!(text, "\nsmallest lease margin: {margin}");
    }
    let failed = result.checks.iter().filter(|check| !check.passed);
    for check in failed {
        let _ = writeln!(text, "\ncheck failed: {}: {}", check.name, check.why);
    }
    let _ = writeln!(text, "\nevidence: {}", result.evidence);
    text
}

/// The first ids, and how many more there are.
pub(super) fn some_ids(ids: &[String], limit: usize) -> String {
    let shown = ids[..ids.len().min(limit)].join(", ");
    match ids.len().saturating_sub(limit) {
        0 => shown,
        more => format!("{shown}, and {more} more in the ledger"),
    }
}

pub(super) fn or_dash(seconds: Option<Seconds>) -> String {
    seconds.map_or("–".to_owned(), |s| s.to_string())
}

/// An RTO that never came is a result, not a gap in the data.
pub(super) fn or_none(rto: Option<Seconds>) -> String {
    rto.map_or("none".to_owned(), |rto| rto.to_string())
}

/// As an operator writes it: `30m`.
pub(super) fn words(seconds: Seconds) -> String {
    model::time::human(std::time::Duration::from_secs_f64(seconds.get().max(0.0)))
}

fn grid<const N: usize>(head: [&str; N], numbers_from: usize) -> Table {
    let mut table = Table::new();
    table.load_style(RULED).set_header(head);
    for column in table.column_iter_mut().skip(numbers_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn objectives(result: &DrillResult) -> Table {
    let asked = &result.objectives;
    let met = |met: bool| if met { "met" } else { "missed" };
    let mut table = grid(["objective", "asked", "measured", "met"], 1);
    table.add_row(["RTO", &words(asked.rto_asked_seconds), &or_dash(asked.rto_measured_seconds), met(asked.rto_met)]);
    table.add_row(["RPO", &words(asked.rpo_asked_seconds), &or_dash(asked.rpo_measured_seconds), met(asked.rpo_met)]);
    if let Some(percent) = asked.availability_asked_percent {
        let measured = asked.availability_measured_percent.map_or("–".to_owned(), |p| p.to_string());
        table.add_row(["availability, here of the drill", &format!("{percent}%"), &measured, ""]);
        let allowed = asked.unserved_allowed_seconds.map_or("–".to_owned(), words);
        let measured = or_dash(asked.unserved_measured_seconds);
        // A drill is short: it keeps the objective if what it cost is within what a month may have.
        table.add_row([
            "without service, of a month's",
            &allowed,
            &measured,
            met(asked.availability_met == Some(true)),
        ]);
    }
    let (bound, added) = (words(asked.added_latency_asked_seconds), or_dash(asked.added_latency_measured_seconds));
    let kept = if asked.added_latency_measured_seconds.is_some() { met(asked.added_latency_met) } else { "–" };
    table.add_row(["added latency", &bound, &added, kept]);
    table
}

/// How each client was served, from every vantage point.
fn served(result: &DrillResult) -> Table {
    let mut table = grid(
        ["client", "where", "availability", "unserved", "median before", "after", "p95 before", "after", "added"],
        2,
    );
    for client in &result.clients {
        let of = |latency: Option<Latency>, part: fn(Latency) -> Seconds| or_dash(latency.map(part));
        let (median, p95) = (|l: Latency| l.median_seconds, |l: Latency| l.p95_seconds);
        table.add_row([
            kind_words(client.kind).to_owned(),
            client.place.clone(),
            client.availability_percent.map_or("–".to_owned(), |percent| percent.to_string()),
            client.unserved_seconds.to_string(),
            of(client.latency_before, median),
            of(client.latency_after, median),
            of(client.latency_before, p95),
            of(client.latency_after, p95),
            or_dash(client.added_latency_seconds),
        ]);
    }
    table
}

fn phases(result: &DrillResult) -> Table {
    let mut table = grid(["phase", "took"], 1);
    for (name, _, took) in result.phases_seconds.list() {
        table.add_row([name.replace('_', " "), or_dash(took)]);
    }
    table
}

fn clients(result: &DrillResult) -> Table {
    let mut table = grid(["client that", "RTO"], 1);
    for kind in ClientKind::ALL {
        table.add_row([kind_words(kind).to_owned(), or_none(result.rto_seconds.of(kind))]);
    }
    table
}

/// What a client of this kind does, after "client that".
pub(super) fn kind_words(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::TtlHonouring => "honours TTLs",
        ClientKind::TtlStretching => "stretches TTLs",
        ClientKind::Pinned => "keeps its connection and address",
    }
}

fn writes(result: &DrillResult) -> Table {
    let writes = &result.writes;
    let lost = |audit: &Option<super::Audit>| audit.as_ref().map_or("–".to_owned(), |a| a.lost.to_string());
    let mut table = grid(["writes", "count"], 1);
    table.add_row(["acknowledged", &writes.acknowledged.to_string()]);
    table.add_row(["refused", &writes.refused.to_string()]);
    table.add_row(["unknown", &writes.unknown.to_string()]);
    table.add_row(["lost after failover", &lost(&writes.after_failover)]);
    table.add_row(["lost after failback", &lost(&writes.after_failback)]);
    table
}
