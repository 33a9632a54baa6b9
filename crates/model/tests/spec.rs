//! What an operator reads: golden texts of every error, and what the example files mean.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antipode_model::spec::{self, Problem, Severity, Span};
use antipode_model::topology::{FailoverMode, Replication, WhenAlone};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(here(path)).expect("the file is part of the repository")
}

fn bad_files() -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(here("tests/bad")).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    files
}

/// Every problem with the line that it is on; the CLI draws the same through miette.
fn render(text: &str, problems: &[Problem]) -> String {
    let mut out = String::new();
    let line = |span: Span| text.lines().nth(span.line - 1).unwrap_or_default();
    let underline = |out: &mut String, span: Span, label: &str| {
        let width = text[span.offset..span.offset + span.len].chars().take_while(|c| *c != '\n').count().max(1);
        writeln!(out, "  {:>3} | {}", span.line, line(span)).unwrap();
        writeln!(out, "      | {}{} {label}", " ".repeat(span.column - 1), "^".repeat(width)).unwrap();
    };
    for problem in problems {
        let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
        writeln!(out, "{severity}[{}]: {}", problem.code, problem.message).unwrap();
        underline(&mut out, problem.span, &problem.label);
        if let Some(related) = &problem.related {
            underline(&mut out, related.span, &related.label);
        }
        if let Some(hint) = &problem.hint {
            writeln!(out, "  hint: {hint}").unwrap();
        }
        out.push('\n');
    }
    out
}

#[test]
fn every_bad_file_says_what_is_wrong_and_where() {
    for path in bad_files() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let checked = spec::check(&text);
        assert!(!checked.problems.is_empty(), "{name} is not bad");
        let errors = checked.problems.iter().any(|p| p.severity == Severity::Error);
        assert_eq!(checked.topology.is_none(), errors, "{name}: a topology exactly when there is no error");
        assert_eq!(checked.design.is_none(), errors, "{name}: a design exactly when there is no error");
        insta::assert_snapshot!(name, render(&text, &checked.problems));
    }
}

/// The spans are what editors and the terminal mark: they must be inside the text, on character boundaries.
#[test]
fn spans_lie_in_the_text() {
    for path in bad_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        for problem in spec::check(&text).problems {
            let Span { line, column, offset, len } = problem.span;
            assert!(text.get(offset..offset + len).is_some(), "{path:?}: {problem:?}");
            let before = &text[..offset];
            assert_eq!(line, before.matches('\n').count() + 1, "{path:?}: {problem:?}");
            assert_eq!(column, before.chars().rev().take_while(|c| *c != '\n').count() + 1, "{path:?}: {problem:?}");
        }
    }
}

#[test]
fn every_code_is_shown_by_a_bad_file_and_no_other_code_exists() {
    let texts = bad_files().into_iter().map(|f| std::fs::read_to_string(f).unwrap());
    let seen: BTreeSet<&str> = texts.flat_map(|t| spec::check(&t).problems).map(|p| p.code).collect();
    assert_eq!(seen, spec::CODES.iter().copied().collect::<BTreeSet<_>>());
}

#[test]
fn every_code_has_a_page() {
    let index = read("../../docs/errors/README.md");
    for code in spec::CODES {
        let page = read(&format!("../../docs/errors/{code}.md"));
        assert!(page.starts_with(&format!("# {code}\n")), "{code}: the page is titled by its code");
        for part in ["## What it means", "## What to do"] {
            assert!(page.contains(part), "{code}: no {part:?}");
        }
        assert!(index.contains(&format!("]({code}.md)")), "{code} is not in the index");
    }
}

#[test]
fn the_example_means_what_it_says() {
    let checked = spec::check(&read("../../examples/case-api/antipode.yaml"));
    assert_eq!(checked.problems, [], "the example gives no warning either");
    insta::assert_debug_snapshot!("example", checked.topology.unwrap());
}

/// It degrades rather than blocks: whoever takes over stands alone, and a blocked one would serve nobody.
#[test]
fn the_synchronous_example_never_loses() {
    let topology = spec::parse(&read("../../examples/case-api/antipode-sync.yaml")).unwrap();
    let (_, postgres) = topology.database();
    assert_eq!((postgres.replication, postgres.when_alone), (Replication::Synchronous, WhenAlone::Degrade));
    assert_eq!(topology.objectives.rpo, Duration::ZERO);
}

const LEAST: &str = "
workload: least
artifact: '1.10'
objectives: { rto: 10m, rpo: 0s }
approvals: { approvers: [ana, budi] }
sites:
  north: { zones: [n, y], preferred: true }
  south: { zones: [a, b] }
  w: { witness: true }
components:
  names: { kind: dns, zone: least.example }
  web: { kind: fleet, command: web, peak: 1 }
  main-db: { kind: postgres, system_of_record: true }
  api-key: { kind: secret }
";

#[test]
fn defaults_are_the_safe_ones() {
    let topology = spec::parse(LEAST).unwrap();
    assert_eq!(topology.failover, FailoverMode::Ask);
    let approvals = &topology.approvals;
    assert_eq!((approvals.failover, approvals.switchover, approvals.failback, approvals.accept_loss), (1, 1, 2, 2));
    assert_eq!(topology.database().1.replication, Replication::Synchronous, "an RPO of 0s asks for it");
    assert_eq!(topology.database().1.when_alone, WhenAlone::Block);
    assert_eq!(topology.timing.lease, Duration::from_secs(5));
    assert_eq!(topology.standby_instances(&"south".into(), 4), 4, "a standby is as large as the writer");
    let records = &topology.dns().1.records;
    assert_eq!(records.get("web.least.example"), Some(&"web".into()));
    assert_eq!(topology.secrets().next().unwrap().1.env, "API_KEY");
}

/// Seed 001, "Recovery Testing Schedule".
#[test]
fn drills_are_scheduled_even_when_a_spec_does_not_say_so() {
    let usual = |text: &str| -> Vec<(String, u64)> {
        let drills = spec::parse(text).unwrap().drills;
        drills.into_iter().map(|drill| (drill.fault, drill.every.as_secs() / 86_400)).collect()
    };
    let expected = [("corrupted-data", 7), ("region-loss", 30), ("all", 91), ("rebuild", 365)];
    assert_eq!(usual(LEAST), expected.map(|(fault, days)| (fault.to_owned(), days)));
    assert_eq!(usual(&format!("{LEAST}drills: []\n")), [], "nobody is made to rehearse");
    let own = format!("{LEAST}drills: [{{ fault: lease-store-loss, every: week }}]\n");
    assert_eq!(usual(&own), [("lease-store-loss".to_owned(), 7)]);
}

#[test]
fn text_stays_as_written() {
    let topology = spec::parse(&LEAST.replace("'1.10'", "1.10")).unwrap();
    assert_eq!(topology.artifact, "1.10", "not the number 1.1");
    let north = format!("{:?}", topology.site(&"north".into()).unwrap());
    assert!(north.contains(r#"zones: ["n", "y"]"#), "names, not booleans: {north}");
}

#[test]
fn the_fast_profile_holds_together_and_can_be_overridden() {
    let fast = LEAST.to_string() + "timing: { profile: fast, lease: 1500ms, deadlines: { follow: 90s } }\n";
    let timing = spec::parse(&fast).unwrap().timing;
    assert_eq!(timing.profile, "fast");
    assert_eq!(timing.lease, Duration::from_millis(1500));
    assert_eq!(timing.renew_every, Duration::from_millis(100));
    assert_eq!(timing.step_deadlines.follow, Duration::from_secs(90));
}

/// The first sketch of DESIGN.md, which has no approvers yet.
#[test]
fn the_design_sketch_is_a_spec() {
    let sketch = r#"
workload: case-api
artifact: 2026.07.01-1842                 # the same in every region
objectives: { rto: 30m, rpo: 1m, availability: 99.95%, data_class: regulated, budget: 4000 USD/month }
residency:  { regulated: [ap-southeast-1, ap-southeast-3] }
approvals:  { failover: 1, failback: 2, override: 2, approvers: [ana, budi] }
sites:
  ap-southeast-1: { zones: [a, b], preferred: true, traffic_weight: 100 }
  ap-southeast-3: { zones: [a, b], traffic_weight: 0, capacity: 50% }
  witness-1:      { witness: true }
timing: { profile: standard }             # lease, probe interval, quorum: named profiles, each value can be set
components:
  front-door: { kind: dns, zone: case.example, policy: failover, ttl: 1s }
  api:        { kind: fleet, command: case-api, needs: [cases, api-secret], ready: /ready, peak: 4 }
  cases:      { kind: postgres, system_of_record: true, replication: asynchronous, backup: { every: 1h, isolated: true } }
  api-secret: { kind: secret }
drills: [{ fault: region-loss, every: month }, { fault: region-partition, every: quarter }]
"#;
    let checked = spec::check(sketch);
    let codes: Vec<&str> = checked.problems.iter().map(|p| p.code).collect();
    assert!(codes.is_empty(), "{codes:?}");
    let topology = checked.topology.unwrap();
    assert_eq!(topology.failover, FailoverMode::Ask);
    assert_eq!(topology.standby_instances(&"ap-southeast-3".into(), 4), 2);
}

#[test]
fn an_asynchronous_rpo_is_accepted_from_lease_plus_lag_on() {
    let with_rpo = |rpo: &str| spec::parse(&LEAST.replace("rpo: 0s", &format!("rpo: {rpo}")));
    assert!(with_rpo("10s").is_ok());
    let refused = with_rpo("9999ms").unwrap_err();
    assert_eq!(refused.iter().map(|p| p.code).collect::<Vec<_>>(), ["spec-rpo-too-small"]);
}

#[test]
fn anchors_and_merges_are_understood() {
    let shared = LEAST
        .replace("north: { zones: [n, y],", "north: &region { zones: [n, y],")
        .replace("south: { zones: [a, b] }", "south: { <<: *region, preferred: false }");
    let topology = spec::parse(&shared).unwrap();
    assert_eq!(topology.preferred().as_str(), "north");
}

#[test]
fn a_topology_survives_its_own_json() {
    let topology = spec::parse(&read("../../examples/case-api/antipode.yaml")).unwrap();
    let json = serde_json::to_string(&topology).unwrap();
    assert_eq!(serde_json::from_str::<antipode_model::Topology>(&json).unwrap(), topology);
}

/// The kinds are many: of each, the names of its keys. What each key is stands in the definitions.
#[test]
fn the_schema_is_as_published() {
    let mut schema = spec::schema().clone();
    for variant in schema["$defs"]["Component"]["oneOf"].as_array_mut().unwrap() {
        let keys = variant["properties"].as_object().unwrap();
        let names: Vec<&str> = keys.keys().map(String::as_str).skip(1).collect();
        *variant = format!("{}: {}", keys["kind"]["const"].as_str().unwrap(), names.join(" ")).into();
    }
    insta::assert_snapshot!("schema", serde_json::to_string_pretty(&schema).unwrap());
}

mod any_text {
    use proptest::prelude::*;

    proptest! {
        // A failure prints its input: no file of past failures is kept beside the sources.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// No text makes the reader panic, or point outside the text.
        #[test]
        fn is_read_without_panic(text in r"(\PC|\n|\t|[:{}\[\]&*'-]){0,200}") {
            for problem in antipode_model::spec::check(&text).problems {
                let span = problem.span;
                prop_assert!(text.get(span.offset..span.offset + span.len).is_some(), "{:?}", problem);
            }
        }

        /// Nor does a small damage to a good file.
        #[test]
        fn damaged_anywhere_is_read_without_panic(at in 0usize..700, with in r"\PC{0,3}") {
            let mut chars: Vec<char> = super::LEAST.chars().collect();
            let at = at.min(chars.len() - 1);
            chars.splice(at..=at, with.chars());
            let text: String = chars.into_iter().collect();
            for problem in antipode_model::spec::check(&text).problems {
                prop_assert!(text.get(problem.span.offset..problem.span.offset + problem.span.len).is_some());
            }
        }
    }
}
