//! Measures what a channel costs and checks the targets. Two processes, pinned to two processors,
//! exchange messages through sysvring and through a baseline, interleaved in one run. The baseline
//! is a raw two-index ring without blocking, validation or crash recovery; for MPMC it is Vyukov's
//! queue.
//!
//! ```text
//! cargo bench --bench channel                     all parts, about ten minutes
//! cargo bench --bench channel -- --quick          all parts, fewer rounds
//! cargo bench --bench channel -- stream wake      selected parts
//! cargo bench --bench channel -- contended --only "one processor"
//! ```
//!
//! Absolute figures differ between runs and machines: compare only rows of one table. Every ratio
//! is taken within a round, in which both contenders ran a moment apart; tables show the median.
//!
//! Without `--bench`, which `cargo bench` passes, this is a smoke test: every part runs once and
//! briefly, and the figures are meaningless.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "for the library only; a benchmark pins, traces and kills processes"
)]

#[path = "../src/transport/baseline.rs"]
mod baseline;
#[path = "../src/clock.rs"]
mod clock;
#[path = "../src/scenario/contended.rs"]
mod contended;
#[path = "../src/scenario/crash_detection.rs"]
mod death;
#[path = "../src/effort.rs"]
mod effort;
#[path = "../src/report/goals.rs"]
mod goals;
#[path = "../src/scenario/idle.rs"]
mod idle;
#[path = "../src/interleave.rs"]
mod interleave;
#[path = "../src/scenario/late.rs"]
mod late;
mod link;
#[path = "../src/machine.rs"]
mod machine;
mod many;
#[path = "../src/scenario/mpmc_fixed_count.rs"]
mod mpmc_fixed_count;
#[path = "../src/scenario/mpmc_fixed_time.rs"]
mod mpmc_fixed_time;
#[path = "../src/workload/neighbours.rs"]
mod neighbours;
mod one_way;
#[path = "../src/pair.rs"]
mod pair;
#[path = "../src/scenario/sparse.rs"]
mod sparse;
mod stream;
#[path = "../src/scenario/syscalls.rs"]
mod syscalls;
#[path = "../src/report/table.rs"]
mod table;
#[path = "../src/workload/mpmc_workload.rs"]
mod team;
#[path = "../src/trace.rs"]
mod trace;
#[path = "../src/workload/ping_pong.rs"]
mod trip;
#[path = "../src/transport/vyukov.rs"]
mod vyukov;
#[path = "../src/scenario/wake.rs"]
mod wake;
#[path = "../src/workload/stream_workload.rs"]
mod workload;

use std::io;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sysvring_support::worker::{self, Orders};

pub(crate) use crate::effort::Effort;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// SPSC throughput, 8 B to 1 KiB
    Stream,
    /// One-way latency, both sides awake
    OneWay,
    /// MPMC throughput
    Many,
    /// System calls while both sides are awake
    Syscalls,
    /// Wake-up latency of a parked receiver
    Wake,
    /// Time until the death of the peer is detected
    Death,
    /// CPU time of a parked receiver and of a parked sender
    Idle,
    /// CPU time and system calls per message, at 100 and 1,000 messages per second
    Sparse,
    /// Throughput of each wait strategy on shared processors
    Contended,
    /// Overshoot of timed calls on a shared processor
    Late,
}

/// Measures sysvring against a baseline, between two pinned processes.
#[derive(Parser)]
struct Arguments {
    /// Parts to run [default: all]
    parts: Vec<Part>,
    /// Fewer rounds, fewer messages
    #[arg(long)]
    quick: bool,
    /// Run only the rows of `contended` that contain this text, e.g. "round trips: one processor"
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
    if let Some(mut args) = worker::orders() {
        work(&mut args);
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|a| a == name);
    if given("--list") {
        return ExitCode::SUCCESS; // a test runner lists the tests; there are none
    }
    let (parts, effort, only) = if given("--bench") || given("--help") || given("-h") {
        let arguments = Arguments::parse();
        let effort = match (arguments.test, arguments.quick) {
            (true, _) => Effort::Smoke,
            (false, true) => Effort::Quick,
            (false, false) => Effort::Full,
        };
        (arguments.parts, effort, arguments.only)
    } else {
        // `cargo test --benches` passes the arguments of libtest, none of which applies here.
        (Vec::new(), Effort::Smoke, None)
    };
    let cores = machine::cores();
    machine::introduce(&cores, effort);
    let mut failed = false;
    for part in Part::value_variants() {
        if !parts.is_empty() && !parts.contains(part) {
            continue;
        }
        if let Err(error) = run(*part, &cores, effort, only.as_deref()) {
            println!("\nFAILED: {error}");
            failed = true;
        }
    }
    // Workers are killed when they are done, which leaves their semaphore sets behind.
    if let Err(error) = sysvring::reap() {
        println!("\nFAILED: {error}");
        failed = true;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(part: Part, cores: &machine::Cores, effort: Effort, only: Option<&str>) -> io::Result<()> {
    match part {
        Part::Stream => stream::run(cores, effort),
        Part::OneWay => one_way::run(cores, effort),
        Part::Many => many::run(cores, effort),
        Part::Syscalls => syscalls::run(cores, effort),
        Part::Wake => wake::run(cores, effort),
        Part::Death => death::run(cores, effort),
        Part::Idle => idle::run(cores, effort),
        Part::Sparse => sparse::run(cores, effort),
        Part::Contended => contended::run(cores, effort, only),
        Part::Late => late::run(cores, effort),
    }
}

/// Runs a child process.
fn work(args: &mut Orders) {
    worker::pin(args.next());
    match args.next::<String>().as_str() {
        "stream" => stream::worker(args),
        "one-way" => one_way::worker(args),
        "many" => many::worker(args),
        "mpmc_fixed_time" => many::member(args),
        "wake" => wake::worker(args),
        "death" => death::worker(args),
        "idle" => idle::worker(args),
        "sparse" => sparse::worker(args),
        "contended" => contended::worker(args),
        "late" => late::worker(args),
        "neighbour" => neighbours::worker(args),
        other => panic!("unknown task: {other}"),
    }
}
