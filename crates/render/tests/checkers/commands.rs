//! Every command that people are told to type, and every call of an automation, is one that AWS has: by the AWS CLI's own
//! parser and its models of the services.

use std::fs;
use std::path::Path;
use std::process::Command;

use antipode_render::runbook::{Call, Recovery, Standing};
use antipode_render::{Told, render_with};
use model::catalogue::{ActName, Home};
use model::design::Site;
use model::{Design, Part};

use crate::{default_home, specs};

const ACTS: [ActName; 7] = [
    ActName::Fence,
    ActName::Promote,
    ActName::Restore,
    ActName::Deploy,
    ActName::Start,
    ActName::Scale,
    ActName::Shift,
];

/// A recovery between each two regions that does to each component whatever can be done to it: more than an engine would.
fn recoveries(design: &Design) -> Vec<Recovery> {
    let regions: Vec<&Site> = design.regions().collect();
    let pairs = regions.iter().flat_map(|from| regions.iter().map(move |to| (*from, *to)));
    let each = pairs.filter(|(from, to)| from.id != to.id).map(|(from, to)| {
        let calls = ACTS.iter().flat_map(|act| design.components.iter().filter_map(|part| call(part, *act, from, to)));
        Recovery { from: from.id.clone(), to: to.id.clone(), calls: calls.collect() }
    });
    each.collect()
}

fn call(part: &Part, name: ActName, from: &Site, to: &Site) -> Option<Call> {
    let act = part.act(name)?;
    let (region, standing) = match &act.home {
        Home::Target => (Some(to.id.to_string()), Standing::Holds),
        Home::Source => (Some(from.id.to_string()), Standing::BestEffort),
        Home::Everywhere => (None, Standing::Holds),
        Home::Region(region) => (Some(region.clone()), Standing::Refused),
    };
    Some(Call {
        component: part.id.clone(),
        act: name,
        call: act.call.clone(),
        plane: act.plane,
        region,
        standing,
        instead: None,
    })
}

/// Renders a spec with all recoveries into a folder.
fn written(folder: &Path, name: &str, text: &str) {
    let design = specs::design(name, text);
    let told = Told { recoveries: recoveries(&design), ..Told::default() };
    let rendering = render_with(&design, "antipode.yaml", &told).unwrap_or_else(|error| panic!("{name}: {error:#?}"));
    for file in &rendering.files {
        let place = folder.join(name).join(&file.path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, &file.text).unwrap();
    }
}

/// What is wrong with the commands under `folder`.
fn complaints(folder: &Path) -> String {
    let python = default_home().join("awscli/bin/python");
    assert!(python.exists(), "{} is missing: run bin/checkers, or bin/test, which does", python.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checkers/commands.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => said,
        false => said + &String::from_utf8_lossy(&output.stderr),
    }
}

#[test]
fn every_command_is_one_that_aws_has() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in specs::all() {
        written(folder.path(), &name, &text);
    }
    let found = complaints(folder.path());
    assert!(found.is_empty(), "{found}");
}

/// The check above can fail: of a page, of an automation, of what is asked for.
#[test]
fn a_wrong_command_is_found() {
    for (file, right, wrong, says) in [
        ("runbooks/leave-us-east-1-for-eu-west-1.md", "describe-stacks", "describe-stack", "Invalid choice"),
        ("runbooks/leave-us-east-1-for-eu-west-1.md", "Stacks[0].Outputs", "Stacks[0].Output", "no Output"),
        ("runbooks/leave-us-east-1-for-eu-west-1.ssm.yaml", "Api: F", "Api: NoF", "has no NoF"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "storefront", specs::STOREFRONT);
        let path = folder.path().join("storefront").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(right), "{file} has no {right}: {text}");
        fs::write(&path, text.replacen(right, wrong, 1)).unwrap();
        let found = complaints(folder.path());
        assert!(found.contains(says), "{found}");
    }
}
