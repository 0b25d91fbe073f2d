//! From the text of a structure to the structure. The text may come from another process.

use core::fmt;
use core::str::FromStr;

use super::number::NumberType;
use super::{Field, Structure, Variant};

/// The maximum number of types inside one another, so that no text exhausts the stack.
const DEPTH_MAX: usize = 64;

/// A text that is not the structure of a message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseStructureError {
    /// The number of bytes before the place where the text ends to be one.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for ParseStructureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParseStructureError { at, expected } = self;
        write!(f, "the text of the structure has no {expected} at byte {at}")
    }
}

impl core::error::Error for ParseStructureError {}

impl FromStr for Structure {
    type Err = ParseStructureError;

    fn from_str(text: &str) -> Result<Structure, ParseStructureError> {
        let mut rest = Rest { text, at: 0 };
        let structure = rest.structure(DEPTH_MAX)?;
        match rest.peek() {
            None => Ok(structure),
            Some(_) => rest.fail("end of the text"),
        }
    }
}

/// What is left of a text.
struct Rest<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = Result<T, ParseStructureError>;

impl<'a> Rest<'a> {
    fn structure(&mut self, depth: usize) -> Parsed<Structure> {
        let Some(depth) = depth.checked_sub(1) else { return self.fail("type of less depth") };
        if self.eat("[") {
            return self.elements(depth);
        }
        let before = self.next();
        match self.word("type")? {
            "str" => Ok(Structure::Str),
            "opaque" => self.opaque(),
            "struct" => self.fields(depth),
            "enum" => self.variants(),
            word => match NumberType::from_word(word) {
                Some(number) => Ok(Structure::Number(number)),
                None => {
                    self.at = before;
                    self.fail("type")
                }
            },
        }
    }

    /// Parses an array or a slice, behind its bracket. Elements have a size, and are not empty.
    fn elements(&mut self, depth: usize) -> Parsed<Structure> {
        let before = self.next();
        let element = Box::new(self.structure(depth)?);
        if !matches!(element.size(), Some(1..)) {
            self.at = before;
            return self.fail("element with a size");
        }
        if self.eat("]") {
            return Ok(Structure::Slice { element });
        }
        self.expect(";", "`;`")?;
        let len = self.number("number of elements")?;
        self.expect("]", "`]`")?;
        Ok(Structure::Array { element, len })
    }

    fn opaque(&mut self) -> Parsed<Structure> {
        self.expect("(", "`(`")?;
        let size = if self.eat("..") { None } else { Some(self.number("size")?) };
        self.expect(")", "`)`")?;
        Ok(Structure::Opaque { size })
    }

    fn fields(&mut self, depth: usize) -> Parsed<Structure> {
        let name = self.word("name")?.to_owned();
        let fields = self.braced(|rest| {
            let name = rest.word("name of a field")?.to_owned();
            rest.expect(":", "`:`")?;
            Ok(Field { name, structure: rest.structure(depth)? })
        })?;
        // Only the last one may end in a slice.
        let mut others = fields.iter().rev().skip(1);
        if others.any(|field| field.structure.size().is_none()) {
            return self.fail("size of each field but the last");
        }
        Ok(Structure::Struct { name, fields })
    }

    fn variants(&mut self) -> Parsed<Structure> {
        let name = self.word("name")?.to_owned();
        self.expect(":", "`:`")?;
        let before = self.next();
        let Some(number) = NumberType::from_word(self.word("type of a number")?) else {
            self.at = before;
            return self.fail("type of a number");
        };
        let variants = self.braced(|rest| {
            let name = rest.word("name of a variant")?.to_owned();
            rest.expect("=", "`=`")?;
            let sign = if rest.eat("-") { -1 } else { 1 };
            let value: u64 = rest.number("value of a variant")?;
            Ok(Variant { name, value: sign * i128::from(value) })
        })?;
        Ok(Structure::Enum { name, number, variants })
    }

    /// Parses parts in braces, separated by commas.
    fn braced<T>(&mut self, part: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect("{", "`{`")?;
        let mut parts = Vec::new();
        if self.eat("}") {
            return Ok(parts);
        }
        loop {
            parts.push(part(self)?);
            if self.eat("}") {
                return Ok(parts);
            }
            self.expect(",", "`,` or `}`")?;
        }
    }

    /// Takes letters, digits and underscores, of which names, types and numbers consist.
    fn word(&mut self, expected: &'static str) -> Parsed<&'a str> {
        let rest = self.skip_spaces();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            return self.fail(expected);
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn number<T: FromStr>(&mut self, expected: &'static str) -> Parsed<T> {
        let before = self.next();
        let word = self.word(expected)?;
        word.parse().or_else(|_| {
            self.at = before;
            self.fail(expected)
        })
    }

    /// Takes `sign`, if it is next.
    fn eat(&mut self, sign: &str) -> bool {
        let is_next = self.skip_spaces().starts_with(sign);
        if is_next {
            self.at += sign.len();
        }
        is_next
    }

    fn expect(&mut self, sign: &str, expected: &'static str) -> Parsed<()> {
        if self.eat(sign) { Ok(()) } else { self.fail(expected) }
    }

    /// Returns where the next word or sign is.
    fn next(&mut self) -> usize {
        self.skip_spaces();
        self.at
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_spaces().chars().next()
    }

    fn skip_spaces(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start_matches(' ');
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn fail<T>(&self, expected: &'static str) -> Parsed<T> {
        Err(ParseStructureError { at: self.at, expected })
    }
}
