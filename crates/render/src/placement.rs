//! Where everything was put when it was rendered before: which nested stack each resource is in, which region has what AWS
//! wants to stand once, and in which order the regions came.
//!
//! A resource that moves from one stack to another is deleted by the one and made by the other: for what keeps data, or
//! has a name of its own, that is an outage. So what has a place keeps it, however a workload grows and whatever becomes of
//! the order of its file, and only what is new is given one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::{ComponentId, Design, SiteId};
use serde::{Deserialize, Serialize};

use crate::link::Linked;
use crate::root::Root;
use crate::services::fence;
use crate::sheet::Sheet;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Placement {
    /// Every region in the order in which they came: one that has left keeps its number, and its addresses are nobody
    /// else's. No stack has a name with a space in it.
    #[serde(default, rename = "regions in order", skip_serializing_if = "Vec::is_empty")]
    regions: Vec<String>,
    /// The region that has the one resource of a component that serves all of them.
    #[serde(default, rename = "homes of components", skip_serializing_if = "BTreeMap::is_empty")]
    homes: BTreeMap<String, String>,
    /// Every database that a list ever fenced, in the order in which they came: one that has left keeps the numbers of its
    /// rules, of which a recovery may have added some.
    #[serde(default, rename = "fences in order", skip_serializing_if = "Vec::is_empty")]
    fences: Vec<String>,
    /// By root stack, by template, the names of its resources.
    #[serde(flatten)]
    templates: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Placement {
    pub fn of(sheet: &Sheet<'_>, stacks: &[Linked], before: &Placement) -> Placement {
        let ids = |resources: &[crate::resource::Resource]| resources.iter().map(|r| r.id.clone()).collect();
        let templates = |stack: &Linked| {
            let nested = stack.templates.len() > 1;
            let own = stack.templates.iter().filter(|template| !nested || template.name != "master");
            own.map(|template| (template.name.clone(), ids(&template.resources))).collect()
        };
        let stood = before.homes.iter().map(|(part, home)| (part.clone(), home.clone()));
        let stands = sheet.homes.iter().map(|(part, home)| (part.to_string(), home.to_string()));
        Placement {
            regions: sheet.ever.iter().map(ToString::to_string).collect(),
            homes: stood.chain(stands).collect(),
            fences: sheet.fenced.iter().map(ToString::to_string).collect(),
            templates: stacks.iter().map(|stack| (stack.root.to_string(), templates(stack))).collect(),
        }
    }
    /// The template of each resource of a root.
    pub(crate) fn within(&self, root: &Root) -> BTreeMap<&str, &str> {
        let templates = self.templates.get(root.name()).into_iter().flatten();
        templates.flat_map(|(name, ids)| ids.iter().map(move |id| (id.as_str(), name.as_str()))).collect()
    }
    pub(crate) fn homes(&self) -> BTreeMap<ComponentId, SiteId> {
        self.homes.iter().map(|(part, home)| (ComponentId::new(part), SiteId::new(home))).collect()
    }
    /// Every region that there ever was, those that are new last.
    pub(crate) fn ever(&self, design: &Design) -> Vec<SiteId> {
        let mut ever: Vec<SiteId> = self.regions.iter().map(SiteId::new).collect();
        for site in design.regions() {
            if !ever.contains(&site.id) {
                ever.push(site.id.clone());
            }
        }
        ever
    }
    /// Every database that a list ever fenced, those that are new last.
    pub(crate) fn fenced(&self, design: &Design) -> Vec<ComponentId> {
        let mut fenced: Vec<ComponentId> = self.fences.iter().map(ComponentId::new).collect();
        for part in design.components.iter().filter(|part| fence::by_list(part)) {
            if !fenced.contains(&part.id) {
                fenced.push(part.id.clone());
            }
        }
        fenced
    }
    /// The design with its sites in the order that they had before, those that are new last: which of them is first in the
    /// file, and so asks the others for a link or has what stands once, is not changed by writing them in another order.
    pub(crate) fn in_order<'d>(&self, design: &'d Design) -> Cow<'d, Design> {
        let place = |id: &SiteId| self.regions.iter().position(|known| known == id.as_str()).unwrap_or(usize::MAX);
        if design.sites.is_sorted_by_key(|site| place(&site.id)) {
            return Cow::Borrowed(design);
        }
        let mut design = design.clone();
        design.sites.sort_by_key(|site| place(&site.id));
        Cow::Owned(design)
    }
}
