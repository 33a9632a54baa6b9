//! A finding's page, from its row in the table: what `antipode explain` prints and `docs/findings` holds.

use std::fmt::Write;

use model::findings::{self, Be, Of, Row, Severity, Wants, When};
use model::topology::Plane;

use super::checklist::{days, path};
use super::finding::listed;

/// The page of a finding, in Markdown; `None` when there is none of that id ([`findings::nearest`] guesses).
pub fn explain(id: &str) -> Option<String> {
    findings::row(id).map(page)
}

fn page(row: &Row) -> String {
    let mut out = format!("# {}\n\n", row.title);
    let blocks = if row.blocks { " A failover does not succeed while it stands." } else { "" };
    writeln!(out, "`{}`, {} of the {}.{blocks}\n", row.id, article(row.severity), planes(&row.planes)).ok();
    writeln!(out, "> {}\n", row.says).ok();
    if !row.wants.is_empty() {
        writeln!(out, "## When\n").ok();
        for wants in &row.wants {
            writeln!(out, "- {}", when(wants)).ok();
        }
        out.push('\n');
        if row.wants.iter().any(|wants| !matches!(wants.be, Be::Never(_))) {
            writeln!(out, "Nobody says how it is: {}.\n", article(row.when_unsaid())).ok();
        }
    }
    writeln!(out, "## Why it matters\n\n{}\n", row.consequence).ok();
    let remedy =
        if row.remedy == "{instead}" { "It depends on the step, and the finding says it." } else { &row.remedy };
    writeln!(out, "## What to do\n\n{remedy}\n").ok();
    if !row.answers.is_empty() {
        writeln!(out, "## Questions that it leaves open\n").ok();
        for question in row.answers.iter().filter_map(|id| findings::question(id)) {
            writeln!(out, "- {} ({})", question.text, question.source).ok();
        }
        out.push('\n');
    }
    writeln!(out, "## Sources\n").ok();
    for source in &row.source {
        let page = source.starts_with("https://");
        writeln!(out, "- {}", if page { format!("<{source}>") } else { source.clone() }).ok();
    }
    out
}

fn article(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "an error",
        Severity::Warning => "a warning",
        Severity::Note => "a note",
    }
}

fn planes(planes: &[Plane]) -> String {
    let words: Vec<&str> = planes.iter().map(|plane| plane_word(*plane)).collect();
    format!("{} plane{}", listed(&words), if words.len() == 1 { "" } else { "s" })
}

pub fn plane_word(plane: Plane) -> &'static str {
    match plane {
        Plane::Traffic => "traffic",
        Plane::Compute => "compute",
        Plane::Data => "data",
        Plane::Control => "control",
    }
}

/// What is wanted of a key, as a sentence.
fn when(wants: &Wants) -> String {
    let key = match &wants.of {
        Of::Facet(facet) => format!("`{}` of each component with the keys of `{facet}`", wants.key),
        of => format!("`{}`", path(of, &wants.key)),
    };
    let quoted = |words: &[String]| listed(&words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>());
    let bad = match &wants.be {
        Be::Answered => "is not answered".into(),
        Be::Yes => "is not `true`".into(),
        Be::No => "is not `false`".into(),
        Be::EveryRegion => "lacks a region".into(),
        Be::In(words) => format!("is none of {}", quoted(words)),
        Be::Not(words) | Be::Never(words) if words.len() > 1 => format!("is one of {}", quoted(words)),
        Be::Not(words) | Be::Never(words) => format!("is {}", quoted(words)),
        Be::Has(words) => format!("lacks one of {}", quoted(words)),
        Be::NotOnly(_) => "names the preferred region alone".into(),
        Be::Within(time) => format!("is more than {} ago", days(time.as_secs() / 86_400)),
    };
    let conditions: Vec<&str> = wants.when.iter().map(|condition| condition_word(*condition)).collect();
    match conditions.is_empty() {
        true => format!("{key} {bad}."),
        false => format!("{key} {bad}, where {}.", listed(&conditions)),
    }
}

fn condition_word(condition: When) -> &'static str {
    match condition {
        When::SeveralRegions => "there are several regions",
        When::Classified => "a class of data is named",
        When::Record => "it is a system of record",
        When::Projection => "it is a projection",
        When::Replicated => "it is replicated",
        When::Unreplicated => "it is not replicated",
        When::Asynchronous => "replication is asynchronous",
        When::SingleWriter => "one region writes",
        When::SeveralWriters => "several regions write",
        When::BackedUp => "it has a backup",
        When::Checked => "it has a health check",
        When::ZoneAware => "its kind can stand by in another zone",
        When::Objects => "it keeps objects",
        When::Dns => "it answers names",
        When::Replicable => "its kind can be copied to other regions",
        When::Alarmed => "it has an alarm",
        When::RunsCode => "it runs code",
        When::KeepsRecords => "it keeps a record of what happened",
        When::HasRules => "it has rules",
    }
}

/// The list of all findings, for `docs/findings/README.md`.
pub fn index() -> String {
    let mut out = String::from(
        "# Findings\n\nWhat `antipode assess` can find in a spec, in the order in which a failover meets it. \
         `antipode explain ID` prints the same pages. They are made from `crates/model/data/findings`; edit those.\n\n\
         | finding | severity | planes | |\n|---|---|---|---|\n",
    );
    for row in findings::rows() {
        let words: Vec<&str> = row.planes.iter().map(|plane| plane_word(*plane)).collect();
        writeln!(out, "| [{0}]({0}.md) | {1} | {2} | {3} |", row.id, row.severity, words.join(", "), row.title).ok();
    }
    out
}
