//! Bytes that leave a region as they never did: copies that run wild, calls across regions in the path of a request, and
//! what they cost.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric};
use super::{Tells, detection::Detection};
use crate::names;
use crate::root::Root;
use crate::services::data::aurora;
use crate::services::id;
use crate::sheet::{Sheet, regional};

/// How unusual, in standard deviations: three are left by one value in four hundred, and here three of them in a row.
const DEVIATIONS: u8 = 3;
/// A bill is no emergency: a quarter of an hour at least.
const SLOWLY: Detection = Detection { period: 300, evaluations: 3 };

/// What a component sends to other regions by itself.
pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let metric = match part.kind.name.as_str() {
        "aws.aurora-global" if !sheet.peers(part, site).is_empty() => cluster(sheet, part, site),
        "aws.transit-gateway" if sheet.renders(part) => hub(sheet, part, site),
        _ => return Vec::new(),
    };
    let says = format!("{} sends more from {} to other regions than it ever does.", part.id, site.id);
    let look = Look::Unusual(metric, DEVIATIONS);
    vec![Alarm::new(sheet, part, Some(site), "transfer", SLOWLY, look).tells(Tells::Only, says)]
}

/// What the network of the region hands to its hub, which leads to the other regions and nowhere else.
fn hub(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Metric {
    let [gateway, attachment] =
        ["gateway", "attachment"].map(|what| sheet.target(&regional(site), id(part, what)).get());
    let dimensions = vec![("TransitGateway", gateway), ("TransitGatewayAttachment", attachment)];
    Metric::new("AWS/TransitGateway", "BytesIn", "Sum", dimensions)
}

fn cluster(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Metric {
    let dimensions = vec![("DBClusterIdentifier", aurora::identifier(sheet, part, site).into())];
    Metric::new("AWS/RDS", "AuroraGlobalDBDataTransferBytes", "Sum", dimensions)
}

/// What leaves the network of a region, zone by zone.
pub fn network(sheet: &mut Sheet<'_>, site: &Site) {
    let root = regional(site);
    let ways: Vec<String> = ways_out(sheet, &root);
    for way in ways {
        let dimensions = vec![("NatGatewayId", sheet.target(&root, way.as_str()).get())];
        let metric = Metric::new("AWS/NATGateway", "BytesOutToDestination", "Sum", dimensions);
        let mut alarm = Alarm::of_workload(sheet, site, &way, SLOWLY, Look::Unusual(metric, DEVIATIONS));
        alarm.id = names::logical([way.as_str(), "transfer alarm"]);
        let says = format!("More leaves the network of {} by {way} than it ever does.", site.id);
        alarm.tells(Tells::Only, says).write(sheet, &root);
    }
}

fn ways_out(sheet: &Sheet<'_>, root: &Root) -> Vec<String> {
    let resources = sheet.stacks.get(root).map(|stack| stack.resources.as_slice()).unwrap_or_default();
    resources
        .iter()
        .filter(|resource| resource.kind == "AWS::EC2::NatGateway")
        .map(|resource| resource.id.to_string())
        .collect()
}
