//! One file for each command: its arguments, and what it prints.

mod abort;
mod agent;
mod approve;
mod assess;
mod bench;
mod completions;
mod controller;
mod diff;
mod drill;
mod evidence;
mod explain;
mod failback;
mod failover;
mod forecast;
mod glass;
mod import;
mod init;
mod journal;
mod man;
mod probe;
mod render;
mod restore;
mod schema;
mod sim;
mod status;
mod switchover;
mod up;
mod validate;

use clap::Subcommand;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Command {
    Up(up::Up),
    Status(status::Status),
    Probe(probe::Probe),
    Switchover(switchover::Switchover),
    Failover(failover::Failover),
    Failback(failback::Failback),
    Restore(restore::Restore),
    Approve(approve::Approve),
    Abort(abort::Abort),
    Journal(journal::Journal),
    Drill(drill::Drill),
    Bench(bench::Bench),
    Sim(sim::Sim),
    Schema(schema::Schema),
    Init(Box<init::Init>),
    Validate(validate::Validate),
    Assess(assess::Assess),
    Explain(explain::Explain),
    Forecast(forecast::Forecast),
    Render(render::Render),
    Diff(diff::Diff),
    Import(import::Import),
    Evidence(evidence::Evidence),
    Completions(completions::Completions),
    Man(man::Man),
    #[command(hide = true)]
    Agent(agent::Agent),
    #[command(hide = true)]
    Controller(controller::Controller),
}

pub fn run(command: Command, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Up(args) => args.run(globals, output),
        Command::Status(args) => args.run(globals, output),
        Command::Probe(args) => args.run(globals, output),
        Command::Switchover(args) => args.run(globals, output),
        Command::Failover(args) => args.run(globals, output),
        Command::Failback(args) => args.run(globals, output),
        Command::Restore(args) => args.run(globals, output),
        Command::Approve(args) => args.run(globals, output),
        Command::Abort(args) => args.run(globals, output),
        Command::Journal(args) => args.run(globals, output),
        Command::Drill(args) => args.run(globals, output),
        Command::Bench(args) => args.run(output),
        Command::Sim(args) => args.run(output),
        Command::Schema(args) => args.run(output),
        Command::Init(args) => args.run(globals, output),
        Command::Validate(args) => args.run(globals, output),
        Command::Assess(args) => args.run(globals, output),
        Command::Explain(args) => args.run(output),
        Command::Forecast(args) => args.run(globals, output),
        Command::Render(args) => args.run(globals, output),
        Command::Diff(args) => args.run(globals, output),
        Command::Import(args) => args.run(output),
        Command::Completions(args) => args.run(output),
        Command::Man(args) => args.run(output),
        Command::Evidence(args) => args.run(output),
        Command::Agent(args) => args.run(),
        Command::Controller(args) => args.run(),
    }
}
