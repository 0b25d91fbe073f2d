//! Messages as JSON, by the structure that their channel stores: a line such as `{"id":1,"price":9.5}`.
//!
//! The bytes can be read back from every line, but for the bits that tell NaNs apart; a message that does
//! not fit its structure is a line of hexadecimal digits. The structure and the bytes come from other
//! processes: whatever they are, the text is JSON of visible characters, and at most [`text_max`] bytes long.

mod number;
mod read;
mod text;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use sysvring::{Field, Number, NumberType, Stat, Structure};

/// The help on JSON.
pub const JSON: &str = "\
Messages as JSON (--format json), for channels that store the structure of their messages:
  struct          an object with its fields; fields whose names begin with _ are left out if all their
                  bytes are zero, and are zero if they are left out; so are fields without bytes
  tuple struct    an array of its fields; with one field, the value of that one
  integer, float  a number, with all its digits; \"NaN\", \"inf\", \"-inf\" are strings
  bool, char      true, false; a string of one character
  enum            the name of the variant
  str             a string
  [u8; N], [u8]   a string: \\\\ is a backslash, \\xNN a byte that is not UTF-8; [u8; N] is filled up with
                  NUL, which is left out at its end; `send` takes an array of numbers, too
  other arrays    an array
  opaque          a string of hexadecimal digits
A bool, char or enum without such a value is a number, and a str that is not UTF-8 an array of numbers.
A message that does not fit the structure is a string of hexadecimal digits.";

/// Messages of one structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structured {
    structure: Structure,
    /// Size in bytes of the longest message.
    max: usize,
}

impl Structured {
    /// Returns messages that nothing is known of.
    pub fn unknown() -> Structured {
        Structured { structure: Structure::Opaque { size: None }, max: usize::MAX }
    }

    /// Returns the messages of a channel.
    pub fn of(stat: &Stat) -> Structured {
        let structure = stat.structure.clone().unwrap_or_else(|| undescribed(stat));
        // As no program declares it: JSON would not tell the fields apart.
        let structure = match has_repeated_names(&structure) {
            true => Structure::Opaque { size: structure.size() },
            false => structure,
        };
        Structured { structure, max: stat.slot_size }
    }

    /// Returns whether more is known than the length of a message.
    pub fn is_described(&self) -> bool {
        self.structure.is_described()
    }

    /// Returns whether messages are bytes or text, and nothing else.
    pub fn is_text(&self) -> bool {
        match &self.structure {
            Structure::Str => true,
            Structure::Slice { element } => is_byte(element),
            _ => false,
        }
    }

    /// Appends a message as JSON.
    pub fn write(&self, message: &[u8], out: &mut Vec<u8>) {
        write::render(&self.structure, message, out);
    }

    /// Appends the bytes of a message that is written as JSON.
    pub fn read(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        read::parse(&self.structure, text, self.max, out).map_err(|mismatch| mismatch.to_string())
    }
}

/// Returns the length of the longest text of a message of `len` bytes: a structure of long names and
/// empty fields does not make much of few bytes.
pub fn text_max(len: usize) -> usize {
    len.saturating_mul(256).saturating_add(64 << 10)
}

/// Returns the structure of messages that the channel does not describe: bytes of any number are most likely
/// text.
fn undescribed(stat: &Stat) -> Structure {
    let byte = Structure::Number(NumberType::native(Number::U8));
    match stat.variable && stat.message_size == 0 && stat.message_align == 1 {
        true => Structure::Slice { element: Box::new(byte) },
        false => Structure::Opaque { size: None },
    }
}

fn is_byte(structure: &Structure) -> bool {
    matches!(structure, Structure::Number(NumberType { number: Number::U8, .. }))
}

/// Returns whether these are the fields of a tuple struct, which have no names.
fn is_tuple(fields: &[Field]) -> bool {
    let is_numbered = |(n, field): (usize, &Field)| field.name == n.to_string();
    !fields.is_empty() && fields.iter().enumerate().all(is_numbered)
}

/// Returns whether a field may be left out if its bytes are zero: a gap, or one without bytes.
fn is_gap(field: &Field) -> bool {
    field.name.starts_with('_') || field.structure.size() == Some(0)
}

/// Returns whether fields of one struct have the same name.
fn has_repeated_names(structure: &Structure) -> bool {
    match structure {
        Structure::Array { element, .. } | Structure::Slice { element } => {
            has_repeated_names(element)
        }
        Structure::Struct { fields, .. } => {
            let names: BTreeSet<&str> = fields.iter().map(|field| &*field.name).collect();
            names.len() != fields.len()
                || fields.iter().any(|field| has_repeated_names(&field.structure))
        }
        _ => false,
    }
}

/// Returns the number of structures in a structure, itself included: its size takes that many steps.
fn nodes(structure: &Structure) -> usize {
    1 + match structure {
        Structure::Array { element, .. } | Structure::Slice { element } => nodes(element),
        Structure::Struct { fields, .. } => {
            fields.iter().map(|field| nodes(&field.structure)).sum()
        }
        _ => 0,
    }
}
