//! The table for people: aligned columns without lines, as util-linux prints them.

use std::io::Write;

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style};

use super::cell::Cell;
use super::style::{Tone, has_colour, paint};
use super::{Column, Format};

/// Writes rows as a table.
pub fn write<T>(text: &mut Vec<u8>, format: &Format, columns: &[&Column<T>], rows: &[T]) {
    let colour = has_colour();
    let mut builder = Builder::default();
    let mut is_right = vec![false; columns.len()];
    if !format.noheadings {
        let heading = |column: &&Column<T>| paint(column.name, Tone::Heading, colour);
        builder.push_record(columns.iter().map(heading));
    }
    for row in rows {
        let cells: Vec<Cell> = columns.iter().map(|column| (column.cell)(row)).collect();
        for (right, cell) in is_right.iter_mut().zip(&cells) {
            *right |= cell.is_number();
        }
        builder.push_record(cells.iter().map(|cell| shown(cell, format, colour)));
    }
    let mut table = builder.build();
    table.with(Style::empty()).with(Padding::new(0, 1, 0, 0));
    for (n, _) in is_right.iter().enumerate().filter(|(_, right)| **right) {
        table.modify(Columns::one(n), Alignment::right());
    }
    for line in table.to_string().lines() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// Returns the text of a cell.
pub fn shown(cell: &Cell, format: &Format, colour: bool) -> String {
    let text = if format.bytes { cell.exact() } else { cell.short() };
    match cell {
        Cell::Word(_, tone) => paint(&text, *tone, colour),
        _ => text,
    }
}
