//! What the parts of a spec must say about each other.

mod backup;
mod components;
mod drills;
mod objectives;
mod references;
mod sites;
mod timing;

use serde_json::Value as Json;

use super::file::{Component, File, Site};
use super::problem::{Problem, Span};
use super::tree::Node;
use crate::topology::Timing;

/// `json` is the whole fitted file, `file` the part of it that has types. What is not `to_run` may leave things open, and
/// the machinery's own limits do not bind it: the assessment says what is missing.
pub(super) fn check(file: &File, json: &Json, tree: &Node, to_run: bool) -> Vec<Problem> {
    let timing = super::profile::timing(&file.timing);
    let mut rules = Rules { file, json, tree, to_run, timing, problems: Vec::new() };
    rules.identity();
    rules.sites();
    rules.residency();
    rules.approvals();
    rules.components();
    rules.references();
    rules.timing();
    rules.objectives();
    rules.drills();
    rules.problems
}

struct Rules<'f> {
    file: &'f File,
    json: &'f Json,
    tree: &'f Node,
    to_run: bool,
    timing: Timing,
    problems: Vec<Problem>,
}

impl<'f> Rules<'f> {
    /// Where the value at `path` stands, or the deepest part of the path that does.
    fn at(&self, path: &[&str]) -> Span {
        self.tree.locate(path)
    }
    /// Where the last key of `path` stands.
    fn key(&self, path: &[&str]) -> Span {
        self.tree.locate_key(path)
    }
    fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
    fn regions(&self) -> impl Iterator<Item = (&'f str, &'f Site)> + use<'f> {
        self.file.sites.iter().filter(|(_, site)| !site.witness)
    }
    fn region_names(&self) -> Vec<&'f str> {
        self.regions().map(|(name, _)| name).collect()
    }
    /// Every component, of whatever kind, and what the file says of it.
    fn all_components(&self) -> impl Iterator<Item = (&'f str, &'f Json)> + Clone + use<'f> {
        let components = self.json["components"].as_object().into_iter().flatten();
        components.map(|(name, component)| (name.as_str(), component))
    }
    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = (&'f str, &'f Component)> + use<'f> {
        self.file.components.iter().filter(move |(_, c)| c.kind() == kind)
    }

    fn identity(&mut self) {
        self.name("workload", &self.file.workload, self.at(&["workload"]));
        if self.file.artifact.as_ref().is_some_and(|artifact| artifact.trim().is_empty()) {
            let span = self.at(&["artifact"]);
            self.report(Problem::error("spec-name", span, "the artifact has no version", "empty"));
        }
    }

    /// Names end up in host names, certificates and paths: the letters that all of these take.
    fn name(&mut self, what: &str, name: &str, span: Span) {
        let letters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let ends = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) && !name.ends_with('-');
        if !(letters && ends && name.len() <= 40) {
            self.report(
                Problem::error("spec-name", span, format!("`{name}` cannot name a {what}"), "not a usable name")
                    .hint("use up to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends"),
            );
        }
    }

    fn approvals(&mut self) {
        let Some(approvals) = &self.file.approvals else { return };
        for (i, person) in approvals.approvers.iter().enumerate() {
            let span = self.at(&["approvals", "approvers", &i.to_string()]);
            self.name("person", person, span);
            if approvals.approvers[..i].contains(person) {
                let message = format!("`{person}` is listed twice as an approver");
                self.report(
                    Problem::error("spec-approvals", span, message, "already listed")
                        .hint("approvals count different people: list each person once"),
                );
            }
        }
        if approvals.word_holds.is_some_and(|l| l.0.is_zero()) {
            let span = self.at(&["approvals", "word_holds"]);
            let problem = Problem::error("spec-range", span, "nobody could give the second word in time", "above 0s");
            self.report(problem.hint("`15m` is the default"));
        }
        let people = approvals.approvers.len() as u32;
        let needed = [
            ("failover", approvals.failover),
            ("switchover", approvals.switchover),
            ("failback", approvals.failback),
            ("override", approvals.accept_loss),
        ];
        for (key, count) in needed {
            if count > people {
                let span = self.at(&["approvals", key]);
                let message = format!("`{key}` needs {count} people, but only {people} can approve");
                self.report(
                    Problem::error("spec-approvals", span, message, format!("more than the {people} approvers"))
                        .related(self.key(&["approvals", "approvers"]), "the approvers")
                        .hint("add approvers, or ask for fewer approvals (an override needs at least two)"),
                );
            }
        }
    }
}
