use std::path::PathBuf;

use clap::Args;
use model::Topology;
use model::spec::Severity;
use model::time::human;
use model::topology::{FailoverMode, Replication, SiteRole, WhenAlone};
use serde_json::json;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::spec_file;

/// Check a spec, and say what it means
///
/// Every error is shown at its line and column, with a hint. Warnings do not make a spec invalid.
#[derive(Debug, Args)]
pub struct Validate {
    /// The spec to check, instead of the one named by --file
    #[arg(value_name = "FILE")]
    spec: Option<PathBuf>,
}

impl Validate {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        let path = self.spec.as_ref().unwrap_or(&globals.file);
        let loaded = spec_file::load(path, output)?;
        let value = json!({
            "file": path,
            "valid": true,
            "workload": loaded.topology.workload,
            "warnings": loaded.warnings,
        });
        debug_assert!(loaded.warnings.iter().all(|p| p.severity == Severity::Warning));
        output.result(&value, || format!("{} is valid\n{}", path.display(), summary(&loaded.topology)));
        Ok(Exit::Ok)
    }
}

/// What was understood, so that an operator sees a wrong meaning before a failover does.
fn summary(topology: &Topology) -> String {
    let objectives = &topology.objectives;
    let lines = [
        ("workload", format!("{} {}", topology.workload, topology.artifact)),
        ("objectives", format!("RTO {}, RPO {}", human(objectives.rto), human(objectives.rpo))),
        ("regions", regions(topology)),
        ("witness", topology.witness().to_string()),
        ("database", database(topology)),
        ("failover", failover(topology)),
        ("timing", format!("{}, lease {}", topology.timing.profile, human(topology.timing.lease))),
    ];
    lines.map(|(name, value)| format!("  {name:<11} {value}\n")).concat()
}

fn regions(topology: &Topology) -> String {
    let describe = |site: &model::topology::Site| match &site.role {
        SiteRole::Region { preferred: true, .. } => format!("{} (preferred)", site.id),
        SiteRole::Region { capacity, .. } => format!("{} (standby capacity {capacity}%)", site.id),
        SiteRole::Witness => String::new(),
    };
    topology.regions().map(describe).collect::<Vec<_>>().join(", ")
}

fn database(topology: &Topology) -> String {
    let (name, postgres) = topology.database();
    let timing = &topology.timing;
    match (postgres.replication, postgres.when_alone) {
        (Replication::Asynchronous, _) => {
            let worst = human(timing.lease + timing.max_lag);
            format!("{name}, asynchronous: a failover can lose up to {worst} of acknowledged writes")
        }
        (Replication::Synchronous, WhenAlone::Block) => {
            format!("{name}, synchronous: without a standby, writes wait")
        }
        (Replication::Synchronous, WhenAlone::Degrade) => {
            format!(
                "{name}, synchronous: without a standby, writes go on and nothing can be promoted without an override"
            )
        }
    }
}

fn failover(topology: &Topology) -> String {
    let people = |n: u32| if n == 1 { "1 person".to_string() } else { format!("{n} people") };
    let mode = match topology.failover {
        FailoverMode::Automatic => "automatic".to_string(),
        FailoverMode::Ask => format!("asks, {} must approve", people(topology.approvals.failover)),
    };
    format!("{mode}; failback needs {}", people(topology.approvals.failback))
}
