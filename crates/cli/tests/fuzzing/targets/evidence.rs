//! The evidence verifier: two different files never have the same seal, and what verifies is counted rightly.
//!
//! Mutations of a whole file almost never get past the first hash. So an input that begins with [`CHAIN`] is a file
//! without hashes, which is chained before it is checked: a forger who knows how the chain is made. Where that verifies, it
//! is checked again with each of its bytes changed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use lab::evidence::{self, Kind, VerifyError};
use sha2::{Digest, Sha256};

/// Begins an input that is to be chained.
pub const CHAIN: u8 = b'#';

static FILE: LazyLock<PathBuf> = LazyLock::new(|| super::scratch("evidence").join("evidence.jsonl"));
/// Every file that verified in this process, by its seal.
static SEALED: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());

pub fn check(bytes: &[u8]) {
    let chained = bytes.strip_prefix(&[CHAIN]).map(chain);
    let bytes = chained.as_deref().unwrap_or(bytes);
    std::fs::write(&*FILE, bytes).expect("memory has room");
    let summary = match evidence::verify(&FILE) {
        Ok(summary) => summary,
        Err(VerifyError::Broken { line, why }) => {
            let lines = bytes.split(|byte| *byte == b'\n').count() as u64;
            assert!((1..=lines + 1).contains(&line), "line {line} of {lines} is broken: {why}");
            return;
        }
        Err(error) => panic!("{error}: the file is there"),
    };
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!((summary.seal.lines, summary.kinds.values().sum::<u64>()), (lines, lines));
    assert_eq!((summary.kinds[&Kind::Drill], summary.kinds[&Kind::End]), (1, 1), "one beginning, one end");
    let mut sealed = SEALED.lock().unwrap();
    let hash = summary.seal.hash;
    let first = sealed.entry(hash.clone()).or_insert_with(|| bytes.to_vec());
    assert!(first == bytes, "two files have one seal");
    if chained.is_some() {
        no_byte_may_change(bytes, &hash);
    }
}

/// What mutations of a whole file seldom are: an edit after which it is still evidence, if nobody looks at the hashes.
fn no_byte_may_change(whole: &[u8], hash: &str) {
    for at in 0..whole.len() {
        let mut edited = whole.to_vec();
        edited[at] ^= 1;
        std::fs::write(&*FILE, &edited).expect("memory has room");
        let verified = evidence::verify(&FILE).is_ok_and(|summary| summary.seal.hash == hash);
        assert!(!verified, "byte {at} was changed, and the seal is the same");
    }
}

/// Gives each line the hash of its bytes, and where it says `"prev":""` the hash of the line before.
pub fn chain(bytes: &[u8]) -> Vec<u8> {
    let mut before = "0".repeat(64);
    let mut chained = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line = replaced(line, br#""prev":"""#, format!(r#""prev":"{before}""#).as_bytes());
        let hash: String = Sha256::digest(&line).iter().map(|byte| format!("{byte:02x}")).collect();
        chained.extend_from_slice(&line);
        chained.extend_from_slice(format!(",\"hash\":\"{hash}\"}}\n").as_bytes());
        before = hash;
    }
    chained
}

fn replaced(line: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    match line.windows(what.len()).position(|window| window == what) {
        Some(at) => [&line[..at], with, &line[at + what.len()..]].concat(),
        None => line.to_vec(),
    }
}
