//! That the catalogue's files hold together: names resolve, conditions and quantities are about keys that exist, and every
//! number says where it comes from.

use std::collections::BTreeSet;

use antipode_model::catalogue::{Catalogue, Home, Key, Kind, Scope, Type, catalogue};
use antipode_model::{rates, spec};
use rust_decimal::Decimal;

/// What only the prices' products know beside keys.
const BUILT_IN: [&str; 1] = ["regions"];

fn sourced(what: &str, source: &str) {
    let cited = source.starts_with("https://") || source.starts_with("seed 0") || source.starts_with("SAFETY.md item ");
    let reason = source.strip_prefix("prior: ").is_some_and(|reason| reason.len() > 10);
    assert!(cited || reason, "{what}: `{source}` is neither a page, a seed nor a prior with its reason");
}

fn sentence(what: &str, text: &str) {
    assert!(text.len() > 4 && text.ends_with('.') && !text.contains("  "), "{what}: `{text}` is no sentence");
}

fn of_the_kind(kind: &Kind, condition: &str) {
    let (name, word) = condition.split_once('=').map_or((condition, None), |(name, word)| (name, Some(word)));
    let key = kind.key(name.trim_start_matches('!')).unwrap_or_else(|| panic!("{}: no key `{name}`", kind.name));
    match word {
        Some(word) => assert!(key.one_of.iter().any(|w| w == word), "{}: `{condition}`", kind.name),
        None => assert_eq!(key.ty, Type::Bool, "{}: `{condition}` is true or false", kind.name),
    }
}

fn every_key(catalogue: &Catalogue) -> impl Iterator<Item = &Key> {
    catalogue.kinds().flat_map(|kind| kind.keys.values()).chain(catalogue.practice_keys())
}

#[test]
fn every_system_that_the_seeds_name_is_a_kind() {
    let catalogue = catalogue();
    assert!(catalogue.named().len() > 60);
    for named in catalogue.named() {
        assert!(!named.kinds.is_empty() && named.seed.starts_with("seed 00"), "{named:?}");
        for kind in &named.kinds {
            assert!(catalogue.kind(kind).is_some(), "{named:?}");
        }
    }
}

#[test]
fn kinds_say_what_they_are() {
    for kind in catalogue().kinds() {
        let name = &kind.name;
        sentence(name, &kind.about);
        assert!(!kind.title.is_empty() && kind.has_facet("common"), "{name}");
        assert_eq!(kind.home.is_some(), kind.scope == Scope::Global && name.starts_with("aws."), "{name}: home");
        for (key, value) in &kind.defaults {
            let known = kind.key(key).unwrap_or_else(|| panic!("{name}: a default of `{key}`, which is no key"));
            assert!(known.read(value).is_some(), "{name}: `{key}` cannot be {value}");
        }
        for facet in &kind.facets {
            assert!(catalogue().facet(facet).is_some(), "{name}: {facet}");
        }
    }
}

#[test]
fn numbers_say_where_they_come_from() {
    for kind in catalogue().kinds() {
        let name = &kind.name;
        kind.replication.iter().for_each(|mode| sourced(name, &mode.source));
        kind.acts.iter().for_each(|act| sourced(name, &act.source));
        kind.limits.iter().for_each(|limit| sourced(name, &limit.source));
        kind.failure_modes.iter().for_each(|fact| sourced(name, &fact.source));
        kind.availability.iter().for_each(|promise| sourced(name, &promise.source));
        kind.fence.iter().for_each(|fence| sourced(name, &fence.source));
    }
}

#[test]
fn acts_can_be_carried_out() {
    for kind in catalogue().kinds() {
        for act in &kind.acts {
            let what = format!("{} {:?}", kind.name, act.act);
            assert!(!act.p50.is_zero() && act.p50 <= act.p95, "{what}: p50 and p95");
            act.when.iter().for_each(|condition| of_the_kind(kind, condition));
            if let Home::Region(region) = &act.home {
                assert_eq!(Some(region), kind.home.as_ref(), "{what}: a call that is homed goes to its kind's home");
            }
            let rivals = kind.acts.iter().filter(|other| other.act == act.act && other.when == act.when);
            assert_eq!(rivals.count(), 1, "{what}: one act for each condition");
        }
    }
}

#[test]
fn replication_modes_are_ways_that_the_key_knows() {
    for kind in catalogue().kinds().filter(|kind| !kind.replication.is_empty()) {
        let ways = kind.key("replication").map(|key| key.one_of.clone());
        for mode in &kind.replication {
            let what = format!("{} {}", kind.name, mode.mode.word());
            if let Some(ways) = &ways {
                assert!(ways.iter().any(|way| way == mode.mode.word()), "{what}");
            }
            let across = kind.replication.iter().filter(|m| m.mode == mode.mode && m.cross_region == mode.cross_region);
            assert_eq!(across.count(), 1, "{what}: said twice");
            if let (Some(typical), Some(worst)) = (mode.rpo_typical, mode.rpo_worst) {
                assert!(typical <= worst, "{what}");
            }
        }
    }
}

#[test]
fn prices_count_what_can_be_declared() {
    let rates = rates::bundled();
    for kind in catalogue().kinds() {
        for price in &kind.prices {
            let what = format!("{} {}", kind.name, price.item);
            price.when.iter().for_each(|condition| of_the_kind(kind, condition));
            for factor in price.quantity.split(" * ") {
                let number = factor.parse::<f64>().is_ok_and(|n| n > 0.0);
                let counts = [Type::Count, Type::Size, Type::Flow, Type::Rate, Type::Duration];
                let counted = kind.key(factor).is_some_and(|key| counts.contains(&key.ty));
                assert!(number || counted || BUILT_IN.contains(&factor), "{what}: `{factor}` cannot be counted");
            }
            for key in price.item.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                assert!(kind.key(key).is_some_and(|key| matches!(key.ty, Type::Text | Type::Word)), "{what}: `{key}`");
            }
            // An item that has a rate is counted in what its rate is for.
            let regions = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1"];
            let rate = regions.iter().find_map(|region| rates.find(&price.item, region));
            let paid = rate.is_none_or(|rate| rates.price(rate, Decimal::ONE, price.unit).is_some());
            assert!(paid, "{what}: counted by {}, its rate is by {}", price.unit, rate.unwrap().per);
        }
    }
}

#[test]
fn keys_are_documented_and_their_defaults_fit() {
    for key in every_key(catalogue()) {
        assert!(!key.about.is_empty(), "{}", key.name);
        let words = matches!(key.ty, Type::Word | Type::Words);
        assert_eq!(words, !key.one_of.is_empty(), "{}: words are listed", key.name);
        if let Some(default) = key.default.as_ref().filter(|_| key.facet.is_some()) {
            assert!(key.read(default).is_some(), "{}: {default}", key.name);
        }
        if let Some(asks) = &key.asks {
            assert!(asks.question.ends_with('?') && asks.source.starts_with("seed 003 section"), "{}", key.name);
        }
    }
}

/// Seed 003 section 9.1.
#[test]
fn every_data_store_is_asked_thirteen_questions() {
    let numbered = |key: &Key| {
        key.asks.as_ref().and_then(|asks| asks.source.strip_prefix("seed 003 section 9.1 question ")?.parse().ok())
    };
    for name in ["aws.rds", "aws.s3", "aws.dynamodb-global", "postgres", "database", "aws.aurora-global"] {
        let asked: BTreeSet<u32> = catalogue().kind(name).unwrap().questions().filter_map(numbered).collect();
        assert_eq!(asked, (1..=13).collect(), "{name}");
    }
}

#[test]
fn what_runs_is_what_the_machinery_knows() {
    let runs: Vec<&str> = catalogue().kinds().filter(|kind| kind.runs).map(|kind| kind.name.as_str()).collect();
    assert_eq!(runs, ["dns", "fleet", "postgres", "secret"]);
    // The file's own keys and words, rather than the facet's.
    let replication = catalogue().kind("postgres").unwrap().key("replication").unwrap();
    assert_eq!(replication.one_of, ["asynchronous", "synchronous"]);
}

/// A component of each kind that says nothing is a design: nothing in the catalogue's defaults is against its own schema.
#[test]
fn a_component_of_every_kind_can_be_declared() {
    for kind in catalogue().kinds().filter(|kind| !kind.runs) {
        let text = format!(
            "workload: w\nobjectives: {{}}\nsites: {{ north: {{}} }}\ncomponents:\n  it: {{ kind: {} }}\n",
            kind.name
        );
        let design = spec::design(&text).unwrap_or_else(|problems| panic!("{}: {problems:?}", kind.name));
        let part = &design.components[0];
        assert_eq!(part.kind.name, kind.name);
        assert!(part.iter().all(|(key, _)| !part.declared(key)), "{}: nothing is declared", kind.name);
    }
}
