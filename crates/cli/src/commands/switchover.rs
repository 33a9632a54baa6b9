use clap::Args;
use engine::Request;
use model::SiteId;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::request::{self, How};

/// Move the writer to another region as planned: both regions help, and nothing is lost
#[derive(Debug, Args)]
pub struct Switchover {
    /// Where to; the best other region by default
    #[arg(long, value_name = "REGION")]
    to: Option<SiteId>,
    #[command(flatten)]
    how: How,
}

impl Switchover {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        request::run(Request::Switchover { to: self.to }, self.how, globals, output)
    }
}
