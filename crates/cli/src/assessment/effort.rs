//! What the figures are made with: how many samples, from which seed, at which rates.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;
use engine::assess::strategy::Effort;
use engine::forecast::History;
use lab::experience;
use model::rates::{self, Rates};

use crate::failure::{Code, Failure, causes};

/// The largest file of rates that is read.
const LARGEST: u64 = 4 << 20;

#[derive(Debug, Args)]
pub struct Figures {
    /// Losses of the region to simulate, for each strategy
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    samples: u32,
    /// Where chance begins; the same seed gives the same figures
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Prices, in place of those that come with Antipode
    #[arg(long, value_name = "FILE")]
    rates: Option<PathBuf>,
    /// A folder of a drill whose step times take the place of the priors; may be given more than once
    #[arg(long, value_name = "DIR")]
    drills: Vec<PathBuf>,
}

impl Figures {
    pub fn effort(&self) -> Effort {
        Effort { samples: self.samples, seed: self.seed }
    }

    pub fn history(&self) -> Result<History, Failure> {
        let results = experience::read(&self.drills).map_err(|error| {
            Failure::new(Code::Usage, causes(&error)).hint("give folders that `antipode drill --out DIR` has made")
        })?;
        Ok(experience::learn(&results))
    }

    pub fn rates(&self) -> Result<Cow<'static, Rates>, Failure> {
        let Some(path) = &self.rates else { return Ok(Cow::Borrowed(rates::bundled())) };
        let unreadable = |why: String| {
            Failure::new(Code::RatesUnreadable, format!("the rates {} cannot be used: {why}", path.display()))
                .hint("nothing is priced with a file that is partly understood; correct it, or leave --rates out")
        };
        let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if size > LARGEST {
            return Err(unreadable(format!("it is larger than {} MiB", LARGEST >> 20)));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        rates::read(&text).map(Cow::Owned).map_err(|error| unreadable(error.to_string()))
    }
}
