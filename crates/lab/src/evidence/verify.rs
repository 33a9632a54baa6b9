//! Checks evidence and names the first line that is not as it was written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EndBody, FORMAT, HASH_FIELD, Kind, LINE_END, Line, NOTHING_BEFORE, Opening, Seal, hex_digest};

/// What a whole, unchanged file says about itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    pub opening: Opening,
    /// Wall clock of the first line, RFC 3339.
    pub began: String,
    /// From the first line to the last.
    pub took: Duration,
    pub kinds: BTreeMap<Kind, u64>,
    pub seal: Seal,
}

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("cannot read the evidence file {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// `line` counts from 1. For a truncated file it is the first one missing.
    #[error("evidence is broken at line {line}: {why}")]
    Broken { line: u64, why: String },
}

/// Bytes in one line. A spec has at most 1 MiB and a ledger's lost ids far less; what is longer is another file.
const LONGEST_LINE: u64 = 64 << 20;

/// Reads the whole file and checks every line.
pub fn verify(path: &Path) -> Result<Summary, VerifyError> {
    let unreadable = |source| VerifyError::Unreadable { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut chain = Chain::default();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes).map_err(unreadable)? == 0 {
            break;
        }
        chain.add(&bytes).map_err(|why| VerifyError::Broken { line: chain.count + 1, why })?;
    }
    chain.finish().map_err(|(line, why)| VerifyError::Broken { line, why })
}

/// What the lines so far have said.
#[derive(Default)]
struct Chain {
    count: u64,
    last: String,
    t: u64,
    began: String,
    opening: Option<Opening>,
    ended: bool,
    kinds: BTreeMap<Kind, u64>,
}

impl Chain {
    fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.ended {
            return Err("a line was added after the end".into());
        }
        let (line, hash) = read(bytes)?;
        self.check_place(&line)?;
        match (self.count, line.kind) {
            (0, Kind::Drill) => self.opening = Some(check_opening(&line)?),
            (0, other) => return Err(format!("the first line is `{other}`, not `drill`: the beginning is missing")),
            (_, Kind::Drill) => return Err("a second `drill` line: two files were joined".into()),
            (_, Kind::End) => self.ended = check_end(&line)?,
            _ => {}
        }
        if self.count == 0 {
            self.began = line.at;
        }
        self.count = line.n;
        self.t = line.t;
        self.last = hash;
        *self.kinds.entry(line.kind).or_default() += 1;
        Ok(())
    }

    fn check_place(&self, line: &Line) -> Result<(), String> {
        let expected = self.count + 1;
        if line.n > expected {
            return Err(format!("line {} stands here: {} missing before it, or lines were moved", line.n, {
                let gap = line.n - expected;
                if gap == 1 { "one line is".to_owned() } else { format!("{gap} lines are") }
            }));
        }
        if line.n < expected {
            return Err(format!("line {} stands here: a line was inserted, repeated or moved", line.n));
        }
        let before = if self.count == 0 { NOTHING_BEFORE } else { &self.last };
        if line.prev != before {
            return Err("it does not follow the line before it: one of the two was replaced".into());
        }
        if line.t < self.t {
            return Err("it goes back in time".into());
        }
        Ok(())
    }

    fn finish(self) -> Result<Summary, (u64, String)> {
        let missing = self.count + 1;
        let Some(opening) = self.opening else { return Err((missing, "the file is empty".into())) };
        if !self.ended {
            return Err((missing, "the file ends without an `end` line: it is truncated, or the drill died".into()));
        }
        let seal = Seal { lines: self.count, hash: self.last };
        Ok(Summary { opening, began: self.began, took: Duration::from_micros(self.t), kinds: self.kinds, seal })
    }
}

/// Takes one line apart; fails unless its hash is that of its bytes.
fn read(bytes: &[u8]) -> Result<(Line, String), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text")?;
    let text = text.strip_suffix('\n').ok_or("it has no line break: the file is truncated")?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|e| format!("it is not JSON: {e}"))?;
    let cut = text.rfind(HASH_FIELD).ok_or("it has no hash")?;
    let (hashed, hash) = text.split_at(cut);
    let hash = hash[HASH_FIELD.len()..].strip_suffix(LINE_END).ok_or("its hash is not the last field")?;
    if hex_digest(hashed.as_bytes()) != hash {
        return Err("its content does not match its hash: it was edited".into());
    }
    let line =
        serde_json::from_str(&format!("{hashed}}}")).map_err(|e| format!("it is not a line of evidence: {e}"))?;
    Ok((line, hash.to_owned()))
}

fn check_opening(line: &Line) -> Result<Opening, String> {
    let format = line.body.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(FORMAT)) {
        let found = format.map_or("no version".to_owned(), |v| format!("version {v}"));
        return Err(format!("the format is {found}, this program reads version {FORMAT}"));
    }
    serde_json::from_value(line.body.clone()).map_err(|e| format!("its body is not an opening: {e}"))
}

fn check_end(line: &Line) -> Result<bool, String> {
    let end = EndBody::deserialize(&line.body).map_err(|e| format!("its body is not an end: {e}"))?;
    if end.lines == line.n {
        return Ok(true);
    }
    Err(format!("the end counts {} lines, the file has {}", end.lines, line.n))
}
