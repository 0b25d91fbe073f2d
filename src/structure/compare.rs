//! The first difference between two structures.

use core::fmt;

use super::{Field, Structure, Variant};

/// The first difference between the structures of two message types, in the order of their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The field that differs, from the type on, as `Order.lines[].price`; or the type itself. In an enum, the
    /// variant, as `Kind::Text`. A message without a name is `message`, and its elements `message[]`.
    pub field: String,
    /// What is there in the structure that was compared; "nothing" if it has no such field.
    pub expected: String,
    /// What is there in the structure that it was compared with.
    pub found: String,
}

impl Difference {
    /// Returns what was expected, with its place.
    pub(crate) fn expectation(&self) -> String {
        let Difference { field, expected, .. } = self;
        // Names have none of these signs.
        if field.contains("::") {
            format!("{expected} for the variant {field}")
        } else if field.contains('.') {
            format!("{expected} in the field {field}")
        } else if field.ends_with(']') {
            format!("{expected} in {field}")
        } else {
            expected.clone()
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { field, expected, found } = self;
        write!(f, "{field} is {expected} in one and {found} in the other")
    }
}

impl Structure {
    /// Returns the first difference between this structure and `other`: of names, types or order. What
    /// one of them does not describe is compared by its size.
    ///
    /// ```
    /// use sysvring::Structure;
    ///
    /// let ours: Structure = "struct Tick { id: u64, price: f64 }".parse().unwrap();
    /// let other: Structure = "struct Tick { id: u64, price: i64 }".parse().unwrap();
    /// let difference = ours.first_difference(&other).unwrap();
    /// assert_eq!(difference.field, "Tick.price");
    /// assert_eq!((&*difference.expected, &*difference.found), ("f64", "i64"));
    /// ```
    pub fn first_difference(&self, other: &Structure) -> Option<Difference> {
        let path = match self {
            Structure::Struct { name, .. } | Structure::Enum { name, .. } => name,
            _ => "message",
        };
        compare(path, self, other)
    }
}

/// The maximum length of each part of a difference, in characters: names may be as long as a structure.
const SHOWN_MAX: usize = 200;

fn difference(field: String, expected: String, found: String) -> Difference {
    let cut = |text: String| match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    };
    Difference { field: cut(field), expected: cut(expected), found: cut(found) }
}

fn compare(path: &str, ours: &Structure, other: &Structure) -> Option<Difference> {
    let differ = |expected, found| Some(difference(path.to_owned(), expected, found));
    match (ours, other) {
        (Structure::Opaque { .. }, _) | (_, Structure::Opaque { .. })
            if ours.size() == other.size() =>
        {
            None
        }
        (
            Structure::Array { element, len },
            Structure::Array { element: found, len: found_len },
        ) if len == found_len => compare(&format!("{path}[]"), element, found),
        (Structure::Slice { element }, Structure::Slice { element: found }) => {
            compare(&format!("{path}[]"), element, found)
        }
        (
            Structure::Struct { name, fields },
            Structure::Struct { name: found_name, fields: found },
        ) if name == found_name => compare_fields(path, fields, found),
        (
            Structure::Enum { name, number, variants },
            Structure::Enum { name: found_name, number: found_number, variants: found },
        ) if (name, number) == (found_name, found_number) => {
            compare_variants(path, variants, found)
        }
        (ours, other) if ours == other => None,
        (ours, other) => differ(ours.short_name(), other.short_name()),
    }
}

fn compare_fields(path: &str, ours: &[Field], other: &[Field]) -> Option<Difference> {
    for at in 0..ours.len().max(other.len()) {
        match (ours.get(at), other.get(at)) {
            (Some(field), Some(found)) if field.name == found.name => {
                let inside = format!("{path}.{}", field.name);
                let difference = compare(&inside, &field.structure, &found.structure);
                if difference.is_some() {
                    return difference;
                }
            }
            (field, found) => {
                let text = |field: Option<&Field>| match field {
                    Some(Field { name, structure }) => {
                        format!("{name}: {}", structure.short_name())
                    }
                    None => "nothing".into(),
                };
                let name = field.or(found).map_or("", |field| &field.name);
                return Some(difference(format!("{path}.{name}"), text(field), text(found)));
            }
        }
    }
    None
}

/// Compares variants by name: their order is not in the bytes.
fn compare_variants(path: &str, ours: &[Variant], other: &[Variant]) -> Option<Difference> {
    if ours == other {
        return None;
    }
    let value = |variants: &[Variant], name: &str| {
        let found = variants.iter().find(|variant| variant.name == name);
        found.map_or("nothing".into(), |variant| variant.value.to_string())
    };
    let names = ours.iter().chain(other).map(|variant| &*variant.name);
    for name in names {
        let (expected, found) = (value(ours, name), value(other, name));
        if expected != found {
            return Some(difference(format!("{path}::{name}"), expected, found));
        }
    }
    None
}
