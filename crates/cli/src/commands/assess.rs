use std::path::PathBuf;

use clap::{Args, ValueEnum};
use engine::assess::{accept, review};
use engine::forecast::Forecast;
use model::findings::Severity;
use model::{Baseline, Date};

use crate::args::Globals;
use crate::assessment::effort::Figures;
use crate::assessment::numbers::Numbers;
use crate::assessment::{Assessment, baseline, html, markdown, sarif, text};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::prose::{Prose, counted};
use crate::spec_file;

/// How long what is accepted stays accepted, unless somebody says another day.
const ACCEPTED_DAYS: u32 = 90;

/// Say what would break a recovery of this design, before anybody builds it
///
/// Reads the spec and nothing else. The findings come with the line that shows them, what follows from them and what to
/// do; then the questions that nobody has answered, what each region has, and what a recovery would call. Works on every
/// spec that `antipode validate` accepts, also on those that this version cannot run.
#[derive(Debug, Args)]
pub struct Assess {
    /// The spec to assess, instead of the one named by --file
    #[arg(value_name = "FILE")]
    spec: Option<PathBuf>,
    /// In which form [default: text]
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    format: Option<Form>,
    /// Do not fold long lists
    #[arg(long)]
    all: bool,
    /// Exit with status 10 when there is a finding so grave, or graver, that no baseline accepts
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
    /// The day that drills, copies and acceptances are judged by [default: today, in UTC]
    #[arg(long, value_name = "YYYY-MM-DD")]
    today: Option<Date>,
    /// Findings that somebody accepts, with reason, owner and last day
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write a baseline that accepts the errors and warnings of now; replaces only the one of --baseline
    #[arg(long, value_name = "FILE", requires = "owner", requires = "reason")]
    write_baseline: Option<PathBuf>,
    /// Who accepts
    #[arg(long, value_name = "PERSON", requires = "write_baseline")]
    owner: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", requires = "write_baseline")]
    reason: Option<String>,
    /// The last day of the acceptance [default: 90 days from --today]
    #[arg(long, value_name = "YYYY-MM-DD", requires = "write_baseline")]
    until: Option<Date>,
    #[command(flatten)]
    figures: Figures,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Form {
    /// For people, in a terminal
    Text,
    /// For programs
    Json,
    /// For code scanning (SARIF 2.1.0)
    Sarif,
    /// For the comment on a pull request
    Markdown,
    /// One page to keep; needs nothing else
    Html,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum FailOn {
    Error,
    Warning,
}

impl FailOn {
    fn severity(self) -> Severity {
        match self {
            FailOn::Error => Severity::Error,
            FailOn::Warning => Severity::Warning,
        }
    }
}

impl Assess {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        let form = self.format.unwrap_or(if globals.json { Form::Json } else { Form::Text });
        if form != Form::Json {
            return self.assess(form, globals, output);
        }
        // A failure is the result then, whichever way JSON was asked for.
        let output = Output::new(true);
        self.assess(form, globals, &output).or_else(|failure| {
            output.failure(&failure);
            Ok(failure.exit())
        })
    }

    fn assess(&self, form: Form, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        let path = self.spec.as_ref().unwrap_or(&globals.file);
        let spec = spec_file::for_assessment(path, output)?;
        let rates = self.figures.rates()?;
        let today = self.today.unwrap_or_else(today);
        let review = review(&spec.design, today);
        let accepted = self.baseline.as_deref().map(baseline::read).transpose()?;
        let acceptance = accepted.as_ref().map(|accepted: &Baseline| accept(&review.findings, accepted, today));
        let (history, effort) = (self.figures.history()?, self.figures.effort());
        let numbers = Numbers::of(&spec.design, spec.topology.as_ref(), &rates, &history, effort);
        let file = path.display().to_string();
        let assessment = Assessment::new(file, &spec.design, today, review, numbers, acceptance);
        match form {
            Form::Text => output.text(&text::whole(&assessment, Prose::here(), self.all)),
            Form::Json => output.value(&assessment),
            Form::Sarif => output.text(&format!("{:#}\n", sarif::document(&assessment))),
            Form::Markdown => output.text(&markdown::page(&assessment)),
            Form::Html => output.text(&html::page(&assessment).expect("writing to a String succeeds")),
        }
        self.write(&assessment, today, output)?;
        Ok(self.gate(&assessment, output))
    }

    fn write(&self, assessment: &Assessment, today: Date, output: &Output) -> Result<(), Failure> {
        let (Some(path), Some(owner), Some(reason)) = (&self.write_baseline, &self.owner, &self.reason) else {
            return Ok(());
        };
        let until = self.until.unwrap_or_else(|| today.plus_days(ACCEPTED_DAYS));
        let consent = baseline::Consent { owner: owner.clone(), reason: reason.clone(), until };
        let found: Vec<_> =
            assessment.findings.iter().map(|told| (told.finding.clone(), told.accepted.clone())).collect();
        let count = baseline::write(path, &found, &consent, self.baseline.as_ref() == Some(path))?;
        output.notice(&format!("wrote {}: {} accepted\n", path.display(), counted(count, "finding")));
        Ok(())
    }

    fn gate(&self, assessment: &Assessment, output: &Output) -> Exit {
        let forecast = assessment.numbers.forecast.as_ref().filter(|forecast| forecast.circling > 0);
        // What is never recovered from has findings of its own, which somebody may accept. A circle is nobody's to accept.
        if let (Some(fail_on), Some(why)) = (self.fail_on, forecast.and_then(Forecast::did_not_end)) {
            output.notice(&format!("--fail-on {}: {why}\n", fail_on.severity()));
            return Exit::Findings;
        }
        let Some(fail_on) = self.fail_on.filter(|fail_on| assessment.has(fail_on.severity())) else { return Exit::Ok };
        let grave = assessment.open().filter(|told| told.finding.severity >= fail_on.severity()).count();
        let what = match fail_on {
            FailOn::Error => counted(grave, "error"),
            FailOn::Warning => format!("{} of severity warning or graver", counted(grave, "finding")),
        };
        output.notice(&format!("--fail-on {}: {what}\n", fail_on.severity()));
        Exit::Findings
    }
}

fn today() -> Date {
    let now = jiff::Timestamp::now().to_string();
    now.get(..10).and_then(|day| day.parse().ok()).expect("a timestamp begins with its day")
}
