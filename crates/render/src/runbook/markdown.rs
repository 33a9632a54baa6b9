//! A runbook as a page that can be followed under stress: what decides, who approves, what to type, what to look at.

use std::fmt::Write;

use crate::runbook::{Purpose, Runbook, Step, automation};

/// What was made of a plan of another system.
pub fn text(runbook: &Runbook) -> String {
    let head = "Made of a plan of another system: see what could not be carried over, at the end.\n";
    written(runbook, head)
}

/// What is rendered, with so many automations.
pub fn page(runbook: &Runbook, automations: usize) -> String {
    let (to, name) = (&runbook.to, &runbook.name);
    let same = match automations {
        0 | 1 => format!("The same as an automation of Systems Manager, in {to}: the document that ends in `{name}`."),
        last => format!(
            "The same as {last} automations of Systems Manager, in {to}: the documents that end in `{name}` to `{}`, each begun when the one before it has ended.",
            automation::numbered(name, last)
        ),
    };
    written(runbook, &format!("Written by `antipode render`: change the spec, not this file.\n{same}\n"))
}

fn written(runbook: &Runbook, head: &str) -> String {
    let mut out = format!("# {}\n\n{head}", runbook.title);
    objectives(&mut out, runbook);
    section(&mut out, "When", &runbook.criteria);
    who(&mut out, runbook);
    section(&mut out, "When to stop", &runbook.abort);
    before(&mut out, runbook);
    names(&mut out, runbook);
    out += "\n## Steps\n";
    for (n, step) in runbook.steps.iter().enumerate() {
        self::step(&mut out, n + 1, step);
    }
    boxes(&mut out, "Afterwards", runbook.after.iter());
    messages(&mut out, runbook);
    measured(&mut out, runbook);
    gaps(&mut out, runbook);
    out
}

fn objectives(out: &mut String, runbook: &Runbook) {
    if runbook.objectives.is_empty() {
        return;
    }
    *out += "\n| objective | value |\n|---|---|\n";
    for (name, value) in &runbook.objectives {
        let _ = writeln!(out, "| {name} | {value} |");
    }
}

fn section(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## {title}\n");
    for line in lines {
        let _ = writeln!(out, "- {line}");
    }
}

fn boxes<'l>(out: &mut String, title: &str, lines: impl Iterator<Item = &'l String>) {
    let lines: Vec<&String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## {title}\n");
    for line in lines {
        let _ = writeln!(out, "- [ ] {line}");
    }
}

fn who(out: &mut String, runbook: &Runbook) {
    let approval = &runbook.approval;
    let people = if approval.people == 1 { "1 person".to_owned() } else { format!("{} people", approval.people) };
    let among = if approval.approvers.is_empty() {
        "nobody is named in the spec (`approvals.approvers`)".to_owned()
    } else {
        approval.approvers.join(", ")
    };
    *out += "\n## Who\n\n| | |\n|---|---|\n";
    let _ = writeln!(out, "| approved by | {people} of: {among} |");
    for (role, said) in
        [("commander", &approval.commander), ("scribe", &approval.scribe), ("told", &approval.stakeholders)]
    {
        let _ = writeln!(out, "| {role} | {} |", said.as_deref().unwrap_or("__________"));
    }
}

fn before(out: &mut String, runbook: &Runbook) {
    if runbook.before.is_empty() {
        return;
    }
    *out += "\n## Before\n\n";
    for check in &runbook.before {
        let _ = writeln!(out, "- [ ] {}", check.says);
        if let Some(command) = &check.command {
            block(out, "  ", std::iter::once(command));
        }
    }
}

fn block<'l>(out: &mut String, indent: &str, lines: impl Iterator<Item = &'l String>) {
    let _ = writeln!(out, "\n{indent}```bash");
    for line in lines.flat_map(|command| command.lines()) {
        let _ = writeln!(out, "{indent}{line}");
    }
    let _ = writeln!(out, "{indent}```\n");
}

fn names(out: &mut String, runbook: &Runbook) {
    if runbook.names.is_empty() {
        return;
    }
    *out +=
        "\n## Names\n\nThe commands below use these. Set them in the shell in which you work; fill in what is empty.\n";
    let lines: Vec<String> = runbook.names.iter().map(|name| name.line()).collect();
    block(out, "", lines.iter());
}

fn step(out: &mut String, number: usize, step: &Step) {
    let _ = writeln!(out, "\n### {number}. {}\n", step.says);
    if step.best_effort {
        *out += "Best effort: try it once, write down what it answered, and go on without waiting.\n\n";
    }
    if step.commits {
        *out += "**The commit point**: from here on it goes only forward.\n\n";
    }
    if !step.why.is_empty() {
        let _ = writeln!(out, "Why here: {}.", step.why.trim_end_matches('.'));
    }
    if !step.commands.is_empty() {
        block(out, "", step.commands.iter());
    }
    if let Some(validate) = &step.validate {
        *out += "Validate:\n";
        block(out, "", std::iter::once(validate));
    }
    *out += "Done at: ________  by: ________  saw: ________\n";
}

fn messages(out: &mut String, runbook: &Runbook) {
    let whom = runbook.approval.stakeholders.as_deref().unwrap_or("the stakeholders");
    let _ = writeln!(out, "\n## What to say\n");
    if let Some(template) = &runbook.approval.template {
        let _ = writeln!(out, "The team's own text is {template}. Else, to {whom}:\n");
    } else {
        let _ = writeln!(out, "To {whom}:\n");
    }
    let from = runbook.from.as_deref().unwrap_or("the region that is left");
    let to = &runbook.to;
    *out += &match runbook.purpose {
        Purpose::Failback => format!(
            "> At ____ UTC we begin to move back from {from} to {to}, as planned. Writes pause for about ____. The next message comes at ____.\n>\n> At ____ UTC we serve from {to} again. Nothing was lost. {from} stands by.\n"
        ),
        _ => format!(
            "> Since ____ UTC users of ____ see ____. The cause is in {from}. We have decided at ____ to go on in {to}; we expect to serve again at ____. Work of the last ____ may be lost. The next message comes at ____.\n>\n> Since ____ UTC we serve from {to}. What is different: ____. What was lost, as far as we know: ____. We stay in {to} until we say otherwise.\n"
        ),
    };
}

fn measured(out: &mut String, runbook: &Runbook) {
    *out += "\n## Measured\n\n| moment | UTC |\n|---|---|\n";
    let moments = [
        "the first request failed",
        "somebody knew",
        "it was decided",
        "the old writer could not write",
        "the new writer wrote",
        "the first user was served",
        "all users were served",
    ];
    for moment in moments {
        let _ = writeln!(out, "| {moment} | |");
    }
    let objective = |name: &str| {
        let found = runbook.objectives.iter().find(|(known, _)| known == name);
        found.map_or("____".to_owned(), |(_, value)| value.clone())
    };
    *out += "\n| | objective | measured | how |\n|---|---|---|---|\n";
    let _ = writeln!(out, "| RTO | {} | | from the first failed request to the last user served |", objective("RTO"));
    let _ = writeln!(
        out,
        "| RPO | {} | | acknowledged writes that are not there: their number, and the oldest of them |",
        objective("RPO")
    );
}

fn gaps(out: &mut String, runbook: &Runbook) {
    if runbook.gaps.is_empty() {
        return;
    }
    *out += match runbook.purpose {
        Purpose::Imported => "\n## What could not be carried over\n\n",
        _ => {
            "\n## What cannot be relied on\n\nThese need what may be lost with the region. They are in the steps because the spec says nothing better.\n\n"
        }
    };
    for (what, instead) in &runbook.gaps {
        let _ = writeln!(out, "- {what}. {instead}");
    }
}
