//! cfn-lint: no error and no warning, for every template in its own region.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{checker, specs};

/// What cfn-lint finds in the templates of each region under `folder`.
pub fn lint(folder: &Path) -> String {
    let mut found = String::new();
    for region in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let mut lint = Command::new(checker("cfn-lint"));
        lint.args(["--regions", &region.file_name().to_string_lossy(), "--format", "parseable", "--template"]);
        lint.args(fs::read_dir(region.path()).unwrap().map(|entry| entry.unwrap().path()));
        let output = lint.output().unwrap();
        found += &String::from_utf8_lossy(&output.stdout);
        if output.stdout.is_empty() && !output.status.success() {
            found += &String::from_utf8_lossy(&output.stderr);
        }
    }
    found
}

#[test]
fn every_template_is_valid_in_its_region() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in specs::all() {
        specs::write(folder.path(), &name, &specs::rendering(&name, &text));
    }
    let found = lint(folder.path());
    assert!(found.is_empty(), "{found}");
}

/// The check above can fail.
#[test]
fn a_wrong_template_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let rendering = specs::rendering("storefront", specs::STOREFRONT);
    specs::write(folder.path(), "wrong", &rendering);
    let network = folder.path().join("us-east-1/wrong-us-east-1-network.yaml");
    let text =
        fs::read_to_string(&network).unwrap().replace("CidrBlock: !Ref NetworkRange", "CidrBlok: !Ref NetworkRange");
    fs::write(&network, text).unwrap();
    assert!(lint(folder.path()).contains("CidrBlok"));
}
