//! Keys, secrets and roles: what a recovery has to find where it is.

use antipode_render::resource::Keep;
use antipode_render::value::Value;
use antipode_render::{RenderError, render};

use crate::regions::{rendered, two_regions};
use crate::{at, find, resource, spec, specs, text, words};

#[test]
fn a_key_of_several_regions_is_made_in_the_first_and_replicated_to_the_others() {
    let rendering = spec("keys");
    let first = resource(&rendering, "us-east-1", "DataKeyKey");
    assert_eq!((first.kind, at(first, "MultiRegion")), ("AWS::KMS::Key", &Value::Bool(true)));
    let replica = resource(&rendering, "us-west-2", "DataKeyKey");
    assert_eq!((replica.kind, replica.keep), ("AWS::KMS::ReplicaKey", Keep::Retain));
    assert_eq!(resource(&rendering, "us-west-2", "LocalKeyKey").kind, "AWS::KMS::Key");
}

#[test]
fn nobody_deletes_a_protected_key_alone() {
    let rendering = spec("keys");
    for region in ["us-east-1", "us-west-2"] {
        let key = resource(&rendering, region, "DataKeyKey");
        assert_eq!(text(key, "KeyPolicy.Statement.2.Effect"), "Deny");
    }
}

#[test]
fn a_secret_is_replicated_and_has_one_name() {
    let rendering = spec("keys");
    let secret = resource(&rendering, "us-east-1", "PasswordSecret");
    assert_eq!(text(secret, "ReplicaRegions.0.Region"), "us-west-2");
    assert!(find(&rendering, "us-west-2", "PasswordSecret").is_none());
    for region in ["us-east-1", "us-west-2"] {
        assert_eq!(text(resource(&rendering, region, "TokenSecret"), "Name"), "third/party/token");
    }
}

#[test]
fn the_role_of_a_recovery_may_call_what_the_components_need_in_their_regions_only() {
    let rendering = spec("guard");
    let role = resource(&rendering, "global", "RolesRecovery");
    let Value::List(statements) = at(role, "Policies.0.PolicyDocument.Statement") else { panic!() };
    let of = |call: &str| statements.iter().find(|statement| format!("{statement:?}").contains(call)).cloned();
    let promote = format!("{:?}", of("rds:PromoteReadReplica").expect("a recovery promotes"));
    assert!(promote.contains("aws:RequestedRegion") && promote.contains("us-west-2"), "{promote}");
    assert!(of("dynamodb:").is_none() && of("iam:").is_none());
    assert!(role.properties.get("PermissionsBoundary").is_some());
}

#[test]
fn the_same_rules_stand_before_the_load_balancer_of_every_region() {
    let rendering = spec("guard");
    let rules = |region| resource(&rendering, region, "RulesRules").properties.get("Rules").unwrap();
    assert_eq!(rules("us-east-1"), rules("us-west-2"));
    for region in ["us-east-1", "us-west-2"] {
        assert!(find(&rendering, region, "RulesBeforeLb").is_some());
    }
}

#[test]
fn instances_read_the_secrets_that_they_need_in_their_own_region() {
    let rendering = spec("storefront");
    let role = resource(&rendering, "eu-west-1", "WebInstanceRole");
    let statement = format!("{:?}", at(role, "Policies.0.PolicyDocument.Statement"));
    assert!(statement.contains("eu-west-1") && statement.contains("storefront/db-password"), "{statement}");
}

/// Brokers ask for the right to connect, and then for each topic and each group.
#[test]
fn what_needs_a_log_may_read_and_write_it_in_its_own_region() {
    let rendering = rendered("  log: { kind: aws.msk }\n  web: { kind: aws.asg, needs: [log] }\n");
    let role = crate::regions::resource(&rendering, "eu-west-1", "WebInstanceRole");
    let may = words::all(role, "Policies.*.PolicyDocument.Statement.*").join("\n");
    for (call, of) in [
        ("kafka-cluster:Connect", "cluster/test-log/*"),
        ("kafka-cluster:ReadData", "topic/test-log/*"),
        ("kafka-cluster:WriteData Resource", "topic/test-log/*"),
        ("kafka-cluster:AlterGroup", "group/test-log/*"),
        ("kafka:GetBootstrapBrokers", "cluster/test-log/*"),
    ] {
        let statement = may.lines().find(|line| line.contains(call)).unwrap_or_else(|| panic!("no {call} in {may}"));
        assert!(statement.contains(&format!(":kafka:{{AWS::Region}}:{{AWS::AccountId}}:{of}")), "{statement}");
    }
}

/// CloudFormation would say so in the middle of a deployment.
#[test]
fn what_there_can_be_once_is_said_before_anything_is_written() {
    for (first, second) in [
        ("aws.iam", "aws.iam"),
        ("aws.guardduty", "aws.guardduty"),
        ("aws.vpc-peering", "aws.transit-gateway"),
        ("aws.config", "aws.config"),
    ] {
        let text = two_regions(&format!("  first: {{ kind: {first} }}\n  second: {{ kind: {second} }}\n"));
        match render(&specs::design("test", &text), "antipode.yaml") {
            Err(RenderError::Impossible(problems)) => {
                let [problem] = problems.as_slice() else { panic!("{problems:#?}") };
                assert_eq!(problem.path, "components.second");
                assert!(problem.says.contains("as components.first does"), "{}", problem.says);
            }
            other => panic!("{first} and {second}: {:?}", other.map(|rendering| rendering.files.len())),
        }
    }
}

/// A record is typed into commands by people at night.
#[test]
fn a_name_that_a_shell_would_run_is_refused_before_anything_is_written() {
    for (text, path) in [
        (
            "  www: { kind: aws.route53, record: \"a'b$(id).example.com\", to: lb }\n  lb: { kind: aws.alb }\n",
            "components.www.record",
        ),
        ("  db: { kind: aws.rds, replication: none, id: \"a`b`\" }\n", "components.db.id"),
        ("  lb: { kind: aws.alb, check: { path: \"/a;b\" } }\n", "components.lb.check.path"),
    ] {
        match render(&specs::design("test", &two_regions(text)), "antipode.yaml") {
            Err(RenderError::Impossible(problems)) => {
                assert!(problems.iter().any(|problem| problem.path == path), "{problems:#?}");
            }
            other => panic!("{text}: {:?}", other.map(|rendering| rendering.files.len())),
        }
    }
}

/// What exists stays untouched; what is rendered is guarded, by whatever rules there are.
#[test]
fn rules_that_exist_guard_what_is_rendered_and_rendered_ones_leave_what_exists() {
    let fronts = "  cdn: { kind: aws.cloudfront, to: lb, behind: rules, serves: both }\n  api: { kind: aws.api-gateway, behind: rules }\n";
    let adopted = rendered(&format!(
        "  rules: {{ kind: aws.waf, managed: adopt }}\n  lb: {{ kind: aws.alb, behind: rules }}\n{fronts}"
    ));
    let association = resource(&adopted, "eu-west-1", "RulesBeforeLb");
    assert_eq!(words::word(at(association, "WebACLArn")), "{RulesRulesArn}");
    let cdn = resource(&adopted, "edge", "CdnDistribution");
    assert_eq!(words::word(at(cdn, "DistributionConfig.WebACLId")), "{RulesRulesArn}");
    let says = |rendering: &antipode_render::Rendering, what: &str| {
        rendering.notes.iter().any(|note| note.says.contains(what))
    };
    assert!(says(&adopted, "api has no rules in front of it"));
    let ours = rendered("  rules: { kind: aws.waf }\n  lb: { kind: aws.alb, managed: adopt, behind: rules }\n");
    assert!(find(&ours, "eu-west-1", "RulesBeforeLb").is_none() && says(&ours, "lb exists, and keeps the rules"));
}

/// Rules are paid for by the month, and guard what stands behind them.
#[test]
fn rules_are_made_where_something_stands_behind_them() {
    let made = |rendering: &antipode_render::Rendering| {
        ["us-east-1", "eu-west-1", "edge"].map(|root| find(rendering, root, "RulesRules").is_some())
    };
    let rules = "  rules: { kind: aws.waf }\n  lb: { kind: aws.alb }\n";
    let alone = rendered(rules);
    assert_eq!(made(&alone), [false; 3]);
    assert!(alone.notes.iter().any(|note| note.says.contains("nothing stands behind it")), "{:?}", alone.notes);
    let cdn = format!("{rules}  cdn: {{ kind: aws.cloudfront, to: lb, behind: rules, serves: both }}\n");
    assert_eq!(made(&rendered(&cdn)), [false, false, true]);
    let one = rules.replace("kind: aws.alb", "kind: aws.alb, behind: rules, sites: [eu-west-1]");
    assert_eq!(made(&rendered(&one)), [false, true, false]);
}

/// Who recovers brings back the values of the workload's secrets, and reads no others.
#[test]
fn a_recovery_reads_the_workloads_own_secrets_only() {
    let rendering = rendered("  roles: { kind: aws.iam }\n  token: { kind: aws.secrets-manager, replicated: true }\n");
    let role = resource(&rendering, "global", "RolesRecovery");
    let Value::List(statements) = at(role, "Policies.0.PolicyDocument.Statement") else { panic!() };
    let reads = statements.iter().map(words::word).filter(|said| said.contains("GetSecretValue"));
    let reads: Vec<String> = reads.collect();
    let [only] = reads.as_slice() else { panic!("{reads:?}") };
    assert!(only.contains("secret:test/token-??????") && !only.contains("Resource=*"), "{only}");
}
