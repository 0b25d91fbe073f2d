//! From the bytes of a message to JSON.

use sysvring::{Field, NumberType, Structure, Variant};

use super::{is_byte, is_gap, is_tuple, nodes, number, text, text_max};
use crate::stream::field::hex;

/// Appends a message as JSON: as a string of hexadecimal digits if it does not fit the structure.
pub fn render(structure: &Structure, message: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut writer = Writer { out, start, steps: 0, max: text_max(message.len()) };
    if !fits(structure, message.len()) || writer.value(structure, message).is_err() {
        out.truncate(start);
        write_hex(message, out);
    }
}

/// The structure says too much of a message of this length: it is not what a program declared.
struct TooMuch;

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    /// The number of values, so that those without text end, too.
    steps: usize,
    max: usize,
}

impl Writer<'_> {
    /// Appends a value of exactly these bytes.
    fn value(&mut self, structure: &Structure, bytes: &[u8]) -> Result<(), TooMuch> {
        self.step(1)?;
        match structure {
            Structure::Number(number) => number::write(*number, bytes, self.out),
            Structure::Str => match str::from_utf8(bytes) {
                Ok(text) => text::write(text, self.out),
                Err(_) => self.bytes(bytes)?,
            },
            Structure::Array { element, .. } if is_byte(element) => {
                let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                text::write_bytes(&bytes[..end], self.out);
            }
            Structure::Slice { element } if is_byte(element) => {
                text::write_bytes(bytes, self.out);
            }
            Structure::Array { element, .. } | Structure::Slice { element } => {
                self.elements(element, bytes)?;
            }
            Structure::Struct { fields, .. } => self.fields(fields, bytes)?,
            Structure::Enum { number, variants, .. } => self.variant(*number, variants, bytes)?,
            _ => write_hex(bytes, self.out),
        }
        self.step(0)
    }

    /// Counts steps; ends what makes too much of the message.
    fn step(&mut self, steps: usize) -> Result<(), TooMuch> {
        self.steps += steps;
        match self.out.len() - self.start + self.steps <= self.max {
            true => Ok(()),
            false => Err(TooMuch),
        }
    }

    fn elements(&mut self, element: &Structure, bytes: &[u8]) -> Result<(), TooMuch> {
        self.step(nodes(element))?;
        let Some(size @ 1..) = element.size() else { return Err(TooMuch) };
        self.out.push(b'[');
        for (n, bytes) in bytes.chunks_exact(size).enumerate() {
            self.separate(n);
            self.value(element, bytes)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// Appends bytes as numbers.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), TooMuch> {
        let byte = Structure::Number(NumberType::native(sysvring::Number::U8));
        self.elements(&byte, bytes)
    }

    fn fields(&mut self, fields: &[Field], bytes: &[u8]) -> Result<(), TooMuch> {
        let is_tuple = is_tuple(fields);
        let (open, close) = match (is_tuple, fields.len()) {
            (true, 1) => ("", ""),
            (true, _) => ("[", "]"),
            (false, _) => ("{", "}"),
        };
        self.out.extend(open.bytes());
        let (mut rest, mut written) = (bytes, 0);
        for field in fields {
            self.step(nodes(&field.structure))?;
            let size = field.structure.size();
            let parts = rest.split_at_checked(size.unwrap_or(rest.len()));
            let Some((bytes, after)) = parts else { return Err(TooMuch) };
            rest = after;
            // The length of what has no size of its own is not known if it is left out.
            let is_known = size.is_some() || bytes.is_empty();
            if !is_tuple && is_gap(field) && is_known && bytes.iter().all(|byte| *byte == 0) {
                continue;
            }
            self.separate(written);
            written += 1;
            if !is_tuple {
                text::write(&field.name, self.out);
                self.out.push(b':');
            }
            self.value(&field.structure, bytes)?;
        }
        self.out.extend(close.bytes());
        Ok(())
    }

    /// Appends the name of a variant that means this value and no other; or else the number.
    fn variant(
        &mut self,
        number: NumberType,
        variants: &[Variant],
        bytes: &[u8],
    ) -> Result<(), TooMuch> {
        // The search takes time, too.
        self.step(variants.len() / 16)?;
        let value = number::integer_of(number, bytes);
        let found = variants.iter().find(|variant| Some(variant.value) == value);
        let first_of = |name: &str| variants.iter().find(|variant| variant.name == name);
        match found.filter(|found| first_of(&found.name) == Some(found)) {
            Some(variant) => text::write(&variant.name, self.out),
            None => number::write(number, bytes, self.out),
        }
        Ok(())
    }

    fn separate(&mut self, before: usize) {
        if before > 0 {
            self.out.push(b',');
        }
    }
}

fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    hex(bytes, out);
    out.push(b'"');
}

/// Returns whether a message of this structure can be `len` bytes long.
fn fits(structure: &Structure, len: usize) -> bool {
    match (structure.size(), structure) {
        (Some(size), _) => size == len,
        (None, Structure::Str | Structure::Opaque { .. }) => true,
        (None, Structure::Slice { element }) => {
            element.size().is_some_and(|size| size > 0 && len.is_multiple_of(size))
        }
        (None, Structure::Struct { fields, .. }) => {
            let Some((last, first)) = fields.split_last() else { return len == 0 };
            let sum = first.iter().try_fold(0usize, |sum, field| {
                field.structure.size().and_then(|size| sum.checked_add(size))
            });
            let rest = sum.and_then(|sum| len.checked_sub(sum));
            rest.is_some_and(|rest| fits(&last.structure, rest))
        }
        // Larger than the address space.
        _ => false,
    }
}
