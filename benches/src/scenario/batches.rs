//! Throughput when 16 messages are sent and received at once.

use std::io;

use crate::Extent;
use crate::carrier::BATCH;
use crate::contest::{Extent as Rounds, Outcome, contest};
use crate::link::{CAPACITY, Leftovers, Way};
use crate::machine::Cores;
use crate::rates::named;
use crate::stream::{self, Flow};
use crate::table::{Goal, Series};
use crate::verdict::{Aim, Contender, Standing, print_rates};

/// A transport, used with or without batches.
#[derive(Clone, Copy, PartialEq)]
struct Case {
    way: Way,
    batches: bool,
}

impl Contender for Case {
    fn name(self) -> String {
        let how = if self.batches { "in batches" } else { "one by one" };
        format!("{}, {how}", self.way.label())
    }

    fn is_yardstick(self) -> bool {
        self.way.is_yardstick()
    }

    fn is_rival(self) -> bool {
        self.way.is_rival()
    }
}

pub fn run(cores: &Cores, extent: Extent, ways: &[Way]) -> io::Result<()> {
    size(8, extent.pick(2_000, 400_000, 1_000_000), cores, extent, ways)?;
    size(64, extent.pick(2_000, 200_000, 500_000), cores, extent, ways)
}

fn size(bytes: usize, count: u64, cores: &Cores, extent: Extent, ways: &[Way]) -> io::Result<()> {
    let single = [Way::Raw, Way::Sysvring].map(|way| Case { way, batches: false });
    let single = single.into_iter().filter(|case| ways.contains(&case.way));
    let batched = ways.iter().filter(|way| way.has_batches());
    let cases: Vec<Case> = single.chain(batched.map(|&way| Case { way, batches: true })).collect();
    let rounds = Rounds { rounds: extent.rounds(), turns: extent.pick(1, 3, 9) };
    let leftovers = Leftovers::default();
    let start = |Case { way, batches }: Case| {
        let count = if way.calls() { count / 4 } else { count };
        let flow = Flow { way, bytes, capacity: CAPACITY, count, batches };
        stream::pair(flow, cores, &leftovers)
    };
    let outcomes = contest(&cases, rounds, start, |_, pair| stream::turn(pair))?;
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
    let over = Case { way: Way::Raw, batches: false };
    let goal = if bytes == 8 { Goal::AtLeast(2.0) } else { Goal::None };
    let aims = [Aim { whose: Case { way: Way::Sysvring, batches: true }, over, goal }];
    print_rates(title, &Standing::rates(&cases, &rates, &ratios), &aims[..usize::from(bytes == 8)]);
    Ok(())
}
