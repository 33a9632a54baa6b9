//! A case as it stands in a file: what is given, then a line for each order, with what must come of it.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

/// What can be ordered, as a line says it.
pub trait Told: Sized {
    fn parse(text: &str) -> Self;
    /// It changes nothing.
    fn looks(&self) -> bool;
}

/// One of the two regions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Where {
    A,
    B,
}

impl Where {
    pub const BOTH: [Where; 2] = [Where::A, Where::B];
    pub fn number(self) -> usize {
        self as usize
    }
    pub fn name(self) -> &'static str {
        ["a", "b"][self.number()]
    }
    pub fn other(self) -> Self {
        Where::BOTH[1 - self.number()]
    }
    pub fn parse(word: &str) -> Self {
        *Where::BOTH
            .iter()
            .find(|region| region.name() == word)
            .unwrap_or_else(|| panic!("`{word}` is neither a nor b"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// Two regions without data.
    Nothing,
    /// `a` writes in epoch 1 and has the writes 1 to 3; `b` has no data.
    Single,
    /// Likewise, and `b` streams from `a`.
    Pair,
    /// The agent of `a`, which has no database here.
    Agent,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Empty where an order tells nothing.
    End(String),
    /// All of these, sooner or later.
    Facts(BTreeSet<String>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Modelled,
    Real,
}

#[derive(Clone, Debug)]
pub struct Line<O> {
    pub text: String,
    pub order: O,
    modelled: Expected,
    real: Expected,
    /// Why the two differ.
    pub because: Option<String>,
}

impl<O> Line<O> {
    pub fn expected(&self, side: Side) -> &Expected {
        match side {
            Side::Modelled => &self.modelled,
            Side::Real => &self.real,
        }
    }

    /// A difference as it stands on the page.
    pub fn row(&self, title: &str) -> String {
        let said = |expected: &Expected| match expected {
            Expected::End(end) => end.clone(),
            Expected::Facts(facts) => facts.iter().cloned().collect::<Vec<_>>().join(", "),
        };
        let because = self.because.as_deref().unwrap_or_default();
        format!("| {title} | `{}` | {} | {} | {because} |", self.text, said(&self.modelled), said(&self.real))
    }
}

#[derive(Clone, Debug)]
pub struct Case<O> {
    pub title: String,
    pub given: Given,
    pub lines: Vec<Line<O>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    case: String,
    given: Given,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    Same(String),
    Different(Difference),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    step: String,
    modelled: String,
    real: String,
    because: String,
}

pub fn read<O: Told>(file: &Path) -> Vec<Case<O>> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let written: Vec<Written> =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let case = |Written { case, given, steps }: Written| {
        let lines = steps.into_iter().map(line).collect();
        Case { title: case, given, lines }
    };
    written.into_iter().map(case).collect()
}

fn line<O: Told>(step: Step) -> Line<O> {
    let (text, modelled, real, because) = match step {
        Step::Same(text) => {
            let (order, end) = text.split_once(" -> ").unwrap_or((&text, ""));
            (order.to_owned(), end.to_owned(), end.to_owned(), None)
        }
        Step::Different(Difference { step, modelled, real, because }) => (step, modelled, real, Some(because)),
    };
    let order = O::parse(&text);
    let expected = |end: String| match order.looks() {
        true => Expected::Facts(end.split(", ").map(str::to_owned).collect()),
        false => Expected::End(end),
    };
    Line { modelled: expected(modelled), real: expected(real), order, text, because }
}
