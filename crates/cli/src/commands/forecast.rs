use std::path::PathBuf;

use clap::Args;
use engine::assess::strategy::availability_of;
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
        let design = &spec.design;
        // Six more forecasts: only for whom they are shown to.
        let compared = self.compare.then(|| Numbers::of(design, spec.topology.as_ref(), &rates, &history, effort));
        let forecast = match &compared {
            Some(compared) => compared.forecast.clone(),
            None => numbers::declared(design, spec.topology.as_ref(), &history, effort),
        };
        let availability = availability_of(design, forecast.as_ref());
        let mut value = json!({
            "file": path,
            "workload": design.workload,
            "forecast": forecast,
            "availability": availability,
        });
        if let Some(compared) = &compared {
            value["strategy"] = json!(compared.strategy);
        }
        output.result(&value, || {
            let prose = Prose::here();
            let mut out = String::new();
            match &forecast {
                Some(forecast) => {
                    out += &numbers::failover(forecast, prose);
                    out += &numbers::yearly(&availability, design.objectives.availability, prose);
                    out += &numbers::sources(forecast, prose);
                }
                None => out += ONE_REGION,
            }
            out += &compared.map_or_else(String::new, |compared| compared.strategies(prose));
            out.trim_start().to_owned()
        });
        let Some(why) = forecast.as_ref().and_then(engine::forecast::Forecast::did_not_end) else {
            return Ok(Exit::Ok);
        };
        output.notice(&format!("the forecast has no end: {why}\n"));
        Ok(Exit::Failed)
    }
}

const ONE_REGION: &str = "there is one region: nothing can fail over; --compare shows what other strategies would do\n";
