//! A Region switch plan becomes runbooks, and what could not be carried over is said.

use antipode_render::import::{ImportError, arc_plan};
use antipode_render::runbook::text;

const PLAN: &str = r#"{"plan": {
  "name": "shop", "arn": "arn:aws:arc-region-switch::111122223333:plan/shop:abc", "regions": ["us-east-1", "eu-west-1"],
  "primaryRegion": "us-east-1", "recoveryApproach": "activePassive", "recoveryTimeObjectiveMinutes": 15,
  "executionRole": "arn:aws:iam::111122223333:role/switch",
  "triggers": [{"action": "activate", "targetRegion": "eu-west-1", "conditions": []}],
  "associatedAlarms": {"shop-errors": {"alarmType": "applicationHealth", "resourceIdentifier": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:shop"}},
  "workflows": [{"workflowTargetAction": "activate", "workflowTargetRegion": "eu-west-1", "steps": [
    {"name": "ask", "executionBlockType": "ManualApproval", "executionBlockConfiguration": {"executionApprovalConfig": {"approvalRole": "arn:aws:iam::111122223333:role/lead"}}},
    {"name": "move the writer", "executionBlockType": "AuroraGlobalDatabase", "executionBlockConfiguration": {"globalAuroraConfig": {
      "behavior": "switchoverOnly", "ungraceful": {"ungraceful": "failover"}, "globalClusterIdentifier": "orders",
      "databaseClusterArns": ["arn:aws:rds:us-east-1:111122223333:cluster:a", "arn:aws:rds:eu-west-1:111122223333:cluster:b"]}}},
    {"name": "at once", "executionBlockType": "Parallel", "executionBlockConfiguration": {"parallelConfig": {"steps": [
      {"name": "grow", "executionBlockType": "EC2AutoScaling", "executionBlockConfiguration": {"ec2AsgCapacityIncreaseConfig": {"targetPercent": 80, "asgs": [
        {"arn": "arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:x:autoScalingGroupName/web-a"},
        {"arn": "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:x:autoScalingGroupName/web-b"}]}}},
      {"name": "own", "executionBlockType": "CustomActionLambda", "executionBlockConfiguration": {"customActionLambdaConfig": {"regionToRun": "deactivatingRegion", "lambdas": [{"arn": "arn:aws:lambda:us-east-1:111122223333:function:stop"}]}}}]}}},
    {"name": "turn", "executionBlockType": "ARCRoutingControl", "executionBlockConfiguration": {"arcRoutingControlConfig": {"crossAccountRole": "arn:aws:iam::444455556666:role/arc", "regionAndRoutingControls": {
      "eu-west-1": [{"routingControlArn": "arn:on", "state": "On"}]}}}},
    {"name": "new", "executionBlockType": "SomethingNew", "executionBlockConfiguration": {}}
  ]}]}}"#;

#[test]
fn every_block_of_a_plan_becomes_a_step_with_its_command() {
    let runbooks = arc_plan(PLAN).unwrap();
    let [runbook] = runbooks.as_slice() else { panic!("{runbooks:#?}") };
    let names: Vec<&str> = runbook.steps.iter().map(|step| step.says.as_str()).collect();
    assert_eq!(names, ["ask", "move the writer", "grow", "own", "turn", "new"]);
    let page = text(runbook);
    for wanted in [
        "| RTO | 15 min |",
        "aws rds switchover-global-cluster --global-cluster-identifier orders --target-db-cluster-identifier arn:aws:rds:eu-west-1:111122223333:cluster:b --region eu-west-1",
        "set-desired-capacity --auto-scaling-group-name web-b",
        "aws lambda invoke --function-name arn:aws:lambda:us-east-1:111122223333:function:stop",
        "RoutingControlArn=arn:on,RoutingControlState=On",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in\n{page}");
    }
    assert!(!page.contains("web-a"), "the group of the region that is left does not grow");
}

/// In a template the keys of a plan begin with a capital, and alarms are keys too.
#[test]
fn an_alarm_is_called_as_it_is() {
    let template = PLAN.replace("associatedAlarms", "AssociatedAlarms").replace("shop-errors", "ShopErrors");
    let runbooks = arc_plan(&template).unwrap();
    assert!(runbooks[0].gaps.iter().any(|(what, _)| what.contains("`ShopErrors`")), "{:?}", runbooks[0].gaps);
}

#[test]
fn what_cannot_be_carried_over_is_listed() {
    let runbooks = arc_plan(PLAN).unwrap();
    let gaps: Vec<&str> = runbooks[0].gaps.iter().map(|(what, _)| what.as_str()).collect();
    for wanted in [
        "same time",
        "ungracefully",
        "80 %",
        "payload",
        "region that is left",
        "another account",
        "SomethingNew",
        "role/switch",
        "triggers",
        "shop-errors",
    ] {
        assert!(gaps.iter().any(|gap| gap.contains(wanted)), "{wanted} is not in {gaps:#?}");
    }
}

#[test]
fn a_template_of_a_plan_is_read_too() {
    let template = "Resources:\n  Plan:\n    Type: AWS::ARCRegionSwitch::Plan\n    Properties:\n      Name: shop\n      Regions: [us-east-1, eu-west-1]\n      ExecutionRole: !GetAtt Role.Arn\n      Workflows:\n        - WorkflowTargetAction: activate\n          Steps:\n            - Name: ask\n              ExecutionBlockType: ManualApproval\n              ExecutionBlockConfiguration: { ExecutionApprovalConfig: { ApprovalRole: !Ref Lead } }\n";
    let runbooks = arc_plan(template).unwrap();
    assert_eq!((runbooks.len(), runbooks[0].steps.len()), (2, 1));
    assert!(runbooks[0].gaps.iter().any(|(what, _)| what.contains("!GetAtt Role.Arn")));
}

#[test]
fn what_is_no_plan_is_refused_with_the_reason() {
    assert!(matches!(arc_plan("{"), Err(ImportError::Unreadable(_))));
    assert_eq!(arc_plan("{\"Resources\": {}}"), Err(ImportError::NoPlan));
    assert_eq!(arc_plan("{\"workflows\": []}"), Err(ImportError::Missing("name")));
    assert_eq!(arc_plan("{\"name\": \"x\", \"workflows\": []}"), Err(ImportError::Missing("regions")));
    assert_eq!(
        arc_plan("{\"name\": \"x\", \"regions\": [\"a\"], \"workflows\": []}"),
        Err(ImportError::Missing("workflows"))
    );
    let deep = "[".repeat(100_000);
    assert!(matches!(arc_plan(&deep), Err(ImportError::Unreadable(_))));
}

#[test]
fn a_workflow_for_whichever_region_is_a_page_for_each_and_what_only_a_stack_knows_is_a_gap() {
    let template = "Resources:\n  Plan:\n    Type: AWS::ARCRegionSwitch::Plan\n    Properties:\n      Name: shop\n      Regions: [us-east-1, eu-west-1]\n      Workflows:\n        - WorkflowTargetAction: deactivate\n          WorkflowTargetRegion: us-east-1\n          Steps: []\n        - WorkflowTargetAction: activate\n          Steps:\n            - Name: grow\n              ExecutionBlockType: EC2AutoScaling\n              ExecutionBlockConfiguration: { Ec2AsgCapacityIncreaseConfig: { Asgs: [{ Arn: !Ref WebGroup }] } }\n";
    let runbooks = arc_plan(template).unwrap();
    let names: Vec<&str> = runbooks.iter().map(|runbook| runbook.name.as_str()).collect();
    assert_eq!(names, ["shop-activate-us-east-1", "shop-activate-eu-west-1"]);
    assert!(runbooks[1].steps[0].commands[0].ends_with("--region eu-west-1"), "{:?}", runbooks[1].steps[0]);
    let gap = |what: &str| runbooks[0].gaps.iter().any(|(gap, _)| gap.contains(what));
    assert!(gap("`!Ref WebGroup`") && gap("`deactivate` us-east-1 has no steps"), "{:#?}", runbooks[0].gaps);
}
