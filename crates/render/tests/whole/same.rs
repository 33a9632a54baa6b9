//! The same spec gives the same bytes, and every resource says who asked for it.

use crate::specs;

#[test]
fn the_same_spec_gives_the_same_bytes() {
    for (name, text) in specs::all() {
        assert_eq!(specs::rendering(&name, &text).files, specs::rendering(&name, &text).files, "{name}");
    }
}

#[test]
fn every_resource_says_which_line_asked_for_it() {
    for (name, text) in specs::all() {
        let lines: Vec<&str> = text.lines().collect();
        for stack in specs::rendering(&name, &text).stacks {
            for resource in stack.templates.iter().flat_map(|template| &template.resources) {
                let line = lines.get(resource.asked.line - 1).unwrap_or_else(|| panic!("{name}: {resource:?}"));
                let key = resource.asked.path.rsplit('.').next().unwrap();
                assert!(
                    line.contains(key) || resource.asked.line == 1,
                    "{name}: {} asked for by {line:?}",
                    resource.id
                );
            }
        }
    }
}
