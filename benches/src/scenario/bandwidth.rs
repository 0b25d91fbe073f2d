//! Bandwidth of large messages, compared with a plain copy.
//!
//! The sender writes every word; the receiver sums all words. Transports that do not write in place
//! build the message in a buffer of the sender and receive it into one of the receiver.

use std::hint::black_box;
use std::io;

use crate::Effort;
use crate::goals::{Goal, Results};
use crate::interleave::{Outcome, Schedule, interleave};
use crate::link::{self, Leftovers, Transport};
use crate::machine::Cores;
use crate::rates::named;
use crate::stream::{self, Flow};
use crate::table::{Bound, Series, Table};
use crate::workload::timed_turns;

const TRANSPORTS: [Transport; 4] =
    [Transport::InPlace, Transport::Sysvring, Transport::Baseline, Transport::Copy];

/// Returns the transports, with huge pages if enough are free for a ring.
fn transports(ring: usize) -> Vec<Transport> {
    let mut transports = TRANSPORTS.to_vec();
    match free_huge() >= ring + ring / 8 {
        true => transports.insert(1, Transport::Huge),
        false => println!(
            "\nHuge pages skipped: the next table needs {} MB of them (see vm.nr_hugepages).",
            (ring + ring / 8).div_ceil(1_000_000)
        ),
    }
    transports
}

/// Returns the number of bytes in free huge pages.
fn free_huge() -> usize {
    let all = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let of = |name: &str| {
        let line = all.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    of("HugePages_Free:") * of("Hugepagesize:") * 1024
}

/// Bytes of the largest message, which only these transports carry.
pub const LARGEST: usize = 0x10_0000;

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    size(0x1_0000, effort.pick(50, 1_000, 2_000), cores, effort, &[0.9])?;
    size(LARGEST, effort.pick(10, 60, 150), cores, effort, &[])
}

/// `least` holds the targets of sysvring in place, relative to the copy.
fn size(bytes: usize, count: u64, cores: &Cores, effort: Effort, least: &[f64]) -> io::Result<()> {
    let rounds = Schedule { rounds: effort.rounds(), turns: effort.pick(1, 5, 9) };
    let capacity = link::capacity(bytes);
    // These transports leave nothing behind.
    let leftovers = Leftovers::default();
    let start = |transport| {
        let flow = Flow { transport, bytes, capacity, count, batches: false };
        stream::pair(flow, cores, &leftovers)
    };
    let transports = transports(bytes * capacity);
    let outcomes = interleave(&transports, rounds, start, |_, pair| stream::turn(pair))?;
    let (rates, ratios): (Vec<Series>, Vec<Series>) = outcomes
        .into_iter()
        .map(|Outcome { figures: [rate], ratios: [ratio] }| (rate.times(bytes as f64 / 1e3), ratio))
        .unzip();
    let results = Results::rates(&transports, &rates, &ratios);
    let title = format!(
        "Bandwidth, messages of {}, {capacity} slots: GB/s; {} rounds x {} turns of {count} messages",
        named(bytes),
        rounds.rounds,
        rounds.turns
    );
    let mut heads = ["", "median", "min", "max"].map(str::to_owned).to_vec();
    heads.extend(results.heads());
    let mut table = Table::new(title, &heads);
    for (i, transport) in transports.iter().enumerate() {
        let mut cells = rates[i].three().to_vec();
        cells.extend(results.cells(i));
        table.row(transport.label(), cells);
    }
    table.print();
    let goal = |&times| Goal {
        contender: Transport::InPlace,
        over: Transport::Copy,
        bound: Bound::AtLeast(times),
    };
    results.check(&least.iter().map(goal).collect::<Vec<_>>());
    Ok(())
}

/// Runs a receiver that only copies, from one warm buffer around a ring.
pub fn copy(bytes: usize, capacity: usize, count: u64) {
    let from = vec![1_u8; bytes];
    let mut ring = vec![2_u8; bytes * capacity];
    timed_turns(count, |sequence| {
        for n in sequence {
            let at = n as usize % capacity * bytes;
            ring[at..at + bytes].copy_from_slice(black_box(&from));
            black_box(&mut ring);
        }
    });
}
