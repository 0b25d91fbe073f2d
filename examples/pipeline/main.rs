//! A job of several processes: counts the lines, words and bytes of a file or a folder tree.
//!
//! ```text
//! cargo run --release --example pipeline -- [--workers N] [--kill N] [PATH]
//! ```
//!
//! ```text
//!              lines       ┌─> worker ─┐       counts
//! reader ──────────────────┼─> worker ─┼──────────────────> collector      two channels
//!    \                     └─> ...    ─┘                        /           MPMC
//!     \                          │                            /
//!      `──────────────────── supervisor ─────────────────────'             what you started
//! ```
//!
//! The reader lets the kernel read files right into the slots of a channel, each worker parses words
//! in place, the collector adds up and compares with the same count made by plain code. The
//! supervisor is a member of no channel; it watches them read-only. Both channels are private: they
//! have no names, and whatever dies, nothing of them stays.
//!
//! Any worker may be killed at any instruction, and `--kill N` does it N times: the supervisor starts
//! another in its place, which attaches to the same channels by their identifiers. What the dead one
//! had in flight is delivered again, so every block of lines is counted at least once; the collector
//! goes by the blocks' positions, so it is counted exactly once.
//!
//! It ends with 0 if both counts are equal, with 1 if they differ or something failed, and with 130
//! after Ctrl-C.

mod collector;
mod failure;
mod killer;
mod messages;
mod once;
mod plain;
mod progress;
mod reader;
mod report;
mod source;
mod stage;
mod stages;
mod supervisor;
mod words;
mod worker;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use sysvring::{ChannelId, Options, Wait};

use crate::failure::DIFFERS;

/// Counts lines, words and bytes by several processes.
#[derive(Parser)]
#[command(name = "pipeline")]
struct Arguments {
    /// A file or a folder [default: the HTML documentation that came with Rust, or the sources of
    /// this crate]
    path: Option<PathBuf>,
    /// How many processes count
    // Each has a seat in both channels, which have 64.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=60))]
    workers: u8,
    /// How many workers to kill (SIGKILL), one after the other, spread over the job
    #[arg(long, default_value_t = 0)]
    kill: u32,
    /// Slots of each channel
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    slots: u32,
    /// Bytes of a slot for lines
    #[arg(long, default_value_t = 64 << 10, value_parser = clap::value_parser!(u32).range(512..=1 << 28))]
    slot_size: u32,
    /// How the stages wait for each other
    #[arg(long, value_enum, default_value = "balanced")]
    wait: Waiting,
    /// Which stage this process is.
    #[arg(long, hide = true)]
    stage: Option<Role>,
    /// The channel from the reader to the workers.
    #[arg(long, hide = true)]
    lines: Option<ChannelId>,
    /// The channel from the workers to the collector.
    #[arg(long, hide = true)]
    counts: Option<ChannelId>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Role {
    Reader,
    Worker,
    Collector,
}

#[derive(Clone, Copy, ValueEnum)]
enum Waiting {
    /// Never sleep
    Spin,
    /// Spin a little, then sleep
    Balanced,
    /// Sleep at once
    Park,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    arguments.path.get_or_insert_with(default_path);
    let result = match arguments.stage {
        None => supervisor::run(&arguments),
        Some(Role::Reader) => reader::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Role::Worker) => worker::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Role::Collector) => collector::run(&arguments)
            .map(|right| if right { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) }),
    };
    result.unwrap_or_else(|failure| failure.report())
}

impl Arguments {
    /// What to count.
    fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("."))
    }

    /// A new channel without a name, as it is to be.
    fn new_channel(&self, slot_size: usize) -> Options {
        Options::private().capacity(self.slots as usize).slot_size(slot_size).wait(self.wait.into())
    }

    /// A channel that another stage made.
    fn channel(&self, id: ChannelId) -> Options {
        Options::id(id).wait(self.wait.into())
    }

    /// The command line of a stage, but for what is its own.
    fn pass_on(&self, stage: &mut Command) {
        let (slots, slot_size) = (self.slots.to_string(), self.slot_size.to_string());
        let wait = match self.wait {
            Waiting::Spin => "spin",
            Waiting::Balanced => "balanced",
            Waiting::Park => "park",
        };
        stage.args(["--slots", &slots, "--slot-size", &slot_size, "--wait", wait]);
        // A path may look like an option.
        stage.arg("--").arg(self.path());
    }
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Worker => "worker",
            Role::Collector => "collector",
        }
    }
}

impl From<Waiting> for Wait {
    fn from(waiting: Waiting) -> Wait {
        match waiting {
            Waiting::Spin => Wait::Spin,
            Waiting::Balanced => Wait::Balanced,
            Waiting::Park => Wait::Park,
        }
    }
}

/// The documentation of the Rust that is installed, else this crate's own sources.
fn default_path() -> PathBuf {
    let rustc = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = rustc.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    sysroot
        .map(|sysroot| Path::new(sysroot.trim_end()).join("share/doc/rust/html"))
        .filter(|documentation| documentation.is_dir())
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}
