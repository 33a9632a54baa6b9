//! The `antipode` binary: arguments, presentation and exit statuses. It decides nothing.
//!
//! Each command is one file in [`commands`]. A command prints its result to standard output and returns how it
//! ended; what went wrong is a [`Failure`], printed here in one way for all of them.

mod args;
mod ask_dns;
mod assessment;
mod commands;
mod exit;
mod failure;
mod folder;
mod following;
mod glass_text;
mod interrupt;
mod kind_text;
mod logs;
mod new_file;
mod operator;
mod output;
mod plan_text;
mod prose;
mod recoveries;
mod request;
mod spec_file;
mod status_text;
mod table;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use exit::Exit;
use failure::{Code, Failure};
use output::Output;

/// A fifth of what rendering a large design takes is memory; see docs/decisions/2026-11-22-allocator.md.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One TLS provider for the whole process; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let output = Output::new(cli.globals.json);
    let exit = match commands::run(cli.command, &cli.globals, &output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            failure.exit()
        }
    };
    exit.into()
}

/// Clap's own texts, which carry usage and suggestions; as one object when JSON was asked for.
fn usage(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        // `--help` and `--version`. A reader that went away is no failure of ours.
        let _ = error.print();
        return Exit::Ok;
    }
    if std::env::args().any(|arg| arg == "--json") {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = Failure::new(Code::Usage, message).hint("`antipode --help` lists commands and options");
        Output::new(true).failure(&failure);
    } else {
        let _ = error.print();
    }
    Exit::Usage
}
