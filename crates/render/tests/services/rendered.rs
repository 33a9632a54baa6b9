//! That something is rendered at all: a service that nobody calls passes every other check.

use std::collections::BTreeSet;

use crate::specs;

#[test]
fn every_component_of_data_or_security_has_a_resource() {
    let kinds =
        ["ami", "aurora", "aurora-global", "backup", "cloudtrail", "config", "dynamodb", "dynamodb-global", "ebs"];
    let more = ["efs", "elasticache", "guardduty", "iam", "kms", "rds", "s3", "secrets-manager", "security-hub", "waf"];
    let mut seen = BTreeSet::new();
    for (name, text) in specs::all().into_iter().filter(|(_, text)| !text.contains("manage: adopt")) {
        let (design, rendering) = (specs::design(&name, &text), specs::rendering(&name, &text));
        let asked: BTreeSet<&str> = rendering
            .stacks
            .iter()
            .flat_map(|stack| &stack.templates)
            .flat_map(|template| &template.resources)
            .map(|resource| resource.asked.path.as_str())
            .collect();
        for part in &design.components {
            let kind = part.kind.name.strip_prefix("aws.").filter(|kind| kinds.contains(kind) || more.contains(kind));
            let Some(kind) = kind else { continue };
            let everywhere = |file: &&antipode_render::File| file.path.starts_with("cloudformation/everywhere/");
            let by_set = format!("# components.{},", part.id);
            let by_set = rendering.files.iter().filter(everywhere).any(|file| file.text.contains(&by_set));
            let by_region = asked.contains(format!("components.{}", part.id).as_str());
            assert!(by_set || by_region, "{name}: nothing for {}", part.id);
            seen.insert(kind);
        }
    }
    assert_eq!(seen.len(), kinds.len() + more.len(), "{seen:?}");
}
