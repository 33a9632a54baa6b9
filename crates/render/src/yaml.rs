//! Writes templates: YAML with the short forms of CloudFormation's functions, and comments that say who asked.
//!
//! Our own writer, because no library writes `!Ref` and comments. It writes a small part of YAML: block maps and lists,
//! and texts that are plain only where no reader can take them for something else.

use crate::link::{Output, Template};
use crate::resource::{Keep, Parameter, Resource, Test};
use crate::split::MOST_BYTES;
use crate::value::{Map, Pseudo, Value};

/// The text of one template.
pub fn template(template: &Template, spec: &str) -> String {
    let mut out = Writer(String::with_capacity(MOST_BYTES));
    out.line(0, &["# Written by `antipode render` from ", spec, ": change the spec, not this file."]);
    out.line(0, &["AWSTemplateFormatVersion: \"2010-09-09\""]);
    out.text(0, "Description", &template.description);
    if !template.parameters.is_empty() {
        out.line(0, &["Parameters:"]);
        template.parameters.iter().for_each(|parameter| out.parameter(parameter));
    }
    if !template.conditions.is_empty() {
        out.line(0, &["Conditions:"]);
        for (name, test) in &template.conditions {
            out.words(2, &[name, ":"]);
            out.test(2, test);
        }
    }
    out.line(0, &["Resources:"]);
    template.resources.iter().for_each(|resource| out.resource(resource, spec));
    if !template.outputs.is_empty() {
        out.line(0, &["Outputs:"]);
        template.outputs.iter().for_each(|output| out.output(output));
    }
    out.0
}

/// The same without a word to readers, for what is put into another template: it changes only when what is made does.
pub fn bare(of: &Template) -> String {
    let text = template(of, "");
    let told = |line: &&str| !line.starts_with("# ") && !line.starts_with("  # ");
    text.lines().filter(told).fold(String::new(), |out, line| out + line + "\n")
}

/// Any value as a document of its own.
pub fn document(map: &Map) -> String {
    let mut out = Writer(String::new());
    out.map(0, map);
    out.0
}

/// How long a resource is, about, before it is known where it goes.
pub fn length(resource: &Resource) -> usize {
    let mut out = Writer(Length(0));
    out.resource(resource, "antipode.yaml");
    out.0.0
}

/// How long an item of a list is that stands so deep.
pub fn item_length(indent: usize, item: &Value) -> usize {
    let mut out = Writer(Length(0));
    out.item(indent, item);
    out.0.0
}

/// As many as the deepest line begins with, nearly always.
const SPACES: &str = "                                                                ";

/// What texts are written to.
trait Sink {
    fn push_str(&mut self, text: &str);
    fn push(&mut self, letter: char);
}

impl Sink for String {
    fn push_str(&mut self, text: &str) {
        self.push_str(text);
    }
    fn push(&mut self, letter: char) {
        self.push(letter);
    }
}

/// Only how much was written.
struct Length(usize);

impl Sink for Length {
    fn push_str(&mut self, text: &str) {
        self.0 += text.len();
    }
    fn push(&mut self, letter: char) {
        self.0 += letter.len_utf8();
    }
}

struct Writer<S>(S);

impl<S: Sink> Writer<S> {
    fn line(&mut self, indent: usize, words: &[&str]) {
        self.words(indent, words);
        self.0.push('\n');
    }
    /// What a line begins with.
    fn words(&mut self, indent: usize, words: &[&str]) {
        self.pad(indent);
        words.iter().for_each(|word| self.0.push_str(word));
    }
    fn pad(&mut self, indent: usize) {
        match SPACES.get(..indent) {
            Some(spaces) => self.0.push_str(spaces),
            None => (0..indent).for_each(|_| self.0.push(' ')),
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        use crate::resource::Given;
        self.line(2, &[&parameter.name, ":"]);
        self.text(4, "Type", parameter.kind);
        self.text(4, "Description", &parameter.about);
        if let Given::AtFirst(value) | Given::Spec(value) = &parameter.value {
            self.text(4, "Default", value);
        }
        if !parameter.allowed.is_empty() {
            let allowed = parameter.allowed.iter().map(Value::from).collect();
            self.key(4, "AllowedValues", &Value::List(allowed));
        }
        if parameter.secret {
            self.key(4, "NoEcho", &true.into());
        }
    }

    fn resource(&mut self, resource: &Resource, spec: &str) {
        self.line(2, &["# ", &resource.asked.path, ", line ", &resource.asked.line.to_string(), " of ", spec]);
        self.line(2, &[&resource.id, ":"]);
        self.line(4, &["Type: ", resource.kind]);
        if let Some(condition) = &resource.condition {
            self.line(4, &["Condition: ", &condition.name]);
        }
        match resource.depends_on.as_slice() {
            [] => {}
            [one] => self.line(4, &["DependsOn: ", &one.id]),
            several => {
                self.line(4, &["DependsOn:"]);
                several.iter().for_each(|target| self.line(6, &["- ", &target.id]));
            }
        }
        let kept = match resource.keep {
            Keep::No => None,
            // What a first deployment made and then took back has no data yet, and a name that the next one needs.
            Keep::Retain => Some(("RetainExceptOnCreate", "Retain")),
            Keep::Snapshot => Some(("Snapshot", "Snapshot")),
        };
        if let Some((deleted, replaced)) = kept {
            self.line(4, &["DeletionPolicy: ", deleted]);
            self.line(4, &["UpdateReplacePolicy: ", replaced]);
        }
        if !resource.metadata.0.is_empty() {
            self.line(4, &["Metadata:"]);
            self.map(6, &resource.metadata);
        }
        self.map(4, &resource.policies);
        if !resource.properties.0.is_empty() {
            self.line(4, &["Properties:"]);
            self.map(6, &resource.properties);
        }
    }

    fn output(&mut self, output: &Output) {
        self.line(2, &[&output.name, ":"]);
        self.text(4, "Description", &output.about);
        self.key(4, "Value", &output.value);
    }

    fn map(&mut self, indent: usize, map: &Map) {
        for (key, value) in &map.0 {
            self.key(indent, key, value);
        }
    }

    fn key(&mut self, indent: usize, key: &str, value: &Value) {
        self.pad(indent);
        self.entry(indent, key, value);
    }

    /// A key and its value, where the line has begun.
    fn entry(&mut self, indent: usize, key: &str, value: &Value) {
        self.scalar(key);
        self.0.push(':');
        self.value(indent, value);
    }

    fn text(&mut self, indent: usize, key: &str, text: &str) {
        self.words(indent, &[key, ":"]);
        self.lines(indent, text);
    }

    /// What follows `key:` or `-`, with the end of the line.
    fn value(&mut self, indent: usize, value: &Value) {
        match value {
            Value::Map(map) if !map.0.is_empty() => {
                self.0.push('\n');
                self.map(indent + 2, map);
            }
            Value::List(items) if !items.is_empty() => {
                self.0.push('\n');
                items.iter().for_each(|item| self.item(indent + 2, item));
            }
            Value::Text(text) => self.lines(indent, text),
            Value::Concat(pieces) => self.concat(indent, pieces),
            Value::If(condition, then, otherwise) => {
                self.0.push_str(" !If\n");
                self.line(indent + 2, &["- ", &condition.name]);
                self.item(indent + 2, then);
                self.item(indent + 2, otherwise);
            }
            Value::Join(by, items) => {
                self.0.push_str(" !Join\n");
                self.words(indent + 2, &["- "]);
                self.quoted(by);
                self.0.push('\n');
                match items.as_slice() {
                    [one @ (Value::Parameter(..) | Value::Ref(_) | Value::Attribute(..))] => self.item(indent + 2, one),
                    items => {
                        self.words(indent + 2, &["-"]);
                        self.list(indent + 2, items);
                    }
                }
            }
            Value::Select(index, of) => {
                self.0.push_str(" !Select\n");
                self.line(indent + 2, &["- ", &index.to_string()]);
                self.item(indent + 2, of);
            }
            Value::Cidr(of, count, bits) => {
                self.0.push_str(" !Cidr\n");
                self.item(indent + 2, of);
                self.line(indent + 2, &["- ", &count.to_string()]);
                self.line(indent + 2, &["- ", &bits.to_string()]);
            }
            Value::List(_) => self.0.push_str(" []\n"),
            Value::Map(_) => self.0.push_str(" {}\n"),
            Value::Bool(yes) => self.line(1, &[if *yes { "true" } else { "false" }]),
            Value::Int(n) => self.line(1, &[&n.to_string()]),
            Value::Zones => self.line(1, &["!GetAZs \"\""]),
            Value::Pseudo(pseudo) => self.line(1, &["!Ref ", pseudo.name()]),
            Value::Parameter(_, name) => self.line(1, &["!Ref ", name]),
            Value::Ref(target) => self.line(1, &["!Ref ", &target.id]),
            Value::Attribute(target, attribute) => self.line(1, &["!GetAtt ", &target.id, ".", attribute]),
            Value::Output(target, name) => self.line(1, &["!GetAtt ", &target.id, ".Outputs.", name]),
        }
    }

    fn item(&mut self, indent: usize, item: &Value) {
        self.pad(indent);
        self.dashed(indent, item);
    }

    /// An item of a list, where the line has begun.
    fn dashed(&mut self, indent: usize, item: &Value) {
        self.0.push('-');
        match item {
            // The first key of a map stands on the line of its dash.
            Value::Map(map) if !map.0.is_empty() => {
                for (n, (key, value)) in map.0.iter().enumerate() {
                    self.pad(if n == 0 { 1 } else { indent + 2 });
                    self.entry(indent + 2, key, value);
                }
            }
            Value::List(items) => self.list(indent, items),
            other => self.value(indent, other),
        }
    }

    /// A list in a list: its first item stands on the line of the dash before it.
    fn list(&mut self, indent: usize, items: &[Value]) {
        for (n, item) in items.iter().enumerate() {
            self.pad(if n == 0 { 1 } else { indent + 2 });
            self.dashed(indent + 2, item);
        }
        if items.is_empty() {
            self.0.push_str(" []\n");
        }
    }

    /// A text of one line or of several.
    fn lines(&mut self, indent: usize, text: &str) {
        // Nearly all are plain, and a plain one has one line.
        if is_plain(text) {
            self.0.push(' ');
            self.0.push_str(text);
        } else if of_lines(text) {
            return self.literal(indent + 2, "", text);
        } else {
            self.0.push(' ');
            self.quoted(text);
        }
        self.0.push('\n');
    }

    /// Texts and what is put between them.
    fn concat(&mut self, indent: usize, pieces: &[Value]) {
        let mut text = String::with_capacity(200);
        pieces.iter().for_each(|piece| substituted(&mut text, piece));
        if of_lines(&text) {
            self.literal(indent + 2, "!Sub ", &text);
        } else if pieces.iter().all(is_text) {
            self.lines(indent, &text.replace("${!", "${"));
        } else {
            self.0.push_str(" !Sub ");
            self.quoted(&text);
            self.0.push('\n');
        }
    }

    /// A text of several lines, as it is.
    fn literal(&mut self, indent: usize, tag: &str, text: &str) {
        let (body, chomp) = match text.strip_suffix('\n') {
            Some(body) if !body.ends_with('\n') => (body, ""),
            _ => (text, if text.ends_with('\n') { "+" } else { "-" }),
        };
        // A first line that begins with spaces would be taken for the indentation of all.
        let depth = if body.starts_with(' ') || body.starts_with('\n') { "2" } else { "" };
        self.line(1, &[tag, "|", depth, chomp]);
        for line in body.split('\n') {
            match line.is_empty() {
                true => self.0.push('\n'),
                false => self.line(indent, &[line]),
            }
        }
    }

    /// A text that every reader of YAML, of either version, takes for just this text.
    fn scalar(&mut self, text: &str) {
        match is_plain(text) {
            true => self.0.push_str(text),
            false => self.quoted(text),
        }
    }

    /// In double quotes, as JSON and YAML both read it.
    fn quoted(&mut self, text: &str) {
        self.0.push('"');
        let mut written = 0;
        for (at, byte) in text.bytes().enumerate() {
            // A letter that is escaped begins so, and others may too.
            if !matches!(byte, 0..=0x1f | 0x7f | b'"' | b'\\' | 0xc2 | 0xe2 | 0xef) {
                continue;
            }
            let Some(letter) = text[at..].chars().next() else { continue };
            if letter.is_ascii() || letter.is_control() || BREAKS.contains(&letter) {
                self.0.push_str(&text[written..at]);
                self.escaped(letter);
                written = at + letter.len_utf8();
            }
        }
        self.0.push_str(&text[written..]);
        self.0.push('"');
    }

    fn escaped(&mut self, special: char) {
        match special {
            '"' => self.0.push_str("\\\""),
            '\\' => self.0.push_str("\\\\"),
            '\n' => self.0.push_str("\\n"),
            '\r' => self.0.push_str("\\r"),
            '\t' => self.0.push_str("\\t"),
            '\u{8}' => self.0.push_str("\\b"),
            '\u{c}' => self.0.push_str("\\f"),
            other => self.0.push_str(&format!("\\u{:04x}", u32::from(other))),
        }
    }

    fn test(&mut self, indent: usize, test: &Test) {
        let (name, tests): (&str, &[Test]) = match test {
            Test::Equal(left, right) => {
                self.0.push_str(" !Equals\n");
                self.item(indent + 2, left);
                self.item(indent + 2, right);
                return;
            }
            Test::Not(test) => ("Not", std::slice::from_ref(test)),
            Test::And(tests) => ("And", tests),
            Test::Or(tests) => ("Or", tests),
        };
        self.line(1, &["!", name]);
        for test in tests {
            self.words(indent + 2, &["-"]);
            self.test(indent + 2, test);
        }
    }
}

/// Writes what stands behind `!Sub`.
fn substituted(out: &mut String, value: &Value) {
    let mut words = |words: &[&str]| words.iter().for_each(|word| out.push_str(word));
    match value {
        Value::Concat(pieces) => pieces.iter().for_each(|piece| substituted(out, piece)),
        Value::Text(text) if text.contains("${") => words(&[&text.replace("${", "${!")]),
        Value::Text(text) => words(&[text]),
        Value::Bool(yes) => words(&[if *yes { "true" } else { "false" }]),
        Value::Int(n) => words(&[&n.to_string()]),
        Value::Pseudo(pseudo) if *pseudo != Pseudo::NoValue => words(&["${", pseudo.name(), "}"]),
        Value::Parameter(_, name) => words(&["${", name, "}"]),
        Value::Ref(target) => words(&["${", &target.id, "}"]),
        Value::Attribute(target, attribute) => words(&["${", &target.id, ".", attribute, "}"]),
        other => unreachable!("{other:?} cannot stand inside !Sub"),
    }
}

/// Whether nothing has to be put into it.
fn is_text(value: &Value) -> bool {
    match value {
        Value::Concat(pieces) => pieces.iter().all(is_text),
        other => matches!(other, Value::Text(_) | Value::Bool(_) | Value::Int(_)),
    }
}

/// What some reader of YAML takes for something else than a text.
const WORDS: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"];
const LONGEST_WORD: usize = 5;

/// The bytes that may stand in a text without quotes, looked up because all that is written is asked for byte by byte.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        plain[byte as usize] = matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')
            || matches!(byte, b'_' | b'-' | b'.' | b'/' | b':' | b'@' | b'+' | b'=' | b'*' | b' ')
            || matches!(byte, b'(' | b')' | b',' | b';' | b'\'');
        byte += 1u8;
    }
    plain
};

/// Whether a text needs no quotes.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let begins = bytes.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'/');
    if !begins || bytes.len() <= LONGEST_WORD && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return false;
    }
    // A colon before a space, or before the end, is that of a key.
    let mut before = b' ';
    for byte in bytes {
        if !PLAIN[usize::from(*byte)] || before == b':' && *byte == b' ' {
            return false;
        }
        before = *byte;
    }
    !matches!(before, b' ' | b':')
}

/// What YAML 1.1 takes for the end of a line, or for nothing at all.
const BREAKS: [char; 6] = ['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{fffe}', '\u{ffff}'];

/// Whether it has several lines, which can stand as they are. Empty ones at its end, or nothing else, are better seen in quotes.
fn of_lines(text: &str) -> bool {
    let changed = |c: char| c != '\n' && c.is_control() || BREAKS.contains(&c);
    text.contains('\n') && !text.ends_with("\n\n") && text != "\n" && !text.chars().any(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::REGION;
    use crate::{cat, list, map};

    fn scalar(text: &str) -> String {
        let mut out = Writer(String::new());
        out.scalar(text);
        out.0
    }

    #[test]
    fn texts_that_look_like_something_else_are_quoted() {
        for text in [
            "true",
            "No",
            "012",
            "1.5",
            "2026-01-01",
            "",
            "~",
            "- a",
            "a: b",
            "a #b",
            "*x",
            "&x",
            "!x",
            " a",
            "\"",
            "[",
            "{",
            "%",
            "x:",
        ] {
            assert_eq!(scalar(text), format!("{text:?}"));
        }
        for text in ["arn:aws:s3", "t3.micro", "a b, c", "/ready"] {
            assert_eq!(scalar(text), text);
        }
    }

    #[test]
    fn what_is_quoted_is_written_as_json_writes_it() {
        // JSON writes what YAML has no letters for as they are.
        let other = |letter: &char| BREAKS.contains(letter) || ('\u{7f}'..='\u{9f}').contains(letter);
        for letter in (0..0x3000).filter_map(char::from_u32).filter(|letter| !other(letter)) {
            let text = format!("\"{letter}x");
            assert_eq!(scalar(&text), serde_json::Value::from(text).to_string());
        }
    }

    /// A literal block makes one line break of another, and YAML 1.1 has more of them than JSON.
    #[test]
    fn what_a_block_would_change_is_quoted() {
        let written = |text: &str| document(&map! { "A" => text });
        assert_eq!(written("one\r\ntwo"), "A: \"one\\r\\ntwo\"\n");
        assert_eq!(written("one\n\ttwo"), "A: \"one\\n\\ttwo\"\n");
        assert_eq!(written("a\u{2028}b\nc"), "A: \"a\\u2028b\\nc\"\n");
        assert_eq!(written("a\u{85}b"), "A: \"a\\u0085b\"\n");
        assert_eq!(written("one\ntwo"), "A: |-\n  one\n  two\n");
        assert_eq!(written("one\n\n"), "A: \"one\\n\\n\"\n");
        assert_eq!(written("\n"), "A: \"\\n\"\n");
        assert_eq!(written("a\u{7f}\u{9f}\u{ffff}"), "A: \"a\\u007f\\u009f\\uffff\"\n");
    }

    #[test]
    fn lists_and_maps_nest() {
        let map = map! {
            "A" => list![map! { "B" => list![1, "x"], "C" => map! {} }, "s"],
            "D" => cat!["arn:", REGION, ":${x}"],
            "E" => "one\n two\n",
            "F" => cat!["no reference"],
        };
        let text = "A:\n  - B:\n      - 1\n      - x\n    C: {}\n  - s\nD: !Sub \"arn:${AWS::Region}:${!x}\"\nE: |\n  one\n   two\nF: no reference\n";
        assert_eq!(document(&map), text);
    }
}
