//! What may be where (seed 003 section 18): a design that recovers into a region that is not approved is not valid.

use model::SiteId;

use super::Rule;
use crate::assess::finding::{Found, listed};
use crate::assess::view::View;

pub const RULES: &[Rule] = &[regions, copies, keys, routing, undefined];

fn regions(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.stores() {
        let Some(class) = view.class(part) else { continue };
        let Some(approved) = view.approved(class) else { continue };
        let missing: Vec<SiteId> = part.sites.iter().filter(|site| !approved.contains(site)).cloned().collect();
        if !missing.is_empty() {
            let key = if part.answered("holds") { "holds" } else { "sites" };
            let found = Found::about("recovery-region-not-approved", part, key).sites(&missing);
            out.push(found.with("class", class).with("approved", listed(approved)));
        }
    }
}

fn copies(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("backup") {
        let Some(class) = view.class(part) else { continue };
        let Some(approved) = view.approved(class) else { continue };
        let copies = part.sites("backup.sites").unwrap_or_default();
        let missing: Vec<SiteId> = copies.into_iter().filter(|site| !approved.contains(site)).collect();
        if !missing.is_empty() {
            let found = Found::about("copies-outside-boundary", part, "backup.sites").sites(&missing);
            out.push(found.with("class", class).with("approved", listed(approved)));
        }
    }
}

fn keys(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(class) = view.design.objectives.data_class.as_deref() else { return };
    let Some(approved) = view.approved(class) else { return };
    for part in view.with("keys") {
        let missing: Vec<SiteId> = part.sites.iter().filter(|site| !approved.contains(site)).cloned().collect();
        if !missing.is_empty() {
            let found = Found::about("key-outside-residency", part, "sites").sites(&missing);
            out.push(found.with("class", class).with("approved", listed(approved)));
        }
    }
}

/// Policies that take the nearest, or any, region whoever the user is.
const BLIND: [&str; 4] = ["latency", "weighted", "multivalue", "geoproximity"];

fn routing(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(class) = view.design.objectives.data_class.as_deref() else { return };
    let Some(approved) = view.approved(class) else { return };
    let missing: Vec<SiteId> =
        view.serving.iter().map(|site| &site.id).filter(|site| !approved.contains(site)).cloned().collect();
    for part in view.routers() {
        let Some(policy) = part.word("policy").filter(|policy| BLIND.contains(policy)) else { continue };
        if !missing.is_empty() {
            let found =
                Found::about("routing-ignores-residency", part, "policy").sites(&missing).with("policy", policy);
            out.push(found.with("class", class).with("approved", listed(approved)));
        }
    }
}

fn undefined(view: &View<'_>, out: &mut Vec<Found>) {
    let class = view.design.objectives.data_class.as_deref();
    let holds = view.stores().any(|part| part.answered("holds"));
    let what = match class {
        // Data of one region goes nowhere.
        None if !holds && view.stores().next().is_some() && view.several_regions() => {
            "no class of data is named".to_owned()
        }
        Some(class) if view.approved(class).is_none() => format!("nothing says where `{class}` data may be"),
        _ => return,
    };
    out.push(Found::new("residency-undefined", "residency").with("what", what).unsaid());
}
