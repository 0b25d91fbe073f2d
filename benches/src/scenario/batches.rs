//! Throughput when 16 messages are sent and received at once.

use std::io;

use crate::Effort;
use crate::goals::{Contender, Goal, Results, print_rates};
use crate::interleave::{Outcome, Schedule, interleave};
use crate::link::{CAPACITY, Leftovers, Transport};
use crate::machine::Cores;
use crate::rates::named;
use crate::stream::{self, Flow};
use crate::table::{Bound, Series};
use crate::traits::BATCH;

/// A transport, used with or without batches.
#[derive(Clone, Copy, PartialEq)]
struct Case {
    transport: Transport,
    batches: bool,
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

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    size(8, effort.pick(2_000, 400_000, 1_000_000), cores, effort, transports)?;
    size(64, effort.pick(2_000, 200_000, 500_000), cores, effort, transports)
}

fn size(
    bytes: usize,
    count: u64,
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
) -> io::Result<()> {
    let single = [Transport::Baseline, Transport::Sysvring]
        .map(|transport| Case { transport, batches: false });
    let single = single.into_iter().filter(|case| transports.contains(&case.transport));
    let batched = transports.iter().filter(|transport| transport.has_batches());
    let cases: Vec<Case> =
        single.chain(batched.map(|&transport| Case { transport, batches: true })).collect();
    let rounds = Schedule { rounds: effort.rounds(), turns: effort.pick(1, 3, 9) };
    let leftovers = Leftovers::default();
    let start = |Case { transport, batches }: Case| {
        let count = if transport.calls() { count / 4 } else { count };
        let flow = Flow { transport, bytes, capacity: CAPACITY, count, batches };
        stream::pair(flow, cores, &leftovers)
    };
    let outcomes = interleave(&cases, rounds, start, |_, pair| stream::turn(pair))?;
    let (rates, ratios): (Vec<Series>, Vec<Series>) = outcomes
        .into_iter()
        .map(|Outcome { figures: [rate], ratios: [ratio] }| (rate, ratio))
        .unzip();
    let title = format!(
        "SPSC throughput, {}, batches of {BATCH}: Mmsg/s; {} rounds x {} turns \
         of {count} messages; a quarter where a batch is a system call",
        named(bytes),
        rounds.rounds,
        rounds.turns
    );
    let over = Case { transport: Transport::Baseline, batches: false };
    let bound = if bytes == 8 { Bound::AtLeast(2.0) } else { Bound::None };
    let goals =
        [Goal { contender: Case { transport: Transport::Sysvring, batches: true }, over, bound }];
    print_rates(title, &Results::rates(&cases, &rates, &ratios), &goals[..usize::from(bytes == 8)]);
    Ok(())
}
