//! MPMC with one sender and one receiver, in turns of a fixed message count.

use std::io;

use crate::goals::{Goal, Results, print_rates};
use crate::interleave::{Outcome, Schedule, interleave};
use crate::link::Transport;
use crate::machine::Cores;
use crate::table::Series;
use crate::{Effort, pair};

/// A comparison of MPMC transports.
pub struct FixedCount<'a> {
    /// Ratios are relative to the first.
    pub transports: &'a [Transport],
    pub bytes: usize,
    /// Messages per turn.
    pub count: u64,
    pub goals: &'a [Goal<Transport>],
}

impl FixedCount<'_> {
    pub fn run(&self, cores: &Cores, effort: Effort) -> io::Result<()> {
        let FixedCount { transports, bytes, count, goals } = *self;
        let times = Schedule { rounds: effort.rounds(), turns: effort.pick(1, 5, 9) };
        let start = |transport| pair::start("many", transport, cores.apart, &[&bytes, &count]);
        let outcomes = interleave(transports, times, start, |_, (sender, receiver)| {
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
        print_rates(title, &Results::rates(transports, &rates, &ratios), goals);
        Ok(())
    }
}
