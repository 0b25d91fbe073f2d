//! Routes files, and bridges that run them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::namespace::Machine;
use crate::process::Process;
use crate::scratch::Scratch;

/// The stream of the tests, its subject, and the durable consumer of the far machine.
pub const STREAM: &str = "FRAMES";
pub const SUBJECT: &str = "site.frames";
pub const CONSUMER: &str = "far";

/// Returns the tables for a server, with more lines of `[server]`, and the folder of the state.
pub fn server(url: &str, lines: &str, folder: &Scratch) -> String {
    let state = folder.path().join("state");
    format!("[server]\nurl = \"{url}\"\n{lines}\n[state]\ndirectory = {state:?}\n")
}

/// Returns the table of a route from a channel, with more lines.
pub fn out(channel: &str, lines: &str) -> String {
    format!("[[out]]\nchannel = \"{channel}\"\nsubject = \"{SUBJECT}\"\n{lines}\n")
}

/// Returns the table of a route to a channel, with more lines.
pub fn to_channel(channel: &str, lines: &str) -> String {
    format!(
        "[[in]]\nstream = \"{STREAM}\"\nsubject = \"{SUBJECT}\"\nconsumer = \"{CONSUMER}\"\n\
         channel = \"{channel}\"\n{lines}\n"
    )
}

/// Where a bridge runs: its machine, its routes and its log.
#[derive(Debug)]
pub struct Bridge<'a> {
    machine: &'a Machine,
    routes: PathBuf,
    log: PathBuf,
}

impl<'a> Bridge<'a> {
    /// Writes the routes of a bridge.
    pub fn new(machine: &'a Machine, folder: &Scratch, name: &str, routes: &str) -> Bridge<'a> {
        let log = folder.path().join(format!("{name}.log"));
        Bridge { machine, routes: folder.write(&format!("{name}.toml"), routes), log }
    }

    /// Starts it.
    pub fn start(&self, args: &[&str]) -> Process {
        self.machine.inside(|| Process::start(command(&self.routes, args), &self.log))
    }

    /// Runs it to its end. Returns its exit code, and what it printed.
    pub fn run(&self, args: &[&str]) -> (i32, String) {
        let mut process = self.start(args);
        (process.end(), process.output())
    }
}

fn command(routes: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sysvring-bridge"));
    command.arg(routes).args(args).env_remove("RUST_LOG").env("NO_COLOR", "1");
    command
}
