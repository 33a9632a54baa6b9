//! Writes evidence: every line is on disk before the drill goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::{EndBody, HASH_FIELD, Kind, LINE_END, Line, NOTHING_BEFORE, Opening, Seal, hex_digest};

#[derive(Debug, thiserror::Error)]
#[error("cannot write the evidence file {}", path.display())]
pub struct WriteError {
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

/// An open chain. Without [`Writer::finish`] the file has no `end` and does not verify.
pub struct Writer {
    path: PathBuf,
    file: File,
    start: Instant,
    lines: u64,
    last: String,
}

impl Writer {
    /// Begins a new file; an existing one is never overwritten. The drill's clock starts here.
    pub fn create(path: &Path, opening: &Opening) -> Result<Self, WriteError> {
        let open = || {
            let file = OpenOptions::new().write(true).create_new(true).open(path)?;
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?; // else a crash may forget the file's name
            Ok(file)
        };
        let file = open().map_err(|source| WriteError { path: path.to_owned(), source })?;
        let last = NOTHING_BEFORE.to_owned();
        let mut writer = Self { path: path.to_owned(), file, start: Instant::now(), lines: 0, last };
        writer.append(Kind::Drill, opening)?;
        Ok(writer)
    }

    /// Adds one line. Returns when it is on disk.
    pub fn append(&mut self, kind: Kind, body: &impl Serialize) -> Result<(), WriteError> {
        self.append_all(kind, [body])
    }

    /// Adds a line for each body with one flush to disk at the end.
    pub fn append_all<B: Serialize>(
        &mut self,
        kind: Kind,
        bodies: impl IntoIterator<Item = B>,
    ) -> Result<(), WriteError> {
        let mut lines = Vec::new();
        let mut made = Ok(());
        for body in bodies {
            made = self.line(kind, &body).map(|line| lines.extend_from_slice(line.as_bytes()));
            if made.is_err() {
                break;
            }
        }
        let written = made.and_then(|()| self.file.write_all(&lines)).and_then(|()| self.file.sync_data());
        written.map_err(|source| WriteError { path: self.path.clone(), source })
    }

    /// Adds the `end` line and closes the file.
    pub fn finish(mut self) -> Result<Seal, WriteError> {
        let lines = self.lines + 1;
        self.append(Kind::End, &EndBody { lines })?;
        Ok(Seal { lines, hash: self.last })
    }

    fn line(&mut self, kind: Kind, body: &impl Serialize) -> io::Result<String> {
        let line = Line {
            n: self.lines + 1,
            at: jiff::Timestamp::now().to_string(),
            t: self.start.elapsed().as_micros() as u64,
            kind,
            body: serde_json::to_value(body)?,
            prev: self.last.clone(),
        };
        let mut text = serde_json::to_string(&line)?;
        text.pop(); // the closing brace: the hash comes before it
        let hash = hex_digest(text.as_bytes());
        text.push_str(HASH_FIELD);
        text.push_str(&hash);
        text.push_str(LINE_END);
        text.push('\n');
        self.lines += 1;
        self.last = hash;
        Ok(text)
    }
}
