//! From JSON to the bytes of a message. Numbers are read from their digits, so none loses precision.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use sysvring::{Field, NumberType, Structure, Variant};

use super::{is_byte, is_gap, is_tuple, number, text};
use crate::stream::field::unhex;
use crate::{escape, units};

/// A text that is no message of the structure.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field, such as `lines[2].price`; empty for the whole message.
    field: String,
    what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { field, what } = self;
        match field.trim_start_matches('.') {
            "" => f.write_str(what),
            field => write!(f, "field {field}: {what}"),
        }
    }
}

impl From<String> for Mismatch {
    fn from(what: String) -> Mismatch {
        Mismatch { field: String::new(), what }
    }
}

impl Mismatch {
    /// Returns the same, within this field or element.
    fn within(mut self, part: &str) -> Mismatch {
        self.field.insert_str(0, part);
        self
    }
}

type Done = Result<(), Mismatch>;

/// Appends the bytes of a message that is written as JSON, `max` at most.
pub fn parse(structure: &Structure, json: &[u8], max: usize, out: &mut Vec<u8>) -> Done {
    let json: &RawValue = serde_json::from_slice(json).map_err(|error| {
        // The line is one of the message, and mostly its only one.
        format!("it is not JSON: {error}").replace(" at line 1 column ", " at column ")
    })?;
    let end = out.len().saturating_add(max);
    Reader { out, max, end }.value(structure, json)
}

struct Reader<'a> {
    out: &'a mut Vec<u8>,
    max: usize,
    /// The length that `out` may have.
    end: usize,
}

impl Reader<'_> {
    fn value(&mut self, structure: &Structure, json: &RawValue) -> Done {
        let text = json.get();
        match structure {
            Structure::Number(number) => number::read(*number, text, self.out)?,
            Structure::Str => match text::read(text) {
                Some(text) => self.out.extend(text.into_bytes()),
                None => self.bytes(json, "a string")?,
            },
            Structure::Array { element, len } if is_byte(element) => self.array(*len, json)?,
            Structure::Slice { element } if is_byte(element) => match text::read(text) {
                Some(text) => self.out.extend(escape::unescape(text.as_bytes())?),
                None => self.bytes(json, "a string or an array of bytes")?,
            },
            Structure::Array { element, len } => {
                let found = elements(json, "an array")?;
                if found.len() != *len {
                    return Err(wrong_count(found.len(), *len));
                }
                self.elements(element, &found)?;
            }
            Structure::Slice { element } => {
                self.elements(element, &elements(json, "an array")?)?;
            }
            Structure::Struct { fields, .. } if is_tuple(fields) => self.tuple(fields, json)?,
            Structure::Struct { name, fields } => self.fields(name, fields, json)?,
            Structure::Enum { number, variants, .. } => {
                self.variant(*number, variants, text)?;
            }
            Structure::Opaque { size } => self.opaque(*size, text)?,
            _ => return Err(format!("{structure} is not known to this program").into()),
        }
        match self.out.len() <= self.end {
            true => Ok(()),
            false => Err(self.too_long()),
        }
    }

    fn too_long(&self) -> Mismatch {
        format!("the message exceeds the {} bytes that the channel takes", self.max).into()
    }

    fn zeros(&mut self, count: usize) -> Done {
        match self.out.len().checked_add(count).filter(|len| *len <= self.end) {
            Some(len) => {
                self.out.resize(len, 0);
                Ok(())
            }
            None => Err(self.too_long()),
        }
    }

    fn elements(&mut self, element: &Structure, found: &[&RawValue]) -> Done {
        for (n, json) in found.iter().enumerate() {
            self.value(element, json).map_err(|error| error.within(&format!("[{n}]")))?;
        }
        Ok(())
    }

    /// Appends bytes that are written as numbers.
    fn bytes(&mut self, json: &RawValue, expected: &str) -> Done {
        let byte = Structure::Number(NumberType::native(sysvring::Number::U8));
        self.elements(&byte, &elements(json, expected)?)
    }

    /// Appends exactly `len` bytes.
    fn array(&mut self, len: usize, json: &RawValue) -> Done {
        let start = self.out.len();
        match text::read(json.get()) {
            Some(text) => {
                self.out.extend(escape::unescape(text.as_bytes())?);
                match len.checked_sub(self.out.len() - start) {
                    Some(rest) => self.zeros(rest),
                    None => {
                        let found = counted_bytes(self.out.len() - start);
                        Err(format!("a text of {found}, and at most {len} fit").into())
                    }
                }
            }
            None => {
                self.bytes(json, "a string or an array of bytes")?;
                match self.out.len() - start {
                    found if found == len => Ok(()),
                    found => Err(format!("{}, and not {len}", counted_bytes(found)).into()),
                }
            }
        }
    }

    fn tuple(&mut self, fields: &[Field], json: &RawValue) -> Done {
        if let [field] = fields {
            return self.value(&field.structure, json);
        }
        let found = elements(json, "an array")?;
        if found.len() != fields.len() {
            return Err(wrong_count(found.len(), fields.len()));
        }
        for (n, (field, json)) in fields.iter().zip(found).enumerate() {
            let read = self.value(&field.structure, json);
            read.map_err(|error| error.within(&format!("[{n}]")))?;
        }
        Ok(())
    }

    fn fields(&mut self, name: &str, fields: &[Field], json: &RawValue) -> Done {
        let members: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(json.get());
        let Ok(mut members) = members else { return Err(expected("an object", json)) };
        for field in fields {
            match members.remove(&field.name) {
                Some(json) => self
                    .value(&field.structure, json)
                    .map_err(|error| error.within(&format!(".{}", field.name)))?,
                None if is_gap(field) => self.zeros(field.structure.size().unwrap_or(0))?,
                None => return Err(format!("field {} of {name} is missing", field.name).into()),
            }
        }
        match members.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                let known = text::list(fields.iter().map(|field| &*field.name));
                let unknown = text::shown(unknown);
                Err(format!("{name} has no field {unknown:?}; its fields are {known}").into())
            }
        }
    }

    fn variant(&mut self, number: NumberType, variants: &[Variant], json: &str) -> Done {
        let Some(name) = text::read(json).filter(|_| number::is_integer(number)) else {
            return Ok(number::read(number, json, self.out)?);
        };
        match variants.iter().find(|variant| variant.name == name) {
            Some(variant) => Ok(number::read(number, &variant.value.to_string(), self.out)?),
            None => {
                let known = text::list(variants.iter().map(|variant| &*variant.name));
                Err(format!("there is no variant {}; there are {known}", text::shown(json)).into())
            }
        }
    }

    fn opaque(&mut self, size: Option<usize>, json: &str) -> Done {
        let start = self.out.len();
        let Some(digits) = text::read(json) else {
            let shown = text::shown(json);
            return Err(format!("{shown} is not a string of hexadecimal digits").into());
        };
        unhex(digits.as_bytes(), self.out)?;
        match (self.out.len() - start, size) {
            (found, Some(size)) if found != size => {
                Err(format!("{}, and not {size}", counted_bytes(found)).into())
            }
            _ => Ok(()),
        }
    }
}

/// Returns the elements of an array.
fn elements<'a>(json: &'a RawValue, what: &str) -> Result<Vec<&'a RawValue>, Mismatch> {
    serde_json::from_str(json.get()).map_err(|_| expected(what, json))
}

fn wrong_count(found: usize, len: usize) -> Mismatch {
    let found = units::counted(found as u64, "element", "elements");
    format!("{found}, and not {len}").into()
}

fn counted_bytes(n: usize) -> String {
    units::counted(n as u64, "byte", "bytes")
}

fn expected(what: &str, json: &RawValue) -> Mismatch {
    format!("{} is not {what}", text::shown(json.get())).into()
}
