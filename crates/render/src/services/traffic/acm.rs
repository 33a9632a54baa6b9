//! Certificates: one of each region, for all names that the records of the spec have; they prove themselves by a record in
//! the zone, and renew themselves by it.

use model::Part;
use model::design::Site;

use super::route53;
use crate::resource::Resource;
use crate::root::{Group, Root};
use crate::services::is_at;
use crate::sheet::{Sheet, regional};
use crate::value::Value;
use crate::{map, names};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    if named(sheet).is_empty() {
        let how = "say `record` of the names that users ask for, as components of kind aws.route53";
        return sheet.note(part, "no record says which names a certificate is for: certificates are asked for", how);
    }
    // One for each region; components say which, so a second one adds nothing.
    for site in sheet.sites(part) {
        one(sheet, part, &regional(site), Some(site));
    }
}

/// The names of one certificate that an account may have until it asks for more (AWS Certificate Manager User Guide, "Quotas").
const NAMES: usize = 10;

/// The records whose names a certificate proves.
fn named<'d>(sheet: &Sheet<'d>) -> Vec<&'d Part> {
    sheet.of_kind("aws.route53").filter(|part| part.text("record").is_some()).collect()
}

fn one(sheet: &mut Sheet<'_>, part: &Part, root: &Root, site: Option<&Site>) -> Value {
    if sheet.has(root, "Certificate") {
        return sheet.target(root, "Certificate").get();
    }
    let records = named(sheet);
    let mut hosts: Vec<(String, &Part)> = Vec::new();
    for record in records {
        let host = record.text("record").unwrap_or_default().to_owned();
        // By its own name a region is reached when the name that users ask for leads elsewhere.
        let own = site.map(|site| own_name(&host, site));
        for host in std::iter::once(host).chain(own) {
            if !hosts.iter().any(|(known, _)| *known == host) {
                hosts.push((host, record));
            }
        }
    }
    if hosts.len() > NAMES {
        let says = format!(
            "its certificate in the stack {root} has {} names, and an account has {NAMES} at first",
            hosts.len()
        );
        let how = "before the first deployment, in each region: have the quota `Domain names per ACM certificate` raised (aws service-quotas list-service-quotas --service-code acm), or put fewer records into one workload";
        sheet.note(part, says, how);
    }
    let proofs: Vec<Value> = hosts
        .iter()
        .map(|(host, record)| {
            let zone = route53::zone_id(sheet, record, root);
            map! { "DomainName" => host, "HostedZoneId" => zone }.into()
        })
        .collect();
    let others: Vec<Value> = hosts.iter().skip(1).map(|(host, _)| host.into()).collect();
    let properties = map! { "DomainName" => &hosts[0].0 }
        .with_some("SubjectAlternativeNames", (!others.is_empty()).then_some(others))
        .with("ValidationMethod", "DNS")
        .with("DomainValidationOptions", proofs)
        .with("Tags", sheet.tags(Some(part)));
    let asked = sheet.asked(part);
    let kind = "AWS::CertificateManager::Certificate";
    sheet.add(root, Resource::new(Group::Security, kind, "Certificate", asked, properties)).get()
}

/// A name of one region alone: `eu-west-1.www.example.com`.
pub fn own_name(host: &str, site: &Site) -> String {
    format!("{}.{}", names::physical([site.id.as_str()], 63), host.trim_start_matches("*."))
}

/// The certificate of a region: ours, or one that exists.
pub fn certificate(sheet: &mut Sheet<'_>, site: &Site) -> Value {
    let root = regional(site);
    let ours = sheet.of_kind("aws.acm").find(|part| sheet.renders(part) && is_at(part, site));
    match ours.filter(|_| !named(sheet).is_empty()) {
        Some(_) => sheet.target(&root, "Certificate").get(),
        None => asked(sheet, &root),
    }
}

/// The certificate that CloudFront shows, which has to be in us-east-1.
pub fn at_the_edge(sheet: &mut Sheet<'_>) -> Value {
    let ours = sheet.of_kind("aws.acm").find(|part| sheet.renders(part));
    match ours.filter(|_| !named(sheet).is_empty()) {
        Some(part) => one(sheet, part, &Root::Edge, None),
        None => asked(sheet, &Root::Edge),
    }
}

fn asked(sheet: &mut Sheet<'_>, root: &Root) -> Value {
    let region = sheet.region(root);
    let how = format!("aws acm list-certificates --region {region} --query 'CertificateSummaryList[].CertificateArn'");
    sheet.ask(root, "CertificateArn", "The TLS certificate of this region for the names that users ask for.", how)
}
