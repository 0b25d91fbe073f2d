//! Compares sysvring with similar crates and kernel facilities, interleaved in one run. Each is
//! used as its own documentation advises.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml                     about two minutes
//! cargo run --release --manifest-path benches/Cargo.toml -- stream many      selected parts
//! cargo run --release --manifest-path benches/Cargo.toml --features large -- --full --plots docs/plots
//! ```
//!
//! The last command runs more rounds, includes the competitors that take minutes to build, and
//! draws the plots: it produces the tables and plots of the README and of `docs/benchmarks.md`.
//! Compare ratios: they are taken within a round, in which both contenders ran a moment apart. The
//! *baseline* is a raw two-index ring without blocking, validation or crash recovery; for MPMC it
//! is Vyukov's queue.
#![allow(dead_code, reason = "not all code shared with the other benchmark is used here")]

#[path = "transport/baseline.rs"]
mod baseline;
#[path = "scenario/batches.rs"]
mod batches;
#[path = "scenario/capacity.rs"]
mod capacity;
mod clock;
#[path = "effort.rs"]
mod effort;
#[path = "report/goals.rs"]
mod goals;
#[path = "interleave.rs"]
mod interleave;
#[path = "transport/pipes_and_sockets.rs"]
mod kernel;
#[cfg(feature = "large")]
#[path = "transport/iceoryx2_and_ipc_channel.rs"]
mod large;
#[path = "scenario/lifecycle.rs"]
mod life;
#[path = "transport/ends.rs"]
mod link;
mod machine;
#[path = "scenario/mpmc.rs"]
mod many;
#[path = "scenario/mpmc_fixed_count.rs"]
mod mpmc_fixed_count;
#[path = "scenario/mpmc_fixed_time.rs"]
mod mpmc_fixed_time;
#[path = "scenario/one_way.rs"]
mod one_way;
#[path = "transport/shmem_ipc_and_ipmpsc.rs"]
mod others;
#[path = "transport/sysvring.rs"]
mod ours;
#[path = "scenario/open_loop.rs"]
mod paced;
mod pair;
#[path = "report/plot.rs"]
mod plot;
#[path = "transport/message_queues.rs"]
mod queues;
#[path = "report/stream_summary.rs"]
mod rates;
#[path = "scenario/cpu_usage.rs"]
mod rest;
#[path = "scenario/round_trip.rs"]
mod round_trip;
#[path = "transport/shaq.rs"]
mod shared;
#[path = "scenario/bandwidth.rs"]
mod size;
#[path = "scenario/stream.rs"]
mod stream;
#[path = "report/table.rs"]
mod table;
#[path = "workload/mpmc_workload.rs"]
mod team;
#[path = "transport/in_process.rs"]
mod threads;
mod trace;
#[path = "transport/traits.rs"]
mod traits;
#[path = "transport/names.rs"]
mod transport;
#[path = "workload/ping_pong.rs"]
mod trip;
#[path = "transport/vyukov.rs"]
mod vyukov;
#[path = "workload/stream_workload.rs"]
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sysvring_support::worker;

pub(crate) use crate::effort::Effort;
use crate::link::Transport;
use crate::plot::Plots;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// SPSC throughput, 8 B to 64 KiB
    Stream,
    /// Bandwidth in messages of 64 KiB and 1 MiB
    Size,
    /// Throughput by the capacity of the ring
    Capacity,
    /// One-way latency
    OneWay,
    /// Round-trip latency, by wait strategy and placement
    RoundTrip,
    /// Latency of messages sent at a fixed rate (open loop)
    Paced,
    /// MPMC throughput
    Many,
    /// Idle CPU, and CPU time at a low message rate
    Rest,
    /// Open and close latency, memory, and recovery after a crash
    Life,
}

/// Compares sysvring with its competitors, between processes pinned to two processors.
///
/// A default run takes about two minutes; `--full --plots docs/plots` prints the tables and draws
/// the plots of the documentation.
#[derive(Parser)]
struct Arguments {
    /// Parts to run [default: all]
    parts: Vec<Part>,
    /// Competitors to include [default: all]
    #[arg(long)]
    beside: Vec<Transport>,
    /// More rounds, more messages
    #[arg(long)]
    full: bool,
    /// Draw the plots as SVG into this folder, for the parts that have one
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// Run every part once and briefly; the figures are meaningless
    #[arg(long)]
    smoke: bool,
}

fn main() -> ExitCode {
    if let Some(mut args) = worker::orders() {
        worker::pin(args.next());
        match args.next::<String>().as_str() {
            "stream" => stream::worker(&mut args),
            "one-way" => one_way::worker(&mut args),
            "round-trip" => round_trip::worker(&mut args),
            "life" => life::worker(&mut args),
            "rest" => rest::worker(&mut args),
            "paced" => paced::worker(&mut args),
            "many" => many::worker(&mut args),
            "mpmc_fixed_time" => many::member(&mut args),
            other => panic!("unknown task: {other}"),
        }
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let effort = match (arguments.smoke, arguments.full) {
        (true, _) => Effort::Smoke,
        (false, true) => Effort::Full,
        (false, false) => Effort::Quick,
    };
    let cores = machine::cores();
    machine::introduce(&cores, effort);
    let start = clock::now();
    let result = run(&arguments, &cores, effort);
    println!("\n{:.0} s in all.", (clock::now() - start) as f64 / 1e9);
    // Workers are killed when they are done, which leaves their semaphore sets behind.
    let reaped = sysvring::reap();
    match (result, reaped) {
        (Ok(()), Ok(_)) => ExitCode::SUCCESS,
        (result, reaped) => {
            eprintln!("FAILED: {:?} {:?}", result.err(), reaped.err());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, cores: &machine::Cores, effort: Effort) -> std::io::Result<()> {
    let beside = |transport: Transport| {
        transport.is_ours() || arguments.beside.is_empty() || arguments.beside.contains(&transport)
    };
    let transports = |of: fn(Transport) -> bool| -> Vec<Transport> {
        let all = Transport::value_variants().iter().copied();
        all.filter(|&transport| of(transport) && beside(transport)).collect()
    };
    let by_value = transports(Transport::is_plain);
    let wanted = |part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    let plots = arguments.plots.as_deref().map(|folder| Plots::new(folder, cores)).transpose()?;
    if wanted(Part::Stream) {
        let rates = stream::run(cores, effort, &transports(Transport::has_stream))?;
        plots.as_ref().map_or(Ok(()), |plots| plots.stream(&rates))?;
        batches::run(cores, effort, &by_value)?;
    }
    if wanted(Part::Size) {
        size::run(cores, effort)?;
    }
    if wanted(Part::Capacity) {
        capacity::run(cores, effort)?;
    }
    if wanted(Part::OneWay) {
        let transports = transports(Transport::has_one_way);
        let times = one_way::run(cores, effort, &transports)?;
        plots.as_ref().map_or(Ok(()), |plots| plots.one_way(&times))?;
    }
    if wanted(Part::RoundTrip) {
        let transports = transports(Transport::has_round_trip);
        for (place, times) in round_trip::run(cores, effort, &transports)? {
            plots.as_ref().map_or(Ok(()), |plots| plots.round_trip(place, &times))?;
        }
    }
    if wanted(Part::Paced) {
        paced::run(cores, effort, &by_value)?;
    }
    if wanted(Part::Many) {
        let transports = transports(Transport::is_many);
        let topologies = many::run(cores, effort, &transports)?;
        plots.as_ref().map_or(Ok(()), |plots| plots.topologies(&transports, &topologies))?;
    }
    if wanted(Part::Rest) {
        rest::run(cores, effort, &transports(Transport::has_rest))?;
    }
    if wanted(Part::Life) {
        life::run(cores, effort, &transports(Transport::has_life))?;
    }
    Ok(())
}
