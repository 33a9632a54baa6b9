//! The assessment as one page that needs nothing else: its style is inside, nothing is fetched. askama escapes every value.

use askama::Template;
use engine::assess::strategy::{Change, Mended};
use engine::assess::{Answer, Call, Endangered, Ready, Standing, State};
use engine::cost::Saving;
use model::findings::{Group, Severity};

use super::text::{act_words, idle_words, plane_words, presence_words, residence_words, risk, verdict_words};
use super::{Asked, Assessment, GROUPS, Kind, Told, group_words, numbers, standing_words};

/// The page. Fails only if formatting does, which is a defect.
pub fn page(assessment: &Assessment) -> Result<String, std::fmt::Error> {
    Page { a: assessment }.render().map_err(|_| std::fmt::Error)
}

#[derive(Template)]
#[template(path = "assessment.html")]
struct Page<'a> {
    a: &'a Assessment,
}

/// Escaped, with the words between backquotes as code. What is left of a backquote without its other half is text.
pub fn coded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let parts: Vec<&str> = text.split('`').collect();
    for (number, part) in parts.iter().enumerate() {
        let code = number % 2 == 1 && number + 1 < parts.len();
        out += if code { "<code>" } else { "" };
        for letter in part.chars() {
            match letter {
                '<' => out += "&lt;",
                '>' => out += "&gt;",
                '&' => out += "&amp;",
                '"' => out += "&quot;",
                '\'' => out += "&#39;",
                _ => out.push(letter),
            }
        }
        out += if code { "</code>" } else { "" };
    }
    out
}

impl<'a> Page<'a> {
    fn coded(&self, text: &str) -> String {
        coded(text)
    }
    fn picture(&self) -> Option<String> {
        let (rto, budget) = self.a.limits;
        self.a.numbers.picture(rto, budget)
    }
    fn review(&self) -> Asked<'a> {
        self.a.asked(GROUPS[0])
    }
    /// "from A to B".
    fn way(&self) -> Option<String> {
        self.a.recovery.as_ref().map(|(from, to)| format!("from {from} to {to}"))
    }
    fn standing(&self) -> &'static str {
        standing_words(self.a.standing)
    }
    fn tone(&self) -> &'static str {
        match self.a.standing {
            Standing::Ready => "good",
            Standing::AtRisk => "warn",
            Standing::NotReady => "bad",
        }
    }
    fn sections(&self) -> Vec<Section<'a>> {
        let all = [
            (Severity::Error, "Errors", "Each stops a recovery, breaks an objective, or is not allowed."),
            (Severity::Warning, "Warnings", "A recovery is endangered, or nobody says whether it is."),
            (Severity::Note, "Notes", "Good to know. Nothing fails because of one of them alone."),
        ];
        let section = |(severity, title, about)| {
            let kinds = self.a.kinds(severity);
            let count = kinds.iter().map(|kind| kind.of.len()).sum();
            Section { severity, title, about, kinds, count }
        };
        all.map(section).into_iter().filter(|section| section.count > 0).collect()
    }
    fn accepted(&self) -> Vec<AcceptedRow<'a>> {
        let row = |told: &'a Told| {
            let by = told.accepted.as_ref()?;
            let until = by.until.to_string();
            Some(AcceptedRow {
                id: told.finding.id,
                line: told.finding.line,
                owner: &by.owner,
                reason: &by.reason,
                until,
            })
        };
        self.a.findings.iter().filter_map(row).collect()
    }
    fn idle(&self) -> Vec<(String, String)> {
        let idle = self.a.baseline.iter().flat_map(|baseline| &baseline.idle);
        idle.map(|idle| (idle.entry.finding.clone(), idle_words(idle.why, &idle.entry.until.to_string()))).collect()
    }
    fn groups(&self) -> Vec<(String, Asked<'a>)> {
        let group = |group: Group| {
            let asked = self.a.asked(group);
            let arise = asked.of.len() - asked.idle;
            (arise > 0).then(|| (format!("{}: {} of {arise} answered", group_words(group), asked.answered), asked))
        };
        GROUPS.into_iter().filter_map(group).collect()
    }
    fn state(&self, answer: &Answer) -> &'static str {
        match answer.state {
            State::Answered => "answered",
            State::Unanswered => "open",
            State::DoesNotArise => "does not arise",
        }
    }
    fn sites(&self) -> Vec<String> {
        let regions = self.a.readiness.first().map(|ready| &ready.regions);
        regions.into_iter().flatten().map(|(site, _)| site.to_string()).collect()
    }
    fn presences(&self, ready: &Ready) -> Vec<&'static str> {
        ready.regions.iter().map(|(_, presence)| presence_words(*presence)).collect()
    }
    fn risk(&self, endangered: &Endangered) -> String {
        risk(endangered)
    }
    fn risk_tone(&self, endangered: &Endangered) -> &'static str {
        match endangered.severity {
            Some(Severity::Error) => "bad",
            Some(Severity::Warning) => "warn",
            Some(Severity::Note) | None => "soft",
        }
    }
    fn act(&self, call: &Call) -> String {
        act_words(call)
    }
    fn plane(&self, call: &Call) -> String {
        plane_words(call)
    }
    fn verdict(&self, call: &Call) -> &'static str {
        verdict_words(call)
    }
    fn saving(&self, saving: &Saving) -> String {
        numbers::saving(saving)
    }
    fn lead(&self, mended: &Mended) -> String {
        numbers::lead(mended)
    }
    fn then(&self, change: &Change) -> String {
        numbers::then(change)
    }
    fn mended(&self, mended: &Mended) -> String {
        numbers::outcome(mended)
    }
    fn residences(&self) -> Vec<String> {
        self.a.residency.iter().map(residence_words).collect()
    }
}

struct Section<'a> {
    severity: Severity,
    title: &'static str,
    about: &'static str,
    kinds: Vec<Kind<'a>>,
    count: usize,
}

struct AcceptedRow<'a> {
    id: &'static str,
    line: usize,
    owner: &'a str,
    reason: &'a str,
    until: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_cannot_write_into_the_page() {
        assert_eq!(coded("`a<b` & <script> `half"), "<code>a&lt;b</code> &amp; &lt;script&gt; half");
    }
}
