//! Records of Route 53: one for each region, in that region's stack, answered by the policy that the spec wants.
//!
//! Which region is PRIMARY of a failover record, and how much each gets by weight, is state: a parameter that recoveries may
//! change and deployments leave. Nothing has to change it: a recovery moves traffic by health (a check that fails, a signal,
//! a routing control), which needs no control plane, and a record that is unhealthy stays PRIMARY.

use model::Part;
use model::design::Site;

use super::leads::{self, Lead};
use super::{acm, health, signal};
use crate::resource::{Condition, Given, Resource, Target};
use crate::root::{Group, Root};
use crate::sheet::{Sheet, aws_region, parameter, regional};
use crate::value::{Map, Value};
use crate::{map, names};

/// For how long an answer is remembered when the spec says nothing: what AWS recommends for a record with a health check.
const TTL: u64 = 60;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    zone(sheet, part);
    let sites = leads::sites(sheet, part);
    if let Some(edge) = sites.first().and_then(|site| leads::global(sheet, part, site)) {
        return everywhere(sheet, part, edge);
    }
    if policy(sheet, part) == "simple" {
        for site in &sites {
            check_id(sheet, part, site);
            if sheet.renders(part) {
                own(sheet, part, site);
            }
        }
        return one(sheet, part, &sites);
    }
    for site in &sites {
        let check = check_id(sheet, part, site);
        if sheet.renders(part) {
            records(sheet, part, site, check);
            own(sheet, part, site);
        }
    }
    notes(sheet, part);
}

fn notes(sheet: &mut Sheet<'_>, part: &Part) {
    if part.word("shift") == Some("standby-signal") {
        signal::note(sheet, part);
    }
    let by_check = part.word("shift") == Some("health-check");
    if by_check && matches!(policy(sheet, part), "failover" | "standby") {
        let says = "users come back as soon as the check of the first region is well, whether or not its data is";
        let how = "keep that region out until the data is back: its check must fail while its writer is fenced; or say `shift: standby-signal`, which is lowered by people";
        sheet.note(part, says, how);
    }
    if !sheet.renders(part) && checked(part) {
        let how = "aws route53 change-resource-record-sets: give the record of each region the HealthCheckId that its stack puts out";
        sheet.note(part, "its records are adopted, and do not know the health checks that are rendered", how);
    }
    if sheet.renders(part) && part.word("policy") == Some("multivalue") {
        let how = "nothing: each region is answered as often as the others, and only while it is healthy";
        sheet.note(
            part,
            "a load balancer has no fixed addresses to answer several of: its records are weighted equally",
            how,
        );
    }
    if sheet.renders(part) && part.word("policy") == Some("failover") && leads::sites(sheet, part).len() > 2 {
        let how = "nothing: the region with weight 1 answers; while it is unhealthy, those with weight 0 do";
        sheet.note(part, "a failover record has two sides only: with more regions it is weighted, 1 and 0", how);
    }
}

/// What the spec wants, or what fits the number of regions.
fn policy(sheet: &Sheet<'_>, part: &Part) -> &'static str {
    let several = leads::sites(sheet, part).len();
    let wanted =
        part.word("policy").unwrap_or(if part.word("shift") == Some("dns-record") { "simple" } else { "failover" });
    match wanted {
        _ if several < 2 => "simple",
        "failover" if several > 2 => "standby",
        "failover" => "failover",
        "simple" => "simple",
        "latency" => "latency",
        "geolocation" => "geolocation",
        "geoproximity" => "geoproximity",
        "multivalue" => "equal",
        _ => "weighted",
    }
}

/// Whether a record follows the health of what it leads to.
fn checked(part: &Part) -> bool {
    match part.word("shift") {
        Some("health-check" | "standby-signal" | "routing-control") => true,
        _ => part.mentions("check"),
    }
}

/// The health check of the record of this region: made when it is first asked for.
pub fn check_id(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Option<Value> {
    if !checked(part) {
        return None;
    }
    let check = match part.word("shift") {
        Some("standby-signal") if leads::sites(sheet, part).len() > 1 => signal::answers(sheet, part, site),
        Some("routing-control") => switched(sheet, part, site),
        _ => health::own(sheet, part, site).get(),
    };
    let (name, about) =
        (names::logical([part.id.as_str(), "health check id"]), "The health check of this region's record");
    sheet.output(&regional(site), name, about, check.clone());
    Some(check)
}

/// On by its routing control; where traffic may move by itself, also only while it works.
fn switched(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let switch = health::switched(sheet, part, site).get();
    if part.bool("automatic") != Some(true) {
        return switch;
    }
    let own = health::own(sheet, part, site).get();
    health::every(sheet, part, site, "answers", vec![switch, own], 2).get()
}

/// The zone, where the spec wants it to be made.
fn zone(sheet: &mut Sheet<'_>, part: &Part) {
    let Some(name) = part.text("zone").map(str::to_owned).filter(|_| sheet.renders(part)) else { return };
    let (root, id) = (Root::Global, names::logical([name.as_str(), "zone"]));
    if sheet.has(&root, &id) {
        return;
    }
    let asked = sheet.asked(part);
    let properties = map! {
        "Name" => name,
        // Within the hour, records can be changed although us-east-1 is impaired (Route 53 Developer Guide, "Accelerated
        // recovery for managing public DNS records").
        "HostedZoneFeatures" => map! { "EnableAcceleratedRecovery" => true },
        "HostedZoneTags" => sheet.tags(None),
    };
    let zone = Resource::new(Group::Network, "AWS::Route53::HostedZone", id.clone(), asked, properties)
        .keep(crate::resource::Keep::Retain)
        .excused("CKV2_AWS_38", "DNSSEC needs a record at the parent zone, which is its owner's to make")
        .excused("CKV2_AWS_39", "queries are not logged: who asks for a name is personal data");
    let zone = sheet.add(&root, zone);
    sheet.output(&root, id.clone(), "The hosted zone: its name servers go to the registrar", zone.get());
    sheet.note(
        part,
        "nobody asks a zone that was just made: certificates wait for it, and so do the regions, until the registrar names its servers",
        format!("deploy.sh global --no-check, then give the registrar what this says, then deploy the rest: aws route53 get-hosted-zone --id \"$(deploy.sh output global {id})\" --query DelegationSet.NameServers"),
    );
}

/// The zone that a name is in, as the stack of `root` knows it.
pub fn zone_id(sheet: &mut Sheet<'_>, part: &Part, root: &Root) -> Value {
    if let Some(name) = part.text("zone") {
        return sheet.target(&Root::Global, names::logical([name, "zone"])).get();
    }
    let how = format!("{} | cut -d/ -f3", find_zone(part));
    let about = format!("The hosted zone of {}.", part.id);
    sheet.ask(root, &names::logical([part.id.as_str(), "hosted zone"]), &about, how)
}

/// What finds the zone that a name is in, unless the name is in a deeper one. Route 53 lists from that name on, whether or not
/// there is one (API reference, "ListHostedZonesByName"), and private zones too.
pub fn find_zone(part: &Part) -> String {
    let name = part.text("record").unwrap_or("example.com");
    let above = name.split_once('.').map(|(_, above)| above).filter(|above| above.contains('.'));
    let zone = part.text("zone").or(above).unwrap_or(name).trim_end_matches('.');
    format!(
        "aws route53 list-hosted-zones-by-name --dns-name {zone} --region us-east-1 --query \"HostedZones[?Name=='{zone}.' && Config.PrivateZone==\\`false\\`].Id | [0]\" --output text"
    )
}

/// What all records of a name have, in the stack of `root`.
fn record(sheet: &mut Sheet<'_>, part: &Part, root: &Root) -> Map {
    let name = match part.text("record") {
        Some(name) => name.into(),
        None => {
            let about = format!("The name that clients ask for, of {}.", part.id);
            sheet.ask(
                root,
                &names::logical([part.id.as_str(), "name"]),
                &about,
                "the name that clients ask for, such as www.example.com",
            )
        }
    };
    map! { "HostedZoneId" => zone_id(sheet, part, root), "Name" => name }
}

fn add(sheet: &mut Sheet<'_>, part: &Part, root: &Root, what: &str, properties: Map) -> Target {
    let (id, asked) = (names::logical([part.id.as_str(), what]), sheet.asked(part));
    sheet.add(root, Resource::new(Group::Traffic, "AWS::Route53::RecordSet", id, asked, properties))
}

/// The parameter that says whether the records of a region stand, where a recovery takes them away: a deployment would write
/// them anew, and lead users to a region that was left. What is gone already is deleted without harm: a stack that cannot delete
/// what it has no more goes on (CloudFormation User Guide, "Stack status codes", UPDATE_COMPLETE_CLEANUP_IN_PROGRESS).
pub fn answers_parameter(part: &Part) -> String {
    names::logical([part.id.as_str(), "answers"])
}

/// Makes a record of several depend on it.
fn while_it_answers(sheet: &mut Sheet<'_>, part: &Part, record: &Target) {
    if matches!(part.word("shift"), Some("health-check" | "standby-signal" | "routing-control")) {
        return;
    }
    let about = format!("Whether the records of {} lead here: `no` while a recovery has taken them away.", part.id);
    let mut state = parameter(&answers_parameter(part), "String", &about, Given::AtFirst("yes".to_owned()));
    state.allowed = vec!["yes".to_owned(), "no".to_owned()];
    let state = sheet.parameter(&record.root, state);
    let answers = Condition::equal(names::logical([part.id.as_str(), "leads here"]), state, "yes");
    sheet.only_if(record, &answers);
}

fn ttl(part: &Part) -> u64 {
    part.duration("ttl").map_or(TTL, |ttl| ttl.as_secs())
}

/// A name that leads to one region whoever serves: what the edge asks, and what people try. The record that leads to the
/// same as `of` has it beside its own name, when the certificate of the region is ours and so proves it.
pub fn own_name(sheet: &Sheet<'_>, of: &Part, site: &Site) -> Option<String> {
    sheet.of_kind("aws.acm").find(|part| sheet.renders(part))?;
    let to = of.at(&site.id).component("to")?;
    let same = |record: &&Part| record.at(&site.id).component("to").as_ref() == Some(&to) && sheet.renders(record);
    let record = sheet.of_kind("aws.route53").filter(same).find_map(|record| record.text("record"))?;
    Some(acm::own_name(record, site))
}

/// The record of that name.
fn own(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let root = regional(site);
    let Some(name) = own_name(sheet, part, site) else { return };
    let known = sheet.stacks.get(&root).is_some_and(|stack| {
        stack.resources.iter().any(|known| known.properties.get("Name") == Some(&Value::from(&name)))
    });
    if known {
        return;
    }
    let lead = leads::by_own_name(sheet, part, site);
    let mut properties = map! { "HostedZoneId" => zone_id(sheet, part, &root), "Name" => name };
    properties.0.extend(lead.answer(false, ttl(part)).0);
    add(sheet, part, &root, "own record", properties);
}

/// The record of one region, or several where it claims several places.
fn records(sheet: &mut Sheet<'_>, part: &Part, site: &Site, check: Option<Value>) {
    let root = regional(site);
    let lead = leads::of(sheet, part, site);
    // What the load balancer thinks of its targets counts unless people decide alone.
    let by_itself =
        part.bool("automatic") != Some(false) && !matches!(part.word("shift"), Some("manual" | "dns-record"));
    let follows =
        by_itself && part.word("shift") != Some("routing-control") && part.word("shift") != Some("standby-signal");
    let mut common = record(sheet, part, &root);
    common.0.extend(lead.answer(follows, ttl(part)).0);
    common = common.with_some("HealthCheckId", check);
    if policy(sheet, part) == "geolocation" {
        return places(sheet, part, site, &common);
    }
    let (key, value) = chosen_by(sheet, part, site);
    let properties = common.with("SetIdentifier", site.id.as_str()).with(key, value);
    let record = add(sheet, part, &root, "record", properties);
    while_it_answers(sheet, part, &record);
}

/// What the policy chooses this region by.
fn chosen_by(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> (&'static str, Value) {
    let (root, first) = (regional(site), is_first(sheet, part, site));
    let state = |sheet: &mut Sheet<'_>, what: &str, kind, about: String, value: String, allowed: &[&str]| {
        let mut state = parameter(&names::logical([part.id.as_str(), what]), kind, &about, Given::AtFirst(value));
        state.allowed = allowed.iter().map(|word| (*word).to_owned()).collect();
        sheet.parameter(&root, state)
    };
    let weight = |sheet: &mut Sheet<'_>, at_first: u64| {
        let about =
            format!("How much of the answers of {} this region gets, beside the other weights, 0 to 255.", part.id);
        state(sheet, "weight", "Number", about, at_first.to_string(), &[])
    };
    match policy(sheet, part) {
        "failover" => {
            let about =
                format!("Whether {} leads here as long as this region is healthy. Health moves it, not this.", part.id);
            let side = if first { "PRIMARY" } else { "SECONDARY" };
            ("Failover", state(sheet, "failover", "String", about, side.to_owned(), &["PRIMARY", "SECONDARY"]))
        }
        "standby" => ("Weight", weight(sheet, u64::from(first))),
        "equal" => ("Weight", 1.into()),
        "latency" => ("Region", aws_region(site).into()),
        "geoproximity" => {
            let bias = site.bias.unwrap_or(0).clamp(-99, 99);
            ("GeoProximityLocation", map! { "AWSRegion" => aws_region(site), "Bias" => bias }.into())
        }
        _ => {
            let share = site.traffic_weight.map_or(if first { 100 } else { 0 }, |weight| u64::from(weight.min(255)));
            ("Weight", weight(sheet, share))
        }
    }
}

/// Whether it is the region where the workload lives when all is well.
fn is_first(sheet: &Sheet<'_>, part: &Part, site: &Site) -> bool {
    let sites = leads::sites(sheet, part);
    let preferred = sites.iter().find(|site| site.preferred).or(sites.first());
    preferred.is_some_and(|preferred| preferred.id == site.id)
}

/// The continents of Route 53. Where a code is a country's too, the continent is meant.
const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// The places that a region claims, `*` for everybody else where it is the fallback.
fn claimed<'s>(part: &Part, site: &'s Site) -> Vec<&'s str> {
    let mut codes: Vec<&str> = site.geo.iter().map(String::as_str).collect();
    if part.site("fallback").as_ref() == Some(&site.id) && !codes.contains(&"*") {
        codes.push("*");
    }
    codes
}

fn place_identifier(site: &Site, code: &str) -> String {
    format!("{}-{}", site.id, place_word(code))
}

fn place_word(code: &str) -> &str {
    if code == "*" { "everybody" } else { code }
}

/// Whether one record leads to one region at a time.
pub fn is_one(sheet: &Sheet<'_>, part: &Part) -> bool {
    policy(sheet, part) == "simple"
}

/// What tells the records of a region from those of the others of the same name.
pub fn identifiers(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Vec<String> {
    match policy(sheet, part) {
        "geolocation" => claimed(part, site).into_iter().map(|code| place_identifier(site, code)).collect(),
        _ => vec![site.id.to_string()],
    }
}

/// A record for each place that a region claims, and one for everybody else in the region that is the fallback.
fn places(sheet: &mut Sheet<'_>, part: &Part, site: &Site, common: &Map) {
    let codes = claimed(part, site);
    if codes.is_empty() {
        let hint = "say which countries or continents it answers: `geo: [EU]`, or `fallback` of the record";
        sheet.problem(
            &format!("sites.{}", site.id),
            format!("{} is answered by place, and {} claims none", part.id, site.id),
            hint,
        );
    }
    for code in codes {
        let place = match CONTINENTS.contains(&code) {
            true => map! { "ContinentCode" => code },
            false => map! { "CountryCode" => code },
        };
        let properties = common.clone().with("SetIdentifier", place_identifier(site, code)).with("GeoLocation", place);
        let record = add(sheet, part, &regional(site), &format!("record {}", place_word(code)), properties);
        while_it_answers(sheet, part, &record);
    }
}

/// One record that leads to one region at a time: moving it is a change of the record, in us-east-1, which is what the spec
/// asks for. Where it leads is state.
fn one(sheet: &mut Sheet<'_>, part: &Part, sites: &[&Site]) {
    if !sheet.renders(part) {
        return;
    }
    let root = Root::Edge;
    let Some(last) = sites.last() else { return };
    let Some(first) = sites.iter().find(|site| is_first(sheet, part, site)) else { return };
    let about = format!("The region that {} leads to. A recovery changes it, no deployment does.", part.id);
    let mut active = parameter(
        &names::logical([part.id.as_str(), "leads to"]),
        "String",
        &about,
        Given::AtFirst(first.id.to_string()),
    );
    active.allowed = sites.iter().map(|site| site.id.to_string()).collect();
    let mut answer = leads::of(sheet, part, last);
    if sites.len() > 1 {
        let active = sheet.parameter(&root, active);
        for site in sites.iter().rev().skip(1) {
            let here = Condition::equal(
                names::logical([part.id.as_str(), "in", site.id.as_str()]),
                active.clone(),
                site.id.as_str(),
            );
            let lead = leads::of(sheet, part, site);
            answer = either(&here, lead, answer);
        }
    }
    let mut properties = record(sheet, part, &root);
    properties.0.extend(answer.answer(false, ttl(part)).0);
    add(sheet, part, &root, "record", properties);
}

fn either(here: &Condition, lead: Lead, otherwise: Lead) -> Lead {
    let choose = |one: Value, other: Value| Value::either(here.clone(), one, other);
    match (lead, otherwise) {
        (Lead::Alias { name, zone }, Lead::Alias { name: other, zone: elsewhere }) => {
            Lead::Alias { name: choose(name, other), zone: choose(zone, elsewhere) }
        }
        // As many as both have: the last ones of one that has more lead nowhere.
        (Lead::Addresses(all), Lead::Addresses(others)) => {
            Lead::Addresses(all.into_iter().zip(others).map(|(one, other)| choose(one, other)).collect())
        }
        (Lead::Address(address), Lead::Address(other)) => Lead::Address(choose(address, other)),
        (lead, otherwise) => Lead::Name(choose(lead.name(), otherwise.name())),
    }
}

/// A name that leads to what is at the edge, and so to no region.
fn everywhere(sheet: &mut Sheet<'_>, part: &Part, (root, lead): (Root, Lead)) {
    if !sheet.renders(part) {
        return;
    }
    let mut properties = record(sheet, part, &root);
    properties.0.extend(lead.answer(false, ttl(part)).0);
    add(sheet, part, &root, "record", properties);
}
