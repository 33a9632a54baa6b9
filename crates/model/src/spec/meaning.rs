//! From a file without errors to the design that it means: what is written, and what holds when nothing is.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::file::{self, File};
use super::lower;
use super::quantity;
use super::tree::{Node, Value as Written};
use crate::catalogue::{Key, Kind, Scope, Type, catalogue};
use crate::design::{Aws, Design, Losses, Objectives, Part, Places, Site};
use crate::value::{Value, Values};
use crate::{ComponentId, SiteId, Usd};

/// `json` is the fitted file, of which `file` is the part that has types.
pub(super) fn design(json: &Json, file: &File, tree: &Node) -> Design {
    let regions: Vec<SiteId> =
        file.sites.iter().filter(|(_, s)| !s.witness).map(|(name, _)| SiteId::new(name)).collect();
    let components = json["components"].as_object().into_iter().flatten();
    Design {
        workload: file.workload.clone(),
        artifact: file.artifact.clone(),
        objectives: objectives(&file.objectives),
        losses: Losses {
            downtime: file.losses.downtime.map(|loss| loss.0),
            data: file.losses.data.map(|loss| loss.0),
            inconsistency: file.losses.inconsistency.map(|dollars| Usd(dollars.0)),
        },
        residency: lower::residency(file),
        approvals: file.approvals.as_ref().map(lower::approvals),
        strategy: file.strategy,
        failover: file.failover,
        controller: file.controller.as_ref().map(|controller| SiteId::new(&controller.site)),
        aws: file.aws.as_ref().map(|aws| Aws {
            manage: aws.manage,
            role: aws.role.clone(),
            account: aws.account.clone(),
        }),
        sites: file.sites.iter().map(|(name, site)| self::site(name, site)).collect(),
        timing: super::profile::timing(&file.timing),
        components: components.map(|(name, json)| part(name, json, file, &regions)).collect(),
        practice: values(&json["practice"], catalogue().practice_keys(), &BTreeMap::new()),
        drills: lower::drills(file),
        places: places(tree),
    }
}

fn objectives(file: &file::Objectives) -> Objectives {
    Objectives {
        rto: file.rto.map(|l| l.0),
        rpo: file.rpo.map(|l| l.0),
        availability: file.availability.map(|p| p.0),
        added_latency: file.added_latency.map(|l| l.0),
        latency: file.latency.map(|l| l.0),
        data_class: file.data_class.clone(),
        budget: file.budget.map(|m| Usd(m.0)),
        workflows: file.workflows.clone(),
        survives: file.survives,
        users: file.users,
        writes: file.writes,
        conflicts: file.conflicts,
    }
}

fn site(name: &str, site: &file::Site) -> Site {
    Site {
        id: SiteId::new(name),
        witness: site.witness,
        zones: site.zones.clone().unwrap_or_default(),
        preferred: site.preferred.unwrap_or(false),
        capacity: site.capacity.map(|p| p.0),
        traffic_weight: site.traffic_weight,
        geo: site.geo.clone().unwrap_or_default(),
        latency: site.latency.iter().flatten().map(|(network, l)| (network.clone(), l.0)).collect(),
        bias: site.bias,
        region: site.region.clone(),
        account: site.account.clone(),
        quotas: site.quotas.clone().unwrap_or_default(),
        network: site.network,
        deployed: site.deployed,
    }
}

fn part(name: &str, json: &Json, file: &File, regions: &[SiteId]) -> Part {
    let kind = kind_of(json).expect("a fitted component has a known kind");
    let mut values = values(json, kind.keys.values(), &kind.defaults);
    if kind.name == "postgres" {
        values.default_to("replication", || {
            let word = serde_json::to_value(lower::replication(None, file.objectives.rpo()));
            Value::Text(word.ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default())
        });
    }
    let everywhere = || if kind.scope == Scope::Global { Vec::new() } else { regions.to_vec() };
    let sites = values
        .sites("sites")
        .map_or_else(everywhere, |named| regions.iter().filter(|region| named.contains(region)).cloned().collect());
    let needs = values.components("needs").unwrap_or_default();
    Part { id: ComponentId::new(name), kind, needs, sites, values }
}

pub(super) fn kind_of(component: &Json) -> Option<&'static Kind> {
    catalogue().kind(component["kind"].as_str()?)
}

/// What `json` says under these keys, and what holds where it says nothing. A key's default in a group, such as `backup`,
/// holds only where the group is written; what a kind says of all its components holds always.
fn values<'k>(json: &Json, keys: impl Iterator<Item = &'k Key> + Clone, defaults: &BTreeMap<String, Json>) -> Values {
    let mut values = Values::default();
    for key in keys.clone() {
        if let Some(value) = written(json, &key.name).and_then(|json| value(key, json)) {
            values.set(&key.name, value);
        }
    }
    for key in keys {
        let group_is_written = key.name.split_once('.').is_none_or(|(group, _)| json.get(group).is_some());
        let default = defaults.get(&key.name).or(key.default.as_ref().filter(|_| group_is_written));
        if let Some(value) = default.and_then(|json| value(key, json)) {
            values.default_to(&key.name, || value);
        }
    }
    values
}

/// What stands under a key, or under a group and a key.
pub(super) fn written<'j>(json: &'j Json, key: &str) -> Option<&'j Json> {
    match key.split_once('.') {
        Some((group, key)) => json.get(group)?.get(key),
        None => json.get(key),
    }
}

/// A fitted value; `None` only when it does not fit.
pub(crate) fn value(key: &Key, json: &Json) -> Option<Value> {
    match json {
        Json::Object(sites) if key.per_site => {
            let each = sites.iter().map(|(site, json)| Some((SiteId::new(site), single(key.ty, json)?)));
            each.collect::<Option<_>>().map(Value::PerSite)
        }
        _ => single(key.ty, json),
    }
}

fn single(ty: Type, json: &Json) -> Option<Value> {
    match ty {
        Type::Count => json.as_u64().map(Value::Count),
        Type::Bool => json.as_bool().map(Value::Bool),
        Type::Word | Type::Text | Type::Site | Type::Component => {
            json.as_str().map(|text| Value::Text(text.to_owned()))
        }
        Type::Words | Type::Texts | Type::Sites | Type::Components | Type::Map => free(json),
        _ => quantity::value(ty.quantity()?, json.as_str()?).ok(),
    }
}

/// A list or a mapping, as it stands.
fn free(json: &Json) -> Option<Value> {
    match json {
        Json::Array(items) => items.iter().map(free).collect::<Option<_>>().map(Value::List),
        Json::Object(map) => {
            let entries = map.iter().map(|(name, json)| Some((name.clone(), free(json)?)));
            entries.collect::<Option<_>>().map(Value::Map)
        }
        Json::String(text) => Some(Value::Text(text.clone())),
        Json::Bool(yes) => Some(Value::Bool(*yes)),
        Json::Number(number) => number.as_u64().map(Value::Count),
        Json::Null => None,
    }
}

fn places(tree: &Node) -> Places {
    let mut places = BTreeMap::new();
    below("", tree, &mut places);
    Places(places)
}

fn below(path: &str, node: &Node, places: &mut BTreeMap<String, usize>) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match &node.value {
        Written::Map(entries) => {
            for entry in entries {
                let path = join(&entry.key);
                below(&path, &entry.node, places);
                places.insert(path, entry.key_span.line);
            }
        }
        Written::List(items) => {
            for (i, item) in items.iter().enumerate() {
                let path = join(&i.to_string());
                below(&path, item, places);
                places.insert(path, item.span.line);
            }
        }
        Written::Null | Written::Scalar(_) => {}
    }
}
