//! What is read of a spec that can only be assessed, and what else is then allowed.

use std::path::Path;
use std::time::Duration;

use antipode_model::catalogue::{ActName, CallPlane, Home, Promotion};
use antipode_model::design::{Manage, Survives};
use antipode_model::spec::{self, Severity};
use antipode_model::topology::FailoverMode;
use antipode_model::{ComponentId, Date, Design, SiteId, Value};

/// The second sketch of DESIGN.md, as it stands there.
const SKETCH: &str = r#"
workload: ha-webapp
objectives: { rto: 15m, rpo: 1m, added_latency: 100ms, budget: 900 USD/month }
losses:     { downtime: 2000 USD/h, data: 500 USD/min }
aws:        { manage: adopt, role: antipode-recovery }        # adopt what exists, or render it
controller: { site: eu-west-1 }
sites:
  ap-south-1: { zones: [a, b], preferred: true }
  us-east-1:  { zones: [a, b], capacity: 25% }
components:
  www:   { kind: aws.route53, record: www.example.com, to: lb, check: { path: /ready, every: 10s, failures: 3 }, shift: standby-signal }
  lb:    { kind: aws.alb, id: "web-{site}" }
  web:   { kind: aws.asg, id: "web-{site}", behind: lb, needs: [db, files], peak: 6 }
  db:    { kind: aws.rds, id: "db-{site}", name: db.internal.example.com, fence: [write-gate, nacl] }
  files: { kind: aws.efs, id: { ap-south-1: fs-1, us-east-1: fs-2 } }
"#;

fn sketch() -> Design {
    spec::design(SKETCH).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn part<'d>(design: &'d Design, id: &str) -> &'d antipode_model::Part {
    design.part(&ComponentId::new(id)).unwrap()
}

#[test]
fn the_sketch_of_a_workload_on_aws_is_a_design() {
    let checked = spec::check(SKETCH);
    assert_eq!(checked.problems, []);
    assert!(checked.topology.is_none());
    let in_the_way: Vec<_> = checked.obstacles.iter().map(|o| (o.code, o.span.line)).collect();
    assert_eq!(in_the_way, [11, 12, 13, 14, 15].map(|line| ("spec-not-runnable", line)));

    let design = checked.design.unwrap();
    assert_eq!(design.objectives.rto, Some(Duration::from_secs(900)));
    assert_eq!(design.losses.downtime.unwrap().during(Duration::from_secs(1800)), 1000.into());
    assert_eq!(design.aws.as_ref().unwrap().manage, Some(Manage::Adopt));
    assert_eq!(design.controller, Some(SiteId::new("eu-west-1")), "a region of its own is no site of the workload");
    assert_eq!((design.artifact.as_ref(), design.approvals.as_ref()), (None, None), "not said");
    assert_eq!(design.preferred().unwrap().id.as_str(), "ap-south-1");
    assert_eq!(design.others().map(|site| site.capacity).collect::<Vec<_>>(), [Some(25.0)]);
    assert!(!design.says("failover") && design.failover == FailoverMode::Ask);
}

#[test]
fn a_part_answers_by_key() {
    let design = sketch();
    let www = part(&design, "www");
    assert_eq!(www.duration("check.every"), Some(Duration::from_secs(10)));
    assert_eq!(www.count("check.failures"), Some(3));
    assert_eq!(www.word("shift"), Some("standby-signal"));
    assert_eq!(www.component("to"), Some(ComponentId::new("lb")));
    assert!(www.sites.is_empty(), "Route 53 is in no region");
    let web = part(&design, "web");
    assert_eq!(web.needs, ["db", "files"].map(ComponentId::new));
    assert_eq!(web.sites, ["ap-south-1", "us-east-1"].map(SiteId::new));
    let db = part(&design, "db");
    assert_eq!(db.words("fence"), Some(vec!["write-gate", "nacl"]));
    assert_eq!(db.duration("backup.every"), None, "nobody said");
    assert!(!db.answered("replication"));
}

/// The catalogue's acts have conditions; the one that holds is the one that a recovery would carry out.
#[test]
fn a_part_knows_which_act_is_its_own() {
    let design = sketch();
    let www = part(&design, "www");
    assert!(www.holds("shift=standby-signal") && www.holds("!safety_rules") && !www.holds("safety_rules"));
    let shift = www.act(ActName::Shift).unwrap();
    assert_eq!((shift.plane, &shift.home), (CallPlane::Data, &Home::Target), "no control plane is needed");
    let by_record = spec::design(&SKETCH.replace("shift: standby-signal", "shift: dns-record")).unwrap();
    let shift = part(&by_record, "www").act(ActName::Shift).unwrap();
    assert_eq!((shift.plane, &shift.home), (CallPlane::Control, &Home::Region("us-east-1".into())));

    let headless = "kind: aws.aurora-global, headless: { us-east-1: true }";
    let design = spec::design(&SKETCH.replace("kind: aws.rds", headless)).unwrap();
    let (db, here, there) = (part(&design, "db"), SiteId::new("ap-south-1"), SiteId::new("us-east-1"));
    assert!(db.act_at(ActName::Scale, &there).is_some() && db.act_at(ActName::Scale, &here).is_none());
    let mode = db.across_regions().unwrap();
    assert_eq!((mode.promotion, mode.rpo_worst), (Promotion::Manual, None), "nothing bounds the lag");
    assert!(part(&by_record, "db").across_regions().is_none(), "nobody said how it is copied");
}

#[test]
fn what_differs_by_site_is_asked_of_a_site() {
    let design = sketch();
    let files = part(&design, "files");
    let (mumbai, virginia, other) = (SiteId::new("ap-south-1"), SiteId::new("us-east-1"), SiteId::new("eu-west-1"));
    assert_eq!(files.at(&mumbai).text("id"), Some("fs-1"));
    assert_eq!(files.at(&virginia).text("id"), Some("fs-2"));
    assert_eq!(files.at(&other).text("id"), None);
    assert_eq!(files.text("id"), None, "there is no one answer");
    assert!(files.answered("id"));
    assert_eq!(part(&design, "lb").at(&virginia).text("id"), Some("web-{site}"), "the same everywhere");
}

#[test]
fn a_default_is_an_answer_and_not_a_declaration() {
    let design = sketch();
    let db = part(&design, "db");
    assert_eq!(db.word("writers"), Some("single"), "what its kind does");
    assert!(db.answered("writers") && !db.declared("writers"));
    assert!(db.declared("name") && db.mentions("check") == part(&design, "lb").mentions("check"));
    assert!(part(&design, "www").mentions("check"));
}

#[test]
fn every_key_has_its_line_or_that_of_what_is_around_it() {
    let design = sketch();
    assert_eq!(design.line("components.www.check.every"), 11);
    assert_eq!(design.line("components.db.backup.every"), 14, "its component");
    assert_eq!(design.line("practice.failover.tested"), 1, "the file");
    assert_eq!(design.line("objectives"), 3);
}

#[test]
fn the_examples_that_run_are_designs_too() {
    for name in ["antipode", "antipode-fast", "antipode-sync"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/case-api/{name}.yaml"));
        let checked = spec::check(&std::fs::read_to_string(path).unwrap());
        assert!(checked.topology.is_some() && checked.obstacles.is_empty(), "{name}");
        let design = checked.design.unwrap();
        assert_eq!(design.approvals.as_ref().map(|a| a.accept_loss), Some(2));
        let cases = part(&design, "cases");
        let replication = if name == "antipode-sync" { "synchronous" } else { "asynchronous" };
        assert_eq!(cases.word("replication"), Some(replication));
        assert_eq!(part(&design, "api").word("check.depth"), Some("deep"), "its readiness is asked for");
        assert_eq!(part(&design, "api").text("ready"), Some("/ready"));
    }
}

/// What the machinery cannot run, an assessment can judge.
#[test]
fn a_design_may_be_incomplete() {
    let text = "
workload: lone
objectives: { survives: zone }
sites:
  somewhere: { }
components:
  db: { kind: aws.rds }
";
    let design = spec::design(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!((design.objectives.rto, design.objectives.survives), (None, Some(Survives::Zone)));
    assert_eq!(design.regions().count(), 1);
    assert_eq!(design.others().count(), 0);
}

#[test]
fn practice_is_a_bag_of_answers() {
    let text = format!(
        "{SKETCH}practice:\n  failures: [region, corruption]\n  failover: {{ tested: 2026-03-14, under_load: false }}\n  \
         deploys: {{ sites: [ap-south-1] }}\n"
    );
    let practice = spec::design(&text).unwrap().practice;
    assert_eq!(practice.date("failover.tested"), Date::new(2026, 3, 14));
    assert_eq!(practice.bool("failover.under_load"), Some(false));
    assert_eq!(practice.bool("failover.needs_console"), None);
    assert_eq!(practice.words("failures"), Some(vec!["region", "corruption"]));
    assert_eq!(practice.sites("deploys.sites"), Some(vec![SiteId::new("ap-south-1")]));
    assert_eq!(practice.iter().filter(|(_, value)| matches!(value, Value::Date(_))).count(), 1);
}

/// A text of the sketch, what stands in its place, and the errors with their lines that this makes.
type Case = (&'static str, &'static str, &'static [(&'static str, usize)]);

#[test]
fn errors_in_what_is_assessed_name_their_line() {
    let cases: [Case; 10] = [
        ("shift: standby-signal", "shift: standby", &[("spec-unknown-value", 11)]),
        ("every: 10s", "every: 10", &[("spec-unit", 11)]),
        ("to: lb", "to: load-balancer", &[("spec-unknown-component", 11)]),
        ("behind: lb", "behind: [lb]", &[("spec-wrong-type", 13)]),
        ("needs: [db, files]", "needs: [db, fils]", &[("spec-unknown-component", 13)]),
        ("us-east-1: fs-2", "us-east-2: fs-2", &[("spec-unknown-site", 15)]),
        ("fence: [write-gate, nacl]", "fence: [write-gate, nagl]", &[("spec-unknown-value", 14)]),
        ("kind: aws.efs", "kind: aws.ebs-volume", &[("spec-unknown-value", 15)]),
        ("2000 USD/h", "2000 USD", &[("spec-unit", 4)]),
        ("id: \"db-{site}\"", "ids: \"db-{site}\", peek: 3", &[("spec-unknown-key", 14), ("spec-unknown-key", 14)]),
    ];
    for (from, to, expected) in cases {
        assert!(SKETCH.contains(from), "{from}");
        let checked = spec::check(&SKETCH.replace(from, to));
        let found: Vec<_> = checked.problems.iter().map(|p| (p.code, p.span.line)).collect();
        assert_eq!(found, expected, "{to}");
        assert!(checked.design.is_none() && checked.problems.iter().all(|p| p.severity == Severity::Error));
    }
}

#[test]
fn what_is_run_needs_what_it_always_needed() {
    let least = "
workload: least
objectives: {}
sites: { north: { zones: [a, b], preferred: true } }
components: { key: { kind: secret } }
";
    let codes = |text: &str| -> Vec<_> { spec::check(text).problems.iter().map(|p| p.code).collect() };
    assert_eq!(codes(least), ["spec-missing-key"; 4], "artifact, approvals, RTO and RPO");
    assert_eq!(codes(&least.replace("kind: secret", "kind: aws.rds")), [""; 0]);
}

#[test]
fn parse_says_why_a_design_cannot_be_run() {
    let codes: Vec<_> = spec::parse(SKETCH).unwrap_err().into_iter().map(|p| p.code).collect();
    assert_eq!(codes, ["spec-not-runnable"; 5]);
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/{name}/antipode.yaml"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_examples_that_are_assessed_are_designs_without_any_problem() {
    for name in ["xyz-webserver", "storefront", "regulated-cases", "ha-webapp", "twenty-mistakes"] {
        let checked = spec::check(&example(name));
        let codes: Vec<_> = checked.problems.iter().map(|problem| problem.code).collect();
        let warned: &[&str] = if name == "twenty-mistakes" { &["spec-residency"] } else { &[] };
        assert_eq!(codes, warned, "{name}");
        assert!(checked.topology.is_none() && !checked.obstacles.is_empty(), "{name}");
        let design = checked.design.unwrap();
        assert_eq!(design.workload, name);
        assert!(design.preferred().is_some_and(|site| site.preferred) && design.others().count() == 1, "{name}");
    }
}
