//! A first spec from a few answers. What nobody answers stays open in it, as a comment that says what to write.

mod ask;
mod template;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;

use clap::{Args, ValueEnum};
use model::spec::{self, Severity};
use serde_json::json;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::new_file;
use crate::output::Output;
use crate::prose::counted;

/// Write a first antipode.yaml from a few answers
///
/// Asks, on a terminal, whether there should be several regions at all and what the business can bear. Answers can be
/// given as options too; what has an option is not asked, and without a terminal nothing is asked. Enter leaves a
/// question open: it then stands in the file as a comment, and `antipode assess` reminds of it. Never overwrites a file.
#[derive(Debug, Args)]
pub struct Init {
    /// Write a spec for what Antipode runs itself, or for services of AWS, which it assesses
    #[arg(long, value_enum)]
    platform: Option<Platform>,
    /// The workload's name [default: that of the folder]
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// The regions, the usual one first
    #[arg(long, value_name = "REGION,REGION")]
    regions: Option<String>,
    /// What it must outlive: zone or region
    #[arg(long, value_name = "WHAT")]
    survives: Option<String>,
    /// How long users can be without service after a disaster, such as 30m
    #[arg(long, value_name = "TIME")]
    rto: Option<String>,
    /// How much acknowledged work may be lost, as a time, such as 1m
    #[arg(long, value_name = "TIME")]
    rpo: Option<String>,
    /// Where the users are: local, national or global
    #[arg(long, value_name = "WHERE")]
    users: Option<String>,
    /// The class of the data, when the law or a contract says where it may be
    #[arg(long, value_name = "NAME")]
    data_class: Option<String>,
    /// The regions where data of that class may be
    #[arg(long, value_name = "REGION,REGION", requires = "data_class")]
    approved: Option<String>,
    /// Where writes must be taken: one-region or every-region
    #[arg(long, value_name = "WHERE")]
    writes: Option<String>,
    /// Whether the business can resolve conflicting writes: yes or no
    #[arg(long, value_name = "YES|NO")]
    conflicts: Option<String>,
    /// How well the team operates one region: new, growing or mature
    #[arg(long, value_name = "HOW")]
    team: Option<String>,
    /// What readiness may cost, such as "4000 USD/month"
    #[arg(long, value_name = "MONEY")]
    budget: Option<String>,
    /// What an hour without service costs, such as "2000 USD/h"
    #[arg(long, value_name = "MONEY")]
    downtime: Option<String>,
    /// What a minute of lost data costs, such as "500 USD/min"
    #[arg(long, value_name = "MONEY")]
    data_loss: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Platform {
    /// DNS, services, PostgreSQL and secrets that Antipode runs
    SelfHosted,
    /// Route 53, load balancers, instances and databases of AWS
    Aws,
}

/// What was answered, by the name of the question.
#[derive(Clone, Debug, Default)]
pub struct Answers(BTreeMap<&'static str, String>);

impl Answers {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
    fn set(&mut self, name: &'static str, answer: Option<String>) {
        let answer = answer.map(|answer| answer.trim().to_owned()).filter(|answer| !answer.is_empty());
        let answer = answer.map(|answer| if name == "conflicts" { truth(answer) } else { answer });
        self.0.extend(answer.map(|answer| (name, answer)));
    }
    pub fn platform(&self) -> Platform {
        if self.get("platform") == Some("aws") { Platform::Aws } else { Platform::SelfHosted }
    }
    /// A list as people type it: commas, blanks or both.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let words = self.get(name).unwrap_or_default().split([',', ' ']);
        words.map(str::trim).filter(|word| !word.is_empty()).collect()
    }
}

/// A spec takes `true` and `false`; people say yes and no.
fn truth(answer: String) -> String {
    match answer.to_lowercase().as_str() {
        "yes" | "y" => "true".to_owned(),
        "no" | "n" => "false".to_owned(),
        _ => answer,
    }
}

impl Init {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        let path = &globals.file;
        if path.symlink_metadata().is_ok() {
            // Before anything is asked, so that nobody answers in vain. Writing refuses again.
            return Err(Failure::new(Code::FileExists, format!("{} exists already", path.display()))
                .hint("nothing was written; name another file with --file, or edit this one"));
        }
        let mut answers = self.given();
        for question in ask::QUESTIONS.iter().filter(|question| answers.get(question.name).is_some()) {
            wrong(&answers, question.name).map_or(Ok(()), |why| Err(refused(question, &answers, &why)))?;
        }
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if terminal && !output.is_json() {
            ask::all(&mut answers, &folder_name(), wrong)?;
        }
        answers.0.entry("workload").or_insert_with(folder_name);
        let text = template::text(&answers);
        if let Some(why) = first_error(&text) {
            return Err(Failure::new(Code::Usage, format!("these answers do not fit together: {why}"))
                .hint("nothing was written; `antipode init --help` says what each option takes"));
        }
        new_file::write(path, &text, false)?;
        let arises = |name: &&str| *name != "approved" || answers.get("data-class").is_some();
        let names = ask::QUESTIONS.iter().map(|question| question.name).filter(arises);
        let (answered, open): (Vec<&str>, Vec<&str>) = names.partition(|name| answers.get(name).is_some());
        let value = json!({ "file": path, "answered": answered, "open": open });
        output.result(&value, || told(path, &open));
        Ok(Exit::Ok)
    }

    fn given(&self) -> Answers {
        let mut answers = Answers::default();
        let platform = self.platform.and_then(|platform| platform.to_possible_value()).map(|v| v.get_name().to_owned());
        let given = [
            ("platform", &platform),
            ("workload", &self.workload),
            ("regions", &self.regions),
            ("survives", &self.survives),
            ("rto", &self.rto),
            ("rpo", &self.rpo),
            ("users", &self.users),
            ("data-class", &self.data_class),
            ("approved", &self.approved),
            ("writes", &self.writes),
            ("conflicts", &self.conflicts),
            ("team", &self.team),
            ("budget", &self.budget),
            ("downtime", &self.downtime),
            ("data-loss", &self.data_loss),
        ];
        given.into_iter().for_each(|(name, answer)| answers.set(name, answer.clone()));
        answers
    }
}

fn told(path: &Path, open: &[&str]) -> String {
    let left = match open.len() {
        0 => String::new(),
        n => format!("{} left open: {}\n", counted(n, "question"), open.join(", ")),
    };
    let shown = path.display();
    let option = if shown.to_string() == "antipode.yaml" { String::new() } else { format!(" {shown}") };
    format!("wrote {shown}\n{left}next: complete its components, then `antipode assess{option}`\n")
}

fn refused(question: &ask::Question, answers: &Answers, why: &str) -> Failure {
    let answer = answers.get(question.name).unwrap_or_default();
    Failure::new(Code::Usage, format!("--{} `{answer}`: {why}", question.name))
        .hint(format!("it takes {}", question.form))
}

/// What is wrong with one answer, in the words of the spec's own checks: a spec with little else in it is checked. Where it
/// is to run and the regions come along, since others depend on them.
fn wrong(answers: &Answers, name: &'static str) -> Option<String> {
    if let ("platform", Some(other)) = (name, answers.get(name)) {
        // No key of a spec, so no spec refuses it.
        let known = ["self-hosted", "aws"].contains(&other);
        return (!known).then(|| format!("it must be `self-hosted` or `aws`, not `{other}`"));
    }
    let mut alone = Answers::default();
    for name in [name, "platform", "regions", "data-class"] {
        alone.set(name, answers.get(name).map(str::to_owned));
    }
    first_error(&template::text(&alone))
}

fn first_error(text: &str) -> Option<String> {
    let problems = spec::check(text).problems;
    problems.into_iter().find(|problem| problem.severity == Severity::Error).map(|problem| problem.message)
}

/// The folder's name as a spec may have it.
fn folder_name() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let name = here.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_lowercase()).to_owned();
    if name.is_empty() { "workload".into() } else { name.chars().take(40).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(given: &[(&'static str, &str)]) -> Answers {
        let mut answers = Answers::default();
        given.iter().for_each(|(name, answer)| answers.set(name, Some((*answer).to_owned())));
        answers.set("workload", answers.get("workload").map_or(Some("shop".into()), |name| Some(name.to_owned())));
        answers
    }

    fn everything(platform: &str) -> Answers {
        answers(&[
            ("platform", platform),
            ("regions", "eu-west-1, eu-central-1"),
            ("survives", "region"),
            ("rto", "45m"),
            ("rpo", "2m"),
            ("users", "global"),
            ("data-class", "medical"),
            ("approved", "eu-west-1 eu-central-1"),
            ("writes", "one-region"),
            ("conflicts", "false"),
            ("team", "growing"),
            ("budget", "4000 USD/month"),
            ("downtime", "2000 USD/h"),
            ("data-loss", "500 USD/min"),
        ])
    }

    #[test]
    fn what_is_written_is_valid_however_little_was_answered() {
        for platform in ["self-hosted", "aws"] {
            let whole = everything(platform);
            assert_eq!(first_error(&template::text(&whole)), None, "{}", template::text(&whole));
            for question in ask::QUESTIONS
                .iter()
                .filter(|question| !["workload", "platform", "regions", "data-class"].contains(&question.name))
            {
                let mut some = whole.clone();
                some.0.remove(question.name);
                assert_eq!(
                    first_error(&template::text(&some)),
                    None,
                    "without {}\n{}",
                    question.name,
                    template::text(&some)
                );
            }
            let bare = answers(&[("platform", platform)]);
            assert_eq!(first_error(&template::text(&bare)), None, "{}", template::text(&bare));
        }
    }

    #[test]
    fn what_antipode_runs_can_be_run() {
        for given in [everything("self-hosted"), answers(&[("platform", "self-hosted"), ("rpo", "0s")])] {
            let text = template::text(&given);
            assert!(spec::check(&text).topology.is_some(), "{text}");
        }
        assert!(spec::check(&template::text(&everything("aws"))).topology.is_none());
    }

    #[test]
    fn the_spec_says_what_was_answered() {
        let design = spec::design(&template::text(&everything("aws"))).unwrap();
        let objectives = &design.objectives;
        assert_eq!(objectives.rto, Some(std::time::Duration::from_secs(45 * 60)));
        assert_eq!((objectives.conflicts, objectives.data_class.as_deref()), (Some(false), Some("medical")));
        assert_eq!(design.practice.word("team.maturity"), Some("growing"));
        assert_eq!(design.residency["medical"].len(), 2);
        assert!(design.losses.downtime.is_some() && design.losses.data.is_some() && objectives.budget.is_some());
        let open = spec::design(&template::text(&answers(&[("platform", "aws")]))).unwrap();
        assert_eq!((open.objectives.rto, open.objectives.users, open.losses.downtime), (None, None, None));
    }

    #[test]
    fn an_answer_that_no_spec_takes_is_refused() {
        for (name, bad) in [
            ("rto", "30"),
            ("rpo", "soon"),
            ("survives", "continent"),
            ("users", "many"),
            ("budget", "a lot"),
            ("downtime", "2000"),
            ("conflicts", "maybe"),
            ("platform", "shop"),
            ("workload", "Shop #1: {"),
            ("team", "best"),
            ("regions", "eu west: 1"),
        ] {
            assert!(wrong(&answers(&[(name, bad)]), name).is_some(), "{name} {bad}");
        }
        let whole = everything("aws");
        for question in &ask::QUESTIONS {
            assert_eq!(wrong(&whole, question.name), None, "{}", question.name);
        }
    }

    #[test]
    fn yes_and_no_are_answers() {
        for (said, meant) in [("yes", true), ("No", false), ("true", true), ("n", false)] {
            let mut answers = everything("aws");
            answers.set("conflicts", Some(said.into()));
            assert_eq!(spec::design(&template::text(&answers)).unwrap().objectives.conflicts, Some(meant), "{said}");
        }
    }

    #[test]
    fn answers_cannot_write_other_keys() {
        let sly = answers(&[("platform", "aws"), ("data-class", "x\nstrategy: hot-standby")]);
        assert!(wrong(&sly, "data-class").is_some() || spec::design(&template::text(&sly)).unwrap().strategy.is_none());
    }
}
