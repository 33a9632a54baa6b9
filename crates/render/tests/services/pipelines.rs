//! No pipeline is lost with a region, and none knows who is primary.

use antipode_render::value::Value;

use crate::{at, at_first, find, resource, spec, text};

#[test]
fn a_pipeline_is_whole_in_each_region_and_one_starts_by_itself() {
    let rendering = spec("pipelines");
    for (region, starts) in [("us-east-1", "true"), ("eu-west-1", "false")] {
        let pipeline = resource(&rendering, region, "ShipPipeline");
        assert_eq!(at_first(&rendering, region, "ShipStarts"), starts);
        assert!(matches!(at(pipeline, "Stages.0.Actions.0.Configuration.DetectChanges"), Value::Parameter(..)));
        for stage in [1, 2] {
            let of = |action: u8| text(pipeline, &format!("Stages.{stage}.Actions.{action}.Region"));
            assert_eq!(
                [of(0), of(1)],
                ["us-east-1", "eu-west-1"],
                "each wave asks every region whether it is its turn"
            );
        }
        let Value::List(stores) = at(pipeline, "ArtifactStores") else { panic!() };
        assert_eq!(stores.len(), 2);
        assert!(find(&rendering, region, "ShipDeploy").is_some());
    }
    assert!(find(&rendering, "us-east-1", "NamedPipeline").is_none(), "it runs where the spec says");
    assert_eq!(at_first(&rendering, "eu-west-1", "NamedStarts"), "true", "and starts there");
    assert!(find(&rendering, "us-east-1", "NamedDeploy").is_some(), "and deploys everywhere");
    assert!(find(&rendering, "eu-west-1", "OneDeploy").is_none());
}

/// What is deployed in which order is asked of the script, with the region that serves as a variable of the run.
#[test]
fn the_order_is_about_the_region_that_serves_now() {
    let rendering = spec("pipelines");
    let pipeline = resource(&rendering, "eu-west-1", "ShipPipeline");
    assert_eq!(text(pipeline, "Variables.0.Name"), "SERVING_REGION");
    assert!(matches!(at(pipeline, "Variables.0.DefaultValue"), Value::Parameter(..)));
    let given = text(pipeline, "Stages.1.Actions.0.Configuration.EnvironmentVariables");
    assert!(given.contains("#{variables.SERVING_REGION}") && given.contains(r#""value":"first""#), "{given}");
    let build = text(resource(&rendering, "eu-west-1", "ShipDeploy"), "Source.BuildSpec");
    assert!(build.contains("deploy.sh waves --serving \"$SERVING_REGION\"") && build.contains("rollback"), "{build}");
}

#[test]
fn a_project_may_deploy_its_own_region_only() {
    let rendering = spec("pipelines");
    let role = format!("{:?}", resource(&rendering, "eu-west-1", "ShipDeployerRole").properties);
    assert!(role.contains("cloudformation:eu-west-1") && role.contains("shipped-cloudformation-eu-west-1"), "{role}");
    assert!(!role.contains("us-east-1"), "{role}");
}
