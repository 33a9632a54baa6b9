//! The schema of the whole file: the types of `file`, and the kinds and practices of the catalogue.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value as Json, json};

use super::file::File;
use super::quantity::{PATTERNS, QUANTITY};
use crate::catalogue::{Catalogue, Facet, Key, Kind, Type, catalogue};

/// The key in the schema under which a value may be written once, or for each site.
pub(crate) const PER_SITE: &str = "x-antipode-per-site";
/// The keys that a spec needs in order to be run, where that is more than it needs in order to be read.
pub(crate) const TO_RUN: &str = "x-antipode-required-to-run";
/// On the variant of a component whose kind this version runs.
pub(crate) const RUNS: &str = "x-antipode-runs";

/// What is published, and what a file is fitted to.
pub(crate) fn whole() -> &'static Json {
    static MADE: LazyLock<Json> = LazyLock::new(|| with_catalogue(catalogue()));
    &MADE
}

/// What `file`'s types say alone.
pub(crate) fn typed() -> &'static Json {
    static MADE: LazyLock<Json> = LazyLock::new(|| schemars::schema_for!(File).to_value());
    &MADE
}

fn with_catalogue(catalogue: &'static Catalogue) -> Json {
    let mut schema = typed().clone();
    schema["required"] = json!(["workload", "objectives", "sites", "components"]);
    schema[TO_RUN] = json!(["workload", "artifact", "objectives", "approvals", "sites", "components"]);
    schema["$defs"]["Objectives"][TO_RUN] = json!(["rto", "rpo"]);
    schema["properties"]["practice"] = practice(catalogue.practice());
    let variants: Vec<Json> = catalogue.kinds().map(variant).collect();
    schema["$defs"]["Component"]["oneOf"] = variants.into();
    for facet in catalogue.facets() {
        match &facet.under {
            Some(_) => schema["$defs"][&facet.name] = described(group(facet.keys.values()), &facet.about),
            None => {
                for key in facet.keys.values() {
                    schema["$defs"][format!("{}.{}", facet.name, key.name)] = leaf(key);
                }
            }
        }
    }
    schema
}

fn practice(facets: &[Facet]) -> Json {
    let mut properties = Map::new();
    for facet in facets {
        match &facet.under {
            Some(name) => drop(properties.insert(name.clone(), described(group(facet.keys.values()), &facet.about))),
            None => properties.extend(facet.keys.values().map(|key| (key.name.clone(), leaf(key)))),
        }
    }
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "description": "What people do and have tried: their runbooks, rehearsals, deployments and duties.",
    })
}

fn described(mut schema: Json, about: &str) -> Json {
    schema["description"] = about.into();
    schema
}

/// An object of these keys, without the name of their group.
fn group<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Json {
    let short = |name: &str| name.rsplit_once('.').map_or(name, |(_, short)| short).to_owned();
    let properties: Map<String, Json> = keys.into_iter().map(|key| (short(&key.name), leaf(key))).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// A component of one kind.
fn variant(kind: &'static Kind) -> Json {
    let typed = kind.runs.then(|| typed_variant(&kind.name));
    let mut properties = Map::new();
    properties.insert("kind".into(), json!({ "type": "string", "const": kind.name }));
    if let Some(typed) = typed.and_then(|variant| variant["properties"].as_object()) {
        properties.extend(typed.iter().filter(|(key, _)| *key != "kind").map(|(key, s)| (key.clone(), s.clone())));
    }
    let mut groups: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
    for key in kind.keys.values() {
        match key.name.split_once('.') {
            Some((group, _)) => groups.entry(group).or_default().push(key),
            None if properties.contains_key(&key.name) => {}
            None => drop(properties.insert(key.name.clone(), reference(key))),
        }
    }
    for (name, keys) in groups {
        let schema = match typed.and_then(|typed| typed["properties"].get(name)) {
            Some(typed) => widened(typed, &keys),
            None => shared_group(&keys).unwrap_or_else(|| group(keys)),
        };
        properties.insert(name.to_owned(), schema);
    }
    let mut variant = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": typed.map_or_else(|| json!(["kind"]), |typed| typed["required"].clone()),
        "description": format!("{}: {}", kind.title, kind.about),
    });
    if kind.runs {
        variant[RUNS] = true.into();
    }
    variant
}

/// A facet's key is defined once for all kinds; a kind's own stands in it.
fn reference(key: &Key) -> Json {
    match &key.facet {
        Some(facet) => json!({ "$ref": format!("#/$defs/{facet}.{}", key.name) }),
        None => leaf(key),
    }
}

/// A group that is a whole facet and nothing else.
fn shared_group(keys: &[&Key]) -> Option<Json> {
    let facet = keys.first()?.facet.as_deref()?;
    let whole = catalogue_facet_len(facet) == keys.len() && keys.iter().all(|key| key.facet.as_deref() == Some(facet));
    whole.then(|| json!({ "$ref": format!("#/$defs/{facet}") }))
}

fn catalogue_facet_len(facet: &str) -> usize {
    catalogue().facet(facet).map_or(0, |facet| facet.keys.len())
}

/// A group that the file's types know, with more keys.
fn widened(typed: &'static Json, keys: &[&Key]) -> Json {
    let mut schema = resolved(typed).clone();
    let more = group(keys.iter().copied().filter(|key| key.facet.is_some()));
    if let (Some(own), Some(more)) = (schema["properties"].as_object_mut(), more["properties"].as_object()) {
        for (name, schema) in more {
            own.entry(name.clone()).or_insert_with(|| schema.clone());
        }
    }
    schema
}

/// The variant of a kind as `file` has it.
fn typed_variant(kind: &str) -> &'static Json {
    let variants = typed()["$defs"]["Component"]["oneOf"].as_array().expect("an enum is a choice");
    let found = variants.iter().find(|variant| variant["properties"]["kind"]["const"] == kind);
    found.unwrap_or_else(|| panic!("the catalogue says that `{kind}` runs, and `file` does not know it"))
}

/// Follows references of `typed`, and sees through what schemars makes of `Option`.
fn resolved(schema: &'static Json) -> &'static Json {
    if let Some(some) = schema["anyOf"].as_array().and_then(|any| any.iter().find(|s| s["type"] != "null")) {
        return resolved(some);
    }
    match schema["$ref"].as_str() {
        Some(name) => {
            resolved(typed().pointer(name.trim_start_matches('#')).expect("schemars defines what it refers to"))
        }
        None => schema,
    }
}

/// What one key takes.
fn leaf(key: &Key) -> Json {
    let text = || json!({ "type": "string" });
    let list = |items: Json| json!({ "type": "array", "items": items });
    let words = || json!({ "type": "string", "enum": key.one_of });
    let mut schema = match key.ty {
        Type::Count => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Type::Bool => json!({ "type": "boolean" }),
        Type::Word => words(),
        Type::Words => list(words()),
        Type::Text | Type::Site | Type::Component => text(),
        Type::Texts | Type::Sites | Type::Components => list(text()),
        Type::Map => json!({ "type": "object", "additionalProperties": text() }),
        other => quantity(other.quantity().expect("what is none of the above has a unit")),
    };
    if key.per_site {
        let each = json!({ "type": "object", "additionalProperties": schema });
        schema = json!({ "anyOf": [schema, each] });
        schema[PER_SITE] = true.into();
    }
    schema["description"] = key.about.clone().into();
    if let Some(default) = &key.default {
        schema["default"] = default.clone();
    }
    schema
}

fn quantity(name: &str) -> Json {
    let (_, pattern) = PATTERNS.iter().find(|(quantity, _)| *quantity == name).expect("every quantity has a form");
    json!({ "type": "string", "pattern": pattern, QUANTITY: name })
}

/// The keys of a kind that we run, as `file` has them, in the words of the catalogue.
pub(crate) fn typed_keys(kind: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    for (name, schema) in typed_variant(kind)["properties"].as_object().into_iter().flatten() {
        let inner = resolved(schema);
        match inner["properties"].as_object() {
            _ if name == "kind" => {}
            Some(nested) => keys.extend(nested.iter().map(|(n, s)| typed_key(format!("{name}.{n}"), s))),
            None => keys.push(typed_key(name.clone(), schema)),
        }
    }
    keys
}

fn typed_key(name: String, schema: &'static Json) -> Key {
    let inner = resolved(schema);
    let one_of = super::shape::choices(inner).unwrap_or_default();
    let about = schema["description"].as_str().or_else(|| inner["description"].as_str()).unwrap_or_default();
    let needs = name == "needs";
    Key {
        name,
        facet: None,
        ty: if needs { Type::Components } else { typed_type(inner, !one_of.is_empty()) },
        one_of: one_of.into_iter().map(str::to_owned).collect(),
        per_site: false,
        default: schema.get("default").filter(|default| !default.is_null()).cloned(),
        about: about.to_owned(),
        asks: None,
    }
}

fn typed_type(schema: &Json, words: bool) -> Type {
    match (schema[QUANTITY].as_str(), super::shape::type_of(schema)) {
        (Some("a duration"), _) => Type::Duration,
        (Some("an interval"), _) => Type::Interval,
        (Some("a percentage"), _) => Type::Percent,
        (Some("a size"), _) => Type::Size,
        (_, "integer") => Type::Count,
        (_, "boolean") => Type::Bool,
        (_, "array") => Type::Texts,
        (_, "object") => Type::Map,
        _ if words => Type::Word,
        _ => Type::Text,
    }
}

/// What of a fitted file the types of `file` know. Components of other kinds are left out.
pub(crate) fn typed_part(file: &Json) -> Json {
    let mut file = file.clone();
    if let Some(components) = file.get_mut("components").and_then(Json::as_object_mut) {
        components
            .retain(|_, c| c["kind"].as_str().and_then(|kind| catalogue().kind(kind)).is_some_and(|kind| kind.runs));
    }
    prune(&mut file, typed());
    file
}

fn prune(value: &mut Json, schema: &'static Json) {
    let mut schema = resolved(schema);
    if let Json::Array(items) = value {
        items.iter_mut().for_each(|item| prune(item, &schema["items"]));
    }
    let Json::Object(map) = value else { return };
    if schema["oneOf"].is_array() {
        schema = typed_variant(map["kind"].as_str().unwrap_or_default());
    }
    let (known, others) = (schema["properties"].as_object(), &schema["additionalProperties"]);
    match known {
        Some(known) => {
            map.retain(|key, _| known.contains_key(key));
            map.iter_mut().for_each(|(key, value)| prune(value, &known[key]));
        }
        None => map.values_mut().for_each(|value| prune(value, others)),
    }
}
