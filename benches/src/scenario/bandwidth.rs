//! Bandwidth of large messages, compared with a plain copy.
//!
//! The sender writes every word; the receiver sums all words. Transports that do not write in place
//! build the message in a buffer of the sender and receive it into one of the receiver.

use std::hint::black_box;
use std::io;

use crate::effort::Effort;
use crate::interleave::interleave;
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::report::stream_summary::named;
use crate::report::table::{Bound, Table};
use crate::scenario::stream::{self, Stream};
use crate::transport::Transport;
use crate::transport::ends;
use crate::workload::stream_workload::timed_turns;

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

/// Bytes of large messages, which only these transports carry. The largest is an uncompressed frame
/// of 1920 x 1080 pixels of three bytes, rounded up.
pub const LARGE: usize = 0x10_0000;
pub const LARGEST: usize = 0x60_0000;

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    of_size(1024, effort.pick(2_000, 50_000, 100_000), cores, effort)?;
    of_size(0x1_0000, effort.pick(50, 1_000, 2_000), cores, effort)?;
    of_size(LARGE, effort.pick(10, 60, 150), cores, effort)?;
    of_size(LARGEST, effort.pick(5, 15, 30), cores, effort)
}

fn of_size(bytes: usize, count: u64, cores: &Cores, effort: Effort) -> io::Result<()> {
    let (schedule, capacity) = (effort.schedule(), ends::capacity(bytes));
    let start = |transport| {
        let stream = Stream { transport, bytes, capacity, count, batches: false };
        stream::start(stream, cores)
    };
    let transports = transports(bytes * capacity);
    let outcomes = interleave(&transports, schedule, start, |_, pair| ends::turn::<1>(pair))?;
    let results = Results::of_outcomes(Kind::Rate, &transports, &outcomes);
    let title = format!(
        "Bandwidth, messages of {}, {capacity} slots: GB/s; {schedule} of {count} messages",
        named(bytes)
    );
    let mut table = Table::new(title, &results.heads(&["", "median", "min", "max"], ""));
    for (i, transport) in transports.iter().enumerate() {
        let mut cells = results.figures[i].times(bytes as f64 / 1e3).three().to_vec();
        cells.extend(results.cells(i));
        table.row(transport.label(), cells);
    }
    table.print();
    let (contender, over) = (Transport::InPlace, Transport::Copy);
    let bound = Bound::AtLeast(if bytes > 1024 { 0.9 } else { 1.0 });
    results.check(&[Goal { contender, over, bound }]);
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
