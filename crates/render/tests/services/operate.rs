//! What watches, switches and breaks regions; and that no kind of the catalogue is passed over in silence.

use antipode_render::render;
use antipode_render::value::Value;

use crate::{at, find, resource, spec, specs, text};

/// What these ask for stands at other components, is everything that is rendered, or is always on.
const AROUND: [&str; 5] =
    ["aws.arc-zonal-shift", "aws.cloudformation", "aws.cloudwatch-alarm", "aws.shield", "aws.vpc"];

#[test]
fn every_kind_of_aws_is_rendered_or_told_of() {
    let mut silent = Vec::new();
    for kind in model::catalogue::catalogue().kinds().filter(|kind| kind.name.starts_with("aws.")) {
        let text = format!(
            "workload: one\nobjectives: {{ rto: 30m, rpo: 5m }}\naws: {{ manage: render }}\nsites:\n  us-east-1: {{ zones: [a, b], preferred: true }}\n  eu-west-1: {{ zones: [a, b] }}\ncomponents:\n  it: {{ kind: {}, record: www.example.com }}\n",
            kind.name
        );
        let text = if kind.has_facet("traffic") { text } else { text.replace(", record: www.example.com", "") };
        let text = if kind.name == "aws.rds" { text.replace("aws.rds", "aws.rds, replication: none") } else { text };
        let checked = model::spec::check(&text);
        let design = checked.design.unwrap_or_else(|| panic!("{}: {:#?}", kind.name, checked.problems));
        let rendering = render(&design, "antipode.yaml").unwrap_or_else(|error| panic!("{}: {error:#?}", kind.name));
        let mut resources =
            rendering.stacks.iter().flat_map(|stack| &stack.templates).flat_map(|template| &template.resources);
        let rendered = resources.any(|resource| resource.asked.path.starts_with("components.it"));
        let told = rendering.notes.iter().any(|note| note.component.as_str() == "it");
        let known = AROUND.contains(&kind.name.as_str());
        if !rendered && !told && !known {
            silent.push(kind.name.clone());
        }
    }
    assert!(silent.is_empty(), "neither rendered nor told of: {silent:?}");
}

#[test]
fn each_region_watches_for_itself_and_could_be_the_one_that_is_left() {
    let rendering = spec("alarms");
    for region in ["us-east-1", "us-west-2"] {
        for alarm in
            ["LbErrorsAlarm", "WebCapacityAlarm", "DbLagAlarm", "AllLagAlarm", "RegionImpaired", "RegionNotReady"]
        {
            resource(&rendering, region, alarm);
        }
        resource(&rendering, region, "Dashboard");
        assert_eq!(at(resource(&rendering, region, "AlarmTopic"), "KmsMasterKeyId"), &resource_ref(region, "AlarmKey"));
    }
}

fn resource_ref(region: &str, id: &str) -> Value {
    let root = antipode_render::Root::Region(model::SiteId::new(region));
    antipode_render::resource::Target { root, id: id.into() }.get()
}

/// The RPO of the database is a minute: half of it, while the alarm looks for the other half.
#[test]
fn a_lag_wakes_somebody_before_the_rpo_is_lost() {
    let rendering = spec("alarms");
    let lag = resource(&rendering, "us-west-2", "DbLagAlarm");
    assert_eq!(at(lag, "Threshold"), &Value::Int(30));
    assert_eq!(at(resource(&rendering, "us-west-2", "AllLagAlarm"), "Threshold"), &Value::Int(500));
    assert!(
        matches!(at(lag, "TreatMissingData"), Value::If(..)),
        "silence is bad for what follows, and for nothing else"
    );
}

/// Five minutes of detection at most, of an RTO of a quarter of an hour; and who says more is told.
#[test]
fn detection_leaves_time_for_the_recovery() {
    let rendering = spec("alarms");
    let errors = resource(&rendering, "us-east-1", "LbErrorsAlarm");
    assert_eq!(at(errors, "EvaluationPeriods"), &Value::Int(3));
    let late = rendering.notes.iter().filter(|note| note.component.as_str() == "slow").count();
    assert_eq!(late, 1, "{:?}", rendering.notes);
}

#[test]
fn a_plan_asks_people_then_promotes_then_scales_then_turns() {
    let rendering = spec("alarms");
    let plan = resource(&rendering, "edge", "SwitchPlan");
    let Value::List(workflows) = at(plan, "Workflows") else { panic!() };
    assert_eq!(workflows.len(), 2, "one for each region");
    for n in 0..workflows.len() {
        let Value::List(steps) = at(plan, &format!("Workflows.{n}.Steps")) else { panic!() };
        let kinds: Vec<String> = (0..steps.len())
            .map(|step| text(plan, &format!("Workflows.{n}.Steps.{step}.ExecutionBlockType")))
            .collect();
        assert_eq!(
            kinds,
            [
                "ManualApproval",
                "ManualApproval",
                "ManualApproval",
                "ManualApproval",
                "Parallel",
                "Parallel",
                "ARCRoutingControl",
                "ARCRoutingControl"
            ]
        );
        assert_eq!(text(plan, &format!("Workflows.{n}.Steps.2.Name")), "shut out db");
        assert_eq!(text(plan, &format!("Workflows.{n}.Steps.3.Name")), "ask about the gate of switch");
        assert_eq!(text(plan, &format!("Workflows.{n}.Steps.4.Name")), "make the writer");
        let scaled = at(plan, &format!("Workflows.{n}.Steps.5.ExecutionBlockConfiguration.ParallelConfig.Steps"));
        assert!(format!("{scaled:?}").contains("WaitELBTargetGroupHealthy"), "{scaled:?}");
        let gate = "ExecutionBlockConfiguration.ArcRoutingControlConfig.RegionAndRoutingControls";
        for region in ["us-east-1", "us-west-2"] {
            let opened = crate::words::word(at(plan, &format!("Workflows.{n}.Steps.6.{gate}.{region}")));
            assert!(opened.contains("SwitchGate") && opened.contains("State=On"), "{opened}");
        }
    }
    assert!(plan.properties.get("Triggers").is_none(), "nothing fails over on the word of one alarm");
}

/// Somebody closes the gate in order that nothing moves: what starts by itself does not open it.
#[test]
fn a_plan_that_starts_by_itself_opens_no_gate() {
    let (name, text) = specs::all().into_iter().find(|(name, _)| name == "alarms").unwrap();
    let text = text.replacen("\nsites:\n", "\nfailover: automatic\nsites:\n", 1);
    let rendering = specs::rendering(&name, &text);
    let plan = format!("{:?}", resource(&rendering, "edge", "SwitchPlan").properties);
    assert!(plan.contains("ARCRoutingControl") && !plan.contains("SwitchGate"), "{plan}");
    let role = format!("{:?}", resource(&rendering, "edge", "SwitchRole").properties);
    assert!(role.contains("UpdateRoutingControlStates") && !role.contains("SwitchGate"), "{role}");
}

/// As many pods as the other region had, in the namespaces that it is for, once each cluster was told who asks.
#[test]
fn a_plan_scales_deployments_and_each_cluster_lets_it_do_that_only() {
    let rendering = spec("compute");
    let plan = format!("{:?}", resource(&rendering, "edge", "SwitchPlan").properties);
    assert!(plan.contains("EKSResourceScaling") && plan.contains("shop-api") && plan.contains("edge-proxy"), "{plan}");
    for region in ["us-east-1", "eu-west-1"] {
        let entry = resource(&rendering, region, "ClusterSwitchAccess");
        assert_eq!(entry.condition.as_ref().unwrap().name, "ClusterSwitchRoleIsKnown");
        let scope = at(entry, "AccessPolicies.0.AccessScope.Namespaces");
        assert_eq!(scope, &Value::List(vec!["shop".into(), "edge".into()]));
    }
}

#[test]
fn an_experiment_that_hits_nothing_fails_and_one_that_hurts_stops() {
    let rendering = spec("alarms");
    let experiment = resource(&rendering, "us-east-1", "IsolationExperiment");
    assert_eq!(text(experiment, "ExperimentOptions.EmptyTargetResolutionMode"), "fail");
    assert_eq!(text(experiment, "StopConditions.0.Source"), "aws:cloudwatch:alarm");
}

/// Each region sends what began there, and nothing that was sent to it.
#[test]
fn events_do_not_go_round_in_circles() {
    let rendering = spec("messaging");
    for (region, rule) in [("us-east-1", "BusToUsWest2"), ("us-west-2", "BusToUsEast1")] {
        let pattern = at(resource(&rendering, region, rule), "EventPattern");
        let Value::Map(pattern) = pattern else { panic!() };
        assert_eq!(pattern.get("region"), Some(&Value::List(vec![antipode_render::value::REGION])));
    }
    assert!(find(&rendering, "us-east-1", "OwnToUsWest2").is_none(), "what is not copied is not copied");
}

#[test]
fn what_was_handed_over_is_not_handed_on() {
    let rendering = spec("operate");
    let machine = resource(&rendering, "eu-west-1", "FlowMachine");
    assert_eq!(text(machine, "Definition.States.Handed over before.Choices.0.Next"), "Failed");
    assert_eq!(text(machine, "Definition.States.Work.Catch.0.Next"), "Handed over before");
}

/// A failover that starts by itself still waits for whoever sees to the old writer: no step of a plan can.
#[test]
fn a_plan_that_needs_no_approval_asks_whether_the_old_writer_is_shut_out() {
    let (_, text_of) = specs::all().into_iter().find(|(name, _)| name == "alarms").unwrap();
    let automatic = text_of.replace("approvals: { failover: 2, approvers: [ana, budi] }", "failover: automatic");
    let rendering = specs::rendering("automatic", &automatic);
    let plan = resource(&rendering, "edge", "SwitchPlan");
    assert_eq!(text(plan, "Workflows.0.Steps.0.Name"), "shut out db");
    let asks = at(plan, "Workflows.0.Steps.0.ExecutionBlockConfiguration.ExecutionApprovalConfig.ApprovalRole");
    assert!(format!("{asks:?}").contains("SwitchApprover"), "{asks:?}");
    assert_ne!(text(plan, "Workflows.0.Steps.1.ExecutionBlockType"), "ManualApproval");
    assert!(find(&rendering, "edge", "SwitchApprover").is_some());
}
