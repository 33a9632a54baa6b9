//! Several writers, and events that come twice (seed 003 sections 9.3, 9.6 and 11).

use model::catalogue::{Promotion, ReplicationMode};
use model::{Part, SiteId};

use super::Rule;
use crate::assess::finding::{Found, listed};
use crate::assess::view::{self, View};

pub const RULES: &[Rule] = &[
    several_writers,
    one_writer_by_kind,
    ownership,
    remote_writes,
    stream_decisions,
    stream_consumers,
    stream_retention,
];

/// Where this store is written, as far as is known.
fn writing(view: &View<'_>, part: &Part) -> Vec<SiteId> {
    if part.sites.is_empty() { view.regions.iter().map(|site| site.id.clone()).collect() } else { part.sites.clone() }
}

fn several_writers(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| view::several_writers(part)) {
        let conflicts = part.word("conflicts");
        // A regional writer is an owner of its part: that is a strategy, and named by `writers` itself.
        let decided = match part.word("writers") {
            Some("regional") => conflicts != Some("single-writer"),
            _ => !matches!(conflicts, None | Some("single-writer")),
        };
        if !decided {
            let key = if part.answered("conflicts") { "conflicts" } else { "writers" };
            out.push(Found::about("active-active-without-conflict-strategy", part, key).sites(&writing(view, part)));
        }
    }
}

/// Kinds that only ever have one writing region.
fn takes_one_writer(part: &Part) -> bool {
    let modes = || part.kind.replication.iter().filter(|mode| mode.cross_region && mode.mode != ReplicationMode::None);
    modes().next().is_some() && modes().all(|mode| !mode.secondary_writable && mode.promotion != Promotion::None)
}

fn one_writer_by_kind(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| view.several_regions() && takes_one_writer(part)) {
        if let Some(writers) = part.word("writers").filter(|writers| *writers == "every") {
            let found = Found::about("writes-claimed-by-single-writer-store", part, "writers");
            out.push(found.with("kind", &part.kind.title).with("value", writers));
        }
    }
}

fn ownership(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| view::several_writers(part)) {
        let owned = part.word("conflicts") == Some("regional-ownership") || part.word("writers") == Some("regional");
        if owned && !part.answered("promote") {
            out.push(Found::about("ownership-transfer-unsaid", part, "promote").unsaid());
        }
        if owned && !part.answered("owned_by") {
            out.push(Found::about("owner-unsaid", part, "owned_by").unsaid());
        }
    }
}

/// Users who are answered far from the only writer.
fn remote_writes(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(router) = view.routers().next().filter(|_| view.active_active()) else { return };
    let sites: Vec<SiteId> = view.serving.iter().map(|site| site.id.clone()).collect();
    for part in view.stores().filter(|part| view::record(part) && view::single_writer(part)) {
        let found = Found::about("remote-writes-pay-distance", part, "writers").sites(&sites);
        out.push(found.with("traffic", router.id.as_str()));
    }
}

/// The ten decisions of seed 003 section 9.6, in words.
const DECISIONS: [(&str, &str); 10] = [
    ("events.identity", "what identifies an event"),
    ("events.ordering", "within what the order holds"),
    ("events.duplicates", "what happens to duplicates"),
    ("events.replay", "where a replay begins"),
    ("events.consumers", "whether consumers bear an event twice"),
    ("events.ownership", "which region may produce"),
    ("events.poison", "what happens to poison messages"),
    ("events.schema", "what keeps schemas compatible"),
    ("events.lag", "how far the copy is behind"),
    ("events.retention", "how long events are kept"),
];

/// Stores of rows that can also be read as a stream; they are asked only where somebody uses that.
const ALSO_STREAMS: [&str; 2] = ["aws.dynamodb", "aws.dynamodb-global"];

fn stream_decisions(view: &View<'_>, out: &mut Vec<Found>) {
    let streams = |part: &&Part| part.mentions("events") || !ALSO_STREAMS.contains(&part.kind.name.as_str());
    for part in view.with("events").filter(|_| view.several_regions()).filter(streams) {
        // What has no copy is never behind.
        let arises = |key: &str| key != "events.lag" || !view::unreplicated(part);
        let open = DECISIONS.iter().filter(|(key, _)| !part.answered(key) && arises(key));
        let open: Vec<&str> = open.map(|(_, words)| *words).collect();
        if !open.is_empty() {
            out.push(Found::about("stream-decisions-missing", part, "events").with("missing", listed(&open)).unsaid());
        }
    }
}

fn stream_consumers(view: &View<'_>, out: &mut Vec<Found>) {
    let bad = [("events.consumers", "not-idempotent"), ("events.duplicates", "none")];
    for part in view.with("events").filter(|_| view.several_regions()) {
        if let Some((key, _)) = bad.iter().find(|(key, word)| part.word(key) == Some(word)) {
            out.push(Found::about("stream-consumers-not-idempotent", part, key));
        }
    }
}

/// Events of the outage must still be there when their consumers are. A longer RTO asks for more here, not for less.
fn stream_retention(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(rto) = view.rto() else { return };
    for part in view.with("events") {
        if let Some(retention) = part.duration("events.retention").filter(|retention| *retention < rto) {
            let found = Found::about("stream-retention-below-recovery", part, "events.retention");
            out.push(found.time("retention", retention).time("rto", rto));
        }
    }
}
