//! What a resource says at a path of keys, as words that can be read and compared.

use antipode_render::resource::Resource;
use antipode_render::value::{Pseudo, Value};

/// What stands at a path such as `Rules.*.Status`, as words: an empty one where there is nothing. What a condition takes away
/// altogether is no word.
pub fn all(resource: &Resource, path: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match resource.properties.get(first) {
        Some(value) => below(value, rest, &mut words),
        None => words.push(String::new()),
    }
    words
}

pub fn below(value: &Value, path: &str, words: &mut Vec<String>) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match value {
        Value::Pseudo(Pseudo::NoValue) => {}
        Value::If(_, then, otherwise) => [then, otherwise].into_iter().for_each(|value| below(value, path, words)),
        _ if path.is_empty() => words.push(word(value)),
        Value::List(items) if first == "*" => items.iter().for_each(|item| below(item, rest, words)),
        Value::Map(map) if first == "*" => map.0.iter().for_each(|(_, value)| below(value, rest, words)),
        Value::Map(map) => match map.get(first) {
            Some(value) => below(value, rest, words),
            None => words.push(String::new()),
        },
        _ => words.push(String::new()),
    }
}

/// A value as one word; what is only known when it is deployed stands in braces.
pub fn word(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Text(text) => text.to_string(),
        Value::List(items) | Value::Concat(items) | Value::Join(_, items) => items.iter().map(word).collect(),
        Value::Map(map) => map.0.iter().map(|(key, value)| format!("{key}={} ", word(value))).collect(),
        Value::Pseudo(Pseudo::NoValue) => String::new(),
        Value::Pseudo(pseudo) => format!("{{{}}}", pseudo.name()),
        Value::Parameter(_, name) => format!("{{{name}}}"),
        Value::Ref(target) => format!("{{{}}}", target.id),
        Value::Attribute(target, attribute) => format!("{{{}.{attribute}}}", target.id),
        Value::Output(target, name) => format!("{{{}.{name}}}", target.id),
        Value::Select(_, of) | Value::Cidr(of, ..) => word(of),
        Value::Zones => "{zones}".to_owned(),
        Value::If(_, then, otherwise) => word(then) + &word(otherwise),
    }
}
