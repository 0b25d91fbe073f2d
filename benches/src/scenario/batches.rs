//! Throughput when 16 messages are sent and received at once.

use std::io;

use crate::effort::Effort;
use crate::interleave::interleave;
use crate::machine::Cores;
use crate::report::goals::{Contender, Goal, Kind, Results};
use crate::report::stream_summary::{OfSize, named};
use crate::report::table::Bound;
use crate::scenario::stream::{self, Stream};
use crate::transport::Transport;
use crate::transport::ends::{self, CAPACITY};
use crate::transport::traits::BATCH;

/// A transport, used with or without batches.
#[derive(Clone, Copy, PartialEq)]
pub struct Case {
    pub transport: Transport,
    pub batches: bool,
}

impl Contender for Case {
    fn name(self) -> String {
        let how = if self.batches { "in batches" } else { "one by one" };
        format!("{}, {how}", self.transport.label())
    }

    fn is_baseline(self) -> bool {
        self.transport.is_baseline()
    }

    fn is_competitor(self) -> bool {
        self.transport.is_competitor()
    }
}

/// Returns the throughput for each size.
pub fn run(
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
) -> io::Result<Vec<OfSize<Case>>> {
    Ok(vec![
        of_size(8, effort.pick(2_000, 500_000, 1_000_000), cores, effort, transports)?,
        of_size(64, effort.pick(2_000, 250_000, 500_000), cores, effort, transports)?,
    ])
}

fn of_size(
    bytes: usize,
    count: u64,
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
) -> io::Result<OfSize<Case>> {
    let single = [Transport::Baseline, Transport::Sysvring].into_iter();
    let single = single.filter(|transport| transports.contains(transport));
    let batched = transports.iter().copied().filter(|transport| transport.has_batches());
    let case = |batches| move |transport| Case { transport, batches };
    let cases: Vec<Case> = single.map(case(false)).chain(batched.map(case(true))).collect();
    let schedule = effort.schedule();
    let start = |Case { transport, batches }: Case| {
        let count = if transport.has_system_calls() { count / 4 } else { count };
        let stream = Stream { transport, bytes, capacity: CAPACITY, count, batches };
        stream::start(stream, cores)
    };
    let outcomes = interleave(&cases, schedule, start, |_, pair| ends::turn::<1>(pair))?;
    let title = format!(
        "SPSC throughput, {}, batches of {BATCH}: Mmsg/s; {schedule} of {count} messages; a \
         quarter where a batch is a system call",
        named(bytes)
    );
    let goal = |batches, times| Goal {
        contender: case(batches)(Transport::Sysvring),
        over: case(true)(Transport::Baseline),
        bound: Bound::AtLeast(times),
    };
    let goals = match bytes {
        8 => vec![goal(false, 0.65), goal(true, 0.8)],
        _ => vec![goal(true, 0.9)],
    };
    let results = Results::of_outcomes(Kind::Rate, &cases, &outcomes);
    results.print_rates(title, &goals);
    Ok(OfSize { bytes, results })
}
