use std::path::PathBuf;

use clap::{Args, Subcommand};
use lab::evidence::{self, Summary, VerifyError};
use model::time::human;

use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::output::Output;

/// Check the evidence of a drill, offline
#[derive(Debug, Args)]
pub struct Evidence {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check every line of an evidence file, and name the first that is not as it was written
    ///
    /// The chain proves that the file is whole and unchanged since its last hash was noted elsewhere; it does not
    /// prove who wrote it.
    Verify {
        #[arg(value_name = "EVIDENCE")]
        evidence: PathBuf,
    },
}

impl Evidence {
    pub fn run(self, output: &Output) -> Result<Exit, Failure> {
        let What::Verify { evidence } = self.what;
        let summary = evidence::verify(&evidence).map_err(failure)?;
        output.result(&summary, || describe(&summary));
        Ok(Exit::Ok)
    }
}

fn describe(summary: &Summary) -> String {
    let opening = &summary.opening;
    format!(
        "whole and unchanged\n  drill      {}, {}, {}\n  written by antipode {}\n  spec       sha256 {}\n  lines      {}\n  \
         last hash  {}\n",
        opening.drill,
        summary.began,
        human(summary.took),
        opening.antipode,
        opening.spec_sha256,
        summary.seal.lines,
        summary.seal.hash
    )
}

fn failure(error: VerifyError) -> Failure {
    let message = match &error {
        VerifyError::Unreadable { source, .. } => format!("{error}: {source}"),
        VerifyError::Broken { .. } => error.to_string(),
    };
    match error {
        VerifyError::Unreadable { .. } => {
            Failure::new(Code::EvidenceUnreadable, message).hint("name the `evidence.jsonl` that the drill reported")
        }
        VerifyError::Broken { line, .. } => Failure::new(Code::EvidenceBroken, message).hint(format!(
            "trust nothing from line {line} on; compare with a copy whose last hash was noted when the drill ended"
        )),
    }
}
