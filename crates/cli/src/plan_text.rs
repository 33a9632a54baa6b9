//! A runbook as people read it before they ask for it.

use engine::Runbook;
use engine::runbook::{Depends, DependsOn, Need, Phase, Step, Work};
use model::time::human;

pub fn of(runbook: &Runbook) -> String {
    let way = runbook.from.as_ref().map_or(String::new(), |from| format!(" from {from}"));
    let mut text = format!("{}{way} to {}: a plan, nothing is done\n", runbook.request, runbook.to);
    let counts = "before the first step that needs approval; an approver who asks counts as one";
    text += &match runbook.approvals {
        0 => "nobody has to approve\n".to_owned(),
        1 => format!("1 person must approve {counts}\n"),
        n => format!("{n} different people must approve {counts}\n"),
    };
    let mut group = None;
    for (number, step) in runbook.steps.iter().enumerate() {
        if group != Some(step.group) {
            group = Some(step.group);
            let many = runbook.steps.iter().filter(|other| other.group == step.group).count();
            let parallel = if many > 1 { ", together" } else { "" };
            text += &format!("\n{} (group {}{parallel})\n", phase(step.phase), step.group);
        }
        text += &step_text(number, step);
    }
    text
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::PreCheck => "checks before",
        Phase::Step => "steps",
        Phase::PostCheck => "checks after",
        Phase::Undo => "steps back",
    }
}

fn step_text(number: usize, step: &Step) -> String {
    let marks = [(step.gated, " [needs approval]"), (step.commit_point, " [COMMIT POINT]")];
    let marks: String = marks.into_iter().filter_map(|(on, mark)| on.then_some(mark)).collect();
    let mut text = format!("{number:>3}  {}{marks}\n", step.title);
    let need = match step.need {
        Need::Required => "required",
        Need::WhileUp => "required while its site is up",
        Need::BestEffort => "best effort: tried and recorded, never waited for",
    };
    let calls = match &step.work {
        Work::Act(_) => format!("calls {}", step.work.text()),
        Work::Check(_) => format!("{}, on what the sites report; calls nothing", step.work.text()),
    };
    text += &format!("       {calls}\n       {need}, within {}\n", human(step.deadline));
    for depends in &step.depends {
        text += &format!("       depends on {}\n", depends_text(depends));
    }
    if let Some(undo) = &step.undo {
        text += &format!("       taken back by {}\n", engine::record::action_text(undo));
    }
    if step.commit_point {
        text += "     ---- from here the run goes only forward ----\n";
    }
    text
}

fn depends_text(depends: &Depends) -> String {
    let on = match &depends.on {
        DependsOn::Site(site) => site.to_string(),
        DependsOn::VoterMajority => "a majority of the sites".to_owned(),
        DependsOn::Vault => "the vault at the witness".to_owned(),
    };
    let need = if depends.required { "required" } else { "if it can be had" };
    format!("{on}, {} plane, {need}: {}", depends.plane, depends.what)
}
