//! The questions, and how they are asked on a terminal.

use std::io::{BufRead, Write};

use super::Answers;
use crate::failure::{Code, Failure};

pub struct Question {
    /// Also the name of its option.
    pub name: &'static str,
    pub asks: &'static str,
    /// What an answer looks like.
    pub form: &'static str,
}

const fn question(name: &'static str, asks: &'static str, form: &'static str) -> Question {
    Question { name, asks, form }
}

/// The questions of seed 003 section 20, after those that name the workload and its places.
pub const QUESTIONS: [Question; 15] = [
    question("workload", "What is the workload called?", "a name such as `case-api`"),
    question("platform", "Is it run by Antipode, or made of services of AWS?", "`self-hosted` or `aws`"),
    question("regions", "In which regions, the usual one first?", "names such as `eu-west-1, eu-central-1`"),
    question("survives", "Must it outlive the loss of a region, or of a zone?", "`region` or `zone`"),
    question("rto", "How long can users be without service after a disaster (RTO)?", "a time such as `30m`"),
    question("rpo", "How much acknowledged work may be lost (RPO)?", "a time such as `1m`, or `0s`"),
    question("users", "Where are the users?", "`local`, `national` or `global`"),
    question(
        "data-class",
        "Is it regulated where the data may be? The class of data, then",
        "a name such as `medical`",
    ),
    question("approved", "In which regions may data of that class be?", "names such as `eu-west-1, eu-central-1`"),
    question("writes", "Must writes be taken in every region, or is one enough?", "`one-region` or `every-region`"),
    question("conflicts", "Can the business resolve conflicting writes?", "`yes` or `no`"),
    question("team", "How well does the team operate one region?", "`new`, `growing` or `mature`"),
    question("budget", "What may readiness cost?", "money such as `4000 USD/month`"),
    question("downtime", "What does an hour without service cost?", "money such as `2000 USD/h`"),
    question("data-loss", "What does a minute of lost data cost?", "money such as `500 USD/min`"),
];

/// Asks what is not answered yet. `wrong` says what is wrong with an answer, and it is asked again.
///
/// # Errors
/// When the terminal goes away: half an interview is no spec.
pub fn all(
    answers: &mut Answers,
    folder: &str,
    wrong: impl Fn(&Answers, &'static str) -> Option<String>,
) -> Result<(), Failure> {
    let (input, mut terminal) = (std::io::stdin(), std::io::stderr());
    converse(answers, folder, &mut input.lock(), &mut terminal, wrong).map_err(|error| {
        Failure::new(Code::Usage, format!("the questions were not answered: {error}")).hint("nothing was written")
    })
}

fn converse(
    answers: &mut Answers,
    folder: &str,
    input: &mut impl BufRead,
    terminal: &mut impl Write,
    wrong: impl Fn(&Answers, &'static str) -> Option<String>,
) -> std::io::Result<()> {
    writeln!(terminal, "Enter leaves a question open.\n")?;
    for question in &QUESTIONS {
        let pointless = question.name == "approved" && answers.get("data-class").is_none();
        if answers.get(question.name).is_some() || pointless {
            continue;
        }
        loop {
            let usual = match question.name {
                "workload" => format!(" [{folder}]"),
                "platform" => " [self-hosted]".into(),
                _ => String::new(),
            };
            write!(terminal, "{}\n  {}{usual}: ", question.asks, question.form)?;
            terminal.flush()?;
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the input ended"));
            }
            answers.set(question.name, Some(line));
            match answers.get(question.name).and_then(|_| wrong(answers, question.name)) {
                None => break,
                Some(why) => {
                    answers.0.remove(question.name);
                    writeln!(terminal, "  that cannot be used: {why}")?;
                }
            }
        }
    }
    writeln!(terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(typed: &str, answers: &mut Answers) -> (std::io::Result<()>, String) {
        let mut shown = Vec::new();
        let end = converse(answers, "here", &mut typed.as_bytes(), &mut shown, super::super::wrong);
        (end, String::from_utf8(shown).unwrap())
    }

    #[test]
    fn a_wrong_answer_is_asked_again_and_enter_leaves_open() {
        let mut answers = Answers::default();
        answers.set("platform", Some("aws".into()));
        let typed = format!("shop\neu-west-1\n\n30\n30m\n{}", "\n".repeat(9));
        let (end, shown) = talk(&typed, &mut answers);
        end.unwrap();
        assert_eq!((answers.get("rto"), answers.get("survives")), (Some("30m"), None));
        assert_eq!(shown.matches("that cannot be used").count(), 1, "{shown}");
        assert!(!shown.contains("AWS?") && !shown.contains("may data of that class"), "{shown}");
    }

    #[test]
    fn an_input_that_ends_is_no_answer() {
        let (end, _) = talk("shop\n", &mut Answers::default());
        assert!(end.is_err());
    }
}
