use clap::Args;
use model::RunId;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::following::Hope;
use crate::operator::{Operator, block_on};
use crate::output::Output;
use crate::request::{self, Detach};

/// Agree to what a run waits for, or to another try of what failed
#[derive(Debug, Args)]
pub struct Approve {
    /// As in `run-3`; `antipode status` names it
    #[arg(value_name = "RUN", value_parser = request::run_id)]
    run: RunId,
    /// Agree also to lose the acknowledged writes that the run estimates
    #[arg(long)]
    accept_loss: bool,
    #[command(flatten)]
    detach: Detach,
}

impl Approve {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        block_on(async {
            let operator = Operator::acting(globals, output)?;
            let granted = operator.api.approve(self.run, self.accept_loss).await.map_err(|e| operator.failure(&e))?;
            request::taken_up(&operator, output, &granted, self.detach.detach, Hope::Succeeds).await
        })
    }
}
