use clap::Args;
use model::RunId;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::following::Hope;
use crate::operator::{Operator, block_on};
use crate::output::Output;
use crate::request::{self, Detach};

/// Stop a run before its commit point, and take back what it did
#[derive(Debug, Args)]
pub struct Abort {
    /// As in `run-3`; `antipode status` names it
    #[arg(value_name = "RUN", value_parser = request::run_id)]
    run: RunId,
    /// The reason, for the journal
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    why: String,
    #[command(flatten)]
    detach: Detach,
}

impl Abort {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        block_on(async {
            let operator = Operator::acting(globals, output)?;
            let granted = operator.api.abort(self.run, self.why).await.map_err(|e| operator.failure(&e))?;
            request::taken_up(&operator, output, &granted, self.detach.detach, Hope::Stops).await
        })
    }
}
