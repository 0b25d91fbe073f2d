//! MPMC with one sender and one receiver, in turns of a fixed message count.

use std::io;

use crate::contest::{Extent as Times, Outcome, contest};
use crate::link::Way;
use crate::machine::Cores;
use crate::table::Series;
use crate::verdict::{Aim, Standing, print_rates};
use crate::{Extent, pair};

/// A comparison of MPMC transports.
pub struct Duel<'a> {
    /// Ratios are relative to the first.
    pub ways: &'a [Way],
    pub bytes: usize,
    /// Messages per turn.
    pub count: u64,
    pub aims: &'a [Aim<Way>],
}

impl Duel<'_> {
    pub fn run(&self, cores: &Cores, extent: Extent) -> io::Result<()> {
        let Duel { ways, bytes, count, aims } = *self;
        let times = Times { rounds: extent.rounds(), turns: extent.pick(1, 5, 9) };
        let start = |way| pair::start("many", way, cores.apart, &[&bytes, &count]);
        let outcomes = contest(ways, times, start, |_, (sender, receiver)| {
            sender.tell("go")?;
            receiver.tell("go")?;
            receiver.figures::<1>()
        })?;
        let title = format!(
            "MPMC 1x1, {bytes} B, fixed count: Mmsg/s; {} rounds x {} turns of {count} messages",
            times.rounds, times.turns
        );
        let (rates, ratios): (Vec<Series>, Vec<Series>) = outcomes
            .into_iter()
            .map(|Outcome { figures: [rate], ratios: [ratio] }| (rate, ratio))
            .unzip();
        print_rates(title, &Standing::rates(ways, &rates, &ratios), aims);
        Ok(())
    }
}
