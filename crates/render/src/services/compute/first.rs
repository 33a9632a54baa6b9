//! What only a first deployment is told: how many tasks or nodes begin. CloudFormation sets a number that a template says
//! whenever it changes anything else of a service, and one that it does not say is 1 when the service is made; so there is a
//! number while a parameter is not empty, and `deploy.sh` empties that at the next deployment.
//!
//! What came to a region together begins together: `AtFirst1` is of all that the first rendering had, `AtFirst2` of what the
//! next one added. One for all would be empty already when a service is added, which would stay at one task.

use model::Part;
use model::design::Site;

use crate::resource::Condition;
use crate::services::id;
use crate::sheet::{Sheet, regional};
use crate::value::Value;

/// `count` in the first deployment of a component in a region, and nothing since. `of` is the end of its resource's name
/// there, and what is counted.
pub fn only(sheet: &mut Sheet<'_>, part: &Part, site: &Site, of: (&str, &str), count: u64) -> Value {
    let (resource, counted) = of;
    let Some(wave) = sheet.waves.within(&sheet.before, &site.id, (&part.id, &id(part, resource))) else {
        // It was rendered before, with a parameter of its own, which is kept.
        let about =
            format!("The {counted} of {} that this region begins with; empty since: as many as there are.", part.id);
        let count = sheet.state(&regional(site), &id(part, "at first"), &about, count.to_string());
        return Value::when(Condition::given(id(part, "begins"), count.clone()), count);
    };
    // `deploy.sh` knows these parameters by their end.
    let about = format!(
        "Not empty at the first deployment of wave {wave}: its tasks and nodes begin. Empty since: as many as there are."
    );
    let begins = sheet.state(&regional(site), &format!("AtFirst{wave}"), &about, "begin");
    Value::when(Condition::given(format!("Begins{wave}"), begins), count)
}
