use clap::Args;
use engine::Request;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::request::{self, How};

/// Return to the preferred region as planned: nothing is lost
///
/// Rows that only the old region has are exported and reported before it becomes a standby again.
#[derive(Debug, Args)]
pub struct Failback {
    #[command(flatten)]
    how: How,
}

impl Failback {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        request::run(Request::Failback, self.how, globals, output)
    }
}
