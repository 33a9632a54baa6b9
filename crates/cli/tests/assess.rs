//! What `assess`, `explain` and `init` say: golden transcripts, the assessments of the five examples, and what every form of
//! an assessment must have.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const TODAY: &str = "2026-11-21";
/// Where figures are not what is looked at: as few losses as can be, for a debug build is slow.
const FEW: [&str; 2] = ["--samples", "20"];
const EXAMPLES: [&str; 5] = ["xyz-webserver", "storefront", "regulated-cases", "ha-webapp", "twenty-mistakes"];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// Runs the binary in a folder, with nothing of whoever runs the test in it.
fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antipode"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).env_clear().env("COLUMNS", "100");
    command.output().unwrap()
}

fn few(folder: &Path, args: &[&str]) -> Output {
    run(folder, &[args, &FEW[..]].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Without line breaks, so that a sentence can be looked for.
fn unwrapped(output: &Output) -> String {
    stdout(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn transcript(folder: &Path, args: &[&str]) -> String {
    support::shown(args, &run(folder, args))
}

/// An empty folder with one example's spec in it.
fn folder(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(example(name).join("antipode.yaml"), dir.path().join("antipode.yaml")).unwrap();
    dir
}

fn json(folder: &Path, args: &[&str]) -> Value {
    let mut all = vec!["assess", "--json", "--today", TODAY];
    all.extend(FEW.iter().chain(args));
    serde_json::from_str(&stdout(&run(folder, &all))).unwrap()
}

fn ids(assessment: &Value) -> BTreeSet<String> {
    let findings = assessment["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

/// Beside each example's spec is what `assess --all` says of it. `ANTIPODE_PAGES=write` writes them anew.
#[test]
fn the_examples_keep_their_assessments() {
    let write = std::env::var_os("ANTIPODE_PAGES").is_some_and(|v| v == "write");
    for name in EXAMPLES {
        let folder = example(name);
        let output = run(&folder, &["assess", "--all", "--today", TODAY]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let kept = folder.join("assessment.txt");
        if write {
            std::fs::write(&kept, stdout(&output)).unwrap();
        }
        let kept = std::fs::read_to_string(&kept).unwrap_or_default();
        assert!(
            stdout(&output) == kept,
            "{name}: the assessment is no longer that of assessment.txt; look at the difference"
        );
    }
}

/// The seeds' own designs contradict their objectives, and the assessment says so.
#[test]
fn the_contradictions_of_the_seeds_are_found() {
    let found = |name: &str| ids(&json(&example(name), &[]));
    let wanted = [
        // Daily snapshots cannot give an RPO under 15 minutes, nor two alarms of 300 s an RTO of five.
        ("xyz-webserver", &["backup-interval-exceeds-rpo", "detection-exceeds-rto"][..]),
        // Promoting a replica is not done by Route 53, and does not fit in two minutes.
        ("ha-webapp", &["promotion-not-by-dns", "promotion-exceeds-rto"]),
        // A failover across regions is started by the customer.
        ("storefront", &["cross-region-failover-not-automatic"]),
    ];
    for (name, wanted) in wanted {
        let found = found(name);
        wanted.iter().for_each(|id| assert!(found.contains(*id), "{name} has no `{id}`: {found:?}"));
    }
}

#[test]
fn the_json_has_what_the_page_promises() {
    for name in EXAMPLES {
        let a = json(&example(name), &[]);
        for key in
            ["antipode", "file", "workload", "today", "standing", "objectives", "counts", "first_blocker", "recovery"]
        {
            assert!(a.get(key).is_some(), "{name} has no {key}");
        }
        for key in ["findings", "questions", "readiness", "calls", "residency"] {
            assert!(a[key].is_array(), "{name}: {key} is no list");
        }
        let rejected = a["strategy"]["rejected"].as_array().unwrap().len();
        assert_eq!(rejected + usize::from(!a["strategy"]["chosen"].is_null()), 6, "{name}");
        assert!(a["forecast"]["rto"]["p95"].is_number() && a["cost"]["month"].is_string(), "{name}: {a}");
        let lines = std::fs::read_to_string(example(name).join("antipode.yaml")).unwrap().lines().count() as u64;
        for finding in a["findings"].as_array().unwrap() {
            assert!((1..=lines).contains(&finding["line"].as_u64().unwrap()), "{name}: {finding}");
            for key in ["id", "severity", "title", "path", "says", "consequence", "remedy", "source", "accepted"] {
                assert!(finding.get(key).is_some(), "{name}: a finding has no {key}");
            }
        }
        assert_eq!(a["questions"].as_array().unwrap().iter().filter(|q| q["group"] == "review").count(), 22);
        let counts = ["errors", "warnings", "notes", "accepted"].map(|key| a["counts"][key].as_u64().unwrap());
        assert_eq!(counts.iter().sum::<u64>() as usize, a["findings"].as_array().unwrap().len());
    }
}

#[test]
fn sarif_is_what_code_scanning_reads() {
    for name in EXAMPLES {
        let printed = stdout(&few(&example(name), &["assess", "--format", "sarif", "--today", TODAY]));
        let sarif: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((sarif["version"].as_str(), sarif["runs"].as_array().map(Vec::len)), (Some("2.1.0"), Some(1)));
        let run = &sarif["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let results = run["results"].as_array().unwrap();
        assert!(!results.is_empty() && run["tool"]["driver"]["name"] == "antipode");
        for result in results {
            let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(rule["id"], result["ruleId"]);
            assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], "antipode.yaml");
            assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
            assert!(
                result["partialFingerprints"].is_object() && !result["message"]["text"].as_str().unwrap().is_empty()
            );
        }
        let all: BTreeSet<String> = results.iter().map(|r| r["ruleId"].as_str().unwrap().to_owned()).collect();
        assert_eq!(all, ids(&json(&example(name), &[])), "every finding is a result");
    }
}

#[test]
fn the_page_needs_nothing_else_and_says_everything() {
    for name in EXAMPLES {
        let page = stdout(&few(&example(name), &["assess", "--format", "html", "--today", TODAY]));
        for outside in ["<script", "<link", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
        let markdown = stdout(&few(&example(name), &["assess", "--format", "markdown", "--today", TODAY]));
        for id in ids(&json(&example(name), &[])) {
            assert!(page.contains(&format!("id=\"{id}\"")), "{name}: {id} is not in the page");
            assert!(markdown.contains(&format!("`{id}`")), "{name}: {id} is not in the Markdown");
        }
    }
}

#[test]
fn the_gate_stops_on_what_nobody_accepts() {
    let dir = folder("ha-webapp");
    let gate = |extra: &[&str]| {
        let mut args = vec!["assess", "--today", TODAY];
        args.extend(extra);
        let output = few(dir.path(), &args);
        (output.status.code().unwrap(), unwrapped(&output))
    };
    assert_eq!(gate(&[]).0, 0, "a report is no verdict");
    assert_eq!((gate(&["--fail-on", "error"]).0, gate(&["--fail-on", "warning"]).0), (10, 10));
    let write = [
        "--write-baseline",
        "accepted.yaml",
        "--owner",
        "ana",
        "--reason",
        "known: since May",
        "--until",
        "2026-12-31",
    ];
    assert_eq!(gate(&write).0, 0);
    assert_eq!(gate(&write).0, 4, "an existing baseline is not overwritten by accident");
    let accepted = ["--baseline", "accepted.yaml", "--fail-on", "warning"];
    let (status, report) = gate(&accepted);
    assert_eq!(status, 0, "{report}");
    assert!(report.contains("NOT READY") && report.contains("by ana until 2026-12-31: known: since May"), "{report}");

    let later =
        few(dir.path(), &["assess", "--today", "2027-01-01", "--baseline", "accepted.yaml", "--fail-on", "error"]);
    assert_eq!(later.status.code(), Some(10), "an acceptance ends");
    assert!(unwrapped(&later).contains("it held until 2026-12-31"), "{}", stdout(&later));

    let text = std::fs::read_to_string(dir.path().join("accepted.yaml")).unwrap();
    std::fs::write(dir.path().join("accepted.yaml"), text.replacen("finding: ", "finding: no-such-", 1)).unwrap();
    assert_eq!(gate(&accepted).0, 2, "an entry that names nothing is a mistake, not an acceptance");
    let sarif = ["--format", "sarif"];
    assert_eq!(gate(&sarif).0, 0);
}

#[test]
fn an_accepted_finding_is_a_suppressed_result() {
    let dir = folder("ha-webapp");
    let write = ["assess", "--today", TODAY, "--write-baseline", "a.yaml", "--owner", "ana", "--reason", "known"];
    assert_eq!(few(dir.path(), &write).status.code(), Some(0));
    let printed = stdout(&few(dir.path(), &["assess", "--today", TODAY, "--baseline", "a.yaml", "--format", "sarif"]));
    let sarif: Value = serde_json::from_str(&printed).unwrap();
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        let by = result["suppressions"][0]["justification"].as_str();
        assert_eq!(by, (result["level"] != "note").then_some("known (ana, until 2027-02-19)"), "{result}");
    }
    assert_eq!(json(dir.path(), &["--baseline", "a.yaml"])["counts"]["errors"], 0);
}

#[test]
fn assessing() {
    let dir = folder("ha-webapp");
    insta::assert_snapshot!("assess_help", transcript(dir.path(), &["assess", "--help"]));
    insta::assert_snapshot!("assess", transcript(dir.path(), &["assess", "--today", TODAY]));
    insta::assert_snapshot!(
        "assess_gate",
        transcript(dir.path(), &["assess", "--today", TODAY, "--fail-on", "error", "--format", "markdown"])
    );
    insta::assert_snapshot!("assess_bad_day", transcript(dir.path(), &["assess", "--today", "2026-02-30"]));
    insta::assert_snapshot!("assess_no_baseline", transcript(dir.path(), &["assess", "--baseline", "none.yaml"]));
    insta::assert_snapshot!("assess_no_spec", transcript(dir.path(), &["assess", "none.yaml", "--format", "json"]));
    std::fs::write(dir.path().join("bad.yaml"), "workload: x\nobjectives: { rto: 30 }\nsites: {}\ncomponents: {}\n")
        .unwrap();
    insta::assert_snapshot!("assess_bad_spec", transcript(dir.path(), &["assess", "bad.yaml"]));
    let cases = folder("case-api");
    insta::assert_snapshot!("assess_runnable", transcript(cases.path(), &["assess", "--today", TODAY]));
}

#[test]
fn forecasting() {
    let dir = folder("ha-webapp");
    insta::assert_snapshot!("forecast_help", transcript(dir.path(), &["forecast", "--help"]));
    insta::assert_snapshot!("forecast_compare", transcript(dir.path(), &["forecast", "--compare", "--samples", "200"]));
    let cases = folder("case-api");
    insta::assert_snapshot!("forecast", transcript(cases.path(), &["forecast", "--samples", "200"]));
    insta::assert_snapshot!("forecast_no_rates", transcript(cases.path(), &["forecast", "--rates", "none.yaml"]));

    let told = |folder: &Path, args: &[&str]| {
        let output = few(folder, &[&["forecast", "--json"][..], args].concat());
        (output.status.code().unwrap(), serde_json::from_str::<Value>(&stdout(&output)).unwrap())
    };
    let (status, one) = told(cases.path(), &["--seed", "7"]);
    assert_eq!((status, &one["forecast"]["recovered"], &one["forecast"]["seed"]), (0, &20.into(), &7.into()));
    assert_eq!(told(cases.path(), &["--seed", "7"]).1, one, "the same seed, the same figures");
    assert_ne!(told(cases.path(), &["--seed", "8"]).1["forecast"]["rto"], one["forecast"]["rto"]);

    // Data that is nowhere else: nothing recovers it, and no forecast waits for ever.
    let spec = std::fs::read_to_string(dir.path().join("antipode.yaml")).unwrap();
    let bare = spec.replace("    replication: asynchronous             # a read replica in us-east-1\n", "");
    assert_ne!(bare, spec);
    std::fs::write(dir.path().join("antipode.yaml"), bare).unwrap();
    let (status, never) = told(dir.path(), &[]);
    assert_eq!((status, &never["forecast"]["unended"], &never["forecast"]["circling"]), (1, &20.into(), &0.into()));
    assert!(never["forecast"]["rto"]["p50"].is_null(), "{never}");
}

#[test]
fn explaining() {
    let dir = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("explain_help", transcript(dir.path(), &["explain", "--help"]));
    insta::assert_snapshot!("explain", transcript(dir.path(), &["explain", "promotion-not-by-dns"]));
    insta::assert_snapshot!("explain_json", transcript(dir.path(), &["explain", "promotion-not-by-dns", "--json"]));
    insta::assert_snapshot!("explain_kind", transcript(dir.path(), &["explain", "aws.rds"]));
    insta::assert_snapshot!("explain_unknown", transcript(dir.path(), &["explain", "promotion-not-by-dn"]));
    insta::assert_snapshot!("explain_unknown_json", transcript(dir.path(), &["explain", "quux", "--json"]));
    // The list grows: only that it has them all is fixed.
    let list = stdout(&run(dir.path(), &["explain"]));
    for row in model::findings::rows() {
        assert!(list.lines().any(|line| line.starts_with(&row.id)), "{} is not in the list", row.id);
    }
}

#[test]
fn beginning() {
    let dir = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("init_help", transcript(dir.path(), &["init", "--help"]));
    let args = [
        "init",
        "--platform",
        "aws",
        "--workload",
        "shop",
        "--regions",
        "eu-west-1,eu-central-1",
        "--survives",
        "region",
        "--rto",
        "15m",
        "--users",
        "national",
        "--writes",
        "one-region",
        "--downtime",
        "2000 USD/h",
    ];
    insta::assert_snapshot!("init_aws", transcript(dir.path(), &args));
    insta::assert_snapshot!("init_aws_spec", std::fs::read_to_string(dir.path().join("antipode.yaml")).unwrap());
    insta::assert_snapshot!("init_again", transcript(dir.path(), &args));
    assert_eq!(run(dir.path(), &["validate"]).status.code(), Some(0));
    assert_eq!(few(dir.path(), &["assess", "--today", TODAY]).status.code(), Some(0));

    // Without a terminal nothing is asked, and what must be there to be run has a usual value.
    insta::assert_snapshot!(
        "init_bare",
        transcript(dir.path(), &["init", "--workload", "cases", "--file", "own.yaml"])
    );
    insta::assert_snapshot!("init_bare_spec", std::fs::read_to_string(dir.path().join("own.yaml")).unwrap());
    let valid = run(dir.path(), &["validate", "own.yaml", "--json"]);
    let valid: Value = serde_json::from_str(&stdout(&valid)).unwrap();
    assert_eq!((valid["valid"].as_bool(), valid.get("runnable")), (Some(true), None), "{valid}");

    insta::assert_snapshot!("init_bad", transcript(dir.path(), &["init", "--rto", "30", "--file", "other.yaml"]));
    assert!(!dir.path().join("other.yaml").exists());
}
