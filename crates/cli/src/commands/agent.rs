use std::path::{Path, PathBuf};

use clap::Args;
use controller::agent::config::AgentConfig;
use controller::agent::{self, watchdog};

use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::logs;

/// Run a site's agent under its watchdog; started by `antipode up`
#[derive(Debug, Args)]
pub struct Agent {
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The agent itself: started by the watchdog, whose pipe it needs
    #[arg(long)]
    child: bool,
    /// Stop when standard input ends
    #[arg(long)]
    tied: bool,
}

impl Agent {
    pub fn run(self) -> Result<Exit, Failure> {
        logs::to_stderr();
        let config = AgentConfig::load(&self.config).map_err(|e| cannot_start(&e))?;
        if self.child { agent(config) } else { guard(&self.config, &config, self.tied) }
    }
}

/// The watchdog: outlives the agent, and kills its database when the agent cannot.
fn guard(file: &Path, config: &AgentConfig, tied: bool) -> Result<Exit, Failure> {
    watchdog::run(file, config, tied).map_err(|e| cannot_start(&e))?;
    Ok(Exit::Ok)
}

fn agent(config: AgentConfig) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|e| cannot_start(&e))?;
    runtime.block_on(agent::run(config)).map_err(|e| cannot_start(&e))?;
    Ok(Exit::Ok)
}

fn cannot_start(error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::CannotStart, format!("the agent stopped: {}", causes(error)))
        .hint("the agent's log says what it did last")
}
