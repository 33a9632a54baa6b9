//! `docs/guards.md` against the tree: each guard stands where the page says, and each catcher exists. The long test, which
//! `bin/guards` runs, takes each guard away in a copy of the tree and expects its catcher to fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One condition, and what fails without it.
#[derive(Debug)]
struct Guard {
    title: String,
    /// File, text with the guard, text without it. Absent for a guard of the modelled world.
    change: Option<(String, String, String)>,
    package: String,
    /// Which of its tests: `--lib`, unless the page says otherwise.
    target: Vec<String>,
    test: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn guards() -> Vec<Guard> {
    let page = fs::read_to_string(root().join("docs/guards.md")).expect("docs/guards.md");
    page.split("\n### ").skip(1).map(guard).collect()
}

fn guard(section: &str) -> Guard {
    let title = section.lines().next().unwrap_or_default().to_owned();
    let line = |key: &str| section.lines().find_map(|line| line.strip_prefix(&format!("- {key}: ")));
    let plain = |text: &str| text.trim_start_matches('`').trim_end_matches('`').to_owned();
    let caught = line("caught by").unwrap_or_else(|| panic!("nothing catches `{title}`"));
    let (package, test) = caught.split_once("` `").unwrap_or_else(|| panic!("`{title}`: `package` `test`"));
    let change = line("file").map(|file| {
        let text = |key| plain(line(key).unwrap_or_else(|| panic!("`{title}` has no `{key}`")));
        (plain(file), text("guard"), text("without"))
    });
    let (package, test) = (plain(package), plain(test));
    let mut words = package.split(' ').map(str::to_owned);
    let package = words.next().unwrap_or_default();
    let target: Vec<String> = words.collect();
    let target = if target.is_empty() { vec!["--lib".to_owned()] } else { target };
    Guard { title, change, package, target, test }
}

/// Every Rust file of a package.
fn sources(package: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let folder = if package == "antipode" { "cli" } else { package.trim_start_matches("antipode-") };
    let mut folders = vec![root().join("crates").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry").path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(kind) if kind == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn each_guard_stands_where_the_page_says_and_its_catcher_exists() {
    let guards = guards();
    assert!(guards.len() > 50, "only {} guards", guards.len());
    for Guard { title, change, package, test, .. } in &guards {
        if let Some((file, with, without)) = change {
            let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{title}: {file}: {error}"));
            assert_eq!(text.matches(with.as_str()).count(), 1, "{title}: `{with}` in {file}");
            assert_ne!(with, without, "{title}");
        }
        let header = format!("fn {test}()");
        let exists =
            sources(package).iter().any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(&header)));
        assert!(exists, "{title}: {package} has no test `{test}`");
    }
}

fn cargo(tree: &Path, guard: &Guard, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(tree).args(["test", "--quiet", "--package", &guard.package]).args(&guard.target).args(more);
    command.output().expect("cargo starts")
}

/// Only some: `GUARDS=voter bin/guards` takes away those whose title or file contains the word.
#[test]
#[ignore = "builds the engine once for each guard; `bin/guards` runs it"]
fn each_guard_is_missed() {
    let wanted = std::env::var("GUARDS").unwrap_or_default();
    let tree = tempfile::tempdir().expect("a folder");
    let files = Command::new("git").arg("-C").arg(root()).args(["ls-files", "-z"]).output().expect("git").stdout;
    for file in String::from_utf8(files).expect("names").split('\0').filter(|file| !file.is_empty()) {
        let copy = tree.path().join(file);
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        if root().join(file).is_file() {
            fs::copy(root().join(file), copy).expect("a copy");
        }
    }
    let mut survivors = Vec::new();
    for guard in guards() {
        let Some((file, with, without)) = &guard.change else { continue };
        if !guard.title.contains(&wanted) && !file.contains(&wanted) {
            continue;
        }
        let path = tree.path().join(file);
        let text = fs::read_to_string(&path).expect("the file");
        fs::write(&path, text.replacen(with.as_str(), without, 1)).expect("the file is changed");
        let built = cargo(tree.path(), &guard, &["--no-run"]);
        let ran = cargo(tree.path(), &guard, &[&guard.test]);
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        fs::write(&path, text).expect("the file is put back");
        let verdict = match (built.status.success(), said.contains("running 1 test"), ran.status.success()) {
            (false, ..) => "DOES NOT BUILD",
            (_, false, _) => "NO SUCH TEST",
            (.., true) => "SURVIVES",
            (.., false) => "caught",
        };
        println!("{verdict}: {} ({file}, {})", guard.title, guard.test);
        if verdict != "caught" {
            survivors.push(format!("{verdict}: {}\n{}", guard.title, String::from_utf8_lossy(&built.stderr)));
        }
    }
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}
