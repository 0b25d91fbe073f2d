//! Interleaved benchmark runner. All contenders run round-robin, and ratios are relative to the
//! first one.
//!
//! On a virtual machine the two virtual processors migrate between host cores. For some tenths of a
//! second they share a cache, then they do not, and the cost of transferring a cache line changes
//! severalfold. Turns therefore last only some milliseconds, and ratios compare turns that follow
//! each other. A round is several turns of the same processes; the next round starts new processes
//! with memory elsewhere. The figure of a round is the median of its turns; tables show the median,
//! minimum and maximum of the rounds.

use std::io;

use sysvring_support::worker::Worker;

use crate::effort::Schedule;
use crate::regime::Line;
use crate::report::table::Series;

/// The two processes at the ends of a transport.
pub type Pair = (Worker, Worker);

/// The results of one contender, `F` figures each.
pub struct Outcome<const F: usize> {
    /// One value per round.
    pub figures: [Series; F],
    /// One value per round: the ratio to the same figure of the first contender.
    pub ratios: [Series; F],
}

/// Starts the processes of every contender, a pair or a team, and runs their turns in rotated order,
/// one at a time, while the others are blocked.
pub fn interleave<C: Copy, T, const F: usize>(
    contenders: &[C],
    schedule: Schedule,
    start: impl Fn(C) -> io::Result<T>,
    mut turn: impl FnMut(C, &mut T) -> io::Result<[f64; F]>,
) -> io::Result<Vec<Outcome<F>>> {
    let none = || std::array::from_fn(|_| Series::default());
    let mut outcomes: Vec<Outcome<F>> =
        contenders.iter().map(|_| Outcome { figures: none(), ratios: none() }).collect();
    let mut line = Line::start()?;
    for round in 0..schedule.rounds {
        let mut teams =
            contenders.iter().map(|&contender| start(contender)).collect::<io::Result<Vec<T>>>()?;
        let mut turns: Vec<[Series; F]> = contenders.iter().map(|_| none()).collect();
        for t in 0..schedule.turns {
            line.measure()?;
            for i in rotated(contenders.len(), round + t) {
                let figures = turn(contenders[i], &mut teams[i])?;
                for (series, figure) in turns[i].iter_mut().zip(figures) {
                    series.push(figure);
                }
            }
        }
        for (outcome, turns_of_contender) in outcomes.iter_mut().zip(&turns) {
            for f in 0..F {
                outcome.figures[f].push(turns_of_contender[f].median());
                outcome.ratios[f].push(turns_of_contender[f].over(&turns[0][f]).median());
            }
        }
    }
    line.print();
    Ok(outcomes)
}

/// Returns the order of `n` contenders in a round, rotated so that each is first in turn.
pub fn rotated(n: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..n).map(move |i| (i + round) % n)
}
