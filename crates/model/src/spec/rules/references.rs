//! Names of sites and components that stand under the keys of components and of `practice`: each must exist, and
//! nothing may need itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Rules;
use crate::catalogue::{Key, Type, catalogue};
use crate::spec::Span;
use crate::spec::meaning::{kind_of, written};
use crate::spec::problem::{Problem, suggest};

impl<'f> Rules<'f> {
    pub(super) fn references(&mut self) {
        let known = Known {
            order: self.all_components().map(|(name, _)| name).collect(),
            components: self.all_components().map(|(name, _)| name).collect(),
            regions: self.region_names(),
            sites: self.file.sites.names().collect(),
        };
        for (name, component) in self.all_components() {
            let keys = kind_of(component).into_iter().flat_map(|kind| kind.keys.values());
            self.of_one(&["components", name], component, keys, &known);
        }
        self.of_one(&["practice"], &self.json["practice"], catalogue().practice_keys(), &known);
        self.no_cycles();
    }

    fn of_one<'k>(&mut self, path: &[&str], json: &Json, keys: impl Iterator<Item = &'k Key>, known: &Known<'_>) {
        // Most keys are not written, and most that are refer to nothing.
        let refers =
            |key: &Key| key.per_site || matches!(key.ty, Type::Site | Type::Sites | Type::Component | Type::Components);
        for key in keys.filter(|key| refers(key)) {
            let Some(value) = written(json, &key.name) else { continue };
            let path: Vec<&str> = path.iter().copied().chain(key.name.split('.')).collect();
            match value {
                Json::Object(sites) if key.per_site => {
                    for (site, value) in sites {
                        let path: Vec<&str> = path.iter().copied().chain([site.as_str()]).collect();
                        if !known.regions.contains(&site.as_str()) {
                            self.unknown_site(self.key(&path), site, "region", &known.regions);
                        }
                        self.value(&path, key, value, known);
                    }
                }
                value => self.value(&path, key, value, known),
            }
        }
    }

    fn value(&mut self, path: &[&str], key: &Key, value: &Json, known: &Known<'_>) {
        match value {
            Json::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    let number = i.to_string();
                    let path: Vec<&str> = path.iter().copied().chain([number.as_str()]).collect();
                    self.name_of(&path, key, item.as_str().unwrap_or_default(), known);
                }
            }
            value => self.name_of(path, key, value.as_str().unwrap_or_default(), known),
        }
    }

    fn name_of(&mut self, path: &[&str], key: &Key, name: &str, known: &Known<'_>) {
        let span = self.at(path);
        match key.ty {
            Type::Site | Type::Sites if !known.sites.contains(&name) => {
                self.unknown_site(span, name, "site", &known.sites);
            }
            Type::Component | Type::Components if !known.components.contains(name) => {
                let (key, owner) = (key.name.as_str(), path.get(1).copied().unwrap_or_default());
                let message = match key {
                    "needs" => format!("`{owner}` needs `{name}`, which is not a component"),
                    _ => format!("`{key}` names `{name}`, which is not a component"),
                };
                let others = known.order.iter().copied().filter(|n| *n != owner);
                let hint = suggest(name, others);
                self.report(Problem::error("spec-unknown-component", span, message, "not declared").hint(hint));
            }
            _ => {}
        }
    }

    fn unknown_site(&mut self, span: Span, site: &str, what: &str, known: &[&str]) {
        let message = format!("`{site}` is not a {what} of this workload");
        let hint = suggest(site, known.iter().copied());
        self.report(Problem::error("spec-unknown-site", span, message, format!("not a {what} here")).hint(hint));
    }

    fn no_cycles(&mut self) {
        let needs = |component: &'f Json| -> Vec<&'f str> {
            component["needs"].as_array().into_iter().flatten().filter_map(Json::as_str).collect()
        };
        let graph: BTreeMap<&str, Vec<&str>> = self.all_components().map(|(name, c)| (name, needs(c))).collect();
        let order: Vec<&str> = self.all_components().map(|(name, _)| name).collect();
        let Some(cycle) = cycle(&order, &graph) else { return };
        let span = self.key(&["components", cycle[0], "needs"]);
        let message = format!("components need each other in a circle: {}", cycle.join(" → "));
        let hint = "what is needed is started and checked first: remove one of these needs";
        self.report(Problem::error("spec-needs-cycle", span, message, "part of the circle").hint(hint));
    }
}

struct Known<'f> {
    /// Components in the order of the file, as hints list them.
    order: Vec<&'f str>,
    components: BTreeSet<&'f str>,
    regions: Vec<&'f str>,
    /// The regions and the witnesses.
    sites: Vec<&'f str>,
}

/// The first circle that is met, its first name again at its end. Depth first with a stack of its own: a chain of needs
/// may be as long as the file.
fn cycle<'f>(order: &[&'f str], graph: &BTreeMap<&'f str, Vec<&'f str>>) -> Option<Vec<&'f str>> {
    // A component is safe once everything below it is.
    let mut safe: BTreeSet<&str> = BTreeSet::new();
    for start in order {
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        let mut on_path: BTreeSet<&str> = BTreeSet::from([*start]);
        while let Some((name, next)) = path.last_mut() {
            let needed = graph.get(name).and_then(|needs| needs.get(*next));
            *next += 1;
            match needed {
                None => {
                    safe.insert(name);
                    on_path.remove(name);
                    path.pop();
                }
                Some(needed) if on_path.contains(needed) => {
                    let from = path.iter().position(|(name, _)| name == needed)?;
                    return Some(path[from..].iter().map(|(name, _)| *name).chain([*needed]).collect());
                }
                Some(needed) if !safe.contains(needed) => {
                    on_path.insert(needed);
                    path.push((needed, 0));
                }
                Some(_) => {}
            }
        }
    }
    None
}
