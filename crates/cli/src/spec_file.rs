//! The spec on disk: read, checked, and shown with what is wrong at its line and column.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use model::spec::{self, Problem, Severity, Span};
use model::{Design, Topology};

use crate::failure::{Code, Failure};
use crate::output::{Output, fancy};

/// A checked spec, whether it can be run or only be assessed.
pub struct Understood {
    pub design: Design,
    pub topology: Option<Topology>,
    pub warnings: Vec<Problem>,
    /// What keeps it from being run.
    pub obstacles: Vec<Problem>,
}

/// Reads the spec at `path`, to be run. Problems are drawn on standard error, warnings too; errors are a failure, and so
/// is a spec that can only be assessed.
pub fn load(path: &Path, output: &Output) -> Result<Topology, Failure> {
    let Understood { topology, obstacles, .. } = understand(path, output)?;
    match topology {
        Some(topology) => Ok(topology),
        None => {
            let kinds = obstacles.first().map(|first| first.message.clone()).unwrap_or_default();
            let more = match obstacles.len() {
                0 | 1 => String::new(),
                n => format!(", and {} more", n - 1),
            };
            Err(Failure::new(Code::SpecNotRunnable, format!("{} can only be assessed: {kinds}{more}", path.display()))
                .hint("nothing was done; `antipode validate` lists what is in the way")
                .problems(obstacles))
        }
    }
}

/// Reads the spec at `path`, whatever it is for. Problems are drawn on standard error, warnings too; errors are a failure.
pub fn understand(path: &Path, output: &Output) -> Result<Understood, Failure> {
    take(path, output, true)
}

/// The same, and of a spec that is valid nothing is drawn: an assessment says by itself what is doubtful.
pub fn for_assessment(path: &Path, output: &Output) -> Result<Understood, Failure> {
    take(path, output, false)
}

fn take(path: &Path, output: &Output, warnings: bool) -> Result<Understood, Failure> {
    let text = read(path)?;
    let checked = spec::check(&text);
    if warnings || checked.design.is_none() {
        output.notice(&draw(path, &text, &checked.problems));
    }
    match checked.design {
        Some(design) => {
            let (topology, obstacles) = (checked.topology, checked.obstacles);
            Ok(Understood { design, topology, warnings: checked.problems, obstacles })
        }
        None => {
            let errors = checked.problems.iter().filter(|p| p.severity == Severity::Error).count();
            let what = if errors == 1 { "1 error".to_string() } else { format!("{errors} errors") };
            Err(Failure::new(Code::SpecInvalid, format!("{} has {what}", path.display()))
                .hint("nothing was done; correct the marked places and run `antipode validate` again")
                .problems(checked.problems))
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let read = || {
        let mut bytes = Vec::new();
        // One byte more than a spec may have shows that it is too long; a device would never end.
        File::open(path)?.take(spec::LONGEST as u64 + 1).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    match read() {
        Ok(bytes) if bytes.len() > spec::LONGEST => {
            let what = format!("{shown} is larger than {} KiB, the most that a spec may have", spec::LONGEST >> 10);
            Err(Failure::new(Code::SpecUnreadable, what).hint("name the right file"))
        }
        Ok(bytes) => String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failure::new(Code::SpecUnreadable, format!("{shown} is not text: byte {at} is not UTF-8"))
                .hint("save the file as UTF-8")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(Code::SpecNotFound, format!("there is no {shown}"))
                .hint("name the spec with `--file`, or go to its directory"))
        }
        Err(error) => Err(Failure::new(Code::SpecUnreadable, format!("{shown} cannot be read: {error}"))
            .hint("the spec must be a file that you may read")),
    }
}

/// Every problem at its place; in colours and lines on a terminal, in plain characters elsewhere.
fn draw(path: &Path, text: &str, problems: &[Problem]) -> String {
    let handler = if fancy() {
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode())
    } else {
        // A width of its own, so that a log reads the same wherever it was written.
        GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_width(120)
    };
    let handler = handler.with_links(false).with_context_lines(1);
    let source = NamedSource::new(path.display().to_string(), text.to_string());
    let mut out = String::new();
    for problem in problems {
        let drawn = handler.render_report(&mut out, &Drawn { problem, source: &source });
        drawn.expect("writing to a String succeeds");
        out.push('\n');
    }
    out
}

/// A problem as miette wants to see it.
#[derive(Debug)]
struct Drawn<'p> {
    problem: &'p Problem,
    source: &'p NamedSource<String>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.code))
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = |span: Span, text: &String| LabeledSpan::new(Some(text.clone()), span.offset, span.len);
        let related = self.problem.related.iter().map(move |r| label(r.span, &r.label));
        Some(Box::new(std::iter::once(label(self.problem.span, &self.problem.label)).chain(related)))
    }
}
