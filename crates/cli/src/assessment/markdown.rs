//! Markdown for the comment on a pull request: short at the top, the rest folded.

use std::fmt::Write;

use engine::assess::State;
use model::findings::Severity;

use super::text::{act_words, idle_words, plane_words, presence_words, residence_words, risk, verdict_words};
use super::{Assessment, GROUPS, Kind, group_words, numbers, standing_words};
use crate::prose::counted;

pub fn page(a: &Assessment) -> String {
    let mut out = String::new();
    head(&mut out, a);
    strategies(&mut out, a);
    relax(&mut out, a);
    for (severity, title) in [(Severity::Error, "Errors"), (Severity::Warning, "Warnings"), (Severity::Note, "Notes")] {
        findings(&mut out, a, severity, title);
    }
    accepted(&mut out, a);
    questions(&mut out, a);
    readiness(&mut out, a);
    calls(&mut out, a);
    residency(&mut out, a);
    figures(&mut out, a);
    writeln!(out, "\n<sub>antipode {}, as of {}. `antipode explain ID` explains a finding.</sub>", a.antipode, a.today)
        .ok();
    out
}

fn head(out: &mut String, a: &Assessment) {
    writeln!(out, "# {}: {}\n\n{}.", text(&a.workload), standing_words(a.standing), capital(&a.headline())).ok();
    if let Some(blocker) = &a.first_blocker {
        writeln!(out, "\n> {} (`{}`)", text(&blocker.says), blocker.finding).ok();
    }
    let objectives: Vec<String> = a.objectives.iter().map(|(name, value)| format!("{name} {}", text(value))).collect();
    let promised = if objectives.is_empty() { "nothing is promised".into() } else { objectives.join(", ") };
    let review = a.asked(GROUPS[0]);
    let counts = a.counts;
    writeln!(out, "\n| | |\n|---|---|\n| promised | {promised} |").ok();
    let found = [(counts.errors, "error"), (counts.warnings, "warning"), (counts.notes, "note")];
    let found = found.map(|(count, noun)| counted(count, noun)).join(", ");
    writeln!(out, "| found | {found}, {} accepted |", counts.accepted).ok();
    writeln!(out, "| answered | {} of {} questions of a design review |", review.answered, review.of.len()).ok();
}

fn strategies(out: &mut String, a: &Assessment) {
    let verdict = capital(&a.numbers.strategy.verdict);
    writeln!(out, "\n## Strategy\n\n{verdict}.\n").ok();
    writeln!(out, "| strategy | RTO p95 | RPO p95 | availability | USD a month | |\n|---|--:|--:|--:|--:|---|").ok();
    for row in a.numbers.rows() {
        let bold = if row.chosen { "**" } else { "" };
        let why = cell(&row.why);
        writeln!(
            out,
            "| {bold}{}{bold} | {} | {} | {} | {} | {why} |",
            row.title, row.p95, row.rpo, row.availability, row.month
        )
        .ok();
    }
}

fn relax(out: &mut String, a: &Assessment) {
    let strategy = &a.numbers.strategy;
    if strategy.choice.relax.is_empty() {
        return;
    }
    writeln!(out).ok();
    for relax in &strategy.choice.relax {
        let because = relax.because.as_ref().map_or(String::new(), |because| format!(": {because}"));
        writeln!(out, "- **relax** {}", text(&format!("{}{because}", relax.says()))).ok();
    }
    if let Some(mended) = &strategy.mended {
        writeln!(out, "\nOr {}:\n", text(&numbers::lead(mended))).ok();
        for change in &mended.changes {
            let (says, write) = (text(&change.says), text(&change.write));
            writeln!(out, "1. {says} (`{write}`); then {}", numbers::then(change)).ok();
        }
        writeln!(out, "\n{}.", capital(&numbers::outcome(mended))).ok();
    }
}

fn figures(out: &mut String, a: &Assessment) {
    if let Some(forecast) = &a.numbers.forecast {
        folded(out, &format!("Forecast: RTO {}; RPO {}", a.numbers.rto(), a.numbers.rpo()), |out| {
            writeln!(out, "Availability: {}.\n", a.numbers.year()).ok();
            if let Some(why) = forecast.did_not_end() {
                writeln!(out, "**Error:** {why}\n").ok();
            }
            writeln!(out, "| part | p50 | p95 | p99 | of the RTO's p95 |\n|---|--:|--:|--:|--:|").ok();
            for phase in &forecast.phases {
                let (p50, p95, p99, of) = (phase.p50, phase.p95, phase.p99, phase.at_p95);
                writeln!(out, "| {} | {p50} | {p95} | {p99} | {of} |", phase.phase).ok();
            }
        });
    }
    folded(out, &format!("Cost: {} USD a month", a.numbers.month()), |out| {
        writeln!(out, "| | USD |\n|---|--:|").ok();
        for (name, sum) in a.numbers.sums() {
            writeln!(out, "| {} | {sum} |", cell(&name)).ok();
        }
        for (name, sum) in a.numbers.each() {
            writeln!(out, "| {name} | {sum} |").ok();
        }
        for row in a.numbers.rows() {
            if let Some(even) = row.even {
                writeln!(out, "| {} | {even} |", row.title).ok();
            }
        }
        for saving in &a.numbers.cost.savings {
            writeln!(out, "| would save | {} |", cell(&numbers::saving(saving))).ok();
        }
        for missing in &a.numbers.cost.cost.missing {
            writeln!(out, "| no price: {} | {} |", cell(&missing.item), cell(&missing.why)).ok();
        }
    });
}

fn folded(out: &mut String, summary: &str, inside: impl FnOnce(&mut String)) {
    writeln!(out, "\n<details><summary>{summary}</summary>\n").ok();
    inside(out);
    writeln!(out, "\n</details>").ok();
}

fn findings(out: &mut String, a: &Assessment, severity: Severity, title: &str) {
    let kinds = a.kinds(severity);
    if kinds.is_empty() {
        return;
    }
    let each = |out: &mut String| kinds.iter().for_each(|kind| finding(out, a, kind));
    match severity {
        Severity::Error => {
            writeln!(out, "\n## {title}").ok();
            each(out);
        }
        _ => folded(out, &format!("{title}: {}", kinds.iter().map(|kind| kind.of.len()).sum::<usize>()), each),
    }
}

fn finding(out: &mut String, a: &Assessment, kind: &Kind<'_>) {
    let stops = if kind.blocks() { ", stops a failover" } else { "" };
    let unsaid = if kind.unsaid() { ", nobody says" } else { "" };
    writeln!(out, "\n### {} <sub>`{}`{stops}{unsaid}</sub>\n", capital(kind.title), kind.id).ok();
    for finding in &kind.of {
        writeln!(out, "- `{}:{}` {}", a.file, finding.line, text(&finding.says)).ok();
    }
    for consequence in kind.consequences() {
        writeln!(out, "\n{}", text(consequence)).ok();
    }
    for remedy in kind.remedies() {
        writeln!(out, "\n**Do:** {}", text(remedy)).ok();
    }
}

fn accepted(out: &mut String, a: &Assessment) {
    let accepted: Vec<_> =
        a.findings.iter().filter_map(|told| Some((&told.finding, told.accepted.as_ref()?))).collect();
    if !accepted.is_empty() {
        folded(out, &format!("Accepted: {}", accepted.len()), |out| {
            writeln!(out, "| finding | line | by | until | reason |\n|---|---|---|---|---|").ok();
            for (finding, by) in accepted {
                let (owner, reason) = (cell(&by.owner), cell(&by.reason));
                writeln!(out, "| `{}` | {} | {owner} | {} | {reason} |", finding.id, finding.line, by.until).ok();
            }
        });
    }
    let idle = a.baseline.iter().flat_map(|baseline| &baseline.idle);
    let idle: Vec<String> = idle
        .map(|idle| {
            let why = idle_words(idle.why, &idle.entry.until.to_string());
            format!("- `{}` ({}): {why}", idle.entry.finding, text(&idle.entry.owner))
        })
        .collect();
    if !idle.is_empty() {
        writeln!(out, "\n## Entries of the baseline that accept nothing\n\n{}", idle.join("\n")).ok();
    }
}

fn questions(out: &mut String, a: &Assessment) {
    for group in GROUPS {
        let asked = a.asked(group);
        let arise = asked.of.len() - asked.idle;
        if arise == 0 {
            continue;
        }
        folded(out, &format!("Questions {}: {} of {arise} answered", group_words(group), asked.answered), |out| {
            writeln!(out, "| | question | answer |\n|---|---|---|").ok();
            for answer in asked.of {
                let said = match answer.state {
                    State::DoesNotArise => "does not arise".into(),
                    State::Unanswered => {
                        format!("**open**: write {}", codes(answer.missing.iter().map(String::as_str)))
                    }
                    State::Answered => answer
                        .from
                        .iter()
                        .map(|said| format!("`{}` {} (line {})", said.path, cell(&said.value), said.line))
                        .collect::<Vec<_>>()
                        .join("<br>"),
                };
                writeln!(out, "| {} | {} | {said} |", answer.number, cell(answer.question)).ok();
            }
        });
    }
}

fn readiness(out: &mut String, a: &Assessment) {
    let Some(first) = a.readiness.first() else { return };
    folded(out, "Readiness", |out| {
        let sites: Vec<String> = first.regions.iter().map(|(site, _)| site.to_string()).collect();
        writeln!(out, "| component | kind | {} | replication | RTO risk | RPO risk |", sites.join(" | ")).ok();
        writeln!(out, "|---|---|{}---|---|---|", "---|".repeat(sites.len())).ok();
        for ready in &a.readiness {
            let regions: Vec<&str> = ready.regions.iter().map(|(_, presence)| presence_words(*presence)).collect();
            let (rto, rpo) = (cell(&risk(&ready.rto_risk)), cell(&risk(&ready.rpo_risk)));
            let (regions, replication) = (regions.join(" | "), cell(&ready.replication));
            writeln!(out, "| {} | {} | {regions} | {replication} | {rto} | {rpo} |", ready.component, ready.kind).ok();
        }
    });
}

fn calls(out: &mut String, a: &Assessment) {
    let Some((from, to)) = a.recovery.as_ref().filter(|_| !a.calls.is_empty()) else { return };
    folded(out, &format!("What a recovery from {from} to {to} calls: {}", a.calls.len()), |out| {
        writeln!(out, "| act | component | call | answered by | plane | |\n|---|---|---|---|---|---|").ok();
        for call in &a.calls {
            let region = call.region.as_deref().unwrap_or("many places");
            let (act, plane, verdict) = (act_words(call), plane_words(call), verdict_words(call));
            writeln!(out, "| {act} | {} | `{}` | {region} | {plane} | {verdict} |", call.component, call.call).ok();
        }
    });
}

fn residency(out: &mut String, a: &Assessment) {
    if a.residency.is_empty() {
        return;
    }
    writeln!(out, "\n## Residency\n").ok();
    for residence in &a.residency {
        writeln!(out, "- {}", text(&residence_words(residence))).ok();
    }
}

fn codes<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
}

fn capital(line: &str) -> String {
    let mut letters = line.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + &text(letters.as_str()))
}

/// Words of a spec or a baseline cannot begin a tag or a link. Code in backquotes stays code.
fn text(words: &str) -> String {
    let mut code = false;
    let mut out = String::with_capacity(words.len());
    for letter in words.chars() {
        code ^= letter == '`';
        match letter {
            '<' if !code => out.push_str("&lt;"),
            '[' | ']' | '*' | '@' | '#' | '!' if !code => {
                out.push('\\');
                out.push(letter);
            }
            '\n' | '\r' => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}

/// The same in a cell of a table.
fn cell(words: &str) -> String {
    text(words).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_cannot_write_into_the_page() {
        assert_eq!(cell("a | <script> [x](y) `a<b` @all"), "a \\| &lt;script> \\[x\\](y) `a<b` \\@all");
        assert_eq!(text("two\nlines"), "two lines");
    }
}
