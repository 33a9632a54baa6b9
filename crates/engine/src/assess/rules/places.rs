//! Where things stand: what is missing in a region, and what everything depends on in one (seed 003 sections 3 and 22.2).

use model::catalogue::Scope;
use model::topology::Plane;
use model::{Part, SiteId};

use super::Rule;
use crate::assess::finding::{Found, listed};
use crate::assess::view::View;

pub const RULES: &[Rule] = &[zones, absent, entry, needed, preferred, seen];

fn zones(view: &View<'_>, out: &mut Vec<Found>) {
    for site in view.regions.iter().filter(|site| site.zones.len() == 1) {
        let found = Found::new("single-zone", format!("sites.{}.zones", site.id));
        out.push(found.site(&site.id).with("site", site.id.as_str()));
    }
}

/// What runs code, and is not there.
fn absent(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.parts().filter(|part| part.plane() == Plane::Compute && view.several_regions()) {
        let missing = match part.kind.scope {
            Scope::Global => Vec::new(),
            Scope::Regional | Scope::Zonal => not_deployed(view, part),
        };
        // A third party has no region of ours to be in.
        if !missing.is_empty() && part.bool("critical") != Some(false) && !part.kind.has_facet("third-party") {
            let key = if part.declared("sites") { "sites" } else { "" };
            out.push(Found::about("standby-absent", part, key).sites(&missing));
        }
    }
}

/// Regions where it is not: by its own `sites`, or because nothing is deployed there.
fn not_deployed(view: &View<'_>, part: &Part) -> Vec<SiteId> {
    let there = |id: &SiteId| part.is_in(id) && view.design.site(id).is_none_or(|site| site.deployed != Some(false));
    view.regions.iter().map(|site| &site.id).filter(|id| !there(id)).cloned().collect()
}

/// A load balancer, or another way in of one region.
fn entry(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.parts().filter(|part| part.plane() == Plane::Traffic && part.kind.scope != Scope::Global) {
        if view.several_regions() && !part.kind.has_facet("traffic") && part.sites.len() == 1 {
            out.push(Found::about("entry-in-one-region", part, "sites").sites(&part.sites));
        }
    }
}

/// Something in one region that others elsewhere need.
fn needed(view: &View<'_>, out: &mut Vec<Found>) {
    if !view.several_regions() {
        return;
    }
    let mut users: std::collections::BTreeMap<_, Vec<String>> = std::collections::BTreeMap::new();
    for part in view.parts() {
        for need in part.needs.iter().filter_map(|need| view.part(need)) {
            let elsewhere = part.sites.iter().any(|site| !need.is_in(site));
            // Of a secret or a key in one region another finding says more.
            let told = need.kind.has_facet("secret") || need.kind.has_facet("keys");
            if !need.sites.is_empty() && elsewhere && !told {
                users.entry(&need.id).or_default().push(format!("`{}`", part.id));
            }
        }
    }
    for (id, users) in users {
        let Some(part) = view.part(id) else { continue };
        let found = Found::about("single-point-of-failure", part, "sites").sites(&part.sites);
        let need = if users.len() == 1 { "needs" } else { "need" };
        out.push(found.with("users", listed(&users)).with("need", need));
    }
}

fn preferred(view: &View<'_>, out: &mut Vec<Found>) {
    let marked = view.regions.iter().filter(|site| site.preferred).count();
    if view.several_regions() && !view.active_active() && marked != 1 {
        let what = if marked == 0 { "none is `preferred`" } else { "more than one is `preferred`" };
        out.push(Found::new("preferred-region-unsaid", "sites").with("what", what));
    }
}

/// Telemetry that is collected in some regions only.
fn seen(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("observe").filter(|part| view.several_regions() && part.kind.scope != Scope::Global) {
        let missing = view.missing(&part.sites);
        if !missing.is_empty() {
            out.push(Found::about("observability-not-in-region", part, "sites").sites(&missing));
        }
    }
}
