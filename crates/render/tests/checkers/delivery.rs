//! Workflows by actionlint, the script by a reading of ShellCheck's rules.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{checker, specs};

fn complaints(program: &str, file: &Path) -> String {
    let output = Command::new(checker(program)).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { String::new() } else { said }
}

#[test]
fn every_workflow_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in specs::all() {
        let file = folder.path().join("deploy.yml");
        let rendering = specs::rendering(&name, &text);
        let Some(workflow) = rendering.files.iter().find(|file| file.path.starts_with(".github/workflows/")) else {
            continue;
        };
        fs::write(&file, &workflow.text).unwrap();
        assert_eq!(complaints("actionlint", &file), "", "{name}");
    }
}

/// The checker can find something.
#[test]
fn a_workflow_with_an_unknown_key_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deploy.yml");
    fs::write(&file, "on: push\njobs: { a: { runs-on: ubuntu-24.04, step: [] } }\n").unwrap();
    assert_ne!(complaints("actionlint", &file), "");
}

#[test]
fn the_script_is_sound() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/delivery/deploy.sh");
    assert_eq!(complaints("pureshellcheck", &script), "");
    let parsed = Command::new("bash").arg("-n").arg(&script).status().unwrap();
    assert!(parsed.success());
}

/// The checker can find something.
#[test]
fn a_script_that_splits_a_name_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("deploy.sh");
    fs::write(&script, "#!/usr/bin/env bash\nname=$1\nrm -r $name\n").unwrap();
    assert_ne!(complaints("pureshellcheck", &script), "");
}
