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
    /// Where a running workload keeps its state [default: as root /var/lib/antipode/WORKLOAD, else
    /// ~/.local/state/antipode/WORKLOAD]
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Who asks or approves: one of the spec's approvers [default: $ANTIPODE_AS, or the only one]
    #[arg(long = "as", global = true, value_name = "PERSON")]
    pub person: Option<String>,
}

impl Globals {
    /// The state folder, when it was named.
    pub fn given_state(&self) -> Option<&Path> {
        self.state.as_deref()
    }
    /// As root the default is a folder that PostgreSQL's own account may pass through.
    pub fn state_dir(&self, workload: &str) -> PathBuf {
        let home = || match std::env::var_os("HOME") {
            Some(home) if !rustix::process::geteuid().is_root() => Path::new(&home).join(".local/state/antipode"),
            _ => PathBuf::from("/var/lib/antipode"),
        };
        self.state.clone().unwrap_or_else(|| home().join(workload))
    }
}
