//! Writes templates: YAML with the short forms of CloudFormation's functions, and comments that say who asked.
//!
//! Our own writer, because no library writes `!Ref` and comments. It writes a small part of YAML: block maps and lists,
//! and texts that are plain only where no reader can take them for something else.

use std::fmt::Write;

use crate::link::{Output, Template};
use crate::resource::{Keep, Parameter, Resource, Test};
use crate::value::{Map, Pseudo, Value};

/// The text of one template.
pub fn template(template: &Template, spec: &str) -> String {
    let mut out = Writer::default();
    out.line(0, &format!("# Written by `antipode render` from {spec}: change the spec, not this file."));
    out.line(0, "AWSTemplateFormatVersion: \"2010-09-09\"");
    out.key(0, "Description", &Value::Text(template.description.clone()));
    if !template.parameters.is_empty() {
        out.line(0, "Parameters:");
        template.parameters.iter().for_each(|parameter| out.parameter(parameter));
    }
    if !template.conditions.is_empty() {
        out.line(0, "Conditions:");
        for (name, test) in &template.conditions {
            let _ = write!(out.0, "  {name}:");
            out.test(2, test);
        }
    }
    out.line(0, "Resources:");
    template.resources.iter().for_each(|resource| out.resource(resource, spec));
    if !template.outputs.is_empty() {
        out.line(0, "Outputs:");
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
    let mut out = Writer::default();
    out.map(0, map);
    out.0
}

/// How long a resource is, about, before it is known where it goes.
pub fn length(resource: &Resource) -> usize {
    let mut out = Writer::default();
    out.resource(resource, "antipode.yaml");
    out.0.len()
}

#[derive(Default)]
struct Writer(String);

impl Writer {
    fn line(&mut self, indent: usize, text: &str) {
        self.pad(indent);
        self.0.push_str(text);
        self.0.push('\n');
    }
    fn pad(&mut self, indent: usize) {
        self.0.extend(std::iter::repeat_n(' ', indent));
    }

    fn parameter(&mut self, parameter: &Parameter) {
        use crate::resource::Given;
        self.line(2, &format!("{}:", parameter.name));
        self.key(4, "Type", &parameter.kind.into());
        self.key(4, "Description", &Value::Text(parameter.about.clone()));
        if let Given::AtFirst(value) | Given::Spec(value) = &parameter.value {
            self.key(4, "Default", &Value::Text(value.clone()));
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
        self.line(2, &format!("# {}, line {} of {spec}", resource.asked.path, resource.asked.line));
        self.line(2, &format!("{}:", resource.id));
        self.line(4, &format!("Type: {}", resource.kind));
        if let Some(condition) = &resource.condition {
            self.line(4, &format!("Condition: {}", condition.name));
        }
        match resource.depends_on.as_slice() {
            [] => {}
            [one] => self.line(4, &format!("DependsOn: {}", one.id)),
            several => {
                self.line(4, "DependsOn:");
                several.iter().for_each(|target| self.line(6, &format!("- {}", target.id)));
            }
        }
        let kept = match resource.keep {
            Keep::No => None,
            // What a first deployment made and then took back has no data yet, and a name that the next one needs.
            Keep::Retain => Some(("RetainExceptOnCreate", "Retain")),
            Keep::Snapshot => Some(("Snapshot", "Snapshot")),
        };
        if let Some((deleted, replaced)) = kept {
            self.line(4, &format!("DeletionPolicy: {deleted}"));
            self.line(4, &format!("UpdateReplacePolicy: {replaced}"));
        }
        if !resource.metadata.0.is_empty() {
            self.line(4, "Metadata:");
            self.map(6, &resource.metadata);
        }
        self.map(4, &resource.policies);
        if !resource.properties.0.is_empty() {
            self.line(4, "Properties:");
            self.map(6, &resource.properties);
        }
    }

    fn output(&mut self, output: &Output) {
        self.line(2, &format!("{}:", output.name));
        self.key(4, "Description", &Value::Text(output.about.clone()));
        self.key(4, "Value", &output.value);
    }

    fn map(&mut self, indent: usize, map: &Map) {
        for (key, value) in &map.0 {
            self.key(indent, key, value);
        }
    }

    fn key(&mut self, indent: usize, key: &str, value: &Value) {
        self.pad(indent);
        self.0.push_str(&scalar(key));
        self.0.push(':');
        self.value(indent, value);
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
                self.items(indent + 2, items);
            }
            Value::Text(text) if of_lines(text) => self.literal(indent + 2, "", text),
            Value::Concat(_) if of_lines(&concatenated(value)) => {
                self.literal(indent + 2, "!Sub ", &concatenated(value))
            }
            Value::If(condition, then, otherwise) => {
                self.0.push_str(" !If\n");
                self.line(indent + 2, &format!("- {}", condition.name));
                self.item(indent + 2, then);
                self.item(indent + 2, otherwise);
            }
            Value::Join(by, items) => {
                self.0.push_str(" !Join\n");
                self.line(indent + 2, &format!("- {}", quoted(by)));
                match items.as_slice() {
                    [one @ (Value::Parameter(..) | Value::Ref(_) | Value::Attribute(..))] => self.item(indent + 2, one),
                    items => self.item(indent + 2, &Value::List(items.to_vec())),
                }
            }
            Value::Select(index, of) => {
                self.0.push_str(" !Select\n");
                self.line(indent + 2, &format!("- {index}"));
                self.item(indent + 2, of);
            }
            Value::Cidr(of, count, bits) => {
                self.0.push_str(" !Cidr\n");
                self.item(indent + 2, of);
                self.line(indent + 2, &format!("- {count}"));
                self.line(indent + 2, &format!("- {bits}"));
            }
            short => {
                self.0.push(' ');
                self.0.push_str(&inline(short));
                self.0.push('\n');
            }
        }
    }

    fn items(&mut self, indent: usize, items: &[Value]) {
        items.iter().for_each(|item| self.item(indent, item));
    }

    fn item(&mut self, indent: usize, item: &Value) {
        self.pad(indent);
        self.0.push('-');
        match item {
            // The first key of a map stands on the line of its dash.
            Value::Map(map) if !map.0.is_empty() => {
                let start = self.0.len();
                self.map(indent + 2, map);
                self.0.replace_range(start..start + indent + 2, " ");
            }
            Value::List(items) if !items.is_empty() => {
                let start = self.0.len();
                self.items(indent + 2, items);
                self.0.replace_range(start..start + indent + 2, " ");
            }
            other => self.value(indent, other),
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
        let _ = writeln!(self.0, " {tag}|{depth}{chomp}");
        for line in body.split('\n') {
            match line.is_empty() {
                true => self.0.push('\n'),
                false => self.line(indent, line),
            }
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
        let _ = writeln!(self.0, " !{name}");
        for test in tests {
            self.pad(indent + 2);
            self.0.push('-');
            self.test(indent + 2, test);
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Bool(yes) => yes.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Text(text) => scalar(text),
        Value::List(_) => "[]".to_owned(),
        Value::Map(_) => "{}".to_owned(),
        Value::Zones => "!GetAZs \"\"".to_owned(),
        Value::Pseudo(pseudo) => format!("!Ref {}", pseudo.name()),
        Value::Parameter(_, name) => format!("!Ref {name}"),
        Value::Ref(target) => format!("!Ref {}", target.id),
        Value::Attribute(target, attribute) => format!("!GetAtt {}.{attribute}", target.id),
        Value::Output(target, name) => format!("!GetAtt {}.Outputs.{name}", target.id),
        Value::Concat(_) => match concatenated(value) {
            text if text.contains("${") && text.replace("${!", "").contains("${") => format!("!Sub {}", quoted(&text)),
            text => scalar(&text.replace("${!", "${")),
        },
        Value::Join(..) | Value::Select(..) | Value::Cidr(..) | Value::If(..) => {
            unreachable!("written over several lines")
        }
    }
}

/// What stands behind `!Sub`.
fn concatenated(value: &Value) -> String {
    match value {
        Value::Concat(pieces) => pieces.iter().map(concatenated).collect(),
        Value::Text(text) => text.replace("${", "${!"),
        Value::Bool(_) | Value::Int(_) => inline(value),
        Value::Pseudo(pseudo) if *pseudo != Pseudo::NoValue => format!("${{{}}}", pseudo.name()),
        Value::Parameter(_, name) => format!("${{{name}}}"),
        Value::Ref(target) => format!("${{{}}}", target.id),
        Value::Attribute(target, attribute) => format!("${{{}.{attribute}}}", target.id),
        other => unreachable!("{other:?} cannot stand inside !Sub"),
    }
}

/// A text that every reader of YAML, of either version, takes for just this text.
fn scalar(text: &str) -> String {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '+' | '=' | '*' | ' ' | '(' | ')' | ',' | ';' | '\'')
    };
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "inf" | "nan"
    );
    let ends = !text.ends_with([' ', ':']) && !text.contains(": ") && !text.contains(" #");
    match starts && !word && ends && text.chars().all(plain) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// What YAML 1.1 takes for the end of a line, or for nothing at all.
const BREAKS: [char; 4] = ['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'];

/// Whether it has several lines, which can stand as they are.
fn of_lines(text: &str) -> bool {
    let changed = |c: char| c != '\n' && c.is_control() || BREAKS.contains(&c);
    text.contains('\n') && !text.chars().any(changed)
}

/// In double quotes, as JSON and YAML both read it.
fn quoted(text: &str) -> String {
    let mut out = serde_json::Value::from(text).to_string();
    for end in BREAKS {
        out = out.replace(end, &format!("\\u{:04x}", u32::from(end)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::REGION;
    use crate::{cat, list, map};

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
            assert_eq!(scalar(text), quoted(text));
        }
        for text in ["arn:aws:s3", "t3.micro", "a b, c", "/ready"] {
            assert_eq!(scalar(text), text);
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
