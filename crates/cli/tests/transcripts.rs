//! Golden transcripts of the real binary: what is typed, what is printed where, and the exit status.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

/// The examples are the specs that people begin with.
fn examples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/case-api")
}

struct Shell {
    dir: tempfile::TempDir,
}

impl Shell {
    /// An empty directory with the example's spec in it.
    fn new() -> Self {
        let shell = Self { dir: tempfile::tempdir().unwrap() };
        shell.write("antipode.yaml", &std::fs::read_to_string(examples().join("antipode.yaml")).unwrap());
        shell
    }
    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    /// The spec with one text replaced, which must be there.
    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.dir.path().join("antipode.yaml")).unwrap();
        assert!(text.contains(from), "{from:?} is not in the example");
        self.write("antipode.yaml", &text.replace(from, to));
    }
    fn output(&self, args: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antipode"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        // The terminal of whoever runs the test must not show in it.
        command.env_clear().env("COLUMNS", "100");
        command.output().unwrap()
    }
    fn transcript(&self, args: &[&str]) -> String {
        support::shown(args, &self.output(args))
    }
}

#[test]
fn help() {
    insta::assert_snapshot!("help", Shell::new().transcript(&["--help"]));
}

#[test]
fn a_valid_spec() {
    insta::assert_snapshot!("validate", Shell::new().transcript(&["validate"]));
    insta::assert_snapshot!("validate_json", Shell::new().transcript(&["validate", "--json"]));
}

#[test]
fn a_valid_spec_with_warnings() {
    let shell = Shell::new();
    shell.edit("zones: [a, b], traffic_weight: 0", "zones: [a], traffic_weight: 0");
    insta::assert_snapshot!("validate_warning", shell.transcript(&["validate"]));
    insta::assert_snapshot!("validate_warning_json", shell.transcript(&["validate", "--json"]));
}

#[test]
fn an_invalid_spec() {
    let shell = Shell::new();
    shell.edit("rto: 30m", "rto: 30");
    shell.edit("prefer", "prefr");
    insta::assert_snapshot!("validate_invalid", shell.transcript(&["validate"]));
    insta::assert_snapshot!("validate_invalid_json", shell.transcript(&["--json", "validate"]));
}

#[test]
fn a_contradictory_spec() {
    let shell = Shell::new();
    shell.edit("rpo: 1m", "rpo: 0s");
    shell.edit("regulated: [ap-southeast-1, ap-southeast-3]", "regulated: [ap-southeast-1]");
    insta::assert_snapshot!("validate_contradictory", shell.transcript(&["validate"]));
}

#[test]
fn an_unreadable_spec() {
    let shell = Shell::new();
    shell.edit("drills:", "drills: [");
    insta::assert_snapshot!("validate_unreadable", shell.transcript(&["validate"]));
    std::fs::write(shell.dir.path().join("latin.yaml"), b"workload: caf\xe9\n").unwrap();
    insta::assert_snapshot!("validate_not_text", shell.transcript(&["validate", "latin.yaml"]));
    insta::assert_snapshot!("validate_directory", shell.transcript(&["validate", "."]));
}

#[test]
fn no_spec() {
    let shell = Shell::new();
    insta::assert_snapshot!("validate_missing", shell.transcript(&["validate", "nowhere.yaml"]));
    insta::assert_snapshot!("validate_missing_json", shell.transcript(&["validate", "--file", "no.yaml", "--json"]));
}

#[test]
fn wrong_arguments() {
    let shell = Shell::new();
    insta::assert_snapshot!("usage_command", shell.transcript(&["valdate"]));
    insta::assert_snapshot!("usage_option", shell.transcript(&["validate", "--jsn"]));
    insta::assert_snapshot!("usage_json", shell.transcript(&["valdate", "--json"]));
    insta::assert_snapshot!("usage_none", shell.transcript(&[]));
    insta::assert_snapshot!("usage_man", shell.transcript(&["man", "women"]));
}

#[test]
fn which_drills() {
    let shell = Shell::new();
    insta::assert_snapshot!("drill_help", shell.transcript(&["drill", "--help"]));
    insta::assert_snapshot!("drill_none", shell.transcript(&["drill"]));
    insta::assert_snapshot!("drill_all_and_one", shell.transcript(&["drill", "--all", "region-loss"]));
    shell.write("old/scorecard.json", "{}");
    insta::assert_snapshot!("drill_old_folder", shell.transcript(&["drill", "--all", "--out", "old"]));
    shell.edit("needs: [cases, api-secret]", "needs: [cases]");
    shell.edit("  api-secret: { kind: secret, env: API_SECRET }\n", "");
    insta::assert_snapshot!("drill_not_possible", shell.transcript(&["drill", "secret-missing"]));
}

#[test]
fn the_schedule_of_a_new_workload() {
    let shell = Shell::new();
    insta::assert_snapshot!("drill_due", shell.transcript(&["drill", "--due", "--dry-run"]));
    insta::assert_snapshot!("drill_history", shell.transcript(&["drill", "--history"]));
    insta::assert_snapshot!("drill_dry_run_alone", shell.transcript(&["drill", "region-loss", "--dry-run"]));
    shell.write("antipode-drills/history.jsonl", "nonsense\n");
    insta::assert_snapshot!("drill_history_damaged", shell.transcript(&["drill", "--due", "--dry-run"]));
}

/// The list of drills grows: only what is said of an unknown one is fixed.
#[test]
fn an_unknown_drill() {
    let output = Shell::new().output(&["drill", "region-loss", "region-los", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"]["code"], "unknown-drill");
    assert_eq!(error["error"]["message"], "there is no drill `region-los`");
}

#[test]
fn evidence_is_checked_line_by_line() {
    use lab::evidence::{Kind, Opening, Writer};
    let shell = Shell::new();
    let path = shell.dir.path().join("evidence.jsonl");
    let mut writer = Writer::create(&path, &Opening::new("region-loss", b"spec")).unwrap();
    writer.append(Kind::Verdict, &serde_json::json!({ "verdict": "passed" })).unwrap();
    writer.finish().unwrap();

    let whole = shell.output(&["evidence", "verify", "evidence.jsonl", "--json"]);
    assert_eq!(whole.status.code(), Some(0));
    let summary: serde_json::Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(
        (summary["opening"]["drill"].as_str(), summary["seal"]["lines"].as_u64()),
        (Some("region-loss"), Some(3))
    );

    let text = std::fs::read_to_string(&path).unwrap();
    shell.write("edited.jsonl", &text.replace("passed", "failed"));
    insta::assert_snapshot!("evidence_edited", shell.transcript(&["evidence", "verify", "edited.jsonl"]));
    insta::assert_snapshot!(
        "evidence_edited_json",
        shell.transcript(&["evidence", "verify", "edited.jsonl", "--json"])
    );
    let cut = text.lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
    shell.write("cut.jsonl", &cut);
    insta::assert_snapshot!("evidence_cut", shell.transcript(&["evidence", "verify", "cut.jsonl"]));
    insta::assert_snapshot!("evidence_missing", shell.transcript(&["evidence", "verify", "none.jsonl"]));
}

#[test]
fn processes_that_cannot_start() {
    let shell = Shell::new();
    insta::assert_snapshot!("agent_no_config", shell.transcript(&["agent", "--config", "none.json"]));
    insta::assert_snapshot!("controller_no_config", shell.transcript(&["controller", "--config", "none.json"]));
}

#[test]
fn the_printed_schema_is_the_models() {
    let output = Shell::new().output(&["schema"]);
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(&printed, model::spec::schema());
}

#[test]
fn both_examples_are_valid() {
    for name in ["antipode.yaml", "antipode-sync.yaml"] {
        let path = examples().join(name);
        let output = Shell::new().output(&["validate", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn completions_and_manual_know_every_command() {
    let shell = Shell::new();
    let help = String::from_utf8(shell.output(&["--help"]).stdout).unwrap();
    let listed = help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    // What goes on from the line above is indented further.
    let listed = listed.filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    let commands: Vec<&str> = listed.filter_map(|l| l.split_whitespace().next()).filter(|c| *c != "help").collect();
    assert!(commands.contains(&"validate"), "{commands:?}");
    let manual = String::from_utf8(shell.output(&["man"]).stdout).unwrap();
    for shell_name in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(shell.output(&["completions", shell_name]).stdout).unwrap();
        for command in &commands {
            assert!(script.contains(command), "{shell_name} does not complete {command}");
            assert!(manual.contains(&format!("antipode\\-{command}(1)")), "the manual does not name {command}");
        }
    }
    assert!(manual.contains("waits for approval"), "the manual lists the exit statuses");
}

#[test]
fn the_operators_commands_explain_themselves() {
    let shell = Shell::new();
    for command in ["status", "probe", "switchover", "failover", "failback", "approve", "abort", "journal"] {
        insta::assert_snapshot!(format!("help_{command}"), shell.transcript(&[command, "-h"]));
    }
}

#[test]
fn nothing_is_running() {
    let shell = Shell::new();
    insta::assert_snapshot!("not_up", shell.transcript(&["status", "--state", "state"]));
    insta::assert_snapshot!(
        "not_up_json",
        shell.transcript(&["switchover", "--state", "state", "--as", "ana", "--json"])
    );
    shell.edit("rto: 30m", "rto: 30");
    insta::assert_snapshot!("not_up_invalid_spec", shell.transcript(&["status"]));
}

/// A state folder with everybody's certificates, whose controller is gone.
#[test]
fn the_controller_is_away() {
    use controller::identity::{Authority, Peer};
    let shell = Shell::new();
    let identity = shell.dir.path().join("state/identity");
    std::fs::create_dir_all(&identity).unwrap();
    let authority = Authority::create(&identity, "case-api").unwrap();
    for person in ["ana", "budi"] {
        authority.issue(&Peer::Operator(model::Person::new(person))).unwrap();
    }
    let lab = serde_json::json!({
        "workload": "case-api", "lab": "1-1", "addresses": { "base": 20000, "numbers": {} },
        "controller": "127.0.0.1:1", "identity": identity,
    });
    shell.write("state/lab.json", &lab.to_string());
    insta::assert_snapshot!("away", shell.transcript(&["status", "--state", "state"]));
    insta::assert_snapshot!("away_json", shell.transcript(&["probe", "--state", "state", "--json"]));
    insta::assert_snapshot!("who_asks", shell.transcript(&["failback", "--state", "state"]));
    insta::assert_snapshot!(
        "who_is_that",
        shell.transcript(&["abort", "3", "--why", "x", "--state", "state", "--as", "eve"])
    );
    for key in ["ana", "budi"] {
        std::fs::remove_file(identity.join(format!("{key}.operator.antipode.key"))).unwrap();
    }
    let nobody = shell.output(&["status", "--state", "state"]);
    assert_eq!(nobody.status.code(), Some(6));
    // The spec is not read when the folder is named.
    shell.write("antipode.yaml", "not a spec");
    assert_eq!(shell.output(&["status", "--state", "state"]).status.code(), Some(6));
}

/// A closed pipe is how `| head` ends a program, not an error to report.
#[test]
fn a_closed_pipe_is_quiet() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antipode"));
    let mut child = command.arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
