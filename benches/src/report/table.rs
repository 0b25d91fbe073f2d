//! Series of figures, their medians and ratios, and tables of them.

/// A series of figures, one per round.
#[derive(Clone, Default)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Returns the quantile `part` (0 to 1); the median of an even number is the mean of the middle
    /// two.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if part == 0.5 && n % 2 == 0 => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
            n => sorted[((n as f64 * part) as usize).min(n - 1)],
        }
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// Multiplies each figure by `factor`.
    pub fn times(&self, factor: f64) -> Series {
        self.0.iter().map(|x| x * factor).collect()
    }

    /// Divides this by that, round by round.
    pub fn over(&self, that: &Series) -> Series {
        Series(self.0.iter().zip(&that.0).map(|(a, b)| a / b).collect())
    }

    /// Returns the median, minimum and maximum of ratios, in one cell.
    pub fn range(&self) -> String {
        let [median, least, most] = self.three();
        match self.0.len() {
            1 => median,
            _ => format!("{median} ({least} to {most})"),
        }
    }

    /// Returns the median, minimum and maximum as three cells of a table.
    pub fn three(&self) -> [String; 3] {
        [self.median(), self.min(), self.max()].map(figure)
    }

    /// Returns the same with `digits` decimals.
    pub fn cells(&self, digits: usize) -> [String; 3] {
        [self.median(), self.min(), self.max()].map(|x| format!("{x:.digits$}"))
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Series {
        Series(figures.into_iter().collect())
    }
}

/// Formats a figure with two to three significant digits.
pub fn figure(x: f64) -> String {
    let digits = match x.abs() {
        0.0 => 0,
        x if x < 0.01 => 4,
        x if x < 0.1 => 3,
        x if x < 10.0 => 2,
        x if x < 100.0 => 1,
        _ => 0,
    };
    format!("{x:.digits$}")
}

/// The target of a figure.
#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
    None,
}

impl Bound {
    /// Returns two cells: the target, and whether the figure meets it.
    pub fn cells(self, figure: f64) -> [String; 2] {
        let (goal, met) = match self {
            Bound::AtLeast(goal) => (format!(">= {goal}"), figure >= goal),
            Bound::AtMost(goal) => (format!("<= {goal}"), figure <= goal),
            Bound::None => return [String::new(), String::new()],
        };
        [goal, if met { "met" } else { "MISSED" }.to_owned()]
    }
}

/// A titled Markdown table, readable as plain text: the first column is left-aligned, the others
/// are right-aligned.
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: impl Into<String>, heads: &[impl ToString]) -> Table {
        let heads = heads.iter().map(|head| head.to_string()).collect();
        Table { title: title.into(), rows: vec![heads] }
    }

    pub fn row(&mut self, name: impl ToString, cells: impl IntoIterator<Item = String>) {
        self.rows.push(std::iter::once(name.to_string()).chain(cells).collect());
    }

    pub fn print(&self) {
        println!("\n{}:\n", self.title);
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
        let width = |column: usize| {
            let widths = self.rows.iter().map(|row| cell(row, column).chars().count());
            widths.max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = widths.iter().enumerate().map(|(column, &width)| {
                let cell = cell(row, column);
                if column == 0 {
                    format!(" {cell:<width$} |")
                } else {
                    format!(" {cell:>width$} |")
                }
            });
            println!("|{}", cells.collect::<String>());
            if number == 0 {
                let rules = widths.iter().enumerate().map(|(column, &width)| {
                    let side = if column == 0 { "-" } else { ":" };
                    format!("-{}{side}|", "-".repeat(width))
                });
                println!("|{}", rules.collect::<String>());
            }
        }
    }
}
