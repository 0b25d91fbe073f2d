//! Comparison of each contender with the baseline, the best competitor, and the targets.

use crate::table::{Goal, Series, Table, figure};

/// A contender: a transport, or one mode of using it.
pub trait Contender: Copy + PartialEq {
    /// Returns its name in tables.
    fn name(self) -> String;

    /// Returns whether it is a baseline: the cost without the features of a channel.
    fn is_yardstick(self) -> bool;

    /// Returns whether it is a competitor: another implementation for the same use.
    fn is_rival(self) -> bool;
}

/// A target: a bound on the ratio of one contender to another.
#[derive(Clone, Copy)]
pub struct Aim<W> {
    pub whose: W,
    pub over: W,
    pub goal: Goal,
}

/// Results of several contenders of one interleaved run.
pub struct Standing<'a, W> {
    ways: &'a [W],
    figures: &'a [Series],
    /// Relative to the first contender, round by round.
    relative: &'a [Series],
    /// Whether higher is better.
    more: bool,
}

impl<'a, W: Contender> Standing<'a, W> {
    /// Creates a comparison of rates.
    pub fn rates(ways: &'a [W], figures: &'a [Series], relative: &'a [Series]) -> Self {
        Standing { ways, figures, relative, more: true }
    }

    /// Creates a comparison of times.
    #[allow(dead_code, reason = "not used by every benchmark that includes this file")]
    pub fn times(ways: &'a [W], figures: &'a [Series], relative: &'a [Series]) -> Self {
        Standing { ways, figures, relative, more: false }
    }

    pub fn best_rival(&self) -> Option<usize> {
        let rivals = (0..self.ways.len()).filter(|&i| self.ways[i].is_rival());
        let median = |&i: &usize| self.figures[i].median() * if self.more { 1.0 } else { -1.0 };
        rivals.max_by(|i, j| median(i).total_cmp(&median(j)))
    }

    /// Returns the contenders to compare with: the baselines and the best competitor.
    fn beside(&self) -> impl Iterator<Item = usize> {
        let yardsticks = (0..self.ways.len()).filter(|&i| self.ways[i].is_yardstick());
        yardsticks.chain(self.best_rival())
    }

    /// Returns the ratio of contender `i` to contender `j`, round by round.
    fn ratio(&self, i: usize, j: usize) -> Series {
        self.relative[i].over(&self.relative[j])
    }

    /// Returns the headings of the ratio columns.
    pub fn heads(&self) -> Vec<String> {
        self.beside().map(|j| format!("vs {}", self.ways[j].name())).collect()
    }

    /// Returns the ratio cells of one contender: median, minimum and maximum.
    pub fn cells(&self, i: usize) -> Vec<String> {
        let cell = |j: usize| match i == j {
            true => "1".to_owned(),
            false => self.ratio(i, j).range(),
        };
        self.beside().map(cell).collect()
    }

    /// Returns the median of one contender and of its ratios, in one cell.
    #[allow(dead_code, reason = "not used by every benchmark that includes this file")]
    pub fn brief(&self, i: usize) -> String {
        let ratios = self.beside().map(|j| figure(self.ratio(i, j).median()));
        let ratios = ratios.collect::<Vec<_>>().join(", ");
        format!("{} ({ratios})", figure(self.figures[i].median()))
    }

    /// Prints one line per target whose contenders took part.
    pub fn judge(&self, aims: &[Aim<W>]) {
        let mut gap = "\n";
        for aim in aims {
            let find = |way| self.ways.iter().position(|&other| other == way);
            let (Some(i), Some(j)) = (find(aim.whose), find(aim.over)) else { continue };
            let ratio = self.ratio(i, j);
            let [goal, met] = aim.goal.cells(ratio.median());
            let (whose, over) = (aim.whose.name(), aim.over.name());
            println!("{gap}- target: {whose} {goal} x {over}: {}, {met}", ratio.range());
            gap = "";
        }
    }
}

/// Prints a table of rates in Mmsg/s.
pub fn print_rates<W: Contender>(title: String, standing: &Standing<W>, aims: &[Aim<W>]) {
    let mut heads = ["", "median", "min", "max", "ns/msg"].map(str::to_owned).to_vec();
    heads.extend(standing.heads());
    let mut table = Table::new(title, &heads);
    for (i, way) in standing.ways.iter().enumerate() {
        let rate = &standing.figures[i];
        let mut cells = rate.three().to_vec();
        cells.push(figure(1e3 / rate.median()));
        cells.extend(standing.cells(i));
        table.row(way.name(), cells);
    }
    table.print();
    standing.judge(aims);
}
