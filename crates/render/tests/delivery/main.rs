//! What the script of a deployment does, with a stand-in for the AWS CLI.

#[path = "../checkers/specs.rs"]
#[allow(dead_code)]
mod specs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use antipode_render::{Rendering, render, render_again};
use serde_json::Value;

const SPEC: &str = include_str!("../specs/delivery.yaml");

/// A folder that was rendered, a world that keeps stacks, and what the script is told of it.
struct Deployment {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

fn rendered(text: &str) -> Deployment {
    unpacked(&render(&specs::design("delivery", text), "antipode.yaml").unwrap())
}

/// Rendered again, over what was rendered before components came in waves.
fn rendered_since_long(text: &str) -> Deployment {
    let design = specs::design("delivery", text);
    let before = render(&design, "antipode.yaml").unwrap().placement;
    let mut before = serde_json::to_value(&before).unwrap();
    before.as_object_mut().unwrap().retain(|key, _| !key.starts_with("waves"));
    unpacked(&render_again(&design, "antipode.yaml", &serde_json::from_value(before).unwrap()).unwrap())
}

fn unpacked(rendering: &Rendering) -> Deployment {
    let folder = tempfile::tempdir().unwrap();
    for file in &rendering.files {
        let place = folder.path().join(&file.path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, &file.text).unwrap();
    }
    let programs = folder.path().join("programs");
    fs::create_dir_all(folder.path().join("world")).unwrap();
    fs::create_dir_all(&programs).unwrap();
    for (name, text) in [("aws", include_str!("aws")), ("curl", "#!/bin/sh\nexit 0\n")] {
        fs::write(programs.join(name), text).unwrap();
        fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    Deployment { folder, environment: Vec::new() }
}

impl Deployment {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
    fn with(mut self, name: &'static str, value: &str) -> Deployment {
        self.environment.push((name, value.to_owned()));
        self
    }
    /// Every value that somebody has to say is said.
    fn filled_in(self) -> Deployment {
        for entry in fs::read_dir(self.path("cloudformation/parameters")).unwrap().map(|entry| entry.unwrap().path()) {
            let text = fs::read_to_string(&entry).unwrap();
            fs::write(entry, text.replace("\"ParameterValue\": \"\"", "\"ParameterValue\": \"said\"")).unwrap();
        }
        self
    }
    fn run(&self, args: &[&str]) -> Output {
        let path = format!("{}:{}", self.path("programs").display(), std::env::var("PATH").unwrap());
        let mut script = Command::new("bash");
        script.arg(self.path("deploy.sh")).args(args).env("PATH", path).env("WORLD", self.path("world"));
        script
            .env_remove("GITHUB_SHA")
            .env_remove("SERVING_REGION")
            .env("ANTIPODE_PAUSE", "0")
            .env("ANTIPODE_PATIENCE", "0");
        script.envs(self.environment.iter().map(|(name, value)| (name, value))).output().unwrap()
    }
    fn does(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
    fn refuses(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }
    fn parameters(&self, stack: &str) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.path(&format!("world/{stack}.parameters"))).unwrap();
        let values: Vec<Value> = serde_json::from_str(&text).unwrap();
        let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
        values.iter().map(|value| (text(value, "ParameterKey"), text(value, "ParameterValue"))).collect()
    }
    fn calls(&self) -> String {
        fs::read_to_string(self.path("world/calls")).unwrap_or_default()
    }
}

fn names(parameters: &[(String, String)]) -> Vec<&str> {
    parameters.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_value_that_nobody_has_said_is_refused_before_anything_is_deployed() {
    let deployment = rendered(SPEC);
    let said = deployment.refuses(&["eu-west-1", "--version", "one"]);
    assert!(said.contains("CertificateArn") && said.contains("aws acm list-certificates"), "{said}");
    assert!(!deployment.path("world/shop-eu-west-1").exists());
}

#[test]
fn what_recoveries_change_is_given_by_no_deployment() {
    let deployment = rendered(SPEC).filled_in();
    deployment.does(&["eu-west-1", "--version", "one"]);
    let given = deployment.parameters("shop-eu-west-1");
    assert!(names(&given).contains(&"CertificateArn"), "{given:?}");
    assert!(!names(&given).contains(&"NetworkRange"), "{given:?}");
    deployment.does(&["eu-west-1", "--version", "one", "--set", "NetworkRange=10.9.0.0/16"]);
    assert!(deployment.parameters("shop-eu-west-1").contains(&("NetworkRange".to_owned(), "10.9.0.0/16".to_owned())));
}

#[test]
fn templates_are_read_under_the_version_from_the_bucket_of_their_own_region() {
    let deployment = rendered(SPEC).filled_in();
    deployment.does(&["eu-west-1", "--version", "one"]);
    let given = deployment.parameters("shop-eu-west-1");
    assert!(given.contains(&("TemplatePrefix".to_owned(), "one".to_owned())), "{given:?}");
    let bucket = "shop-templates-111122223333-eu-west-1";
    assert!(given.contains(&("TemplateBucket".to_owned(), bucket.to_owned())), "{given:?}");
    assert!(deployment.calls().contains(&format!("s3://{bucket}/one")), "{}", deployment.calls());
}

#[test]
fn a_region_is_deployed_while_every_other_one_is_down() {
    let deployment = rendered(SPEC).filled_in();
    deployment.does(&["eu-west-1", "--version", "one"]);
    let alone = deployment.with("DOWN", "us-east-1 us-west-2");
    alone.does(&["eu-west-1", "--version", "two"]);
    assert_eq!(alone.does(&["check", "eu-west-1"]), "");
    assert!(
        alone.refuses(&["us-east-1", "--version", "two"]).is_empty() || !alone.path("world/shop-us-east-1").exists()
    );
}

/// The edge is told seventeen things by each region: one that is down is asked once, for a few seconds.
#[test]
fn a_region_that_does_not_answer_is_asked_once() {
    let deployment = rendered(include_str!("../specs/route53.yaml")).filled_in();
    deployment.does(&["all", "--serving", "us-east-1", "--first", "--version", "one", "--no-check"]);
    let one_down = deployment.with("DOWN", "eu-west-1");
    let before = one_down.calls().len();
    one_down.does(&["edge", "--version", "two", "--no-check"]);
    let calls = one_down.calls();
    let asked = |region: &str| {
        let wanted = |line: &&str| line.contains("Outputs[") && line.contains(&format!("--region {region} "));
        calls[before..].lines().filter(wanted).map(str::to_owned).collect::<Vec<_>>()
    };
    let (down, up) = (asked("eu-west-1"), asked("us-east-1"));
    assert!(down.len() == 1 && up.len() > 10, "{down:#?} {up:#?}");
    assert!(down[0].contains("--cli-connect-timeout 5"), "{down:?}");
}

#[test]
fn a_region_with_a_raised_alarm_or_a_sick_target_takes_no_users() {
    let deployment = rendered(SPEC).filled_in();
    deployment.does(&["eu-west-1", "--version", "one"]);
    let mut alarmed = deployment;
    for (alarm, named) in [
        ("Composite:shop-eu-west-1-region-impaired", "shop-eu-west-1-region-impaired"),
        ("Metric:shop-api-eu-west-1-new-version-fails", "shop-api-eu-west-1-new-version-fails"),
    ] {
        alarmed = Deployment { environment: vec![("ALARMS", alarm.to_owned())], ..alarmed };
        assert!(alarmed.refuses(&["check", "eu-west-1"]).contains(&format!("the alarm {named} is raised")), "{named}");
    }
    // What only wants to be looked at keeps nobody, nor does a region that could not take over: it may have to be mended.
    let looked = ["Metric:shop-eu-west-1-lb-errors", "Composite:shop-eu-west-1-region-not-ready"].join(" ");
    let alarmed = Deployment { environment: vec![("ALARMS", looked)], ..alarmed };
    alarmed.does(&["check", "eu-west-1"]);
    let sick = Deployment { environment: vec![("UNHEALTHY", "1".to_owned())], ..alarmed };
    assert!(sick.refuses(&["check", "eu-west-1"]).contains("are not healthy"));
}

#[test]
fn the_recovery_region_is_first_whichever_it_is_now() {
    let deployment = rendered(SPEC);
    for (serving, first, then) in [("us-east-1", "eu-west-1", "us-east-1"), ("eu-west-1", "us-east-1", "eu-west-1")] {
        let waves = deployment.does(&["waves", "--serving", serving]);
        let line = |name: &str| {
            let text = waves.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
            let targets: Vec<Value> = serde_json::from_str(text).unwrap();
            targets.iter().map(|target| target["stack"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((line("first"), line("then")), (vec![first.to_owned()], vec![then.to_owned()]), "{waves}");
        assert!(line("before").contains(&"global".to_owned()), "{waves}");
    }
    assert!(deployment.refuses(&["waves"]).contains("which region serves now"));
    assert!(deployment.refuses(&["waves", "--serving", "mars"]).contains("no region of this workload"));
}

#[test]
fn going_back_brings_the_version_before() {
    let deployment = rendered(SPEC).filled_in();
    deployment.does(&["eu-west-1", "--version", "one"]);
    assert!(deployment.refuses(&["rollback", "eu-west-1"]).contains("no version of eu-west-1 is known before"));
    deployment.does(&["eu-west-1", "--version", "two"]);
    let said = deployment.refuses(&["rollback", "eu-west-1"]);
    // The stand-in has no templates to give back: that the right ones were asked for is enough.
    assert!(deployment.calls().contains("s3://shop-templates-111122223333-eu-west-1/one "), "{said}");
}

#[test]
fn what_a_deployment_was_is_kept() {
    let deployment = rendered(SPEC).filled_in();
    deployment.does(&["eu-west-1", "--version", "one"]);
    let mut objects = fs::read_dir(deployment.path("world/objects")).unwrap().map(|entry| entry.unwrap().path());
    let record = objects.find(|path| path.extension().is_some_and(|end| end == "json")).unwrap();
    let record: Value = serde_json::from_str(&fs::read_to_string(record).unwrap()).unwrap();
    assert_eq!((&record["version"], &record["artifact"]), (&Value::from("one"), &Value::from("7")));
}

#[test]
fn a_version_is_the_same_bytes_in_every_region_that_answers() {
    let spec = SPEC.replace("components:", "components:\n  api: { kind: aws.fargate }");
    let deployment = rendered(&spec).filled_in();
    deployment.does(&["us-east-1", "--version", "one"]);
    let record = |deployment: &Deployment| {
        let objects = fs::read_dir(deployment.path("world/objects")).unwrap().map(|entry| entry.unwrap().path());
        let record = objects.filter(|path| path.extension().is_some_and(|end| end == "json")).max().unwrap();
        serde_json::from_str::<Value>(&fs::read_to_string(record).unwrap()).unwrap()
    };
    assert_eq!(record(&deployment)["images"]["api"], "sha256:one");
    let other = deployment.with("OTHER_IMAGE", "eu-west-1");
    let said = other.refuses(&["eu-west-1", "--version", "one"]);
    assert!(said.contains("7 of api is sha256:other in eu-west-1, and sha256:one in us-east-1"), "{said}");
    // A region that does not answer is waited for by nobody.
    let alone = other.with("DOWN", "us-east-1");
    alone.does(&["eu-west-1", "--version", "one"]);
}

/// An archive has no digest that two regions could be asked for beforehand; the code that came of it has.
#[test]
fn a_function_is_the_same_code_in_every_region_that_has_the_version() {
    let spec = SPEC.replace("components:", "components:\n  mail: { kind: aws.lambda }");
    let deployment = rendered(&spec).filled_in();
    deployment.does(&["us-east-1", "--version", "one"]);
    assert!(deployment.calls().contains("--function-name shop-mail "), "{}", deployment.calls());
    let other = deployment.with("OTHER_CODE", "eu-west-1");
    let said = other.refuses(&["eu-west-1", "--version", "one"]);
    assert!(said.contains("7 of mail is other= in eu-west-1, and one= in us-east-1"), "{said}");
    assert!(said.contains("deploy.sh rollback eu-west-1"), "{said}");
    // A region that has another version yet, or does not answer, is waited for by nobody.
    let older = other.with("CODE_VERSION", "6");
    older.does(&["eu-west-1", "--version", "one"]);
    older.with("CODE_VERSION", "7").with("DOWN", "us-east-1").does(&["eu-west-1", "--version", "one"]);
}

#[test]
fn a_deployment_that_was_broken_off_says_how_to_go_on() {
    let deployment = rendered(SPEC).filled_in();
    deployment.does(&["eu-west-1", "--version", "one"]);
    for (state, says) in [
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name shop-eu-west-1 --region eu-west-1"),
        ("UPDATE_IN_PROGRESS", "cancel-update-stack --stack-name shop-eu-west-1 --region eu-west-1"),
        ("ROLLBACK_COMPLETE", "delete-stack --stack-name shop-eu-west-1 --region eu-west-1"),
    ] {
        fs::write(deployment.path("world/shop-eu-west-1"), state).unwrap();
        let said = deployment.refuses(&["eu-west-1", "--version", "two"]);
        assert!(said.contains(says), "{said}");
    }
    fs::write(deployment.path("world/shop-eu-west-1"), "REVIEW_IN_PROGRESS").unwrap();
    deployment.does(&["eu-west-1", "--version", "two"]);
}

#[test]
fn every_stack_of_every_spec_is_deployed_after_what_it_needs() {
    for (name, text) in specs::all() {
        let rendering = specs::rendering(&name, &text);
        let Some(file) = rendering.files.iter().find(|file| Path::new(&file.path).ends_with("deployment.json")) else {
            continue;
        };
        let plan: Value = serde_json::from_str(&file.text).unwrap();
        let rank = |kind: &Value| ["before", "region", "after"].iter().position(|known| kind == known).unwrap();
        let stacks = plan["stacks"].as_array().unwrap();
        for stack in stacks {
            for needed in stack["after"].as_array().unwrap() {
                let needed = stacks.iter().find(|other| other["name"] == *needed).unwrap();
                assert!(rank(&needed["kind"]) <= rank(&stack["kind"]), "{name}: {stack} needs {needed}");
            }
        }
    }
}

/// What CloudFormation says of a stack that was made with the defaults of its template.
fn with_defaults(deployment: &Deployment, stack: &str, names: &[&str]) {
    let known = names.iter().map(|name| serde_json::json!({ "ParameterKey": name, "ParameterValue": "awaited" }));
    let known: Vec<Value> = known.collect();
    fs::write(deployment.path(&format!("world/{stack}.parameters")), Value::from(known).to_string()).unwrap();
}

/// CloudFormation would set the number of tasks again whenever it changes a service, and so undo what a recovery added.
#[test]
fn only_a_first_deployment_says_how_many_to_begin_with() {
    let spec = SPEC.replace("components:", "components:\n  worker: { kind: aws.fargate, peak: 2 }");
    let deployment = rendered(&spec).filled_in();
    deployment.does(&["us-east-1", "--version", "one", "--no-check"]);
    assert!(!names(&deployment.parameters("shop-us-east-1")).contains(&"AtFirst1"), "the template's own default");
    with_defaults(&deployment, "shop-us-east-1", &["AtFirst1"]);
    deployment.does(&["us-east-1", "--version", "two", "--no-check"]);
    assert!(deployment.parameters("shop-us-east-1").contains(&("AtFirst1".to_owned(), String::new())));
    deployment.does(&["us-east-1", "--version", "three", "--no-check", "--set", "AtFirst1=4"]);
    assert!(deployment.parameters("shop-us-east-1").contains(&("AtFirst1".to_owned(), "4".to_owned())));
}

/// An earlier version of the template had no such parameter, and began with the fewest.
#[test]
fn what_runs_since_an_earlier_template_does_not_begin_again() {
    let spec = SPEC.replace("components:", "components:\n  worker: { kind: aws.fargate, peak: 2 }");
    let deployment = rendered_since_long(&spec).filled_in();
    deployment.does(&["us-east-1", "--version", "one", "--no-check"]);
    with_defaults(&deployment, "shop-us-east-1", &["OtherMinimum"]);
    deployment.does(&["us-east-1", "--version", "two", "--no-check"]);
    assert!(!names(&deployment.parameters("shop-us-east-1")).contains(&"WorkerAtFirst"), "it is new in that stack");
    with_defaults(&deployment, "shop-us-east-1", &["WorkerMinimum"]);
    deployment.does(&["us-east-1", "--version", "three", "--no-check"]);
    assert!(deployment.parameters("shop-us-east-1").contains(&("WorkerAtFirst".to_owned(), String::new())));
}

#[test]
fn regions_are_joined_by_a_second_deployment_of_each_once_a_component_stands_in_all() {
    let spec = SPEC.replace("components:", "components:\n  uploads: { kind: aws.s3 }");
    let deployment = rendered(&spec).filled_in();
    let (one, other) = ("shop-us-east-1", "shop-eu-west-1");
    deployment.does(&["us-east-1", "--version", "one"]);
    with_defaults(&deployment, one, &["OtherRegions1"]);
    deployment.does(&["us-east-1", "--version", "one"]);
    assert!(!names(&deployment.parameters(one)).contains(&"OtherRegions1"), "the other region is not there");

    with_defaults(&deployment, one, &["OtherRegions1"]);
    deployment.does(&["eu-west-1", "--version", "one"]);
    assert!(!names(&deployment.parameters(other)).contains(&"OtherRegions1"), "it is only being made");

    with_defaults(&deployment, other, &["OtherRegions1"]);
    deployment.does(&["join", "--version", "one"]);
    for stack in [one, other] {
        let joined = ("OtherRegions1".to_owned(), "stand".to_owned());
        assert!(deployment.parameters(stack).contains(&joined), "{stack}");
    }
}

/// The file is the team's: what was asked for once stays in it, and nobody has to say it any more.
#[test]
fn a_value_that_is_asked_for_no_longer_is_waited_for_no_longer() {
    let deployment = rendered(SPEC).filled_in();
    let own = deployment.path("cloudformation/parameters/us-east-1.own.json");
    let mut values: Vec<Value> = serde_json::from_str(&fs::read_to_string(&own).unwrap()).unwrap();
    values.push(serde_json::json!({ "ParameterKey": "Gone", "ParameterValue": "", "about": "what stood there" }));
    fs::write(&own, Value::from(values).to_string()).unwrap();
    deployment.does(&["us-east-1", "--version", "one"]);
    let given = deployment.parameters("shop-us-east-1");
    assert!(!names(&given).contains(&"Gone") && names(&given).contains(&"CertificateArn"), "{given:?}");
    assert!(fs::read_to_string(&own).unwrap().contains("Gone"));
}
