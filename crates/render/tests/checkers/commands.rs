//! Every command that people are told to type, and every call of an automation, is one that AWS has: by the AWS CLI's own
//! parser and its models of the services.

use std::fs;
use std::path::Path;
use std::process::Command;

use antipode_render::{Told, render_with};

use crate::recoveries::recoveries;
use crate::{default_home, specs};

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

/// What the AWS CLI calls a service, where rights have another word for it.
const RIGHTS: [(&str, &str); 5] = [
    ("efs", "elasticfilesystem"),
    ("elb", "elasticloadbalancing"),
    ("elbv2", "elasticloadbalancing"),
    ("s3api", "s3"),
    ("stepfunctions", "states"),
];

/// What a page calls that changes something, as rights have it, in small letters.
fn changes(page: &str) -> Vec<String> {
    let reads = ["describe-", "get-", "head-", "help", "list-", "update-kubeconfig", "wait"];
    // A deployment has rights of its own.
    let others = ["cloudformation", "sts"];
    let calls = page.match_indices("aws ").filter_map(|(at, _)| {
        let mut words = page[at + 4..].split_whitespace();
        let (service, verb) = (words.next()?, words.next()?);
        let named = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        if !named(service)
            || !named(verb)
            || others.contains(&service)
            || reads.iter().any(|read| verb.starts_with(read))
        {
            return None;
        }
        let service = RIGHTS.iter().find(|(cli, _)| *cli == service).map_or(service, |(_, right)| right);
        let verb = if (service, verb) == ("lambda", "invoke") { "invokefunction" } else { verb };
        Some(format!("{service}:{}", verb.replace('-', "")))
    });
    calls.collect()
}

/// A recovery that is refused by IAM in its third step is worse than none.
#[test]
fn who_recovers_may_call_what_the_pages_call() {
    let (mut wrong, mut seen) = (std::collections::BTreeSet::new(), 0);
    for (name, text) in specs::all().into_iter().filter(|(_, text)| !text.contains("manage: adopt")) {
        let text = match text.contains("aws.iam") {
            true => text,
            false => text.replacen("\ncomponents:\n", "\ncomponents:\n  recoverers: { kind: aws.iam }\n", 1),
        };
        let design = specs::design(&name, &text);
        let told = Told { recoveries: recoveries(&design), ..Told::default() };
        let rendering = render_with(&design, "antipode.yaml", &told).unwrap();
        let roles = design.of_kind("aws.iam").next().unwrap().id.to_string();
        let role = format!("{}Recovery", antipode_render::names::logical([roles.as_str()]));
        let templates = rendering.stacks.iter().flat_map(|stack| &stack.templates);
        let role = templates.flat_map(|template| &template.resources).find(|resource| *resource.id == *role).unwrap();
        let may =
            crate::words::all(role, "Policies.*.PolicyDocument.Statement.*.Action").join(" ").to_ascii_lowercase();
        for page in
            rendering.files.iter().filter(|file| file.path.starts_with("runbooks/") && file.path.ends_with(".md"))
        {
            for call in changes(&page.text) {
                seen += 1;
                if !may.contains(&call) {
                    wrong.insert(format!("{name}: {call}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 100, "{seen} calls are looked at");
}

/// Whoever types a command at night sees whether it worked: each step that calls something has a query, but for what is only
/// watched.
#[test]
fn every_step_that_calls_something_is_validated() {
    let (mut wrong, mut seen) = (std::collections::BTreeSet::new(), 0);
    for (name, text) in specs::all() {
        let design = specs::design(&name, &text);
        let told = Told { recoveries: recoveries(&design), ..Told::default() };
        let rendering = render_with(&design, "antipode.yaml", &told).unwrap();
        let pages = rendering.files.iter().filter(|file| file.path.ends_with(".md") && file.path.contains("runbooks/"));
        for step in pages.flat_map(|page| page.text.split("\n### ").skip(1)) {
            let (does, sees) =
                step.split_once("\nValidate:\n").unwrap_or((step.split("\nDone at:").next().unwrap(), ""));
            let mut lines = does.split("```bash\n").skip(1).flat_map(str::lines);
            if lines.any(|line| !line.starts_with('#') && !line.starts_with("```") && !line.is_empty()) {
                seen += 1;
                if !sees.contains("```bash\n") {
                    wrong.insert(format!("{name}: {}", does.lines().next().unwrap()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 300, "{seen} steps are looked at");
}
