//! Which regions there are, what each of them lacks, and what cannot be changed without being made anew.
//!
//! Data, written by `bin/region-support` from the schemas that cfn-lint carries; a test compares the two.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::root::Root;
use crate::sheet::Sheet;

#[derive(Debug, Deserialize)]
struct Known {
    regions: Vec<String>,
    types: Vec<String>,
    lacks: BTreeMap<String, Vec<String>>,
    create_only: BTreeMap<String, Vec<String>>,
    permissions: BTreeMap<String, Vec<String>>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/regions.json")).expect("data/regions.json is read by a test")
});

/// Whether AWS has a region of that name, in its usual partition.
pub fn is_region(name: &str) -> bool {
    KNOWN.regions.iter().any(|region| region == name)
}

/// Whether a region has a type of resources.
pub fn has(region: &str, kind: &str) -> bool {
    !KNOWN.lacks.get(kind).is_some_and(|lacking| lacking.iter().any(|name| name == region))
}

/// Whether a change of this property makes another resource in place of the old one.
pub fn replaces(kind: &str, property: &str) -> bool {
    KNOWN.create_only.get(kind).is_some_and(|only| only.iter().any(|name| name == property))
}

/// The calls that CloudFormation makes in order to make, change, read and delete one.
pub fn permissions(kind: &str) -> &'static [String] {
    KNOWN.permissions.get(kind).map_or(&[], Vec::as_slice)
}

/// What reads only names and settings is allowed for the whole of its service: policies have a longest length.
pub fn wide(action: &str) -> String {
    match action.split_once(':') {
        Some((service, name)) if name.starts_with("Describe") => format!("{service}:Describe*"),
        Some((service, name)) if name.starts_with("List") => format!("{service}:List*"),
        _ => action.to_owned(),
    }
}

/// Whether anything is known of a type.
pub fn knows(kind: &str) -> bool {
    KNOWN.types.iter().any(|known| known == kind)
}

/// Finds what the regions of a design cannot have, before anything is written.
pub fn check(sheet: &mut Sheet<'_>) {
    let mut wrong: Vec<(String, String, String)> = Vec::new();
    for site in sheet.design.regions() {
        let region = crate::sheet::aws_region(site);
        if !is_region(region) {
            let hint = "name the region of AWS that it stands for with `region:`, or correct the name".to_owned();
            wrong.push((format!("sites.{}", site.id), format!("{region} is no region of AWS"), hint));
        }
    }
    for (root, stack) in &sheet.stacks {
        let region = sheet.region(root);
        for resource in stack.resources.iter().filter(|resource| !has(region, resource.kind)) {
            let says = format!("{region} has no {}", resource.kind);
            let hint = match root {
                Root::Region(_) => {
                    "take the component out of that region (`sites:`), adopt what does its work there (`managed: adopt`), or choose another region"
                }
                _ => "this stack has a fixed region: please report it",
            };
            wrong.push((resource.asked.path.clone(), says, hint.to_owned()));
        }
    }
    wrong.dedup();
    for (path, says, hint) in wrong {
        sheet.problem(&path, says, hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_can_be_read() {
        assert!(is_region("eu-west-1") && !is_region("mars-north-1"));
        assert!(knows("AWS::EC2::VPC") && has("eu-west-1", "AWS::EC2::VPC"));
        assert!(replaces("AWS::EC2::Route", "RouteTableId") && !replaces("AWS::EC2::VPC", "Tags"));
    }
}
