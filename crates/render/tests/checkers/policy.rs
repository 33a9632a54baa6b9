//! checkov: nothing is unsafe but for a reason, which stands beside the resource in the template.

use std::process::Command;

use crate::{checker, specs};

fn failed(folder: &std::path::Path) -> Vec<String> {
    let mut policy = Command::new(checker("checkov"));
    policy.args([
        "--framework",
        "cloudformation",
        "--quiet",
        "--compact",
        "--skip-download",
        "--output",
        "json",
        "--directory",
    ]);
    let output = policy.arg(folder).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    });
    assert_eq!(report["summary"]["parsing_errors"], 0, "{report:#}");
    let checks = report["results"]["failed_checks"].as_array().cloned().unwrap_or_default();
    let line = |check: &serde_json::Value| {
        format!("{} {} {} {}", check["file_path"], check["resource"], check["check_id"], check["check_name"])
    };
    checks.iter().map(line).collect()
}

#[test]
fn nothing_is_unsafe_without_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in specs::all() {
        specs::write(folder.path(), &name, &specs::rendering(&name, &text));
    }
    let failed = failed(folder.path());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The check above can fail.
#[test]
fn an_unsafe_template_is_found() {
    let folder = tempfile::tempdir().unwrap();
    specs::write(folder.path(), "unsafe", &specs::rendering("storefront", specs::STOREFRONT));
    let security = folder.path().join("us-east-1/unsafe-us-east-1-security.yaml");
    let text = std::fs::read_to_string(&security).unwrap();
    let spoiled = text.replace("EnableKeyRotation: true", "EnableKeyRotation: false");
    assert_ne!(spoiled, text);
    std::fs::remove_dir_all(folder.path()).unwrap();
    std::fs::create_dir(folder.path()).unwrap();
    std::fs::write(folder.path().join("security.yaml"), spoiled).unwrap();
    let failed = failed(folder.path());
    assert!(failed.iter().any(|check| check.contains("CKV_AWS_7")), "{failed:?}");
}
