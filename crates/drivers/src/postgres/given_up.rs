//! What is given up when this side follows another: kept first, named until it has been heard (SAFETY.md item 13).
//!
//! A copy or rewind may be cut off at any line, and its agent may die before it has told the end. So both facts stand in
//! files beside the data directory, each written before anything is replaced:
//!
//! ```text
//! unfinished       that it has begun, and where the export is: without it there may be data that nobody has kept
//! given-up.json    what the report must name; until this side writes again, because a report may be lost
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use model::Lsn;

use super::config::{Config, text};
use super::export::sealed;
use super::files::{remove, sync_parent};
use super::{Divergence, Error, Followed};

/// The first word of `unfinished`, where nothing of this side's own was to be kept.
const COPY: &str = "copy";

impl Config {
    fn given_up_file(&self) -> PathBuf {
        self.home.join("given-up.json")
    }

    /// Says durably that the data directory is about to be replaced, and what of it has been or will be kept.
    pub(super) fn give_up(&self, how: &str, divergence: Option<&Divergence>) -> Result<(), Error> {
        let mut lines = vec![how.to_owned()];
        if let Some(divergence) = divergence {
            let json = serde_json::to_string(divergence).expect("plain data serialises");
            self.write(&self.given_up_file(), &json)?;
            lines.push(text(&divergence.export));
        }
        self.write(&self.unfinished(), &(lines.join("\n") + "\n"))
    }

    /// What this side had alone and gave up since it last wrote.
    pub(super) fn given_up(&self) -> Option<Divergence> {
        let text = fs::read_to_string(self.given_up_file()).ok()?;
        serde_json::from_str(&text).ok().filter(|divergence: &Divergence| divergence.export.exists())
    }

    /// Names what an earlier try gave up, whose report may have been lost with its agent.
    pub(super) fn mention(&self, followed: Followed) -> Followed {
        Followed { divergence: followed.divergence.or_else(|| self.given_up()), ..followed }
    }

    /// This side writes: what it has from here on is another matter.
    pub(super) fn forget_given_up(&self) -> Result<(), Error> {
        remove(&self.given_up_file())
    }

    /// What a data directory holds that no server can start from. `None` only where that is nothing of its own.
    pub(super) fn left_over(&self) -> Option<Divergence> {
        let Ok(unfinished) = fs::read_to_string(self.unfinished()) else {
            let log = fs::read_dir(self.data().join("pg_wal")).into_iter().flatten().flatten();
            // What `initdb` left when it was killed has no log yet.
            let wrote = log.into_iter().any(|entry| entry.path().is_file());
            return wrote.then(|| self.keeping("it has no PG_VERSION".into()));
        };
        let mut lines = unfinished.lines();
        match (lines.next(), lines.next().map(Path::new)) {
            (Some(COPY), None) => None,
            (_, Some(export)) => Some(self.begun(export)),
            // Half restored, or a file that says nothing.
            (how, None) => {
                Some(self.keeping(format!("a {} was left unfinished", how.unwrap_or("change of some kind"))))
            }
        }
    }

    /// What a rewind or copy gives up that was to be kept in `export`: there, or on its way there.
    fn begun(&self, export: &Path) -> Divergence {
        if let Some(sealed) = sealed(export) {
            return sealed.0;
        }
        let same = self.given_up_unproven().filter(|told| told.export == export && told.whole.is_some());
        same.unwrap_or_else(|| self.keeping(format!("the export in {} is not whole", export.display())))
    }

    /// As it was written down, whether or not it was kept.
    fn given_up_unproven(&self) -> Option<Divergence> {
        serde_json::from_str(&fs::read_to_string(self.given_up_file()).ok()?).ok()
    }

    /// The whole data directory is to be kept.
    pub(super) fn keeping(&self, why: String) -> Divergence {
        let free = |n: &u32| !self.home.join(format!("export/data-{n}")).exists();
        let number = (1..u32::MAX).find(free).expect("fewer kept directories than numbers");
        let export = self.home.join(format!("export/data-{number}"));
        Divergence { timeline: 0, lsn: Lsn(0), commits: None, rows: None, whole: Some(why), export }
    }

    /// Puts the data directory aside if it is to be kept whole; what an earlier try put there stays.
    pub(super) fn keep(&self, divergence: &Divergence) -> Result<(), Error> {
        let Divergence { whole: Some(why), export, .. } = divergence else { return Ok(()) };
        fs::create_dir_all(self.home.join("export")).map_err(Error::file("make the export directory"))?;
        if !export.exists() && self.data().exists() {
            fs::rename(self.data(), export).map_err(Error::file("keep the old data directory"))?;
            sync_parent(&self.data())?;
            sync_parent(export)?;
        }
        if !export.exists() {
            return Ok(()); // there was nothing
        }
        let manifest = serde_json::json!({ "site": self.site, "whole": true, "why": why });
        self.write(&export.join("manifest.json"), &format!("{manifest}\n"))
    }
}
