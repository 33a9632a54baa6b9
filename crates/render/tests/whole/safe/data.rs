//! What stays, what is encrypted, and what each type must say.

use super::Place;
use super::tables::{By, ENCRYPTED, HOLDS, NAMES_ANOTHER, SAID};
use crate::words::{all, word};
use antipode_render::value::Value;

pub fn kept(place: &Place<'_>) -> Vec<String> {
    let resource = place.resource;
    // What was alarmed of is nobody's data.
    let wanted = HOLDS.iter().find(|(kind, _)| *kind == resource.kind).filter(|_| &*resource.id != "AlarmKey");
    let wrong = wanted.filter(|(_, keep)| *keep != resource.keep);
    wrong.map(|(_, keep)| format!("is {:?}, not {keep:?}", resource.keep)).into_iter().collect()
}

pub fn encrypted(place: &Place<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (_, path, by, unless) in ENCRYPTED.iter().filter(|(kind, ..)| *kind == place.resource.kind) {
        if place.resource.properties.get(unless).is_some() || excused(place, unless) || is_for_all(place) {
            continue;
        }
        let found = all(place.resource, path);
        let right = |said: &String| match by {
            By::Key => said.contains("Key") || said.contains("alias/"),
            By::Is(word) => said == word,
        };
        if found.is_empty() || !found.iter().all(right) {
            wrong.push(format!("{path} is {found:?}"));
        }
    }
    wrong
}

/// Whether the template says why a check of checkov does not apply.
fn excused(place: &Place<'_>, check: &str) -> bool {
    !check.is_empty() && place.resource.metadata.get("checkov").is_some_and(|skip| word(skip).contains(check))
}

/// A bucket that a service writes to, or everybody reads, which can do neither with a key of ours.
fn is_for_all(place: &Place<'_>) -> bool {
    let theirs = ["Signal", "Logs"].iter().any(|end| place.resource.id.ends_with(end));
    theirs && all(place.resource, "BucketEncryption.*.*.ServerSideEncryptionByDefault.SSEAlgorithm") == ["AES256"]
}

pub fn said(place: &Place<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let shifted = all(place.resource, "DeploymentConfiguration.Strategy")
        .iter()
        .any(|how| how == "CANARY" || how == "BLUE_GREEN");
    for (_, path, word) in SAID.iter().filter(|(kind, ..)| *kind == place.resource.kind) {
        // ECS takes a circuit breaker only where tasks are replaced part by part; else an alarm takes a version back.
        let path = match path.split_once(".DeploymentCircuitBreaker.") {
            Some((of, what)) if shifted => &format!("{of}.Alarms.{what}"),
            _ => *path,
        };
        let found = all(place.resource, path);
        let right = |said: &String| if word.is_empty() { !said.is_empty() } else { said == word };
        if found.is_empty() || !found.iter().all(right) {
            wrong.push(format!("{path} is {found:?}, not {word:?}"));
        }
    }
    wrong
}

/// What a region says of another one can be wrong when that one is not there: only the links do.
pub fn by_itself(place: &Place<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, value) in &place.resource.properties.0 {
        let mut see = |path: String, text: &str| {
            let other = place.others.iter().find(|other| names(text, other));
            let known = |(kind, at): &(&str, &str)| *kind == place.resource.kind && path.starts_with(at);
            if let Some(other) = other.filter(|_| !NAMES_ANOTHER.iter().any(known)) {
                wrong.push(format!("{path} names {other}: {text}"));
            }
        };
        texts(value, key.to_string(), &mut see);
    }
    wrong
}

fn names(text: &str, region: &str) -> bool {
    text.match_indices(region).any(|(at, _)| !text[at + region.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

fn texts(value: &Value, path: String, see: &mut impl FnMut(String, &str)) {
    match value {
        Value::Text(text) => see(path, text),
        Value::Map(map) => map.0.iter().for_each(|(key, value)| texts(value, format!("{path}.{key}"), see)),
        Value::List(items) => items.iter().for_each(|item| texts(item, format!("{path}.*"), see)),
        Value::Concat(items) | Value::Join(_, items) => items.iter().for_each(|item| texts(item, path.clone(), see)),
        Value::If(_, then, otherwise) => {
            [then, otherwise].into_iter().for_each(|value| texts(value, path.clone(), see));
        }
        _ => {}
    }
}

/// Each alarm of somebody's own region, when it begins and when it ends.
pub fn told(place: &Place<'_>) -> Vec<String> {
    if !matches!(place.resource.kind, "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm") {
        return Vec::new();
    }
    let actions = place.resource.properties.get("AlarmActions").map(word).unwrap_or_default();
    // One that mends something, one that ends a practice run, and one that a health check or a deployment looks at.
    let id = &place.resource.id;
    let looked_at = ["CheckAlarm", "GreenAlarm", "LateEvents", "NewVersionFails"].iter().any(|end| id.ends_with(end));
    if actions.contains(":automate:") || id.contains("OutcomeOf") || looked_at {
        return Vec::new();
    }
    let wrong = |key: &&str| all(place.resource, &format!("{key}.*")) != ["{AlarmTopic}"];
    let silent = place.resource.kind == "AWS::CloudWatch::Alarm" && all(place.resource, "TreatMissingData") == [""];
    let silent = silent.then(|| "does not say what silence means".to_owned());
    let wrong = ["AlarmActions", "OKActions"].into_iter().filter(wrong);
    wrong.map(|key| format!("{key} is {:?}", all(place.resource, key))).chain(silent).collect()
}
