//! The text of a first spec. What is not answered is a comment that says what to write.

use std::fmt::Write;

use super::{Answers, Platform};

/// Where the comments begin.
const COLUMN: usize = 44;

pub fn text(answers: &Answers) -> String {
    let runs = answers.platform() == Platform::SelfHosted;
    let mut out = String::from(
        "# What the workload is, and what its business can bear. Lines that begin with `#` are not answered yet.\n",
    );
    section(&mut out, answers.get("workload").unwrap_or("workload"), runs);
    objectives(&mut out, answers, runs);
    losses(&mut out, answers);
    residency(&mut out, answers, runs);
    if runs {
        out += "\n# How many people must agree, and who they are.\n";
        out += "approvals: { failover: 1, failback: 1, override: 2, approvers: [first-person, second-person] }\n";
        out += "failover: ask                               # or automatic: nobody is asked when a region is lost\n";
    }
    sites(&mut out, answers, runs);
    out += if runs { SELF_HOSTED } else { AWS };
    if runs {
        let replication = if lossless(answers) { "synchronous" } else { "asynchronous" };
        out = out.replace("{replication}", replication);
    }
    practice(&mut out, answers);
    out
}

fn section(out: &mut String, workload: &str, runs: bool) {
    writeln!(out, "workload: {}", scalar(workload)).ok();
    if runs {
        line(out, "", "artifact", Some("v1"), "the version that every region runs");
    } else {
        line(out, "", "artifact", None, "the version that every region runs");
        line(out, "", "strategy", None, "what you do today: single-region, backup-restore, pilot-light, …");
    }
}

/// What must be there to be run has a usual value, which a comment owns up to.
fn objectives(out: &mut String, answers: &Answers, runs: bool) {
    out.push_str("\nobjectives:\n");
    let mut said = 0;
    let all = [
        ("rto", "rto", Some("30m"), "without service after a disaster, at most"),
        ("rpo", "rpo", Some("1m"), "acknowledged work that may be lost, as a time"),
        ("survives", "survives", None, "region, or zone"),
        ("users", "users", None, "local, national or global"),
        ("writes", "writes", None, "one-region, or every-region"),
        ("conflicts", "conflicts", None, "whether conflicting writes can be resolved"),
        ("data_class", "data-class", None, "what kind of data it holds"),
        ("budget", "budget", None, "what readiness may cost, USD/month"),
    ];
    for (key, name, usual, about) in all {
        let (answer, usual) = (answers.get(name), usual.filter(|_| runs));
        let about =
            if answer.is_none() && usual.is_some() { format!("NOBODY SAID; {about}") } else { about.to_owned() };
        said += usize::from(answer.or(usual).is_some());
        line(out, "  ", key, answer.or(usual), &about);
    }
    line(out, "  ", "availability", None, "percent of a month, such as 99.95%");
    line(out, "  ", "workflows", None, "what the business cannot do without, [a, b]");
    if said == 0 {
        // A section of comments alone is nothing, and nothing is no section.
        *out = out.replace(
            "\nobjectives:\n",
            "\nobjectives: {}                              # nothing is promised: take {} away, and fill in\n",
        );
    }
}

fn losses(out: &mut String, answers: &Answers) {
    let (downtime, data) = (answers.get("downtime"), answers.get("data-loss"));
    let begin = if downtime.or(data).is_some() { "losses:" } else { "# losses:" };
    writeln!(out, "{begin:COLUMN$} # what a disaster costs").ok();
    line(out, "  ", "downtime", downtime, "without service, USD/h");
    line(out, "  ", "data", data, "lost data, USD/min");
}

fn residency(out: &mut String, answers: &Answers, runs: bool) {
    let Some(class) = answers.get("data-class") else { return };
    let named = answers.list("approved");
    // Where nobody said it, and it must be known in order to run: where the workload is.
    let regions = regions(answers, runs);
    let approved: Vec<&str> =
        if named.is_empty() { regions.iter().map(String::as_str).collect() } else { named.clone() };
    let list = approved.iter().map(|site| scalar(site)).collect::<Vec<_>>().join(", ");
    match (named.is_empty(), runs) {
        (true, false) => {
            writeln!(out, "# residency: {{ {}: [{list}] }}   # where this class may be", scalar(class)).ok()
        }
        (true, true) => {
            writeln!(out, "residency: {{ {}: [{list}] }}   # NOBODY SAID where this class may be", scalar(class)).ok()
        }
        (false, _) => writeln!(out, "residency: {{ {}: [{list}] }}", scalar(class)).ok(),
    };
}

fn regions(answers: &Answers, runs: bool) -> Vec<String> {
    let named: Vec<String> = answers.list("regions").into_iter().map(str::to_owned).collect();
    match named.len() {
        0 if answers.get("survives") == Some("zone") && !runs => vec!["region-1".into()],
        0 => vec!["region-1".into(), "region-2".into()],
        _ => named,
    }
}

fn sites(out: &mut String, answers: &Answers, runs: bool) {
    out.push_str("\nsites:\n");
    let regions = regions(answers, runs);
    for (number, region) in regions.iter().enumerate() {
        let region = scalar(region);
        let said = match (number, runs) {
            (0, true) => "zones: [a, b], preferred: true, traffic_weight: 100",
            (0, false) => "zones: [a, b], preferred: true",
            (_, true) => "zones: [a, b], traffic_weight: 0, capacity: 50%",
            (_, false) => "zones: [a, b]",
        };
        let about = match (number, runs) {
            (0, _) => "   # serves when all is well",
            (_, true) => "   # half of the peak stands ready",
            (_, false) => "   # capacity: 50% of the peak stands ready; deployed: true",
        };
        writeln!(out, "  {region}: {{ {said} }}{about}").ok();
    }
    if runs {
        writeln!(out, "  witness-1: {{ witness: true }}   # holds no data, votes; in a third place").ok();
    }
}

fn practice(out: &mut String, answers: &Answers) {
    let team = answers.get("team");
    out.push_str("\n# What people do and have tried. `antipode assess` says which of it matters here.\n");
    let maturity = match team {
        Some(team) => format!("practice:\n  team: {{ maturity: {} }}", scalar(team)),
        None => "# practice:\n  # team: { maturity: new }".to_owned(),
    };
    let (head, maturity) = maturity.split_once('\n').unwrap_or_default();
    writeln!(out, "{head}\n{maturity:COLUMN$} # new, growing or mature").ok();
    for (said, about) in [
        ("failures: [zone, region]", "what the design is for"),
        ("failover: { tested: 2026-01-31, runbook: … }", "and under_load, criteria, abort"),
        ("failback: { designed: true }", "how data comes back; and tested"),
        ("loss_accepted_by: …", "who, when more is lost than the RPO allows"),
    ] {
        let said = format!("  # {said}");
        writeln!(out, "{said:COLUMN$} # {about}").ok();
    }
}

/// Nothing may be lost, so a write waits for the other region.
fn lossless(answers: &Answers) -> bool {
    let digits = answers.get("rpo").map(|rpo| rpo.trim_matches(|c: char| !c.is_ascii_digit()));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b == b'0'))
}

/// A key with its value and what it means; without a value it is a comment.
fn line(out: &mut String, indent: &str, key: &str, value: Option<&str>, about: &str) {
    let said = match value {
        Some(value) => format!("{indent}{key}: {}", scalar(value)),
        None => format!("{indent}# {key}:"),
    };
    writeln!(out, "{said:COLUMN$} # {about}").ok();
}

/// As it is where YAML takes it for a text, else in quotes.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with(' ')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " ._%/-".contains(c));
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

const SELF_HOSTED: &str = "
# A service on a database, found by its name. Each region has all of it.
components:
  front-door: { kind: dns, zone: app.example, policy: failover, ttl: 1s }
  app:                                      # `command` is started once for each instance, with PORT in its environment
    kind: fleet
    command: app
    needs: [db, app-secret]
    ready: /ready                           # 200 only when a request would succeed
    peak: 4                                 # instances at the busiest hour
  db: { kind: postgres, system_of_record: true, replication: {replication} }
  app-secret: { kind: secret, env: APP_SECRET }

drills:
  - { fault: region-loss, every: month }
";

const AWS: &str = "
# A service on a database, found by its name. Replace these by what you have; `antipode schema` lists kinds and keys.
components:
  www: { kind: aws.route53, record: app.example.com, to: lb }   # policy, ttl, check
  lb: { kind: aws.alb }                     # check: { path: /ready, every: 10s, failures: 3, depth: deep }
  app:
    kind: aws.asg                           # or aws.fargate, aws.ecs, aws.eks, aws.lambda, …
    behind: lb
    needs: [db, db-password]
    # peak: 4                               # instances at the busiest hour
    # image: { built: 2026-01-31 }
  db:
    kind: aws.rds                           # or aws.aurora-global, aws.dynamodb, …
    system_of_record: true
    # replication: asynchronous             # or none, synchronous, multi-writer
    # lag: 5s                               # how far the copy is behind on an ordinary day
    # promote: controller                   # how the copy becomes the writer
    # backup: { every: 1d, keep: 35d, isolated: true, immutable: true }
  db-password: { kind: aws.secrets-manager } # replicated, rotation
";
