//! What a team has decided to live with: findings that somebody accepts, with a reason, an owner and a last day.
//!
//! An acceptance changes nothing about a recovery. It only says that a finding is known, so that a gate stops on new ones.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Date;
use crate::findings::Severity;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub accepted: Vec<Accepted>,
}

/// One finding that somebody accepts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Its id.
    pub finding: String,
    /// The key of the spec where it stands; everywhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How bad it was when it was accepted. When it has become worse, the acceptance does not hold; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    pub reason: String,
    pub owner: String,
    /// The last day on which it holds.
    pub until: Date,
}

#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BaselineError {
    /// With the line and column, in the words of the reader.
    #[error("{0}")]
    Unreadable(String),
    #[error("entry {0} (`{1}`) has no {2}")]
    Empty(usize, String, &'static str),
}

impl Baseline {
    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no YAML of this form, or when an entry has an empty reason or owner: nobody has accepted that.
    pub fn read(text: &str) -> Result<Self, BaselineError> {
        let baseline: Self = serde_saphyr::from_str(text).map_err(|error| {
            let said = error.to_string();
            BaselineError::Unreadable(said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
        })?;
        for (index, entry) in baseline.accepted.iter().enumerate() {
            let empty = [("reason", &entry.reason), ("owner", &entry.owner)]
                .into_iter()
                .find(|(_, text)| text.trim().is_empty());
            if let Some((key, _)) = empty {
                return Err(BaselineError::Empty(index + 1, entry.finding.clone(), key));
            }
        }
        Ok(baseline)
    }

    /// The file's text, with what its keys mean.
    pub fn text(&self) -> String {
        let mut out = String::from(
            "# Findings of `antipode assess` that somebody accepts until a day. A gate does not stop on them; they stay in the\n\
             # report. An entry that has lapsed, or that no finding matches, is reported.\naccepted:",
        );
        if self.accepted.is_empty() {
            out.push_str(" []");
        }
        out.push('\n');
        for entry in &self.accepted {
            out.push_str(&format!("  - finding: {}\n", entry.finding));
            let severity = entry.severity.map(|severity| severity.word().to_owned());
            for (key, value) in [("at", entry.at.clone()), ("severity", severity)] {
                out.extend(value.map(|value| format!("    {key}: {}\n", quoted(&value))));
            }
            out.push_str(&format!("    reason: {}\n    owner: {}\n", quoted(&entry.reason), quoted(&entry.owner)));
            out.push_str(&format!("    until: {}\n", entry.until));
        }
        out
    }
}

/// A text as YAML reads it back, whatever is in it. JSON's strings are YAML's double-quoted ones.
pub fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Accepted {
        Accepted {
            finding: "lag-unsaid".into(),
            at: Some("components.db.lag".into()),
            severity: Some(Severity::Warning),
            reason: "measured by the \"vendor\": see\tT-17 # soon".into(),
            owner: "yes".into(),
            until: Date::new(2027, 3, 1).unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let anywhere = Accepted { at: None, severity: None, reason: "- 1: {".into(), ..entry() };
        for baseline in [Baseline::default(), Baseline { accepted: vec![entry(), anywhere] }] {
            assert_eq!(Baseline::read(&baseline.text()), Ok(baseline));
        }
    }

    #[test]
    fn an_acceptance_has_a_reason_an_owner_and_a_day() {
        let text = Baseline { accepted: vec![entry()] }.text();
        let without = text.replace("owner: \"yes\"", "owner: \" \"");
        assert_eq!(Baseline::read(&without), Err(BaselineError::Empty(1, "lag-unsaid".into(), "owner")));
        for (from, to) in
            [("2027-03-01", "2027-02-30"), ("until:", "untl:"), ("    owner: \"yes\"\n", ""), ("accepted", "- ")]
        {
            let error = Baseline::read(&text.replace(from, to));
            assert!(matches!(error, Err(BaselineError::Unreadable(_))), "{to}: {error:?}");
        }
    }
}
