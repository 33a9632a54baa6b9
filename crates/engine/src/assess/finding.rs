//! A finding: what a rule found, in the words of its row.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use model::findings::{self, Risk, Row, Severity};
use model::time::human;
use model::topology::Plane;
use model::{ComponentId, Part, SiteId};
use serde::Serialize;

use super::view::View;

/// Something that would break a recovery, with its evidence: what, where in the spec, why it matters, what to do.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    pub id: &'static str,
    pub title: &'static str,
    pub severity: Severity,
    pub planes: &'static [Plane],
    pub risks: &'static [Risk],
    /// A failover does not succeed while this stands.
    pub blocks: bool,
    /// Nobody said how it is: it may well be good.
    pub unsaid: bool,
    pub components: Vec<ComponentId>,
    pub sites: Vec<SiteId>,
    /// The key that says it, or that should.
    pub path: String,
    /// The line of the spec; where the key is not written, of what is around it.
    pub line: usize,
    pub says: String,
    pub consequence: Cow<'static, str>,
    pub remedy: Cow<'static, str>,
    /// What the rule compared, by name.
    pub numbers: BTreeMap<&'static str, String>,
    pub source: &'static [String],
    /// The questions that it leaves without a good answer.
    pub answers: &'static [String],
}

/// What a rule hands in: the row and what to fill into its texts.
#[derive(Clone, Debug)]
pub struct Found {
    row: &'static Row,
    severity: Severity,
    blocks: bool,
    components: Vec<ComponentId>,
    sites: Vec<SiteId>,
    path: String,
    numbers: BTreeMap<&'static str, String>,
    says: Option<String>,
    unsaid: bool,
}

impl Found {
    /// At this path of the spec. The row must exist: a test of the rules makes every one of them.
    pub fn new(id: &str, path: impl Into<String>) -> Self {
        let row = findings::row(id).unwrap_or_else(|| panic!("no row `{id}` in crates/model/data/findings"));
        Self::of(row, path)
    }
    pub fn of(row: &'static Row, path: impl Into<String>) -> Self {
        let (severity, blocks) = (row.severity, row.blocks);
        let path = path.into();
        Self {
            row,
            severity,
            blocks,
            components: vec![],
            sites: vec![],
            path,
            numbers: BTreeMap::new(),
            says: None,
            unsaid: false,
        }
    }
    /// About this component, at its key.
    pub fn about(id: &str, part: &Part, key: &str) -> Self {
        let path =
            if key.is_empty() { format!("components.{}", part.id) } else { format!("components.{}.{key}", part.id) };
        Self::new(id, path).part(part)
    }
    pub fn part(mut self, part: &Part) -> Self {
        self.components.push(part.id.clone());
        self
    }
    /// In these regions; they are `{missing}` as well, unless that is set.
    pub fn sites(mut self, sites: &[SiteId]) -> Self {
        self.sites = sites.to_vec();
        self
    }
    pub fn site(self, site: &SiteId) -> Self {
        self.sites(std::slice::from_ref(site))
    }
    pub fn severity(mut self, severity: Severity) -> Self {
        self.blocks = self.blocks && severity == Severity::Error;
        self.severity = severity;
        self
    }
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.numbers.insert(name, value.into());
        self
    }
    pub fn time(self, name: &'static str, value: Duration) -> Self {
        self.with(name, human(value))
    }
    /// Nobody said how it is.
    pub fn unsaid(mut self) -> Self {
        self.unsaid = true;
        self
    }
    /// The same, with the words and the severity of what has no answer.
    pub fn left_unsaid(self) -> Self {
        let row = self.row;
        let says = if row.says.contains("{key}") { row.says.as_str() } else { "`{key}` is not answered" };
        self.severity(row.when_unsaid()).says(says).unsaid()
    }
    pub fn is_unsaid(&self) -> bool {
        self.unsaid
    }
    /// Instead of what the row says.
    pub fn says(mut self, says: impl Into<String>) -> Self {
        self.says = Some(says.into());
        self
    }

    pub fn told(self, view: &View<'_>) -> Finding {
        let line = view.design.line(&self.path);
        let row = self.row;
        // Most of these texts have nothing to fill in, and there may be thousands of findings.
        let fill = |template: &'static str| match template.contains('{') {
            true => Cow::Owned(self.fill(template)),
            false => Cow::Borrowed(template),
        };
        Finding {
            id: &row.id,
            title: &row.title,
            severity: self.severity,
            planes: &row.planes,
            risks: &row.risks,
            blocks: self.blocks,
            unsaid: self.unsaid,
            line,
            says: self.fill(self.says.as_deref().unwrap_or(&row.says)),
            consequence: fill(&row.consequence),
            remedy: fill(&row.remedy),
            source: &row.source,
            answers: &row.answers,
            components: self.components,
            sites: self.sites,
            path: self.path,
            numbers: self.numbers,
        }
    }

    /// The template with its placeholders filled; one that nobody set stays, and a test of the rules sees it.
    fn fill(&self, template: &str) -> String {
        let mut out = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                out.push('{');
                rest = after;
                continue;
            };
            match self.value(name) {
                Some(value) => out.push_str(&value),
                None => out.push_str(&format!("{{{name}}}")),
            }
            rest = after;
        }
        out + rest
    }

    fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.numbers.get(name) {
            return Some(value.clone());
        }
        match name {
            "component" => self.components.first().map(ComponentId::to_string),
            "sites" | "missing" if !self.sites.is_empty() => Some(listed(&self.sites)),
            "key" => Some(self.path.clone()),
            _ => None,
        }
    }
}

/// "a", "a and b", "a, b and c".
pub fn listed<T: ToString>(items: &[T]) -> String {
    let words: Vec<String> = items.iter().map(T::to_string).collect();
    match words.split_last() {
        None => "nothing".into(),
        Some((only, [])) => only.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_people_say_them() {
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b"]), "a and b");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
        assert_eq!(listed::<&str>(&[]), "nothing");
    }

    #[test]
    fn placeholders_are_filled_and_unknown_ones_show() {
        let found = Found::new("dns-ttl-exceeds-rto", "components.www.ttl").with("ttl", "10m");
        assert_eq!(found.fill("{ttl} and {rto} {"), "10m and {rto} {");
    }
}
