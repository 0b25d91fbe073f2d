//! Where every way stands: beside the yardstick, beside the best rival, and beside what was aimed at.

use crate::table::{Goal, Series, Table, figure};

/// Who takes part: a way, or one way of using it.
pub trait Contender: Copy + PartialEq {
    /// How it is named in a table.
    fn name(self) -> String;

    /// Whether it shows what can be had without what a channel is for.
    fn is_yardstick(self) -> bool;

    /// Another's, for the same use.
    fn is_rival(self) -> bool;
}

/// One of them is to come to so much of another.
#[derive(Clone, Copy)]
pub struct Aim<W> {
    pub whose: W,
    pub over: W,
    pub goal: Goal,
}

/// Figures of several ways that took turns.
pub struct Standing<'a, W> {
    ways: &'a [W],
    figures: &'a [Series],
    /// Over the first way, round by round.
    relative: &'a [Series],
    /// Whether more is better.
    more: bool,
}

impl<'a, W: Contender> Standing<'a, W> {
    /// Of rates.
    pub fn rates(ways: &'a [W], figures: &'a [Series], relative: &'a [Series]) -> Self {
        Standing { ways, figures, relative, more: true }
    }

    /// Of times.
    #[allow(dead_code, reason = "not all that share this have tables of times")]
    pub fn times(ways: &'a [W], figures: &'a [Series], relative: &'a [Series]) -> Self {
        Standing { ways, figures, relative, more: false }
    }

    pub fn best_rival(&self) -> Option<usize> {
        let rivals = (0..self.ways.len()).filter(|&i| self.ways[i].is_rival());
        let median = |&i: &usize| self.figures[i].median() * if self.more { 1.0 } else { -1.0 };
        rivals.max_by(|i, j| median(i).total_cmp(&median(j)))
    }

    /// Whom everybody stands beside.
    fn beside(&self) -> impl Iterator<Item = usize> {
        let yardsticks = (0..self.ways.len()).filter(|&i| self.ways[i].is_yardstick());
        yardsticks.chain(self.best_rival())
    }

    /// Of one way over another, round by round.
    fn ratio(&self, i: usize, j: usize) -> Series {
        self.relative[i].over(&self.relative[j])
    }

    /// The heads of its columns.
    pub fn heads(&self) -> Vec<String> {
        self.beside().map(|j| format!("of {}", self.ways[j].name())).collect()
    }

    /// The cells of one way: median, least and most of its ratios.
    pub fn cells(&self, i: usize) -> Vec<String> {
        let cell = |j: usize| match i == j {
            true => "1".to_owned(),
            false => self.ratio(i, j).range(),
        };
        self.beside().map(cell).collect()
    }

    /// The median of one way, and of its ratios, in one cell.
    #[allow(dead_code, reason = "not all that share this have tables of tables")]
    pub fn brief(&self, i: usize) -> String {
        let ratios = self.beside().map(|j| figure(self.ratio(i, j).median()));
        let ratios = ratios.collect::<Vec<_>>().join(", ");
        format!("{} ({ratios})", figure(self.figures[i].median()))
    }

    /// Says what was aimed at, a line each, of the ways that are there.
    pub fn judge(&self, aims: &[Aim<W>]) {
        let mut gap = "\n";
        for aim in aims {
            let find = |way| self.ways.iter().position(|&other| other == way);
            let (Some(i), Some(j)) = (find(aim.whose), find(aim.over)) else { continue };
            let ratio = self.ratio(i, j);
            let [goal, met] = aim.goal.cells(ratio.median());
            let (whose, over) = (aim.whose.name(), aim.over.name());
            println!("{gap}- goal: {whose} {goal} of {over}: {}, {met}", ratio.range());
            gap = "";
        }
    }
}

/// Prints a table of rates, million messages a second.
pub fn print_rates<W: Contender>(title: String, standing: &Standing<W>, aims: &[Aim<W>]) {
    let mut heads = ["", "median", "least", "most", "ns each"].map(str::to_owned).to_vec();
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
