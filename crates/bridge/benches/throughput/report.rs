//! Tables of figures.

/// The figures of one way, a figure a round.
pub struct Column {
    name: &'static str,
    figures: Vec<f64>,
    /// The maximum memory of a bridge in bytes.
    memory: u64,
}

impl Column {
    pub fn new(name: &'static str) -> Column {
        Column { name, figures: Vec::new(), memory: 0 }
    }

    pub fn add(&mut self, figure: f64, memory: u64) {
        self.figures.push(figure);
        self.memory = self.memory.max(memory);
    }
}

/// Returns the middle figure.
pub fn median(figures: &[f64]) -> f64 {
    sorted(figures)[figures.len() / 2]
}

fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures
}

/// Returns median, minimum and maximum as a text.
fn text(figures: &[f64], digits: usize) -> String {
    let all = sorted(figures);
    let (min, max) = (all[0], all[all.len() - 1]);
    format!("{:.digits$} ({min:.digits$} to {max:.digits$})", median(figures))
}

/// Prints a table. The last way is compared with each of the others, round by round.
pub fn print(title: &str, columns: &[Column]) {
    println!(
        "\n{title}:\n\n| | median (min to max) | bridge / this | peak memory |\n|---|--:|--:|--:|"
    );
    let last = &columns[columns.len() - 1];
    for column in columns {
        let pairs = last.figures.iter().zip(&column.figures);
        let ratios: Vec<f64> = pairs.map(|(last, this)| last / this).collect();
        let memory = match column.memory {
            0 => String::new(),
            bytes => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        };
        println!(
            "| {} | {} | {} | {memory} |",
            column.name,
            text(&column.figures, 0),
            text(&ratios, 2)
        );
    }
}
