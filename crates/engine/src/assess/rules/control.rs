//! Identity, secrets, keys and names: what a region must have before anything in it can work (seed 003 section 12).

use model::value::Value;
use model::{Part, SiteId};

use super::Rule;
use crate::assess::finding::{Found, listed};
use crate::assess::view::{self, View};

pub const RULES: &[Rule] = &[secrets, keys, vault_keys, identity, hard_coded, controller, witness, accounts];

fn secrets(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("secret").filter(|_| view.several_regions()) {
        let missing =
            if part.bool("replicated") == Some(false) { not_preferred(view) } else { view.missing(&part.sites) };
        if !missing.is_empty() {
            let key = if part.answered("replicated") { "replicated" } else { "sites" };
            out.push(Found::about("secret-missing-in-region", part, key).sites(&missing));
        }
    }
}

fn not_preferred(view: &View<'_>) -> Vec<SiteId> {
    view.design.others().map(|site| site.id.clone()).collect()
}

fn keys(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("keys").filter(|_| view.several_regions()) {
        let missing = view.missing(&part.sites);
        if !missing.is_empty() {
            out.push(Found::about("key-missing-in-region", part, "sites").sites(&missing));
        }
    }
}

/// A backup is copied to a region where its key is not.
fn vault_keys(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("backup") {
        let Some(key) = part.component("backup.key").and_then(|id| view.part(&id)) else { continue };
        let copies = part.sites("backup.sites").unwrap_or_default();
        let missing: Vec<SiteId> = copies.into_iter().filter(|site| !key.sites.contains(site)).collect();
        if !missing.is_empty() {
            out.push(
                Found::about("vault-key-unavailable", part, "backup.key").sites(&missing).with("keys", key.id.as_str()),
            );
        }
    }
}

/// What has to be the same in every region (seed 003 section 12.1), in words.
const SAME: [(&str, &str); 8] = [
    ("identity.guardrails", "the guardrails"),
    ("identity.roles", "the workload's roles"),
    ("identity.trust", "the trust policies"),
    ("identity.boundaries", "the permission boundaries"),
    ("identity.break_glass", "the break-glass path"),
    ("identity.ci_role", "the deployment role"),
    ("identity.audit", "the audit baseline"),
    ("identity.assumptions", "the written assumptions"),
];

fn identity(view: &View<'_>, out: &mut Vec<Found>) {
    if !view.several_regions() {
        return;
    }
    for part in view.with("identity") {
        let differ: Vec<&str> =
            SAME.iter().filter(|(key, _)| part.bool(key) == Some(false)).map(|(_, words)| *words).collect();
        let open: Vec<&str> = SAME.iter().filter(|(key, _)| !part.answered(key)).map(|(_, words)| *words).collect();
        if !differ.is_empty() {
            out.push(Found::about("identity-differs", part, "identity").with("differs", listed(&differ)));
        }
        if !open.is_empty() {
            let says = format!("whether {} are the same in every region: ", listed(&open));
            out.push(Found::about("identity-unsaid", part, "identity").with("missing", says).unsaid());
        }
    }
    let cloud = view.parts().any(|part| part.kind.name.starts_with("aws."));
    if cloud && view.with("identity").next().is_none() {
        let missing = "whether roles and policies are the same in every region: ";
        out.push(Found::new("identity-unsaid", "components").with("missing", missing).unsaid());
    }
}

/// Texts that hold in every site, and name one region of them.
fn hard_coded(view: &View<'_>, out: &mut Vec<Found>) {
    let names: Vec<(&SiteId, &str)> =
        view.regions.iter().filter_map(|site| Some((&site.id, view::aws_region(site)?))).collect();
    if names.is_empty() || !view.several_regions() {
        return;
    }
    for part in view.parts().filter(|part| part.sites.len() > 1) {
        for (key, value) in part.values.iter().filter(|(key, _)| !names_places(part, key)) {
            let hit = names.iter().find(|(_, region)| texts(value).iter().any(|text| text.contains(region)));
            if let Some((site, _)) = hit {
                let found = Found::about("hard-coded-region", part, key).sites(&part.sites);
                out.push(found.with("site", site.as_str()).with("key", key));
            }
        }
    }
}

/// Keys whose very meaning is a place.
fn names_places(part: &Part, key: &str) -> bool {
    use model::catalogue::Type::{Component, Components, Site, Sites};
    part.kind.key(key).is_none_or(|key| matches!(key.ty, Site | Sites | Component | Components))
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Text(text) => vec![text],
        Value::List(items) => items.iter().flat_map(texts).collect(),
        Value::Map(map) => map.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn controller(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(site) = view.design.controller.as_ref().filter(|_| view.several_regions()) else { return };
    if !view.active_active() && view.serving.iter().any(|serving| serving.id == *site) {
        let found = Found::new("controller-in-serving-region", "controller.site").site(site);
        out.push(found.with("site", site.as_str()));
    }
}

fn witness(view: &View<'_>, out: &mut Vec<Found>) {
    let automatic = view.design.says("failover") && view.design.failover == model::topology::FailoverMode::Automatic;
    // A controller that runs in neither region looks at both from outside.
    let outside =
        view.design.controller.as_ref().is_some_and(|site| view.regions.iter().all(|region| region.id != *site));
    if automatic && view.regions.len() == 2 && view.design.witnesses().next().is_none() && !outside {
        out.push(Found::new("witness-missing", "sites"));
    }
}

fn accounts(view: &View<'_>, out: &mut Vec<Found>) {
    let cloud = view.parts().any(|part| part.kind.name.starts_with("aws."));
    let named = view.design.aws.as_ref().is_some_and(|aws| aws.account.is_some());
    if cloud && !named && view.several_regions() && view.regions.iter().all(|site| site.account.is_none()) {
        out.push(Found::new("accounts-undefined", "aws"));
    }
}
