//! Comparison of each contender with the baseline, the best competitor, and the targets.

use crate::table::{Bound, Series, Table, figure};

/// A contender: a transport, or one mode of using it.
pub trait Contender: Copy + PartialEq {
    /// Returns its name in tables.
    fn name(self) -> String;

    /// Returns whether it is a baseline: the cost without the features of a channel.
    fn is_baseline(self) -> bool;

    /// Returns whether it is a competitor: another implementation for the same use.
    fn is_competitor(self) -> bool;
}

/// A target: a bound on the ratio of one contender to another.
#[derive(Clone, Copy)]
pub struct Goal<W> {
    pub contender: W,
    pub over: W,
    pub bound: Bound,
}

/// Results of several contenders of one interleaved run.
pub struct Results<'a, W> {
    transports: &'a [W],
    figures: &'a [Series],
    /// Relative to the first contender, round by round.
    relative: &'a [Series],
    /// Whether higher is better.
    more: bool,
}

impl<'a, W: Contender> Results<'a, W> {
    /// Creates a comparison of rates.
    pub fn rates(transports: &'a [W], figures: &'a [Series], relative: &'a [Series]) -> Self {
        Results { transports, figures, relative, more: true }
    }

    /// Creates a comparison of times.
    #[allow(dead_code, reason = "not used by every benchmark that includes this file")]
    pub fn times(transports: &'a [W], figures: &'a [Series], relative: &'a [Series]) -> Self {
        Results { transports, figures, relative, more: false }
    }

    pub fn best_competitor(&self) -> Option<usize> {
        let competitors =
            (0..self.transports.len()).filter(|&i| self.transports[i].is_competitor());
        let median = |&i: &usize| self.figures[i].median() * if self.more { 1.0 } else { -1.0 };
        competitors.max_by(|i, j| median(i).total_cmp(&median(j)))
    }

    /// Returns the contenders to compare with: the baselines and the best competitor.
    fn references(&self) -> impl Iterator<Item = usize> {
        let baselines = (0..self.transports.len()).filter(|&i| self.transports[i].is_baseline());
        baselines.chain(self.best_competitor())
    }

    /// Returns the ratio of contender `i` to contender `j`, round by round.
    fn ratio(&self, i: usize, j: usize) -> Series {
        self.relative[i].over(&self.relative[j])
    }

    /// Returns the headings of the ratio columns.
    pub fn heads(&self) -> Vec<String> {
        self.references().map(|j| format!("vs {}", self.transports[j].name())).collect()
    }

    /// Returns the ratio cells of one contender: median, minimum and maximum.
    pub fn cells(&self, i: usize) -> Vec<String> {
        let cell = |j: usize| match i == j {
            true => "1".to_owned(),
            false => self.ratio(i, j).range(),
        };
        self.references().map(cell).collect()
    }

    /// Returns the median of one contender and of its ratios, in one cell.
    #[allow(dead_code, reason = "not used by every benchmark that includes this file")]
    pub fn brief(&self, i: usize) -> String {
        let ratios = self.references().map(|j| figure(self.ratio(i, j).median()));
        let ratios = ratios.collect::<Vec<_>>().join(", ");
        format!("{} ({ratios})", figure(self.figures[i].median()))
    }

    /// Prints one line per target whose contenders took part.
    pub fn check(&self, goals: &[Goal<W>]) {
        let mut gap = "\n";
        for goal in goals {
            let find = |transport| self.transports.iter().position(|&other| other == transport);
            let (Some(i), Some(j)) = (find(goal.contender), find(goal.over)) else { continue };
            let ratio = self.ratio(i, j);
            let [bound, met] = goal.bound.cells(ratio.median());
            let (contender, over) = (goal.contender.name(), goal.over.name());
            println!("{gap}- target: {contender} {bound} x {over}: {}, {met}", ratio.range());
            gap = "";
        }
    }
}

/// Prints a table of rates in Mmsg/s.
pub fn print_rates<W: Contender>(title: String, results: &Results<W>, goals: &[Goal<W>]) {
    let mut heads = ["", "median", "min", "max", "ns/msg"].map(str::to_owned).to_vec();
    heads.extend(results.heads());
    let mut table = Table::new(title, &heads);
    for (i, transport) in results.transports.iter().enumerate() {
        let rate = &results.figures[i];
        let mut cells = rate.three().to_vec();
        cells.push(figure(1e3 / rate.median()));
        cells.extend(results.cells(i));
        table.row(transport.name(), cells);
    }
    table.print();
    results.check(goals);
}
