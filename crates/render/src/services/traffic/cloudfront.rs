//! Distributions of CloudFront: a cache at the edge with an origin in each of two regions.
//!
//! What is read fails over from one origin to the other, request by request. Writes do not: CloudFront has no second origin
//! for them, so they go to a name that Route 53 leads to the region that serves. Which origin is asked first is state.

use model::Part;
use model::design::Site;

use super::{acm, leads, route53};
use crate::resource::{Given, Keep, Resource};
use crate::root::{Group, Root};
use crate::services::compute::lambda_edge;
use crate::services::data::s3;
use crate::services::guard::waf;
use crate::services::{buckets, id};
use crate::sheet::{Sheet, parameter};
use crate::value::{ACCOUNT, Map, SUFFIX, Value};
use crate::{cat, list, map};

/// AWS's own policies, the same in every account (CloudFront Developer Guide, "Use managed cache policies", "… origin
/// request policies", "… response headers policies").
const CACHED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
const NOT_CACHED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
const ALL_BUT_HOST: &str = "b689b0a8-53d0-40ab-baf2-38738e2966ac";
const SECURITY_HEADERS: &str = "67f7725c-6f97-4210-82d7-5512b31e9d03";
const GROUP: &str = "regions";
const WRITES: &str = "writer";

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let (root, asked) = (Root::Edge, sheet.asked(part));
    let sites = leads::sites(sheet, part);
    if sites.is_empty() {
        return sheet.note(part, "it leads to no region", "say `to`: a load balancer or a bucket");
    }
    let stored = sites.iter().any(|site| is_bucket(sheet, part, site));
    let access = stored.then(|| access(sheet, part));
    let mut origins: Vec<Value> = sites.iter().map(|site| origin(sheet, part, site, access.as_ref()).into()).collect();
    let dynamic = part.word("serves").is_some_and(|serves| serves != "static") && !stored;
    if dynamic {
        let host = writer(sheet, part);
        origins.push(custom(WRITES, host).into());
    }
    let behaviours = behaviours(sheet, part, dynamic, sites.len() > 1, sites[0]);
    let mut config = map! { "Enabled" => true, "Comment" => format!("{} of {}", part.id, sheet.design.workload), "HttpVersion" => "http2and3", "IPV6Enabled" => true };
    if stored {
        config.set("DefaultRootObject", "index.html");
    }
    config.set("Origins", origins);
    if sites.len() > 1 {
        config.set("OriginGroups", origin_group(sheet, part, &sites));
    }
    config.0.extend(behaviours.0);
    config.0.extend(names_and_logs(sheet, part).0);
    let rules = waf::of_distribution(sheet, part);
    let config = config.with_some("WebACLId", rules.clone());
    let distribution = Resource::new(
        Group::Traffic,
        "AWS::CloudFront::Distribution",
        id(part, "distribution"),
        asked,
        map! { "DistributionConfig" => config, "Tags" => sheet.tags(Some(part)) },
    );
    let mut distribution = distribution;
    if part.text("record").is_none() {
        distribution = distribution.excused(
            "CKV_AWS_174",
            "without a name of its own it has CloudFront's certificate, and its versions of TLS",
        );
    }
    if sites.len() < 2 {
        distribution = distribution.excused("CKV_AWS_310", "the spec has one region for it");
    }
    if rules.is_none() {
        distribution = distribution.excused("CKV_AWS_68", "the spec has no firewall of the edge in front of it");
    }
    let distribution = sheet.add(&root, distribution.excused("CKV_AWS_374", "it serves the users of all countries"));
    sheet.output(&root, id(part, "domain"), "The name of the distribution", distribution.att("DomainName"));
    sheet.output(
        &root,
        id(part, "id"),
        "What caches are emptied by: create-invalidation --distribution-id",
        distribution.get(),
    );
}

fn is_bucket(sheet: &Sheet<'_>, part: &Part, site: &Site) -> bool {
    leads::front(sheet, part, site).is_some_and(|front| front.kind.name == "aws.s3")
}

/// How it reads buckets that nobody else reads.
fn access(sheet: &mut Sheet<'_>, part: &Part) -> Value {
    let config = map! {
        "Name" => sheet.named([part.id.as_str()], 64), "OriginAccessControlOriginType" => "s3",
        "SigningBehavior" => "always", "SigningProtocol" => "sigv4",
    };
    let asked = sheet.asked(part);
    let control = map! { "OriginAccessControlConfig" => config };
    let kind = "AWS::CloudFront::OriginAccessControl";
    let to = part.component("to").and_then(|id| sheet.part(&id));
    if to.is_some_and(|bucket| !sheet.renders(bucket)) {
        let says = "its buckets are adopted: their policies, and those of their keys, must let it read";
        let how = "in the policy of each region's bucket: Allow cloudfront.amazonaws.com s3:GetObject, where aws:SourceAccount is the account; in its key's: kms:Decrypt";
        sheet.note(part, says, how);
    }
    sheet.add(&Root::Edge, Resource::new(Group::Traffic, kind, id(part, "access"), asked, control)).get()
}

/// The origin of one region: it is called by the region's name.
fn origin(sheet: &mut Sheet<'_>, part: &Part, site: &Site, access: Option<&Value>) -> Map {
    let host = origin_host(sheet, part, site);
    match access.filter(|_| is_bucket(sheet, part, site)) {
        Some(access) => map! {
            "Id" => site.id.as_str(), "DomainName" => host, "OriginAccessControlId" => access.clone(),
            "S3OriginConfig" => map! { "OriginAccessIdentity" => "" },
        },
        None => custom(site.id.as_str(), host),
    }
}

fn custom(id: &str, host: Value) -> Map {
    let config = map! { "OriginProtocolPolicy" => "https-only", "OriginSSLProtocols" => list!["TLSv1.2"] };
    // Two attempts of four seconds, instead of three of ten, until the other region is asked.
    map! { "Id" => id, "DomainName" => host, "ConnectionAttempts" => 2, "ConnectionTimeout" => 4, "CustomOriginConfig" => config }
}

/// By what name a region is asked: it must be one that the certificate there proves.
fn origin_host(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let what = id(part, &format!("origin {}", site.id));
    let region = crate::sheet::aws_region(site);
    if let Some(bucket) = leads::front(sheet, part, site).filter(|front| front.kind.name == "aws.s3") {
        return match s3::bucket(sheet, bucket, site) {
            Value::Concat(mut name) => {
                name.extend([format!(".s3.{region}.").into(), SUFFIX]);
                Value::Concat(name)
            }
            name => cat![name, format!(".s3.{region}."), SUFFIX],
        };
    }
    if let Some(host) = route53::own_name(sheet, part, site) {
        return host.into();
    }
    let about = format!("A name that leads to {} only, and that the certificate there is for.", site.id);
    sheet.ask(
        &Root::Edge,
        &what,
        &about,
        format!("a record of the load balancer of {region}, such as {}.origin.example.com", site.id),
    )
}

/// The name that leads to the region that writes.
fn writer(sheet: &mut Sheet<'_>, part: &Part) -> Value {
    let to = part.component("to");
    let leads = |record: &&Part| record.text("record").is_some() && to.is_some() && record.component("to") == to;
    if let Some(name) = sheet.of_kind("aws.route53").find(leads).and_then(|record| record.text("record")) {
        return name.into();
    }
    let how = "a record with failover, such as api.example.com";
    sheet.ask(&Root::Edge, &id(part, "writer"), "The name that leads to the region that takes writes.", how)
}

fn origin_group(sheet: &mut Sheet<'_>, part: &Part, sites: &[&Site]) -> Map {
    let allowed: Vec<String> = sites.iter().map(|site| site.id.to_string()).collect();
    let preferred = sites.iter().position(|site| site.preferred).unwrap_or(0);
    let mut member = |what: &str, about: &str, site: &Site| {
        let about = format!("The region that {} asks {about}. A recovery may change it, no deployment does.", part.id);
        let mut state = parameter(&id(part, what), "String", &about, Given::AtFirst(site.id.to_string()));
        state.allowed.clone_from(&allowed);
        map! { "OriginId" => sheet.parameter(&Root::Edge, state) }
    };
    let first = member("first", "first", sites[preferred]);
    let second = member("second", "when the first does not answer", sites[usize::from(preferred == 0)]);
    let codes = list![500, 502, 503, 504];
    let group = map! {
        "Id" => GROUP,
        "FailoverCriteria" => map! { "StatusCodes" => map! { "Quantity" => 4, "Items" => codes } },
        "Members" => map! { "Quantity" => 2, "Items" => list![first, second] },
    };
    map! { "Quantity" => 1, "Items" => list![group] }
}

fn behaviours(sheet: &mut Sheet<'_>, part: &Part, dynamic: bool, several: bool, only: &Site) -> Map {
    let read = list!["GET", "HEAD", "OPTIONS"];
    let to = if several { GROUP } else { only.id.as_str() };
    let functions = functions(sheet, part);
    let common = |to: &str, cache: &str| {
        map! {
            "TargetOriginId" => to, "ViewerProtocolPolicy" => "redirect-to-https", "Compress" => true,
            "CachePolicyId" => cache, "ResponseHeadersPolicyId" => SECURITY_HEADERS,
        }
    };
    let reads = || {
        common(to, CACHED)
            .with("AllowedMethods", read.clone())
            .with_some("LambdaFunctionAssociations", functions.clone())
    };
    if !dynamic {
        return map! { "DefaultCacheBehavior" => reads() };
    }
    let every = list!["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"];
    let writes = common(WRITES, NOT_CACHED).with("AllowedMethods", every).with("OriginRequestPolicyId", ALL_BUT_HOST);
    let fixed = reads().with("PathPattern", "/static/*");
    map! { "DefaultCacheBehavior" => writes.with_some("LambdaFunctionAssociations", functions), "CacheBehaviors" => list![fixed] }
}

/// The functions of the edge that stand behind it.
fn functions(sheet: &mut Sheet<'_>, part: &Part) -> Option<Value> {
    let behind = |other: &&Part| other.component("behind").as_ref() == Some(&part.id) && sheet.renders(other);
    let function = sheet.of_kind("aws.lambda-edge").find(behind)?;
    let version = lambda_edge::version(sheet, function);
    Some(list![map! { "EventType" => "viewer-request", "LambdaFunctionARN" => version }])
}

fn names_and_logs(sheet: &mut Sheet<'_>, part: &Part) -> Map {
    let certificate = match part.text("record") {
        Some(_) => {
            map! { "AcmCertificateArn" => acm::at_the_edge(sheet), "MinimumProtocolVersion" => "TLSv1.2_2021", "SslSupportMethod" => "sni-only" }
        }
        None => map! { "CloudFrontDefaultCertificate" => true },
    };
    let properties = map! {}.with_some("Aliases", part.text("record").map(|record| list![record]));
    let bucket = logs(sheet, part);
    properties
        .with("ViewerCertificate", certificate)
        .with("Logging", map! { "Bucket" => bucket, "Prefix" => part.id.as_str() })
}

/// Lets the distributions of this account read a bucket that they lead to. Which distribution is not known yet: it is made
/// when the regions stand.
pub fn reads(sheet: &Sheet<'_>, bucket: &Part, arn: Value) -> Option<Value> {
    let to = |part: &Part| {
        sheet.sites(bucket).iter().any(|site| part.at(&site.id).component("to").as_ref() == Some(&bucket.id))
    };
    sheet.of_kind("aws.cloudfront").find(|part| to(part))?;
    let ours = map! { "StringEquals" => map! { "aws:SourceAccount" => ACCOUNT } };
    let statement = map! {
        "Sid" => "Distributions", "Effect" => "Allow", "Principal" => map! { "Service" => "cloudfront.amazonaws.com" },
        "Action" => "s3:GetObject", "Resource" => cat![arn, "/*"], "Condition" => ours,
    };
    Some(statement.into())
}

/// The bucket that says who asked for what. CloudFront writes it by an access list, which is all that it takes.
fn logs(sheet: &mut Sheet<'_>, part: &Part) -> Value {
    let expire = map! { "Id" => "a-year", "Status" => "Enabled", "ExpirationInDays" => 365 };
    let mut properties = buckets::closed(None, None)
        .with("LifecycleConfiguration", map! { "Rules" => list![expire] })
        .with("Tags", sheet.tags(Some(part)));
    properties.set("OwnershipControls", buckets::owned("BucketOwnerPreferred"));
    let asked = sheet.asked(part);
    let bucket = Resource::new(Group::Data, "AWS::S3::Bucket", id(part, "logs"), asked, properties)
        .keep(Keep::Retain)
        .excused("CKV_AWS_18", "it has the logs itself");
    sheet.add(&Root::Edge, bucket).att("RegionalDomainName")
}

/// Its name.
pub fn domain(sheet: &mut Sheet<'_>, part: &Part) -> Value {
    if sheet.renders(part) {
        return sheet.target(&Root::Edge, id(part, "distribution")).att("DomainName");
    }
    let how = "aws cloudfront list-distributions --query 'DistributionList.Items[].DomainName'";
    sheet.ask(&Root::Edge, &id(part, "domain"), &format!("The name of {}.", part.id), how)
}

/// What its metrics are called by; `None` where there is none.
pub fn distribution_id(sheet: &mut Sheet<'_>, part: &Part) -> Option<Value> {
    let name = id(part, "distribution");
    if sheet.renders(part) {
        return sheet.has(&Root::Edge, &name).then(|| sheet.target(&Root::Edge, name).get());
    }
    let how = "aws cloudfront list-distributions --query 'DistributionList.Items[].[Id,DomainName]'";
    Some(sheet.ask(&Root::Edge, &id(part, "id"), &format!("The distribution {}.", part.id), how))
}
