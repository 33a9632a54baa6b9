//! What operates the workload: alarms, dashboards, switch plans, experiments, stack sets.

mod alarms;
mod canary;
mod code_pipeline;
mod dashboard;
mod drs;
mod fis;
mod region_switch;
mod scheduler;
pub mod stack_sets;
pub mod step_functions;
mod told;
mod x_ray;

use model::Part;

use super::Write;
use crate::sheet::Sheet;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[
    ("aws.cloudformation", told::cloudformation),
    ("aws.cloudwatch", around),
    ("aws.cloudwatch-alarm", around),
    ("aws.codepipeline", code_pipeline::write),
    ("aws.drs", drs::write),
    ("aws.organizations", told::organizations),
    ("aws.scheduler", scheduler::write),
    ("aws.stacksets", stack_sets::write),
    ("aws.step-functions", step_functions::write),
    ("aws.x-ray", x_ray::write),
    ("job", told::job),
];

/// What a component of these kinds asks for stands around all the others, once they are written; see [`render`].
fn around(_: &mut Sheet<'_>, _: &Part) {}

/// What stands around everything else, rendered or adopted.
pub fn render(sheet: &mut Sheet<'_>) {
    if sheet.design.components.iter().any(on_aws) {
        canary::render(sheet);
        alarms::render(sheet);
        dashboard::render(sheet);
        region_switch::render(sheet);
        fis::render(sheet);
    }
}

fn on_aws(part: &Part) -> bool {
    part.kind.name.starts_with("aws.")
}
