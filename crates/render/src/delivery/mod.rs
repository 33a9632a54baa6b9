//! How what is rendered gets into the regions: which stack after which, by whom, and when users may come.
//!
//! ```text
//! Linked stacks ─► Deployment ─► cloudformation/deployment.json ◄─ deploy.sh ◄─ .github/workflows/deploy.yml
//! ```
//!
//! What there is to deploy is data; the script reads it, and the workflow calls the script, so that a deployment by hand
//! and one by the workflow are the same. The order of the regions is about roles, and a role is known at run time: whoever
//! deploys says which region serves now.

pub(crate) mod access;
mod gitops;
mod ready;
mod templates;
mod workflow;

use model::design::Site;
use model::{Design, Part};
use serde::Serialize;

use crate::link::Linked;
use crate::resource::Given;
use crate::root::Root;
use crate::sheet::Sheet;
use crate::{File, yaml};

pub use ready::Ready;

/// Everything that is deployed, for the script and for people.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Deployment {
    /// As it begins the names of what is made.
    pub workload: String,
    /// As what is made is tagged with it.
    pub tag: String,
    /// The version of the workload that every region gets.
    pub artifact: Option<String>,
    /// How the buckets of templates begin; account and region follow.
    pub bucket: String,
    pub order: Order,
    /// In the order in which they are deployed the first time.
    pub stacks: Vec<Deployed>,
}

/// Which region is first (seed 003 section 13.1, rule 7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    RecoveryFirst,
    PrimaryFirst,
    Together,
    None,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Deployed {
    /// The folder of its templates.
    pub name: String,
    pub kind: Kind,
    /// What CloudFormation calls it.
    pub stack: String,
    pub region: String,
    /// The account that it is in, when the spec says it.
    pub account: String,
    /// Whether it has nested stacks, whose templates it reads from the bucket.
    pub nested: bool,
    /// Whose outputs it is given.
    pub after: Vec<String>,
    pub given: Vec<Handed>,
    pub asked: Vec<Asked>,
    /// What recoveries change and deployments leave.
    pub state: Vec<String>,
    /// Who deploys it, and with which rights.
    pub role: String,
    pub execution: String,
    /// Seconds for which it has to be ready before the next one is deployed.
    pub bake: u64,
    pub ready: Ready,
    /// What its containers are started from: the same bytes in every region.
    pub images: Vec<Image>,
    /// Its functions, whose code is the same in every region likewise.
    pub functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Function {
    pub component: String,
    pub function: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Image {
    pub component: String,
    pub repository: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Stands for all regions, and is needed by them.
    Before,
    Region,
    /// Leads to the regions.
    After,
}

/// An output of one stack that is a parameter of another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Handed {
    pub parameter: String,
    pub stack: String,
    pub output: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Asked {
    pub parameter: String,
    pub about: String,
    pub found_by: String,
}

/// How long the first region is watched when the spec asks for a canary and says no time.
const BAKE: u64 = 600;

/// Adds the roles that deploy to the stacks that are there.
pub fn write(sheet: &mut Sheet<'_>) {
    let roots: Vec<Root> = sheet.stacks.keys().cloned().collect();
    if roots.is_empty() {
        return;
    }
    access::write(sheet, &roots);
}

/// The files of a deployment. `folder` is where the files are in their repository, such as `infrastructure`.
pub fn files(sheet: &Sheet<'_>, stacks: &[Linked], folder: &str) -> Vec<File> {
    if stacks.is_empty() {
        return Vec::new();
    }
    let deployment = deployment(sheet, stacks);
    let json = serde_json::to_string_pretty(&deployment).unwrap_or_default();
    let mut files = vec![
        File::new("cloudformation/deployment.json", format!("{json}\n")),
        File::new("cloudformation/templates.yaml", yaml::template(&templates::template(sheet), &sheet.spec)),
        File::new("deploy.sh", include_str!("deploy.sh")),
        File::new(workflow_path(sheet, folder), workflow::text(&deployment, folder, &sheet.spec)),
    ];
    files.extend(gitops::files(sheet));
    files
}

/// Where GitHub looks for it: at the root of the repository, wherever the other files are.
fn workflow_path(sheet: &Sheet<'_>, folder: &str) -> String {
    let up = folder.split('/').filter(|part| !part.is_empty()).map(|_| "../").collect::<String>();
    format!("{up}.github/workflows/{}", workflow_name(sheet))
}

/// What the workflow's file is called.
pub fn workflow_name(sheet: &Sheet<'_>) -> String {
    format!("deploy-{}.yml", sheet.named([], 40))
}

pub fn deployment(sheet: &Sheet<'_>, stacks: &[Linked]) -> Deployment {
    let design = sheet.design;
    Deployment {
        workload: sheet.named([], 40),
        tag: design.workload.clone(),
        artifact: design.artifact.clone(),
        bucket: bucket(sheet),
        order: order(design),
        stacks: stacks.iter().map(|stack| deployed(sheet, stack)).collect(),
    }
}

fn deployed(sheet: &Sheet<'_>, linked: &Linked) -> Deployed {
    let root = &linked.root;
    let parameters = &linked.master().parameters;
    let given = parameters.iter().filter_map(|parameter| match &parameter.value {
        Given::Output(from, output) => {
            Some(Handed { parameter: parameter.name.clone(), stack: from.to_string(), output: output.clone() })
        }
        _ => None,
    });
    let asked = parameters.iter().filter_map(|parameter| match &parameter.value {
        Given::Ask(how) => {
            Some(Asked { parameter: parameter.name.clone(), about: parameter.about.clone(), found_by: how.clone() })
        }
        _ => None,
    });
    let state = parameters.iter().filter(|parameter| matches!(parameter.value, Given::AtFirst(_)));
    Deployed {
        name: root.to_string(),
        kind: kind(root),
        stack: stack_name(sheet, root),
        region: linked.region.clone(),
        account: account(sheet, root).unwrap_or_default(),
        nested: linked.templates.len() > 1,
        after: linked.after.iter().map(ToString::to_string).collect(),
        given: given.collect(),
        asked: asked.collect(),
        state: state.map(|parameter| parameter.name.clone()).collect(),
        role: access::deployer(sheet, root),
        execution: access::executor(sheet, root),
        bake: bake(sheet.design),
        ready: ready::of(sheet, linked),
        images: images(sheet, root),
        functions: functions(sheet, root),
    }
}

/// The components of these kinds that a region has and that are rendered.
fn of_kinds<'d>(sheet: &Sheet<'d>, root: &Root, kinds: &[&str]) -> Vec<(&'d Part, &'d Site)> {
    let Root::Region(site) = root else { return Vec::new() };
    let Some(site) = sheet.design.site(site) else { return Vec::new() };
    let is = |part: &&Part| kinds.contains(&part.kind.name.as_str()) && (part.sites.is_empty() || part.is_in(&site.id));
    let each = sheet.design.components.iter().filter(is).filter(|part| sheet.renders(part));
    each.map(|part| (part, site)).collect()
}

fn functions(sheet: &Sheet<'_>, root: &Root) -> Vec<Function> {
    let name = |(part, site): (&Part, &Site)| Function {
        component: part.id.to_string(),
        function: crate::services::function_name(sheet, part, site),
    };
    of_kinds(sheet, root, &["aws.lambda"]).into_iter().map(name).collect()
}

fn images(sheet: &Sheet<'_>, root: &Root) -> Vec<Image> {
    let of = |(part, site): (&Part, &Site)| Image {
        component: part.id.to_string(),
        repository: crate::services::repository_name(sheet, part, site),
    };
    of_kinds(sheet, root, &["aws.ecs", "aws.fargate"]).into_iter().map(of).collect()
}

/// Who asked for a deployment: the practice, else a pipeline, else the workload itself.
fn asked(sheet: &Sheet<'_>) -> crate::resource::Asked {
    let pipeline = sheet.design.with_facet("deploy").next().map(|part| format!("components.{}", part.id));
    match pipeline {
        _ if sheet.design.says("practice.deploys") => sheet.asked_by("practice.deploys"),
        Some(path) => sheet.asked_by(&path),
        None => sheet.asked_by("workload"),
    }
}

fn kind(root: &Root) -> Kind {
    match root {
        Root::Global | Root::Switch => Kind::Before,
        Root::Region(_) => Kind::Region,
        Root::Edge | Root::Accelerator | Root::StackSets => Kind::After,
    }
}

/// What CloudFormation calls a root stack.
pub fn stack_name(sheet: &Sheet<'_>, root: &Root) -> String {
    sheet.named([root.name()], 100)
}

fn bucket(sheet: &Sheet<'_>) -> String {
    // A bucket's name has 63 characters at most; account and region take 28.
    format!("{}-templates", sheet.named([], 24))
}

fn account(sheet: &Sheet<'_>, root: &Root) -> Option<String> {
    let of_site = match root {
        Root::Region(site) => sheet.design.site(site).and_then(|site| site.account.clone()),
        _ => None,
    };
    of_site.or_else(|| sheet.design.aws.as_ref().and_then(|aws| aws.account.clone()))
}

/// As the pipeline says it, else the practice; the recovery region first when nobody does, because users notice a mistake
/// there last.
fn order(design: &Design) -> Order {
    let pipelines = design.with_facet("deploy").filter_map(|part| part.word("order"));
    match pipelines.chain(design.practice.word("deploys.order")).next() {
        Some("primary-first") => Order::PrimaryFirst,
        Some("together") => Order::Together,
        Some("none") => Order::None,
        _ => Order::RecoveryFirst,
    }
}

fn bake(design: &Design) -> u64 {
    let pipelines = || design.with_facet("deploy");
    let said = pipelines().find_map(|part| part.duration("bake")).map(|time| time.as_secs());
    let canary = pipelines().any(|part| part.word("rollout") == Some("canary"));
    said.unwrap_or(if canary { BAKE } else { 0 })
}
