//! `antipode render` and its folder: nothing of anybody's is lost, and drift is told.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SPEC: &str = "\
workload: shop
objectives: { rto: 5m, rpo: 1m }
sites:
  us-east-1: { zones: [a, b], preferred: true }
  eu-west-1: { zones: [a, b], capacity: 50% }
components:
  lb: { kind: aws.alb, check: { path: /ready, every: 10s, failures: 3 } }
  web: { kind: aws.asg, behind: lb, peak: 4 }
";

/// A file that every rendering of the spec has.
const NETWORK: &str = "infrastructure/cloudformation/us-east-1/network.yaml";
const OWN: &str = "infrastructure/cloudformation/parameters/us-east-1.own.json";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("antipode.yaml"), SPEC).unwrap();
    folder
}

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antipode"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).env_clear().env("COLUMNS", "100").output().unwrap()
}

fn status(folder: &Path, args: &[&str]) -> i32 {
    run(folder, args).status.code().unwrap()
}

fn read(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap_or_default()
}

#[test]
fn what_was_rendered_is_no_drift_and_a_change_is() {
    let folder = folder();
    let here = folder.path();
    assert_eq!(status(here, &["render", "--check"]), 11, "nothing is written yet");
    assert!(!here.join("infrastructure").exists(), "a check writes nothing");
    assert_eq!(status(here, &["render"]), 0);
    assert_eq!(status(here, &["render", "--check"]), 0);
    fs::write(here.join("antipode.yaml"), SPEC.replace("peak: 4", "peak: 6")).unwrap();
    let drift = run(here, &["render", "--check", "--json"]);
    assert_eq!(drift.status.code(), Some(11));
    assert!(String::from_utf8_lossy(&drift.stdout).contains("cloudformation/parameters/us-east-1.json"));
}

#[test]
fn what_was_changed_by_hand_is_not_overwritten() {
    let folder = folder();
    let here = folder.path();
    assert_eq!(status(here, &["render"]), 0);
    let edited = read(here, NETWORK).replace("EnableDnsSupport: true", "EnableDnsSupport: false");
    fs::write(here.join(NETWORK), &edited).unwrap();
    let refused = run(here, &["render"]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cloudformation/us-east-1/network.yaml"));
    assert_eq!(read(here, NETWORK), edited, "a refusal writes nothing");
    assert_eq!(status(here, &["render", "--overwrite"]), 0);
    assert!(read(here, NETWORK).contains("EnableDnsSupport: true"));
}

#[test]
fn what_is_asked_for_no_longer_goes_and_what_is_not_ours_stays() {
    let folder = folder();
    let here = folder.path();
    assert_eq!(status(here, &["render"]), 0);
    let compute = "infrastructure/cloudformation/us-east-1/compute.yaml";
    fs::write(here.join("infrastructure/cloudformation/us-east-1/notes.txt"), "mine").unwrap();
    fs::write(
        here.join("antipode.yaml"),
        SPEC.lines().filter(|line| !line.contains("web:")).collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
    assert!(here.join(compute).exists());
    assert_eq!(status(here, &["render"]), 0);
    assert!(!here.join(compute).exists());
    assert_eq!(read(here, "infrastructure/cloudformation/us-east-1/notes.txt"), "mine");
}

#[test]
fn what_somebody_filled_in_is_kept() {
    let folder = folder();
    let here = folder.path();
    assert_eq!(status(here, &["render"]), 0);
    let filled = read(here, OWN).replace("\"ParameterValue\": \"\"", "\"ParameterValue\": \"arn:mine\"");
    fs::write(here.join(OWN), &filled).unwrap();
    assert_eq!(status(here, &["render", "--overwrite"]), 0);
    assert_eq!(read(here, OWN), filled);
    let without = filled.replace("CertificateArn", "AnotherArn");
    fs::write(here.join(OWN), &without).unwrap();
    assert_eq!(status(here, &["render", "--check"]), 11, "something is asked for that nobody has filled in");
    assert_eq!(status(here, &["render"]), 0);
    let now = read(here, OWN);
    assert!(now.contains("AnotherArn") && now.contains("arn:mine") && now.contains("CertificateArn"), "{now}");
}

/// Such a file was left as it was, without a word, and what was asked for since was never put into it.
#[test]
fn what_somebody_filled_in_and_nobody_can_read_is_refused() {
    let folder = folder();
    let here = folder.path();
    assert_eq!(status(here, &["render"]), 0);
    let broken = read(here, OWN).replace("\"ParameterValue\": \"\"", "\"ParameterValue\": arn:mine");
    fs::write(here.join(OWN), &broken).unwrap();
    for args in [&["render"] as &[&str], &["render", "--check"], &["render", "--overwrite"]] {
        let refused = run(here, args);
        let says = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(4), "{says}");
        assert!(says.contains("us-east-1.own.json") && says.contains("hint: "), "{says}");
        assert_eq!(read(here, OWN), broken);
    }
}

/// What the list names and nobody asks for is removed: a list that was tampered with removes nothing of others.
#[test]
fn a_list_that_names_what_is_never_written_removes_nothing() {
    let folder = folder();
    let here = folder.path();
    assert_eq!(status(here, &["render"]), 0);
    let list = read(here, "infrastructure/.antipode-render.json");
    let theirs = here.join("theirs.txt");
    let absolute = theirs.display().to_string();
    for path in ["../theirs.txt", "cloudformation/../../theirs.txt", absolute.as_str()] {
        fs::write(&theirs, "mine").unwrap();
        let tampered = list.replacen("\"files\": {", &format!("\"files\": {{ \"{path}\": \"0\","), 1);
        assert_ne!(tampered, list);
        fs::write(here.join("infrastructure/.antipode-render.json"), &tampered).unwrap();
        assert_eq!(status(here, &["render", "--overwrite"]), 4, "{path}");
        assert_eq!(read(here, "theirs.txt"), "mine", "{path}");
    }
}

#[test]
fn what_aws_does_not_have_is_said_with_its_line() {
    let folder = folder();
    let here = folder.path();
    fs::write(here.join("antipode.yaml"), SPEC.replace("eu-west-1:", "mars-north-1:")).unwrap();
    insta::assert_snapshot!("render_impossible", support::shown(&["render"], &run(here, &["render"])));
    assert!(!here.join("infrastructure").exists());
}

/// CloudFormation refuses an output that names a resource which a condition leaves out: the replica, before the other region
/// stands. Its runbook names it.
#[test]
fn what_may_not_be_there_is_handed_on_only_when_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ha-webapp/antipode.yaml");
    let text = fs::read_to_string(example).unwrap().replace("manage: adopt", "manage: render");
    fs::write(folder.path().join("antipode.yaml"), text).unwrap();
    assert_eq!(status(folder.path(), &["render"]), 0);
    let data = read(folder.path(), "infrastructure/cloudformation/us-east-1/data.yaml");
    let (_, outputs) = data.split_once("\nOutputs:\n").unwrap();
    assert!(outputs.contains("Value: !If\n      - DbStands\n      - !Ref DbInstance\n      - \"\"\n"), "{outputs}");
}

/// What the examples give stands beside their specs, to be read, and to see in a review what a change of the renderer
/// changes.
#[test]
fn the_examples_are_rendered_as_they_stand() {
    for name in ["xyz-webserver", "storefront", "regulated-cases", "ha-webapp"] {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
        if std::env::var("ANTIPODE_PAGES").is_ok_and(|mode| mode == "write") {
            assert_eq!(status(&example, &["render", "--overwrite"]), 0, "{name}");
        }
        let check = run(&example, &["render", "--check"]);
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        let hint = "run the test with ANTIPODE_PAGES=write, and look at what changes";
        assert_eq!(check.status.code(), Some(0), "{name}: {said}\n{hint}");
    }
}
