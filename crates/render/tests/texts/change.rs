//! What a deployment would change.

use std::collections::BTreeMap;

use antipode_render::change::{StackChange, changes};
use antipode_render::{File, Rendering};

use crate::specs;

const SPEC: &str = include_str!("../specs/delivery.yaml");

fn rendering(text: &str) -> Rendering {
    specs::rendering("change", text)
}

fn written(files: &[File]) -> BTreeMap<String, String> {
    files.iter().map(|file| (file.path.clone(), file.text.clone())).collect()
}

fn between(before: &str, after: &str) -> Vec<StackChange> {
    changes(&written(&rendering(before).files), &rendering(after).files).unwrap()
}

fn region<'c>(changes: &'c [StackChange], name: &str) -> &'c StackChange {
    changes.iter().find(|change| change.stack == name).unwrap_or_else(|| panic!("{changes:#?}"))
}

#[test]
fn the_same_spec_changes_nothing_and_a_comment_is_no_change() {
    assert_eq!(between(SPEC, SPEC), Vec::new());
    let moved = format!("# a line more\n{SPEC}");
    assert_eq!(between(SPEC, &moved), Vec::new(), "only the lines in the comments differ");
}

#[test]
fn what_comes_and_goes_is_said_by_stack() {
    let more =
        SPEC.replace("  lb:  { kind: aws.alb }\n", "  lb:  { kind: aws.alb }\n  more: { kind: aws.asg, peak: 2 }\n");
    let change = between(SPEC, &more);
    let here = region(&change, "eu-west-1");
    assert!(here.added.iter().any(|added| added.kind == "AWS::AutoScaling::AutoScalingGroup"), "{here:#?}");
    assert!(here.removed.is_empty() && !here.replaces(), "{here:#?}");
    let back = between(&more, SPEC);
    assert!(region(&back, "eu-west-1").removed.iter().any(|gone| gone.kind == "AWS::AutoScaling::AutoScalingGroup"));
}

#[test]
fn a_number_is_a_parameter_and_replaces_nothing() {
    let change = between(SPEC, &SPEC.replace("peak: 4", "peak: 6"));
    let here = region(&change, "us-east-1");
    assert!(here.parameters.iter().any(|parameter| parameter.after.as_deref() == Some("6")), "{here:#?}");
    assert!(!here.replaces(), "{here:#?}");
}

#[test]
fn a_property_that_cannot_be_changed_in_place_makes_another_resource() {
    let mut before = written(&rendering(SPEC).files);
    let path = before.keys().find(|path| path.ends_with("eu-west-1/network.yaml")).unwrap().clone();
    let text = before[&path]
        .replace("Domain: vpc", "Domain: standard")
        .replace("CidrBlock: !Ref NetworkRange", "CidrBlock: 10.1.0.0/16");
    before.insert(path, text);
    let change = changes(&before, &rendering(SPEC).files).unwrap();
    let here = region(&change, "eu-west-1");
    let vpc = here.changed.iter().find(|changed| changed.resource.id == "Vpc").unwrap();
    assert_eq!(vpc.replaced_by, ["CidrBlock"]);
    // And with it what stands in it.
    let subnet = here.changed.iter().find(|changed| changed.resource.kind == "AWS::EC2::Subnet").unwrap();
    assert!(subnet.replaced_by.contains(&"VpcId".to_owned()), "{subnet:#?}");
}

#[test]
fn a_file_that_is_no_template_is_named() {
    let mut before = written(&rendering(SPEC).files);
    before.insert("cloudformation/eu-west-1/network.yaml".to_owned(), "a: [".to_owned());
    let error = changes(&before, &rendering(SPEC).files).unwrap_err();
    assert!(error.path.ends_with("eu-west-1/network.yaml"), "{error}");
}
