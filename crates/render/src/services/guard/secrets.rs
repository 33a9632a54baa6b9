//! Secrets: made in one region, replicated to the others, and read in each by the same name.
//!
//! A replica is read without the region that it comes from; it can be changed only after it was made independent
//! (AWS Secrets Manager User Guide, "Promote a replica secret to a standalone secret").

use model::Part;
use model::design::Site;

use crate::resource::{Keep, Resource};
use crate::root::Group;
use crate::services::{peers, role};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{cat, map, names};

const REGIONS_OWN: &str = "each copy is encrypted with its region's own aws/secretsmanager key, so that a replica can be made before that region is deployed";
const NO_FUNCTION: &str =
    "what changes the value knows the system that it opens, and is the team's: the runbook says how it is rotated";

const MOVED: &str = "make a replica independent (aws secretsmanager stop-replication-to-replica) and import it into the stack of its region";

/// Characters of what is generated. Another length makes another password of what stands, which the database that was made
/// with it does not have (CloudFormation User Guide, "AWS::SecretsManager::Secret": a change makes a new version).
const PASSWORD: u64 = 32;
/// As many as a database of Oracle takes.
const OF_ORACLE: u64 = 30;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let about = format!("{} of {}", part.id, sheet.design.workload);
    let generated = map! { "PasswordLength" => PASSWORD, "ExcludeCharacters" => "\"@/\\'" };
    let name = name_everywhere(sheet, part);
    let replicated = part.bool("replicated").unwrap_or(true);
    let homes: Vec<&Site> = match replicated {
        true => peers::settled(sheet, part, "the first copy", MOVED).into_iter().collect(),
        false => sheet.sites(part),
    };
    for site in homes {
        let copies = if replicated { sheet.peers(part, site) } else { Vec::new() };
        add(sheet, part, site, "secret", (&name, &about, generated.clone()), &copies);
    }
    if part.word("rotation").is_some_and(|word| word != "none") {
        let home = peers::home(sheet, part).map_or("REGION", aws_region);
        sheet.note(
            part,
            "the function that rotates it is not rendered: it has to know the system that the secret opens",
            format!("aws secretsmanager rotate-secret --secret-id {name} --rotation-lambda-arn FUNCTION --rotation-rules AutomaticallyAfterDays=30 --region {home}"),
        );
    }
    if replicated && sheet.sites(part).len() > 1 {
        let home = peers::home(sheet, part).map_or("REGION", aws_region);
        sheet.note(
            part,
            "a replica is read without its first region, and is changed only after it was made independent",
            format!("in the region that is left with it: aws secretsmanager stop-replication-to-replica --secret-id {name}, then put-secret-value; the way back: put-secret-value in {home} too, then aws secretsmanager replicate-secret-to-regions --secret-id {name} --add-replica-regions Region=THERE --force-overwrite-replica-secret --region {home}"),
        );
    }
}

/// One secret, and its copies. `what` it is called by in templates; then its name, what it is for, and how it is made up.
fn add(
    sheet: &mut Sheet<'_>,
    part: &Part,
    site: &Site,
    what: &str,
    (name, about, generated): (&str, &str, Map),
    copies: &[&Site],
) {
    let copies: Vec<Value> = copies.iter().map(|copy| map! { "Region" => aws_region(copy) }.into()).collect();
    let properties = map! { "Name" => name, "Description" => about, "GenerateSecretString" => generated }
        .with_some("ReplicaRegions", (!copies.is_empty()).then_some(copies))
        .with("Tags", sheet.tags(Some(part)));
    let id = names::logical([part.id.as_str(), what]);
    let asked = sheet.asked(part);
    let secret = Resource::new(Group::Security, "AWS::SecretsManager::Secret", id, asked, properties)
        .keep(Keep::Retain)
        .excused("CKV_AWS_149", REGIONS_OWN)
        .excused("CKV_AWS_77", NO_FUNCTION);
    sheet.add(&regional(site), secret);
}

/// The password that a database is made with, in every region of the database. Gives its name.
pub fn master(sheet: &mut Sheet<'_>, part: &Part, user: &str) -> String {
    let name = format!("{}/{}/master", sheet.design.workload, part.id);
    if let Some(site) = peers::settled(sheet, part, "the first copy of the master password", MOVED) {
        let copies = sheet.peers(part, site);
        let about = format!("What {} was made with: its first user and password", part.id);
        let template = serde_json::json!({ "username": user }).to_string();
        let long = if part.word("engine") == Some("oracle") { OF_ORACLE } else { PASSWORD };
        let generated = map! {
            "SecretStringTemplate" => template, "GenerateStringKey" => "password", "PasswordLength" => long, "ExcludePunctuation" => true,
        };
        add(sheet, part, site, "master secret", (&name, &about, generated), &copies);
    }
    name
}

/// What it is called, which is the same in every region.
pub fn name_everywhere(sheet: &Sheet<'_>, part: &Part) -> String {
    match part.text("id").filter(|id| !id.contains("{site}")) {
        Some(id) => id.to_owned(),
        None => format!("{}/{}", sheet.design.workload, part.id),
    }
}

/// Lets a role read the secrets that a component needs, in its own region: a statement, if there are any.
pub fn readable(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Vec<Value> {
    let needed =
        part.needs.iter().filter_map(|id| sheet.part(id)).filter(|need| need.kind.name == "aws.secrets-manager");
    let arns: Vec<Value> = needed.map(|secret| arn_pattern(sheet, secret, site)).collect();
    match arns.is_empty() {
        true => Vec::new(),
        false => vec![role::allow(&["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], arns)],
    }
}

/// What a policy names it by in a region: Secrets Manager adds six characters to its ARN.
pub fn arn_pattern(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    let name = match sheet.renders(part) {
        true => name_everywhere(sheet, part),
        false => crate::services::physical(part, site).unwrap_or_else(|| part.id.to_string()),
    };
    cat!["arn:", PARTITION, ":secretsmanager:", aws_region(site), ":", ACCOUNT, ":secret:", name, "-??????"]
}
