//! What can be restored now, and what keeps the backups from being what the spec says.

use std::time::Duration;

use model::Time;
use model::backup::{BackupReport, WallTime};
use model::time::human;
use model::topology::Backup;
use serde::{Deserialize, Serialize};

use crate::watch::verdict::fresh;
use crate::workload::Workload;

/// For `antipode status`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Restorable {
    /// Every moment between these two can be restored; `None` while there is none.
    pub from: Option<WallTime>,
    pub to: Option<WallTime>,
    /// Full backups in the vault, and the size of all that is there.
    pub backups: usize,
    pub bytes: u64,
    /// Since the newest full backup, by the writer's clock.
    pub base_age: Option<Duration>,
    /// For how long something has been committed that is not in the vault.
    pub behind: Option<Duration>,
    pub warnings: Vec<String>,
    /// What restores have put aside, for people to delete.
    pub kept: Vec<String>,
}

/// `None` when no backups are declared.
pub fn restorable(state: &Workload, now: Time) -> Option<Restorable> {
    let plan = state.topology.database().1.backup.as_ref()?;
    let report = |site| fresh(state, site, now).map(|report| &report.backup);
    let vault = report(state.topology.witness()).and_then(|backup| backup.vault.as_ref());
    let archive = state.writer.as_ref().and_then(|writer| report(&writer.site)).and_then(|b| b.archive.as_ref());
    let usable =
        || vault.iter().flat_map(|vault| &vault.bases).filter(|base| base.gap.is_none() && base.until.is_some());
    let mut warnings = Vec::new();
    match vault {
        None => warnings.push(format!("{}, which keeps the backups, is silent", state.topology.witness())),
        Some(vault) => warnings.extend(vault.bases.iter().filter_map(|base| {
            let gap = base.gap.as_ref()?;
            Some(format!("{} cannot be taken to now: the vault lacks {gap}", base.name))
        })),
    }
    if let Some(archive) = archive {
        warnings.extend(late(plan, archive.behind, archive.base_age));
        if !archive.trouble.is_empty() {
            warnings.push(format!("the last try to archive failed: {}", archive.trouble));
        }
    }
    let kept = state.topology.regions().filter_map(|site| Some((&site.id, report(&site.id)?)));
    Some(Restorable {
        from: usable().map(|base| base.from.at).min(),
        to: usable().filter_map(|base| Some(base.until?.at)).max(),
        backups: vault.map_or(0, |vault| vault.bases.len()),
        bytes: vault.map_or(0, |vault| vault.bytes),
        base_age: archive.and_then(|archive| archive.base_age),
        behind: archive.map(|archive| archive.behind),
        warnings,
        kept: kept.flat_map(|(site, backup)| paths(backup).map(move |path| format!("{site}: {path}"))).collect(),
    })
}

fn paths(backup: &BackupReport) -> impl Iterator<Item = &str> {
    backup.kept.iter().map(|kept| kept.path.as_str())
}

fn late(plan: &Backup, behind: Duration, base_age: Option<Duration>) -> Vec<String> {
    let mut late = Vec::new();
    if behind > plan.archive_every {
        let (behind, bound) = (human(behind), human(plan.archive_every));
        late.push(format!(
            "what was committed {behind} ago is not in the vault: a restore could lose more than {bound}"
        ));
    }
    match base_age {
        None => late.push("there is no full backup yet".to_owned()),
        // One that is due is being taken.
        Some(age) if age > plan.every * 2 => {
            late.push(format!("the last full backup is {} old, one was due every {}", human(age), human(plan.every)));
        }
        Some(_) => {}
    }
    late
}
