//! A file that a command writes for people: never over another one, and whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::failure::{Code, Failure};

pub fn write(path: &Path, text: &str, replace: bool) -> Result<(), Failure> {
    let written = if replace { replaced(path, text) } else { created(path, text) };
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(Code::FileExists, format!("{} exists already", path.display()))
            .hint("nothing was written; name another file, or move this one away"),
        _ => Failure::new(Code::CannotWrite, format!("{} cannot be written: {error}", path.display()))
            .hint("the folder must exist, and you must be allowed to write to it"),
    })
}

fn created(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file would be taken for a whole one.
        let _ = fs::remove_file(path);
    }
    written
}

fn replaced(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    let _ = fs::remove_file(&beside);
    created(&beside, text)?;
    fs::rename(&beside, path)
}
