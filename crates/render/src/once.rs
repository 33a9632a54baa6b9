//! What there can be once: when two components ask for it, that is said before anything is written, because CloudFormation
//! would find out when the one stands already.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::resource::Resource;
use crate::sheet::Sheet;

/// What tells things of a type apart; of a type with nothing, an account has one in a region. Each by the page of its type in
/// the CloudFormation User Guide, "Template reference"; Config: AWS Config Developer Guide, "Managing the configuration
/// recorder"; a load balancer has one web ACL: AWS WAF Developer Guide, "Associating protection with a resource".
const ONCE: [(&str, &[&str]); 12] = [
    ("AWS::Config::ConfigurationRecorder", &[]),
    ("AWS::Config::DeliveryChannel", &[]),
    ("AWS::EC2::Route", &["RouteTableId", "DestinationCidrBlock"]),
    ("AWS::EC2::SubnetNetworkAclAssociation", &["SubnetId"]),
    ("AWS::GuardDuty::Detector", &[]),
    ("AWS::IAM::ManagedPolicy", &["ManagedPolicyName"]),
    ("AWS::IAM::Role", &["RoleName"]),
    ("AWS::Route53::RecordSet", &["HostedZoneId", "Name", "Type", "SetIdentifier"]),
    ("AWS::SecurityHub::FindingAggregator", &[]),
    ("AWS::SecurityHub::Hub", &[]),
    ("AWS::Shield::Protection", &["ResourceArn"]),
    ("AWS::WAFv2::WebACLAssociation", &["ResourceArn"]),
];

/// Finds what two components ask for.
pub fn check(sheet: &mut Sheet<'_>) {
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    for (root, stack) in &sheet.stacks {
        let mut known: FxHashMap<(&str, String), &Resource> = FxHashMap::default();
        for resource in &stack.resources {
            let Some(identity) = identity(resource) else { continue };
            let first = *known.entry((resource.kind, identity)).or_insert(resource);
            let (path, other) = (&resource.asked.path, &first.asked.path);
            if path != other {
                let says = format!(
                    "it asks for {} as {other} does, and there can be one such {} in the stack {root}",
                    resource.id, resource.kind
                );
                wrong.entry(path.clone()).or_insert(says);
            }
        }
    }
    for (path, says) in wrong {
        sheet.problem(&path, says, "keep one of the two, or take them to different regions (`sites:`)");
    }
}

/// What nothing else of its type may say in a region.
fn identity(resource: &Resource) -> Option<String> {
    let (_, keys) = ONCE.iter().find(|(kind, _)| *kind == resource.kind)?;
    let said: Vec<_> = keys.iter().map(|key| resource.properties.get(key)).collect();
    // What has no name gets one from CloudFormation.
    (keys.is_empty() || said.iter().any(Option::is_some)).then(|| format!("{said:?}"))
}
