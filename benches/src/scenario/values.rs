//! Throughput by the kind of message: by value, in place, as values of a serde type, and in batches.

use std::io;

use crate::effort::Effort;
use crate::interleave::interleave;
use crate::machine::Cores;
use crate::report::goals::{Kind, Results};
use crate::report::stream_summary::named;
use crate::scenario::batches::Case;
use crate::scenario::stream::{self, Stream};
use crate::transport::Transport;
use crate::transport::ends::{self, CAPACITY};
use crate::transport::traits::BATCH;

const CASES: [(Transport, bool); 4] = [
    (Transport::ByValue, false),
    (Transport::InPlace, false),
    (Transport::Postcard, false),
    (Transport::Sysvring, true),
];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    of_size(64, effort.pick(2_000, 100_000, 250_000), cores, effort)?;
    of_size(1024, effort.pick(2_000, 25_000, 50_000), cores, effort)
}

fn of_size(bytes: usize, count: u64, cores: &Cores, effort: Effort) -> io::Result<()> {
    let cases = CASES.map(|(transport, batches)| Case { transport, batches });
    let schedule = effort.schedule();
    let start = |Case { transport, batches }: Case| {
        stream::start(Stream { transport, bytes, capacity: CAPACITY, count, batches }, cores)
    };
    let outcomes = interleave(&cases, schedule, start, |_, pair| ends::turn::<1>(pair))?;
    let title = format!(
        "SPSC throughput by the kind of message, {}, batches of {BATCH}: Mmsg/s; {schedule} of {count} \
         messages",
        named(bytes)
    );
    Results::of_outcomes(Kind::Rate, &cases, &outcomes).print_rates(title, &[]);
    Ok(())
}
