use std::path::PathBuf;

use clap::Args;
use controller::journal::JournalError;
use controller::shell::{self, ControllerConfig, ControllerError};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::interrupt::interrupted;
use crate::logs;

/// Run a workload's controller; started by `antipode up`
#[derive(Debug, Args)]
pub struct Controller {
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Stop when standard input ends
    #[arg(long)]
    tied: bool,
}

impl Controller {
    pub fn run(self) -> Result<Exit, Failure> {
        logs::to_stderr();
        let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
        let ended = runtime.block_on(until_told(&self.config, self.tied));
        // A thread may still wait for standard input.
        runtime.shutdown_background();
        ended.map_err(failure)?;
        Ok(Exit::Ok)
    }
}

/// A SIGTERM or SIGINT stops it; whatever it was doing goes on when it is started again.
async fn until_told(config: &std::path::Path, tied: bool) -> Result<(), ControllerError> {
    let config = ControllerConfig::load(config)?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let told = interrupted();
    tokio::spawn(async move {
        tokio::select! {
            () = told => {}
            () = controller::tie::untied(tied) => {}
        }
        stopping.cancel();
    });
    shell::run(config, stop).await
}

fn failure(error: ControllerError) -> Failure {
    let code = match &error {
        ControllerError::Identity(_) => Code::Identity,
        ControllerError::Listen { .. } => Code::PortInUse,
        ControllerError::Journal(JournalError::Locked { .. }) => Code::JournalLocked,
        ControllerError::Journal(JournalError::Corrupted { .. }) => Code::JournalCorrupted,
        ControllerError::Journal(JournalError::Newer { .. } | JournalError::UnknownRecord { .. }) => Code::JournalNewer,
        ControllerError::Journal(JournalError::Full { .. }) => Code::DiskFull,
        _ => Code::CannotStart,
    };
    Failure::new(code, format!("the controller stopped: {}", causes(&error))).hint(error.hint())
}
