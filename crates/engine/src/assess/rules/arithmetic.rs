//! What can be added and compared: times against the RTO, losses against the RPO. A looser objective never adds one of
//! these findings.

use std::time::Duration;

use model::Part;
use model::catalogue::Zones;
use model::time::human;
use model::topology::Plane;

use super::Rule;
use crate::assess::finding::Found;
use crate::assess::view::{self, View};
use crate::forecast::between_backups;

pub const RULES: &[Rule] =
    &[detection, ttl, promotion, growth, restore, together, lag, worst_lag, lag_alarm, backups, measured, promised];

/// Detection is over before anything else begins, so it alone must fit. What watches the region for traffic that moves by
/// itself must fit in any case; anything else, such as an alarm on a backlog, only where nothing is quicker.
fn detection(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(rto) = view.rto() else { return };
    let in_time = view.parts().filter_map(view::detection).any(|(time, _)| time <= rto);
    for part in view.parts().filter(|part| !in_time || view::decides(part)) {
        let Some((time, how)) = view::detection(part).filter(|(time, _)| *time > rto) else { continue };
        let key = if part.answered("check.path") { "check.every" } else { "alarm.period" };
        out.push(Found::about("detection-exceeds-rto", part, key).time("time", time).with("how", how).time("rto", rto));
    }
}

fn ttl(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(rto) = view.rto().filter(|_| view.several_regions()) else { return };
    for part in view.routers() {
        let ttl = part.duration("ttl");
        if let Some(ttl) = ttl.filter(|ttl| *ttl > rto) {
            out.push(Found::about("dns-ttl-exceeds-rto", part, "ttl").time("ttl", ttl).time("rto", rto));
        }
        if let Some(cache) = part.duration("clients.cache").filter(|cache| *cache > rto) {
            let says = ttl.map_or_else(|| "its TTL".into(), |ttl| format!("its TTL of {}", human(ttl)));
            let found = Found::about("clients-outlive-rto", part, "clients.cache").with("ttl", says);
            out.push(found.time("cache", cache).time("rto", rto));
        }
    }
}

fn promotion(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(rto) = view.rto().filter(|_| view.several_regions()) else { return };
    for part in view.stores() {
        let rto = part.duration("objectives.rto").unwrap_or(rto);
        if let Some(time) = view::promotion(part).filter(|time| *time > rto) {
            let found = Found::about("promotion-exceeds-rto", part, "replication").time("time", time).time("rto", rto);
            out.push(found.with("kind", &part.kind.title));
        }
    }
}

fn growth(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(rto) = view.rto().filter(|_| view.several_regions()) else { return };
    for part in view.with("capacity") {
        for site in view.receiving() {
            if let Some(time) = view::growth(view, part, site).filter(|time| *time > rto) {
                let found = Found::about("scaling-exceeds-rto", part, "warm_up").site(&site.id);
                out.push(found.with("site", site.id.as_str()).time("time", time).time("rto", rto));
            }
        }
    }
}

fn restore(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(rto) = view.rto() else { return };
    for part in view.stores().filter(|part| view::restored(view, part) && view::backed_up(part)) {
        let rto = part.duration("objectives.rto").unwrap_or(rto);
        if let Some(time) = view::restore(part).filter(|time| *time > rto) {
            out.push(Found::about("restore-exceeds-rto", part, "backup").time("time", time).time("rto", rto));
        }
    }
}

/// The steps after one another: detect; promote and grow, which run side by side; let cached answers expire.
fn together(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(rto) = view.rto().filter(|_| view.several_regions()) else { return };
    let ours = view.routers().any(|part| part.kind.runs).then_some(view.design.timing.unreachable_after);
    let noticed = |part: &Part| Some(view::detection(part)?.0);
    let deciding = view.parts().filter(|part| view::decides(part)).filter_map(noticed).chain(ours).min();
    let detect = deciding.or_else(|| view.parts().filter_map(noticed).min());
    let stores = || view.stores().filter(|part| view::counts_as_record(part));
    let restores = stores().filter(|part| view::restored(view, part)).filter_map(view::restore);
    let promote = stores().filter_map(view::promotion).chain(restores).max();
    let receiving = view.receiving();
    let growths =
        view.with("capacity").flat_map(|part| receiving.iter().filter_map(move |site| view::growth(view, part, site)));
    let scale = growths.max();
    let route = view.routers().filter_map(view::cached).max();
    let known = [detect, promote, scale, route].iter().flatten().count();
    let or_none = |time: Option<Duration>| time.unwrap_or_default();
    let sum = or_none(detect) + or_none(promote).max(or_none(scale)) + or_none(route);
    if known < 2 || sum <= rto {
        return;
    }
    let says = |time: Option<Duration>| time.map_or_else(|| "(not known)".to_owned(), human);
    let found = Found::new("steps-together-exceed-rto", "objectives.rto").with("detect", says(detect));
    let found = found.with("promote", says(promote)).with("scale", says(scale)).with("route", says(route));
    out.push(found.time("sum", sum).time("rto", rto));
}

/// The RPO that this store has to keep.
fn rpo(view: &View<'_>, part: &Part) -> Option<Duration> {
    part.duration("objectives.rpo").or_else(|| view.rpo())
}

fn asynchronous(part: &Part) -> bool {
    view::replicated(part) && part.word("replication") == Some("asynchronous")
}

fn lag(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| asynchronous(part) && view::counts_as_record(part)) {
        let Some(rpo) = rpo(view, part) else { continue };
        if rpo.is_zero() {
            out.push(Found::about("asynchronous-cannot-lose-nothing", part, "replication").time("rpo", rpo));
        }
        let lag = part.duration("lag").or_else(|| part.duration("rpo_typical"));
        if let Some(lag) = lag.filter(|lag| *lag > rpo) {
            let key = if part.answered("lag") { "lag" } else { "rpo_typical" };
            out.push(Found::about("replication-lag-exceeds-rpo", part, key).time("lag", lag).time("rpo", rpo));
        }
    }
}

fn worst_lag(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| asynchronous(part) && view::counts_as_record(part)) {
        let (Some(worst), Some(rpo)) = (view::worst_loss(part), rpo(view, part)) else { continue };
        if worst > rpo {
            let found =
                Found::about("worst-lag-exceeds-rpo", part, "replication").time("worst", worst).time("rpo", rpo);
            out.push(found.with("kind", &part.kind.title));
        }
    }
}

fn lag_alarm(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores().filter(|part| asynchronous(part)) {
        let (Some(alarm), Some(rpo)) = (part.duration("lag_alarm"), rpo(view, part)) else { continue };
        if alarm > rpo {
            out.push(Found::about("lag-alarm-above-rpo", part, "lag_alarm").time("alarm", alarm).time("rpo", rpo));
        }
    }
}

/// What comes back from a backup loses what was written since; the log that is archived between backups counts.
fn backups(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(home) = view.design.preferred() else { return };
    for part in view.stores().filter(|part| view::restored(view, part)) {
        let (Some(every), Some(rpo)) = (between_backups(part, &home.id), rpo(view, part)) else { continue };
        if every > rpo {
            let key = if part.answered("backup.archive_every") { "backup.archive_every" } else { "backup.every" };
            out.push(Found::about("backup-interval-exceeds-rpo", part, key).time("every", every).time("rpo", rpo));
        }
    }
}

/// What is promised of one zone, of what stands in one. Where several regions serve, the others answer meanwhile.
fn promised(view: &View<'_>, out: &mut Vec<Found>) {
    let runs =
        |part: &&Part| matches!(part.plane(), Plane::Compute | Plane::Data) && !part.kind.availability.is_empty();
    let needed = |part: &&Part| part.bool("critical") != Some(false);
    for part in view.parts().filter(|part| runs(part) && needed(part) && !view.active_active()) {
        let own = part.percent("objectives.availability");
        let Some(objective) = own.or(view.design.objectives.availability) else { continue };
        if !view::in_one_zone(view, part) {
            continue;
        }
        let promise = part.kind.availability.iter().find(|promise| promise.zones == Zones::One);
        if promise.is_some_and(|promise| promise.percent >= objective) {
            continue;
        }
        let words = promise.map_or_else(|| "nothing".to_owned(), |promise| format!("{}%", promise.percent));
        let found = Found::about("availability-above-promise", part, "").with("promise", words);
        out.push(found.with("availability", format!("{objective}%")));
    }
}

/// What drills measured against what was promised.
fn measured(view: &View<'_>, out: &mut Vec<Found>) {
    let practice = &view.design.practice;
    let compare =
        |measured: Option<Duration>, objective: Option<Duration>| Some((measured?, objective?)).filter(|(m, o)| m > o);
    if let Some((took, rto)) = compare(practice.duration("failover.rto_measured"), view.rto()) {
        let found = Found::new("measured-rto-exceeds-objective", "practice.failover.rto_measured");
        out.push(found.time("measured", took).time("rto", rto));
    }
    if let Some((lost, rpo)) = compare(practice.duration("failover.rpo_measured"), view.rpo()) {
        let found = Found::new("measured-rpo-exceeds-objective", "practice.failover.rpo_measured");
        out.push(found.time("measured", lost).time("rpo", rpo));
    }
}
