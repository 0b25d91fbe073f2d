//! SPSC throughput by the size of a message, one by one, compared with sketches of the protocol
//! alone.

use std::io;

use crate::effort::Effort;
use crate::interleave::interleave;
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::report::stream_summary::named;
use crate::report::table::Bound;
use crate::scenario::stream::{self, Stream};
use crate::transport::Transport;
use crate::transport::ends::{self, CAPACITY};

/// The sizes of messages in bytes.
const SIZES: [usize; 8] = [8, 16, 32, 48, 64, 128, 256, 1024];

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    let schedule = effort.schedule();
    for bytes in SIZES {
        let count = effort.pick(2_000, 250_000, 500_000).min(64_000_000 / bytes as u64);
        let start = |transport| {
            let batches = false;
            stream::start(Stream { transport, bytes, capacity: CAPACITY, count, batches }, cores)
        };
        let outcomes = interleave(transports, schedule, start, |_, pair| ends::turn::<1>(pair))?;
        let title = format!(
            "SPSC throughput by size, {}: Mmsg/s; {schedule} of {count} messages",
            named(bytes)
        );
        let sketch = if bytes == 8 { Transport::WordsInFront } else { Transport::WordsApart };
        let goals = [(sketch, 0.9), (Transport::Baseline, 1.0)].map(|(over, times)| Goal {
            contender: Transport::ByValue,
            over,
            bound: Bound::AtLeast(times),
        });
        let results = Results::of_outcomes(Kind::Rate, transports, &outcomes);
        results.print_rates(title, &goals);
    }
    Ok(())
}
