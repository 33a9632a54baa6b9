//! A folder of files that a command writes again and again, beside files of others.
//!
//! A list in it says which files are ours and what they were when they were written. A file that is not as it was written
//! is somebody's work: it is not overwritten without being told to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use render::{File, Placement};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::{Code, Failure};
use crate::new_file;
use crate::prose::counted;

/// The list, within the folder.
const LIST: &str = ".antipode-render.json";

pub struct Folder<'f> {
    at: &'f Path,
    files: &'f [File],
    stacks: &'f Placement,
}

/// What there was to do.
#[derive(Debug, Default, Serialize)]
pub struct Written {
    pub created: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    pub unchanged: usize,
}

/// How the folder differs from what would be written.
#[derive(Debug, Default, Serialize)]
pub struct Drift {
    pub missing: Vec<String>,
    pub different: Vec<String>,
    /// Written once, and asked for no longer.
    pub surplus: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    files: BTreeMap<String, String>,
    /// The stack that each resource is in.
    #[serde(default)]
    stacks: Placement,
}

/// Where the resources are that were written to `at` before.
pub fn placement(at: &Path) -> Result<Placement, Failure> {
    Ok(Folder::new(at, &[], &Placement::default()).list()?.stacks)
}

/// The paths that were written there.
pub fn written(at: &Path) -> Result<Vec<String>, Failure> {
    let (files, stacks) = (Vec::new(), Placement::default());
    Ok(Folder::new(at, &files, &stacks).list()?.files.into_keys().collect())
}

impl<'f> Folder<'f> {
    pub fn new(at: &'f Path, files: &'f [File], stacks: &'f Placement) -> Folder<'f> {
        Folder { at, files, stacks }
    }

    /// What a file says now; `None` when it is not there.
    pub fn text(&self, path: &str) -> Result<Option<String>, Failure> {
        Ok(self.read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub fn compare(&self) -> Result<Drift, Failure> {
        let mut drift = Drift::default();
        for file in self.files {
            match self.read(&file.path)? {
                None => drift.missing.push(file.path.clone()),
                Some(text) if text != self.wanted(file, &text)?.as_bytes() => drift.different.push(file.path.clone()),
                Some(_) => {}
            }
        }
        for path in self.list()?.files.into_keys().filter(|path| !self.files.iter().any(|file| file.path == *path)) {
            if self.read(&path)?.is_some() {
                drift.surplus.push(path);
            }
        }
        Ok(drift)
    }

    pub fn write(&self, overwrite: bool) -> Result<Written, Failure> {
        let old = self.list()?;
        let surplus: Vec<&String> =
            old.files.keys().filter(|path| !self.files.iter().any(|file| file.path == **path)).collect();
        // Before anything is written: what others fill in has to be understood.
        for file in self.files.iter().filter(|file| file.once) {
            if let Some(now) = self.read(&file.path)? {
                self.wanted(file, &now)?;
            }
        }
        if !overwrite {
            self.refuse_edited(&old, &surplus)?;
        }
        let mut written = Written::default();
        let mut list = List { stacks: self.stacks.clone(), ..List::default() };
        for file in self.files {
            let before = self.read(&file.path)?;
            if !file.once {
                list.files.insert(file.path.clone(), digest(file.text.as_bytes()));
            }
            match before {
                Some(text) if text == self.wanted(file, &text)?.as_bytes() => written.unchanged += 1,
                Some(text) => {
                    new_file::write(&self.place(&file.path)?, &self.wanted(file, &text)?, true)?;
                    written.changed.push(file.path.clone());
                }
                None => {
                    new_file::write(&self.place(&file.path)?, &file.text, false)?;
                    written.created.push(file.path.clone());
                }
            }
        }
        for path in surplus {
            match fs::remove_file(self.at.join(path)) {
                Ok(()) => written.removed.push(path.clone()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&self.at.join(path), "cannot be removed", &error)),
            }
        }
        let text = serde_json::to_string_pretty(&list).expect("paths and digests are text");
        new_file::write(&self.place(LIST)?, &format!("{text}\n"), true)?;
        Ok(written)
    }

    /// Refuses before anything is written.
    fn refuse_edited(&self, old: &List, surplus: &[&String]) -> Result<(), Failure> {
        let mut edited: Vec<String> = Vec::new();
        let wanted = self.files.iter().filter(|file| !file.once).map(|file| (&file.path, Some(file.text.as_bytes())));
        for (path, text) in wanted.chain(surplus.iter().map(|path| (*path, None))) {
            let Some(now) = self.read(path)? else { continue };
            let as_written = old.files.get(path).is_some_and(|known| *known == digest(&now));
            if !as_written && Some(now.as_slice()) != text {
                edited.push(path.clone());
            }
        }
        if edited.is_empty() {
            return Ok(());
        }
        let them = counted(edited.len(), "file");
        Err(Failure::new(
            Code::RenderEdited,
            format!(
                "{them} of {} were changed by hand, or are not ours:\n  {}",
                self.at.display(),
                edited.join("\n  ")
            ),
        )
        .hint(
            "nothing was written; put the change into the spec, move the file away, or write over it with --overwrite",
        ))
    }

    /// What a file shall be that is `now`. Of what others fill in, all stays that is there.
    fn wanted<'w>(&self, file: &'w File, now: &[u8]) -> Result<Cow<'w, str>, Failure> {
        if !file.once {
            return Ok(Cow::Borrowed(&file.text));
        }
        let merged = render::parameters::merged(&String::from_utf8_lossy(now), &file.text);
        merged.map(Cow::Owned).ok_or_else(|| {
            let at = self.at.join(&file.path);
            let says = format!("{} cannot be understood: it has to be a list of parameters, as JSON", at.display());
            let hint = "mend that file, or move it away and render again: it is begun anew with what is asked for";
            Failure::new(Code::RenderEdited, says).hint(hint)
        })
    }

    fn list(&self) -> Result<List, Failure> {
        let Some(bytes) = self.read(LIST)? else { return Ok(List::default()) };
        let refused = |says: String| {
            Failure::new(Code::RenderEdited, format!("{} {says}", self.at.join(LIST).display()))
                .hint("nothing was written; restore that file from version control, or remove it and use --overwrite")
        };
        let list: List =
            serde_json::from_slice(&bytes).map_err(|error| refused(format!("cannot be understood: {error}")))?;
        match list.files.keys().find(|path| !is_ours(path)) {
            Some(path) => Err(refused(format!("names a file that is never written: {path}"))),
            None => Ok(list),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        match fs::read(self.at.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&self.at.join(path), "cannot be read", &error)),
        }
    }

    fn place(&self, path: &str) -> Result<PathBuf, Failure> {
        let place = self.at.join(path);
        let folder = place.parent().unwrap_or(self.at);
        fs::create_dir_all(folder).map_err(|error| failed(folder, "cannot be made", &error))?;
        Ok(place)
    }
}

/// Whether a rendering may have written it: within the folder, or the workflow at the root of the repository that it is in.
/// What the list names and nobody asks for is removed, and a list may come from anywhere.
fn is_ours(path: &str) -> bool {
    let within = path.trim_start_matches("../");
    let plain = Path::new(within).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    plain && !within.is_empty() && (within == path || within.starts_with(".github/workflows/"))
}

fn failed(path: &Path, what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Code::CannotWrite, format!("{} {what}: {error}", path.display()))
        .hint("name another folder, or get permission to write there")
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Written {
    pub fn text(&self) -> String {
        let (created, changed, removed) = (self.created.len(), self.changed.len(), self.removed.len());
        format!(
            "{} written, {changed} changed, {removed} removed, {} unchanged",
            counted(created, "file"),
            self.unchanged
        )
    }
}

impl Drift {
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.different.is_empty() && self.surplus.is_empty()
    }
    pub fn text(&self, at: &Path) -> String {
        if self.is_empty() {
            return format!("{} is what the spec renders\n", at.display());
        }
        let mut out = format!("{} is not what the spec renders:\n", at.display());
        for (word, paths) in
            [("missing", &self.missing), ("different", &self.different), ("no longer asked for", &self.surplus)]
        {
            for path in paths {
                out += &format!("  {word}: {path}\n");
            }
        }
        out + "render again, or put what was changed by hand into the spec\n"
    }
}
