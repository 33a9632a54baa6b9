use clap::Args;
use engine::Request;
use model::SiteId;

use crate::args::Globals;
use crate::commands::glass;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::output::Output;
use crate::request::{self, How};

/// Move the writer to another region without the help of the one that is lost
///
/// Acknowledged writes that were not yet copied are lost: within the recovery point objective without a question, beyond
/// it only when two different people accept it. Asking for the failover that the controller proposes approves it.
///
/// With `--break-glass` the region of `--to` is all that is left: the controller, the witness and the other region are lost,
/// and two people take it upon themselves that none of them writes or votes any more. See docs/break-glass.md first.
#[derive(Debug, Args)]
pub struct Failover {
    /// Where to; the best other region by default
    #[arg(long, value_name = "REGION")]
    to: Option<SiteId>,
    /// Your own consent to lose the acknowledged writes that the run estimates
    #[arg(long)]
    accept_loss: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    glass: glass::Glass,
}

impl Failover {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        if self.glass.break_glass {
            let to = self.to.ok_or_else(|| {
                Failure::new(Code::Usage, "which region is left is not said").hint("name it with `--to`")
            })?;
            return self.glass.run(&to, &self.how, globals, output);
        }
        request::run(Request::Failover { to: self.to, accept_loss: self.accept_loss }, self.how, globals, output)
    }
}
