use clap::Args;
use engine::assess::explain;
use model::catalogue::{Kind, catalogue, kind_section};
use model::findings::{self, Row};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::kind_text;
use crate::output::Output;
use crate::prose::{Ink, Prose};

/// Say when a finding is made, why it matters, what to do, and who says so; or what is known of a kind
///
/// Without an ID it lists all findings, with `kinds` all kinds of components. The same pages are in docs/findings and
/// docs/spec.
#[derive(Debug, Args)]
pub struct Explain {
    /// Of a finding, as `antipode assess` prints it in brackets; or a kind, such as `aws.rds`
    #[arg(value_name = "ID")]
    id: Option<String>,
}

impl Explain {
    pub fn run(self, output: &Output) -> Result<Exit, Failure> {
        let Some(id) = &self.id else {
            let rows: Vec<Value> = findings::rows().iter().map(|row| value(row, None)).collect();
            output.result(&rows, list);
            return Ok(Exit::Ok);
        };
        if id == "kinds" {
            let kinds: Vec<Value> = catalogue().kinds().map(|kind| known(kind, false)).collect();
            output.result(&kinds, kind_text::list);
            return Ok(Exit::Ok);
        }
        if let Some(kind) = catalogue().kind(id) {
            output.result(&known(kind, true), || kind_text::page(kind, Prose::here()));
            return Ok(Exit::Ok);
        }
        let Some((row, page)) = findings::row(id).zip(explain(id)) else {
            let hint = match findings::nearest(id) {
                Some(near) => format!("did you mean `{near}`? `antipode explain` lists all"),
                None => "`antipode explain` lists all findings, `antipode explain kinds` all kinds".to_owned(),
            };
            return Err(Failure::new(Code::UnknownFinding, format!("there is no finding or kind `{id}`")).hint(hint));
        };
        output.result(&value(row, Some(&page)), || set(&page, Prose::here()));
        Ok(Exit::Ok)
    }
}

fn known(kind: &Kind, page: bool) -> Value {
    let mut value =
        json!({ "kind": kind.name, "title": kind.title, "about": kind.about, "plane": kind.plane, "runs": kind.runs });
    if page {
        value["page"] = kind_section(kind).into();
    }
    value
}

fn value(row: &Row, page: Option<&str>) -> Value {
    let mut value = json!({
        "id": row.id,
        "title": row.title,
        "severity": row.severity,
        "planes": row.planes,
        "blocks": row.blocks,
        "consequence": row.consequence,
        "remedy": row.remedy,
        "source": row.source,
        "answers": row.answers,
    });
    if let Some(page) = page {
        value["page"] = page.into();
    }
    value
}

/// A line each, however narrow the terminal is: an id that is broken in two cannot be copied.
fn list() -> String {
    let wide = findings::rows().iter().map(|row| row.id.len()).max().unwrap_or_default();
    let line = |row: &Row| format!("{:wide$}  {:7}  {}\n", row.id, row.severity, row.title);
    findings::rows().iter().map(line).collect()
}

/// The page for a terminal: headings without their marks, paragraphs as wide as it is.
fn set(page: &str, prose: Prose) -> String {
    let mut out = String::new();
    for line in page.lines() {
        match (line.trim_start_matches('#'), line.strip_prefix("- "), line.strip_prefix("> ")) {
            (heading, ..) if heading.len() < line.len() => {
                out += &format!("{}\n", prose.ink(Ink::Bold, heading.trim_start()))
            }
            (_, Some(item), _) => out += &prose.hanging(4, "  -", item.trim_start_matches('<').trim_end_matches('>')),
            (.., Some(quote)) => out += &prose.hanging(2, "", quote),
            ("", ..) => out.push('\n'),
            (text, ..) => out += &prose.paragraph(text),
        }
    }
    format!("{}\n", out.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_set_without_marks_and_in_its_width() {
        for row in findings::rows() {
            let text = set(&explain(&row.id).unwrap(), Prose::plain(80));
            assert!(text.starts_with(&row.title), "{text}");
            for line in text.lines() {
                assert!(!line.starts_with('#') && !line.starts_with('>'), "{line}");
                // An address stands alone, however long it is.
                assert!(
                    line.chars().count() <= 80 || !line.trim().contains(' ') || line.contains("https://"),
                    "{line}"
                );
            }
        }
    }
}
