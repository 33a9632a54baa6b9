//! What an operator is told when a command cannot do what was asked.

use std::borrow::Cow;

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
    SpecNotRunnable,
    EvidenceUnreadable,
    EvidenceBroken,
    CannotStart,
    PortInUse,
    NoPostgres,
    UnknownDrill,
    DrillNotPossible,
    HistoryUnreadable,
    Interrupted,
    NotRunning,
    ControllerNoAnswer,
    NoPerson,
    NotAnApprover,
    RunFailed,
    Identity,
    JournalLocked,
    JournalCorrupted,
    JournalNewer,
    DiskFull,
    GlassNoAgent,
    GlassFailed,
    UnknownFinding,
    BaselineUnreadable,
    FileExists,
    CannotWrite,
    RatesUnreadable,
    RenderImpossible,
    RenderEdited,
    PlanUnreadable,
}

impl Code {
    #[cfg(test)]
    pub const ALL: [Code; 34] = [
        Code::Usage,
        Code::SpecNotFound,
        Code::SpecUnreadable,
        Code::SpecInvalid,
        Code::SpecNotRunnable,
        Code::EvidenceUnreadable,
        Code::EvidenceBroken,
        Code::CannotStart,
        Code::PortInUse,
        Code::NoPostgres,
        Code::UnknownDrill,
        Code::DrillNotPossible,
        Code::HistoryUnreadable,
        Code::Interrupted,
        Code::NotRunning,
        Code::ControllerNoAnswer,
        Code::NoPerson,
        Code::NotAnApprover,
        Code::RunFailed,
        Code::Identity,
        Code::JournalLocked,
        Code::JournalCorrupted,
        Code::JournalNewer,
        Code::DiskFull,
        Code::GlassNoAgent,
        Code::GlassFailed,
        Code::UnknownFinding,
        Code::BaselineUnreadable,
        Code::FileExists,
        Code::CannotWrite,
        Code::RatesUnreadable,
        Code::RenderImpossible,
        Code::RenderEdited,
        Code::PlanUnreadable,
    ];

    #[cfg(test)]
    pub fn name(self) -> &'static str {
        self.row().0
    }
    fn row(self) -> (&'static str, Exit) {
        match self {
            Code::Usage => ("usage", Exit::Usage),
            Code::SpecNotFound => ("spec-not-found", Exit::InvalidSpec),
            Code::SpecUnreadable => ("spec-unreadable", Exit::InvalidSpec),
            Code::SpecInvalid => ("spec-invalid", Exit::InvalidSpec),
            Code::SpecNotRunnable => ("spec-not-runnable", Exit::InvalidSpec),
            Code::EvidenceUnreadable => ("evidence-unreadable", Exit::EvidenceBroken),
            Code::EvidenceBroken => ("evidence-broken", Exit::EvidenceBroken),
            Code::CannotStart => ("cannot-start", Exit::Environment),
            Code::PortInUse => ("port-in-use", Exit::Environment),
            Code::NoPostgres => ("no-postgres", Exit::Environment),
            Code::UnknownDrill => ("unknown-drill", Exit::Usage),
            Code::DrillNotPossible => ("drill-not-possible", Exit::Environment),
            Code::HistoryUnreadable => ("history-unreadable", Exit::Environment),
            Code::Interrupted => ("interrupted", Exit::Interrupted),
            Code::NotRunning => ("not-running", Exit::NotReachable),
            Code::ControllerNoAnswer => ("controller-no-answer", Exit::NotReachable),
            Code::NoPerson => ("no-person", Exit::Usage),
            Code::NotAnApprover => ("not-an-approver", Exit::Refused),
            Code::RunFailed => ("run-failed", Exit::Failed),
            Code::Identity => ("identity", Exit::Environment),
            Code::JournalLocked => ("journal-locked", Exit::Environment),
            Code::JournalCorrupted => ("journal-corrupted", Exit::Environment),
            Code::JournalNewer => ("journal-newer", Exit::Environment),
            Code::DiskFull => ("disk-full", Exit::Environment),
            Code::GlassNoAgent => ("glass-no-agent", Exit::NotReachable),
            Code::GlassFailed => ("glass-failed", Exit::Failed),
            Code::UnknownFinding => ("unknown-finding", Exit::Usage),
            Code::BaselineUnreadable => ("baseline-unreadable", Exit::Usage),
            Code::FileExists => ("file-exists", Exit::Refused),
            Code::CannotWrite => ("cannot-write", Exit::Environment),
            Code::RatesUnreadable => ("rates-unreadable", Exit::Usage),
            Code::RenderImpossible => ("render-impossible", Exit::InvalidSpec),
            Code::RenderEdited => ("render-edited", Exit::Refused),
            Code::PlanUnreadable => ("plan-unreadable", Exit::Usage),
        }
    }
}

/// The exit status of a refusal by its code.
fn refusal(code: &str) -> Exit {
    match code {
        "old-region-unreachable" | "target-unreachable" | "controller-stopping" | "journal" => Exit::NotReachable,
        _ => Exit::Refused,
    }
}

/// Printed as `error: …` and `hint: …`, or as one JSON object.
#[derive(Debug)]
pub struct Failure {
    code: Cow<'static, str>,
    exit: Exit,
    /// Lower case, no period.
    message: String,
    /// What to do next.
    hint: Option<String>,
    /// What is wrong with the spec, when that is why.
    problems: Vec<Problem>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (name, exit) = code.row();
        Self { code: name.into(), exit, message: message.into(), hint: None, problems: Vec::new() }
    }
    /// What the controller refuses, under the engine's own code.
    pub fn refused(code: String, why: impl Into<String>, hint: impl Into<String>) -> Self {
        let exit = refusal(&code);
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        Self { code: code.into(), exit, message: why.into(), hint, problems: Vec::new() }
    }
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
    pub fn problems(self, problems: Vec<Problem>) -> Self {
        Self { problems, ..self }
    }
    pub fn exit(&self) -> Exit {
        self.exit
    }
    pub fn text(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
        format!("error: {}\n{hint}more: docs/errors/{}.md\n", self.message, self.code)
    }
    pub fn json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message, "hint": self.hint });
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
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn has_a_page(name: &str, exit: Exit) {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
        let index = std::fs::read_to_string(format!("{docs}/README.md")).unwrap();
        let page = std::fs::read_to_string(format!("{docs}/{name}.md")).unwrap_or_default();
        assert!(page.starts_with(&format!("# {name}\n")), "{name} has no page");
        let status = format!("Exit status {}.", exit as u8);
        assert!(page.contains(&status), "{name}: the page does not say {status:?}");
        assert!(index.contains(&format!("]({name}.md)")), "{name} is not in the index");
    }

    #[test]
    fn every_code_has_a_page() {
        for code in Code::ALL {
            has_a_page(code.name(), code.row().1);
        }
    }

    /// The first string after each `opening` in the sources below `folder`, tests left out.
    fn codes_after(opening: &str, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() && !entry.ends_with("tests") {
                codes_after(opening, &entry, found);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&entry).unwrap();
                let code = |rest: &str| rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned);
                found.extend(text.split(opening).skip(1).filter_map(code));
            }
        }
    }

    #[test]
    fn every_refusal_of_the_engine_and_the_controller_has_a_page() {
        let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let mut codes = BTreeSet::new();
        codes_after("Refused::new(", Path::new(&format!("{crates}/engine/src")), &mut codes);
        assert!(codes.len() > 10 && codes.contains("not-approved-for-data-class"), "{codes:?}");
        codes.extend(["not-permitted", "controller-stopping", "journal"].map(str::to_owned));
        for code in codes {
            has_a_page(&code, refusal(&code));
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
