//! What the documents say of the sources: each test that they name is one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Pages that prove what they say by naming tests.
const PAGES: [&str; 4] = ["docs/safety.md", "docs/bad-luck.md", "docs/guards.md", "docs/drills-seen-red.md"];

/// Words of PostgreSQL that look like the name of a test.
const ITS_WORDS: [&str; 3] = ["pg_stat_replication", "recovery_target_time", "wal_log_hints"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust file below `folder`.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// The names of all tests: functions right below an attribute that makes them one, and what the simulator checks.
fn tests() -> BTreeSet<String> {
    let mut texts = Vec::new();
    ["crates", "examples"].iter().for_each(|folder| sources(&root().join(folder), &mut texts));
    texts.iter().flat_map(|text| tests_in(text)).collect()
}

fn tests_in(text: &str) -> Vec<String> {
    let (mut names, mut is_test) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = line.trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ") {
            if is_test || rest.starts_with("invariant_") {
                names.extend(rest.split(['(', '<']).next().map(str::to_owned));
            }
            is_test = false;
        }
    }
    names
}

/// Words in backquotes that can only be a test's name: a sentence in small letters. One that ends with `…` begins one.
fn named(page: &str) -> BTreeSet<&str> {
    let code = ["- file: ", "- guard: ", "- without: "];
    let quoted = page.lines().filter(|line| !code.iter().any(|begins| line.starts_with(begins)));
    let quoted = quoted.flat_map(|line| line.split('`').skip(1).step_by(2));
    let sentence = |word: &&str| {
        let plain =
            word.trim_end_matches('…').chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        plain && word.matches('_').count() >= 2
    };
    quoted.filter(sentence).collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let (tests, mut words) = (tests(), BTreeSet::new());
    assert!(tests.len() > 400, "only {} tests are found", tests.len());
    for page in PAGES {
        let text = fs::read_to_string(root().join(page)).expect("the page");
        let named = named(&text);
        assert!(named.len() >= 5, "{page} names only {named:?}");
        words.extend(named.iter().filter(|word| ITS_WORDS.contains(word)).map(|word| (*word).to_owned()));
        let exists = |name: &str| match name.strip_suffix('…') {
            Some(beginning) => tests.iter().any(|test| test.starts_with(beginning)),
            None => tests.contains(name),
        };
        let missing: Vec<_> = named.into_iter().filter(|name| !ITS_WORDS.contains(name) && !exists(name)).collect();
        assert!(missing.is_empty(), "{page} names tests that are not there: {missing:?}");
    }
    assert_eq!(words.len(), ITS_WORDS.len(), "no page has the others any more: {words:?}");
}

#[test]
fn a_test_is_known_by_its_attribute() {
    let text =
        "#[test]\nfn one_is_here() {}\nfn not_a_test() {}\n#[tokio::test(flavor = \"x\")]\nasync fn two_is_here() {}\n";
    assert_eq!(tests_in(text), ["one_is_here", "two_is_here"]);
    let page = "`one_is_here` and `a_beginning_of_it…`, not `Some_other_word` or `two_words`.\n- guard: `a_b_c`\n";
    assert_eq!(named(page), BTreeSet::from(["one_is_here", "a_beginning_of_it…"]));
}
