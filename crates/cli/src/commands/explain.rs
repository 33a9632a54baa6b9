use clap::Args;
use engine::assess::explain;
use model::findings::{self, Row};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::output::Output;
use crate::prose::{Ink, Prose};

/// Say when a finding is made, why it matters, what to do, and who says so
///
/// Without an ID it lists all findings. The same pages are in docs/findings.
#[derive(Debug, Args)]
pub struct Explain {
    /// Of a finding, as `antipode assess` prints it in brackets
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
        let Some((row, page)) = findings::row(id).zip(explain(id)) else {
            let hint = match findings::nearest(id) {
                Some(near) => format!("did you mean `{near}`? `antipode explain` lists all"),
                None => "`antipode explain` lists all".to_owned(),
            };
            return Err(Failure::new(Code::UnknownFinding, format!("there is no finding `{id}`")).hint(hint));
        };
        output.result(&value(row, Some(&page)), || set(&page, Prose::here()));
        Ok(Exit::Ok)
    }
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
