//! JSON with a version, in which nothing reaches a terminal unescaped either.

use std::io::{self, Write};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::ser::{Formatter, PrettyFormatter};

use super::Column;
use crate::escape;
use crate::failure::Failure;

/// The version of all JSON that this program prints. Keys may be added in the same version.
const SCHEMA_VERSION: u32 = 1;

/// A whole output: the version, and a value under its key.
pub struct Document<'a, V> {
    pub key: &'a str,
    pub value: V,
}

impl<V: Serialize> Serialize for Document<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("schema_version", &SCHEMA_VERSION)?;
        map.serialize_entry(self.key, &self.value)?;
        map.end()
    }
}

/// The rows of a table: an array of objects.
pub struct Rows<'a, T> {
    pub columns: Vec<&'a Column<T>>,
    pub rows: &'a [T],
}

impl<T> Serialize for Rows<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.rows.len()))?;
        for row in self.rows {
            list.serialize_element(&Row { columns: &self.columns, row })?;
        }
        list.end()
    }
}

/// One row: an object with a key for each column.
pub struct Row<'a, T> {
    pub columns: &'a [&'a Column<T>],
    pub row: &'a T,
}

impl<T> Serialize for Row<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for column in self.columns {
            map.serialize_entry(&key(column.name), &(column.cell)(self.row))?;
        }
        map.end()
    }
}

/// Returns the key of a column.
pub fn key(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// Writes a value and the end of a line.
pub fn write(text: &mut Vec<u8>, value: &impl Serialize) -> Result<(), Failure> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *text, Visible::default());
    let written = value.serialize(&mut serializer);
    written.map_err(|error| Failure::new(format!("JSON cannot be written: {error}")))?;
    text.push(b'\n');
    Ok(())
}

/// Indents like the formatter of `serde_json`, and writes what is not a visible character as
/// `\uNNNN`.
#[derive(Default)]
struct Visible {
    pretty: PrettyFormatter<'static>,
}

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            // Quotes and backslashes are not in fragments.
            escape::write_json(c, writer)?;
        }
        Ok(())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.pretty.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.pretty.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        let mut text = Vec::new();
        write(&mut text, &"it's \"a\\\x1b\u{9b}\u{202e}\u{e0001}数").expect("written");
        let text = String::from_utf8(text).expect("a text");
        assert_eq!(text, "\"it's \\\"a\\\\\\u001b\\u009b\\u202e\\udb40\\udc01数\"\n");
        let back: String = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, "it's \"a\\\x1b\u{9b}\u{202e}\u{e0001}数");
    }
}
