//! What runs the workload: the same in each region, needing no other, and as many as run-time state says.

use antipode_render::resource::Keep;
use antipode_render::value::{NO_VALUE, Value};
use antipode_render::{RenderError, render, render_again};

use crate::regions::{list, map, of_kind, rendered, resource, two_regions};
use crate::specs;

/// CloudFormation sets the number that a template says whenever it changes anything else of a service.
#[test]
fn only_a_first_deployment_says_how_many_tasks_run() {
    let rendering = rendered("  api: { kind: aws.fargate, peak: 6, autoscale: true }\n  jobs: { kind: aws.ecs }\n");
    for root in ["us-east-1", "eu-west-1"] {
        let services = of_kind(&rendering, root, "AWS::ECS::Service");
        assert_eq!(services.len(), 2);
        for service in services {
            let Some(Value::If(condition, count, otherwise)) = service.properties.get("DesiredCount") else { panic!() };
            assert!(condition.name == "Begins1" && **otherwise == NO_VALUE, "{condition:?}");
            let wanted = if &*service.id == "ApiService" { 6 } else { 2 };
            assert_eq!(**count, Value::from(wanted), "scaling does not lift what begins below its least");
        }
        assert_eq!(crate::at_first(&rendering, root, "AtFirst1"), "begin");
        assert_eq!(of_kind(&rendering, root, "AWS::ApplicationAutoScaling::ScalableTarget").len(), 2);
    }
}

#[test]
fn a_version_that_does_not_start_is_taken_back() {
    let rendering = rendered("  api: { kind: aws.fargate }\n");
    let deployment = map(resource(&rendering, "eu-west-1", "ApiService").properties.get("DeploymentConfiguration"));
    let breaker = map(deployment.get("DeploymentCircuitBreaker"));
    assert_eq!((breaker.get("Enable"), breaker.get("Rollback")), (Some(&true.into()), Some(&true.into())));
}

/// An image is pulled from the registry of the region that runs it, whichever that is.
#[test]
fn images_come_from_the_own_region_and_are_copied_both_ways() {
    let rendering = rendered("  images: { kind: aws.ecr, replication: asynchronous }\n  api: { kind: aws.fargate }\n");
    for (root, other) in [("us-east-1", "eu-west-1"), ("eu-west-1", "us-east-1")] {
        let task = resource(&rendering, root, "ApiTask");
        let image = map(Some(&list(task.properties.get("ContainerDefinitions"))[0])).get("Image").unwrap();
        let image = format!("{image:?}");
        assert!(image.contains("Pseudo(Region)") && !image.contains(other), "{image}");
        let replication = resource(&rendering, root, "ImageReplication");
        let to = format!("{:?}", replication.properties);
        assert!(to.contains(other) && !to.contains(&format!("{root}\"")), "{to}");
        let repository = of_kind(&rendering, root, "AWS::ECR::Repository");
        assert_eq!(repository[0].keep, Keep::Retain);
        assert_eq!(repository[0].properties.get("ImageTagMutability"), Some(&"IMMUTABLE".into()));
    }
}

/// An account has one registry in a region, however many the spec calls one.
#[test]
fn a_repository_is_made_once_and_stays_with_what_made_it() {
    let two = "  images: { kind: aws.ecr }\n  tools: { kind: aws.ecr }\n  api: { kind: aws.fargate }\n";
    let turned = "  tools: { kind: aws.ecr }\n  images: { kind: aws.ecr }\n  api: { kind: aws.fargate }\n";
    let repositories = |rendering: &antipode_render::Rendering| {
        let made = of_kind(rendering, "eu-west-1", "AWS::ECR::Repository");
        made.into_iter().map(|made| format!("{} {}", made.id, crate::text(made, "RepositoryName"))).collect::<Vec<_>>()
    };
    let first = rendered(two);
    assert_eq!(repositories(&first), ["ImagesTestApiRepository test/api", "ToolsTestToolsRepository test-tools"]);
    let again = render_again(&specs::design("test", &two_regions(turned)), "antipode.yaml", &first.placement).unwrap();
    let mut kept = repositories(&again);
    kept.sort();
    assert_eq!(kept, repositories(&first));
}

#[test]
fn another_artifact_is_another_version_and_the_old_one_stays() {
    let text = two_regions("  f: { kind: aws.lambda }\n");
    let versions = |text: &str| {
        let rendering = specs::rendering("test", text);
        let versions = of_kind(&rendering, "eu-west-1", "AWS::Lambda::Version");
        versions.iter().map(|version| (version.id.clone(), version.keep)).collect::<Vec<_>>()
    };
    let (one, two) = (versions(&text), versions(&text.replace("artifact: v1", "artifact: v2")));
    assert_eq!((one.len(), one[0].1), (1, Keep::Retain));
    assert_ne!(one[0].0, two[0].0);
}

#[test]
fn nobody_opens_ssh_to_the_internet() {
    let open = |ports: &str| {
        let text = two_regions(&format!("  doors: {{ kind: aws.security-group, open_to_all: {ports} }}\n"));
        match render(&specs::design("test", &text), "antipode.yaml") {
            Ok(_) => None,
            Err(RenderError::Impossible(problems)) => Some(problems[0].path.clone()),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(open(r#"["80", "443"]"#), None);
    for ports in [r#"["22"]"#, r#"["20-30"]"#, r#"["5432"]"#, r#"["https"]"#, r#"["0"]"#] {
        assert_eq!(open(ports).as_deref(), Some("components.doors.open_to_all"), "{ports}");
    }
}

#[test]
fn a_cluster_is_reached_from_its_own_network_and_its_secrets_are_encrypted() {
    let rendering = rendered("  k: { kind: aws.eks }\n");
    let cluster = resource(&rendering, "eu-west-1", "KCluster");
    let reached = map(cluster.properties.get("ResourcesVpcConfig"));
    assert_eq!(reached.get("EndpointPublicAccess"), Some(&false.into()));
    assert_eq!(list(cluster.properties.get("EncryptionConfig")).len(), 1);
}
