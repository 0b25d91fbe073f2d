//! One value of a table, before it is decided how it is printed.

use std::cmp::Ordering;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::output::style::Tone;
use crate::{escape, units};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// There is none.
    None,
    /// A text, which another user may have chosen.
    Text(String),
    /// A word of this program, with the colour that it has on a terminal.
    Word(&'static str, Tone),
    /// A name that this program escaped already, such as that of a channel.
    Safe(String),
    /// A number that is printed in full: an identifier.
    Id(u64),
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// Events a second.
    Rate(f64),
    /// A time, which people see as an age.
    Since(SystemTime),
    /// Yes or no.
    Flag(bool),
}

impl Cell {
    /// Returns a cell with a number, if there is one.
    pub fn count(n: Option<u64>) -> Cell {
        n.map_or(Cell::None, Cell::Count)
    }

    /// Returns the value as people read it.
    pub fn short(&self) -> String {
        match self {
            Cell::Count(n) => units::number(*n),
            Cell::Bytes(n) => units::size(*n),
            Cell::Since(then) => units::age(*then),
            Cell::Rate(rate) => units::rate(*rate),
            other => other.exact(),
        }
    }

    /// Returns the value in full.
    pub fn exact(&self) -> String {
        match self {
            Cell::None => String::new(),
            Cell::Text(text) => escape::text(text),
            Cell::Word(word, _) => (*word).into(),
            Cell::Safe(text) => text.clone(),
            Cell::Id(n) | Cell::Count(n) | Cell::Bytes(n) => n.to_string(),
            Cell::Rate(rate) => format!("{rate:.1}"),
            Cell::Since(then) => units::time(*then),
            Cell::Flag(yes) => if *yes { "yes" } else { "no" }.into(),
        }
    }

    /// Returns the order of two values of a column: texts by the alphabet, numbers and times from
    /// large to small, what is empty last.
    pub fn order(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::None, Cell::None) => Ordering::Equal,
            (Cell::None, _) => Ordering::Greater,
            (_, Cell::None) => Ordering::Less,
            (
                Cell::Id(a) | Cell::Count(a) | Cell::Bytes(a),
                Cell::Id(b) | Cell::Count(b) | Cell::Bytes(b),
            ) => b.cmp(a),
            (Cell::Rate(a), Cell::Rate(b)) => b.total_cmp(a),
            (Cell::Since(a), Cell::Since(b)) => b.cmp(a),
            (Cell::Flag(a), Cell::Flag(b)) => b.cmp(a),
            (a, b) => a.exact().cmp(&b.exact()),
        }
    }

    /// Returns whether it is printed at the right of its column.
    pub fn is_number(&self) -> bool {
        !matches!(self, Cell::None | Cell::Text(_) | Cell::Word(..) | Cell::Safe(_) | Cell::Flag(_))
    }
}

/// In JSON, numbers are numbers, and times are in UTC. Names are not escaped but by JSON.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::None => serializer.serialize_none(),
            Cell::Text(text) | Cell::Safe(text) => serializer.serialize_str(text),
            Cell::Word(word, _) => serializer.serialize_str(word),
            Cell::Id(n) | Cell::Count(n) | Cell::Bytes(n) => serializer.serialize_u64(*n),
            Cell::Rate(rate) => serializer.serialize_f64(*rate),
            Cell::Since(then) => serializer.serialize_str(&units::time(*then)),
            Cell::Flag(yes) => serializer.serialize_bool(*yes),
        }
    }
}
