//! The questions of a design review, each answered from the spec, with the line that answers it, or left open.

use std::collections::BTreeSet;

use model::findings::{self, Fact, Group, Need, Of, Question, When};
use model::time::human;
use model::{Design, Part};
use serde::Serialize;

use super::checklist::{asked, path, per, shown};
use super::finding::{Finding, Found};
use super::view::{self, View};

/// One question, and what the spec says to it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Answer {
    pub id: &'static str,
    pub group: Group,
    /// In its group, from 1.
    pub number: usize,
    pub question: &'static str,
    pub state: State,
    /// What answers it, or a part of it.
    pub from: Vec<Said>,
    /// The keys that would.
    pub missing: Vec<String>,
    pub source: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Answered,
    Unanswered,
    /// The design gives no reason to ask it.
    DoesNotArise,
}

/// A key of the spec and its value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Said {
    pub path: String,
    /// Of the spec. A value that holds by default has the line of what it holds for.
    pub line: usize,
    pub value: String,
}

pub fn answers(view: &View<'_>) -> Vec<Answer> {
    findings::questions().iter().map(|question| answer(view, question)).collect()
}

fn answer(view: &View<'_>, question: &'static Question) -> Answer {
    let (state, from, missing) = if view.all(&question.when, None) {
        judge(view, question)
    } else {
        (State::DoesNotArise, Vec::new(), Vec::new())
    };
    Answer {
        id: &question.id,
        group: question.group,
        number: question.number(),
        question: &question.text,
        state,
        from,
        missing,
        source: &question.source,
    }
}

fn judge(view: &View<'_>, question: &Question) -> (State, Vec<Said>, Vec<String>) {
    let facts: Vec<Looked> = match (&question.need, one_facet(question)) {
        (Need::Any, Some(facet)) => vec![any_of(view, facet, &question.facts)],
        _ => question.facts.iter().map(|fact| look(view, fact)).collect(),
    };
    let complete = |looked: &Looked| looked.missing.is_empty() && !looked.said.is_empty();
    let answered = match question.need {
        Need::Any => facts.iter().any(complete),
        Need::All => facts.iter().all(|looked| looked.missing.is_empty()) && facts.iter().any(complete),
    };
    let idle = facts.iter().all(|looked| looked.missing.is_empty() && looked.said.is_empty() && looked.conditional);
    let state = match (answered, idle) {
        (true, _) => State::Answered,
        (false, true) => State::DoesNotArise,
        (false, false) => State::Unanswered,
    };
    let mut missing: Vec<String> = Vec::new();
    for path in facts.iter().flat_map(|looked| &looked.missing) {
        if !missing.contains(path) {
            missing.push(path.clone());
        }
    }
    if state == State::Unanswered && missing.is_empty() {
        missing = question.facts.iter().map(|fact| path(&fact.of, &fact.key)).collect();
        missing.dedup();
    }
    if state == State::Answered {
        missing.clear();
    }
    let mut from: Vec<Said> = Vec::new();
    for said in facts.into_iter().flat_map(|looked| looked.said) {
        if !from.contains(&said) {
            from.push(said);
        }
    }
    (state, from, missing)
}

/// Whether nobody has to answer because it is asked of some components only. Where there is no router, nothing answers what
/// is asked of names.
fn conditional(view: &View<'_>, fact: &Fact) -> bool {
    fact.when.iter().any(|condition| *condition != When::Dns || view.routers().next().is_some())
}

/// What was found at one fact's keys.
#[derive(Default)]
struct Looked {
    said: Vec<Said>,
    missing: Vec<String>,
    /// It is asked of some components only.
    conditional: bool,
}

fn one_facet(question: &Question) -> Option<&str> {
    let Of::Facet(first) = &question.facts.first()?.of else { return None };
    let several = question.facts.iter().any(|fact| fact.key != question.facts[0].key);
    (several && question.facts.iter().all(|fact| fact.of == Of::Facet(first.clone()))).then_some(first)
}

/// Each component must have one of the keys.
fn any_of(view: &View<'_>, facet: &str, facts: &[Fact]) -> Looked {
    let mut looked = Looked::default();
    for part in asked(view, facet, &facts[0].key) {
        match facts.iter().find_map(|fact| said(view, part, &fact.key)) {
            Some(said) => looked.said.push(said),
            None => looked.missing.extend(facts.first().map(|fact| format!("components.{}.{}", part.id, fact.key))),
        }
    }
    looked
}

fn look(view: &View<'_>, fact: &Fact) -> Looked {
    let mut looked = Looked { conditional: conditional(view, fact), ..Looked::default() };
    let Of::Facet(facet) = &fact.of else {
        let path = path(&fact.of, &fact.key);
        match top(view.design, fact) {
            Some(value) => looked.said.push(Said { line: view.design.line(&path), value, path }),
            None => looked.missing.push(path),
        }
        return looked;
    };
    let asked = asked(view, facet, &fact.key);
    for part in asked.filter(|part| view.all(&fact.when, Some(part))) {
        match said(view, part, &fact.key) {
            Some(said) => looked.said.push(said),
            None => looked.missing.push(format!("components.{}.{}", part.id, fact.key)),
        }
    }
    looked
}

/// What a component says under a key, or what its kind says for it.
fn said(view: &View<'_>, part: &Part, key: &str) -> Option<Said> {
    let written = part.values.iter().find(|(name, _)| *name == key).map(|(_, value)| shown(value));
    let value = written.or_else(|| by_kind(part, key))?;
    let path = format!("components.{}.{key}", part.id);
    Some(Said { line: view.design.line(&path), value, path })
}

fn by_kind(part: &Part, key: &str) -> Option<String> {
    let mode = view::mode(part);
    let unbounded = || "nothing bounds it".to_owned();
    match key {
        "rpo_typical" | "rpo_worst" if view::unreplicated(part) => part.duration("backup.every").map(human),
        "standby_writable" | "promote" | "deletes" | "writers" | "failback" if view::unreplicated(part) => {
            Some("it has no copy".into())
        }
        "rpo_typical" => part.duration("lag").or(mode?.rpo_typical).map(human),
        "rpo_worst" => mode.map(|_| view::worst_loss(part).map_or_else(unbounded, human)),
        "standby_writable" => mode.map(|mode| mode.secondary_writable.to_string()),
        "lag" => mode?.rpo_typical.map(human),
        "replication" => view::unreplicated(part).then(|| "none: its kind keeps no copies in other regions".into()),
        _ => None,
    }
}

/// A key that is not of a component.
fn top(design: &Design, fact: &Fact) -> Option<String> {
    let (objectives, losses) = (&design.objectives, &design.losses);
    let money = |rate: model::value::Rate| format!("{} USD/{}", rate.amount.normalize(), per(rate.per));
    match (&fact.of, fact.key.as_str()) {
        (Of::Practice, key) => design.practice.get(key).map(shown),
        (Of::Objectives, "rto") => objectives.rto.map(human),
        (Of::Objectives, "rpo") => objectives.rpo.map(human),
        (Of::Objectives, "added_latency") => objectives.added_latency.map(human),
        (Of::Objectives, "availability") => objectives.availability.map(|share| format!("{share}%")),
        (Of::Objectives, "budget") => objectives.budget.map(|usd| format!("{usd} a month")),
        (Of::Objectives, "workflows") => objectives.workflows.as_ref().map(|names| names.join(", ")),
        (Of::Losses, "downtime") => losses.downtime.map(money),
        (Of::Losses, "data") => losses.data.map(money),
        (Of::Losses, "inconsistency") => losses.inconsistency.map(|usd| usd.to_string()),
        (Of::Workload, "strategy") => design.strategy.map(|strategy| strategy.word().to_owned()),
        (Of::Workload, "residency") => {
            let class =
                |(class, sites): (&String, &Vec<model::SiteId>)| format!("{class}: {}", super::finding::listed(sites));
            (!design.residency.is_empty()).then(|| design.residency.iter().map(class).collect::<Vec<_>>().join("; "))
        }
        _ => None,
    }
}

/// A question of the review that is open is a finding itself, unless a finding stands at each key that would answer it.
/// It goes by keys, and not by what else is found, so that one good answer never brings up another question.
pub fn open(answers: &[Answer], findings: &[Finding]) -> Vec<Found> {
    let asked: BTreeSet<&str> = findings.iter().map(|finding| finding.path.as_str()).collect();
    let open = answers.iter().filter(|answer| answer.group == Group::Review && answer.state == State::Unanswered);
    let unspoken = open.filter(|answer| !answer.missing.iter().all(|path| asked.contains(path.as_str())));
    unspoken.map(told).collect()
}

fn told(answer: &Answer) -> Found {
    // Where no component has the key, the section of components is the place to look.
    let path = answer.missing.first().map(|path| path.replace("components.*.", "components.")).unwrap_or_default();
    let missing: Vec<String> = answer.missing.iter().map(|path| format!("`{path}`")).collect();
    let found = Found::new("question-unanswered", path).with("question", answer.question);
    found.with("missing", super::finding::listed(&missing)).unsaid()
}
