use std::path::{Component, Path, PathBuf};

use clap::Args;
use render::{LinkError, RenderError, Rendering, Told};
use serde_json::json;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::folder::{self, Folder, Written};
use crate::output::Output;
use crate::prose::counted;
use crate::recoveries;
use crate::spec_file;

/// Write the infrastructure of every region: templates, parameters, alarms, pipelines, runbooks
///
/// Nothing of AWS is called. The same spec gives the same files, byte for byte. A file that somebody changed by hand is not
/// overwritten unless --overwrite says so; files that the spec no longer asks for are removed, and nothing else is touched.
#[derive(Debug, Args)]
pub struct Render {
    /// The spec, instead of the one named by --file
    #[arg(value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Where to write
    #[arg(long, value_name = "DIR", default_value = "infrastructure")]
    out: PathBuf,
    /// Write nothing; say which files are not what the spec renders, with exit status 11 when there are any
    #[arg(long)]
    check: bool,
    /// The root of the repository, when DIR is a folder in it: workflows are written to its .github/workflows
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,
    /// Write over files that were changed by hand
    #[arg(long, conflicts_with = "check")]
    overwrite: bool,
}

impl Render {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        let path = self.spec.as_ref().unwrap_or(&globals.file);
        let rendering = rendered(path, &self.out, self.within()?, output)?;
        let folder = Folder::new(&self.out, &rendering.files, &rendering.placement);
        if self.check {
            let drift = folder.compare()?;
            let clean = drift.is_empty();
            output.result(&json!({ "out": self.out, "drift": drift }), || drift.text(&self.out));
            return Ok(if clean { Exit::Ok } else { Exit::Drifted });
        }
        let written = folder.write(self.overwrite)?;
        output.result(&result(&self, &rendering, &written), || text(&self, &rendering, &written));
        Ok(Exit::Ok)
    }

    /// Where the files are in their repository.
    fn within(&self) -> Result<String, Failure> {
        let Some(repository) = &self.repository else { return Ok(String::new()) };
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .map_err(|error| Failure::new(Code::CannotWrite, format!("{}: {error}", path.display())))
        };
        let plain = |path: PathBuf| path.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>();
        let (out, root) = (plain(absolute(&self.out)?), plain(absolute(repository)?));
        let within = out.strip_prefix(&root).map_err(|_| {
            Failure::new(Code::Usage, format!("{} is not in {}", self.out.display(), repository.display()))
                .hint("name the root of the repository that the files are written into")
        })?;
        Ok(within.to_string_lossy().replace('\\', "/"))
    }
}

/// What the spec at `path` renders, to be written to `out`, which is `within` its repository.
pub fn rendered(path: &Path, out: &Path, within: String, output: &Output) -> Result<Rendering, Failure> {
    let spec = spec_file::for_assessment(path, output)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let told = Told { folder: within, recoveries: recoveries::of(&spec.design), before: folder::placement(out)? };
    render::render_with(&spec.design, &name, &told).map_err(|error| failure(&name, error))
}

fn failure(name: &str, error: RenderError) -> Failure {
    match error {
        RenderError::Impossible(problems) => {
            let each: Vec<String> = problems
                .iter()
                .map(|problem| format!("{name}:{}: {}; {}", problem.line, problem.says, problem.hint))
                .collect();
            Failure::new(Code::RenderImpossible, format!("{name} cannot be rendered\n  {}", each.join("\n  ")))
                .hint("nothing was written")
        }
        RenderError::Link(error @ LinkError::TooLarge { .. }) => Failure::new(Code::RenderImpossible, format!("{name} is too large: {error}"))
            .hint("nothing was written; describe parts of it as workloads of their own"),
        RenderError::Link(error @ LinkError::Backward { .. }) => Failure::new(Code::RenderImpossible, error.to_string())
            .hint("nothing was written: a resource would move to another stack, and so be made anew; render into an empty folder only if that may happen"),
        error @ RenderError::Link(_) => Failure::new(Code::RenderImpossible, error.to_string())
            .hint("nothing was written; this is a defect of antipode, please report it with the spec"),
    }
}

fn result(args: &Render, rendering: &Rendering, written: &Written) -> serde_json::Value {
    let stacks: Vec<_> = rendering.stacks.iter().map(|stack| {
        let after: Vec<String> = stack.after.iter().map(ToString::to_string).collect();
        let resources: usize = stack.templates.iter().map(|template| template.resources.len()).sum();
        json!({ "stack": stack.root.to_string(), "region": stack.region, "after": after, "templates": stack.templates.len(), "resources": resources })
    }).collect();
    json!({ "out": args.out, "written": written, "stacks": stacks, "not_rendered": rendering.notes })
}

fn text(args: &Render, rendering: &Rendering, written: &Written) -> String {
    let mut out = format!("{}: {}\n", args.out.display(), written.text());
    for stack in &rendering.stacks {
        let resources: usize = stack.templates.iter().map(|template| template.resources.len()).sum();
        out += &format!(
            "  {}, in {}: {}, {}\n",
            stack.root,
            stack.region,
            counted(stack.templates.len(), "template"),
            counted(resources, "resource")
        );
    }
    for note in &rendering.notes {
        out += &format!("not rendered: {}: {}\n  instead: {}\n", note.component, note.says, note.instead);
    }
    out
}
