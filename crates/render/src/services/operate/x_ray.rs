//! Traces: what is looked at, and how much of it, alike in each region. Traces stay in their region.

use model::Part;

use crate::resource::Resource;
use crate::root::Group;
use crate::sheet::{Sheet, regional};
use crate::{map, names};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let id = |what: &str| names::logical([part.id.as_str(), what]);
    for site in sheet.sites(part) {
        let (root, asked) = (regional(site), sheet.asked(part));
        let name = sheet.named([part.id.as_str()], 32);
        let group = map! {
            "GroupName" => name.clone(), "FilterExpression" => "error = true OR fault = true OR responsetime > 1",
            "InsightsConfiguration" => map! { "InsightsEnabled" => true, "NotificationsEnabled" => true },
            "Tags" => sheet.tags(Some(part)),
        };
        sheet.add(&root, Resource::new(Group::Observability, "AWS::XRay::Group", id("group"), asked.clone(), group));
        // One request a second, and one in twenty of the rest: AWS's own default.
        let rule = map! {
            "RuleName" => name, "Version" => 1, "Priority" => 1000, "ReservoirSize" => 1, "FixedRate" => "0.05",
            "Host" => "*", "HTTPMethod" => "*", "ResourceARN" => "*", "ServiceName" => "*", "ServiceType" => "*", "URLPath" => "*",
        };
        let rule = map! { "SamplingRule" => rule, "Tags" => sheet.tags(Some(part)) };
        sheet.add(&root, Resource::new(Group::Observability, "AWS::XRay::SamplingRule", id("sampling"), asked, rule));
    }
    sheet.note(
        part,
        "traces are encrypted with the key of the service: no resource type sets another one, and none is copied to another region",
        "aws xray put-encryption-config --type KMS --key-id KEY --region REGION, in each region",
    );
}
