//! Every data store: what it is, where its copies are, who may write, and what mistakes reach (seed 003 section 9).

use model::SiteId;
use model::catalogue::Promotion;

use super::Rule;
use crate::assess::finding::Found;
use crate::assess::view::{self, View};

pub const RULES: &[Rule] = &[
    record,
    nothing_is_the_record,
    one_region,
    not_writable,
    not_automatic,
    fence,
    epoch,
    deletes,
    backup,
    backup_place,
    objects,
];

fn record(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores() {
        if !part.answered("system_of_record") && !part.answered("projection_of") {
            out.push(Found::about("record-or-projection-unsaid", part, "").unsaid());
        }
    }
}

fn nothing_is_the_record(view: &View<'_>, out: &mut Vec<Found>) {
    let mut stores = view.stores().peekable();
    if stores.peek().is_some() && !stores.any(view::record) {
        out.push(Found::new("nothing-is-the-record", "components"));
    }
}

/// Regions that have a copy of its backups; the backups of what we run ourselves are kept by the witness.
fn backup_copies(view: &View<'_>, part: &model::Part) -> Option<Vec<SiteId>> {
    let witness = || view.design.witnesses().map(|site| site.id.clone()).collect();
    part.sites("backup.sites").or_else(|| part.kind.runs.then(witness))
}

fn one_region(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| view.several_regions() && view::record(part)) {
        let alone = view::unreplicated(part);
        let elsewhere =
            backup_copies(view, part).is_some_and(|sites| sites.iter().any(|site| !homes(view, part).contains(site)));
        if alone && !(view::backed_up(part) && elsewhere) {
            out.push(Found::about("data-in-one-region", part, "replication").sites(&homes(view, part)));
        }
    }
}

/// Where the data itself is: its sites, or without replication the preferred one.
fn homes(view: &View<'_>, part: &model::Part) -> Vec<SiteId> {
    match view.design.preferred() {
        Some(site) if !view::replicated(part) && part.is_in(&site.id) => vec![site.id.clone()],
        _ => part.sites.clone(),
    }
}

fn not_writable(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| view.several_regions() && view::single_writer(part) && view::record(part)) {
        let said = part.bool("standby_writable");
        let never = part.word("promote") == Some("none");
        let by_kind =
            view::mode(part).is_some_and(|mode| !mode.secondary_writable && mode.promotion == Promotion::None);
        if said == Some(false) || (said.is_none() && (never || by_kind)) {
            let key = if said.is_some() { "standby_writable" } else { "promote" };
            let others: Vec<SiteId> = view.design.others().map(|site| site.id.clone()).collect();
            out.push(Found::about("standby-not-writable", part, key).sites(&others).with("kind", &part.kind.title));
        }
    }
}

/// Said to promote itself across regions, which its kind does not do (seed 002 says so of Aurora Global).
fn not_automatic(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|_| view.several_regions()) {
        let manual = view::mode(part).is_some_and(|mode| mode.promotion == Promotion::Manual);
        if part.word("promote") == Some("service") && manual {
            let call = part.act(model::catalogue::ActName::Promote).map_or("its promotion", |act| act.call.as_str());
            let found = Found::about("cross-region-failover-not-automatic", part, "promote");
            out.push(found.with("kind", &part.kind.title).with("call", call));
        }
    }
}

fn fence(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| view.several_regions() && view::single_writer(part) && view::record(part)) {
        let fenced = part.words("fence").is_some_and(|ways| ways.iter().any(|way| *way != "none"));
        // A service whose copy can only be promoted by taking the role from the old writer fences by itself.
        let by_kind = part.kind.fence.as_ref().is_some_and(|fence| fence.checks_epoch);
        if !fenced && !by_kind {
            out.push(Found::about("single-writer-not-enforced", part, "fence"));
        }
    }
}

fn epoch(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| view.several_regions() && view::single_writer(part) && view::record(part)) {
        if part.kind.fence.as_ref().is_some_and(|fence| !fence.checks_epoch) {
            out.push(Found::about("fence-without-epoch", part, "fence").with("kind", &part.kind.title));
        }
    }
}

fn deletes(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| view::record(part) && view::replicated(part)) {
        let kept = part.bool("versioned") == Some(true) || part.bool("locked") == Some(true);
        let apart = view::backed_up(part) && part.bool("backup.isolated") == Some(true);
        if part.word("deletes") == Some("replicated") && !kept && !apart {
            out.push(Found::about("deletes-reach-every-copy", part, "deletes"));
        }
    }
}

fn backup(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("backup").filter(|part| view::record(part) && !view::backed_up(part)) {
        // A locked, versioned store of objects keeps what was there before the mistake.
        let keeps_all = part.bool("versioned") == Some(true) && part.bool("locked") == Some(true);
        if !keeps_all {
            out.push(Found::about("backup-missing", part, ""));
        }
    }
}

fn backup_place(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("backup").filter(|part| view.several_regions() && view::record(part) && view::backed_up(part))
    {
        let copies = part.sites("backup.sites").unwrap_or_default();
        if let ([only], homes) = (copies.as_slice(), homes(view, part))
            && homes.contains(only)
            && !view::replicated(part)
        {
            out.push(Found::about("backup-in-one-region", part, "backup.sites").sites(&copies));
        }
    }
}

fn objects(view: &View<'_>, out: &mut Vec<Found>) {
    let watched = |part: &model::Part| {
        let practice = view.design.practice.words("observability.alarms").unwrap_or_default();
        let named = practice.contains(&"object-replication");
        let seen = view
            .with("observe")
            .any(|seen| seen.words("observe.alarms").is_some_and(|a| a.contains(&"object-replication")));
        named || seen || part.answered("lag_alarm")
    };
    for part in view.stores().filter(|part| view::objects(part) && view::replicated(part)) {
        if !watched(part) {
            out.push(Found::about("object-replication-unwatched", part, "lag_alarm"));
        }
    }
}
