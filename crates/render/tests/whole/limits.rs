//! What CloudFormation takes: 51,200 bytes and 500 resources of a template, whatever the size of a workload.

use std::collections::BTreeMap;
use std::fmt::Write;

use antipode_render::{Rendering, Told, render, render_again, render_with};

use crate::recoveries::recoveries;
use crate::specs;

/// A workload of so many groups of instances in two regions, behind a load balancer for each ten.
fn large(groups: usize) -> String {
    let mut text = String::from(
        "workload: large\nobjectives: { rto: 5m, rpo: 1m }\nsites:\n  us-east-1: { zones: [a, b], preferred: true }\n  eu-west-1: { zones: [a, b] }\ncomponents:\n",
    );
    for n in 0..groups {
        if n % 10 == 0 {
            writeln!(text, "  lb-{}: {{ kind: aws.alb }}", n / 10).unwrap();
        }
        writeln!(
            text,
            "  web-{n}: {{ kind: aws.asg, behind: lb-{}, peak: 4, autoscale: true, usage: {{ class: t3.medium }} }}",
            n / 10
        )
        .unwrap();
    }
    text
}

fn sizes(rendering: &Rendering) -> (usize, usize, usize) {
    let nested = rendering.stacks.iter().flat_map(|stack| &stack.templates);
    let resources = nested.clone().map(|template| template.resources.len()).max().unwrap();
    let texts =
        rendering.files.iter().filter(|file| file.path.ends_with(".yaml") && !file.path.ends_with("master.yaml"));
    let bytes =
        texts.filter(|file| file.path.starts_with("cloudformation/")).map(|file| file.text.len()).max().unwrap();
    let hands = nested.map(|template| template.outputs.len().max(template.parameters.len())).max().unwrap();
    (resources, bytes, hands)
}

#[test]
fn a_large_workload_is_cut_into_templates_that_fit() {
    let text = large(200);
    let rendering = specs::rendering("large", &text);
    let (resources, bytes, hands) = sizes(&rendering);
    assert!(
        resources <= 500 && bytes <= 51_200 && hands <= 200,
        "{resources} resources, {bytes} bytes, {hands} parameters or outputs"
    );
    let compute = rendering.files.iter().filter(|file| file.path.contains("us-east-1/compute-")).count();
    assert!(compute > 3, "{compute} templates of compute");
}

/// So many copies of a service with its load balancer, its data and what they need.
fn services(copies: usize) -> String {
    let mut text = large(0);
    for n in 0..copies {
        write!(
            text,
            "  lb-{n}: {{ kind: aws.alb, check: {{ path: /ready, every: 10s, failures: 3 }} }}
  web-{n}: {{ kind: aws.asg, behind: lb-{n}, peak: 4, autoscale: true, usage: {{ class: t3.medium }} }}
  api-{n}: {{ kind: aws.fargate, behind: lb-{n}, peak: 6, autoscale: true, usage: {{ vcpus: 1, memory: 2GB }} }}
  carts-{n}: {{ kind: aws.dynamodb-global, system_of_record: true }}
  images-{n}: {{ kind: aws.s3, system_of_record: true, replication: asynchronous, versioned: true }}
  work-{n}: {{ kind: aws.sqs }}
  thumbnails-{n}: {{ kind: aws.lambda }}
  password-{n}: {{ kind: aws.secrets-manager, replicated: true }}
"
        )
        .unwrap();
    }
    text
}

/// The dashboard of six copies told every component apart in every picture, and was too large for any template; what
/// gathers the alarms of 25 asked for more than 200, and the pieces of everything were made smaller for it, to 171 a region.
#[test]
fn what_gathers_many_others_fits_and_makes_no_other_piece_smaller() {
    for (copies, most) in [(6, 30), (25, 70)] {
        let rendering = specs::rendering("large", &services(copies));
        let (resources, bytes, hands) = sizes(&rendering);
        assert!(resources <= 500 && bytes <= 51_200 && hands <= 200, "{copies}: {resources}, {bytes}, {hands}");
        let templates = rendering.files.iter().filter(|file| file.path.contains("/us-east-1/")).count();
        assert!(templates < most, "{copies}: {templates} templates");
    }
}

/// The template of each resource.
fn places(rendering: &Rendering) -> BTreeMap<(String, String), String> {
    let templates =
        rendering.stacks.iter().flat_map(|stack| stack.templates.iter().map(move |template| (stack, template)));
    let nested = templates.filter(|(_, template)| template.name != "master");
    let each = nested.flat_map(|(stack, template)| {
        let place = |id: &str| ((stack.root.to_string(), id.to_owned()), template.name.clone());
        template.resources.iter().map(|resource| place(&resource.id)).collect::<Vec<_>>()
    });
    each.collect()
}

/// What moves between stacks is deleted by one and made by the other.
#[test]
fn a_workload_that_grows_moves_nothing_to_another_stack() {
    let text = large(60);
    let before = specs::rendering("large", &text);
    assert!(before.files.iter().any(|file| file.path.contains("compute-2")), "it is large enough to be cut");
    let more = "  first: { kind: aws.asg, behind: lb-0 }\n  lb-0:";
    let grown = specs::design("grown", &text.replacen("  lb-0:", more, 1));
    let after = render_again(&grown, "antipode.yaml", &before.placement).unwrap();
    let (old, new) = (places(&before), places(&after));
    let moved: Vec<_> = old.iter().filter(|(id, place)| new.get(*id) != Some(place)).collect();
    assert!(moved.is_empty() && new.len() > old.len(), "{moved:?}");
    // Without knowing where they were, some would move: the first piece has another one in it.
    let anew = places(&render(&grown, "antipode.yaml").unwrap());
    assert!(old.iter().any(|(id, place)| anew.get(id) != Some(place)));
}

#[test]
fn a_region_that_aws_does_not_have_is_said_before_anything_is_written() {
    let text = large(1).replace("eu-west-1:", "mars-north-1:");
    let design = specs::design("mars", &text);
    let Err(antipode_render::RenderError::Impossible(problems)) = render(&design, "antipode.yaml") else { panic!() };
    assert_eq!((problems[0].path.as_str(), problems[0].line), ("sites.mars-north-1", 5));
}

/// A placement that says of a resource that it is in a template of another group, as after a version that grouped otherwise:
/// it was in no template at all.
#[test]
fn what_was_in_another_group_is_still_made() {
    let design = specs::design("moved", &large(1));
    let before = render(&design, "antipode.yaml").unwrap();
    let mut placement = serde_json::to_value(&before.placement).unwrap();
    let moved = placement["us-east-1"]["compute"].as_array_mut().unwrap().pop().unwrap();
    placement["us-east-1"]["data"] = serde_json::json!([moved]);
    let after = render_again(&design, "antipode.yaml", &serde_json::from_value(placement).unwrap()).unwrap();
    assert_eq!(places(&before), places(&after));
}

/// A document of Systems Manager has 64 KB, and stands in a template. What one cannot take goes on in the next, and nobody
/// begins the second without somebody's word.
#[test]
fn a_long_runbook_is_several_automations_with_every_step_in_its_order() {
    let design = specs::design("large", &services(40));
    let told = Told { recoveries: recoveries(&design), ..Told::default() };
    let rendering = render_with(&design, "antipode.yaml", &told).unwrap();
    let (resources, bytes, hands) = sizes(&rendering);
    assert!(resources <= 500 && bytes <= 51_200 && hands <= 200, "{resources}, {bytes} bytes, {hands}");
    let file = |path: &str| rendering.files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let name = "runbooks/leave-us-east-1-for-eu-west-1";
    let page = file(&format!("{name}.md")).unwrap();
    let paths = std::iter::once(format!("{name}.ssm.yaml")).chain((2..).map(|n| format!("{name}-{n}.ssm.yaml")));
    let automations: Vec<&str> = paths.map_while(|path| file(&path)).collect();
    assert!(automations.len() > 2, "{} automations", automations.len());
    assert!(page.contains(&format!("The same as {} automations", automations.len())), "{page}");
    let mut steps = Vec::new();
    for (n, text) in automations.iter().enumerate() {
        assert!(text.len() < 64 << 10, "{} bytes", text.len());
        assert_eq!(text.matches("action: aws:approve").count(), 1);
        assert!(text.contains(&format!("of {} automations", automations.len())), "{text}");
        let numbers = text.lines().filter_map(|line| line.trim().strip_prefix("- name: step_")?.split('_').next());
        steps.extend(numbers.map(|number| number.parse::<usize>().unwrap()));
        let id = if n == 0 {
            "RunbookLeaveUsEast1ForEuWest1".to_owned()
        } else {
            format!("RunbookLeaveUsEast1ForEuWest1{}", n + 1)
        };
        let stands = |resource: &antipode_render::resource::Resource| *resource.id == *id;
        let templates = rendering.stacks.iter().flat_map(|stack| &stack.templates);
        assert!(templates.flat_map(|template| &template.resources).any(stands), "no {id}");
    }
    // A step may be followed by its own waiting.
    steps.dedup();
    assert_eq!(steps, (1..=page.matches("\n### ").count()).collect::<Vec<_>>());
}
