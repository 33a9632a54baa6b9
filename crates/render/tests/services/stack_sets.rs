//! What is the same in every region is handed out by a stack set, and no region's stack waits for one.

use antipode_render::value::{ACCOUNT, Value};

use crate::{at, at_first, find, resource, spec, text};

#[test]
fn what_a_stack_set_has_is_in_no_stack_of_a_region() {
    let rendering = spec("stack-sets");
    for region in ["eu-west-1", "eu-central-1", "ap-southeast-3"] {
        assert!(find(&rendering, region, "ThreatsDetector").is_none());
        assert!(find(&rendering, region, "LooksRecorder").is_none());
        assert!(find(&rendering, region, "OwnHub").is_some(), "it is not named by any");
    }
    let body = text(resource(&rendering, "stack-sets", "BaselineSet"), "TemplateBody");
    for kind in ["AWS::GuardDuty::Detector", "AWS::Config::ConfigurationRecorder", "AWS::CloudTrail::Trail"] {
        assert!(body.contains(kind), "{kind} is not in\n{body}");
    }
    assert!(body.len() < 51_200, "{}", body.len());
}

#[test]
fn no_stack_needs_a_stack_set_and_it_is_last() {
    let rendering = spec("stack-sets");
    assert_eq!(rendering.stacks.last().unwrap().root.name(), "stack-sets");
    for stack in &rendering.stacks {
        assert!(!stack.after.iter().any(|root| root.name() == "stack-sets"), "{}", stack.root);
    }
}

/// A mistake ends in the first region, which is the one that does not serve; and which that is, is no template's business.
#[test]
fn the_region_that_serves_is_last_and_a_recovery_says_which() {
    let rendering = spec("stack-sets");
    let set = resource(&rendering, "stack-sets", "BaselineSet");
    assert_eq!(at_first(&rendering, "stack-sets", "BaselineRegionOrder"), "eu-central-1,ap-southeast-3,eu-west-1");
    assert!(matches!(at(set, "OperationPreferences.RegionOrder"), Value::Parameter(..)));
    assert_eq!(at_first(&rendering, "stack-sets", "BaselineTolerance"), "0");
    assert_eq!(at_first(&rendering, "stack-sets", "WholeRegionOrder"), "eu-west-1,eu-central-1,ap-southeast-3");
    let together = resource(&rendering, "stack-sets", "TogetherSet");
    assert_eq!(text(together, "OperationPreferences.RegionConcurrencyType"), "PARALLEL");
}

#[test]
fn each_account_gets_the_regions_that_it_is_said_to_be_in() {
    let rendering = spec("stack-sets");
    let set = resource(&rendering, "stack-sets", "BaselineSet");
    assert_eq!(at(set, "StackInstancesGroup.0.DeploymentTargets.Accounts.0"), &ACCOUNT);
    assert_eq!(text(set, "StackInstancesGroup.1.DeploymentTargets.Accounts.0"), "222233334444");
    assert_eq!(text(set, "StackInstancesGroup.1.Regions.0"), "ap-southeast-3");
    let whole = resource(&rendering, "stack-sets", "WholeSet");
    assert_eq!(text(whole, "PermissionModel"), "SERVICE_MANAGED");
    assert!(whole.properties.get("AdministrationRoleARN").is_none());
    let role = resource(&rendering, "stack-sets", "BaselineAdministrationRole");
    let Value::List(services) = at(role, "AssumeRolePolicyDocument.Statement.0.Principal.Service") else { panic!() };
    assert!(services.contains(&"cloudformation.ap-southeast-3.amazonaws.com".into()), "a region that is switched on");
    assert!(rendering.files.iter().any(|file| file.path == "cloudformation/everywhere/baseline-role.yaml"));
}

/// One template for all of them: a region's name is never in it where the region's own is meant.
#[test]
fn what_differs_by_region_depends_on_the_region() {
    let rendering = spec("stack-sets");
    let body = text(resource(&rendering, "stack-sets", "BaselineSet"), "TemplateBody");
    assert!(body.contains("IncludeGlobalResourceTypes: !If"), "{body}");
    assert!(
        body.contains("  TrailTrail:\n    Type: AWS::CloudTrail::Trail\n    Condition: InEuWest1EuCentral1"),
        "{body}"
    );
    assert!(!body.contains("logs.eu-west-1"), "{body}");
    assert!(!body.contains('#'), "a comment with a line of the spec would change every stack");
}

/// What a stack set makes in a region has keys and buckets of its own, not the names of the region's stack.
#[test]
fn it_has_nothing_in_common_with_the_stacks_of_regions() {
    let rendering = spec("stack-sets");
    let body = text(resource(&rendering, "stack-sets", "BaselineSet"), "TemplateBody");
    assert!(body.contains("AliasName: alias/guarded-baseline-data"), "{body}");
}
