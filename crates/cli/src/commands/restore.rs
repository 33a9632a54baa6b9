use clap::Args;
use engine::Request;
use model::SiteId;
use model::backup::RestoreTo;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::request::{self, How};

/// Take the database back to a moment of its past, from the backups at the witness
///
/// For what replicates as fast as any other write: a bad release, a wrong statement, a deletion. Everything committed
/// after that moment is taken back, which two different people must accept. Nothing is thrown away: the replaced data
/// stays beside the new, and the other region exports what only it has.
#[derive(Debug, Args)]
pub struct Restore {
    /// The last good moment, with its zone, such as 2026-11-21T13:05:00Z; or a position in the log, as lsn:0/3000148
    #[arg(long, value_name = "MOMENT")]
    to: RestoreTo,
    /// Where; the region that writes now by default
    #[arg(long, value_name = "REGION")]
    at: Option<SiteId>,
    /// Your own consent to lose what was acknowledged after that moment
    #[arg(long)]
    accept_loss: bool,
    #[command(flatten)]
    how: How,
}

impl Restore {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        let request = Request::Restore { to: self.to, site: self.at, accept_loss: self.accept_loss };
        request::run(request, self.how, globals, output)
    }
}
