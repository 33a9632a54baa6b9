use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use render::import;
use render::runbook::{self, Runbook};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::new_file;
use crate::output::Output;

/// Make runbooks of the plans of other systems
#[derive(Debug, Args)]
pub struct Import {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// An ARC Region switch plan: what `aws arc-region-switch get-plan` answers, or a template with an
    /// AWS::ARCRegionSwitch::Plan
    ArcPlan(ArcPlan),
}

#[derive(Debug, Args)]
struct ArcPlan {
    /// The plan, as JSON or YAML
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write each runbook to this folder, instead of all of them to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write over runbooks that are there
    #[arg(long, requires = "out")]
    force: bool,
}

/// The most that a plan may have: those of the service are a hundredth of it.
const LONGEST: u64 = 4 << 20;

impl Import {
    pub fn run(self, output: &Output) -> Result<Exit, Failure> {
        let What::ArcPlan(args) = self.what;
        let shown = args.file.display();
        let unusable = |why: String| {
            Failure::new(Code::PlanUnreadable, format!("{shown} cannot be used: {why}"))
                .hint("nothing was written; give what `aws arc-region-switch get-plan --arn ARN` prints, or the template of the plan")
        };
        let length = fs::metadata(&args.file).map_err(|error| unusable(error.to_string()))?.len();
        if length > LONGEST {
            return Err(unusable(format!("it is larger than {} MiB", LONGEST >> 20)));
        }
        let text = fs::read_to_string(&args.file).map_err(|error| unusable(error.to_string()))?;
        let runbooks = import::arc_plan(&text).map_err(|error| unusable(error.to_string()))?;
        let Some(folder) = args.out else {
            output.result(&json!({ "runbooks": runbooks.iter().map(told).collect::<Vec<_>>() }), || {
                runbooks.iter().map(runbook::text).collect::<Vec<_>>().join("\n---\n\n")
            });
            return Ok(Exit::Ok);
        };
        fs::create_dir_all(&folder).map_err(|error| {
            Failure::new(Code::CannotWrite, format!("{} cannot be made: {error}", folder.display()))
        })?;
        let mut said = String::new();
        for runbook in &runbooks {
            let path = folder.join(format!("{}.md", runbook.name));
            new_file::write(&path, &runbook::text(runbook), args.force)?;
            said += &format!(
                "{}: {} steps, {} not carried over\n",
                path.display(),
                runbook.steps.len(),
                runbook.gaps.len()
            );
        }
        output.result(&json!({ "out": folder, "runbooks": runbooks.iter().map(told).collect::<Vec<_>>() }), || said);
        Ok(Exit::Ok)
    }
}

fn told(runbook: &Runbook) -> serde_json::Value {
    let steps: Vec<_> = runbook
        .steps
        .iter()
        .map(|step| json!({ "name": step.says, "why": step.why, "commands": step.commands, "validate": step.validate }))
        .collect();
    let gaps: Vec<_> = runbook.gaps.iter().map(|(what, instead)| json!({ "what": what, "instead": instead })).collect();
    json!({ "name": runbook.name, "to": runbook.to, "steps": steps, "not_carried_over": gaps })
}
