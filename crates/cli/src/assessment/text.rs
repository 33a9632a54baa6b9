//! An assessment as people read it in a terminal: the verdict, what stops a failover, what is wrong and what to do about
//! it, what nobody has answered yet. Long lists are folded unless all of it was asked for.

use engine::assess::{Answer, Call, Endangered, Presence, Ready, Residence, Standing, State, Why};
use model::findings::Severity;

use super::{Assessment, GROUPS, Kind, group_words, numbers, place, standing_words};
use crate::prose::{Ink, Prose, counted};
use crate::table;

/// Kinds of findings shown in full where lists are folded.
const IN_FULL: usize = 8;
/// Lines of everything else.
const LINES: usize = 12;
/// Places of one kind of finding.
const PLACES: usize = 4;

pub fn whole(assessment: &Assessment, prose: Prose, all: bool) -> String {
    let report = Report { a: assessment, prose, all };
    let parts = [
        report.headline(),
        assessment.numbers.strategies(prose),
        report.errors(),
        report.warnings(),
        report.notes(),
        report.accepted(),
        report.questions(),
        report.readiness(),
        report.calls(),
        report.residency(),
        assessment.numbers.forecast.as_ref().map_or_else(String::new, |forecast| {
            numbers::failover(forecast, prose) + &assessment.numbers.yearly(prose)
        }),
        assessment.numbers.cost(prose, all),
        report.next(),
    ];
    parts.concat()
}

struct Report<'a> {
    a: &'a Assessment,
    prose: Prose,
    all: bool,
}

impl Report<'_> {
    /// How many of `there` are shown, and what is said of the others.
    fn fold(&self, there: usize, shown: usize) -> usize {
        // One line more is no longer than the line that says that it is missing.
        if self.all || there <= shown + 1 { there } else { shown }
    }
    fn folded(&self, there: usize, shown: usize, noun: &str) -> String {
        if there <= shown {
            return String::new();
        }
        let more = format!("  … and {}: --all", counted(there - shown, &format!("more {noun}")));
        format!("{}\n", self.prose.ink(Ink::Soft, &more))
    }

    fn headline(&self) -> String {
        let Assessment { workload, standing, counts, .. } = self.a;
        let ink = match standing {
            Standing::NotReady => Ink::Red,
            Standing::AtRisk => Ink::Yellow,
            Standing::Ready => Ink::Green,
        };
        let (words, rest) = (standing_words(*standing), self.a.headline());
        let name = self.prose.ink(Ink::Bold, workload);
        let mut out = format!("{name} {}: {rest}\n", self.prose.ink(ink, words));
        if let Some(blocker) = &self.a.first_blocker {
            out += &self.prose.hanging(2, "", &format!("{} [{}]", blocker.says, blocker.finding));
        }
        out.push('\n');
        let objectives: Vec<String> = self.a.objectives.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let promised = if objectives.is_empty() { "nothing is promised".into() } else { objectives.join(", ") };
        let mut facts = vec![("promised", promised)];
        if let Some((from, to)) = &self.a.recovery {
            facts.push(("recovery", format!("from {from} to {to}")));
        }
        let accepted = if counts.accepted == 0 { String::new() } else { format!(", {} accepted", counts.accepted) };
        let found = [(counts.errors, "error"), (counts.warnings, "warning"), (counts.notes, "note")];
        let found = found.map(|(count, noun)| counted(count, noun)).join(", ");
        facts.push(("found", format!("{found}{accepted}, as of {}", self.a.today)));
        facts.push(("answered", answered(self.a)));
        facts.iter().for_each(|(name, value)| out += &self.prose.marked(13, Ink::Soft, &format!("  {name}"), value));
        out
    }

    fn errors(&self) -> String {
        let kinds = self.a.kinds(Severity::Error);
        if kinds.is_empty() {
            return String::new();
        }
        let shown = self.fold(kinds.len(), IN_FULL);
        let mut out = self.prose.heading("Errors: each stops a recovery, breaks an objective, or is not allowed");
        kinds[..shown].iter().for_each(|kind| out += &self.in_full(kind, Ink::Red));
        if shown < kinds.len() {
            out.push('\n');
            kinds[shown..].iter().for_each(|kind| out += &self.in_a_line(kind, Ink::Red));
        }
        out
    }

    fn warnings(&self) -> String {
        let kinds = self.a.kinds(Severity::Warning);
        if kinds.is_empty() {
            return String::new();
        }
        let mut out = self.prose.heading("Warnings: a recovery is endangered, or nobody says whether it is");
        if self.all {
            kinds.iter().for_each(|kind| out += &self.in_full(kind, Ink::Yellow));
            return out;
        }
        let shown = self.fold(kinds.len(), LINES);
        kinds[..shown].iter().for_each(|kind| out += &self.in_a_line(kind, Ink::Yellow));
        out + &self.folded(kinds.len(), shown, "kind")
    }

    fn notes(&self) -> String {
        let kinds = self.a.kinds(Severity::Note);
        if kinds.is_empty() {
            return String::new();
        }
        let mut out = self.prose.heading("Notes");
        if self.all {
            kinds.iter().for_each(|kind| out += &self.in_full(kind, Ink::Blue));
            return out;
        }
        let each = kinds.iter().map(|kind| match kind.of.len() {
            1 => kind.id.to_owned(),
            many => format!("{} ({many})", kind.id),
        });
        out += &self.prose.hanging(2, "", &each.collect::<Vec<_>>().join(", "));
        out
    }

    /// What, where, so what, and what to do.
    fn in_full(&self, kind: &Kind<'_>, ink: Ink) -> String {
        let mut out = format!("\n{}", self.title(kind, ink));
        let shown = self.fold(kind.of.len(), PLACES);
        let places: Vec<String> = kind.of[..shown].iter().map(|finding| place(&self.a.file, finding.line)).collect();
        let indent = 6 + places.iter().map(String::len).max().unwrap_or(0);
        for (finding, place) in kind.of.iter().zip(&places) {
            out += &self.prose.marked(indent, Ink::Blue, &format!("    {place}"), &finding.says);
        }
        out += &self.folded(kind.of.len(), shown, "place").replacen("  …", "    …", 1);
        for text in kind.consequences().into_iter().take(if self.all { usize::MAX } else { 1 }) {
            out += &self.prose.marked(8, Ink::Soft, "    so", text);
        }
        for text in kind.remedies().into_iter().take(if self.all { usize::MAX } else { 2 }) {
            out += &self.prose.marked(8, Ink::Soft, "    do", text);
        }
        out
    }

    fn title(&self, kind: &Kind<'_>, ink: Ink) -> String {
        let unsaid = if kind.unsaid() { ", nobody says" } else { "" };
        let stops = if kind.blocks() { ", stops a failover" } else { "" };
        let marks = self.prose.ink(Ink::Soft, &format!("[{}]{stops}{unsaid}", kind.id));
        format!("  {} {marks}\n", self.prose.ink(ink, kind.title))
    }

    fn in_a_line(&self, kind: &Kind<'_>, ink: Ink) -> String {
        let Some(first) = kind.of.first() else { return String::new() };
        let more = match kind.of.len() {
            1 => String::new(),
            many => format!(" (and {} like it)", many - 1),
        };
        let head = self.title(kind, ink);
        let place = place(&self.a.file, first.line);
        let indent = 6 + place.len();
        let says = format!("{}{more}", first.says);
        head + &self.prose.marked(indent, Ink::Blue, &format!("    {place}"), &says)
    }

    /// What a baseline accepts, and what it accepts no more.
    fn accepted(&self) -> String {
        let Some(baseline) = &self.a.baseline else { return String::new() };
        let mut out = String::new();
        let accepted = self.a.findings.iter().filter_map(|told| Some((&told.finding, told.accepted.as_ref()?)));
        let accepted: Vec<_> = accepted.collect();
        if !accepted.is_empty() {
            out += &self.prose.heading("Accepted");
            let shown = self.fold(accepted.len(), LINES);
            for (finding, by) in &accepted[..shown] {
                let said =
                    format!("{} [{}], by {} until {}: {}", finding.title, finding.id, by.owner, by.until, by.reason);
                let place = place(&self.a.file, finding.line);
                out += &self.prose.marked(4 + place.len(), Ink::Blue, &format!("  {place}"), &said);
            }
            out += &self.folded(accepted.len(), shown, "finding");
        }
        if !baseline.idle.is_empty() {
            out += &self.prose.heading("Entries of the baseline that accept nothing");
            for idle in &baseline.idle {
                let at = idle.entry.at.as_ref().map_or(String::new(), |at| format!(" at {at}"));
                let why = idle_words(idle.why, &idle.entry.until.to_string());
                let said = format!("{}{at} ({}): {why}", idle.entry.finding, idle.entry.owner);
                out += &self.prose.hanging(2, "", &said);
            }
        }
        out
    }

    /// Those of the review are what people ask first; the others are a line each where lists are folded.
    fn questions(&self) -> String {
        let mut out = String::new();
        let mut others = String::new();
        for group in GROUPS {
            let asked = self.a.asked(group);
            let arise = asked.of.len() - asked.idle;
            if arise == 0 || (asked.open == 0 && !self.all) {
                continue;
            }
            let title = format!("{}: {} of {arise} answered", group_words(group), asked.answered);
            if group != GROUPS[0] && !self.all {
                others += &self.prose.hanging(2, "", &title);
                continue;
            }
            let open = if self.all { "" } else { "; open:" };
            out += &self.prose.heading(&format!("Questions {title}{open}"));
            let wanted = |answer: &&&Answer| self.all || answer.state == State::Unanswered;
            let listed: Vec<&&Answer> = asked.of.iter().filter(wanted).collect();
            let shown = self.fold(listed.len(), LINES);
            listed[..shown].iter().for_each(|answer| out += &self.question(answer));
            out += &self.folded(listed.len(), shown, "question");
        }
        if !others.is_empty() {
            out += &self.prose.heading("Other questions, open ones with --all");
            out += &others;
        }
        out
    }

    fn question(&self, answer: &Answer) -> String {
        let asked = format!("{:>4}. ", answer.number);
        let mut out = self.prose.hanging(6, &asked, answer.question);
        match answer.state {
            State::Unanswered => {
                let keys: Vec<&str> = answer.missing.iter().map(String::as_str).collect();
                out += &self.prose.marked(6, Ink::Yellow, "      ", &format!("write {}", some(&keys, self.all)));
            }
            State::Answered => {
                let said: Vec<String> = answer
                    .from
                    .iter()
                    .map(|said| format!("{}: {} (line {})", said.path, said.value, said.line))
                    .collect();
                let said: Vec<&str> = said.iter().map(String::as_str).collect();
                out += &self.prose.hanging(6, "", &some(&said, true));
            }
            State::DoesNotArise => out += &self.prose.hanging(6, "", "does not arise"),
        }
        out
    }

    fn readiness(&self) -> String {
        let Some(first) = self.a.readiness.first() else { return String::new() };
        let mut out = self.prose.heading("Readiness");
        let sites = first.regions.iter().map(|(site, _)| site.to_string());
        let ends = ["replication", "RTO risk", "RPO risk"].map(str::to_owned);
        let header: Vec<String> = std::iter::once("component".to_owned()).chain(sites).chain(ends).collect();
        let mut rows: Vec<&Ready> = self.a.readiness.iter().collect();
        // What is endangered is what is looked for; the file's order otherwise.
        rows.sort_by_key(|ready| std::cmp::Reverse(worst(ready)));
        let endangered = rows.iter().filter(|ready| worst(ready) >= Some(Severity::Warning)).count();
        let shown = self.fold(rows.len(), endangered.clamp(3, LINES));
        out += &indented(&table::draw_wide(header, rows[..shown].iter().map(|ready| self.ready(ready))));
        out + &self.folded(rows.len(), shown, "component")
    }

    fn ready(&self, ready: &Ready) -> Vec<String> {
        let regions = ready.regions.iter().map(|(_, presence)| presence_words(*presence).to_owned());
        let ends = [ready.replication.clone(), risk(&ready.rto_risk), risk(&ready.rpo_risk)];
        std::iter::once(ready.component.to_string()).chain(regions).chain(ends).collect()
    }

    fn calls(&self) -> String {
        let Some((from, to)) = self.a.recovery.as_ref().filter(|_| !self.a.calls.is_empty()) else {
            return String::new();
        };
        let mut out = self.prose.heading(&format!("What a recovery from {from} to {to} calls"));
        let refused = self.a.calls.iter().filter(|call| call.verdict.refused()).count();
        let shown = if refused > LINES { self.a.calls.len() } else { self.fold(self.a.calls.len(), LINES) };
        let rows = self.a.calls[..shown].iter().map(call_row);
        out += &indented(&table::draw(["act", "component", "call", "answered by", "plane", ""], rows));
        out += &self.folded(self.a.calls.len(), shown, "call");
        let mut instead: Vec<&str> = Vec::new();
        for text in self.a.calls.iter().filter_map(|call| call.instead) {
            if !instead.contains(&text) {
                instead.push(text);
            }
        }
        for text in instead {
            out += &self.prose.marked(11, Ink::Soft, "  instead", text);
        }
        out
    }

    fn residency(&self) -> String {
        if self.a.residency.is_empty() {
            return String::new();
        }
        let mut out = self.prose.heading("Residency");
        for residence in &self.a.residency {
            out += &self.prose.hanging(2, "", &residence_words(residence));
        }
        out
    }

    fn next(&self) -> String {
        let Some(worst) = self.a.open().next() else { return String::new() };
        let explain = format!("antipode explain {}", worst.finding.id);
        let all = if self.all { "" } else { "; --all shows everything" };
        format!("\n{}\n", self.prose.ink(Ink::Soft, &format!("`{explain}` explains a finding{all}")))
    }
}

fn answered(assessment: &Assessment) -> String {
    let review = assessment.asked(GROUPS[0]);
    let idle = if review.idle == 0 { String::new() } else { format!(", {} do not arise", review.idle) };
    format!("{} of {} questions of a design review{idle}", review.answered, review.of.len())
}

fn worst(ready: &Ready) -> Option<Severity> {
    ready.rto_risk.severity.max(ready.rpo_risk.severity)
}

pub fn idle_words(why: Why, until: &str) -> String {
    match why {
        Why::Expired => format!("it held until {until}"),
        Why::Worse => "the finding has become worse than what was accepted".into(),
        Why::Unmatched => "there is no such finding (any more)".into(),
    }
}

/// A few of them, and how many there are.
fn some(items: &[&str], all: bool) -> String {
    const FEW: usize = 3;
    let rest = items.len().saturating_sub(FEW);
    if all || rest <= 1 { items.join(", ") } else { format!("{} and {rest} more", items[..FEW].join(", ")) }
}

pub fn presence_words(presence: Presence) -> &'static str {
    match presence {
        Presence::Serves => "serves",
        Presence::StandsBy => "stands by",
        Presence::Absent => "absent",
        Presence::Global => "global",
    }
}

pub fn risk(risk: &Endangered) -> String {
    match risk.severity {
        Some(severity) => format!("{severity}: {}", risk.why),
        None => risk.why.clone(),
    }
}

fn call_row(call: &Call) -> [String; 6] {
    let verdict = verdict_words(call);
    let region = call.region.clone().unwrap_or_else(|| "many places".into());
    [act_words(call), call.component.to_string(), call.call.clone(), region, plane_words(call), verdict.into()]
}

pub fn act_words(call: &Call) -> String {
    serde_json::to_value(call.act).ok().and_then(|act| act.as_str().map(str::to_owned)).unwrap_or_default()
}

pub fn plane_words(call: &Call) -> String {
    serde_json::to_value(call.plane).ok().and_then(|plane| plane.as_str().map(str::to_owned)).unwrap_or_default()
}

pub fn verdict_words(call: &Call) -> &'static str {
    use engine::assess::Verdict;
    match call.verdict {
        Verdict::Fine => "fine",
        Verdict::BestEffort => "best effort",
        Verdict::Avoidable => "could stand ready",
        Verdict::GlobalControlPlane => "REFUSED: one home for all regions",
        Verdict::LostRegion => "REFUSED: in the region that is lost",
    }
}

pub fn residence_words(residence: &Residence) -> String {
    let listed = |sites: &[model::SiteId]| sites.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let held = if residence.held_in.is_empty() { "nowhere".into() } else { listed(&residence.held_in) };
    let approved = match &residence.approved {
        Some(sites) => format!("approved in {}", listed(sites)),
        None => "nobody said where it may be".into(),
    };
    let not = match residence.not_approved.is_empty() {
        true => String::new(),
        false => format!("; NOT APPROVED in {}", listed(&residence.not_approved)),
    };
    format!("{}: held in {held}; {approved}{not}", residence.class)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
