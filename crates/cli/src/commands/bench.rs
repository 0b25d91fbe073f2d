//! `sysvring bench`: what channels do on this machine, between two processes.

mod scenario;

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Args;
use sysvring::ChannelId;

use self::scenario::{Measured, SCENARIOS, Scenario};
use crate::failure::{DONE, Failure};
use crate::output::cell::Cell;
use crate::output::style::Tone;
use crate::output::{self, Column, Format};
use crate::units;

/// Measure throughput and round trips between two processes on this machine
///
/// In the broadcast scenarios, two other processes receive each message. A short look; `benches` in the
/// repository compares with other libraries.
#[derive(Args, Debug)]
#[command(after_long_help = output::help("Columns", RESULT))]
pub struct Bench {
    /// Time for each scenario: seconds, or 500ms, 2m, 1h
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = units::parse_duration)]
    time: Duration,
    /// Only scenarios whose name contains this text
    #[arg(value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    #[command(flatten)]
    format: Format,
    /// Be the other process of a scenario
    #[arg(long, hide = true, num_args = 3)]
    peer: Option<Vec<String>>,
}

/// The columns of results.
const RESULT: &[Column<(&Scenario, Measured)>] = &[
    Column {
        name: "SCENARIO",
        about: "kind of channel and size of the messages",
        shown: true,
        cell: |(scenario, _)| Cell::Word(scenario.name, Tone::Plain),
    },
    Column {
        name: "MESSAGES/s",
        about: "messages a second; of round trips, two each",
        shown: true,
        cell: |(_, measured)| Cell::Rate(measured.messages as f64 / measured.time.as_secs_f64()),
    },
    Column {
        name: "BYTES/s",
        about: "bytes of these messages a second",
        shown: true,
        cell: |(scenario, measured)| {
            let bytes = measured.messages * scenario.size as u64;
            Cell::Bytes((bytes as f64 / measured.time.as_secs_f64()) as u64)
        },
    },
    Column {
        name: "P50-NS",
        about: "median of the round trips in ns",
        shown: true,
        cell: |(_, measured)| Cell::count(measured.percentile(0.5)),
    },
    Column {
        name: "P99-NS",
        about: "99th percentile of the round trips in ns",
        shown: true,
        cell: |(_, measured)| Cell::count(measured.percentile(0.99)),
    },
];

impl Bench {
    pub fn run(self) -> Result<u8, Failure> {
        if let Some(peer) = &self.peer {
            return peer_of(peer).map(|()| DONE);
        }
        let mut results = Vec::new();
        for scenario in SCENARIOS.iter().filter(|scenario| scenario.name.contains(&self.filter)) {
            results.push((scenario, (scenario.measure)(scenario, self.time)?));
        }
        if results.is_empty() {
            let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            return Err(Failure::usage(format!(
                "no scenario contains {:?}; there are {}",
                self.filter,
                names.join(", ")
            )));
        }
        self.format.print("results", RESULT, &results)?;
        Ok(DONE)
    }
}

/// Runs the other side of a scenario: its name, and the identifiers of two channels.
fn peer_of(peer: &[String]) -> Result<(), Failure> {
    let [name, ids @ ..] = peer else { return Err(Failure::usage("--peer is internal")) };
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == *name);
    let scenario = scenario.ok_or_else(|| Failure::usage("--peer is internal"))?;
    let ids: Vec<ChannelId> = ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
    (scenario.peer)(&ids)
}

/// The other process. Dropped, it is killed.
struct Peer(Child);

impl Peer {
    fn start(scenario: &Scenario, ids: [ChannelId; 2]) -> Result<Peer, Failure> {
        let failed = |error| Failure::because("the other process cannot be started", &error);
        let program = env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["bench", "--peer", scenario.name]).args(ids.map(|id| id.to_string()));
        Ok(Peer(command.stdin(Stdio::null()).spawn().map_err(failed)?))
    }

    fn end(mut self) -> Result<(), Failure> {
        match self.0.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Failure::new("the other process failed; see above")),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
