//! One template of what is alike in several regions: written for each of them as for its own stack, and then laid over one
//! another. A region's own name becomes `AWS::Region`; what differs in more than that depends on the region.

use std::collections::BTreeMap;

use model::Part;
use model::design::Site;

use crate::link::Template;
use crate::names;
use crate::resource::{Condition, Resource, Test};
use crate::root::Root;
use crate::services::writer;
use crate::sheet::{Sheet, aws_region};
use crate::value::{Key, Map, REGION, Value};

/// The template of `parts`, or why there is none.
pub fn template(sheet: &mut Sheet<'_>, set: &Part, parts: &[&Part]) -> Result<Template, String> {
    let mut design = sheet.design.clone();
    // Keys, buckets and rules of its own, beside those of the regions' stacks.
    design.workload = super::inner_workload(sheet, set);
    let mut inner = Sheet::new(&design, &sheet.spec);
    inner.homes_before.clone_from(&sheet.homes_before);
    for part in parts {
        if let Some(write) = writer(&part.kind.name) {
            write(&mut inner, part);
        }
    }
    let sites = sheet.sites(set);
    let mut written: Vec<(&str, Vec<Resource>)> = Vec::new();
    for site in &sites {
        let stack = inner.stacks.remove(&Root::Region(site.id.clone())).unwrap_or_default();
        stands_alone(site, &stack.resources)?;
        written.push((aws_region(site), stack.resources));
    }
    if let Some(other) = inner.stacks.keys().next() {
        return Err(format!("something of it stands in {other}"));
    }
    sheet.homes.append(&mut inner.homes);
    sheet.notes.append(&mut inner.notes);
    sheet.problems.append(&mut inner.problems);
    let mut conditions = BTreeMap::new();
    let resources = over(&written, &mut conditions);
    Ok(Template {
        name: set.id.to_string(),
        description: format!("{}, {}: the same in every region", sheet.design.workload, set.id),
        parameters: Vec::new(),
        conditions: conditions.into_iter().collect(),
        resources,
        outputs: Vec::new(),
    })
}

/// Whether a region's resources name nothing but one another.
fn stands_alone(site: &Site, resources: &[Resource]) -> Result<(), String> {
    let mut outside = None;
    for resource in resources {
        resource.visit(&mut |value| match value {
            Value::Ref(target) | Value::Attribute(target, _)
                if !resources.iter().any(|other| *other.id == *target.id) || target.root.name() != site.id.as_str() =>
            {
                outside = Some(format!("{} names {} of {}", resource.id, target.id, target.root));
            }
            Value::Parameter(_, name) => outside = Some(format!("{} is told {name} at its deployment", resource.id)),
            _ => {}
        });
    }
    outside.map_or(Ok(()), Err)
}

fn is_in(regions: &[&str]) -> Condition {
    let each = regions.iter().map(|region| Test::Equal(REGION, Value::from(*region)));
    let each: Vec<Test> = each.collect();
    let name = names::logical(std::iter::once("in").chain(regions.iter().copied()));
    match <[Test; 1]>::try_from(each) {
        Ok([one]) => Condition { name, test: one },
        Err(several) => Condition { name, test: Test::Or(several) },
    }
}

type Conditions = BTreeMap<String, Test>;

fn over(written: &[(&str, Vec<Resource>)], conditions: &mut Conditions) -> Vec<Resource> {
    let mut ids: Vec<&str> = Vec::new();
    for resource in written.iter().flat_map(|(_, resources)| resources) {
        if !ids.contains(&&*resource.id) {
            ids.push(&resource.id);
        }
    }
    let one = |id: &str, conditions: &mut Conditions| {
        let of = |(region, resources): &'_ (&'_ str, Vec<Resource>)| {
            resources
                .iter()
                .find(|resource| *resource.id == *id)
                .map(|resource| ((*region).to_owned(), resource.clone()))
        };
        let each: Vec<(String, Resource)> = written.iter().filter_map(of).collect();
        let maps: Vec<(&str, Value)> = each
            .iter()
            .map(|(region, resource)| (region.as_str(), here(&Value::Map(resource.properties.clone()), region)))
            .collect();
        let mut resource = each[0].1.clone();
        if let Value::Map(properties) = merged(&maps, conditions) {
            resource.properties = properties;
        }
        if each.len() < written.len() {
            let regions: Vec<&str> = each.iter().map(|(region, _)| region.as_str()).collect();
            let condition = is_in(&regions);
            conditions.insert(condition.name.clone(), condition.test.clone());
            resource.condition = Some(condition);
        }
        resource
    };
    ids.into_iter().map(|id| one(id, conditions)).collect()
}

/// The name of the region itself, wherever a text has it.
fn here(value: &Value, region: &str) -> Value {
    let each = |values: &[Value]| values.iter().map(|value| here(value, region)).collect::<Vec<Value>>();
    match value {
        Value::Text(text) if **text == *region => REGION,
        Value::Text(text) if text.contains(region) => Value::Concat(pieces(text, region)),
        Value::List(items) => Value::List(each(items)),
        Value::Concat(items) => {
            let flat = each(items).into_iter().flat_map(|item| match item {
                Value::Concat(inner) => inner,
                other => vec![other],
            });
            Value::Concat(flat.collect())
        }
        Value::Join(by, items) => Value::Join(by, each(items)),
        Value::Map(map) => {
            Value::Map(Map(map.0.iter().map(|(key, value)| (key.clone(), here(value, region))).collect()))
        }
        other => other.clone(),
    }
}

fn pieces(text: &str, region: &str) -> Vec<Value> {
    let mut pieces = Vec::new();
    for (n, piece) in text.split(region).enumerate() {
        if n > 0 {
            pieces.push(REGION);
        }
        if !piece.is_empty() {
            pieces.push(piece.into());
        }
    }
    pieces
}

/// The value that each region has: itself where all have the same.
fn merged(each: &[(&str, Value)], conditions: &mut Conditions) -> Value {
    let first = &each[0].1;
    if each.iter().all(|(_, value)| alike(first, value)) {
        return first.clone();
    }
    let maps = each.iter().map(|(region, value)| match value {
        Value::Map(map) => Some((*region, map)),
        _ => None,
    });
    if let (Value::Map(keys), Some(maps)) = (first, maps.collect::<Option<Vec<(&str, &Map)>>>()) {
        let names: Vec<&Key> = keys.0.iter().map(|(key, _)| key).collect();
        if maps.iter().all(|(_, map)| map.0.iter().map(|(key, _)| key).eq(names.iter().copied())) {
            let one = |n: usize, conditions: &mut Conditions| {
                let values: Vec<(&str, Value)> =
                    maps.iter().map(|(region, map)| (*region, map.0[n].1.clone())).collect();
                (names[n].clone(), merged(&values, conditions))
            };
            return Value::Map(Map((0..names.len()).map(|n| one(n, conditions)).collect()));
        }
    }
    let Some(((region, value), rest)) = each.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return first.clone();
    };
    let condition = is_in(&[region]);
    conditions.insert(condition.name.clone(), condition.test.clone());
    Value::either(condition, value.clone(), merged(rest, conditions))
}

/// Equal, but for the region that a name of another resource says.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Ref(one), Value::Ref(other)) => one.id == other.id,
        (Value::Attribute(one, what), Value::Attribute(other, which)) => one.id == other.id && what == which,
        (Value::List(one), Value::List(other)) | (Value::Concat(one), Value::Concat(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            let pairs = one.0.iter().zip(&other.0);
            one.0.len() == other.0.len() && { pairs }
                .all(|((key, one), (name, other))| key == name && alike(one, other))
        }
        (one, other) => one == other,
    }
}
