use std::time::Duration;

use clap::Args;
use controller::journal::Line;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::interrupted;
use crate::operator::{Operator, block_on};
use crate::output::Output;

/// Lines that are asked for at once.
const PAGE: usize = 1_000;
/// Longest that one question waits for news.
const LISTEN: Duration = Duration::from_secs(5);

/// Print what was decided and done, and when
#[derive(Debug, Args)]
pub struct Journal {
    /// First line, by its number
    #[arg(long, value_name = "N", default_value_t = 1)]
    from: u64,
    /// Go on with what is written from now on, until Ctrl-C
    #[arg(long)]
    follow: bool,
}

impl Journal {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        block_on(async {
            let operator = Operator::looking(globals, output)?;
            tokio::select! {
                ended = self.print(&operator, output) => ended,
                // The usual end of following.
                () = interrupted() => Ok(if self.follow { Exit::Ok } else { Exit::Interrupted }),
            }
        })
    }

    async fn print(&self, operator: &Operator, output: &Output) -> Result<Exit, Failure> {
        let (mut next, mut all) = (self.from, Vec::new());
        loop {
            let lines = operator.api.journal(next, PAGE).await.map_err(|e| operator.failure(&e))?;
            next = lines.last().map_or(next, |line| line.seq + 1);
            let last = lines.len() < PAGE;
            if output.is_json() && !self.follow {
                all.extend(lines)
            } else {
                show(&lines, output)
            }
            if last {
                break;
            }
        }
        if !self.follow {
            if output.is_json() {
                output.value(&all);
            }
            return Ok(Exit::Ok);
        }
        loop {
            let lines = operator.api.events(next, LISTEN).await.map_err(|e| operator.failure(&e))?;
            next = lines.last().map_or(next, |line| line.seq + 1);
            show(&lines, output);
        }
    }
}

fn show(lines: &[Line], output: &Output) {
    for line in lines {
        if output.is_json() { output.line(line) } else { output.text(&text(line)) }
    }
}

fn text(line: &Line) -> String {
    let says = line.record().map_or_else(|error| error.to_string(), |record| record.text());
    // To the millisecond: more is noise to people.
    let wall = line.wall.parse::<jiff::Timestamp>().map_or(line.wall.clone(), |at| format!("{at:.3}"));
    format!("{:>6}  {wall}  {says}\n", line.seq)
}
