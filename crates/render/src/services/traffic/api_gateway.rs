//! API Gateway: the HTTP entrance of a region, to functions, and through a private link to a load balancer.

use crate::services::id;
use crate::services::in_each_region;
use model::Part;
use model::design::Site;

use super::{acm, alb, route53};
use crate::resource::{Resource, Target};
use crate::root::Group;
use crate::services::compute::lambda;
use crate::services::{is_at, logs, network};
use crate::sheet::{Sheet, regional};
use crate::value::{Map, REGION, SUFFIX, Value};
use crate::{cat, list, map};

/// What is logged of each request.
const LOGGED: &str = r#"{"requestId":"$context.requestId","ip":"$context.identity.sourceIp","time":"$context.requestTime","method":"$context.httpMethod","path":"$context.path","status":"$context.status","latency":"$context.responseLatency","error":"$context.integrationErrorMessage"}"#;

/// The names that it answers to: the one that users ask for, and the one of this region alone.
const DOMAIN: &str = "domain";
const OWN_DOMAIN: &str = "own domain";

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    in_each_region(sheet, part, one);
}

fn add(sheet: &mut Sheet<'_>, part: &Part, site: &Site, kind: &'static str, what: &str, properties: Map) -> Target {
    let asked = sheet.asked(part);
    sheet.add(&regional(site), Resource::new(Group::Traffic, kind, id(part, what), asked, properties))
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let record = record(sheet, part);
    let properties = map! {
        "Name" => sheet.named([part.id.as_str()], 128),
        "ProtocolType" => "HTTP",
        // By the names that lead to it only, unless that is how its health is asked for.
        "DisableExecuteApiEndpoint" => own_name(sheet, part, site).is_some(),
        "Tags" => sheet.tag_map(Some(part)),
    };
    let api = add(sheet, part, site, "AWS::ApiGatewayV2::Api", "api", properties);
    let group = logs::group(sheet, Some(part), site, (Group::Traffic, "logs"), None);
    let properties = map! {
        "ApiId" => api.get(),
        "StageName" => "$default",
        "AutoDeploy" => true,
        "AccessLogSettings" => map! { "DestinationArn" => group.att("Arn"), "Format" => LOGGED },
        "DefaultRouteSettings" => map! { "DetailedMetricsEnabled" => true },
        "Tags" => sheet.tag_map(Some(part)),
    };
    let stage = add(sheet, part, site, "AWS::ApiGatewayV2::Stage", "stage", properties);
    let mut first = true;
    for backend in sheet.behind(part).filter(|other| is_at(other, site)) {
        if let Some(integration) = integration(sheet, part, site, backend, &api) {
            let key = if first { "$default".to_owned() } else { format!("ANY /{}/{{proxy+}}", backend.id) };
            first = false;
            route(sheet, part, site, backend, (&api, &integration, key));
        }
    }
    if let Some(record) = record {
        domain(sheet, part, site, record, (&api, &stage));
    }
}

fn route(
    sheet: &mut Sheet<'_>,
    part: &Part,
    site: &Site,
    backend: &Part,
    (api, integration, key): (&Target, &Target, String),
) {
    let properties = map! { "ApiId" => api.get(), "RouteKey" => key, "AuthorizationType" => "NONE", "Target" => cat!["integrations/", integration.get()] };
    let (id, asked) = (id(part, &format!("route {}", backend.id)), sheet.asked(part));
    let route = Resource::new(Group::Traffic, "AWS::ApiGatewayV2::Route", id, asked, properties)
        .excused("CKV_AWS_309", "who may ask for what is decided by what stands behind it");
    sheet.add(&regional(site), route);
}

fn integration(sheet: &mut Sheet<'_>, part: &Part, site: &Site, backend: &Part, api: &Target) -> Option<Target> {
    let properties = match backend.kind.name.as_str() {
        "aws.lambda" if sheet.renders(backend) => map! {
            "ApiId" => api.get(), "IntegrationType" => "AWS_PROXY", "IntegrationUri" => lambda::arn(sheet, backend, site), "PayloadFormatVersion" => "2.0",
        },
        "aws.alb" => {
            let link = link(sheet, part, site);
            let properties = map! {
                "ApiId" => api.get(), "IntegrationType" => "HTTP_PROXY", "IntegrationMethod" => "ANY", "PayloadFormatVersion" => "1.0",
                "ConnectionType" => "VPC_LINK", "ConnectionId" => link.get(), "IntegrationUri" => alb::listener(sheet, backend, site),
            };
            // Inside the link too, the load balancer has to prove its name.
            let name = record(sheet, part).and_then(|record| record.text("record"));
            properties.with_some("TlsConfig", name.map(|name| map! { "ServerNameToVerify" => name }))
        }
        _ => return None,
    };
    Some(add(sheet, part, site, "AWS::ApiGatewayV2::Integration", &format!("to {}", backend.id), properties))
}

fn link(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let root = regional(site);
    if sheet.has(&root, &id(part, "link")) {
        return sheet.target(&root, id(part, "link"));
    }
    let group = network::firewall(sheet, part, site, "What the entrance reaches");
    let properties = map! {
        "Name" => sheet.named([part.id.as_str()], 128),
        "SubnetIds" => network::private_subnets(sheet, site),
        "SecurityGroupIds" => list![group.att("GroupId")],
        "Tags" => sheet.tag_map(Some(part)),
    };
    add(sheet, part, site, "AWS::ApiGatewayV2::VpcLink", "link", properties)
}

/// The record that leads to it.
fn record<'d>(sheet: &Sheet<'d>, part: &Part) -> Option<&'d Part> {
    let leads = |record: &&Part| record.component("to").as_ref() == Some(&part.id) && record.text("record").is_some();
    sheet.of_kind("aws.route53").find(leads)
}

fn domain(sheet: &mut Sheet<'_>, part: &Part, site: &Site, record: &Part, (api, stage): (&Target, &Target)) {
    let users = record.text("record").unwrap_or_default().to_owned();
    let own = own_name(sheet, part, site);
    for (what, name) in std::iter::once((DOMAIN, users)).chain(own.map(|name| (OWN_DOMAIN, name))) {
        let config = map! { "CertificateArn" => acm::certificate(sheet, site), "EndpointType" => "REGIONAL", "SecurityPolicy" => "TLS_1_2" };
        let properties = map! { "DomainName" => name, "DomainNameConfigurations" => list![config], "Tags" => sheet.tag_map(Some(part)) };
        let domain = add(sheet, part, site, "AWS::ApiGatewayV2::DomainName", what, properties);
        let properties = map! { "ApiId" => api.get(), "DomainName" => domain.get(), "Stage" => stage.get() };
        add(sheet, part, site, "AWS::ApiGatewayV2::ApiMapping", &format!("{what} to api"), properties);
    }
}

/// The name that leads to this region's entrance only. It answers to names that it has been given, and to no other.
fn own_name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Option<String> {
    route53::own_name(sheet, record(sheet, part)?, site)
}

/// What is asked to know whether this region's entrance works: a name that it answers to, and that leads nowhere else.
pub fn host(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Option<Value> {
    record(sheet, part).filter(|_| sheet.renders(part))?;
    let api = sheet.target(&regional(site), id(part, "api"));
    let asked = own_name(sheet, part, site).map(Value::from);
    Some(asked.unwrap_or_else(|| cat![api.get(), ".execute-api.", REGION, ".", SUFFIX]))
}

/// Where the region's own name leads.
pub fn own_lead(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Option<(Value, Value)> {
    own_name(sheet, part, site).filter(|_| sheet.renders(part))?;
    let domain = sheet.target(&regional(site), id(part, OWN_DOMAIN));
    Some((domain.att("RegionalDomainName"), domain.att("RegionalHostedZoneId")))
}

/// The name of the region's own entrance and its zone, when it has a name at all.
pub fn lead(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Option<(Value, Value)> {
    record(sheet, part).filter(|_| sheet.renders(part))?;
    let domain = sheet.target(&regional(site), id(part, DOMAIN));
    Some((domain.att("RegionalDomainName"), domain.att("RegionalHostedZoneId")))
}

/// Its id, as ARNs have it; any of the account's where it is adopted.
pub fn id_of(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "api")).get(),
        false => "*".into(),
    }
}

/// The number of its API, which its metrics have.
pub fn api_id(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let root = regional(site);
    if sheet.renders(part) {
        return sheet.target(&root, id(part, "api")).get();
    }
    let how = format!("aws apigatewayv2 get-apis --region {} --query 'Items[].[Name,ApiId]'", sheet.region(&root));
    sheet.ask(&root, &id(part, "api id"), &format!("The HTTP API {} of this region.", part.id), how)
}
