//! How clients are led to a region, and what each routing policy does not do (seed 003 section 8).

use model::{Part, SiteId};

use super::Rule;
use crate::assess::finding::{Found, listed};
use crate::assess::view::{self, View};

pub const RULES: &[Rule] = &[
    promotion,
    pinned,
    check,
    vantage,
    automatic,
    safety_rules,
    weighted_writes,
    weighted_clients,
    nearest,
    geographic,
];

/// Traffic that moves by itself to a store that nobody promotes.
fn promotion(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(router) = view.routers().next().filter(|_| view.several_regions()) else { return };
    for part in view.stores().filter(|part| view::record(part)) {
        let moved_to = view::single_writer(part)
            || (part.sites.len() > 1 && !part.answered("replication") && view::replicable(part));
        // `none` is an answer, and the wrong one: the copy stays read-only.
        if moved_to && matches!(part.word("promote"), None | Some("none")) {
            out.push(
                Found::about("dns-failover-without-promotion", part, "promote").with("traffic", router.id.as_str()),
            );
        }
    }
}

fn pinned(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.routers().filter(|_| view.several_regions()) {
        if let Some(share) = part.percent("clients.pinned").filter(|share| *share > 0.0) {
            out.push(Found::about("clients-pinned", part, "clients.pinned").with("pinned", format!("{share}%")));
        }
    }
}

/// Policies that leave a dead region out only when a check says so.
fn by_health(part: &Part) -> bool {
    matches!(part.word("policy"), Some("failover" | "multivalue" | "latency" | "weighted"))
}

fn check(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.routers().filter(|part| view.several_regions() && by_health(part) && part.kind.has_facet("check"))
    {
        if part.mentions("check") || !matches!(part.word("shift"), None | Some("health-check")) {
            continue;
        }
        // A check may stand as a component of its own, that names it or is named by it.
        let named = view.parts().any(|check| {
            check.kind.has_facet("check") && check.id != part.id && check.needs.contains(&part.id)
                || part.needs.contains(&check.id) && check.mentions("check")
        });
        if !named {
            out.push(Found::about("health-check-missing", part, ""));
        }
    }
}

fn vantage(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("check").filter(|_| view.several_regions()) {
        if let Some(places @ 0..=1) = part.count("check.vantage_points") {
            let places = if places == 1 { "one place" } else { "no place" };
            out.push(Found::about("health-check-one-place", part, "check.vantage_points").with("places", places));
        }
    }
}

/// Whether this router moves clients without anybody deciding.
fn moves_by_itself(part: &Part) -> bool {
    part.bool("automatic")
        .unwrap_or(part.word("shift") == Some("health-check") && part.word("policy") == Some("failover"))
}

fn automatic(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.routers().filter(|part| view.several_regions() && moves_by_itself(part) && !part.kind.runs) {
        let why = match (part.word("check.depth"), part.count("check.vantage_points")) {
            (Some("shallow"), _) => "tests no dependency",
            (_, Some(0 | 1)) => "is made from one place",
            _ if !part.mentions("check") && part.bool("automatic") == Some(true) => "is not declared",
            _ => continue,
        };
        let key = if part.answered("automatic") { "automatic" } else { "shift" };
        out.push(Found::about("automatic-failover-on-shallow-signal", part, key).with("why", why));
    }
}

fn safety_rules(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view
        .routers()
        .filter(|part| view.several_regions() && part.bool("safety_rules") != Some(true) && !part.kind.runs)
    {
        if part.word("shift") == Some("routing-control") {
            out.push(Found::about("routing-control-without-safety-rules", part, "shift"));
        } else if moves_by_itself(part) {
            let key = if part.answered("automatic") { "automatic" } else { "shift" };
            out.push(Found::about("automatic-failover-without-safety-rules", part, key));
        }
    }
}

/// Clients are divided, and a record does not say who may write it.
fn weighted_writes(view: &View<'_>, out: &mut Vec<Found>) {
    let sites: Vec<SiteId> = view.serving.iter().map(|site| site.id.clone()).collect();
    let weighted = |part: &&Part| part.word("policy") == Some("weighted");
    let Some(router) = view.routers().find(weighted).filter(|_| view.active_active()) else { return };
    for part in view.stores().filter(|part| view::record(part) && !part.answered("writers")) {
        let found = Found::about("weighted-splits-writes", router, "policy").sites(&sites).part(part);
        out.push(found.with("data", part.id.as_str()));
    }
}

fn weighted_clients(view: &View<'_>, out: &mut Vec<Found>) {
    let sessions_stick = view.with("state").any(|part| part.word("sessions") == Some("sticky"));
    for part in view.routers().filter(|part| view.several_regions() && part.word("policy") == Some("weighted")) {
        if part.bool("sticky").unwrap_or(sessions_stick) {
            out.push(Found::about("weighted-clients-stick", part, "policy"));
        }
    }
}

/// The nearest region is chosen whatever data it has.
fn nearest(view: &View<'_>, out: &mut Vec<Found>) {
    let near = |part: &&Part| matches!(part.word("policy"), Some("latency" | "geoproximity"));
    // One router is enough to say it: the others lead to the same stores.
    let Some(router) = view.routers().find(near).filter(|_| view.active_active()) else { return };
    let all: Vec<SiteId> = view.serving.iter().map(|site| site.id.clone()).collect();
    for part in view.stores().filter(|part| view::record(part)) {
        let missing: Vec<SiteId> = all.iter().filter(|site| !holds(view, part, site)).cloned().collect();
        let found = |id| Found::about(id, router, "policy").part(part).with("data", part.id.as_str());
        if !missing.is_empty() {
            out.push(found("nearest-region-lacks-data").sites(&missing).with("sites", listed(&all)));
        } else if matches!(part.word("replication"), Some("asynchronous" | "multi-writer")) {
            let lag = part.duration("lag").or_else(|| view::mode(part)?.rpo_typical);
            let lag = lag.map_or_else(|| "some time".to_owned(), model::time::human);
            out.push(found("nearest-region-reads-stale").with("lag", lag));
        }
    }
}

/// Whether the data can be read in `site`.
fn holds(view: &View<'_>, part: &Part, site: &SiteId) -> bool {
    let copies = view::replicated(part) || view.design.preferred().is_some_and(|preferred| preferred.id == *site);
    part.sites.is_empty() || (part.is_in(site) && (copies || !part.answered("replication")))
}

fn geographic(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.routers().filter(|_| view.several_regions()) {
        let Some(policy @ ("geolocation" | "geoproximity")) = part.word("policy") else { continue };
        let unchecked = part.kind.has_facet("check") && !part.mentions("check");
        let no_default = policy == "geolocation"
            && !part.answered("fallback")
            && !view.regions.iter().any(|site| site.geo.iter().any(|geo| geo == "*"));
        let lacks = match (unchecked, no_default) {
            (true, true) => "no health check and no fallback",
            (true, false) => "no health check",
            (false, true) => "no fallback",
            (false, false) => continue,
        };
        out.push(
            Found::about("geographic-routing-without-failover", part, "policy")
                .with("policy", policy)
                .with("lacks", lacks),
        );
    }
}
