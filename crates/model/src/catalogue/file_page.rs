//! The page of the file's own keys, from the schema: what stands beside `components` and `practice`.

use std::fmt::Write;

use serde_json::Value as Json;

use super::page::{GENERATED, cell, plain};
use crate::spec;

/// Sections that have pages of their own.
const ELSEWHERE: [&str; 2] = ["components", "practice"];

pub(super) fn page() -> String {
    let schema = spec::schema();
    let mut page = format!("# The file\n\n{}\n{GENERATED}\n", describe(schema, schema));
    page += &table(schema, schema);
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        let part = inner(part, schema);
        if part["properties"].is_object() && !ELSEWHERE.contains(&name.as_str()) {
            section(&mut page, name, part, schema);
        }
    }
    page
}

fn section(page: &mut String, name: &str, part: &Json, schema: &Json) {
    let _ = write!(page, "\n## {name}\n\n{}\n", describe(part, schema));
    page.push_str(&table(part, schema));
    for (key, nested) in part["properties"].as_object().into_iter().flatten() {
        let nested = inner(nested, schema);
        if nested["properties"].is_object() {
            section(page, &format!("{name}.{key}"), nested, schema);
        }
    }
}

fn table(part: &Json, schema: &Json) -> String {
    let mut table = String::from("\n| key | takes | |\n|---|---|---|\n");
    let (to_run, always) = (names(&part["x-antipode-required-to-run"]), names(&part["required"]));
    for (name, key) in part["properties"].as_object().into_iter().flatten() {
        let needed = match name {
            _ if always.contains(&name.as_str()) => " Required.",
            _ if to_run.contains(&name.as_str()) => " Required in order to be run.",
            _ => "",
        };
        let default = key.get("default").filter(|default| !default.is_null() && !default.is_object());
        let default = default.map(|default| format!(" Default: `{}`.", plain(default))).unwrap_or_default();
        let (about, takes) = (describe(key, schema), takes(name, key, schema));
        let about = if about.contains("Default:") { about } else { format!("{about}{default}") };
        let _ = writeln!(table, "| `{name}` | {takes} | {}{needed} |", cell(about.trim()));
    }
    table
}

fn names(list: &Json) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).collect()
}

/// Its own comment, else that of what it refers to.
fn describe(key: &Json, schema: &Json) -> String {
    let own = key["description"].as_str().or_else(|| inner(key, schema)["description"].as_str());
    own.unwrap_or_default().to_owned()
}

fn takes(name: &str, key: &Json, schema: &Json) -> String {
    let part = inner(key, schema);
    let words = spec::words(part);
    if let Some(quantity) = part["x-antipode-quantity"].as_str() {
        return quantity.to_owned();
    }
    if !words.is_empty() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    match spec::shape_of(part) {
        "object" if name == "components" => "a mapping of names; see [the kinds](README.md)".to_owned(),
        "object" if name == "practice" => "see [practice](practice.md)".to_owned(),
        "object" if part["properties"].is_object() => "see below".to_owned(),
        "object" => "a mapping of names".to_owned(),
        "array" => "a list".to_owned(),
        "integer" => "a whole number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        _ => "text".to_owned(),
    }
}

/// What a key refers to; of a mapping whose keys are names, what stands under each.
fn inner<'s>(key: &'s Json, schema: &'s Json) -> &'s Json {
    let some = key["anyOf"].as_array().and_then(|any| any.iter().find(|s| s["type"] != "null"));
    if let Some(some) = some {
        return inner(some, schema);
    }
    if let Some(found) = key["$ref"].as_str().and_then(|name| schema.pointer(name.trim_start_matches('#'))) {
        return inner(found, schema);
    }
    match key.get("additionalProperties").filter(|each| each.is_object() && key["properties"].is_null()) {
        Some(each) if inner(each, schema)["properties"].is_object() => inner(each, schema),
        _ => key,
    }
}
