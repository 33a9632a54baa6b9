//! SARIF 2.1.0, as GitHub's code scanning reads it: one rule for each kind of finding that was found, one result for each
//! finding, at its line of the spec.
//!
//! What a baseline accepts is a suppressed result: it stays in the file, and is not counted.

use std::path::{Component, Path};

use engine::assess::explain;
use model::findings::{self, Risk, Severity};
use serde_json::{Value, json};

use super::{Assessment, Told};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub fn document(assessment: &Assessment) -> Value {
    let mut ids: Vec<&'static str> = assessment.findings.iter().map(|told| told.finding.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let uri = uri(Path::new(&assessment.file));
    let results: Vec<Value> = assessment.findings.iter().map(|told| result(told, &ids, &uri)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "antipode",
                "semanticVersion": assessment.antipode,
                "rules": ids.iter().filter_map(|id| rule(id)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }]
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn rule(id: &str) -> Option<Value> {
    let row = findings::row(id)?;
    let planes = row.planes.iter().map(|plane| json!(plane));
    let risks = row.risks.iter().map(|risk| {
        json!(match risk {
            Risk::Rto => "rto",
            Risk::Rpo => "rpo",
        })
    });
    let tags: Vec<Value> = [json!("reliability")].into_iter().chain(planes).chain(risks).collect();
    // The words of GitHub's own rules: a note is a recommendation.
    let weight = if row.severity == Severity::Note { "recommendation" } else { level(row.severity) };
    let page = explain(id).unwrap_or_default();
    Some(json!({
        "id": id,
        "name": id,
        "shortDescription": { "text": row.title },
        "fullDescription": { "text": row.consequence },
        "help": { "text": page, "markdown": page },
        "defaultConfiguration": { "level": level(row.severity) },
        "properties": { "tags": tags, "problem.severity": weight, "precision": "high" },
    }))
}

fn result(told: &Told, ids: &[&str], uri: &str) -> Value {
    let finding = &told.finding;
    let mut result = json!({
        "ruleId": finding.id,
        "ruleIndex": ids.iter().position(|id| *id == finding.id),
        "level": level(finding.severity),
        "message": { "text": format!("{}. {} {}", capital(&finding.says), finding.consequence, finding.remedy) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri, "uriBaseId": "%SRCROOT%" },
                "region": { "startLine": finding.line.max(1) },
            },
            "logicalLocations": [{ "fullyQualifiedName": finding.path }],
        }],
        // The line moves when the file is edited; the key does not.
        "partialFingerprints": { "findingAtKey/v1": format!("{}@{}", finding.id, finding.path) },
    });
    if let Some(by) = &told.accepted {
        let justification = format!("{} ({}, until {})", by.reason, by.owner, by.until);
        result["suppressions"] = json!([{ "kind": "external", "status": "accepted", "justification": justification }]);
    }
    result
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// Relative to the folder where the command runs, which is the repository's in a pipeline; else as a file's address.
fn uri(file: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let below = if file.is_absolute() { file.strip_prefix(&here).ok() } else { Some(file) };
    let shown = below.unwrap_or(file);
    let parts = shown.components().filter(|part| *part != Component::CurDir && *part != Component::RootDir);
    let parts: Vec<String> = parts.map(|part| encoded(&part.as_os_str().to_string_lossy())).collect();
    format!("{}{}", if below.is_none() { "file:///" } else { "" }, parts.join("/"))
}

fn encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let each = part.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_as_code_scanning_finds_it() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(uri(Path::new("./specs/two words.yaml")), "specs/two%20words.yaml");
        assert_eq!(uri(&here.join("antipode.yaml")), "antipode.yaml");
        assert_eq!(uri(Path::new("/elsewhere/a.yaml")), "file:///elsewhere/a.yaml");
        assert_eq!(uri(Path::new("../a.yaml")), "../a.yaml");
    }
}
