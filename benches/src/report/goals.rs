//! Comparison of each contender with the baseline, the best competitor, and the targets.

use crate::interleave::Outcome;
use crate::report::table::{Bound, Series, Table, figure};

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
pub struct Goal<C> {
    pub contender: C,
    pub over: C,
    pub bound: Bound,
}

/// Whether a figure is a rate, of which more is better, or a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rate,
    Time,
}

/// Results of several contenders of one interleaved run.
pub struct Results<C> {
    pub contenders: Vec<C>,
    pub figures: Vec<Series>,
    /// Relative to the first contender, round by round.
    relative: Vec<Series>,
    kind: Kind,
}

impl<C: Contender> Results<C> {
    /// Compares the first figures of outcomes, by their ratios of turns.
    pub fn of_outcomes<'a, const F: usize>(
        kind: Kind,
        contenders: &[C],
        outcomes: impl IntoIterator<Item = &'a Outcome<F>>,
    ) -> Results<C> {
        let both = |outcome: &Outcome<F>| (outcome.figures[0].clone(), outcome.ratios[0].clone());
        let (figures, relative) = outcomes.into_iter().map(both).unzip();
        Results { contenders: contenders.to_vec(), figures, relative, kind }
    }

    /// Compares series, by the ratios of their rounds.
    pub fn of_series(kind: Kind, contenders: &[C], figures: Vec<Series>) -> Results<C> {
        let relative = figures.iter().map(|series| series.over(&figures[0])).collect();
        Results { contenders: contenders.to_vec(), figures, relative, kind }
    }

    pub fn position(&self, contender: C) -> Option<usize> {
        self.contenders.iter().position(|&other| other == contender)
    }

    pub fn best_competitor(&self) -> Option<usize> {
        let competitors =
            (0..self.contenders.len()).filter(|&i| self.contenders[i].is_competitor());
        let sign = if self.kind == Kind::Rate { 1.0 } else { -1.0 };
        let median = |&i: &usize| self.figures[i].median() * sign;
        competitors.max_by(|i, j| median(i).total_cmp(&median(j)))
    }

    fn baselines(&self) -> impl Iterator<Item = usize> {
        (0..self.contenders.len()).filter(|&i| self.contenders[i].is_baseline())
    }

    /// Returns the contenders to compare with: the baselines and the best competitor.
    fn references(&self) -> impl Iterator<Item = usize> {
        self.baselines().chain(self.best_competitor())
    }

    /// Returns the ratio of contender `i` to contender `j`, round by round.
    pub fn ratio(&self, i: usize, j: usize) -> Series {
        self.relative[i].over(&self.relative[j])
    }

    /// Returns the headings of a table: these columns, then the ratios of `what`.
    pub fn heads(&self, columns: &[&str], what: &str) -> Vec<String> {
        let ratios = self.references().map(|j| format!("{what}vs {}", self.contenders[j].name()));
        columns.iter().map(|&column| column.to_owned()).chain(ratios).collect()
    }

    /// Returns the ratio cells of one contender: median, minimum and maximum.
    pub fn cells(&self, i: usize) -> Vec<String> {
        let cell = |j: usize| match i == j {
            true => "1".to_owned(),
            false => self.ratio(i, j).range(),
        };
        self.references().map(cell).collect()
    }

    /// Returns the median of one contender, and its ratios to the first baseline and to the best
    /// competitor, in one cell.
    pub fn brief(&self, contender: C) -> String {
        let Some(i) = self.position(contender) else { return String::new() };
        let references = self.baselines().take(1).chain(self.best_competitor());
        let ratios: Vec<String> = references.map(|j| figure(self.ratio(i, j).median())).collect();
        format!("{} ({})", figure(self.figures[i].median()), ratios.join(", "))
    }

    /// Prints one line per target whose contenders took part.
    pub fn check(&self, goals: &[Goal<C>]) {
        let mut gap = "\n";
        for Goal { contender, over, bound } in goals {
            let (Some(i), Some(j)) = (self.position(*contender), self.position(*over)) else {
                continue;
            };
            let ratio = self.ratio(i, j);
            let [bound, met] = bound.cells(ratio.median());
            let (contender, over) = (contender.name(), over.name());
            println!("{gap}- target: {contender} {bound} x {over}: {}, {met}", ratio.range());
            gap = "";
        }
    }

    /// Prints one line for a target over the best competitor, if one took part.
    pub fn check_best(&self, contender: C, bound: Bound) {
        let (Some(_), Some(best)) = (self.position(contender), self.best_competitor()) else {
            return;
        };
        self.check(&[Goal { contender, over: self.contenders[best], bound }]);
    }

    /// Prints a table of rates in Mmsg/s.
    pub fn print_rates(&self, title: String, goals: &[Goal<C>]) {
        let heads = self.heads(&["", "median", "min", "max", "ns/msg"], "");
        let mut table = Table::new(title, &heads);
        for (i, contender) in self.contenders.iter().enumerate() {
            let rate = &self.figures[i];
            let mut cells = rate.three().to_vec();
            cells.push(figure(1e3 / rate.median()));
            cells.extend(self.cells(i));
            table.row(contender.name(), cells);
        }
        table.print();
        self.check(goals);
    }
}
