//! Bytes that nobody vouches for: specs, journals, evidence, DNS packets. The corpus in `fuzz/corpus` is replayed, then
//! mutated for a bounded number of inputs. `fuzz/run` searches on, led by coverage, as long as one likes.
//!
//! `ANTIPODE_FUZZ_INPUTS` sets the number of mutated inputs for each target, `ANTIPODE_FUZZ_SEED` where they begin.

mod mutate;
mod targets;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use mutate::Mutator;

/// Few enough for every run of the tests; each target does thousands of them in seconds.
const INPUTS: u64 = 2_000;
const SEED: u64 = 1;

static PANICKED: AtomicBool = AtomicBool::new(false);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let entries = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// Replays the corpus and `more`, then mutations of them. A panic in a server's task counts like one of our own.
fn fuzz(target: &str, more: Vec<Vec<u8>>, check: fn(&[u8])) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::SeqCst);
        usual(info);
    }));
    let try_one = |what: &str, input: &[u8]| {
        let held = std::panic::catch_unwind(|| check(input)).is_ok() && !PANICKED.load(Ordering::SeqCst);
        assert!(held, "{target}, {what}: {}", keep(target, input));
    };
    let corpus = files(&root().join("fuzz/corpus").join(target));
    assert!(!corpus.is_empty(), "no corpus");
    for (path, input) in &corpus {
        try_one(&path.display().to_string(), input);
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).chain(more).collect();
    let (seed, count) = (number("ANTIPODE_FUZZ_SEED", SEED), number("ANTIPODE_FUZZ_INPUTS", INPUTS));
    println!("{target}: {} inputs, {count} mutations from seed {seed}", inputs.len());
    for n in 0..count {
        let mut mutator = Mutator::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(n));
        let input = mutator.mutate(&inputs);
        try_one(&format!("seed {seed}, mutation {n}"), &input);
    }
}

/// Where the input is, to be tried again and to become part of the corpus.
fn keep(target: &str, input: &[u8]) -> String {
    let path = std::env::temp_dir().join(format!("antipode-fuzz-{target}-{}", std::process::id()));
    match std::fs::write(&path, input) {
        Ok(()) => format!("the input is kept in {}", path.display()),
        Err(error) => format!("the input cannot be kept: {error}: {input:02x?}"),
    }
}

#[test]
fn fuzzed_specs_are_refused_at_a_place_in_the_text() {
    let assessed = ["xyz-webserver", "storefront", "regulated-cases", "ha-webapp", "twenty-mistakes"];
    let assessed = assessed.map(|name| format!("examples/{name}"));
    let folders =
        ["examples/case-api", "crates/model/tests/bad"].into_iter().chain(assessed.iter().map(String::as_str));
    let specs = folders.map(|folder| files(&root().join(folder)));
    let specs = specs.flatten().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "yaml"));
    fuzz("spec", specs.map(|(_, text)| text).collect(), targets::spec::check);
}

#[test]
fn fuzzed_evidence_never_verifies_with_the_seal_of_another_file() {
    fuzz("evidence", vec![], targets::evidence::check);
}

#[test]
fn fuzzed_journals_are_whole_or_refused() {
    fuzz("journal", targets::journal::other_numbers(), targets::journal::check);
}

#[test]
fn fuzzed_dns_packets_are_answered_within_the_protocol() {
    fuzz("dns", targets::dns::questions(), targets::dns::check);
}
