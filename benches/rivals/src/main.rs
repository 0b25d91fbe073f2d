//! sysvring beside others of its kind, in one run, each used as its own documentation advises.
//!
//! ```text
//! cargo run --release --manifest-path benches/rivals/Cargo.toml              half a minute
//! cargo run --release --manifest-path benches/rivals/Cargo.toml -- --full    longer
//! ```
//!
//! Look at the ratios: they are taken within a round, where both ran a moment apart.
#![allow(dead_code, reason = "what is shared with the other bench is not all used here")]

#[path = "../../channel/clock.rs"]
mod clock;
#[path = "../../channel/contest.rs"]
mod contest;
#[path = "../../channel/extent.rs"]
mod extent;
mod link;
#[path = "../../channel/machine.rs"]
mod machine;
mod many;
#[path = "../../channel/pair.rs"]
mod pair;
#[path = "../../channel/table.rs"]
mod table;
#[path = "../../channel/teams.rs"]
mod teams;

use std::process::ExitCode;

use clap::Parser;
use sysvring_support::worker;

pub(crate) use crate::extent::Extent;

/// Measures sysvring against its rivals, between processes pinned to two processors.
#[derive(Parser)]
struct Arguments {
    /// More rounds, more messages
    #[arg(long)]
    full: bool,
    /// Everything once and briefly; the figures mean nothing
    #[arg(long)]
    smoke: bool,
}

fn main() -> ExitCode {
    if let Some(mut orders) = worker::orders() {
        worker::pin(orders.next());
        match orders.next::<String>().as_str() {
            "many" => many::worker(&mut orders),
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
    let result = many::run(&cores, extent);
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
