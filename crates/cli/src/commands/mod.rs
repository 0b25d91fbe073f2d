//! The commands, a module each.

pub mod bench;
pub mod completions;
pub mod doctor;
pub mod ls;
pub mod man;
pub mod metrics;
pub mod reap;
pub mod record;
pub mod recv;
pub mod replay;
pub mod rm;
pub mod send;
pub mod stat;
pub mod tap;
#[cfg(feature = "top")]
pub mod top;
pub mod wait;

use crate::arguments::Command;
use crate::failure::Failure;

/// Runs a command, and returns its exit code.
pub fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Ls(ls) => ls.run(),
        Command::Stat(stat) => stat.run(),
        Command::Wait(wait) => wait.run(),
        #[cfg(feature = "top")]
        Command::Top(top) => top.run(),
        Command::Metrics(metrics) => metrics.run(),
        Command::Send(send) => send.run(),
        Command::Recv(recv) => recv.run(),
        Command::Tap(tap) => tap.run(),
        Command::Peek(peek) => peek.run(),
        Command::Record(record) => record.run(),
        Command::Replay(replay) => replay.run(),
        Command::Rm(rm) => rm.run(),
        Command::Reap(reap) => reap.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Bench(bench) => bench.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    }
}
