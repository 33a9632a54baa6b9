//! Exit statuses: what a script can tell without reading any text.

use std::process::ExitCode;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    InvalidSpec = 3,
    Refused = 4,
    NotReachable = 5,
    Environment = 6,
    EvidenceBroken = 7,
    AwaitingApproval = 8,
    Due = 9,
    Findings = 10,
    Drifted = 11,
    Interrupted = 130,
}

impl Exit {
    pub const ALL: [(Exit, &str); 13] = [
        (Exit::Ok, "done, or nothing to do"),
        (Exit::Failed, "the run or the drill failed"),
        (Exit::Usage, "wrong arguments"),
        (Exit::InvalidSpec, "the spec is missing, unreadable or contradictory"),
        (Exit::Refused, "refused; nothing was changed"),
        (Exit::NotReachable, "not running, or not reachable"),
        (Exit::Environment, "this machine lacks something: a port, PostgreSQL, a permission"),
        (Exit::EvidenceBroken, "the evidence does not verify"),
        (Exit::AwaitingApproval, "the run waits for approval"),
        (Exit::Due, "drills are due (`drill --due --dry-run`)"),
        (Exit::Findings, "findings of the severity that `assess --fail-on` names, or graver"),
        (Exit::Drifted, "the written files are not what the spec renders (`render --check`, `diff`)"),
        (Exit::Interrupted, "interrupted; what the command had started was stopped, a run that was asked for goes on"),
    ];

    /// The section of `--help` and of the man page.
    pub fn help() -> String {
        let lines = Self::ALL.map(|(exit, meaning)| format!("  {:>3}  {meaning}", exit as u8));
        format!("Exit status:\n{}\n\nEach error has a page in docs/errors, named by its code.", lines.join("\n"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
