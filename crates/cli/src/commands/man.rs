use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::output::Output;

/// Print the manual page
///
/// To read it: `antipode man | man -l -`. With the name of a command, print the page of that command.
#[derive(Debug, Args)]
pub struct Man {
    command: Option<String>,
}

impl Man {
    pub fn run(self, output: &Output) -> Result<Exit, Failure> {
        let mut all = Cli::command();
        all.build();
        let page = match &self.command {
            None => all,
            Some(name) => command(&all, name)?,
        };
        let mut roff = Vec::new();
        clap_mangen::Man::new(page).render(&mut roff).expect("writing to memory succeeds");
        output.text(&String::from_utf8_lossy(&roff));
        Ok(Exit::Ok)
    }
}

fn command(all: &clap::Command, name: &str) -> Result<clap::Command, Failure> {
    let found = all.find_subcommand(name).filter(|c| !c.is_hide_set());
    found.cloned().ok_or_else(|| {
        Failure::new(Code::Usage, format!("there is no command `{name}`")).hint("`antipode --help` lists the commands")
    })
}
