//! Fits a YAML tree to the schema, and collects everything that does not fit.
//!
//! Driven by the JSON Schema that `antipode schema` prints, so that the two cannot drift apart. It knows only
//! the part of JSON Schema that schemars makes of `file`'s types.

use serde_json::{Map, Value as Json};

use super::problem::{Problem, Span, did_you_mean, suggest};
use super::quantity::{self, QUANTITY};
use super::schema::{PER_SITE, RUNS, TO_RUN};
use super::tree::{Entry, Node, Value};

/// The tree as JSON typed by the schema; meaningless when there are problems. What is `to_run` needs more keys than what
/// is only assessed.
pub(crate) fn fit(root: &Node, schema: &Json, to_run: bool) -> (Json, Vec<Problem>) {
    let mut fitter = Fitter { schema, to_run, problems: Vec::new() };
    let json = fitter.fit(root, schema, &Place { name: "the file", span: root.span });
    (json, fitter.problems)
}

/// The key (or the list item) that a value belongs to: where to point when the value itself is no text.
struct Place<'a> {
    name: &'a str,
    span: Span,
}

struct Fitter<'s> {
    schema: &'s Json,
    to_run: bool,
    problems: Vec<Problem>,
}

impl<'s> Fitter<'s> {
    fn fit(&mut self, node: &Node, schema: &'s Json, place: &Place<'_>) -> Json {
        let schema = self.resolve(schema);
        if let (Value::Null, true) = (&node.value, std::ptr::eq(schema, self.schema)) {
            let problem = Problem::error("spec-wrong-type", place.span, "the file is empty", "nothing here");
            return self.report(problem.hint("begin with `workload:` and its name; `antipode schema` lists every key"));
        }
        if let Value::Null = node.value {
            return self.report(
                Problem::error("spec-wrong-type", place.span, format!("{} has no value", tick(place)), "nothing here")
                    .hint("give it a value, or remove the key to take the default"),
            );
        }
        if let (Some([one, each]), true) = (alternatives(schema), schema.get(PER_SITE).is_some()) {
            let by_site = matches!(node.value, Value::Map(_));
            return if by_site { self.fit_object(node, each, place) } else { self.fit(node, one, place) };
        }
        if let Some(choices) = choices(schema) {
            return self.fit_choice(node, &choices, place);
        }
        if let Some(variants) = schema.get("oneOf").and_then(Json::as_array) {
            return self.fit_variant(node, variants, place);
        }
        match type_of(schema) {
            "object" => self.fit_object(node, schema, place),
            "array" => self.fit_list(node, schema, place),
            "integer" => self.fit_integer(node, schema, place),
            "boolean" => self.fit_boolean(node, place),
            _ => self.fit_text(node, schema, place),
        }
    }

    /// Follows references, and sees through what schemars makes of `Option`.
    fn resolve(&self, schema: &'s Json) -> &'s Json {
        let mut schema = schema;
        loop {
            if schema.get(PER_SITE).is_some() {
                return schema;
            }
            let some = schema.get("anyOf").and_then(Json::as_array);
            if let Some(some) = some.and_then(|any| any.iter().find(|s| s.get("type") != Some(&"null".into()))) {
                schema = some;
            } else if let Some(name) = schema.get("$ref").and_then(Json::as_str) {
                let found = self.schema.pointer(name.trim_start_matches('#'));
                schema = found.expect("schemars defines what it refers to");
            } else {
                return schema;
            }
        }
    }

    fn fit_object(&mut self, node: &Node, schema: &'s Json, place: &Place<'_>) -> Json {
        let Value::Map(entries) = &node.value else { return self.wrong_type(node, "a mapping", place) };
        let known = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties").filter(|s| s.is_object());
        let mut object = Map::new();
        let mut misspelt = Vec::new();
        for (i, entry) in entries.iter().enumerate() {
            if let Some(first) = entries[..i].iter().find(|e| e.key == entry.key) {
                self.duplicate(entry, first);
                continue;
            }
            let Some(inner) = known.and_then(|k| k.get(&entry.key)).or(others) else {
                misspelt.extend(self.unknown_key(entry, known, place));
                continue;
            };
            let value = self.fit(&entry.node, inner, &Place { name: &entry.key, span: entry.key_span });
            object.insert(entry.key.clone(), value);
        }
        let to_run = schema.get(TO_RUN).filter(|_| self.to_run);
        for required in to_run.or_else(|| schema.get("required")).and_then(Json::as_array).into_iter().flatten() {
            let key = required.as_str().unwrap_or_default();
            if node.get(key).is_none() && !misspelt.contains(&key) {
                self.missing_key(key, known.and_then(|k| k.get(key)), place);
            }
        }
        Json::Object(object)
    }

    fn fit_list(&mut self, node: &Node, schema: &'s Json, place: &Place<'_>) -> Json {
        let Value::List(items) = &node.value else { return self.wrong_type(node, "a list", place) };
        let inner = schema.get("items").expect("schemars types every list");
        let fitted = items.iter().map(|item| self.fit(item, inner, &Place { name: place.name, span: item.span }));
        Json::Array(fitted.collect())
    }

    fn fit_text(&mut self, node: &Node, schema: &Json, place: &Place<'_>) -> Json {
        let Value::Scalar(text) = &node.value else { return self.wrong_type(node, "a single value", place) };
        if let Some(kind) = schema.get(QUANTITY).and_then(Json::as_str)
            && let Err(bad) = quantity::value(kind, text)
        {
            let problem = Problem::error("spec-unit", node.span, bad.message, format!("should be {kind}"));
            return self.report(problem.hint(bad.hint));
        }
        Json::String(text.clone())
    }

    fn fit_integer(&mut self, node: &Node, schema: &Json, place: &Place<'_>) -> Json {
        let number = match &node.value {
            Value::Scalar(text) => text.parse::<i64>().ok(),
            _ => None,
        };
        let Some(number) = number else { return self.wrong_type(node, "a whole number", place) };
        let bound = |key| schema.get(key).and_then(Json::as_i64);
        let (min, max) = (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(u32::MAX.into()));
        if !(min..=max).contains(&number) {
            let message = format!("{} is out of range", tick(place));
            let problem = Problem::error("spec-range", node.span, message, format!("must be {min} to {max}"));
            return self.report(problem);
        }
        number.into()
    }

    fn fit_boolean(&mut self, node: &Node, place: &Place<'_>) -> Json {
        match &node.value {
            Value::Scalar(text) if text == "true" => true.into(),
            Value::Scalar(text) if text == "false" => false.into(),
            _ => self.wrong_type(node, "`true` or `false`", place),
        }
    }

    fn fit_choice(&mut self, node: &Node, choices: &[&str], place: &Place<'_>) -> Json {
        let Value::Scalar(text) = &node.value else { return self.wrong_type(node, "a single word", place) };
        if !choices.contains(&text.as_str()) {
            return self.unknown_value(node.span, text, place.name, choices);
        }
        Json::String(text.clone())
    }

    /// An object whose shape hangs on one of its keys, such as a component's `kind`.
    fn fit_variant(&mut self, node: &Node, variants: &'s [Json], place: &Place<'_>) -> Json {
        let tags: Vec<(&str, &str)> = variants.iter().filter_map(tag_of).collect();
        let tag = tags.first().map_or("kind", |(tag, _)| tag);
        let names: Vec<&str> = tags.iter().map(|(_, name)| *name).collect();
        if !matches!(node.value, Value::Map(_)) {
            return self.wrong_type(node, "a mapping", place);
        }
        let Some(entry) = node.get(tag) else {
            let message = format!("{} has no `{tag}`", tick(place));
            return self.report(
                Problem::error("spec-missing-key", place.span, message, format!("needs `{tag}`"))
                    .hint(kinds_hint(variants)),
            );
        };
        let Value::Scalar(name) = &entry.node.value else {
            return self.wrong_type(&entry.node, "a single word", place);
        };
        match names.iter().position(|n| n == name) {
            Some(at) => self.fit_object(node, &variants[at], place),
            None => {
                let message = format!("`{name}` is not a known `{tag}`");
                let meant = did_you_mean(name, names.iter().copied()).map(|best| format!("did you mean `{best}`?"));
                let hint = meant.unwrap_or_else(|| kinds_hint(variants));
                self.report(Problem::error("spec-unknown-value", entry.node.span, message, "not known").hint(hint))
            }
        }
    }

    fn report(&mut self, problem: Problem) -> Json {
        self.problems.push(problem);
        Json::Null
    }

    fn wrong_type(&mut self, node: &Node, wanted: &str, place: &Place<'_>) -> Json {
        let (span, found) = match &node.value {
            Value::Scalar(text) => (node.span, format!("`{text}`")),
            _ => (place.span, node.what().to_string()),
        };
        let message = format!("{} must be {wanted}, not {found}", tick(place));
        self.report(Problem::error("spec-wrong-type", span, message, format!("expected {wanted}")))
    }

    fn unknown_value(&mut self, span: Span, text: &str, key: &str, choices: &[&str]) -> Json {
        let message = format!("`{text}` is not a known `{key}`");
        let hint = suggest(text, choices.iter().copied());
        self.report(Problem::error("spec-unknown-value", span, message, "not known").hint(hint))
    }

    fn duplicate(&mut self, entry: &Entry, first: &Entry) {
        let message = format!("`{}` is given twice", entry.key);
        self.report(
            Problem::error("spec-duplicate-key", entry.key_span, message, "again here")
                .related(first.key_span, "first here")
                .hint("keep one of the two"),
        );
    }

    /// Returns the key that was probably meant.
    fn unknown_key(
        &mut self,
        entry: &Entry,
        known: Option<&'s Map<String, Json>>,
        place: &Place<'_>,
    ) -> Option<&'s str> {
        let message = format!("`{}` is not a key of {}", entry.key, tick(place));
        let known = known.into_iter().flat_map(Map::keys).map(String::as_str);
        let meant = did_you_mean(&entry.key, known.clone());
        let problem = Problem::error("spec-unknown-key", entry.key_span, message, "unknown key");
        self.report(problem.hint(suggest(&entry.key, known)));
        meant
    }

    fn missing_key(&mut self, key: &str, schema: Option<&'s Json>, place: &Place<'_>) {
        let describe = |s: &Json| s.get("description").and_then(Json::as_str).map(str::to_string);
        // The field's own comment, else its type's.
        let meaning = schema.and_then(|s| describe(s).or_else(|| describe(self.resolve(s))));
        let message = format!("{} needs `{key}`", tick(place));
        let problem = Problem::error("spec-missing-key", place.span, message, format!("`{key}` is missing"));
        self.report(problem.hint_opt(meaning.map(|m| format!("`{key}`: {m}"))));
    }
}

fn tick(place: &Place<'_>) -> String {
    if place.name == "the file" { place.name.to_string() } else { format!("`{}`", place.name) }
}

/// The kinds that run, and where the others are found: there are too many to list.
fn kinds_hint(variants: &[Json]) -> String {
    let runs = variants.iter().filter(|variant| variant.get(RUNS).is_some());
    let runs: Vec<&str> = runs.filter_map(tag_of).map(|(_, name)| name).collect();
    let runs = runs.join(", ");
    format!("one of: {runs}; or, of those that can only be assessed, one that `antipode schema` lists")
}

fn alternatives(schema: &Json) -> Option<[&Json; 2]> {
    schema.get("anyOf")?.as_array()?.iter().collect::<Vec<_>>().try_into().ok()
}

/// The words of an enumeration: `enum`, or `oneOf` of constants when its variants are documented.
pub(crate) fn choices(schema: &Json) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        return Some(words.iter().filter_map(Json::as_str).collect());
    }
    let variants = schema.get("oneOf")?.as_array()?;
    let words = variants.iter().map(|v| match v.get("enum") {
        Some(words) => words.as_array().map(|w| w.iter().filter_map(Json::as_str).collect()),
        None => v.get("const").and_then(Json::as_str).map(|w| vec![w]),
    });
    words.collect::<Option<Vec<Vec<&str>>>>().map(|words| words.concat())
}

/// The tag of one variant: the key and the constant that it must have.
fn tag_of(variant: &Json) -> Option<(&str, &str)> {
    let properties = variant.get("properties")?.as_object()?;
    properties.iter().find_map(|(key, schema)| Some((key.as_str(), schema.get("const")?.as_str()?)))
}

pub(crate) fn type_of(schema: &Json) -> &str {
    match schema.get("type") {
        Some(Json::String(name)) => name,
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).find(|n| *n != "null").unwrap_or("string"),
        _ => "string",
    }
}
