//! Measures what a channel costs, checks the targets, and compares sysvring with similar crates and
//! kernel facilities, each used as its own documentation advises. Two processes, pinned to two
//! processors, exchange messages through each transport, interleaved in one run. The baseline is a
//! raw two-index ring without blocking, validation or crash recovery; for MPMC it is Vyukov's queue.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml -- --quick                all scenarios
//! cargo run --release --manifest-path benches/Cargo.toml -- --quick stream mpmc    some of them
//! cargo run --release --manifest-path benches/Cargo.toml -- contended --rows "one processor"
//! cargo run --release --manifest-path benches/Cargo.toml --features competitors -- --quick
//! cargo run --release --manifest-path benches/Cargo.toml --features large -- --plots docs/plots
//! ```
//!
//! The last command includes the competitors that take minutes to build, and prints and draws the
//! tables and plots of the README and of `docs/benchmarks.md`.
//!
//! Absolute figures differ between runs and machines: compare only rows of one table. Every ratio
//! is taken within a round, in which both contenders ran a moment apart; tables show the median.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "for the library only; a benchmark pins, traces and kills processes"
)]

mod clock;
mod effort;
mod interleave;
mod machine;
mod regime;
mod report;
mod scenario;
mod trace;
mod transport;
mod workload;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sysvring_support::worker::{self, Args};

use crate::effort::Effort;
use crate::machine::Cores;
use crate::regime::Regime;
use crate::report::plot::Plots;
use crate::report::stream_summary;
use crate::scenario::{
    bandwidth, batches, broadcast, capacity, contended, cpu_usage, crash_detection, idle, late,
    lifecycle, mpmc, mpmc_batches, one_way, open_loop, requests, round_trip, sizes, stream,
    syscalls, tap, values, wait_set, wake, wake_readiness,
};
use crate::transport::{Transport, ends};
use crate::workload::neighbours;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// SPSC throughput, 8 B to 64 KiB, and in batches of 16
    Stream,
    /// SPSC throughput by the size of a message, 8 B to 1 KiB
    Sizes,
    /// Bandwidth in messages of 1 KiB to 6 MiB
    Bandwidth,
    /// Throughput by the capacity of the ring
    Capacity,
    /// One-way latency, 8 B and 64 B
    OneWay,
    /// Round-trip latency, by wait strategy and placement
    RoundTrip,
    /// Latency of messages sent at a fixed rate (open loop)
    OpenLoop,
    /// MPMC throughput
    #[value(alias = "many")]
    Mpmc,
    /// Broadcast to 1 to 8 receivers: throughput, and one-way latency to one of them
    Broadcast,
    /// System calls while both sides are awake
    Syscalls,
    /// SPSC throughput by value, in place, as values of a serde type, and in batches
    Values,
    /// SPSC throughput while a tap reads along
    Tap,
    /// Wake-up latency of a parked receiver
    Wake,
    /// Wake-up latency of a wait set and of a task, beside sockets
    WakeReadiness,
    /// Cost of a wake-up by the number of channels in a wait set, and of an idle set
    WaitSet,
    /// Time until the death of the peer is detected
    #[value(alias = "death")]
    CrashDetection,
    /// CPU time of a parked receiver and of a parked sender
    Idle,
    /// Idle CPU, and CPU time and system calls per message at low rates
    #[value(alias = "sparse")]
    CpuUsage,
    /// Requests and replies at a fixed rate: latency and processor time
    Requests,
    /// Throughput of each wait strategy on shared processors
    Contended,
    /// Overshoot of timed calls on a shared processor
    Late,
    /// Open and close latency, memory, and recovery after a crash
    Lifecycle,
}

/// Measures sysvring against a baseline and against competitors, between two pinned processes.
#[derive(Parser)]
struct Arguments {
    /// Scenarios to run [default: all]
    scenarios: Vec<Scenario>,
    /// Transports that take part, e.g. "sysvring,baseline" [default: sysvring and the baselines, and
    /// all competitors that are built in]
    #[arg(long, value_delimiter = ',', hide_possible_values = true)]
    only: Vec<Transport>,
    /// Run only the rows of `contended` and the tables of `broadcast` whose names contain this text,
    /// e.g. "round trips: one processor", "to 2, 8 B"
    #[arg(long)]
    rows: Option<String>,
    /// Measure throughput and latency only while cache lines travel this fast between the processors
    #[arg(long)]
    lines: Option<Regime>,
    /// Fewer rounds, fewer messages
    #[arg(long)]
    quick: bool,
    /// Run every scenario once and briefly; the figures are meaningless
    #[arg(long)]
    smoke: bool,
    /// Draw the plots as SVG into this folder, for the scenarios that have one
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Some(mut args) = worker::args() {
        work(&mut args);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    if let Some(missing) = arguments.only.iter().find(|transport| !transport.is_built()) {
        println!("FAILED: {missing} is not built in; use --features competitors, or large");
        return ExitCode::FAILURE;
    }
    let effort = match (arguments.smoke, arguments.quick) {
        (true, _) => Effort::Smoke,
        (false, true) => Effort::Quick,
        (false, false) => Effort::Full,
    };
    let cores = machine::cores();
    machine::introduce(&cores, effort);
    regime::set(cores.apart, arguments.lines);
    let (start, mut failed) = (clock::now(), false);
    for &scenario in Scenario::value_variants() {
        if !arguments.scenarios.is_empty() && !arguments.scenarios.contains(&scenario) {
            continue;
        }
        let result = run(scenario, &arguments, &cores, effort);
        ends::remove_leftovers();
        // Workers are killed when they are done, which leaves their semaphore sets behind.
        let reaped = sysvring::reap().map_err(io::Error::other);
        if let Err(error) = result.and(reaped.map(drop)) {
            println!("\nFAILED: {error}");
            failed = true;
        }
    }
    println!("\n{:.0} s in all.", (clock::now() - start) as f64 / 1e9);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(scenario: Scenario, arguments: &Arguments, cores: &Cores, effort: Effort) -> io::Result<()> {
    let plots = arguments.plots.as_deref().map(|folder| Plots::new(folder, cores)).transpose()?;
    let among = |takes_part: fn(Transport) -> bool| -> Vec<Transport> {
        let selected = |transport| match arguments.only.is_empty() {
            true => Transport::is_default(transport),
            false => arguments.only.contains(&transport),
        };
        let all = Transport::value_variants().iter().copied();
        all.filter(|&transport| takes_part(transport) && selected(transport)).collect()
    };
    match scenario {
        Scenario::Stream => {
            let transports = among(Transport::has_stream);
            let sizes = stream::run(cores, effort, &transports)?;
            let batches = batches::run(cores, effort, &transports)?;
            stream_summary::print(&transports, &sizes, &batches);
            plots.map_or(Ok(()), |plots| plots.stream(&sizes))
        }
        Scenario::Sizes => sizes::run(cores, effort, &among(Transport::has_sizes)),
        Scenario::Bandwidth => bandwidth::run(cores, effort),
        Scenario::Capacity => capacity::run(cores, effort, &among(Transport::is_usual)),
        Scenario::OneWay => {
            let times = one_way::run(cores, effort, &among(Transport::has_one_way))?;
            plots.map_or(Ok(()), |plots| plots.one_way(&times))
        }
        Scenario::RoundTrip => {
            for (place, times) in round_trip::run(cores, effort, &among(Transport::has_round_trip))?
            {
                plots.as_ref().map_or(Ok(()), |plots| plots.round_trip(place, &times))?;
            }
            Ok(())
        }
        Scenario::OpenLoop => open_loop::run(cores, effort, &among(Transport::has_open_loop)),
        Scenario::Mpmc => {
            let topologies = mpmc::run(cores, effort, &among(Transport::has_mpmc))?;
            plots.map_or(Ok(()), |plots| plots.mpmc(&topologies))
        }
        Scenario::Broadcast => {
            let transports = among(Transport::has_broadcast);
            let sizes = broadcast::run(cores, effort, &transports, arguments.rows.as_deref())?;
            plots.map_or(Ok(()), |plots| plots.broadcast(&sizes))
        }
        Scenario::Syscalls => syscalls::run(cores, effort),
        Scenario::Values => values::run(cores, effort),
        Scenario::Tap => tap::run(cores, effort),
        Scenario::Wake => wake::run(cores, effort),
        Scenario::WakeReadiness => wake_readiness::run(cores, effort),
        Scenario::WaitSet => wait_set::run(cores, effort),
        Scenario::CrashDetection => crash_detection::run(cores, effort),
        Scenario::Idle => idle::run(cores, effort),
        Scenario::CpuUsage => cpu_usage::run(cores, effort, &among(Transport::has_cpu_usage)),
        Scenario::Requests => requests::run(cores, effort),
        Scenario::Contended => contended::run(cores, effort, arguments.rows.as_deref()),
        Scenario::Late => late::run(cores, effort),
        Scenario::Lifecycle => lifecycle::run(cores, effort, &among(Transport::has_lifecycle)),
    }
}

/// Runs a child process.
fn work(args: &mut Args) {
    worker::pin(args.next());
    match args.next::<String>().as_str() {
        "stream" => stream::worker(args),
        "one-way" => one_way::worker(args),
        "round-trip" => round_trip::worker(args),
        "open-loop" => open_loop::worker(args),
        "broadcast" => broadcast::worker(args),
        "mpmc" => mpmc::worker(args),
        "mpmc-batches" => mpmc_batches::worker(args),
        "mpmc-member" => mpmc::member(args),
        "wake" => wake::worker(args),
        "wake-readiness" => wake_readiness::worker(args),
        "wait-set" => wait_set::worker(args),
        "crash-detection" => crash_detection::worker(args),
        "idle" => idle::worker(args),
        "cpu-usage" => cpu_usage::worker(args),
        "requests" => requests::worker(args),
        "contended" => contended::worker(args),
        "late" => late::worker(args),
        "lifecycle" => lifecycle::worker(args),
        "neighbour" => neighbours::worker(args),
        other => panic!("unknown task: {other}"),
    }
}
