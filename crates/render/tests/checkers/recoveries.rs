//! Recoveries that do whatever can be done.

use antipode_render::runbook::{Call, Recovery, Standing};
use model::catalogue::{ActName, Home};
use model::design::Site;
use model::{Design, Part};

const ACTS: [ActName; 7] = [
    ActName::Fence,
    ActName::Promote,
    ActName::Restore,
    ActName::Deploy,
    ActName::Start,
    ActName::Scale,
    ActName::Shift,
];

/// A recovery between each two regions that does to each component whatever can be done to it: more than an engine would.
pub fn recoveries(design: &Design) -> Vec<Recovery> {
    let regions: Vec<&Site> = design.regions().collect();
    let pairs = regions.iter().flat_map(|from| regions.iter().map(move |to| (*from, *to)));
    let each = pairs.filter(|(from, to)| from.id != to.id).map(|(from, to)| {
        let calls = ACTS.iter().flat_map(|act| design.components.iter().filter_map(|part| call(part, *act, from, to)));
        Recovery { from: from.id.clone(), to: to.id.clone(), calls: calls.collect() }
    });
    each.collect()
}

fn call(part: &Part, name: ActName, from: &Site, to: &Site) -> Option<Call> {
    let act = part.act(name)?;
    let (region, standing) = match &act.home {
        Home::Target => (Some(to.id.to_string()), Standing::Holds),
        Home::Source => (Some(from.id.to_string()), Standing::BestEffort),
        Home::Everywhere => (None, Standing::Holds),
        Home::Region(region) => (Some(region.clone()), Standing::Refused),
    };
    Some(Call {
        component: part.id.clone(),
        act: name,
        call: act.call.clone(),
        plane: act.plane,
        region,
        standing,
        instead: None,
    })
}
