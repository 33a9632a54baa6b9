//! The forecast beside a series that was measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use engine::forecast::{History, Model, forecast};
use lab::bench::{Expected, Measured, expected, expected_table};
use lab::experience;
use model::topology::Replication;

use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::output::Output;
use crate::spec_file;

#[derive(Debug, Args)]
pub struct Forecast {
    /// Specs, such as one for each timing profile
    #[arg(required = true)]
    specs: Vec<PathBuf>,
    /// The bench.json of `antipode bench failover`
    #[arg(long, value_name = "FILE")]
    measured: PathBuf,
    /// Folders of drills whose step times take the place of the priors. Not those that were measured
    #[arg(long, value_name = "DIR", num_args = 1..)]
    drills: Vec<PathBuf>,
    /// Losses to simulate
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..))]
    samples: u32,
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

impl Forecast {
    pub fn run(&self, output: &Output) -> Result<Exit, Failure> {
        let measured = measured(&self.measured)?;
        let results = experience::read(&self.drills).map_err(|error| unreadable(&error))?;
        let history = experience::learn(&results);
        let mut all = Vec::new();
        for spec in &self.specs {
            all.extend(self.of(spec, &history, &measured, output)?);
        }
        if all.is_empty() {
            return Err(Failure::new(Code::Usage, format!("{} measured none of these specs", self.measured.display()))
                .hint("give the specs that `antipode bench failover` was given"));
        }
        output.result(&all, || expected_table(&all));
        Ok(if all.iter().all(|one| one.agrees) { Exit::Ok } else { Exit::Failed })
    }

    fn of(
        &self,
        spec: &Path,
        history: &History,
        measured: &Measured,
        output: &Output,
    ) -> Result<Vec<Expected>, Failure> {
        let topology = Arc::new(spec_file::load(spec, output)?);
        let short = match topology.database().1.replication {
            Replication::Synchronous => "sync",
            Replication::Asynchronous => "async",
        };
        let forecast = forecast(&Model::of(&topology, history), self.samples, self.seed);
        let case = |fault: &str| format!("{} {short}, {fault}", topology.timing.profile);
        let cases = ["killed", "silent"].map(case);
        Ok(cases.iter().filter_map(|case| expected(case, &forecast, &measured.samples)).collect())
    }
}

fn measured(path: &Path) -> Result<Measured, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Usage, causes(error))
        .hint("give the bench.json of `antipode bench failover`, and folders of drills")
}
