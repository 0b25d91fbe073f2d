//! sysvring beside others of its kind, in one run, each used as its own documentation advises.
//!
//! ```text
//! cargo run --release --manifest-path benches/rivals/Cargo.toml                     about two minutes
//! cargo run --release --manifest-path benches/rivals/Cargo.toml -- stream many      some parts
//! cargo run --release --manifest-path benches/rivals/Cargo.toml --features large -- --full --plots docs/plots
//! ```
//!
//! The last has more rounds, those rivals too that take minutes to build, and draws the plots: these are
//! the tables and plots of the README and of `docs/benchmarks.md`. Look at the ratios: they are
//! taken within a round, where both ran a moment apart.
#![allow(dead_code, reason = "what is shared with the other bench is not all used here")]

mod batches;
mod capacity;
mod carrier;
#[path = "../../channel/clock.rs"]
mod clock;
#[path = "../../channel/contest.rs"]
mod contest;
#[path = "../../channel/course.rs"]
mod course;
#[path = "../../channel/duel.rs"]
mod duel;
#[path = "../../channel/extent.rs"]
mod extent;
mod kernel;
#[cfg(feature = "large")]
mod large;
mod life;
mod link;
#[path = "../../channel/machine.rs"]
mod machine;
mod many;
mod one_way;
mod others;
mod ours;
mod paced;
#[path = "../../channel/pair.rs"]
mod pair;
mod plot;
mod queues;
mod rates;
mod rest;
mod round_trip;
mod shared;
mod size;
mod stream;
#[path = "../../channel/table.rs"]
mod table;
#[path = "../../channel/team.rs"]
mod team;
mod threads;
#[path = "../../channel/trace.rs"]
mod trace;
#[path = "../../channel/trip.rs"]
mod trip;
#[path = "../../channel/verdict.rs"]
mod verdict;
#[path = "../../channel/vyukov.rs"]
mod vyukov;
mod way;
#[path = "../../channel/window.rs"]
mod window;
#[path = "../../channel/yardstick.rs"]
mod yardstick;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sysvring_support::worker;

pub(crate) use crate::extent::Extent;
use crate::link::Way;
use crate::plot::Plots;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Messages a second, one to one, 8 B to 64 KiB
    Stream,
    /// Bytes a second in messages of 64 KiB and 1 MiB
    Size,
    /// Messages a second by the capacity of the ring
    Capacity,
    /// Time from send to receive
    OneWay,
    /// Time there and back, by how both sides wait and where
    RoundTrip,
    /// Time of messages that are sent at a steady pace
    Paced,
    /// Messages a second, many to many
    Many,
    /// Processor time of a side that waits
    Rest,
    /// Time and memory to open and close, and after a death
    Life,
}

/// Measures sysvring against its rivals, between processes pinned to two processors.
///
/// As it is it takes about two minutes; `--full --plots docs/plots` prints the tables and draws the plots of
/// the documentation.
#[derive(Parser)]
struct Arguments {
    /// Parts to run; all when none is named
    parts: Vec<Part>,
    /// Beside whom; beside all when nobody is named
    #[arg(long)]
    beside: Vec<Way>,
    /// More rounds, more messages
    #[arg(long)]
    full: bool,
    /// Draw the plots of the parts that have one, as SVG, into this folder
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// Everything once and briefly; the figures mean nothing
    #[arg(long)]
    smoke: bool,
}

fn main() -> ExitCode {
    if let Some(mut orders) = worker::orders() {
        worker::pin(orders.next());
        match orders.next::<String>().as_str() {
            "stream" => stream::worker(&mut orders),
            "one-way" => one_way::worker(&mut orders),
            "round-trip" => round_trip::worker(&mut orders),
            "life" => life::worker(&mut orders),
            "rest" => rest::worker(&mut orders),
            "paced" => paced::worker(&mut orders),
            "many" => many::worker(&mut orders),
            "window" => many::member(&mut orders),
            other => panic!("no such work: {other}"),
        }
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let extent = match (arguments.smoke, arguments.full) {
        (true, _) => Extent::Smoke,
        (false, true) => Extent::Full,
        (false, false) => Extent::Quick,
    };
    let cores = machine::cores();
    machine::introduce(&cores, extent);
    let start = clock::now();
    let result = run(&arguments, &cores, extent);
    println!("\n{:.0} s in all.", (clock::now() - start) as f64 / 1e9);
    // The workers are killed when they have done their part, and their sets are left.
    let reaped = sysvring::reap();
    match (result, reaped) {
        (Ok(()), Ok(_)) => ExitCode::SUCCESS,
        (result, reaped) => {
            eprintln!("FAILED: {:?} {:?}", result.err(), reaped.err());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, cores: &machine::Cores, extent: Extent) -> std::io::Result<()> {
    let beside =
        |way: Way| way.is_ours() || arguments.beside.is_empty() || arguments.beside.contains(&way);
    let ways = |of: fn(Way) -> bool| -> Vec<Way> {
        let all = Way::value_variants().iter().copied();
        all.filter(|&way| of(way) && beside(way)).collect()
    };
    let by_value = ways(Way::is_plain);
    let wanted = |part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    let plots = arguments.plots.as_deref().map(|folder| Plots::new(folder, cores)).transpose()?;
    if wanted(Part::Stream) {
        let rates = stream::run(cores, extent, &ways(Way::has_stream))?;
        plots.as_ref().map_or(Ok(()), |plots| plots.stream(&rates))?;
        batches::run(cores, extent, &by_value)?;
    }
    if wanted(Part::Size) {
        size::run(cores, extent)?;
    }
    if wanted(Part::Capacity) {
        capacity::run(cores, extent)?;
    }
    if wanted(Part::OneWay) {
        let ways = ways(Way::has_one_way);
        let times = one_way::run(cores, extent, &ways)?;
        plots.as_ref().map_or(Ok(()), |plots| plots.one_way(&times))?;
    }
    if wanted(Part::RoundTrip) {
        let ways = ways(Way::has_round_trip);
        for (place, times) in round_trip::run(cores, extent, &ways)? {
            plots.as_ref().map_or(Ok(()), |plots| plots.round_trip(place, &times))?;
        }
    }
    if wanted(Part::Paced) {
        paced::run(cores, extent, &by_value)?;
    }
    if wanted(Part::Many) {
        let ways = ways(Way::is_many);
        let shapes = many::run(cores, extent, &ways)?;
        plots.as_ref().map_or(Ok(()), |plots| plots.shapes(&ways, &shapes))?;
    }
    if wanted(Part::Rest) {
        rest::run(cores, extent, &ways(Way::has_rest))?;
    }
    if wanted(Part::Life) {
        life::run(cores, extent, &ways(Way::has_life))?;
    }
    Ok(())
}
