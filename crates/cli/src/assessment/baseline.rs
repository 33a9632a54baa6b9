//! The baseline on disk: read, and written from what was found.

use std::path::Path;

use engine::assess::Finding;
use model::baseline::{Accepted, Baseline};
use model::findings::Severity;
use model::{Date, findings};

use crate::failure::{Code, Failure};
use crate::new_file;

/// The largest baseline that is read; each entry takes a few hundred bytes.
const LARGEST: u64 = 1 << 20;

pub fn read(path: &Path) -> Result<Baseline, Failure> {
    let shown = path.display();
    let unreadable = |why: String| {
        Failure::new(Code::BaselineUnreadable, format!("the baseline {shown} cannot be used: {why}"))
            .hint("each entry has `finding`, `reason`, `owner` and `until`; `--write-baseline` writes one")
    };
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > LARGEST {
        return Err(unreadable(format!("it is larger than {} KiB", LARGEST >> 10)));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let baseline = Baseline::read(&text).map_err(|error| unreadable(error.to_string()))?;
    match baseline.accepted.iter().find(|entry| findings::row(&entry.finding).is_none()) {
        None => Ok(baseline),
        Some(entry) => {
            let meant = findings::nearest(&entry.finding).map_or(String::new(), |id| format!("; did you mean `{id}`?"));
            Err(unreadable(format!("there is no finding `{}`{meant}", entry.finding)))
        }
    }
}

/// Who accepts what is found now, why, and until when.
#[derive(Debug)]
pub struct Consent {
    pub owner: String,
    pub reason: String,
    pub until: Date,
}

/// Writes a baseline that accepts every error and warning; no gate stops on notes. What `before` accepts already keeps its reason, owner and day. An existing
/// file is replaced only when it is the one that was read.
pub fn write(
    path: &Path,
    before: &[(Finding, Option<Accepted>)],
    by: &Consent,
    replace: bool,
) -> Result<usize, Failure> {
    let entry = |finding: &Finding| Accepted {
        finding: finding.id.to_owned(),
        at: Some(finding.path.clone()),
        severity: Some(finding.severity),
        reason: by.reason.clone(),
        owner: by.owner.clone(),
        until: by.until,
    };
    let mut accepted: Vec<Accepted> = Vec::new();
    for (finding, already) in before.iter().filter(|(finding, _)| finding.severity > Severity::Note) {
        let entry = already.clone().unwrap_or_else(|| entry(finding));
        if !accepted.contains(&entry) {
            accepted.push(entry);
        }
    }
    let count = accepted.len();
    new_file::write(path, &Baseline { accepted }.text(), replace)?;
    Ok(count)
}
