//! Registries of images: a repository in each region, and each region's pushes copied to the others, so that a recovery
//! pulls nothing from the region that is lost.

use model::Part;
use model::design::Site;

use crate::resource::{Keep, Resource};
use crate::root::Group;
use crate::services::{is_at, physical};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, REGION, SUFFIX, Value};
use crate::{cat, list, map, names};

/// The kinds that are started from a registry.
const PULLING: [&str; 3] = ["aws.fargate", "aws.ecs", "aws.eks"];

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let design = sheet.design;
    let pulling = |puller: &&Part| PULLING.contains(&puller.kind.name.as_str()) && puller.text("image.name").is_none();
    for site in sheet.sites(part) {
        let pulled = || design.components.iter().filter(pulling).map(|puller| ours(sheet, puller)).collect();
        let mut names = kept(sheet, part, site, pulled);
        if names.is_empty() {
            names.push(sheet.named([part.id.as_str()], 256));
        }
        for name in &names {
            repository_of(sheet, part, site, name);
        }
        replication(sheet, part, site);
    }
    if part.word("replication") != Some("none") {
        let says = "only what is pushed after replication was set up is copied, and it is one setting for the whole registry of an account and region";
        let how = "aws ecr get-registry / describe-registry before the first deployment: merge rules that are there; push older images again";
        sheet.note(part, says, how);
    }
}

fn ours(sheet: &Sheet<'_>, puller: &Part) -> String {
    format!("{}/{}", sheet.named([], 100), names::physical([puller.id.as_str()], 100))
}

/// The repositories that are of this part in a region, where there can be only one of a name: it is of the part that it was
/// of before, else of the first.
fn kept(sheet: &Sheet<'_>, part: &Part, site: &Site, names: impl Fn() -> Vec<String>) -> Vec<String> {
    let at = |other: &&Part| sheet.renders(other) && is_at(other, site);
    let all: Vec<&Part> = sheet.of_kind("aws.ecr").filter(at).collect();
    let stood = sheet.before.within(&regional(site));
    if all.len() == 1 || stood.is_empty() {
        return if all[0].id == part.id { names() } else { Vec::new() };
    }
    let had = |other: &&&Part, name: &String| stood.contains_key(repository_id(other, name).as_str());
    let keeper = |name: &String| all.iter().find(|other| had(other, name)).map_or(&all[0].id, |other| &other.id);
    names().into_iter().filter(|name| *keeper(name) == part.id).collect()
}

fn repository_id(part: &Part, name: &str) -> String {
    names::logical([part.id.as_str(), name, "repository"])
}

fn repository_of(sheet: &mut Sheet<'_>, part: &Part, site: &Site, name: &str) {
    let expires = r#"{"rules":[{"rulePriority":1,"description":"untagged images","selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":30},"action":{"type":"expire"}}]}"#;
    let properties = map! {
        "RepositoryName" => name,
        // A version is the same bytes in every region and for ever.
        "ImageTagMutability" => "IMMUTABLE",
        "ImageScanningConfiguration" => map! { "ScanOnPush" => true },
        "EncryptionConfiguration" => map! { "EncryptionType" => "KMS" },
        "LifecyclePolicy" => map! { "LifecyclePolicyText" => expires },
        "Tags" => sheet.tags(Some(part)),
    };
    let (id, asked) = (repository_id(part, name), sheet.asked(part));
    let repository = Resource::new(Group::Data, "AWS::ECR::Repository", id, asked, properties).keep(Keep::Retain);
    sheet.add(&regional(site), repository);
}

/// From every region to every other: images that came as copies are not copied again.
fn replication(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let root = regional(site);
    if part.word("replication") == Some("none")
        || sheet.peers(part, site).is_empty()
        || sheet.has(&root, "ImageReplication")
    {
        return;
    }
    let to = sheet
        .peers(part, site)
        .into_iter()
        .map(|peer| map! { "Region" => aws_region(peer), "RegistryId" => ACCOUNT }.into());
    let prefix = sheet.named([], 100);
    let rule = map! {
        "Destinations" => to.collect::<Vec<Value>>(),
        "RepositoryFilters" => list![map! { "Filter" => prefix, "FilterType" => "PREFIX_MATCH" }],
    };
    let properties = map! { "ReplicationConfiguration" => map! { "Rules" => list![rule] } };
    let asked = sheet.asked(part);
    sheet.add(
        &root,
        Resource::new(Group::Data, "AWS::ECR::ReplicationConfiguration", "ImageReplication", asked, properties),
    );
}

/// Whether its registry is made by the stack of the region that it runs in.
pub fn is_ours(sheet: &Sheet<'_>, puller: &Part, site: &Site) -> bool {
    let makes = |part: &Part| sheet.renders(part) && is_at(part, site);
    puller.at(&site.id).text("image.name").is_none() && sheet.of_kind("aws.ecr").any(makes)
}

/// Whether the spec says nothing of registries.
pub fn is_made_by_nobody(sheet: &Sheet<'_>) -> bool {
    sheet.of_kind("aws.ecr").next().is_none()
}

/// Where a component's image is pulled from in a region: always that region's own registry.
pub fn repository(sheet: &Sheet<'_>, puller: &Part, site: &Site) -> Value {
    cat![ACCOUNT, ".dkr.ecr.", REGION, ".", SUFFIX, "/", repository_name(sheet, puller, site)]
}

/// What that repository is called.
pub fn repository_name(sheet: &Sheet<'_>, puller: &Part, site: &Site) -> String {
    let named = puller.at(&site.id).text("image.name").map(str::to_owned);
    let adopted = sheet.of_kind("aws.ecr").next().filter(|part| !sheet.renders(part));
    let adopted = adopted.and_then(|part| physical(part, site));
    named.or(adopted).unwrap_or_else(|| ours(sheet, puller))
}
