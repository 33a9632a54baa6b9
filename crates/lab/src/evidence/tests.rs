use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn write() -> (tempfile::TempDir, PathBuf, Seal) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evidence.jsonl");
    let mut writer = Writer::create(&path, &Opening::new("region-loss", b"workload: x\n")).unwrap();
    writer.append(Kind::Spec, &"workload: x\n").unwrap();
    writer.append(Kind::Fault, &json!({ "fault": "region-loss", "hits": 17 })).unwrap();
    writer.append_all(Kind::Record, (1..=5).map(|seq| json!({ "seq": seq, "why": "a \"quoted\" ∆\n" }))).unwrap();
    writer.append(Kind::Ledger, &json!({ "lost_ids": [3, 4], ",\"hash\":\"": "a decoy" })).unwrap();
    writer.append(Kind::Verdict, &json!({ "verdict": "passed" })).unwrap();
    let seal = writer.finish().unwrap();
    (dir, path, seal)
}

/// Rewrites the file's lines and returns which line is reported, and why.
fn tampered(change: impl FnOnce(&mut Vec<String>)) -> (u64, String) {
    let (_dir, path, _) = write();
    let mut lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).unwrap();
    broken(&path)
}

fn broken(path: &std::path::Path) -> (u64, String) {
    match verify(path) {
        Err(VerifyError::Broken { line, why }) => (line, why),
        other => panic!("not found broken: {other:?}"),
    }
}

/// A line as a forger would make it: changed, with a fitting hash of its own.
fn forge(line: &str, change: impl FnOnce(String) -> String) -> String {
    let hashed = change(line[..line.rfind(HASH_FIELD).unwrap()].to_owned());
    format!("{hashed}{HASH_FIELD}{}{LINE_END}", hex_digest(hashed.as_bytes()))
}

/// Only the body changes: a bare `17` may stand in the time or the hash as well.
fn more_hits(line: String) -> String {
    let changed = line.replace(r#""hits":17"#, r#""hits":18"#);
    assert_ne!(changed, line);
    changed
}

#[test]
fn a_whole_file_verifies() {
    let (_dir, path, seal) = write();
    let summary = verify(&path).unwrap();
    assert_eq!(summary.seal, seal);
    assert_eq!(summary.seal.lines, 11);
    assert_eq!(summary.kinds[&Kind::Record], 5);
    assert_eq!(summary.opening.drill, "region-loss");
    assert_eq!(summary.opening.spec_sha256, hex_digest(b"workload: x\n"));
}

#[test]
fn the_hash_is_that_of_the_bytes_before_it() {
    let (_dir, path, seal) = write();
    let text = fs::read_to_string(&path).unwrap();
    let last = text.lines().last().unwrap();
    let (hashed, rest) = last.split_at(last.len() - 75); // ,"hash":"<64>"} as docs/evidence.md says
    assert_eq!(rest, format!(",\"hash\":\"{}\"}}", hex_digest(hashed.as_bytes())));
    assert!(rest.contains(&seal.hash));
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let (_dir, path, _) = write();
    assert!(Writer::create(&path, &Opening::new("x", b"")).is_err());
    assert!(verify(&path).is_ok());
}

#[test]
fn an_edited_line_is_named() {
    let (line, why) = tampered(|lines| lines[2] = more_hits(lines[2].clone()));
    assert_eq!(line, 3);
    assert!(why.contains("edited"), "{why}");
}

#[test]
fn an_edited_line_with_a_new_hash_breaks_the_next() {
    let (line, why) = tampered(|lines| lines[2] = forge(&lines[2], more_hits));
    assert_eq!(line, 4);
    assert!(why.contains("does not follow"), "{why}");
}

#[test]
fn a_removed_line_is_named() {
    let (line, why) = tampered(|lines| drop(lines.remove(4)));
    assert_eq!((line, why.as_str()), (5, "line 6 stands here: one line is missing before it, or lines were moved"));
}

#[test]
fn a_removed_beginning_is_named() {
    assert_eq!(tampered(|lines| drop(lines.remove(0))).0, 1);
}

#[test]
fn reordered_lines_are_named() {
    assert_eq!(tampered(|lines| lines.swap(4, 6)).0, 5);
}

#[test]
fn an_inserted_line_is_named() {
    let (line, why) = tampered(|lines| lines.insert(4, lines[3].clone()));
    assert_eq!(line, 5);
    assert!(why.contains("inserted"), "{why}");
}

#[test]
fn an_inserted_forgery_with_the_right_number_breaks_the_next() {
    let (line, _) = tampered(|lines| {
        let fake = forge(&lines[4], |text| text.replace("\"seq\":2", "\"seq\":9"));
        lines.insert(4, fake);
    });
    assert_eq!(line, 6, "the forgery itself fits; the line after it does not");
}

#[test]
fn a_line_after_the_end_is_named() {
    let (line, why) = tampered(|lines| lines.push(lines[3].clone()));
    assert_eq!((line, why.as_str()), (12, "a line was added after the end"));
}

#[test]
fn truncation_shows_at_every_length() {
    for keep in 0..11 {
        let (line, why) = tampered(|lines| lines.truncate(keep));
        assert_eq!(line, keep as u64 + 1, "{why}");
    }
    let (_dir, path, _) = write();
    let bytes = fs::read(&path).unwrap();
    for keep in 0..bytes.len() {
        fs::write(&path, &bytes[..keep]).unwrap();
        broken(&path);
    }
}

#[test]
fn what_is_not_json_is_named() {
    let (line, why) = tampered(|lines| lines[5] = "hello".into());
    assert_eq!(line, 6);
    assert!(why.contains("not JSON"), "{why}");
}

#[test]
fn another_version_is_refused() {
    let (line, why) =
        tampered(|lines| lines[0] = forge(&lines[0], |text| text.replace("\"format\":1", "\"format\":2")));
    assert_eq!((line, why.as_str()), (1, "the format is version 2, this program reads version 1"));
}

#[test]
fn a_missing_file_is_not_called_broken() {
    assert!(matches!(verify(std::path::Path::new("/nowhere")), Err(VerifyError::Unreadable { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_changed_byte_is_found(place in any::<prop::sample::Index>(), flip in 1u8..) {
        let (_dir, path, _) = write();
        let mut bytes = fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        let line = 1 + bytes[..place].iter().filter(|b| **b == b'\n').count() as u64;
        fs::write(&path, &bytes).unwrap();
        prop_assert_eq!(broken(&path).0, line);
    }
}
