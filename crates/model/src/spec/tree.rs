//! YAML as a tree that remembers where everything stands.
//!
//! Scalars stay text, so that `zones: [n, y]` are names and `artifact: 1.10` keeps its zero: what a scalar means
//! is decided by the shape it must fit, not by how it looks.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::problem::{Problem, Span};

#[derive(Debug)]
pub(crate) struct Node {
    pub span: Span,
    pub value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }
    /// What this is, for people.
    pub fn what(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
    /// The span of the value at `path` (keys, or positions in lists); of the deepest key that exists when it does not.
    pub fn locate(&self, path: &[&str]) -> Span {
        let (mut node, mut at) = (self, self.span);
        for step in path {
            let next = match &node.value {
                Value::Map(_) => node.get(step).map(|e| (&e.node, e.key_span)),
                Value::List(items) => step.parse().ok().and_then(|i: usize| items.get(i)).map(|n| (n, n.span)),
                _ => None,
            };
            let Some((child, key_span)) = next else { return at };
            (node, at) = (child, key_span);
        }
        match node.value {
            Value::Scalar(_) => node.span,
            _ => at,
        }
    }
    /// The span of the last key of `path`, rather than of its value.
    pub fn locate_key(&self, path: &[&str]) -> Span {
        let Some((last, before)) = path.split_last() else { return self.span };
        let parent = before.iter().try_fold(self, |node, step| node.get(step).map(|e| &e.node));
        parent.and_then(|p| p.get(last)).map_or_else(|| self.locate(path), |e| e.key_span)
    }
}

/// Reads one YAML document. A syntax error is the only problem then: nothing after it can be trusted.
pub(crate) fn read(text: &str) -> Result<Node, Box<Problem>> {
    let options = serde_saphyr::options! {
        // Both entries reach us, so that duplicates are reported like any other problem.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(node(raw, text)),
        Err(error) => Err(Box::new(syntax_problem(&error, text))),
    }
}

fn syntax_problem(error: &serde_saphyr::Error, text: &str) -> Problem {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let span = span_of(&location, text);
    let full = error.to_string();
    // The location is shown by the span; the library appends it to the text.
    let message = full.split(" at line ").next().unwrap_or(&full).to_string();
    if matches!(error, serde_saphyr::Error::MultipleDocuments { .. }) {
        return Problem::error("spec-yaml", span, "a spec is one YAML document", "a second document begins here")
            .hint("keep each workload in a file of its own");
    }
    let hint = match () {
        _ if message.contains("tab") => "indent with spaces, two for each level",
        _ if message.contains("alias") => {
            "`*name` repeats a value marked `&name` before it: quote a text that begins with `*`"
        }
        _ if message.contains("string scalar") => "keys are plain words, such as `workload`",
        _ => "check the indentation, the colons and the brackets around this place",
    };
    Problem::error("spec-yaml", span, format!("not readable as YAML: {message}"), "reading stopped here").hint(hint)
}

/// The parser's place, in bytes where it knows them, made to lie in the text and on whole characters.
fn span_of(location: &Location, text: &str) -> Span {
    let span = location.span();
    let (offset, len) = match (span.byte_offset(), span.byte_len()) {
        (Some(offset), Some(len)) => (offset as usize, len as usize),
        _ => (offset_of(text, location.line() as usize, location.column() as usize), 1),
    };
    let offset = boundary(text, offset);
    let end = boundary(text, offset + len);
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Span { line, column, offset, len: end - offset }
}

/// The first character boundary from `at` on.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len())
}

/// From line and column, which count from 1; in characters.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum::<usize>()
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let span = span_of(&raw.referenced, text);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(scalar) => Value::Scalar(scalar),
        Raw::Typed(fallback) => {
            let defined = span_of(&raw.defined, text);
            let written = text.get(defined.offset..defined.offset + defined.len);
            Value::Scalar(written.filter(|w| !w.is_empty()).map_or(fallback, |w| w.trim().to_string()))
        }
        Raw::List(items) => Value::List(items.into_iter().map(|i| node(i, text)).collect()),
        Raw::Map(entries) => Value::Map(entries.into_iter().map(|(k, v)| entry(k, v, text)).collect()),
    };
    Node { span, value }
}

fn entry(key: Spanned<String>, value: Spanned<Raw>, text: &str) -> Entry {
    Entry { key_span: span_of(&key.referenced, text), key: key.value, node: node(value, text) }
}

enum Raw {
    Null,
    Text(String),
    /// Looked like a number or a boolean; only a fallback, because the text as written is what counts.
    Typed(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }
    fn visit_str<E>(self, v: &str) -> Result<Raw, E> {
        Ok(Raw::Text(v.to_string()))
    }
    fn visit_bool<E>(self, v: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_i128<E>(self, v: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_u128<E>(self, v: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}
