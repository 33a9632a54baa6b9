//! Reads the catalogue's files, and puts the keys of its facets into each kind.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};

use super::{Catalogue, Facet, Key, Kind, Named};
use crate::spec::{interval, typed_keys};

macro_rules! data {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/", $file)))),*]
    };
}

const FACETS: [(&str, &str); 1] = data!["facets.yaml"];
const PRACTICE: [(&str, &str); 1] = data!["practice.yaml"];
const KINDS: [(&str, &str); 9] = data![
    "kinds/self-hosted.yaml",
    "kinds/others.yaml",
    "kinds/aws-traffic.yaml",
    "kinds/aws-compute.yaml",
    "kinds/aws-database.yaml",
    "kinds/aws-storage.yaml",
    "kinds/aws-messaging.yaml",
    "kinds/aws-guard.yaml",
    "kinds/aws-operations.yaml",
];
const NAMED: [(&str, &str); 1] = data!["named.yaml"];

/// The files are part of the program, and a test reads them: one that cannot be read never gets this far.
fn read<T: DeserializeOwned>((file, text): &(&str, &str)) -> T {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("crates/model/data/{file}: {error}"))
}

pub(super) fn catalogue() -> Catalogue {
    let facets: BTreeMap<String, Facet> = FACETS.iter().flat_map(read::<BTreeMap<String, Facet>>).map(named).collect();
    let practice =
        PRACTICE.iter().flat_map(read::<BTreeMap<String, Facet>>).map(named).map(|(_, facet)| facet).collect();
    let kinds = KINDS.iter().flat_map(read::<BTreeMap<String, Kind>>);
    let kinds = kinds.map(|(name, kind)| (name.clone(), complete(name, kind, &facets))).collect();
    let named = NAMED.iter().flat_map(read::<Vec<Named>>).collect();
    Catalogue { facets, practice, kinds, named }
}

/// A facet that knows its name, and its keys theirs.
fn named((name, mut facet): (String, Facet)) -> (String, Facet) {
    facet.name.clone_from(&name);
    for (key_name, key) in &mut facet.keys {
        key.name = match &facet.under {
            Some(group) => format!("{group}.{key_name}"),
            None => key_name.clone(),
        };
        key.facet = Some(name.clone());
    }
    (name, facet)
}

/// A kind with every key that it can have: what the reader of a kind that we run knows, then its own, then those of its facets.
fn complete(name: String, kind: Kind, facets: &BTreeMap<String, Facet>) -> Kind {
    let mut keys: BTreeMap<String, Key> = kind.keys;
    for (key_name, key) in &mut keys {
        key.name.clone_from(key_name);
    }
    for facet in &kind.facets {
        let facet = facets.get(facet).unwrap_or_else(|| panic!("`{name}` has the facet `{facet}`, which is not there"));
        for key in facet.keys.values() {
            keys.entry(key.name.clone()).or_insert_with(|| key.clone());
        }
    }
    if kind.runs {
        for mut typed in typed_keys(&name) {
            // The types say what can be written; the facet, what it answers.
            if let Some(shared) = keys.get(&typed.name) {
                typed.asks.clone_from(&shared.asks);
                typed.about = if typed.about.is_empty() { shared.about.clone() } else { typed.about };
            }
            keys.insert(typed.name.clone(), typed);
        }
    }
    Kind { name, keys, ..kind }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    interval(&text).map_err(|bad| D::Error::custom(bad.message))
}

pub(super) fn duration_opt<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| interval(&text).map_err(|bad| D::Error::custom(bad.message))).transpose()
}
