use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::assessment::effort::Figures;
use crate::assessment::numbers::{self, Numbers};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::prose::Prose;
use crate::spec_file;

/// Say how long a failover of this design will take and what it will lose
///
/// The controller's own engine fails over many times in virtual time; nothing real is touched. How long each step takes is
/// from drills, from the spec, from the catalogue or a stated prior, and is listed. The same seed gives the same figures.
#[derive(Debug, Args)]
pub struct Forecast {
    /// The spec, instead of the one named by --file
    #[arg(value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Every strategy beside each other, with what it costs
    #[arg(long)]
    compare: bool,
    #[command(flatten)]
    figures: Figures,
}

impl Forecast {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        let path = self.spec.as_ref().unwrap_or(&globals.file);
        let spec = spec_file::for_assessment(path, output)?;
        let rates = self.figures.rates()?;
        let (history, effort) = (self.figures.history()?, self.figures.effort());
        let numbers = Numbers::of(&spec.design, spec.topology.as_ref(), &rates, &history, effort);
        let mut value = json!({
            "file": path,
            "workload": spec.design.workload,
            "forecast": numbers.forecast,
            "availability": numbers.availability,
        });
        if self.compare {
            value["strategy"] = json!(numbers.strategy);
        }
        output.result(&value, || text(&numbers, self.compare));
        let Some(why) = numbers.did_not_end() else { return Ok(Exit::Ok) };
        output.notice(&format!("the forecast has no end: {why}\n"));
        Ok(Exit::Failed)
    }
}

fn text(numbers: &Numbers, compare: bool) -> String {
    let prose = Prose::here();
    let mut out = String::new();
    match &numbers.forecast {
        Some(forecast) => {
            out += &numbers::failover(forecast, prose);
            out += &numbers.yearly(prose);
            out += &numbers::sources(forecast, prose);
        }
        None => out += "there is one region: nothing can fail over; --compare shows what other strategies would do\n",
    }
    if compare {
        out += &numbers.strategies(prose);
    }
    out.trim_start().to_owned()
}
