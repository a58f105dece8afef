//! The command line: parse, dispatch, exit code.

mod args;
mod check;
mod exit;
mod view;

use clap::Parser;

pub use args::{
    CheckArgs, Cli, Command, DEFAULT_CONFIG, DEFAULT_SOCKET, DemoArgs, DemoHostArgs, FamilyArgs,
    NtsArgs, ProbeArgs, QueryArgs, RunArgs, SetArgs, SimArgs, ViewArgs,
};
pub use exit::Exit;

/// Parses the process's arguments and does what they say.
pub fn main() -> Exit {
    match Cli::try_parse() {
        Ok(cli) => dispatch(&cli.command),
        Err(refusal) => {
            // A closed pipe leaves no one to tell.
            let _ = refusal.print();
            if refusal.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
        }
    }
}

/// One line for each command: the module that does it.
fn dispatch(command: &Command) -> Exit {
    match command {
        Command::Check(args) => check::main(args),
        Command::Status(args) => view::main(args, view::Subject::Status),
        Command::Sources(args) => view::main(args, view::Subject::Sources),
        Command::Auth(args) => view::main(args, view::Subject::Auth),
        Command::Server(args) => {
            let talkers = args.talkers.unwrap_or(0);
            view::main(&args.view, view::Subject::Server { talkers })
        }
        Command::Timestamps(args) => view::main(args, view::Subject::Timestamps),
        Command::Probe(args) => crate::probe::main(args),
        Command::Sim(args) => crate::sim::main(args),
        Command::Demo(args) => crate::demo::main(args),
        Command::DemoHost(args) => crate::demo::host_main(args),
        Command::Run(args) => crate::run::main(args),
        Command::Query(args) => crate::query::main(args),
        Command::Set(args) => crate::set::main(args),
    }
}
