//! What an operator is told when a command cannot do what was asked.

use model::spec::Problem;
use serde_json::{Value, json};

use crate::exit::Exit;

/// Every error of the command line. Each has a page, `docs/errors/<code>.md`, and one exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    Usage,
    SpecNotFound,
    SpecUnreadable,
    SpecInvalid,
    EvidenceUnreadable,
    EvidenceBroken,
    CannotStart,
    PortInUse,
    NoPostgres,
    UnknownDrill,
    Interrupted,
}

impl Code {
    #[cfg(test)]
    pub const ALL: [Code; 11] = [
        Code::Usage,
        Code::SpecNotFound,
        Code::SpecUnreadable,
        Code::SpecInvalid,
        Code::EvidenceUnreadable,
        Code::EvidenceBroken,
        Code::CannotStart,
        Code::PortInUse,
        Code::NoPostgres,
        Code::UnknownDrill,
        Code::Interrupted,
    ];

    pub fn name(self) -> &'static str {
        self.row().0
    }
    fn row(self) -> (&'static str, Exit) {
        match self {
            Code::Usage => ("usage", Exit::Usage),
            Code::SpecNotFound => ("spec-not-found", Exit::InvalidSpec),
            Code::SpecUnreadable => ("spec-unreadable", Exit::InvalidSpec),
            Code::SpecInvalid => ("spec-invalid", Exit::InvalidSpec),
            Code::EvidenceUnreadable => ("evidence-unreadable", Exit::EvidenceBroken),
            Code::EvidenceBroken => ("evidence-broken", Exit::EvidenceBroken),
            Code::CannotStart => ("cannot-start", Exit::Environment),
            Code::PortInUse => ("port-in-use", Exit::Environment),
            Code::NoPostgres => ("no-postgres", Exit::Environment),
            Code::UnknownDrill => ("unknown-drill", Exit::Usage),
            Code::Interrupted => ("interrupted", Exit::Interrupted),
        }
    }
}

/// Printed as `error: …` and `hint: …`, or as one JSON object.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    /// Lower case, no period.
    message: String,
    /// What to do next.
    hint: Option<String>,
    /// What is wrong with the spec, when that is why.
    problems: Vec<Problem>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, problems: Vec::new() }
    }
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
    pub fn problems(self, problems: Vec<Problem>) -> Self {
        Self { problems, ..self }
    }
    pub fn exit(&self) -> Exit {
        self.code.row().1
    }
    pub fn text(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
        let code = self.code.name();
        format!("error: {}\n{hint}more: docs/errors/{code}.md\n", self.message)
    }
    pub fn json(&self) -> Value {
        let mut error = json!({ "code": self.code.name(), "message": self.message, "hint": self.hint });
        if !self.problems.is_empty() {
            error["problems"] = json!(self.problems);
        }
        json!({ "error": error })
    }
}

/// An error and everything behind it, on one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string);
    chain.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
        let index = std::fs::read_to_string(format!("{docs}/README.md")).unwrap();
        for code in Code::ALL {
            let name = code.name();
            let page = std::fs::read_to_string(format!("{docs}/{name}.md")).unwrap_or_default();
            assert!(page.starts_with(&format!("# {name}\n")), "{name} has no page");
            let status = format!("Exit status {}.", code.row().1 as u8);
            assert!(page.contains(&status), "{name}: the page does not say {status:?}");
            assert!(index.contains(&format!("]({name}.md)")), "{name} is not in the index");
        }
    }

    #[test]
    fn every_exit_status_is_documented() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exit-codes.md");
        let page = std::fs::read_to_string(page).unwrap();
        for (exit, meaning) in Exit::ALL {
            assert!(page.contains(&format!("| {} | {meaning} |", exit as u8)), "{exit:?}");
        }
    }
}
