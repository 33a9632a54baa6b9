//! The reference of the file, in Markdown, made from the same data that a file is checked against.

use std::fmt::Write;
use std::time::Duration;

use serde_json::Value as Json;

use super::{Act, CallPlane, Charged, Facet, Home, Key, Kind, Mode, Promotion, Scope, Type, catalogue};
use crate::time::human;
use crate::topology::Plane;

const PLANES: [(Plane, &str, &str); 4] = [
    (Plane::Traffic, "traffic", "How users reach a region, and another one."),
    (Plane::Compute, "compute", "What serves them."),
    (Plane::Data, "data", "What must not be lost: data, secrets and keys."),
    (Plane::Control, "control", "What watches, permits, deploys and proves."),
];

/// Every page by its file name, in the order of reading.
pub fn pages() -> Vec<(String, String)> {
    let mut pages = vec![("README.md".to_owned(), index()), ("file.md".to_owned(), super::file_page::page())];
    pages.push(("keys.md".to_owned(), shared_keys()));
    for (plane, name, about) in PLANES {
        let mut page = format!("# Kinds of the {name} plane\n\n{about}\n\n{GENERATED}\n");
        for kind in catalogue().kinds().filter(|kind| kind.plane == plane) {
            page += "\n";
            page += &kind_section(kind);
        }
        pages.push((format!("{name}.md"), page));
    }
    pages.push(("practice.md".to_owned(), practice()));
    pages
}

pub(super) const GENERATED: &str = "Made from `crates/model/data`; change it there.";

fn index() -> String {
    let mut page = format!(
        "# The reference of antipode.yaml\n\nWhat can be written, what it means, and what is known of each system that a file \
         can name.\n{GENERATED}\n\n- [The file](file.md): workload, objectives, sites, timing, approvals\n- [Keys that kinds \
         share](keys.md)\n- [Practice](practice.md): what people do and have tried\n\n`antipode schema` prints the same for \
         editors. Kinds in **bold** are run by this version; the others are\nassessed.\n"
    );
    for (plane, name, _) in PLANES {
        let _ = write!(page, "\n## {}\n\n| kind | | scope |\n|---|---|---|\n", capital(name));
        for kind in catalogue().kinds().filter(|kind| kind.plane == plane) {
            let link = format!("[`{}`]({name}.md#{})", kind.name, anchor(&kind.name));
            let link = if kind.runs { format!("**{link}**") } else { link };
            let _ = writeln!(page, "| {link} | {} | {} |", kind.title, scope(kind));
        }
    }
    page
}

fn shared_keys() -> String {
    let mut page = format!(
        "# Keys that kinds share\n\nA key that nobody writes and that has no default is *unanswered*: the assessment asks for \
         it.\n{GENERATED}\n"
    );
    for facet in catalogue().facets() {
        page += "\n";
        page += &facet_section(facet);
    }
    page
}

fn practice() -> String {
    let mut page = format!(
        "# Practice\n\n`practice:` at the top of a file says what people do and have tried. Dates are days: an assessment \
         compares\nthem with the day on which it is made. {GENERATED}\n"
    );
    for facet in catalogue().practice() {
        page += "\n";
        page += &facet_section(facet);
    }
    page
}

fn facet_section(facet: &Facet) -> String {
    let mut text = format!("## {}\n\n{}\n", facet.name, facet.about);
    if let Some(group) = &facet.under {
        let _ = writeln!(text, "Its keys stand under `{group}:`.");
    }
    text += &key_table(facet.keys.values());
    text
}

fn key_table<'k>(keys: impl Iterator<Item = &'k Key>) -> String {
    let mut table = String::from("\n| key | takes | |\n|---|---|---|\n");
    for key in keys {
        let default = key.default.as_ref().map(|default| format!(" Default: `{}`.", plain(default)));
        let asks = key.asks.as_ref().map(|asks| format!(" *{}* ({})", asks.question, asks.source));
        let about = [Some(key.about.clone()), default, asks].into_iter().flatten().collect::<String>();
        let _ = writeln!(table, "| `{}` | {} | {} |", key.name, takes(key), cell(&about));
    }
    table
}

/// A section of one kind, from its heading on.
pub fn kind_section(kind: &Kind) -> String {
    let mut text = format!("## `{}`\n\n**{}.** {}\n\n", kind.name, kind.title, kind.about);
    let _ = writeln!(text, "- scope: {}", scope(kind));
    let facets = kind.facets.iter().map(|name| format!("[{name}](keys.md#{name})")).collect::<Vec<_>>();
    let _ = writeln!(text, "- keys: {}", facets.join(", "));
    if !kind.defaults.is_empty() {
        let defaults =
            kind.defaults.iter().map(|(key, value)| format!("`{key}: {}`", plain(value))).collect::<Vec<_>>();
        let _ = writeln!(text, "- unless it is said otherwise: {}", defaults.join(", "));
    }
    let mut own = kind.keys.values().filter(|key| key.facet.is_none()).peekable();
    if own.peek().is_some() {
        text += &key_table(own);
    }
    text += &copies(kind);
    text += &acts(kind);
    text += &facts(kind);
    text += &prices(kind);
    text
}

/// Where it lives, in words.
pub fn scope(kind: &Kind) -> String {
    match (kind.scope, &kind.home) {
        (Scope::Zonal, _) => "a zone".into(),
        (Scope::Regional, _) => "a region".into(),
        (Scope::Global, Some(home)) => format!("global, with its control plane in {home}"),
        (Scope::Global, None) => "global".into(),
    }
}

fn copies(kind: &Kind) -> String {
    if kind.replication.is_empty() {
        return String::new();
    }
    let mut text =
        "\nHow it is copied:\n\n| mode | where | usually lost | at worst | the copy | made the writer | source |\n\
                    |---|---|---|---|---|---|---|\n"
            .to_owned();
    for mode in &kind.replication {
        let lost = |duration: Option<Duration>, unknown: &str| match duration {
            Some(Duration::ZERO) => "nothing".to_owned(),
            Some(duration) => human(duration),
            None => unknown.to_owned(),
        };
        let nowhere = place(mode) == "nowhere";
        let (typical, worst) = match nowhere {
            true => ("all of it".to_owned(), "all of it".to_owned()),
            false => (lost(mode.rpo_typical, "not known"), lost(mode.rpo_worst, "nothing bounds it")),
        };
        let promotion = match mode.promotion {
            Promotion::Manual => "by a call",
            Promotion::Automatic => "by itself",
            Promotion::None => "not needed",
        };
        let (name, place, copy, source) = (mode.mode.word(), place(mode), copy(mode), link(&mode.source));
        let _ = writeln!(text, "| {name} | {place} | {typical} | {worst} | {copy} | {promotion} | {source} |");
    }
    text
}

/// Where its copies are, in words.
pub fn place(mode: &Mode) -> &'static str {
    match (mode.cross_region, mode.zones) {
        (true, _) => "other regions",
        (false, true) => "other zones",
        (false, false) => "nowhere",
    }
}

fn copy(mode: &Mode) -> &'static str {
    match (mode.secondary_writable, mode.secondary_readable) {
        (true, _) => "takes writes",
        (false, true) => "can be read",
        (false, false) => "waits",
    }
}

fn acts(kind: &Kind) -> String {
    if kind.acts.is_empty() {
        return String::new();
    }
    let mut text =
        "\nIn a recovery:\n\n| act | call | needs | half of them | 95 of 100 | source |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for act in &kind.acts {
        let name = format!("{:?}", act.act).to_lowercase();
        let name = act.when.as_ref().map_or(name.clone(), |when| format!("{name}, when `{when}`"));
        let (call, needs, source) = (&act.call, needs(act), link(&act.source));
        let _ = writeln!(
            text,
            "| {name} | {} | {needs} | {} | {} | {source} |",
            cell(call),
            human(act.p50),
            human(act.p95)
        );
    }
    text
}

fn needs(act: &Act) -> String {
    let plane = if act.plane == CallPlane::Control { "control plane" } else { "data plane" };
    match &act.home {
        Home::Target => format!("the {plane} of the region that is moved to"),
        Home::Source => format!("the {plane} of the region that is left"),
        Home::Everywhere => format!("the {plane}, in many places"),
        Home::Region(region) => format!("the {plane} in {region}"),
    }
}

fn facts(kind: &Kind) -> String {
    let mut text = String::new();
    if let Some(fence) = &kind.fence {
        let epoch =
            if fence.checks_epoch { "It refuses a writer with an old epoch." } else { "It cannot check an epoch." };
        let _ = writeln!(text, "\nFence: {}. {epoch} ({})", fence.how, link(&fence.source));
    }
    let promised = kind.availability.iter().map(|promise| {
        let zones = if promise.zones == super::Zones::One { "one zone" } else { "several zones" };
        ("promised availability".to_owned(), format!("{}% in {zones}", promise.percent), &promise.source)
    });
    let limits = kind.limits.iter().map(|limit| (limit.name.clone(), limit.value.clone(), &limit.source));
    let rows: Vec<_> = promised.chain(limits).collect();
    if !rows.is_empty() {
        text += "\n| | | source |\n|---|---|---|\n";
        for (name, value, source) in rows {
            let _ = writeln!(text, "| {} | {} | {} |", cell(&name), cell(&value), link(source));
        }
    }
    if !kind.failure_modes.is_empty() {
        text += "\nHow it fails a recovery:\n\n";
        for fact in &kind.failure_modes {
            let _ = writeln!(text, "- {} ({})", fact.says, link(&fact.source));
        }
    }
    text
}

fn prices(kind: &Kind) -> String {
    if kind.prices.is_empty() {
        return String::new();
    }
    let mut text = "\nLines of the bill:\n\n| rate | quantity | category | paid |\n|---|---|---|---|\n".to_owned();
    for price in &kind.prices {
        let paid = match price.charged {
            Charged::EachSite => "in each region",
            Charged::EachStandby => "in each region but the one that works",
            Charged::Once => "once",
        };
        let paid = price.when.as_ref().map_or(paid.to_owned(), |when| format!("{paid}, when `{when}`"));
        let category = plain(&serde_json::to_value(price.category).unwrap_or_default());
        let _ = writeln!(text, "| `{}` | `{}` | {category} | {paid} |", price.item, price.quantity);
    }
    text
}

/// What can be written under a key.
pub fn takes(key: &Key) -> String {
    let words = key.one_of.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let one = match key.ty {
        Type::Duration => "a duration, such as `30s`".to_owned(),
        Type::Interval => "an interval, such as `1d` or `week`".to_owned(),
        Type::Percent => "a percentage, such as `50%`".to_owned(),
        Type::Size => "an amount of data, such as `500GB`".to_owned(),
        Type::Flow => "data in a time, such as `20GB/day`".to_owned(),
        Type::Rate => "a number in a time, such as `3M/month`".to_owned(),
        Type::Money => "money, such as `300 USD`".to_owned(),
        Type::MoneyRate => "money in a time, such as `500 USD/month`".to_owned(),
        Type::Count => "a whole number".to_owned(),
        Type::Bool => "`true` or `false`".to_owned(),
        Type::Date => "a day, such as `2026-03-14`".to_owned(),
        Type::Word => format!("one of {words}"),
        Type::Words => format!("a list of {words}"),
        Type::Text => "text".to_owned(),
        Type::Texts => "a list of texts".to_owned(),
        Type::Site => "a site".to_owned(),
        Type::Sites => "a list of sites".to_owned(),
        Type::Component => "a component".to_owned(),
        Type::Components => "a list of components".to_owned(),
        Type::Map => "a mapping".to_owned(),
    };
    if key.per_site { format!("{one}; or a mapping of regions") } else { one }
}

/// A page as a link, anything else as it is.
fn link(source: &str) -> String {
    let Some((before, rest)) = source.split_once("https://") else { return cell(source) };
    let end = rest.find(|c: char| c.is_whitespace() || c == ')').unwrap_or(rest.len());
    let (address, after) = rest.split_at(end);
    let (address, colon) = address.strip_suffix([':', ';', ',']).map_or((address, ""), |cut| (cut, ": "));
    let after = if colon.is_empty() { after } else { after.trim_start() };
    let page = address.rsplit(['/']).find(|part| !part.is_empty()).unwrap_or(address);
    cell(&format!("{before}[{page}](https://{address}){colon}{after}"))
}

/// In a cell of a table a bar would begin the next.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// JSON as a file would have it.
pub(super) fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// As GitHub makes it of a heading.
fn anchor(name: &str) -> String {
    name.replace('.', "")
}
