//! The specs that are rendered: the examples, and a file for each service.

use std::fs;
use std::path::{Path, PathBuf};

use antipode_render::{Rendering, render};
use model::Design;

/// Every example and every file of `tests/specs`, by its name; what they adopt is rendered too. While one service is written,
/// `ANTIPODE_SPECS=rds,s3` takes those files only.
pub fn all() -> Vec<(String, String)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = ["xyz-webserver", "storefront", "regulated-cases", "ha-webapp"];
    let mut files: Vec<(String, PathBuf)> = examples
        .iter()
        .map(|name| ((*name).to_owned(), here.join(format!("../../examples/{name}/antipode.yaml"))))
        .collect();
    let mut services: Vec<PathBuf> =
        fs::read_dir(here.join("tests/specs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    services.sort();
    files.extend(services.into_iter().map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path)));
    if let Ok(only) = std::env::var("ANTIPODE_SPECS") {
        files.retain(|(name, _)| only.split(',').any(|wanted| wanted == name));
    }
    let mut specs = Vec::new();
    for (name, path) in files {
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("manage: adopt") {
            specs.push((format!("{name}-rendered"), text.replace("manage: adopt", "manage: render")));
        }
        specs.push((name, text));
    }
    specs
}

pub fn design(name: &str, text: &str) -> Design {
    let checked = model::spec::check(text);
    checked.design.unwrap_or_else(|| panic!("{name}: {:#?}", checked.problems))
}

pub fn rendering(name: &str, text: &str) -> Rendering {
    render(&design(name, text), "antipode.yaml").unwrap_or_else(|error| panic!("{name}: {error:#?}"))
}

/// Writes the templates of each stack to `folder/REGION/NAME-…`, so that those of one region can be checked at once.
#[allow(dead_code, reason = "likewise")]
pub fn write(folder: &Path, name: &str, rendering: &Rendering) {
    for stack in &rendering.stacks {
        let within = folder.join(&stack.region);
        fs::create_dir_all(&within).unwrap();
        let prefix = format!("cloudformation/{}/", stack.root);
        for file in rendering.files.iter().filter_map(|file| Some((file.path.strip_prefix(&prefix)?, &file.text))) {
            fs::write(within.join(format!("{name}-{}-{}", stack.root, file.0)), file.1).unwrap();
        }
        // What stack sets carry has to be right in each region.
        for file in &rendering.files {
            if let Some(file_name) = file.path.strip_prefix("cloudformation/everywhere/") {
                fs::write(within.join(format!("{name}-set-{file_name}")), &file.text).unwrap();
            }
        }
        let bucket = rendering.files.iter().find(|file| file.path == "cloudformation/templates.yaml").unwrap();
        fs::write(within.join(format!("{name}-templates.yaml")), &bucket.text).unwrap();
    }
}

#[allow(dead_code, reason = "of the tests that share this file, some need it")]
pub const STOREFRONT: &str = include_str!("../../../../examples/storefront/antipode.yaml");
