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

/// Values in one spec, repeated ones counted each time. A thousand components over five regions have twenty thousand;
/// aliases of aliases make millions of a few lines.
const MOST_VALUES: usize = 50_000;
/// Levels of nesting. A spec has five; sixty mappings in one another overflow the stack of a thread in a debug build.
const DEEPEST: usize = 16;

/// Reads one YAML document. A syntax error is the only problem then: nothing after it can be trusted.
pub(crate) fn read(text: &str) -> Result<Node, Box<Problem>> {
    let text = &Text::new(text);
    if text.text.len() > super::LONGEST {
        let span = text.span(0, 0);
        let what = format!("{} KiB are more than a spec may have: {} KiB", text.text.len() >> 10, super::LONGEST >> 10);
        return Err(Box::new(Problem::error("spec-yaml", span, what, "nothing was read").hint("name the right file")));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: MOST_VALUES, max_depth: DEEPEST },
        // Both entries reach us, so that duplicates are reported like any other problem.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text.text, options) {
        Ok(raw) => Ok(node(raw, text)),
        Err(error) => Err(Box::new(syntax_problem(&error, text))),
    }
}

fn syntax_problem(error: &serde_saphyr::Error, text: &Text<'_>) -> Problem {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let span = text.span_of(&location);
    let full = error.to_string();
    // The location is shown by the span; the library appends it to the text.
    let message = full.split(" at line ").next().unwrap_or(&full).to_string();
    if matches!(error, serde_saphyr::Error::MultipleDocuments { .. }) {
        return Problem::error("spec-yaml", span, "a spec is one YAML document", "a second document begins here")
            .hint("keep each workload in a file of its own");
    }
    // The library wraps what it says in as many ways as there are places to say it.
    if message.starts_with("budget breached") {
        let what = format!("too much for a spec: more than {MOST_VALUES} values, or {DEEPEST} levels");
        let hint = "name the right file; a value repeated by `*name` counts each time";
        return Problem::error("spec-yaml", span, what, "reading stopped here").hint(hint);
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

/// The spec's text, in which a place is found without counting from its beginning.
struct Text<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Text<'a> {
    fn new(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, lines: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// The parser's place, in bytes where it knows them, made to lie in the text and on whole characters.
    fn span_of(&self, location: &Location) -> Span {
        let span = location.span();
        match (span.byte_offset(), span.byte_len()) {
            (Some(offset), Some(len)) => self.span(offset as usize, len as usize),
            _ => self.span(self.offset_of(location.line() as usize, location.column() as usize), 1),
        }
    }

    fn span(&self, offset: usize, len: usize) -> Span {
        let start = self.boundary(offset);
        let end = self.boundary(offset.saturating_add(len)).max(start);
        let line = self.lines.partition_point(|begin| *begin <= start);
        let column = self.text[self.lines[line - 1]..start].chars().count() + 1;
        Span { line, column, offset: start, len: end - start }
    }

    /// The first character boundary from `at` on.
    fn boundary(&self, at: usize) -> usize {
        (at..self.text.len()).find(|i| self.text.is_char_boundary(*i)).unwrap_or(self.text.len())
    }

    /// From line and column, which count from 1; in characters.
    fn offset_of(&self, line: usize, column: usize) -> usize {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        start + self.text[start..].chars().take(column.saturating_sub(1)).map(char::len_utf8).sum::<usize>()
    }
}

fn node(raw: Spanned<Raw>, text: &Text<'_>) -> Node {
    let span = text.span_of(&raw.referenced);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(scalar) => Value::Scalar(scalar),
        Raw::Typed(fallback) => {
            let defined = text.span_of(&raw.defined);
            let written = text.text.get(defined.offset..defined.offset + defined.len);
            Value::Scalar(written.filter(|w| !w.is_empty()).map_or(fallback, |w| w.trim().to_string()))
        }
        Raw::List(items) => Value::List(items.into_iter().map(|i| node(i, text)).collect()),
        Raw::Map(entries) => Value::Map(entries.into_iter().map(|(k, v)| entry(k, v, text)).collect()),
    };
    Node { span, value }
}

fn entry(key: Spanned<String>, value: Spanned<Raw>, text: &Text<'_>) -> Entry {
    Entry { key_span: text.span_of(&key.referenced), key: key.value, node: node(value, text) }
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
