//! Servers that partners send files to and fetch them from: one in each region, with addresses that stay, over the bucket or
//! the file system of its own region, and with the same host key in each.
//!
//! A client that finds another key under a name that it knows goes away, so a server has none of its own: it takes sessions
//! once the key of the workload is in the region's secrets, and never with another one. And partners let addresses in, not
//! names: those of both regions, beforehand.

use model::Part;
use model::design::Site;

use super::{efs, id, s3};
use crate::resource::{Condition, Given, Keep, Parameter, Resource, Target};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::{logs, network, peers, role};
use crate::sheet::{Sheet, aws_region, parameter, regional};
use crate::value::{ACCOUNT, PARTITION, Value};
use crate::{cat, list, map, names};

const PORT: u32 = 22;

/// What a server speaks, and with which ciphers (AWS Transfer Family User Guide, "Security policies").
const CIPHERS: &str = "TransferSecurityPolicy-2024-01";

/// The kinds that files are kept in.
const STORES: [&str; 2] = ["aws.s3", "aws.efs"];

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return users_are_told(sheet, part, None);
    }
    let store =
        part.needs.iter().filter_map(|id| sheet.part(id)).find(|need| STORES.contains(&need.kind.name.as_str()));
    let Some(store) = store else {
        return sheet.note(
            part,
            "nobody said where it keeps files",
            format!("say it: components.{}.needs, a bucket or a file system", part.id),
        );
    };
    let Some(partners) = partners(sheet, part) else { return };
    for site in sheet.sites(part) {
        one(sheet, part, store, site, &partners);
    }
    if partners.is_empty() {
        let how = format!("name their addresses: components.{}.partners: [203.0.113.0/24]", part.id);
        sheet.note(part, "nobody is let in: no partner is named", how);
    }
    keys_are_told(sheet, part);
    users_are_told(sheet, part, Some(store));
}

fn keys_are_told(sheet: &mut Sheet<'_>, part: &Part) {
    let home = peers::home(sheet, part).map_or("REGION", aws_region).to_owned();
    let sites = sheet.sites(part);
    let others: Vec<String> = sites
        .into_iter()
        .map(aws_region)
        .filter(|region| *region != home)
        .map(|region| format!("Region={region}"))
        .collect();
    let secret = secret(sheet, part);
    let copies = if others.is_empty() { String::new() } else { format!(" --add-replica-regions {}", others.join(" ")) };
    let stored = id(part, "host key");
    sheet.note(
        part,
        "partners know its host key, which is one for all regions and is made by whoever may see it; until then no session begins",
        format!(
            "ssh-keygen -t ed25519 -m PEM -N '' -f KEY; aws secretsmanager create-secret --name {secret} --secret-string file://KEY --region {home}{copies}; then in each region: bash deploy.sh REGION --set {stored}=stored"
        ),
    );
}

/// A file system knows a session by the numbers of a user and a group (AWS Transfer Family User Guide, "Create a user" for
/// Amazon EFS).
fn users_are_told(sheet: &mut Sheet<'_>, part: &Part, store: Option<&Part>) {
    let files = store.is_some_and(|store| store.kind.name == "aws.efs");
    let posix = if files { " --posix-profile Uid=UID,Gid=GID" } else { "" };
    sheet.note(
        part,
        "who may come in, and with which key, is said to each server by itself",
        format!(
            "in each region: aws transfer create-user --server-id ID --user-name NAME --role ROLE --home-directory PATH{posix} --ssh-public-key-body KEY; partners let in the addresses of every region beforehand"
        ),
    );
}

fn secret(sheet: &Sheet<'_>, part: &Part) -> String {
    format!("{}/{}/host-key", sheet.design.workload, part.id)
}

/// The ranges that partners come from, each once; `None` when one is none.
fn partners(sheet: &mut Sheet<'_>, part: &Part) -> Option<Vec<String>> {
    let range = |text: &str| {
        let (address, bits) = text.split_once('/')?;
        let numbers: Vec<u8> = address.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let bits: u8 = bits.parse().ok()?;
        (numbers.len() == 4 && (8..=32).contains(&bits)).then(|| text.to_owned())
    };
    let said = part.words("partners").unwrap_or_default();
    let mut ranges: Vec<String> = said.iter().filter_map(|text| range(text)).collect();
    if ranges.len() < said.len() {
        let path = format!("components.{}.partners", part.id);
        let hint = "write addresses with the length of their prefix, 8 to 32: 203.0.113.0/24";
        sheet.problem(&path, "a partner comes from a range of addresses, and not from everywhere", hint);
        return None;
    }
    ranges.sort();
    ranges.dedup();
    Some(ranges)
}

/// The addresses of the server of a region, which stay: what a name leads to.
pub fn addresses(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Value> {
    if !sheet.renders(part) {
        let how = format!("aws ec2 describe-addresses --region {} --query 'Addresses[].PublicIp'", aws_region(site));
        let about = format!("An address of the server {} of this region.", part.id);
        return vec![sheet.ask(&regional(site), &id(part, "address"), &about, how)];
    }
    let zones = network::zones(site);
    zones.iter().map(|zone| sheet.target(&regional(site), address(part, zone)).get()).collect()
}

fn address(part: &Part, zone: &str) -> String {
    names::logical([part.id.as_str(), "address", zone])
}

fn one(sheet: &mut Sheet<'_>, part: &Part, store: &Part, site: &Site, partners: &[String]) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let firewall = network::firewall(sheet, part, site, "Partners, by the addresses that they come from");
    for range in partners {
        let rule = map! {
            "GroupId" => firewall.att("GroupId"), "IpProtocol" => "tcp", "FromPort" => PORT, "ToPort" => PORT,
            "CidrIp" => range, "Description" => "a partner",
        };
        // By what it lets in: one partner fewer is no other rule for the rest, which AWS would refuse as being there already.
        let id = names::logical([part.id.as_str(), "from partner", &format!("{:08x}", names::digest(range))]);
        let rule = Resource::new(Group::Security, "AWS::EC2::SecurityGroupIngress", id, asked.clone(), rule);
        sheet.add(&root, rule);
    }
    let zones = network::zones(site);
    let subnets = match network::public_subnets(sheet, site) {
        Value::List(subnets) => subnets,
        given => (0..zones.len())
            .map(|n| Value::Select(u8::try_from(n).unwrap_or(u8::MAX), Box::new(given.clone())))
            .collect(),
    };
    let mut fixed = Vec::new();
    for zone in &zones {
        let properties = map! { "Domain" => "vpc", "Tags" => sheet.tags(Some(part)) };
        let made = Resource::new(Group::Network, "AWS::EC2::EIP", address(part, zone), asked.clone(), properties);
        // Partners have let it in: another one would be let in by none of them.
        fixed.push(sheet.add(&root, made.keep(Keep::Retain)).att("AllocationId"));
    }
    let logs = logs::group(sheet, Some(part), site, (Group::Traffic, "logs"), None);
    let details = map! {
        "VpcId" => network::vpc(sheet, site), "SubnetIds" => subnets, "AddressAllocationIds" => fixed,
        "SecurityGroupIds" => list![firewall.att("GroupId")],
    };
    let properties = map! {
        "Domain" => if store.kind.name == "aws.efs" { "EFS" } else { "S3" },
        "Protocols" => list!["SFTP"],
        "IdentityProviderType" => "SERVICE_MANAGED",
        "EndpointType" => "VPC",
        "EndpointDetails" => details,
        "SecurityPolicyName" => CIPHERS,
        // None of its own: see above.
        "CreateWithHostKey" => false,
        "StructuredLogDestinations" => list![cat![logs.att("Arn")]],
        "Tags" => sheet.tags(Some(part)),
    };
    let server = Resource::new(Group::Traffic, "AWS::Transfer::Server", id(part, "server"), asked, properties);
    let server = sheet.add(&root, server);
    host_key(sheet, part, site, &server);
    users(sheet, part, store, site);
}

fn host_key(sheet: &mut Sheet<'_>, part: &Part, site: &Site, server: &Target) {
    let (root, name) = (regional(site), id(part, "host key"));
    let about =
        format!("Whether the host key of {} is in the secrets of this region: `awaited`, or `stored`.", part.id);
    let asked = parameter(&name, "String", &about, Given::AtFirst("awaited".to_owned()));
    let state = Parameter { allowed: vec!["awaited".to_owned(), "stored".to_owned()], ..asked };
    let stored = Condition::equal(format!("{name}IsStored"), sheet.parameter(&root, state), "stored");
    let body = format!("{{{{resolve:secretsmanager:{}:SecretString}}}}", secret(sheet, part));
    let properties = map! {
        "ServerId" => server.att("ServerId"), "HostKeyBody" => body, "Description" => "The same in every region", "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    let key = Resource::new(Group::Traffic, "AWS::Transfer::HostKey", format!("{name}Imported"), asked, properties);
    sheet.add(&root, key.only_if(stored));
}

/// What a partner's session may do, in this region's own store.
fn users(sheet: &mut Sheet<'_>, part: &Part, store: &Part, site: &Site) {
    let statements = match store.kind.name.as_str() {
        "aws.efs" => {
            let files = efs::file_system(sheet, store, site);
            let arn =
                cat!["arn:", PARTITION, ":elasticfilesystem:", aws_region(site), ":", ACCOUNT, ":file-system/", files];
            vec![role::allow(
                &[
                    "elasticfilesystem:ClientMount",
                    "elasticfilesystem:ClientWrite",
                    "elasticfilesystem:DescribeMountTargets",
                ],
                vec![arn],
            )]
        }
        _ => {
            let bucket = s3::arn(sheet, store, site);
            vec![
                role::allow(&["s3:GetBucketLocation", "s3:ListBucket"], vec![bucket.clone()]),
                role::allow(&["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], vec![cat![bucket, "/*"]]),
                role::allow(&["kms:Decrypt", "kms:GenerateDataKey"], vec![kms::key(sheet, store, site)]),
            ]
        }
    };
    let (group, service) = (Group::Traffic, "transfer.amazonaws.com");
    role::service_role(sheet, part, site, (group, "user"), service, &[], statements);
}
