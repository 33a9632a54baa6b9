//! What keeps clients from a writer that is left, where the spec asks for it by `fence: [nacl]` or `[security-group]`.
//!
//! It is shut by one call in the region that is left, which that region answers or does not: nobody waits for it. It stays
//! shut whatever is deployed there, because what a recovery adds is no template's, and a parameter that says the same is
//! left as it is by deployments.
//!
//! # What it is not
//! A receipt. RDS knows no epoch, and nobody attests that no statement runs: one that has arrived goes on and commits, and
//! so does what the server does by itself (a scheduled job, an open transaction that only waits for a lock). What is
//! refused is whatever a client sends afterwards. So an unplanned promotion still needs the answer of people to what may be
//! lost, and a planned one looks at the lag once it is shut, before it promotes.
//!
//! # Rejected
//! - Another list for each subnet (`ReplaceNetworkAclAssociation`): a call for each zone, and the data writes on in between.
//! - A security group alone: it is asked when a connection begins, and those that are open go on (Amazon EC2 User Guide,
//!   "Security group connection tracking"). It is the second of the two, against who comes around the list.

use model::Part;
use model::design::Site;

use super::{database, id};
use crate::resource::{Condition, Given, Parameter, Resource, Target};
use crate::root::Group;
use crate::services::network::{self, apart};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::Value;
use crate::{map, names};

/// Addresses that are nobody's on the internet: where clients are. What RDS itself sends between regions is not among them.
pub const CLIENTS: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// The rule that a recovery adds; those of a template begin after these.
pub const FIRST_BY_TEMPLATE: usize = 100;

pub fn by_list(part: &Part) -> bool {
    part.words("fence").is_some_and(|words| words.contains(&"nacl"))
}

fn by_group(part: &Part) -> bool {
    part.words("fence").is_some_and(|words| words.contains(&"security-group"))
}

/// Whether there is a list of ours around it in a region.
pub fn stands(sheet: &Sheet<'_>, part: &Part, site: &Site) -> bool {
    by_list(part) && apart::list(sheet, site).is_some_and(|list| sheet.has(&list.root, &list.id))
}

/// Which of the components that ever had a list it is, from 1: the number of its rule, whatever comes before it in the file.
pub fn number(sheet: &Sheet<'_>, part: &Part) -> usize {
    sheet.fenced.iter().take_while(|other| **other != part.id).count() + 1
}

/// Where its instances stand: apart, when a list fences them.
pub fn subnets(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let apart = if by_list(part) { apart::subnets(sheet, site) } else { None };
    apart.unwrap_or_else(|| network::private_subnets(sheet, site))
}

/// That clients are let in: `shut` takes what lets them in away, and adds what refuses them.
fn open(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> (Condition, Condition) {
    let about = format!(
        "Whether clients reach {} in this region: `open`, or `shut` while it must not write. Recoveries say it, deployments do not.",
        part.id
    );
    let asked = parameter(&id(part, "gate"), "String", &about, Given::AtFirst("open".to_owned()));
    let gate = Parameter { allowed: vec!["open".to_owned(), "shut".to_owned()], ..asked };
    let gate = sheet.parameter(&regional(site), gate);
    let is = |word: &str| Condition::equal(id(part, &format!("gate is {word}")), gate.clone(), word);
    (is("open"), is("shut"))
}

/// Puts the fence around what has just been written in a region: `rules` let clients in.
pub fn around(sheet: &mut Sheet<'_>, part: &Part, site: &Site, rules: &[Target]) {
    if !by_list(part) && !by_group(part) {
        return;
    }
    let (open, shut) = open(sheet, part, site);
    if by_group(part) {
        rules.iter().for_each(|rule| sheet.only_if(rule, &open));
        sessions(sheet, part);
    }
    let Some(list) = apart::list(sheet, site).filter(|_| by_list(part)) else { return unfenced(sheet, part) };
    let (root, asked, port) = (regional(site), sheet.asked(part), u32::from(database::port(part)));
    for (n, addresses) in CLIENTS.into_iter().enumerate() {
        let rule = FIRST_BY_TEMPLATE + number(sheet, part) * CLIENTS.len() + n;
        let properties = map! {
            "NetworkAclId" => list.get(), "RuleNumber" => rule, "Protocol" => 6, "RuleAction" => "deny", "Egress" => false,
            "CidrBlock" => addresses, "PortRange" => map! { "From" => port, "To" => port },
        };
        let id = names::logical([part.id.as_str(), "shut out", &(n + 1).to_string()]);
        let entry = Resource::new(Group::Network, "AWS::EC2::NetworkAclEntry", id, asked.clone(), properties);
        sheet.add(&root, entry.only_if(shut.clone()));
    }
    told(sheet, part);
}

/// Where the network is somebody else's, so are its lists.
fn unfenced(sheet: &mut Sheet<'_>, part: &Part) {
    if by_list(part)
        && !sheet.notes.iter().any(|note| note.component == part.id && note.says.starts_with("its network"))
    {
        let how = "give its subnets a list of their own, in which nothing else stands, marked antipode:fence; the runbook asks for both";
        sheet.note(part, "its network is adopted, and no list of ours can shut it", how);
    }
}

/// What a security group alone is good for.
fn sessions(sheet: &mut Sheet<'_>, part: &Part) {
    let says = "its security group lets no new session in once it is shut, and those that are open go on";
    if by_list(part) || sheet.notes.iter().any(|note| note.component == part.id && note.says == says) {
        return;
    }
    let gate = id(part, "gate");
    let how = format!(
        "bash deploy.sh REGION --set {gate}=shut in the region that is left, then end the sessions; say `fence: [nacl, security-group]` for a list that refuses what open sessions send"
    );
    sheet.note(part, says, how);
}

fn told(sheet: &mut Sheet<'_>, part: &Part) {
    let says = "its fence refuses what clients send from then on; a statement that has arrived, and a job of the server itself, go on";
    if sheet.notes.iter().any(|note| note.component == part.id && note.says == says) {
        return;
    }
    let same = sheet.design.components.iter().filter(|other| by_list(other) && other.id != part.id);
    let same: Vec<&str> =
        same.filter(|other| database::port(other) == database::port(part)).map(|other| other.id.as_str()).collect();
    let beside = match same.is_empty() {
        true => String::new(),
        false => format!("; {} listens on the same port, and is shut with it", same.join(", ")),
    };
    let gate = id(part, "gate");
    let how = format!(
        "shut it by the runbook's call, and keep it shut: bash deploy.sh REGION --set {gate}=shut; open it again, when the region follows or is returned to: delete that rule, and --set {gate}=open{beside}"
    );
    sheet.note(part, says, how);
}
