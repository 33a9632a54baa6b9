//! What can only be made when another region stands: a rule that copies to its bucket, a replica of its database.
//!
//! Two regions that each copy to the other have no order in which either could be first. So a component is deployed in
//! every region by itself, and then once more with its parameter `…OtherRegions` at `stand`, which adds what joins them.
//! `deploy.sh` sees when that can be done. Later deployments keep the value; a region that is built anew begins with
//! `awaited` again, and so needs nobody.
//!
//! Components that came together share one parameter, `OtherRegions1` and so on: whether they stand is one fact, because a
//! deployment brings all of them or none. One for all that ever come would say of a bucket that is added later that it
//! stands in a region that does not have it yet, and S3 refuses to copy there. See [`Waves`](crate::placement::Waves).

use model::design::Site;
use model::{Part, SiteId};

use crate::names;
use crate::resource::{Condition, Given, Parameter};
use crate::root::Root;
use crate::sheet::{Sheet, parameter, regional};

/// That a component stands in the other regions.
pub fn stand(sheet: &mut Sheet<'_>, root: &Root, part: &Part) -> Condition {
    let wave = sheet.waves.of(&sheet.before, &part.id);
    of_wave(sheet, root, part, wave)
}

/// That a component stands in one other region, to which it may have come later than to the rest: what joins those that were
/// there stays, and what leads to the new one, or from it, waits.
pub fn joined(sheet: &mut Sheet<'_>, site: &Site, part: &Part, other: &Site) -> Condition {
    let mut came = |site: &Site| sheet.waves.of_region(&sheet.before, &site.id, &part.id);
    let wave = came(site).max(came(other));
    of_wave(sheet, &regional(site), part, wave)
}

fn of_wave(sheet: &mut Sheet<'_>, root: &Root, part: &Part, wave: Option<u32>) -> Condition {
    // `deploy.sh` knows these parameters by their end.
    let (name, what) = match wave {
        Some(wave) => (format!("OtherRegions{wave}"), format!("what came with wave {wave}")),
        None => (names::logical([part.id.as_str(), "other regions"]), part.id.to_string()),
    };
    let about = format!("Whether {what} stands in the other regions too: `stand` at a second deployment.");
    let asked = parameter(&name, "String", &about, Given::AtFirst("awaited".to_owned()));
    let state = sheet.parameter(root, Parameter { allowed: vec!["awaited".to_owned(), "stand".to_owned()], ..asked });
    Condition::equal(format!("{name}Stand"), state, "stand")
}

/// Where the one resource stands that AWS wants in a single region, although it serves all: where it was before, else the
/// first region of the file. It says nothing of who is primary, and moves with nobody's role.
pub fn home<'d>(sheet: &Sheet<'d>, part: &Part) -> Option<&'d Site> {
    let sites = sheet.sites(part);
    let known = sheet.homes_before.get(&part.id);
    let known = sites.iter().find(|site| Some(&site.id) == known);
    known.or(sites.first()).copied()
}

/// The same for what cannot go elsewhere: `what` it is, and how it is `moved` by hand before the spec may leave its region.
pub fn settled<'d>(sheet: &mut Sheet<'d>, part: &Part, what: &str, moved: &str) -> Option<&'d Site> {
    let home = home(sheet, part)?;
    let gone = sheet.homes_before.get(&part.id).filter(|before| **before != home.id).cloned();
    if let Some(before) = gone {
        let path = format!("components.{}", part.id);
        let says = format!("{what} of `{}` is in {before}, where the component is no more", part.id);
        let hint = format!(
            "leave {before} among its regions; or first {moved}, and name {} as its home in .antipode-render.json",
            home.id
        );
        if !sheet.problems.iter().any(|problem| problem.says == says) {
            sheet.problem(&path, says, hint);
        }
    }
    sheet.homes.insert(part.id.clone(), home.id.clone());
    Some(home)
}

/// Who has the data at first: only ever the default of a parameter that recoveries change.
pub fn first_writer(sheet: &Sheet<'_>, part: &Part) -> Option<SiteId> {
    let sites = sheet.sites(part);
    let preferred = sheet.design.preferred().filter(|site| sites.iter().any(|other| other.id == site.id));
    preferred.or_else(|| sites.first().copied()).map(|site| site.id.clone())
}
