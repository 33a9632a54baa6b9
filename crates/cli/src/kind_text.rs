//! What is known of a kind of component, as a terminal shows it: what can be written of it, and how it behaves in a recovery.

use std::time::Duration;

use model::catalogue::{Act, CallPlane, Home, Kind, Mode, Promotion, Zones, catalogue, place, scope, takes};
use model::time::human;

use crate::prose::{Ink, Prose};
use crate::table;

/// A line each.
pub fn list() -> String {
    let wide = catalogue().kinds().map(|kind| kind.name.len()).max().unwrap_or_default();
    let line = |kind: &Kind| {
        let plane = format!("{:?}", kind.plane).to_lowercase();
        let runs = if kind.runs { " (run by this version)" } else { "" };
        format!("{:wide$}  {plane:7}  {}{runs}\n", kind.name, kind.title)
    };
    catalogue().kinds().map(line).collect()
}

pub fn page(kind: &Kind, prose: Prose) -> String {
    let plane = format!("{:?}", kind.plane).to_lowercase();
    let run = if kind.runs { "this version runs it" } else { "this version assesses it" };
    let mut out = format!("{}\n\n", prose.ink(Ink::Bold, &format!("{} ({})", kind.title, kind.name)));
    out += &prose.paragraph(&kind.about);
    out += &prose.paragraph(&format!("Of the {plane} plane; scope: {}; {run}.", scope(kind)));
    out += &copies(kind, prose);
    out += &acts(kind, prose);
    out += &facts(kind, prose);
    out += &keys(kind, prose);
    let sources = sources(kind);
    if !sources.is_empty() {
        out += &prose.heading("Sources");
        out.extend(sources.iter().map(|source| prose.hanging(4, "  -", source)));
    }
    out
}

/// Its own keys first, then those that it shares, by their groups.
fn keys(kind: &Kind, prose: Prose) -> String {
    let mut keys: Vec<_> = kind.keys.values().collect();
    let group = |name: &Option<String>| name.as_ref().and_then(|name| kind.facets.iter().position(|f| f == name));
    keys.sort_by_key(|key| group(&key.facet).map_or(0, |place| place + 1));
    let row = |key: &&model::catalogue::Key| {
        let default = kind.defaults.get(&key.name).or(key.default.as_ref());
        let default = default.map(|value| format!(" Default: {}.", value.to_string().replace('"', "")));
        // What the kind sets stands for what its group says of the default.
        let about = if default.is_some() { key.about.split(" Default:").next() } else { None };
        let about = format!("{}{}", about.unwrap_or(&key.about), default.unwrap_or_default());
        [key.name.clone(), takes(key).replace('`', ""), about]
    };
    prose.heading("What can be written") + &table::draw(["key", "takes", ""], keys.iter().map(row))
}

fn copies(kind: &Kind, prose: Prose) -> String {
    let lost = |time: Option<Duration>, unknown: &str| match time {
        Some(Duration::ZERO) => "nothing".to_owned(),
        Some(time) => human(time),
        None => unknown.to_owned(),
    };
    let row = |mode: &Mode| {
        let promotion = match mode.promotion {
            Promotion::Manual => "by a call",
            Promotion::Automatic => "by itself",
            Promotion::None => "not needed",
        };
        let (typical, worst) = match place(mode) {
            "nowhere" => ("all of it".to_owned(), "all of it".to_owned()),
            _ => (lost(mode.rpo_typical, "not known"), lost(mode.rpo_worst, "nothing bounds it")),
        };
        [mode.mode.word().to_owned(), place(mode).to_owned(), typical, worst, promotion.to_owned()]
    };
    if kind.replication.is_empty() {
        return String::new();
    }
    let header = ["mode", "where", "usually lost", "at worst", "made the writer"];
    prose.heading("How it is copied") + &table::draw(header, kind.replication.iter().map(row))
}

fn acts(kind: &Kind, prose: Prose) -> String {
    let row = |act: &Act| {
        let plane = if act.plane == CallPlane::Control { "control plane" } else { "data plane" };
        let answers = match &act.home {
            Home::Target => format!("{plane} of the region that is moved to"),
            Home::Source => format!("{plane} of the region that is left"),
            Home::Everywhere => format!("{plane}, in many places"),
            Home::Region(region) => format!("{plane} in {region}"),
        };
        let name = format!("{:?}", act.act).to_lowercase();
        let name = act.when.as_ref().map_or(name.clone(), |when| format!("{name}, when {when}"));
        [name, act.call.clone(), answers, human(act.p50), human(act.p95)]
    };
    if kind.acts.is_empty() {
        return String::new();
    }
    let header = ["act", "call", "answered by", "half of them", "95 of 100"];
    prose.heading("In a recovery") + &table::draw(header, kind.acts.iter().map(row))
}

fn facts(kind: &Kind, prose: Prose) -> String {
    let mut items: Vec<String> = Vec::new();
    if let Some(fence) = &kind.fence {
        let epoch = if fence.checks_epoch { "it refuses an old epoch" } else { "it cannot check an epoch" };
        items.push(format!("fence: {}; {epoch}", fence.how));
    }
    items.extend(kind.availability.iter().map(|promise| {
        let zones = if promise.zones == Zones::One { "one zone" } else { "several zones" };
        format!("promised availability in {zones}: {}%", promise.percent)
    }));
    items.extend(kind.limits.iter().map(|limit| format!("{}: {}", limit.name, limit.value)));
    let mut out = String::new();
    if !items.is_empty() {
        out += &prose.heading("What is known of it");
        out.extend(items.iter().map(|item| prose.hanging(4, "  -", item)));
    }
    if !kind.failure_modes.is_empty() {
        out += &prose.heading("How it fails a recovery");
        out.extend(kind.failure_modes.iter().map(|fact| prose.hanging(4, "  -", &fact.says)));
    }
    out
}

/// Each once, in the order of what they are for.
fn sources(kind: &Kind) -> Vec<&str> {
    let replication = kind.replication.iter().map(|mode| &mode.source);
    let fence = kind.fence.iter().map(|fence| &fence.source);
    let acts = kind.acts.iter().map(|act| &act.source);
    let promised = kind.availability.iter().map(|promise| &promise.source);
    let limits = kind.limits.iter().map(|limit| &limit.source);
    let modes = kind.failure_modes.iter().map(|fact| &fact.source);
    let all = replication.chain(fence).chain(acts).chain(promised).chain(limits).chain(modes).chain(&kind.seeds);
    let mut once: Vec<&str> = Vec::new();
    for source in all {
        if !once.contains(&source.as_str()) {
            once.push(source);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_page_with_all_that_is_known() {
        for kind in catalogue().kinds() {
            let text = page(kind, Prose::plain(100));
            let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.starts_with(&format!("{} ({})\n", kind.title, kind.name)), "{text}");
            for key in kind.keys.values() {
                assert!(text.contains(key.name.as_str()), "{}: {}", kind.name, key.name);
            }
            for fact in &kind.failure_modes {
                assert!(said.contains(&fact.says), "{}: {}", kind.name, fact.says);
            }
            assert!(list().contains(&kind.name));
        }
    }
}
