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
