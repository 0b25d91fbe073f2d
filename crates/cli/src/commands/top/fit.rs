//! A table that leaves columns out where the screen is narrow.

use ratatui::layout::{Alignment, Constraint};
use ratatui::style::Style;
use ratatui::text::Text;
use ratatui::widgets::{Cell, Row, Table};

/// A column: how wide it is, when it is left out, and its cells.
pub struct Column<T> {
    head: &'static str,
    width: u16,
    is_right: bool,
    /// Columns with the highest number are left out first; one of 0 stays.
    rank: u8,
    cell: fn(&T) -> (String, Style),
}

impl<T> Column<T> {
    /// Returns a column of texts.
    pub const fn text(
        head: &'static str,
        width: u16,
        rank: u8,
        cell: fn(&T) -> (String, Style),
    ) -> Column<T> {
        Column { head, width, is_right: false, rank, cell }
    }

    /// Returns a column of numbers.
    pub const fn number(
        head: &'static str,
        width: u16,
        rank: u8,
        cell: fn(&T) -> (String, Style),
    ) -> Column<T> {
        Column { head, width, is_right: true, rank, cell }
    }
}

/// Returns a table of the columns that fit into a width.
pub fn table<T>(all: &[Column<T>], rows: &[T], width: u16, head: Style) -> Table<'static> {
    let mut columns: Vec<&Column<T>> = all.iter().collect();
    let needed =
        |columns: &[&Column<T>]| columns.iter().map(|column| column.width + 1).sum::<u16>();
    while needed(&columns) > width + 1 {
        let last = columns.iter().map(|column| column.rank).max().filter(|rank| *rank > 0);
        let Some(last) = last else { break };
        columns.retain(|column| column.rank != last);
    }
    let aligned = |text: String, column: &Column<T>| {
        let alignment = if column.is_right { Alignment::Right } else { Alignment::Left };
        Text::from(text).alignment(alignment)
    };
    let heads = columns.iter().map(|column| Cell::from(aligned(column.head.into(), column)));
    let cells = |row: &T| -> Vec<Cell<'static>> {
        let cell = |column: &&Column<T>| {
            let (text, style) = (column.cell)(row);
            Cell::from(aligned(text, column)).style(style)
        };
        columns.iter().map(cell).collect()
    };
    let lines: Vec<Row> = rows.iter().map(|row| Row::new(cells(row))).collect();
    Table::new(lines, columns.iter().map(|column| Constraint::Length(column.width)))
        .header(Row::new(heads).style(head))
        .column_spacing(1)
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    #[test]
    fn columns_of_high_rank_are_left_out_first() {
        let column = |head, rank| Column {
            head,
            width: 3,
            is_right: false,
            rank,
            cell: |row: &u8| (row.to_string(), Style::new()),
        };
        let all = [column("ONE", 0), column("TWO", 2), column("THR", 1)];
        for (width, expected) in [(11, "ONE TWO THR"), (10, "ONE THR   "), (6, "ONE   "), (2, "ON")]
        {
            let Ok(mut terminal) = Terminal::new(TestBackend::new(width, 1));
            let table = table(&all, &[7], width, Style::new());
            let _ = terminal.draw(|frame| frame.render_widget(&table, frame.area()));
            terminal.backend().assert_buffer_lines([expected]);
        }
    }
}
