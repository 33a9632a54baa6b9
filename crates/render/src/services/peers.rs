//! What can only be made when another region stands: a rule that copies to its bucket, a replica of its database.
//!
//! Two regions that each copy to the other have no order in which either could be first. So every region is deployed once
//! by itself, and then once more with `OtherRegions=stand`, which adds what joins it to the others. The value is kept by
//! later deployments; a region that is built anew begins with `awaited` again, and so needs nobody.

use model::design::Site;
use model::{Part, SiteId};

use crate::resource::{Condition, Given, Parameter};
use crate::root::Root;
use crate::sheet::{Sheet, parameter};

/// The parameter that says so.
pub const PARAMETER: &str = "OtherRegions";

/// That the other regions stand.
pub fn stand(sheet: &mut Sheet<'_>, root: &Root) -> Condition {
    let about = "Whether the other regions stand: what joins this one to them is made at the second deployment.";
    let asked = parameter(PARAMETER, "String", about, Given::AtFirst("awaited".to_owned()));
    let state = sheet.parameter(root, Parameter { allowed: vec!["awaited".to_owned(), "stand".to_owned()], ..asked });
    Condition::equal("OtherRegionsStand", state, "stand")
}

/// Where the one resource stands that AWS wants in a single region, although it serves all: the first region of the file.
/// It says nothing of who is primary, and moves with nobody's role.
pub fn home<'d>(sheet: &Sheet<'d>, part: &Part) -> Option<&'d Site> {
    sheet.sites(part).first().copied()
}

/// Who has the data at first: only ever the default of a parameter that recoveries change.
pub fn first_writer(sheet: &Sheet<'_>, part: &Part) -> Option<SiteId> {
    let sites = sheet.sites(part);
    let preferred = sheet.design.preferred().filter(|site| sites.iter().any(|other| other.id == site.id));
    preferred.or_else(|| sites.first().copied()).map(|site| site.id.clone())
}
