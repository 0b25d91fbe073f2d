//! Who is faster? Every way gets its turn, again and again, and the first of them is the measure.
//!
//! On a virtual machine the two processors move about the host: for some tenths of a second they share
//! a cache and a line takes 50 ns from one to the other, then they do not and it takes 200. So the turns
//! are short, some milliseconds, and a ratio is taken of turns that follow each other. A round is
//! several turns of the same processes; for the next there are new ones, with their memory elsewhere.
//! A round's figure is the median of its turns; the tables show median, least and most of the rounds.

use std::io;

use sysvring_support::worker::Worker;

use crate::table::Series;

/// Two processes and what carries the messages between them.
pub type Pair = (Worker, Worker);

/// What one way came to, in `F` figures.
pub struct Outcome<const F: usize> {
    /// One for each round.
    pub figures: [Series; F],
    /// One for each round: over the same figure of the first way.
    pub ratios: [Series; F],
}

/// How often.
#[derive(Clone, Copy)]
pub struct Extent {
    pub rounds: usize,
    pub turns: usize,
}

/// Starts a pair for every way, lets them take turns in rotated order, one at a time; the
/// others sleep meanwhile.
pub fn contest<W: Copy, const F: usize>(
    ways: &[W],
    extent: Extent,
    start: impl Fn(W) -> io::Result<Pair>,
    mut turn: impl FnMut(W, &mut Pair) -> io::Result<[f64; F]>,
) -> io::Result<Vec<Outcome<F>>> {
    let none = || std::array::from_fn(|_| Series::default());
    let mut outcomes: Vec<Outcome<F>> =
        ways.iter().map(|_| Outcome { figures: none(), ratios: none() }).collect();
    for round in 0..extent.rounds {
        let mut pairs = ways.iter().map(|&way| start(way)).collect::<io::Result<Vec<Pair>>>()?;
        let mut turns: Vec<[Series; F]> = ways.iter().map(|_| none()).collect();
        for t in 0..extent.turns {
            for i in rotated(ways.len(), round + t) {
                let figures = turn(ways[i], &mut pairs[i])?;
                for (series, figure) in turns[i].iter_mut().zip(figures) {
                    series.push(figure);
                }
            }
        }
        for (outcome, turns_of_way) in outcomes.iter_mut().zip(&turns) {
            for f in 0..F {
                outcome.figures[f].push(turns_of_way[f].median());
                outcome.ratios[f].push(turns_of_way[f].over(&turns[0][f]).median());
            }
        }
    }
    Ok(outcomes)
}

/// The order of `n` things in a round: everybody is first once.
pub fn rotated(n: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..n).map(move |i| (i + round) % n)
}
