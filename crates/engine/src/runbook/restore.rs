//! The runbook `restore`: the database as it was at a moment of its past, from a backup.
//!
//! Bad rows replicate at once, so that a failover does not help (seed 003 section 23, scenario 4). What helps is to go
//! back: the archive is completed up to now, the writer stops, a new data directory is made from the last full backup
//! and the log after it, and that is promoted in a new epoch as any other. The other region then follows.
//!
//! Everything written after the moment is taken back. That is the purpose, and it is a loss: two people accept it by
//! name. Nothing is thrown away: the directory that was replaced is put aside, the other region exports what only it
//! has before it follows, and the vault holds the log of both.

use model::backup::{Cover, RestoreTo, VaultReport};
use model::observe::DatabaseState;
use model::topology::Replication;
use model::{SiteId, Time, Verb};

use super::check::Finding::{self, NeedsOverride, Never, NotYet, Pass};
use super::guard::{Gate, loss_accepted, loss_approvals};
use super::plan::{home, not_approved, reasons};
use super::run::Run;
use super::steps::Draft;
use super::{Check, Need, Phase, Runbook, Step};
use crate::protocol::{Refused, Request};
use crate::watch::loss::database;
use crate::watch::verdict::fresh;
use crate::workload::Workload;

pub(super) fn plan(
    state: &Workload,
    request: &Request,
    to: RestoreTo,
    site: Option<&SiteId>,
    now: Time,
) -> Result<Runbook, Refused> {
    let from = home(state)?;
    if state.topology.database().1.backup.is_none() {
        return Err(Refused::new(
            "no-backups",
            "this workload keeps no backups",
            "declare `backup` on the postgres component; what was never backed up cannot be restored",
        ));
    }
    let site = site.unwrap_or(from);
    if !state.topology.is_region(site) {
        let regions: Vec<_> = state.topology.regions().map(|s| s.id.as_str()).collect();
        let hint = format!("its regions are {}", regions.join(", "));
        return Err(Refused::new("no-such-site", format!("`{site}` is not a region of this workload"), hint));
    }
    if !state.topology.approved(site) {
        return Err(not_approved(&state.topology, site));
    }
    if fresh(state, from, now).is_none() {
        return Err(Refused::new(
            "old-region-unreachable",
            format!("{from}, which writes, is {}: {}", state.verdict(from), reasons(state, from)),
            "its writer must be stopped first: fail over, then restore in the region that writes",
        ));
    }
    if let Finding::Never(why) = covered(state, &to, from, now) {
        return Err(Refused::new("backup-does-not-cover", why, "`antipode status` shows what can be restored"));
    }
    Ok(Runbook {
        request: request.clone(),
        from: Some(from.clone()),
        to: site.clone(),
        approvals: loss_approvals(&state.topology),
        steps: steps(state, from, site, to, now),
    })
}

fn steps(state: &Workload, from: &SiteId, site: &SiteId, to: RestoreTo, now: Time) -> Vec<Step> {
    let mut draft = Draft::new(state);
    draft.check("the region answers", Check::Healthy { site: site.clone() });
    draft.check("the region may hold the data", Check::Residency { site: site.clone() });
    draft.check("a backup covers the moment", Check::Covered { to, writer: from.clone() });
    draft.check("secrets are there and equal", Check::Secrets { site: site.clone() });
    draft.check("the artifact is the same", Check::Artifact { site: site.clone() });
    draft.frozen();
    draft.then(Phase::PreCheck);
    draft.check("what will be lost is accepted", Check::LossOf { to });
    draft.gated = true;
    draft.then(Phase::Step);
    if site != from {
        // Where it is now the instances are those that serve.
        draft.scale_up(site);
    }
    let archive = draft.database("complete the archive up to now", from, Verb::Archive);
    if !writes(state, from, now) {
        // A writer that is down can add nothing; what it had is kept with its data directory.
        archive.need = Need::BestEffort;
    }
    draft.then(Phase::Step);
    draft.fence(from, true);
    draft.then(Phase::Step);
    let run = state.next_run();
    let back = draft.on_database(site, Verb::PutBack { run });
    draft.database("restore beside the present data", site, Verb::Restore { run, to }).undo = Some(back);
    draft.then(Phase::Step);
    draft.promote(site);
    draft.then(Phase::Step);
    let others: Vec<SiteId> = state.topology.others(site).cloned().collect();
    // One that waits for its standby acknowledges nothing until it has one; else service comes first.
    let synchronous = draft.postgres().replication == Replication::Synchronous;
    if synchronous {
        others.iter().for_each(|other| draft.follow(other, site));
        draft.then(Phase::Step);
    }
    draft.verify(site);
    draft.then(Phase::Step);
    draft.route(site, None);
    draft.then(Phase::Step);
    for other in &others {
        if !synchronous {
            draft.follow(other, site);
        }
        draft.scale_down(other);
    }
    draft.then(Phase::PostCheck);
    for other in others {
        draft.check("the standby streams", Check::Streaming { site: other, upstream: site.clone() });
    }
    draft.check("nobody writes in an older epoch", Check::NoOldWriter { site: from.clone() });
    draft.exercise(site);
    draft.finish()
}

fn writes(state: &Workload, site: &SiteId, now: Time) -> bool {
    matches!(database(state, site, now).map(|d| &d.state), Some(DatabaseState::Writing { .. }))
}

fn vault(state: &Workload, now: Time) -> Option<&VaultReport> {
    fresh(state, state.topology.witness(), now)?.backup.vault.as_ref()
}

/// Whether a backup can be taken to that moment. What lies after the archive's end must come from the writer.
pub(super) fn covered(state: &Workload, to: &RestoreTo, writer: &SiteId, now: Time) -> Finding {
    let witness = state.topology.witness();
    let Some(vault) = vault(state, now) else {
        return NotYet(format!("{witness}, which keeps the backups, is silent"));
    };
    let reaches = vault.reaches().map_or("nothing".to_owned(), |mark| mark.at.to_string());
    match vault.best(to) {
        Some((base, Cover::Whole)) => Pass(format!("{} of {} reaches {to}", base.name, base.from.at)),
        Some((base, _)) if writes(state, writer, now) => Pass(format!(
            "{} of {} and the log up to {reaches} are in the vault; {writer} adds the rest",
            base.name, base.from.at
        )),
        Some(_) => Never(format!("the archive reaches {reaches}, before {to}, and {writer} cannot add to it")),
        None => {
            let first =
                vault.bases.first().map_or("there is none".to_owned(), |b| format!("the first is of {}", b.from.at));
            let gap = vault.bases.iter().find_map(|base| base.gap.as_ref());
            let gap = gap.map_or(String::new(), |gap| format!("; the log lacks {gap}"));
            Never(format!("no backup can be taken to {to}: {first}{gap}"))
        }
    }
}

/// Two people have said that they know what they give up.
pub(super) fn loss_of(state: &Workload, run: &Run, to: &RestoreTo) -> Finding {
    if loss_accepted(&state.topology, run) {
        let by: Vec<_> = run.loss_accepted.iter().map(|p| p.to_string()).collect();
        return Pass(format!("{} accept that everything committed after {to} is taken back", by.join(" and ")));
    }
    NeedsOverride(format!("everything committed after {to} is taken back, also what was acknowledged"))
}

/// The old writer's receipt, and people who accept the loss: as for any other promotion. Where its log ended does not
/// matter, because that end is given up.
pub(super) fn may_promote(state: &Workload, run: &Run, from: &SiteId) -> Gate {
    if !loss_accepted(&state.topology, run) {
        return Gate::Ask("nobody has accepted what a restore takes back".to_owned());
    }
    if !run.receipts.iter().any(|receipt| receipt.site == *from) {
        return Gate::Shut(format!("{from} has given no fence receipt"));
    }
    let restored = run.runbook.steps.iter().zip(&run.steps).any(|(step, state)| {
        let restores =
            step.action().is_some_and(|a| a.site == run.runbook.to && matches!(a.verb, Verb::Restore { .. }));
        restores && state.progress == super::run::Progress::Done
    });
    if restored { Gate::Open } else { Gate::Shut(format!("nothing was restored at {}", run.runbook.to)) }
}
