//! MPMC with one sender and one receiver, in turns of a fixed message count.

use std::io;

use crate::effort::Effort;
use crate::interleave::interleave;
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::transport::{Transport, ends};

/// Compares transports with messages of this size.
pub fn run(
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
    bytes: usize,
    goals: &[Goal<Transport>],
) -> io::Result<()> {
    let (schedule, count) = (effort.schedule(), effort.pick(4_000, 200_000, 400_000));
    let start = |transport| ends::start("mpmc", transport, cores.apart, &[&bytes, &count]);
    let outcomes = interleave(transports, schedule, start, |_, (sender, receiver)| {
        sender.write_line("go")?;
        receiver.write_line("go")?;
        receiver.figures::<1>()
    })?;
    let title = format!("MPMC 1x1, {bytes} B, fixed count: Mmsg/s; {schedule} of {count} messages");
    Results::of_outcomes(Kind::Rate, transports, &outcomes).print_rates(title, goals);
    Ok(())
}
