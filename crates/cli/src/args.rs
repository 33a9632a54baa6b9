//! The command line as a whole; each command's own arguments are in its file.

use std::path::{Path, PathBuf};

use clap::{Args, Parser};

use crate::commands::Command;
use crate::exit::Exit;

/// Restores a workload in another region, and proves it.
///
/// One file, antipode.yaml, says what the workload is and what its business can bear. Antipode watches it,
/// moves it, rehearses its loss, and keeps the evidence.
#[derive(Debug, Parser)]
#[command(name = "antipode", version, after_help = Exit::help(), infer_long_args = true)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// Understood by every command.
#[derive(Debug, Args)]
pub struct Globals {
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// The spec
    #[arg(short, long, global = true, value_name = "FILE", default_value = "antipode.yaml")]
    pub file: PathBuf,
    /// Where a running workload keeps its state [default: antipode-state beside the spec]
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Who asks or approves: one of the spec's approvers
    #[arg(long = "as", global = true, value_name = "PERSON")]
    pub person: Option<String>,
}

#[expect(dead_code, reason = "called by the commands that start or find a running workload")]
impl Globals {
    pub fn state_dir(&self) -> PathBuf {
        let beside = || self.file.parent().unwrap_or(Path::new("")).join("antipode-state");
        self.state.clone().unwrap_or_else(beside)
    }
}
