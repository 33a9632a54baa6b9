use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use model::spec::Severity;
use model::time::human;
use model::topology::{FailoverMode, Plane, Replication, SiteRole, WhenAlone};
use model::{Design, Topology};
use serde_json::json;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::spec_file::{self, Understood};

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
        let spec = spec_file::understand(path, output)?;
        let mut value = json!({
            "file": path,
            "valid": true,
            "workload": spec.design.workload,
            "warnings": spec.warnings,
        });
        if spec.topology.is_none() {
            value["runnable"] = false.into();
            value["obstacles"] = json!(spec.obstacles);
        }
        debug_assert!(spec.warnings.iter().all(|p| p.severity == Severity::Warning));
        output.result(&value, || match &spec.topology {
            Some(topology) => format!("{} is valid\n{}", path.display(), summary(topology)),
            None => format!("{} is valid; it can be assessed, not run\n{}", path.display(), assessable(&spec)),
        });
        Ok(Exit::Ok)
    }
}

/// What was understood of a spec that can only be assessed, and what keeps it from being run.
fn assessable(spec: &Understood) -> String {
    let design = &spec.design;
    let open = |duration: Option<Duration>| duration.map_or("not said".to_owned(), human);
    let objectives = &design.objectives;
    let preferred = design.preferred().map(|site| &site.id);
    let regions = design.regions().map(|site| match Some(&site.id) == preferred {
        true => format!("{} (preferred)", site.id),
        false => site.id.to_string(),
    });
    let artifact = design.artifact.as_deref().unwrap_or_default();
    let lines = [
        ("workload", format!("{} {artifact}", design.workload).trim_end().to_owned()),
        ("objectives", format!("RTO {}, RPO {}", open(objectives.rto), open(objectives.rpo))),
        ("regions", regions.collect::<Vec<_>>().join(", ")),
        ("traffic", components(design, Plane::Traffic)),
        ("compute", components(design, Plane::Compute)),
        ("data", components(design, Plane::Data)),
        ("control", components(design, Plane::Control)),
    ];
    let understood = lines.map(|(name, value)| format!("  {name:<11} {value}\n")).concat();
    let obstacles = spec.obstacles.iter().map(|o| format!("  line {}: {}\n", o.span.line, o.message));
    format!("{understood}What keeps it from being run:\n{}", obstacles.collect::<String>())
}

fn components(design: &Design, plane: Plane) -> String {
    let named = design.in_plane(plane).map(|part| format!("{} ({})", part.id, part.kind.name));
    Some(named.collect::<Vec<_>>().join(", ")).filter(|named| !named.is_empty()).unwrap_or_else(|| "nothing".into())
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
