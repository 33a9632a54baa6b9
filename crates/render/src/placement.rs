//! Which nested stack each resource was put into when it was rendered before.
//!
//! A resource that moves from one stack to another is deleted by the one and made by the other: for what keeps data, or
//! has a name of its own, that is an outage. So what has a place keeps it, however a workload grows, and only what is new
//! is given one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::link::Linked;
use crate::root::Root;

/// By root stack, by template, the names of its resources.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Placement(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Placement {
    pub fn of(stacks: &[Linked]) -> Placement {
        let ids = |resources: &[crate::resource::Resource]| resources.iter().map(|r| r.id.clone()).collect();
        let templates = |stack: &Linked| {
            let nested = stack.templates.len() > 1;
            let own = stack.templates.iter().filter(|template| !nested || template.name != "master");
            own.map(|template| (template.name.clone(), ids(&template.resources))).collect()
        };
        Placement(stacks.iter().map(|stack| (stack.root.to_string(), templates(stack))).collect())
    }
    /// The template of each resource of a root.
    pub(crate) fn within(&self, root: &Root) -> BTreeMap<&str, &str> {
        let templates = self.0.get(root.name()).into_iter().flatten();
        templates.flat_map(|(name, ids)| ids.iter().map(move |id| (id.as_str(), name.as_str()))).collect()
    }
}
