//! The rows of the table that ask for one key: checked from what they want, without a rule of their own.

use model::findings::{Be, Of, Row, Wants};
use model::time::human;
use model::value::Value;
use model::{Part, SiteId, Values};

use super::finding::{Found, listed};
use super::view::{View, store};

/// What `rows` want and do not get.
pub fn check(view: &View<'_>, rows: &'static [Row], out: &mut Vec<Found>) {
    for row in rows {
        for wants in &row.wants {
            match &wants.of {
                Of::Facet(facet) => {
                    let arises = asked(view, facet, &wants.key).filter(|part| view.all(&wants.when, Some(part)));
                    let found = arises.filter_map(|part| of_part(view, row, wants, part));
                    out.extend(found.filter(|found| !(found.is_unsaid() && said_in_practice(view, row))));
                }
                _ if !view.all(&wants.when, None) => {}
                Of::Practice => out.extend(of_practice(view, row, wants)),
                Of::Objectives | Of::Losses | Of::Workload => {
                    let path = path(&wants.of, &wants.key);
                    out.extend((!view.design.says(&path)).then(|| Found::of(row, path).left_unsaid()));
                }
            }
        }
    }
}

/// The components that have this facet and key. What is asked of data is asked of stores.
pub fn asked<'d>(view: &View<'d>, facet: &str, key: &str) -> impl Iterator<Item = &'d Part> {
    view.parts().filter(move |part| {
        part.kind.has_facet(facet) && part.kind.key(key).is_some() && (facet != "data" || store(part))
    })
}

/// Whether `practice` answers what this row asks of components as well: then silence of a component is no finding.
fn said_in_practice(view: &View<'_>, row: &Row) -> bool {
    row.wants.iter().any(|wants| wants.of == Of::Practice && view.design.practice.answered(&wants.key))
}

/// Where a key stands in the file.
pub fn path(of: &Of, key: &str) -> String {
    match of {
        Of::Practice => format!("practice.{key}"),
        Of::Objectives => format!("objectives.{key}"),
        Of::Losses => format!("losses.{key}"),
        Of::Workload => key.to_owned(),
        Of::Facet(_) => format!("components.*.{key}"),
    }
}

fn of_part(view: &View<'_>, row: &'static Row, wants: &Wants, part: &Part) -> Option<Found> {
    let path = format!("components.{}.{}", part.id, wants.key);
    let found = match verdict(view, wants, part, Some(&part.sites)) {
        Verdict::Good => return None,
        Verdict::Unsaid => Found::of(row, path).left_unsaid(),
        Verdict::Bad(bad) => bad.told(row, path),
    };
    let probe = part.text("check.path").unwrap_or_default();
    Some(found.part(part).with("path", probe))
}

fn of_practice(view: &View<'_>, row: &'static Row, wants: &Wants) -> Option<Found> {
    let path = path(&wants.of, &wants.key);
    match verdict(view, wants, &view.design.practice, None) {
        Verdict::Good => None,
        Verdict::Unsaid if view.declares(&wants.unless) => None,
        Verdict::Unsaid => Some(Found::of(row, path).left_unsaid()),
        Verdict::Bad(bad) => Some(bad.told(row, path)),
    }
}

enum Verdict {
    Good,
    Unsaid,
    Bad(Bad),
}

#[derive(Default)]
struct Bad {
    value: String,
    missing: Option<String>,
    sites: Vec<SiteId>,
    /// In days.
    age: Option<u64>,
}

impl Bad {
    fn told(self, row: &'static Row, path: String) -> Found {
        let mut found = Found::of(row, path).sites(&self.sites).with("value", self.value);
        if let Some(missing) = self.missing {
            found = found.with("missing", missing);
        }
        match self.age {
            Some(age) => found.with("age", days(age)),
            None => found,
        }
    }
}

/// What the value is, compared with what it must be. A value that differs by site is bad when it is bad in one of them.
fn verdict(view: &View<'_>, wants: &Wants, values: &Values, sites: Option<&[SiteId]>) -> Verdict {
    let somewhere = values.get(&wants.key);
    let each = sites.unwrap_or_default().iter().filter_map(|site| values.at(site).get(&wants.key));
    let values: Vec<&Value> = somewhere.into_iter().chain(each).collect();
    let mut verdicts = values.iter().map(|value| of_value(view, &wants.be, value));
    if values.is_empty() {
        return if matches!(wants.be, Be::Never(_)) { Verdict::Good } else { Verdict::Unsaid };
    }
    verdicts.find(|verdict| !matches!(verdict, Verdict::Good)).unwrap_or(Verdict::Good)
}

fn of_value(view: &View<'_>, be: &Be, value: &Value) -> Verdict {
    let bad =
        |good: bool| if good { Verdict::Good } else { Verdict::Bad(Bad { value: shown(value), ..Bad::default() }) };
    match (be, value) {
        (Be::Answered, _) => Verdict::Good,
        (Be::Yes, Value::Bool(yes)) => bad(*yes),
        (Be::No, Value::Bool(yes)) => bad(!yes),
        (Be::In(words), Value::Text(word)) => bad(words.contains(word)),
        (Be::Not(words) | Be::Never(words), value) => {
            bad(!texts(value).iter().any(|text| words.iter().any(|word| word == text)))
        }
        (Be::EveryRegion, Value::List(_)) => every_region(view, value),
        (Be::NotOnly(_), Value::List(_)) => not_only(view, value),
        (Be::Has(words), Value::List(_)) => {
            let there = texts(value);
            let missing: Vec<&String> = words.iter().filter(|word| !there.contains(&word.as_str())).collect();
            let told = Bad { value: shown(value), missing: Some(listed(&missing)), ..Bad::default() };
            if missing.is_empty() { Verdict::Good } else { Verdict::Bad(told) }
        }
        (Be::Within(longest), Value::Date(day)) => {
            let age = view.age(*day);
            let told = Bad { value: day.to_string(), age: Some(age), ..Bad::default() };
            if age <= longest.as_secs() / 86_400 { Verdict::Good } else { Verdict::Bad(told) }
        }
        _ => Verdict::Unsaid,
    }
}

fn every_region(view: &View<'_>, value: &Value) -> Verdict {
    let sites: Vec<SiteId> = texts(value).into_iter().map(SiteId::new).collect();
    let missing = view.missing(&sites);
    let told = Bad { value: shown(value), missing: Some(listed(&missing)), sites: missing.clone(), age: None };
    if missing.is_empty() { Verdict::Good } else { Verdict::Bad(told) }
}

/// Whether something else than the region that works by itself is in the list; nothing at all is not enough.
fn not_only(view: &View<'_>, value: &Value) -> Verdict {
    let preferred = view.design.preferred().map(|site| site.id.as_str());
    let others = texts(value).into_iter().filter(|site| Some(*site) != preferred).count();
    if others > 0 { Verdict::Good } else { Verdict::Bad(Bad { value: shown(value), ..Bad::default() }) }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Text(text) => vec![text],
        Value::List(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// "1 day", "40 days".
pub fn days(days: u64) -> String {
    if days == 1 { "1 day".into() } else { format!("{days} days") }
}

/// What a rate is of, in the word that the spec has for it.
pub fn per(time: std::time::Duration) -> String {
    let words = [("s", 1), ("min", 60), ("h", 3600), ("day", 86_400), ("month", model::value::MONTH.as_secs())];
    let word = words.iter().find(|(_, seconds)| time.as_secs() == *seconds && time.subsec_nanos() == 0);
    word.map_or_else(|| human(time), |(word, _)| (*word).to_owned())
}

/// A value as the spec would say it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Bool(yes) => yes.to_string(),
        Value::Count(count) => count.to_string(),
        Value::Text(text) => text.clone(),
        Value::Date(date) => date.to_string(),
        Value::Duration(duration) => human(*duration),
        Value::Percent(percent) => format!("{percent}%"),
        Value::Size(bytes) => format!("{} GB", bytes / model::value::GB),
        Value::Flow(rate) => format!("{} bytes/{}", rate.amount, per(rate.per)),
        Value::Rate(rate) => format!("{}/{}", rate.amount, per(rate.per)),
        Value::Money(usd) => usd.to_string(),
        Value::MoneyRate(rate) => format!("{} USD/{}", rate.amount, per(rate.per)),
        Value::List(items) if items.is_empty() => "nothing".into(),
        Value::List(items) => listed(&items.iter().map(shown).collect::<Vec<_>>()),
        Value::Map(map) => {
            listed(&map.iter().map(|(key, value)| format!("{key} {}", shown(value))).collect::<Vec<_>>())
        }
        Value::PerSite(map) => {
            listed(&map.iter().map(|(site, value)| format!("{} in {site}", shown(value))).collect::<Vec<_>>())
        }
    }
}
