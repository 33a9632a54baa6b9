//! What runs: whether it is there, whether it is enough, and whether it stands on its own.

use model::design::Site;
use model::topology::Plane;
use model::{Part, SiteId};

use super::Rule;
use crate::assess::checklist::days;
use crate::assess::finding::{Found, listed};
use crate::assess::view::{Capacity, View};

pub const RULES: &[Rule] = &[capacity, quotas, images, one_instance, weak_regions, tenants, tokens, jobs];

/// An image is due once a month (seed 001, maintenance).
const IMAGE_DUE: u64 = 31;

fn capacity(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("capacity").filter(|part| view.several_regions() && part.answered("peak")) {
        for site in view.receiving().into_iter().filter(|site| part.is_in(&site.id)) {
            match Capacity::of(view, part, site) {
                None => out.push(Found::about("standby-capacity-unknown", part, "capacity").site(&site.id)),
                Some(capacity) => out.extend(growth(part, site, capacity)),
            }
        }
    }
}

fn growth(part: &Part, site: &Site, Capacity { need, ready, most }: Capacity) -> Option<Found> {
    let (id, key) = match () {
        _ if most < need => ("standby-too-small", if part.answered("maximum") { "maximum" } else { "capacity" }),
        _ if ready < need && part.bool("reserved") != Some(true) && !part.kind.runs => {
            ("capacity-not-held", "capacity")
        }
        _ => return None,
    };
    let found = Found::about(id, part, key).site(&site.id).with("site", site.id.as_str());
    Some(found.with("peak", need.to_string()).with("has", ready.to_string()).with("most", most.to_string()))
}

fn quotas(view: &View<'_>, out: &mut Vec<Found>) {
    let receiving = if view.several_regions() { view.receiving() } else { Vec::new() };
    let cloud = |part: &&Part| part.kind.name.starts_with("aws.");
    let counted: Vec<&Part> = view.with("capacity").filter(cloud).filter(|part| part.answered("peak")).collect();
    for site in receiving {
        for part in counted.iter().filter(|part| part.is_in(&site.id)) {
            let service = part.kind.name.as_str();
            let quota = site.quotas.get(part.id.as_str()).or_else(|| site.quotas.get(service));
            let need = view.share(part.count("peak").unwrap_or_default());
            if let Some(quota) = quota.filter(|quota| u64::from(**quota) < need) {
                let found = Found::new("quota-below-peak", format!("sites.{}.quotas", site.id)).part(part);
                let found = found.site(&site.id).with("site", site.id.as_str());
                out.push(found.with("peak", need.to_string()).with("quota", quota.to_string()));
            }
        }
        if site.quotas.is_empty() && counted.iter().any(|part| part.is_in(&site.id)) {
            let found = Found::new("quota-unknown", format!("sites.{}.quotas", site.id));
            out.push(found.site(&site.id).with("site", site.id.as_str()).unsaid());
        }
    }
}

fn images(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("image") {
        if let Some(age) = part.date("image.built").map(|day| view.age(day)).filter(|age| *age > IMAGE_DUE) {
            out.push(Found::about("image-stale", part, "image.built").with("age", days(age)));
        }
        let there = part.sites("image.sites");
        let missing: Vec<SiteId> = part
            .sites
            .iter()
            .filter(|site| there.as_ref().is_some_and(|there| !there.contains(site)))
            .cloned()
            .collect();
        if !missing.is_empty() {
            out.push(Found::about("image-not-copied", part, "image.sites").sites(&missing));
        }
    }
}

/// The regions where it has one instance, though all is well.
fn alone<'d>(view: &View<'d>, part: &'d Part) -> Vec<&'d Site> {
    let one = |site: &&Site| part.at(&site.id).count("minimum").or_else(|| part.count("peak")) == Some(1);
    view.serving.iter().copied().filter(|site| part.is_in(&site.id)).filter(one).collect()
}

fn one_instance(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("capacity").filter(|part| part.plane() == Plane::Compute) {
        for site in alone(view, part) {
            let key = if part.answered("minimum") { "minimum" } else { "peak" };
            out.push(Found::about("single-instance", part, key).site(&site.id).with("site", site.id.as_str()));
        }
    }
}

/// Regions that share the load although each of them would fall by itself.
fn weak_regions(view: &View<'_>, out: &mut Vec<Found>) {
    for site in view.serving.iter().filter(|_| view.active_active()) {
        let one_zone = (site.zones.len() == 1).then(|| "it has one zone".to_owned());
        let lonely: Vec<String> = view
            .with("capacity")
            .filter(|part| part.plane() == Plane::Compute && alone(view, part).iter().any(|s| s.id == site.id))
            .map(|part| format!("`{}` has one instance", part.id))
            .collect();
        let unspread = view.stores().filter(|part| part.is_in(&site.id) && part.bool("zones_spread") == Some(false));
        let unspread = unspread.map(|part| format!("`{}` is in one zone", part.id));
        let why: Vec<String> = one_zone.into_iter().chain(lonely).chain(unspread).collect();
        if !why.is_empty() {
            let found = Found::new("weak-region-hidden", format!("sites.{}", site.id)).site(&site.id);
            out.push(found.with("site", site.id.as_str()).with("why", listed(&why)));
        }
    }
}

fn tenants(view: &View<'_>, out: &mut Vec<Found>) {
    let led = view.routers().any(|part| part.answered("fallback"));
    for part in view.with("state").filter(|_| view.several_regions() && !led) {
        if part.word("sessions") == Some("affinity") {
            out.push(Found::about("sessions-by-tenant", part, "sessions"));
        }
    }
}

fn tokens(view: &View<'_>, out: &mut Vec<Found>) {
    // A job has no users whose rights could be taken away.
    let served = |part: &&Part| view.several_regions() && !part.kind.has_facet("job");
    for part in view.with("state").filter(served) {
        if part.word("sessions") == Some("stateless") && !part.answered("revocation") {
            out.push(Found::about("token-revocation-unsaid", part, "sessions").unsaid());
        }
    }
}

fn jobs(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("job").filter(|part| part.sites.len() > 1 && part.word("guard") == Some("none")) {
        out.push(Found::about("jobs-run-twice", part, "guard").sites(&part.sites));
    }
}
