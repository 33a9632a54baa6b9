//! The engine's recoveries in the words of the renderer, which does not know the engine.

use engine::assess::{self, Verdict};
use model::Design;
use render::runbook::{Call, Recovery, Standing};

/// One for each region that may be lost and each other that may be gone to.
pub fn of(design: &Design) -> Vec<Recovery> {
    let regions: Vec<_> = design.regions().map(|site| site.id.clone()).collect();
    let pairs = regions.iter().flat_map(|from| regions.iter().map(move |to| (from, to)));
    let each = pairs.filter(|(from, to)| from != to).map(|(from, to)| Recovery {
        from: from.clone(),
        to: to.clone(),
        calls: assess::recovery(design, from, to).into_iter().map(call).collect(),
    });
    each.collect()
}

fn call(call: assess::Call) -> Call {
    let standing = match call.verdict {
        Verdict::Fine | Verdict::Avoidable => Standing::Holds,
        Verdict::BestEffort => Standing::BestEffort,
        Verdict::GlobalControlPlane | Verdict::LostRegion => Standing::Refused,
    };
    let instead = call.instead.map(str::to_owned);
    Call {
        component: call.component,
        act: call.act,
        call: call.call,
        plane: call.plane,
        region: call.region,
        standing,
        instead,
    }
}
