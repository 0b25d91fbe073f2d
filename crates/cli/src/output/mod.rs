//! Tables for people, for programs and for scripts, all from one list of columns.

pub mod cell;
pub mod json;
pub mod style;
mod table;

pub use self::table::shown;
pub use crate::standard::print;

use std::io::Write;

use clap::Args;

use self::cell::Cell;
use crate::escape;
use crate::failure::Failure;

/// A column of a table of `T`.
pub struct Column<T> {
    /// Its heading; in JSON the same in lower case, with `_` for `-`.
    pub name: &'static str,
    /// What it tells, for the help.
    pub about: &'static str,
    /// Whether it is shown if the user chooses no columns.
    pub shown: bool,
    pub cell: fn(&T) -> Cell,
}

/// Which columns to print, and how.
#[derive(Args, Clone, Debug, Default)]
pub struct Format {
    /// Print JSON; `schema_version` changes when a key is renamed or removed
    #[arg(short = 'J', long, conflicts_with = "raw")]
    pub json: bool,
    /// Print fields separated by one blank; blanks in them become \x20, and what is empty a hyphen
    #[arg(short, long)]
    pub raw: bool,
    /// Print these columns, separated by commas; +COLUMN,... adds to the usual ones
    #[arg(short, long, value_name = "COLUMN,...")]
    pub output: Option<String>,
    /// Print no headings
    #[arg(long)]
    pub noheadings: bool,
    /// Print sizes in bytes, and numbers and times in full
    #[arg(short, long)]
    pub bytes: bool,
}

impl Format {
    /// Returns the columns that the user chose.
    pub fn choose<'a, T>(&self, all: &'a [Column<T>]) -> Result<Vec<&'a Column<T>>, Failure> {
        let usual = || all.iter().filter(|column| column.shown).collect();
        let Some(wanted) = &self.output else {
            // Programs get everything.
            return Ok(if self.json { all.iter().collect() } else { usual() });
        };
        let (mut chosen, names) = match wanted.strip_prefix('+') {
            Some(more) => (usual(), more),
            None => (Vec::new(), wanted.as_str()),
        };
        for name in names.split(',') {
            chosen.push(find(all, name)?);
        }
        Ok(chosen)
    }

    /// Prints rows; in JSON as an array under `key`.
    pub fn print<T>(&self, key: &str, all: &[Column<T>], rows: &[T]) -> Result<(), Failure> {
        let columns = self.choose(all)?;
        let mut text = Vec::new();
        if self.json {
            json::write(&mut text, &json::Document { key, value: json::Rows { columns, rows } })?;
        } else {
            self.write(&mut text, &columns, rows);
        }
        print(&text)
    }

    /// Writes rows as a table, or raw.
    pub fn write<T>(&self, text: &mut Vec<u8>, columns: &[&Column<T>], rows: &[T]) {
        if self.raw {
            let names = columns.iter().map(|column| column.name.to_owned()).collect();
            let cells = |row| columns.iter().map(|column| raw((column.cell)(row))).collect();
            let lines: Vec<Vec<String>> = rows.iter().map(cells).collect();
            for line in (!self.noheadings).then_some(names).iter().chain(&lines) {
                let _ = writeln!(text, "{}", line.join(" "));
            }
        } else {
            table::write(text, self, columns, rows);
        }
    }
}

/// Returns the field of a line of raw output.
fn raw(cell: Cell) -> String {
    match cell.exact().as_str() {
        "" => "-".into(),
        // It would mean that there is nothing.
        "-" => "\\x2d".into(),
        text => escape::field(text),
    }
}

/// Finds a column by its name in any case.
pub fn find<'a, T>(all: &'a [Column<T>], name: &str) -> Result<&'a Column<T>, Failure> {
    let found = all.iter().find(|column| column.name.eq_ignore_ascii_case(name.trim()));
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|column| column.name).collect();
        Failure::usage(format!("there is no column {name:?}; there are {}", names.join(", ")))
    })
}

/// Returns the help on columns.
pub fn help<T>(title: &str, all: &[Column<T>]) -> String {
    let width = all.iter().map(|column| column.name.len()).max().unwrap_or(0);
    let mut text = format!("{title} (* if none are chosen):");
    for column in all {
        let mark = if column.shown { '*' } else { ' ' };
        text += &format!("\n {mark}{:<width$}  {}", column.name, column.about);
    }
    text
}
