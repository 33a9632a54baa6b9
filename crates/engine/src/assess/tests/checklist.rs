//! Every row that asks for single keys: made to fire, to be quiet, and put to its border, from what the row itself wants.

use std::collections::BTreeSet;
use std::time::Duration;

use model::catalogue::{Kind, Type, catalogue};
use model::findings::{self, Be, Of, Row, Wants, When};
use model::topology::Plane;
use model::value::{Value, Values};
use model::{ComponentId, Date, Design, Part, SiteId};

use super::{design, today};
use crate::assess::{Finding, review};

/// Two regions, a class of data, and nothing else said.
fn bare() -> Design {
    design(
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1, eu-central-1] }",
    )
}

fn rows() -> impl Iterator<Item = (&'static Row, &'static Wants)> {
    findings::rows().iter().flat_map(|row| row.wants.iter().map(move |wants| (row, wants)))
}

fn kind_for(wants: &Wants, facet: &str) -> &'static Kind {
    let fits = |kind: &&Kind| kind.has_facet(facet) && kind.key(&wants.key).is_some() && !kind.runs;
    let zones = |kind: &&Kind| {
        !wants.when.contains(&When::ZoneAware) || kind.replication.iter().any(|m| m.zones && !m.cross_region)
    };
    let objects =
        |kind: &&Kind| !wants.when.contains(&When::Objects) || ["aws.s3", "object-store"].contains(&kind.name.as_str());
    let dns = |kind: &&Kind| !wants.when.contains(&When::Dns) || kind.name == "aws.route53";
    let store = |kind: &&Kind| facet != "data" || kind.plane == Plane::Data;
    let code = |kind: &&Kind| !wants.when.contains(&When::RunsCode) || kind.plane == Plane::Compute;
    let copies =
        |kind: &&Kind| !wants.when.contains(&When::Replicable) || kind.replication.iter().any(|mode| mode.cross_region);
    let rules = |kind: &&Kind| !wants.when.contains(&When::HasRules) || kind.name == "aws.waf";
    let records = |kind: &&Kind| !wants.when.contains(&When::KeepsRecords) || kind.name == "aws.cloudtrail";
    let own = |kind: &&Kind| store(kind) && code(kind) && copies(kind) && rules(kind) && records(kind);
    let all = |kind: &&Kind| fits(kind) && zones(kind) && objects(kind) && dns(kind) && own(kind);
    catalogue().kinds().find(all).unwrap_or_else(|| panic!("no kind has `{}` of `{facet}`", wants.key))
}

fn text(word: &str) -> Value {
    Value::Text(word.into())
}

fn list(words: &[&str]) -> Value {
    Value::List(words.iter().map(|word| text(word)).collect())
}

/// What makes the conditions of a row true.
fn set_up(values: &mut Values, conditions: &[When]) {
    for condition in conditions {
        match condition {
            When::Record => values.set("system_of_record", Value::Bool(true)),
            When::Projection => values.set("projection_of", text("other")),
            When::Replicated | When::Asynchronous => values.set("replication", text("asynchronous")),
            When::Unreplicated => values.set("replication", text("none")),
            When::SingleWriter => {
                values.set("replication", text("asynchronous"));
                values.set("writers", text("single"));
            }
            When::SeveralWriters => {
                values.set("replication", text("multi-writer"));
                values.set("writers", text("every"));
            }
            When::BackedUp => values.set("backup.every", Value::Duration(Duration::from_secs(3600))),
            When::Checked => values.set("check.path", text("/ready")),
            When::Alarmed => values.set("alarm.period", Value::Duration(Duration::from_secs(60))),
            When::Replicable | When::RunsCode | When::KeepsRecords | When::HasRules => {}
            When::SeveralRegions | When::Classified | When::ZoneAware | When::Objects | When::Dns => {}
        }
    }
}

fn days_ago(days: i64) -> Date {
    let days_of = |year| (1..=12).flat_map(move |month| (1..=31).filter_map(move |day| Date::new(year, month, day)));
    (2024..=2026).flat_map(days_of).find(|date| today().days_since(*date) == days).unwrap()
}

/// The design with this value under the row's key; `None` leaves it unanswered.
fn with(wants: &Wants, value: Option<Value>) -> Design {
    let mut design = bare();
    match &wants.of {
        Of::Practice => {
            if let Some(value) = value {
                design.practice.set(&wants.key, value);
            }
        }
        Of::Facet(facet) => {
            let kind = kind_for(wants, facet);
            let mut values = Values::default();
            set_up(&mut values, &wants.when);
            values.remove(&wants.key);
            if let Some(value) = value {
                values.set(&wants.key, value);
            }
            let sites = ["eu-west-1", "eu-central-1"].map(SiteId::new).to_vec();
            design.components.push(Part { id: ComponentId::new("it"), kind, needs: vec![], sites, values });
        }
        Of::Objectives | Of::Losses | Of::Workload => assert!(value.is_none(), "keys that have types of their own"),
    }
    design
}

fn key_type(wants: &Wants) -> Type {
    match &wants.of {
        Of::Practice => catalogue().practice_keys().find(|key| key.name == wants.key).map(|key| key.ty),
        Of::Facet(facet) => kind_for(wants, facet).key(&wants.key).map(|key| key.ty),
        _ => None,
    }
    .unwrap_or_else(|| panic!("nothing has the key `{}`", wants.key))
}

fn word(wants: &Wants, word: &str) -> Value {
    if key_type(wants) == Type::Words { list(&[word]) } else { text(word) }
}

/// A bad value, a good one, and one at the border with whether that is bad. `None` is "unanswered".
fn values(wants: &Wants) -> (Option<Value>, Option<Value>, (Option<Value>, bool)) {
    match &wants.be {
        Be::Answered => (None, Some(text("said")), (Some(list(&[])), false)),
        Be::Yes => (Some(Value::Bool(false)), Some(Value::Bool(true)), (Some(text("true")), true)),
        Be::No => (Some(Value::Bool(true)), Some(Value::Bool(false)), (None, true)),
        Be::In(words) => {
            (Some(text("other")), Some(word(wants, &words[0])), (Some(word(wants, words.last().unwrap())), false))
        }
        Be::Not(words) => {
            (Some(word(wants, &words[0])), Some(word(wants, "other")), (Some(word(wants, words.last().unwrap())), true))
        }
        Be::Never(words) => (Some(word(wants, words.last().unwrap())), Some(word(wants, "other")), (None, false)),
        Be::EveryRegion => {
            let both = list(&["eu-central-1", "eu-west-1"]);
            (Some(list(&["eu-west-1"])), Some(both), (Some(list(&["eu-central-1"])), true))
        }
        Be::NotOnly(_) => (Some(list(&["eu-west-1"])), Some(list(&["eu-central-1"])), (Some(list(&[])), true)),
        Be::Has(words) => {
            let all: Vec<&str> = words.iter().map(String::as_str).collect();
            (Some(list(&[])), Some(list(&all)), (Some(list(&all[1..])), true))
        }
        Be::Within(time) => {
            let days = i64::try_from(time.as_secs() / 86_400).unwrap();
            let day = |ago| Some(Value::Date(days_ago(ago)));
            (day(days + 1), day(0), (day(days), false))
        }
    }
}

fn fires(design: &Design, row: &Row, wants: &Wants) -> Option<Finding> {
    let path = crate::assess::checklist::path(&wants.of, &wants.key).replace('*', "it");
    review(design, today()).findings.into_iter().find(|finding| finding.id == row.id && finding.path == path)
}

/// Keys with types of their own are put in by a spec.
fn typed(wants: &Wants) -> bool {
    matches!(wants.of, Of::Objectives | Of::Losses | Of::Workload)
}

#[test]
fn each_row_fires_is_quiet_and_knows_its_border() {
    for (row, wants) in rows().filter(|(_, wants)| !typed(wants)) {
        let (bad, good, (border, at_border)) = values(wants);
        let says = |value: &Option<Value>| fires(&with(wants, value.clone()), row, wants);
        let found = says(&bad).unwrap_or_else(|| panic!("`{}` does not fire at {bad:?} of `{}`", row.id, wants.key));
        assert!(!found.says.contains('{'), "{}: {}", row.id, found.says);
        assert!(says(&good).is_none(), "`{}` fires at {good:?} of `{}`", row.id, wants.key);
        assert_eq!(says(&border).is_some(), at_border, "`{}` at {border:?} of `{}`", row.id, wants.key);
    }
}

/// That nobody says it is milder than that it is known to be wrong, or as bad, or worse where the row says so.
#[test]
fn what_nobody_says_has_the_severity_of_the_row() {
    for (row, wants) in rows().filter(|(_, wants)| !typed(wants) && !matches!(wants.be, Be::Never(_))) {
        let found = fires(&with(wants, None), row, wants);
        let severity =
            found.unwrap_or_else(|| panic!("`{}` is quiet when `{}` is not said", row.id, wants.key)).severity;
        assert_eq!(severity, row.when_unsaid(), "{}", row.id);
    }
}

#[test]
fn objectives_and_losses_that_nobody_set_are_asked_for() {
    let said = design(
        "strategy: warm-standby
objectives: { rto: 30m, rpo: 1m, added_latency: 100ms, availability: 99.9%, budget: 100 USD/month, workflows: [open] }
losses: { downtime: 10 USD/h, data: 10 USD/min, inconsistency: 5 USD }
components: { db: { kind: database, replication: multi-writer, writers: every } }",
    );
    let silent = design("components: { db: { kind: database, replication: multi-writer, writers: every } }");
    for (row, wants) in rows().filter(|(_, wants)| typed(wants)) {
        assert!(fires(&silent, row, wants).is_some(), "{}", row.id);
        assert!(fires(&said, row, wants).is_none(), "{}", row.id);
    }
}

/// A condition that does not hold: nothing is asked of one region that only several need.
#[test]
fn one_region_is_not_asked_about_a_second_one() {
    let one = design("sites: { eu-west-1: { zones: [a, b] } }");
    let found: BTreeSet<&str> = review(&one, today()).findings.iter().map(|finding| finding.id).collect();
    for (row, _) in rows().filter(|(_, wants)| wants.when.contains(&When::SeveralRegions)) {
        assert!(!found.contains(row.id.as_str()), "{}", row.id);
    }
}

#[test]
fn a_component_that_speaks_for_itself_is_not_asked_for_twice() {
    let trail = |fragment: &str| super::ids(fragment).contains("trail-not-everywhere");
    assert!(trail("components: { shop: { kind: kubernetes } }"));
    assert!(!trail("components: { trail: { kind: aws.cloudtrail, covers: [eu-west-1, eu-central-1] } }"));
    assert!(
        super::ids("components: { trail: { kind: aws.cloudtrail, covers: [eu-west-1] } }")
            .contains("control-not-everywhere")
    );
}
