//! How few may run. A standby keeps what its share of the peak says, which may be none, and scaling takes it down to that at
//! night; a region that took over keeps as many as one that serves. Which it is, is state: a recovery says it.

use model::Part;
use model::design::Site;

use super::asg;
use crate::resource::{Condition, Given, Parameter};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::Value;

/// The parameter of a region's stack.
pub const TOOK_OVER: &str = "TookOver";

/// The fewest of a component in a region that serves, where it is rendered and that is more than in this one when all is well.
pub fn serving(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Option<u64> {
    if !sheet.renders(part) {
        return None;
    }
    let (least, most) = asg::sizes(part, site);
    let anywhere = sheet.sites(part).into_iter().map(|site| asg::sizes(part, site).0).max()?;
    Some(anywhere.min(most)).filter(|fewest| *fewest > least)
}

/// `least`, or as many as where it serves once the region has taken over.
pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site, least: Value) -> Value {
    let Some(serving) = serving(sheet, part, site) else { return least };
    let about = "Whether this region has taken over: `yes`, and no fewer run than where it serves when all is well.";
    let asked = parameter(TOOK_OVER, "String", about, Given::AtFirst("no".to_owned()));
    let state = Parameter { allowed: vec!["no".to_owned(), "yes".to_owned()], ..asked };
    let state = sheet.parameter(&regional(site), state);
    Value::either(Condition::equal("HasTakenOver", state, "yes"), serving.to_string(), least)
}
