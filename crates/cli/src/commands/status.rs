use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use engine::Status as Known;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::interrupted;
use crate::operator::{Operator, block_on};
use crate::output::Output;
use crate::status_text;

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

/// Who writes, whether that is safe, and whether a failover would work now
#[derive(Debug, Args)]
pub struct Status {
    /// Look every second until Ctrl-C: the whole status on a terminal, elsewhere a line whenever it changes
    #[arg(long)]
    watch: bool,
}

impl Status {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        block_on(async {
            let operator = Operator::looking(globals, output)?;
            if !self.watch {
                let status = operator.api.status().await.map_err(|e| operator.failure(&e))?;
                output.result(&status, || status_text::whole(&status, &operator));
                return Ok(Exit::Ok);
            }
            tokio::select! {
                () = watch(&operator, output) => {}
                // The usual end of watching.
                () = interrupted() => {}
            }
            Ok(Exit::Ok)
        })
    }
}

/// Goes on while the controller is away: that is when somebody watches.
async fn watch(operator: &Operator, output: &Output) {
    let redraw = std::io::stdout().is_terminal() && !output.is_json();
    let mut last = String::new();
    loop {
        let seen = operator.api.status().await.map_err(|e| operator.failure(&e));
        match (&seen, output.is_json()) {
            (Ok(status), true) => output.line(status),
            (Err(failure), true) => output.line(&failure.json()),
            (_, false) if redraw => {
                // Home, the text, each line cleared to its end, and everything below cleared.
                let text = text(&seen, operator, status_text::whole).replace('\n', "\x1b[K\n");
                output.text(&format!("\x1b[H{text}\x1b[J"));
            }
            (_, false) => {
                let text = text(&seen, operator, status_text::changes);
                let line = format!("{}\n", text.lines().next().unwrap_or_default());
                if line != last {
                    output.text(&format!("{:.0}  {line}", jiff::Timestamp::now()));
                    last = line;
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn text(seen: &Result<Known, Failure>, operator: &Operator, show: impl Fn(&Known, &Operator) -> String) -> String {
    match seen {
        Ok(status) => show(status, operator),
        Err(failure) => failure.text(),
    }
}
