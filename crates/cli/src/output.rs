//! Where things are printed: results to standard output, everything else to standard error.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;

pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }
    pub fn is_json(&self) -> bool {
        self.json
    }
    /// One JSON document on one line, of many.
    pub fn line(&self, value: &impl Serialize) {
        let text = serde_json::to_string(value).expect("results have text keys only");
        self.text(&format!("{text}\n"));
    }
    /// A command's result: `value` when JSON was asked for, else `text`.
    pub fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json { self.value(value) } else { self.text(&text()) }
    }
    pub fn text(&self, text: &str) {
        write(std::io::stdout().lock(), text);
    }
    /// One JSON document.
    pub fn value(&self, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).expect("results have text keys only");
        self.text(&format!("{text}\n"));
    }
    /// For people only: not printed when JSON was asked for.
    pub fn notice(&self, text: &str) {
        if !self.json {
            write(std::io::stderr().lock(), text);
        }
    }
    /// In JSON a failure is the result.
    pub fn failure(&self, failure: &Failure) {
        if self.json { self.value(&failure.json()) } else { self.notice(&failure.text()) }
    }
}

/// Whether people read standard error on a terminal that shows colours.
pub fn fancy() -> bool {
    std::io::stderr().is_terminal() && wanted()
}

/// The same of standard output.
pub fn colours() -> bool {
    std::io::stdout().is_terminal() && wanted()
}

fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A reader that went away (`antipode schema | head`) is no reason to fail.
fn write(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
