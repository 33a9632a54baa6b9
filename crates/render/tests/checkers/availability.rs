//! What is said of regions and types is what cfn-lint knows.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::checker;

#[test]
fn the_data_of_regions_is_what_cfn_lint_knows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = checker("cfn-lint").with_file_name("python");
    let output = Command::new(python).arg(root.join("bin/region-support")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (file, now) = (root.join("crates/render/data/regions.json"), String::from_utf8(output.stdout).unwrap());
    if std::env::var("ANTIPODE_PAGES").is_ok_and(|mode| mode == "write") {
        fs::write(&file, &now).unwrap();
    }
    let same = fs::read_to_string(&file).unwrap() == now;
    assert!(same, "{} is not what bin/region-support writes: run the test with ANTIPODE_PAGES=write", file.display());
}
