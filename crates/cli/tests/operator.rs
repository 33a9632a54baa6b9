//! The operator's commands against a real workload: two regions and a witness on this machine, brought up once.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longest that anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine that is busy with other tests must look neither dead nor slow, and the test need not wait for what an
/// operator rightly waits for.
const PATIENT: &str =
    "timing: { profile: standard, lease: 20s, suspect_after: 5s, unreachable_after: 11s, stale_after: 5s,
  healthy_for: 1s, deadlines: { check: 60s, fence: 60s, promote: 60s, scale: 60s, route: 30s, exercise: 30s } }";

struct Lab {
    dir: tempfile::TempDir,
    up: Option<Child>,
}

impl Lab {
    fn new() -> Self {
        let programs = Path::new(env!("CARGO_BIN_EXE_antipode")).parent().unwrap();
        assert!(programs.join("case-api").exists(), "case-api is not built: cargo build -p antipode -p case-api");
        let dir = tempfile::tempdir().unwrap();
        // PostgreSQL's own account must be able to pass through, when the tests run as root.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let lab = Self { dir, up: None };
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/case-api/antipode.yaml");
        let spec = std::fs::read_to_string(example).unwrap();
        lab.write_spec(&spec.replace("timing: { profile: standard }", PATIENT));
        lab
    }

    fn spec(&self) -> PathBuf {
        self.dir.path().join("antipode.yaml")
    }
    fn write_spec(&self, text: &str) {
        std::fs::write(self.spec(), text).unwrap();
    }
    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.spec()).unwrap();
        assert!(text.contains(from), "{from:?} is not in the spec");
        self.write_spec(&text.replace(from, to));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antipode"));
        command.args(args).args(["--state", "state"]).current_dir(self.dir.path());
        command.env("COLUMNS", "100").env_remove("ANTIPODE_AS").stdin(Stdio::null());
        command
    }

    /// Brings the workload up, on other ports when the first ones are taken meanwhile.
    fn up(&mut self) {
        for base in (0..20).map(|n| 20_000 + (std::process::id() % 50) * 200 + n * 600).filter(|base| *base < 32_000) {
            let log = self.dir.path().join("up.log");
            let file = std::fs::File::create(&log).unwrap();
            let mut command = self.command(&["up", "--base-port", &base.to_string()]);
            let mut child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
            let ended = wait_for("antipode up", || {
                let says = std::fs::read_to_string(&log).unwrap();
                if says.lines().any(|line| line.starts_with("up; ")) {
                    return Some(None);
                }
                child.try_wait().unwrap().map(|status| Some((status, says)))
            });
            match ended {
                None => {
                    self.up = Some(child);
                    return;
                }
                Some((status, says)) => {
                    assert!(status.code() == Some(6) && says.contains("port-in-use"), "{status}: {says}");
                }
            }
        }
        panic!("no free ports");
    }

    /// As Ctrl-C does. Nothing may be left.
    fn down(&mut self) {
        let mut up = self.up.take().unwrap();
        kill_process(Pid::from_child(&up), Signal::INT).unwrap();
        let status = wait_for("the end of antipode up", || up.try_wait().unwrap());
        let log = std::fs::read_to_string(self.dir.path().join("up.log")).unwrap();
        assert!(status.success() && !log.contains("warning:"), "{status}: {log}");
        let left = self.processes();
        assert!(left.is_empty(), "left: {left:?}");
    }

    /// Processes with our folder in their command line or their environment.
    fn processes(&self) -> Vec<String> {
        let folder = self.dir.path().to_str().unwrap();
        let lab = std::fs::read_to_string(self.dir.path().join("state/lab.json")).unwrap_or_default();
        let lab: Value = serde_json::from_str(&lab).unwrap_or_default();
        let mark = format!("ANTIPODE_SITE={}/", lab["lab"].as_str().unwrap_or("none"));
        let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let read = |path: PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        let ours = processes.map(|process| (read(process.join("cmdline")), read(process.join("environ"))));
        ours.filter(|(command, env)| command.contains(folder) || env.contains(&mark))
            .map(|(command, _)| command)
            .collect()
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What is printed, when the exit status is the expected one.
    fn says(&self, args: &[&str], status: i32) -> String {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(status), "antipode {args:?}\n{out}\n{err}");
        format!("{out}{err}")
    }

    fn json(&self, args: &[&str], status: i32) -> Value {
        let args = [args, &["--json"]].concat();
        let output = self.run(&args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Until the status answers well.
    fn settled(&self) {
        wait_for("a workload that is well", || {
            let headline = self.says(&["status"], 0).lines().next().unwrap_or_default().to_owned();
            headline.contains("OK: ").then_some(())
        });
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut up) = self.up.take() {
            // Its children are tied to it.
            let _ = up.kill();
            let _ = up.wait();
        }
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < until, "{what} did not come about within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

const HOME: &str = "ap-southeast-1";
const AWAY: &str = "ap-southeast-3";

#[test]
fn an_operator_moves_the_writer_away_and_back() {
    let mut lab = Lab::new();
    lab.up();
    lab.settled();
    look_around(&lab);
    plans(&lab);
    bad_requests(&lab);
    switch_over(&lab);
    fail_back_with_two_people(&lab);
    override_by_two_people(&lab);
    lab.down();
    assert_eq!(lab.json(&["status"], 5)["error"]["code"], "not-running");
    data_class(&mut lab);
}

fn look_around(lab: &Lab) {
    let status = lab.says(&["status"], 0);
    for part in [
        &format!("{HOME} writes; a failover to {AWAY} would work now"),
        "if alone    asynchronous: writes go on without a standby",
        "would lose  by a failover to",
        "api 4/4 ready",
        "no run is active; run-1 (establish) succeeded",
    ] {
        assert!(status.contains(part), "no {part:?} in\n{status}");
    }
    let status = lab.json(&["status"], 0);
    assert_eq!((status["writer"]["site"].as_str(), status["when_alone"].as_str()), (Some(HOME), Some("block")));

    let probe = lab.json(&["probe"], 0);
    for site in [HOME, AWAY, "witness-1"] {
        let probes = probe["reports"][site]["report"]["probes"].as_object().unwrap();
        assert_eq!(probes.len(), 2, "{site} sees the two others");
    }
    // A site's last report may be from before it was given its zone.
    wait_for("an answer of every DNS server", || {
        let probe = lab.json(&["probe"], 0);
        let dns = probe["dns"].as_array().unwrap();
        let all = dns.len() == 3 && dns.iter().all(|told| told["answered"]["addresses"][0] == "127.0.1.10");
        all.then_some(())
    });
    let probe = lab.says(&["probe"], 0);
    assert!(probe.contains("vantage point") && probe.contains("answers in"), "{probe}");

    let journal = lab.says(&["journal"], 0);
    assert!(journal.contains("run-1: establish to ap-southeast-1, asked by"), "{journal}");
    let last = lab.json(&["journal"], 0).as_array().unwrap().last().unwrap()["seq"].as_u64().unwrap();
    let line = lab.says(&["journal", "--from", &last.to_string()], 0);
    assert!(line.trim_start().starts_with(&last.to_string()), "{line}");
}

/// What a plan says does not depend on the time, nor on the machine.
fn plans(lab: &Lab) {
    insta::assert_snapshot!("plan_switchover", lab.says(&["switchover", "--plan"], 0));
    insta::assert_snapshot!("plan_failover", lab.says(&["failover", "--plan", "--to", AWAY], 0));
    let plan = lab.json(&["switchover", "--plan"], 0);
    assert_eq!(plan["to"], AWAY);
    assert!(lab.json(&["status"], 0)["run"].is_null(), "a plan starts nothing");
}

fn bad_requests(lab: &Lab) {
    let code = |args: &[&str], status| lab.json(args, status)["error"]["code"].as_str().unwrap().to_owned();
    assert_eq!(code(&["failback", "--as", "ana"], 4), "already-there");
    assert_eq!(code(&["failover", "--to", "nowhere", "--as", "ana"], 4), "no-such-site");
    assert_eq!(code(&["switchover", "--to", HOME, "--as", "ana"], 4), "already-there");
    assert_eq!(code(&["switchover"], 2), "no-person");
    assert_eq!(code(&["switchover", "--as", "mallory"], 4), "not-an-approver");
    assert_eq!(code(&["approve", "run-99", "--as", "ana"], 4), "no-such-run");
    assert_eq!(code(&["abort", "99", "--why", "no", "--as", "ana"], 4), "no-such-run");
    assert_eq!(code(&["approve", "ninety", "--as", "ana"], 2), "usage");
}

fn switch_over(lab: &Lab) {
    let told = lab.says(&["switchover", "--as", "ana"], 0);
    for part in ["commit point", "✓", "run-2 succeeded", "stop the old writer"] {
        assert!(told.contains(part), "no {part:?} in\n{told}");
    }
    lab.settled();
    assert_eq!(lab.json(&["status"], 0)["writer"]["site"], AWAY);
}

fn fail_back_with_two_people(lab: &Lab) {
    let told = lab.says(&["failback", "--as", "ana"], 8);
    let (run, next) = waiting(&told);
    assert!(next.contains(&format!("antipode approve {run} --as budi --state state")), "{told}");
    assert!(lab.says(&["status"], 0).contains(&next), "the status says what to type too");
    assert_eq!(lab.json(&["approve", &run, "--as", "ana"], 4)["error"]["code"], "nothing-to-approve");
    assert_eq!(lab.json(&["switchover", "--as", "budi"], 4)["error"]["code"], "run-active");

    let aborted = lab.says(&["abort", &run, "--why", "not tonight", "--as", "citra"], 0);
    assert!(aborted.contains("aborted by citra: not tonight"), "{aborted}");
    assert_eq!(lab.json(&["status"], 0)["writer"]["site"], AWAY);

    let taken_up = lab.json(&["failback", "--as", "ana", "--detach"], 0);
    let run = taken_up["run"].as_u64().unwrap().to_string();
    let back = lab.json(&["approve", &run, "--as", "budi"], 0);
    assert_eq!(back["state"], "succeeded");
    assert_eq!(lab.json(&["abort", &run, "--why", "late", "--as", "ana"], 4)["error"]["code"], "no-such-run");
    lab.settled();
    assert_eq!(lab.json(&["status"], 0)["writer"]["site"], HOME);
}

/// A failover from a region that looks well needs two people, and leaves the old writer fenced.
fn override_by_two_people(lab: &Lab) {
    let (run, next) = waiting(&lab.says(&["failover", "--accept-loss", "--as", "ana"], 8));
    assert_eq!(next, format!("antipode approve {run} --accept-loss --as budi --state state"));
    let told = lab.says(&["approve", &run, "--accept-loss", "--as", "budi"], 0);
    assert!(told.contains(&format!("{run} succeeded")), "{told}");
    let status = lab.says(&["status"], 0);
    assert!(status.contains("fenced") && status.contains("would NOT work now"), "{status}");
}

/// The run and the command that its follower is told to hand to the next person.
fn waiting(told: &str) -> (String, String) {
    let next = told.lines().find_map(|line| line.strip_prefix("next: ")).unwrap_or_else(|| panic!("{told}"));
    let run = next.split(' ').nth(2).unwrap().to_owned();
    (run, next.to_owned())
}

/// The region lost its approval while the workload was down: it is watched, and nothing may go there.
fn data_class(lab: &mut Lab) {
    lab.edit("regulated: [ap-southeast-1, ap-southeast-3]", "regulated: [ap-southeast-1]");
    lab.up();
    wait_for("a confirmed writer", || lab.json(&["status"], 0)["writer"]["confirmed"].as_bool().filter(|so| *so));
    // The writer stayed where the override had left it, so go home first.
    let (run, _) = waiting(&lab.says(&["failback", "--as", "ana"], 8));
    lab.says(&["approve", &run, "--as", "budi"], 0);
    for args in [["failover", "--to", AWAY], ["switchover", "--to", AWAY]] {
        for args in [[&args[..], &["--as", "ana"]].concat(), [&args[..], &["--plan"]].concat()] {
            assert_eq!(lab.json(&args, 4)["error"]["code"], "not-approved-for-data-class", "{args:?}");
        }
    }
    let status = lab.says(&["status"], 0);
    assert!(status.contains("AT RISK") && status.contains("not approved for regulated data"), "{status}");
    lab.down();
}
