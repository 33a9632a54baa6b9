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
use crate::names;
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
    /// With which others a component came, by number; see [`Waves`].
    #[serde(default, rename = "waves of components", skip_serializing_if = "BTreeMap::is_empty")]
    waves: BTreeMap<String, u32>,
    /// The same of each region: what came to one later is of a later wave there.
    #[serde(default, rename = "waves of regions", skip_serializing_if = "BTreeMap::is_empty")]
    regional_waves: BTreeMap<String, BTreeMap<String, u32>>,
    /// The last that there was, though all that came with it may have gone: a stack that was not deployed since has its
    /// parameters still.
    #[serde(default, rename = "waves so far", skip_serializing_if = "nothing")]
    last_wave: u32,
    /// By root stack, by template, the names of its resources.
    #[serde(flatten)]
    templates: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Placement {
    pub fn of(sheet: &Sheet<'_>, stacks: &[Linked], before: &Placement) -> Placement {
        let ids = |resources: &[crate::resource::Resource]| resources.iter().map(|r| r.id.to_string()).collect();
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
            waves: sheet.waves.components.clone(),
            regional_waves: sheet.waves.regions.clone(),
            last_wave: sheet.waves.last(before),
            templates: stacks.iter().map(|stack| (stack.root.to_string(), templates(stack))).collect(),
        }
    }
    /// The template of each resource of a root.
    pub(crate) fn within(&self, root: &Root) -> BTreeMap<&str, &str> {
        let templates = self.templates.get(root.name()).into_iter().flatten();
        templates.flat_map(|(name, ids)| ids.iter().map(move |id| (id.as_str(), name.as_str()))).collect()
    }
    /// Whether a region, or with none any stack, has a resource whose name begins so.
    fn has(&self, region: Option<&SiteId>, begins: &str) -> bool {
        let of = |(root, _): &(&String, _)| region.is_none_or(|region| region.as_str() == root.as_str());
        let templates = self.templates.iter().filter(of).flat_map(|(_, templates)| templates.values());
        templates.flatten().any(|id| id.starts_with(begins))
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

/// Which components came together: a *wave* is what one rendering adds to all that were before.
///
/// What a deployment changes once for a component (that it stands in the other regions, that it has begun) would be a
/// parameter for each, of which a stack has 200. Components that came together stand and begin together, because a
/// deployment brings them together: one parameter is enough for a wave. One for all components is not: what is added later
/// would be told at once that it stands where it does not, or that it has begun when it has not. What was rendered before
/// there were waves keeps the parameter that it has, whose value CloudFormation keeps.
#[derive(Clone, Debug, Default)]
pub struct Waves {
    components: BTreeMap<String, u32>,
    regions: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Waves {
    /// The wave of a component over all regions; `None` when it has parameters of its own.
    pub fn of(&mut self, before: &Placement, part: &ComponentId) -> Option<u32> {
        let known = before.waves.get(part.as_str()).copied();
        let old = known.is_none() && before.has(None, &names::logical([part.as_str()]));
        let wave = known.or((!old).then_some(before.last_wave + 1))?;
        self.components.insert(part.to_string(), wave);
        Some(wave)
    }
    /// The same in one region, where it may have come later; `id` is the name of its resource there.
    pub fn within(&mut self, before: &Placement, region: &SiteId, (part, id): (&ComponentId, &str)) -> Option<u32> {
        let known = before.regional_waves.get(region.as_str()).and_then(|of| of.get(part.as_str())).copied();
        let old = known.is_none() && before.has(Some(region), id);
        let wave = known.or((!old).then_some(before.last_wave + 1))?;
        self.regions.entry(region.to_string()).or_default().insert(part.to_string(), wave);
        Some(wave)
    }
    /// In which wave a component that the regions know of one another came to one of them: with all of it, or later. What was
    /// rendered before this was kept came with all of it to every region that there was.
    pub fn of_region(&mut self, before: &Placement, region: &SiteId, part: &ComponentId) -> Option<u32> {
        let whole = self.of(before, part);
        let recorded = |of: &BTreeMap<String, u32>| of.get(part.as_str()).copied();
        let known = before.regional_waves.get(region.as_str()).and_then(recorded);
        let new = !before.waves.contains_key(part.as_str()) && whole.is_some();
        let kept = whole.is_some() && before.regional_waves.values().any(|of| recorded(of).is_some());
        let there = before.regions.iter().any(|known| known == region.as_str());
        let wave = known.or(match new || !kept && there {
            true => whole,
            false => Some(before.last_wave + 1),
        })?;
        self.regions.entry(region.to_string()).or_default().insert(part.to_string(), wave);
        Some(wave)
    }
    /// The number of the last there ever was.
    fn last(&self, before: &Placement) -> u32 {
        let now = self.components.values().chain(self.regions.values().flat_map(BTreeMap::values));
        now.copied().max().unwrap_or_default().max(before.last_wave)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde asks it.
fn nothing(number: &u32) -> bool {
    *number == 0
}
