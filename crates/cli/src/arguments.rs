//! The command line.

use clap::{Parser, Subcommand};

use crate::channel::NAMING;
#[cfg(feature = "top")]
use crate::commands::top;
use crate::commands::{
    bench, completions, doctor, ls, man, metrics, reap, record, recv, replay, rm, send, stat, tap,
    wait,
};
use crate::failure::EXIT_CODES;

/// See, touch and repair sysvring channels: every channel on this machine that you may read.
#[derive(Debug, Parser)]
#[command(
    name = "sysvring",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = after_help(),
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

fn after_help() -> String {
    format!(
        "{NAMING}\n\n{EXIT_CODES}\n\n`sysvring COMMAND --help` explains a command, `sysvring man` is the \
         manual."
    )
}

/// The commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Ls(ls::Ls),
    Stat(stat::Stat),
    Wait(wait::Wait),
    #[cfg(feature = "top")]
    Top(top::Top),
    Metrics(metrics::Metrics),
    Send(send::Send),
    Recv(recv::Recv),
    Tap(tap::Tap),
    Peek(tap::Peek),
    Record(record::Record),
    Replay(replay::Replay),
    Rm(rm::Rm),
    Reap(reap::Reap),
    Doctor(doctor::Doctor),
    Bench(bench::Bench),
    Completions(completions::Completions),
    Man(man::Man),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// A time or a size can be given without a unit, and the help tells which one is meant.
    #[test]
    fn the_help_of_a_time_or_a_size_tells_its_unit() {
        let mut found = 0;
        for command in Arguments::command().get_subcommands() {
            for argument in command.get_arguments() {
                let names = argument.get_value_names().unwrap_or_default();
                let unit = match names.first().map(|name| name.as_str()) {
                    Some("TIME") => "seconds",
                    Some("SIZE") => "bytes",
                    _ => continue,
                };
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(
                    help.contains(unit),
                    "{} {}: {help}",
                    command.get_name(),
                    argument.get_id()
                );
                found += 1;
            }
        }
        assert!(found >= 9, "{found}");
    }
}
