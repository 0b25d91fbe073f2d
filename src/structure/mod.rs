//! How a message type is made up: its fields, their names, types and order.
//!
//! A type that is declared with `#[sysvring::message]` describes itself. The creator of a channel stores
//! the description as text behind the tables of the header, both sides compare it with their own
//! (`compare.rs`), and programs that know no type read it (`parse.rs`): they get the text from other
//! processes, so it is parsed with limits, and a name in it has letters, digits and underscores only.

pub mod compare;
pub mod number;
pub mod parse;
#[cfg(test)]
mod tests;

use core::fmt;

use number::{Number, NumberType};

/// The structure of a message type: its fields with their names, types and order.
///
/// [`#[sysvring::message]`](macro@crate::message) declares a type with its structure, and
/// [`Message::structure`](crate::Message::structure) returns it. Its text resembles the declaration, and
/// can be [parsed](core::str::FromStr):
///
/// ```
/// use sysvring::Structure;
///
/// let text = "struct Line { number: u64le, kind: enum Kind: u8 { Code = 0, Text = 1 }, bytes: [u8] }";
/// let line: Structure = text.parse().unwrap();
/// assert_eq!(line.to_string(), text);
/// assert_eq!(line.size(), None); // it ends in a slice
/// assert_eq!("[u32; 4]".parse::<Structure>().unwrap().size(), Some(16));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Structure {
    /// An integer, a float, a `bool` or a `char`.
    Number(NumberType),
    /// `str`: UTF-8 up to the end of the message.
    Str,
    /// An array.
    Array {
        /// The structure of each element.
        element: Box<Structure>,
        /// The number of elements.
        len: usize,
    },
    /// A slice, up to the end of the message.
    Slice {
        /// The structure of each element.
        element: Box<Structure>,
    },
    /// A struct, or a tuple struct, whose fields are named `0`, `1` and so on.
    Struct {
        /// The name of the type, without path and generic arguments.
        name: String,
        /// The fields, in the order of their bytes, between which there is no padding.
        fields: Vec<Field>,
    },
    /// A fieldless enum.
    Enum {
        /// The name of the type, without path.
        name: String,
        /// The type of the number that stands for a variant.
        number: NumberType,
        /// The variants, in the order of their declaration.
        variants: Vec<Variant>,
    },
    /// Bytes of a type that does not describe itself.
    Opaque {
        /// The size in bytes; `None` if it ends in a slice.
        size: Option<usize>,
    },
}

/// A field of a [`Structure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name of the field.
    pub name: String,
    /// The structure of its type.
    pub structure: Structure,
}

/// A variant of an enum in a [`Structure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The name of the variant.
    pub name: String,
    /// The number that stands for it.
    pub value: i128,
}

impl Structure {
    /// Returns the structure of a struct with these fields.
    pub fn of_struct<const N: usize>(name: &str, fields: [(&str, Structure); N]) -> Structure {
        let field = |(name, structure): (&str, _)| Field { name: name.into(), structure };
        Structure::Struct { name: name.into(), fields: fields.into_iter().map(field).collect() }
    }

    /// Returns the structure of a tuple struct with fields of these structures, which are numbered.
    pub fn of_tuple<const N: usize>(name: &str, fields: [Structure; N]) -> Structure {
        let field = |(n, structure): (usize, _)| Field { name: n.to_string(), structure };
        let fields = fields.into_iter().enumerate().map(field).collect();
        Structure::Struct { name: name.into(), fields }
    }

    /// Returns the structure of a fieldless enum with these variants.
    pub fn of_enum<const N: usize>(
        name: &str,
        number: Number,
        variants: [(&str, i128); N],
    ) -> Structure {
        let variant = |(name, value): (&str, _)| Variant { name: name.into(), value };
        Structure::Enum {
            name: name.into(),
            number: NumberType::native(number),
            variants: variants.into_iter().map(variant).collect(),
        }
    }

    /// Returns the structure of a type that does not describe itself.
    pub const fn opaque<T>() -> Structure {
        Structure::Opaque { size: Some(size_of::<T>()) }
    }

    /// Returns the size in bytes of a value; `None` if it ends in a slice, or exceeds the address space.
    pub fn size(&self) -> Option<usize> {
        match self {
            Structure::Number(number) | Structure::Enum { number, .. } => Some(number.size()),
            Structure::Array { element, len } => element.size()?.checked_mul(*len),
            Structure::Struct { fields, .. } => fields
                .iter()
                .try_fold(0usize, |sum, field| sum.checked_add(field.structure.size()?)),
            Structure::Opaque { size } => *size,
            Structure::Str | Structure::Slice { .. } => None,
        }
    }

    /// Returns whether this describes more than a size.
    pub fn is_described(&self) -> bool {
        !matches!(self, Structure::Opaque { .. })
    }

    /// Returns the text of this structure without what is inside a struct or an enum.
    pub(crate) fn short_name(&self) -> String {
        match self {
            Structure::Struct { name, .. } => format!("struct {name}"),
            Structure::Enum { name, number, .. } => format!("enum {name}: {number}"),
            Structure::Array { element, len } => format!("[{}; {len}]", element.short_name()),
            Structure::Slice { element } => format!("[{}]", element.short_name()),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Structure::Number(number) => write!(f, "{number}"),
            Structure::Str => f.write_str("str"),
            Structure::Array { element, len } => write!(f, "[{element}; {len}]"),
            Structure::Slice { element } => write!(f, "[{element}]"),
            Structure::Struct { name, fields } => {
                write!(f, "struct {name} ")?;
                braced(f, fields, |f, Field { name, structure }| write!(f, "{name}: {structure}"))
            }
            Structure::Enum { name, number, variants } => {
                write!(f, "enum {name}: {number} ")?;
                braced(f, variants, |f, Variant { name, value }| write!(f, "{name} = {value}"))
            }
            Structure::Opaque { size: Some(size) } => write!(f, "opaque({size})"),
            Structure::Opaque { size: None } => f.write_str("opaque(..)"),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Structure {
    /// Serialises the text.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes the parts of a struct or an enum, separated by commas.
fn braced<T>(
    f: &mut fmt::Formatter<'_>,
    parts: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("{")?;
    for (n, part) in parts.iter().enumerate() {
        f.write_str(if n == 0 { " " } else { ", " })?;
        write(f, part)?;
    }
    f.write_str(if parts.is_empty() { "}" } else { " }" })
}
