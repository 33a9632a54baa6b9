//! The rules of ARCHITECTURE.md that a machine can check: who may know whom, what stays free of I/O, how long a file
//! may be, and that the document names what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each crate of the workspace, and the crates of ours that it may depend on. A new crate must be entered here.
const MAY_KNOW: [(&str, &[&str]); 9] = [
    ("antipode-model", &[]),
    ("antipode-engine", &["antipode-model"]),
    ("antipode-render", &["antipode-model"]),
    ("antipode-drivers", &["antipode-model"]),
    ("antipode-controller", &["antipode-model", "antipode-engine", "antipode-drivers"]),
    ("antipode-sim", &["antipode-model", "antipode-engine"]),
    ("antipode-lab", &["antipode-model", "antipode-engine", "antipode-drivers", "antipode-controller"]),
    (
        "antipode",
        &[
            "antipode-model",
            "antipode-engine",
            "antipode-render",
            "antipode-drivers",
            "antipode-controller",
            "antipode-sim",
            "antipode-lab",
        ],
    ),
    ("case-api", &[]),
];

/// Crates that decide, or are only data: all that they know of the world is given to them.
const PURE: [&str; 4] = ["model", "engine", "render", "sim"];

/// What uses every processor: the simulator, which says how fast it is by a real clock, and what works roots out beside one
/// another, each by itself.
const EXEMPT: [&str; 2] = ["sim/src/sweep.rs", "render/src/beside.rs"];

/// What a pure crate would need in order to read a clock, touch the world or throw dice.
const IMPURE: [&str; 14] = [
    "tokio::",
    "std::fs",
    "std::io::",
    "std::env",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "SystemTime",
    "Instant::now",
    "rand::",
    "rustix::",
    "rusqlite::",
];

/// Likewise, as dependencies.
const IMPURE_CRATES: [&str; 8] =
    ["tokio", "rand", "rustix", "rusqlite", "reqwest", "hyper", "tokio-postgres", "async-trait"];

const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Each package's direct dependencies, those of its tests included.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root());
    let output = metadata.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
    let needs = |package: &serde_json::Value| package["dependencies"].as_array().unwrap().iter().map(text).collect();
    metadata["packages"].as_array().unwrap().iter().map(|package| (text(package), needs(package))).collect()
}

/// Every Rust file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false if path.extension().is_some_and(|ext| ext == "rs") => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

fn crate_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("Cargo.toml").exists());
    folders.sort();
    folders
}

fn name(path: &Path) -> &str {
    path.file_stem().and_then(|name| name.to_str()).unwrap()
}

fn only_tests(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || name(path) == "tests" || name(path).ends_with("_tests")
}

/// The lines of `text` that are neither comments nor tests, and mention something impure.
fn impure_lines(text: &str) -> Vec<(usize, &str)> {
    let code = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    let said = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
    said.filter(|(_, line)| IMPURE.iter().any(|word| line.contains(word))).map(|(n, line)| (n + 1, line)).collect()
}

#[test]
fn crates_know_only_whom_they_may() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> = MAY_KNOW.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, listed, "the crates of the workspace, and those that MAY_KNOW lists");
    for (name, may_know) in MAY_KNOW {
        let strangers: Vec<_> = packages[name]
            .iter()
            .filter(|need| ours.contains(need.as_str()) && !may_know.contains(&need.as_str()))
            .collect();
        assert!(strangers.is_empty(), "{name} may not depend on {strangers:?}");
    }
}

#[test]
fn what_decides_has_no_io() {
    let packages = packages();
    for name in PURE {
        let needs = &packages[&format!("antipode-{name}")];
        let impure: Vec<_> = IMPURE_CRATES.iter().filter(|need| needs.contains(**need)).collect();
        assert!(impure.is_empty(), "{name} may not depend on {impure:?}");
        for file in sources(&root().join("crates").join(name).join("src")).iter().filter(|file| !only_tests(file)) {
            if EXEMPT.iter().any(|exempt| file.ends_with(exempt)) {
                continue;
            }
            let text = fs::read_to_string(file).unwrap();
            assert_eq!(impure_lines(&text), [], "in {}", file.display());
        }
    }
}

#[test]
fn the_search_for_io_sees_what_it_looks_for() {
    let text =
        "use std::fs;\n// tokio::spawn in a comment\nlet x = Instant::now();\n#[cfg(test)]\nmod t { use std::fs; }\n";
    assert_eq!(impure_lines(text), [(1, "use std::fs;"), (3, "let x = Instant::now();")]);
}

#[test]
fn files_stay_short() {
    for folder in crate_folders() {
        for file in sources(&folder.join("src")) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines: split it by what each part knows", file.display());
        }
    }
}

/// The part of the document under `### <name>`.
fn section<'a>(document: &'a str, name: &str) -> &'a str {
    let heading = format!("\n### `{name}`");
    let start = document.find(&heading).unwrap_or_else(|| panic!("ARCHITECTURE.md has no section ### `{name}`"));
    let rest = &document[start + heading.len()..];
    &rest[..rest.find("\n##").unwrap_or(rest.len())]
}

#[test]
fn the_document_names_every_crate_and_module() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for folder in crate_folders() {
        let section = section(&document, name(&folder));
        for entry in fs::read_dir(folder.join("src")).unwrap().map(|entry| entry.unwrap().path()) {
            let module = name(&entry);
            if !only_tests(&entry) && !["lib", "main"].contains(&module) {
                let crate_name = name(&folder);
                assert!(section.contains(&format!("`{module}`")), "section {crate_name} does not name `{module}`");
            }
        }
    }
}
