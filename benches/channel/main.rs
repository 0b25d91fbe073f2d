//! What a channel costs, and whether the goals are met. Two processes, pinned to two processors, send to each
//! other through sysvring and through a yardstick, turn by turn in one run.
//!
//! ```text
//! cargo bench --bench channel                     everything, about ten minutes
//! cargo bench --bench channel -- --quick          the same, shorter
//! cargo bench --bench channel -- stream wake      some parts
//! cargo bench --bench channel -- contended --only "one processor"
//! ```
//!
//! Figures of different runs, let alone machines, are not to be compared: look at the ratios. Every
//! ratio is taken within a round, where both ran a moment apart, and the table shows their median.
//!
//! Without `--bench`, which cargo passes, it is a test: every part runs once and briefly, and the
//! figures mean nothing.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "those are for the library; a bench pins, traces and kills processes"
)]

mod clock;
mod contended;
mod contest;
mod course;
mod death;
mod duel;
mod extent;
mod idle;
mod late;
mod link;
mod machine;
mod many;
mod neighbours;
mod one_way;
mod pair;
mod sparse;
mod stream;
mod syscalls;
mod table;
mod team;
mod trace;
mod trip;
mod verdict;
mod vyukov;
mod wake;
mod window;
mod yardstick;

use std::io;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sysvring_support::worker::{self, Orders};

pub(crate) use crate::extent::Extent;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Messages a second, 8 B to 1 KiB
    Stream,
    /// Time from send to receive, both awake
    OneWay,
    /// Many to many, messages a second
    Many,
    /// System calls while both are awake
    Syscalls,
    /// Time to wake a parked receiver
    Wake,
    /// Time to learn of the other side's death
    Death,
    /// Processor time of a parked receiver
    Idle,
    /// Processor time and system calls of a message, at 100 and 1,000 a second
    Sparse,
    /// What each strategy of waiting makes of a shared processor
    Contended,
    /// How late a timed call returns on a shared processor
    Late,
}

/// Measures sysvring against yardsticks, between two pinned processes.
#[derive(Parser)]
struct Arguments {
    /// Parts to run; all when none is named
    parts: Vec<Part>,
    /// Fewer rounds, fewer messages
    #[arg(long)]
    quick: bool,
    /// Lines of `contended` that contain this, such as "round trips: one processor"
    #[arg(long)]
    only: Option<String>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Run every part briefly, as `cargo test --benches` does
    #[arg(long)]
    test: bool,
}

fn main() -> ExitCode {
    if let Some(mut orders) = worker::orders() {
        work(&mut orders);
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|a| a == name);
    if given("--list") {
        return ExitCode::SUCCESS; // a test runner asks for tests; there are none
    }
    let (parts, extent, only) = if given("--bench") || given("--help") || given("-h") {
        let arguments = Arguments::parse();
        let extent = match (arguments.test, arguments.quick) {
            (true, _) => Extent::Smoke,
            (false, true) => Extent::Quick,
            (false, false) => Extent::Full,
        };
        (arguments.parts, extent, arguments.only)
    } else {
        // `cargo test --benches` passes what is meant for libtest; nothing of it concerns us.
        (Vec::new(), Extent::Smoke, None)
    };
    let cores = machine::cores();
    machine::introduce(&cores, extent);
    let mut failed = false;
    for part in Part::value_variants() {
        if !parts.is_empty() && !parts.contains(part) {
            continue;
        }
        if let Err(error) = run(*part, &cores, extent, only.as_deref()) {
            println!("\nFAILED: {error}");
            failed = true;
        }
    }
    // The workers are killed when they have done their part, and their sets are left.
    if let Err(error) = sysvring::reap() {
        println!("\nFAILED: {error}");
        failed = true;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(part: Part, cores: &machine::Cores, extent: Extent, only: Option<&str>) -> io::Result<()> {
    match part {
        Part::Stream => stream::run(cores, extent),
        Part::OneWay => one_way::run(cores, extent),
        Part::Many => many::run(cores, extent),
        Part::Syscalls => syscalls::run(cores, extent),
        Part::Wake => wake::run(cores, extent),
        Part::Death => death::run(cores, extent),
        Part::Idle => idle::run(cores, extent),
        Part::Sparse => sparse::run(cores, extent),
        Part::Contended => contended::run(cores, extent, only),
        Part::Late => late::run(cores, extent),
    }
}

/// The whole life of a child.
fn work(orders: &mut Orders) {
    worker::pin(orders.next());
    match orders.next::<String>().as_str() {
        "stream" => stream::worker(orders),
        "one-way" => one_way::worker(orders),
        "many" => many::worker(orders),
        "window" => many::member(orders),
        "wake" => wake::worker(orders),
        "death" => death::worker(orders),
        "idle" => idle::worker(orders),
        "sparse" => sparse::worker(orders),
        "contended" => contended::worker(orders),
        "late" => late::worker(orders),
        "neighbour" => neighbours::worker(orders),
        other => panic!("no such work: {other}"),
    }
}
