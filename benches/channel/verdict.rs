//! Where every way stands: beside the yardstick, beside the best rival, and beside what was aimed at.

use crate::link::Way;
use crate::table::{Goal, Series, Table, figure};

/// One way is to come to so much of another.
#[derive(Clone, Copy)]
pub struct Aim {
    pub whose: Way,
    pub over: Way,
    pub goal: Goal,
}

/// Figures of several ways that took turns.
pub struct Standing<'a> {
    ways: &'a [Way],
    figures: &'a [Series],
    /// Over the first way, round by round.
    relative: &'a [Series],
    /// Whether more is better.
    more: bool,
}

impl<'a> Standing<'a> {
    /// Of rates.
    pub fn rates(ways: &'a [Way], figures: &'a [Series], relative: &'a [Series]) -> Self {
        Standing { ways, figures, relative, more: true }
    }

    /// Of times.
    #[allow(dead_code, reason = "not all that share this have tables of times")]
    pub fn times(ways: &'a [Way], figures: &'a [Series], relative: &'a [Series]) -> Self {
        Standing { ways, figures, relative, more: false }
    }

    fn best_rival(&self) -> Option<usize> {
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
        self.beside().map(|j| format!("of {}", self.ways[j].label())).collect()
    }

    /// The cells of one way: median, least and most of its ratios.
    pub fn cells(&self, i: usize) -> Vec<String> {
        let cell = |j: usize| match i == j {
            true => "1".to_owned(),
            false => self.ratio(i, j).range(),
        };
        self.beside().map(cell).collect()
    }

    /// Says what was aimed at, a line each, of the ways that are there.
    pub fn judge(&self, aims: &[Aim]) {
        for aim in aims {
            let find = |way| self.ways.iter().position(|&other| other == way);
            let (Some(i), Some(j)) = (find(aim.whose), find(aim.over)) else { continue };
            let ratio = self.ratio(i, j);
            let [goal, met] = aim.goal.cells(ratio.median());
            let (whose, over) = (aim.whose.label(), aim.over.label());
            println!("  goal: {whose} {goal} of {over}: {}, {met}", ratio.range());
        }
    }
}

/// Prints a table of rates, million messages a second.
pub fn print_rates(title: String, standing: &Standing, aims: &[Aim]) {
    let mut heads = ["", "median", "least", "most", "ns each"].map(str::to_owned).to_vec();
    heads.extend(standing.heads());
    let mut table = Table::new(title, &heads);
    for (i, way) in standing.ways.iter().enumerate() {
        let rate = &standing.figures[i];
        let mut cells = rate.three().to_vec();
        cells.push(figure(1e3 / rate.median()));
        cells.extend(standing.cells(i));
        table.row(way.label(), cells);
    }
    table.print();
    standing.judge(aims);
}
