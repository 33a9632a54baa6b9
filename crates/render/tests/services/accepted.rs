//! What CloudFormation or a service would refuse, or take and not do: each was found by reading what is rendered as
//! somebody who has to deploy it.

use antipode_render::value::Value;
use antipode_render::{RenderError, render};

use crate::regions::{at_first, list, map, of_kind, rendered, resource, two_regions};
use crate::specs;

fn says(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

fn written(components: &str, root: &str) -> String {
    let rendering = rendered(components);
    let of = |path: &str| path.starts_with(&format!("cloudformation/{root}/"));
    rendering.files.iter().filter(|file| of(&file.path)).map(|file| file.text.as_str()).collect()
}

fn problems(components: &str) -> Vec<(String, String)> {
    match render(&specs::design("test", &two_regions(components)), "antipode.yaml") {
        Err(RenderError::Impossible(problems)) => problems.into_iter().map(|p| (p.path, p.says)).collect(),
        Err(error) => panic!("{error}"),
        Ok(_) => Vec::new(),
    }
}

/// With `Retain` alone, what a failed first deployment made stays under its fixed name, and the next one is refused.
#[test]
fn a_first_deployment_that_failed_can_be_made_again() {
    let text = written("  t: { kind: aws.dynamodb }\n", "us-east-1");
    assert!(text.contains("DeletionPolicy: RetainExceptOnCreate\n    UpdateReplacePolicy: Retain\n"));
    assert!(!text.contains("DeletionPolicy: Retain\n"));
}

#[test]
fn instances_are_replaced_while_fewer_serve_than_there_can_be() {
    for (spec, in_service, most) in [
        ("{ kind: aws.asg, peak: 4 }", 4, "5"),
        ("{ kind: aws.asg, peak: 4, minimum: 2 }", 2, "5"),
        ("{ kind: aws.asg, peak: 4, maximum: 4 }", 3, "4"),
        ("{ kind: aws.asg, peak: 1, maximum: 1, warm_up: 2h }", 0, "1"),
    ] {
        let rendering = rendered(&format!("  web: {spec}\n"));
        let group = resource(&rendering, "us-east-1", "WebGroup");
        let rolling = map(map(group.policies.get("UpdatePolicy")).get("AutoScalingRollingUpdate"));
        assert_eq!(rolling.get("MinInstancesInService"), Some(&Value::Int(in_service)), "{spec}");
        let file = rendering.files.iter().find(|f| f.path == "cloudformation/parameters/us-east-1.json").unwrap();
        let values: Vec<serde_json::Value> = serde_json::from_str(&file.text).unwrap();
        let said = values.iter().find(|value| value["ParameterKey"] == "WebMaximum").unwrap();
        assert_eq!(said["ParameterValue"], most, "{spec}");
        let pause = says(&rolling.get("PauseTime"));
        assert!(!spec.contains("2h") || pause.contains("PT3600S"), "an hour is the most: {pause}");
    }
}

#[test]
fn a_service_waits_for_the_instances_to_join_its_cluster() {
    let rendering = rendered("  jobs: { kind: aws.ecs }\n");
    let service = resource(&rendering, "eu-west-1", "JobsService");
    assert_eq!(service.depends_on.iter().map(|of| &*of.id).collect::<Vec<_>>(), ["JobsCapacityOfCluster"]);
}

/// The registry is made by the same deployment, and nobody can have pushed to it.
#[test]
fn no_task_is_started_before_there_can_be_an_image() {
    let rendering = rendered("  images: { kind: aws.ecr }\n  api: { kind: aws.fargate, peak: 3 }\n");
    let service = resource(&rendering, "us-east-1", "ApiService");
    let Some(Value::If(_, count, _)) = service.properties.get("DesiredCount") else { panic!() };
    assert_eq!(**count, Value::from(0));
    assert!(
        rendering
            .notes
            .iter()
            .any(|note| note.component.as_str() == "api" && note.instead.contains("--desired-count 3"))
    );
}

/// Nodes are in the group of the cluster, which no rule of ours knows, unless their template says more.
#[test]
fn nodes_are_let_in_by_the_data_that_they_need() {
    let rendering =
        rendered("  k: { kind: aws.eks, needs: [db] }\n  db: { kind: aws.rds, replication: asynchronous }\n");
    let template = resource(&rendering, "eu-west-1", "KLaunchTemplate");
    let groups = list(map(template.properties.get("LaunchTemplateData")).get("SecurityGroupIds"));
    let groups = says(&groups);
    assert!(groups.contains("ClusterSecurityGroupId") && groups.contains("KSecurityGroup"), "{groups}");
    let rule = resource(&rendering, "eu-west-1", "DbFromK5432");
    assert!(says(&rule.properties.get("SourceSecurityGroupId")).contains("KSecurityGroup"));
}

#[test]
fn a_function_is_in_the_network_when_what_it_needs_is() {
    let rendering = rendered(
        "  f: { kind: aws.lambda, needs: [db] }\n  g: { kind: aws.lambda }\n  db: { kind: aws.rds, replication: asynchronous }\n",
    );
    let place = map(resource(&rendering, "eu-west-1", "FFunction").properties.get("VpcConfig"));
    assert!(says(&place.get("SecurityGroupIds")).contains("FSecurityGroup"));
    let role = resource(&rendering, "eu-west-1", "FFunctionRole");
    assert!(says(&role.properties.get("ManagedPolicyArns")).contains("AWSLambdaVPCAccessExecutionRole"));
    assert!(resource(&rendering, "eu-west-1", "GFunction").properties.get("VpcConfig").is_none());
}

#[test]
fn brokers_let_in_those_that_need_them() {
    let rendering = rendered("  web: { kind: aws.asg, needs: [bus] }\n  bus: { kind: aws.msk }\n");
    let rule = resource(&rendering, "us-east-1", "BusFromWeb9098");
    assert!(says(&rule.properties.get("SourceSecurityGroupId")).contains("WebSecurityGroup"));
}

/// A role that may do nothing with what its component needs is a workload that starts and does not work.
#[test]
fn roles_may_use_what_their_components_need_and_nothing_else() {
    let needed = "  t: { kind: aws.dynamodb }\n  b: { kind: aws.s3 }\n  q: { kind: aws.sqs }\n  k: { kind: aws.kms }\n  s: { kind: aws.secrets-manager }\n  other: { kind: aws.s3 }\n";
    for (kind, role) in [
        ("asg", "AppInstanceRole"),
        ("ec2", "AppInstanceRole"),
        ("fargate", "AppTaskRole"),
        ("lambda", "AppFunctionRole"),
    ] {
        let rendering = rendered(&format!("{needed}  app: {{ kind: aws.{kind}, needs: [t, b, q, k, s] }}\n"));
        let may = says(&resource(&rendering, "eu-west-1", role).properties.get("Policies"));
        for wanted in [
            "dynamodb:PutItem",
            "s3:GetObject",
            "sqs:ReceiveMessage",
            "kms:Decrypt",
            "secretsmanager:GetSecretValue",
            "test-t",
            "test-b",
            "test-q",
        ] {
            assert!(may.contains(wanted), "{kind}: no {wanted} in {may}");
        }
        assert_eq!(may.matches("kms:Decrypt").count(), 1, "each key once: {may}");
        assert!(!may.contains("test-other") && !may.contains("Text(\"*\")"), "{kind}: {may}");
    }
}

/// Zonal shift is off unless the load balancer says so, and AWS shifts nothing by itself without practice.
#[test]
fn a_load_balancer_takes_part_in_zonal_shift_when_it_is_named() {
    let rendering = rendered(
        "  lb: { kind: aws.alb }\n  z: { kind: aws.arc-zonal-shift, shifts: [lb] }\n  plain: { kind: aws.alb }\n",
    );
    let attributes = |id: &str| says(&resource(&rendering, "us-east-1", id).properties.get("LoadBalancerAttributes"));
    assert!(attributes("LbLoadBalancer").contains("zonal_shift.config.enabled"));
    assert!(!attributes("PlainLoadBalancer").contains("zonal_shift"));
    let none = rendered("  lb: { kind: aws.alb }\n  z: { kind: aws.arc-zonal-shift, shifts: [lb], practice: false }\n");
    assert!(of_kind(&none, "us-east-1", "AWS::ARCZonalShift::ZonalAutoshiftConfiguration").is_empty());
    assert!(none.notes.iter().any(|note| note.says.contains("practice runs")));
}

#[test]
fn a_single_machine_behind_a_network_load_balancer_is_its_target() {
    let rendering = rendered("  lb: { kind: aws.nlb }\n  web: { kind: aws.ec2, behind: lb }\n");
    let group = resource(&rendering, "us-east-1", "WebGroup");
    assert!(says(&group.properties.get("TargetGroupARNs")).contains("LbToWeb"));
}

/// An entrance of API Gateway answers to the names that it was given and refuses its own host name.
#[test]
fn an_entrance_answers_to_the_name_that_its_health_is_asked_by() {
    let www = "  www: { kind: aws.route53, zone: example.com, record: api.example.com, to: gate, shift: health-check }\n  gate: { kind: aws.api-gateway }\n  f: { kind: aws.lambda, behind: gate }\n";
    let ours = rendered(&format!("{www}  tls: {{ kind: aws.acm }}\n"));
    let domain = resource(&ours, "eu-west-1", "GateOwnDomain");
    assert_eq!(domain.properties.get("DomainName"), Some(&"eu-west-1.api.example.com".into()));
    let host = |rendering: &antipode_render::Rendering| {
        let check = resource(rendering, "eu-west-1", "WwwCheck");
        says(&map(check.properties.get("HealthCheckConfig")).get("FullyQualifiedDomainName"))
    };
    assert!(host(&ours).contains("eu-west-1.api.example.com"), "{}", host(&ours));
    assert!(says(&resource(&ours, "eu-west-1", "WwwOwnRecord").properties).contains("GateOwnDomain"));
    let asked = rendered(www);
    assert!(host(&asked).contains("execute-api"), "{}", host(&asked));
    let api = resource(&asked, "eu-west-1", "GateApi");
    assert_eq!(api.properties.get("DisableExecuteApiEndpoint"), Some(&false.into()));
    let permission = resource(&asked, "eu-west-1", "FPermission");
    assert!(says(&permission.properties.get("SourceArn")).contains("execute-api"));
}

#[test]
fn a_strongly_consistent_table_is_made_with_all_its_replicas_at_once() {
    let spec = |more: &str| {
        let text = two_regions(&format!(
            "  t: {{ kind: aws.dynamodb-global, replication: synchronous{more} }}\n  k: {{ kind: aws.kms }}\n"
        ));
        text.replace("eu-west-1: { zones: [a, b] }", "us-east-2: { zones: [a, b] }\n  us-west-2: { zones: [a, b] }")
    };
    let rendering = specs::rendering("test", &spec(", encryption_key: k"));
    let table = resource(&rendering, "us-east-1", "TTable");
    assert_eq!(table.condition.as_ref().map(|when| when.name.as_str()), Some("OtherRegions1Stand"));
    assert!(list(table.properties.get("Replicas")).iter().all(|replica| matches!(replica, Value::Map(_))));
    let design = specs::design("test", &spec(", expires_by: until"));
    assert!(
        matches!(render(&design, "antipode.yaml"), Err(RenderError::Impossible(p)) if p[0].path == "components.t.expires_by")
    );
}

/// Oracle takes 30 characters of a password; it and SQL Server have no Graviton. What stands was made with 32, and another
/// length makes another password of it.
#[test]
fn commercial_engines_get_what_they_take() {
    for (engine, class, long) in
        [("oracle", "db.m5.large", 30), ("sqlserver", "db.m5.xlarge", 32), ("postgres", "db.t4g.medium", 32)]
    {
        let rendering = rendered(&format!("  db: {{ kind: aws.rds, engine: {engine}, replication: none }}\n"));
        let secret = resource(&rendering, "us-east-1", "DbMasterSecret");
        assert_eq!(map(secret.properties.get("GenerateSecretString")).get("PasswordLength"), Some(&Value::Int(long)));
        let file = rendering.files.iter().find(|f| f.path == "cloudformation/parameters/us-east-1.json").unwrap();
        assert!(file.text.contains(class), "{engine}: {}", file.text);
    }
}

#[test]
fn a_schedule_may_read_what_it_was_encrypted_with() {
    let rendering = rendered("  f: { kind: aws.lambda }\n  nightly: { kind: aws.scheduler, needs: [f] }\n");
    let may = says(&resource(&rendering, "us-east-1", "NightlyScheduleRole").properties.get("Policies"));
    assert!(may.contains("kms:Decrypt"), "{may}");
}

/// Stacks, databases and caches have to begin with a letter.
#[test]
fn a_workload_whose_name_begins_with_a_digit_has_names_that_do_not() {
    let text = two_regions(
        "  db: { kind: aws.rds, replication: asynchronous, id: \"1st-{site}\" }\n  c: { kind: aws.elasticache }\n",
    )
    .replace("workload: test", "workload: 3d-shop");
    let rendering = specs::rendering("test", &text);
    let plan = rendering.files.iter().find(|file| file.path == "cloudformation/deployment.json").unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan.text).unwrap();
    assert_eq!(plan["workload"], "w3d-shop");
    assert!(
        plan["stacks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|stack| stack["stack"].as_str().unwrap().starts_with("w3d-shop-"))
    );
    let db = says(&resource(&rendering, "us-east-1", "DbInstance").properties.get("DBInstanceIdentifier"));
    assert!(db.contains("w1st-us-east-1"), "{db}");
    let cache = resource(&rendering, "us-east-1", "CGroup").properties.get("ReplicationGroupId");
    assert_eq!(cache, Some(&"w3d-shop-c-us-east-1".into()));
}

#[test]
fn two_components_that_templates_cannot_tell_apart_are_refused() {
    let found = problems("  db-1: { kind: aws.s3 }\n  db1: { kind: aws.s3 }\n");
    assert_eq!(found[0].0, "components.db1");
    assert!(found[0].1.contains("components.db-1"), "{found:?}");
    assert!(
        !problems("  t: { kind: aws.dynamodb }\n  data: { kind: aws.kms }\n").is_empty(),
        "the region's own key is called so"
    );
}

/// The class of a member of a Global Datastore cannot be changed: it is not what a later spec says.
#[test]
fn a_member_of_a_global_datastore_keeps_its_class() {
    let rendering = rendered("  c: { kind: aws.elasticache, replication: asynchronous }\n");
    let group = resource(&rendering, "us-east-1", "CGroup");
    let Some(Value::If(_, class, _)) = group.properties.get("CacheNodeType") else { panic!() };
    assert_eq!(at_first(&rendering, "us-east-1", Some(class)), "cache.m6g.large");
}

#[test]
fn a_bucket_has_a_name_that_is_taken_once() {
    for (id, wanted) in
        [("Shop_Images-{site}", "cannot name a bucket"), ("shop-images", "two regions"), ("shop-{site}", "")]
    {
        let found = problems(&format!("  b: {{ kind: aws.s3, id: \"{id}\" }}\n"));
        let says: String = found.iter().map(|(path, says)| format!("{path}: {says}")).collect();
        assert!(says.contains(wanted) && says.is_empty() == wanted.is_empty(), "{id}: {says}");
    }
}

/// A workload that is adopted gets the roles that are missing; roles that are adopted are there.
#[test]
fn roles_that_are_adopted_are_not_made_once_more() {
    let roles = |managed: &str, workload: &str| {
        let text = two_regions(&format!("  roles: {{ kind: aws.iam{managed} }}\n"));
        let text = text.replace("artifact: v1", &format!("artifact: v1\n{workload}"));
        let rendering = specs::rendering("test", &text);
        let roles = of_kind(&rendering, "global", "AWS::IAM::Role");
        let recovery = roles.iter().any(|role| &*role.id == "RolesRecovery");
        (recovery, rendering.notes.iter().any(|note| note.instead.contains("get-role")))
    };
    assert_eq!(roles("", ""), (true, false));
    assert_eq!(roles("", "aws: { manage: adopt, role: mine }"), (true, true));
    assert_eq!(roles(", managed: adopt", ""), (false, false));
}

/// EKS refuses a minimum above the nodes that are wanted, which a deployment does not say again.
#[test]
fn it_is_said_how_the_fewest_nodes_become_more() {
    let rendering = rendered("  pods: { kind: aws.eks }\n");
    let told = |note: &antipode_render::Note| {
        note.says.contains("fewest nodes") && note.instead.contains("--scaling-config desiredSize=")
    };
    assert_eq!(rendering.notes.iter().filter(|note| told(note)).count(), 1, "{:?}", rendering.notes);
}

/// Under another name, there would be a second disk, and the first as the image has it: perhaps in the clear.
#[test]
fn an_instance_starts_from_the_disk_of_its_image() {
    for (said, disk) in [("", "/dev/xvda"), (", image: { disk: /dev/sda1 }", "/dev/sda1")] {
        let rendering = rendered(&format!(
            "  web: {{ kind: aws.asg{said} }}\n  one: {{ kind: aws.ec2, sites: [us-east-1]{said} }}\n"
        ));
        for id in ["WebLaunchTemplate", "OneLaunchTemplate", "OneInstance"] {
            let Some(made) = crate::find(&rendering, "us-east-1", id) else { continue };
            let text = says(&made.properties);
            assert!(text.contains(&format!("(\"DeviceName\", Text(\"{disk}\"))")), "{id}: {text}");
        }
    }
}

/// A plan of Region switch has no block for it.
#[test]
fn what_a_plan_does_not_stop_is_said() {
    let rendering =
        rendered("  files: { kind: aws.s3, replication: none }\n  fetch: { kind: aws.datasync, copies: files }\n");
    assert!(rendering.notes.iter().any(|note| note.says.contains("does not stop its task")), "{:#?}", rendering.notes);
}

/// ACM takes ten names until more are asked for, and Argo CD refuses an application whose project is not there.
#[test]
fn what_has_to_be_there_first_is_said_or_rendered() {
    let records = (0..6).map(|n| format!("  r{n}: {{ kind: aws.route53, record: r{n}.example.com, to: lb }}\n"));
    let rendering =
        rendered(&format!("  lb: {{ kind: aws.alb }}\n  cert: {{ kind: aws.acm }}\n{}", records.collect::<String>()));
    assert!(rendering.notes.iter().any(|note| note.says.contains("12 names")), "{:#?}", rendering.notes);
    let rendering = rendered("  k: { kind: aws.eks }\n");
    let file = |path: &str| &rendering.files.iter().find(|file| file.path == path).unwrap().text;
    let (set, project) = (file("argo-cd/k.yaml"), file("argo-cd/projects/test.yaml"));
    assert!(set.contains("project: test\n") && project.contains("kind: AppProject"), "{project}");
    for region in ["us-east-1", "eu-west-1"] {
        assert!(project.contains(&format!("name: test-k-{region}")), "{project}");
    }
}
