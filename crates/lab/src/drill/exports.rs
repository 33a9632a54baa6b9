//! What old writers exported in a drill, taken from their regions' disks before the world goes, and held against the
//! ledger (SAFETY.md item 13).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;

use controller::journal::Line;
use engine::Record;
use model::SiteId;
use model::action::{Export, ExportedRows};
use serde::Deserialize;

use super::story::Story;
use crate::ledger::exported::{Label, labelled};
use crate::ledger::{History, WriteId};
use crate::report::Exported;

/// What of an export is kept with the drill; the log segments themselves go with the world.
const KEPT: [&str; 3] = ["manifest.json", "commits.jsonl", "rows.jsonl"];

#[derive(Deserialize)]
struct Manifest {
    site: SiteId,
    /// The data directory was kept whole: there is nothing else to read here, and the journal says where it is.
    #[serde(default)]
    whole: bool,
    commits: Option<u64>,
    compared: Option<Compared>,
}

#[derive(Deserialize)]
struct Compared {
    rows: ExportedRows,
    notes: Vec<String>,
}

/// Copies the exports of all sites below `root` into `to`.
pub fn keep(root: &Path, to: &Path) {
    let sites = std::fs::read_dir(root.join("sites")).into_iter().flatten().flatten();
    for export in
        sites.flat_map(|site| std::fs::read_dir(site.path().join("postgres/export")).into_iter().flatten().flatten())
    {
        let target = to.join(export.file_name());
        for name in KEPT {
            if export.path().join(name).exists() {
                let _ = std::fs::create_dir_all(&target);
                let _ = std::fs::copy(export.path().join(name), target.join(name));
            }
        }
    }
}

/// Every export, its rows labelled in `labelled.jsonl` beside them; and, by the journal, what was kept whole because its
/// rows could not be compared.
pub fn read(kept: &Path, history: &History, story: &Story, lines: &[(Line, Record)]) -> Result<Vec<Exported>, String> {
    let told = told(lines);
    let lost = lost(story);
    let mut found = Vec::new();
    let mut folders: Vec<_> =
        std::fs::read_dir(kept).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders {
        let exported = one(&folder, history, &lost).map_err(|error| format!("{}: {error}", folder.display()))?;
        found.extend(exported);
    }
    let whole = told.iter().filter(|(_, export)| export.rows.is_none());
    found.extend(whole.map(|(site, export)| Exported {
        site: site.clone(),
        place: export.place.clone(),
        transactions: export.transactions,
        rows: None,
        lost_ids: Vec::new(),
        recovered_ids: Vec::new(),
        unacknowledged_ids: Vec::new(),
        wrong_ids: Vec::new(),
        notes: Vec::new(),
    }));
    Ok(found)
}

/// What is lost in either audit.
pub fn lost(story: &Story) -> BTreeSet<WriteId> {
    story.after_failover.iter().chain(&story.after_failback).flat_map(|audit| audit.lost.iter().cloned()).collect()
}

/// By the journal, each once.
fn told(lines: &[(Line, Record)]) -> Vec<(SiteId, Export)> {
    let mut sites = BTreeMap::new();
    let mut told = Vec::new();
    for (_, record) in lines {
        match record {
            Record::AttemptStarted { attempt, action, .. } => {
                sites.insert(*attempt, action.site.clone());
            }
            Record::AttemptEnded { attempt, outcome, .. } => {
                let export = outcome.evidence().and_then(|evidence| evidence.export.as_deref());
                if let Some((site, export)) = sites.get(attempt).zip(export) {
                    told.push((site.clone(), export.clone()));
                }
            }
            _ => {}
        }
    }
    // Each order to follow names it again until that site writes.
    let mut known = BTreeSet::new();
    told.retain(|(site, export)| known.insert((site.clone(), export.place.clone())));
    told
}

/// `None`: the export was never finished, or is a whole data directory.
fn one(folder: &Path, history: &History, lost: &BTreeSet<WriteId>) -> io::Result<Option<Exported>> {
    let Ok(manifest) = std::fs::read_to_string(folder.join("manifest.json")) else { return Ok(None) };
    let Manifest { site, whole, commits, compared } = serde_json::from_str(&manifest)?;
    if whole {
        return Ok(None);
    }
    let compared = compared.ok_or_else(|| io::Error::other("the manifest says nothing of a comparison"))?;
    let rows = BufReader::new(File::open(folder.join("rows.jsonl"))?);
    let place = folder.join("labelled.jsonl");
    let labelled = labelled(history, lost, rows, BufWriter::new(File::create(&place)?))?;
    let ids = |label| labelled.ids(label).map(ToString::to_string).collect();
    Ok(Some(Exported {
        site,
        place: place.display().to_string(),
        transactions: commits,
        rows: Some(compared.rows),
        lost_ids: ids(Label::Lost),
        recovered_ids: ids(Label::Recovered),
        unacknowledged_ids: ids(Label::Unacknowledged),
        wrong_ids: labelled.ids(Label::Refused).chain(labelled.ids(Label::Stranger)).map(ToString::to_string).collect(),
        notes: compared.notes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Header;

    fn read_one(manifest: &str) -> io::Result<Option<Exported>> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("manifest.json"), manifest)?;
        std::fs::write(folder.path().join("rows.jsonl"), "")?;
        let history = History::new(Header { drill: "database-crash".into(), clients: Vec::new() });
        one(folder.path(), &history, &BTreeSet::new())
    }

    #[test]
    fn a_directory_kept_whole_has_no_rows_to_label_and_a_manifest_without_a_comparison_is_broken() {
        assert!(read_one(r#"{"site": "alpha", "whole": true}"#).unwrap().is_none());
        assert!(read_one(r#"{"site": "alpha", "commits": 1}"#).is_err());
    }
}
