//! The fields of a message that a format such as `u64,f64` describes.

use std::fmt::Write;
use std::str::FromStr;

use crate::escape;

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Unsigned(usize),
    Signed(usize),
    Float(usize),
    Bool,
    Pad(usize),
    /// A text with room for this many bytes.
    Text(usize),
    RestText,
    RestHex,
}

impl Field {
    /// Returns its bytes; 0 for the rest of a message.
    pub fn size(self) -> usize {
        match self {
            Field::Unsigned(n) | Field::Signed(n) | Field::Float(n) => n,
            Field::Pad(n) | Field::Text(n) => n,
            Field::Bool => 1,
            Field::RestText | Field::RestHex => 0,
        }
    }

    pub fn is_rest(self) -> bool {
        matches!(self, Field::RestText | Field::RestHex)
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Field, String> {
        let sized = |digits: &str| digits.parse().ok().filter(|n| (1..=1 << 30).contains(n));
        Ok(match text {
            "u8" | "u16" | "u32" | "u64" => Field::Unsigned(bytes_of(text)),
            "i8" | "i16" | "i32" | "i64" => Field::Signed(bytes_of(text)),
            "f32" | "f64" => Field::Float(bytes_of(text)),
            "bool" => Field::Bool,
            "text" => Field::RestText,
            "hex" => Field::RestHex,
            _ => {
                let text_of = || text.strip_prefix("text").and_then(sized).map(Field::Text);
                let pad = || text.strip_prefix("pad").and_then(sized).map(Field::Pad);
                text_of().or_else(pad).ok_or_else(|| {
                    format!(
                        "there is no field {text:?}; fields are u8 to u64, i8 to i64, f32, f64, \
                             bool, padN, textN, and at the end text or hex"
                    )
                })?
            }
        })
    }
}

fn bytes_of(name: &str) -> usize {
    name[1..].parse::<usize>().unwrap_or(8) / 8
}

impl Field {
    /// Appends the value of these bytes as text, which a terminal may get except for `RestText`.
    pub fn write(self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut wide = [0; 8];
        if bytes.len() <= 8 {
            wide[..bytes.len()].copy_from_slice(bytes);
        }
        let unsigned = u64::from_le_bytes(wide);
        let text = match self {
            Field::Unsigned(_) => unsigned.to_string(),
            Field::Signed(n) => {
                let unused = 64 - 8 * n as u32;
                (((unsigned << unused) as i64) >> unused).to_string()
            }
            Field::Float(4) => f32::from_bits(unsigned as u32).to_string(),
            Field::Float(_) => f64::from_bits(unsigned).to_string(),
            Field::Bool => match unsigned {
                0 => "false".into(),
                1 => "true".into(),
                n => n.to_string(),
            },
            Field::Text(_) => {
                let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                escape::word(&bytes[..end])
            }
            Field::RestText => return out.extend(bytes),
            Field::RestHex => return hex(bytes, out),
            Field::Pad(_) => return,
        };
        out.extend(text.as_bytes());
    }

    /// Appends the bytes of a value that is written as text.
    pub fn read(self, word: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let text = String::from_utf8_lossy(word);
        let wrong = |what: &str| Err(format!("{text:?} is not {what}"));
        let number = |bits: u64, n: usize| bits.to_le_bytes().into_iter().take(n);
        match self {
            _ if word.is_empty() && !self.is_rest() => return Err("a field is missing".into()),
            Field::Unsigned(n) => match text.parse::<u64>() {
                Ok(value) if n == 8 || value >> (8 * n) == 0 => out.extend(number(value, n)),
                _ => return wrong(&format!("a number of {} bits without sign", 8 * n)),
            },
            Field::Signed(n) => match text.parse::<i64>() {
                Ok(value) if (value >> (8 * n - 1)) == 0 || (value >> (8 * n - 1)) == -1 => {
                    out.extend(number(value as u64, n));
                }
                _ => return wrong(&format!("a number of {} bits", 8 * n)),
            },
            Field::Float(4) => match text.parse::<f32>() {
                Ok(value) => out.extend(value.to_le_bytes()),
                Err(_) => return wrong("a number"),
            },
            Field::Float(_) => match text.parse::<f64>() {
                Ok(value) => out.extend(value.to_le_bytes()),
                Err(_) => return wrong("a number"),
            },
            Field::Bool => match word {
                b"true" | b"1" => out.push(1),
                b"false" | b"0" => out.push(0),
                // A byte that is neither is written as its number.
                _ => match text.parse::<u8>() {
                    Ok(byte) => out.push(byte),
                    Err(_) => return wrong("true or false"),
                },
            },
            Field::Text(n) => {
                let bytes = escape::read_word(word)?;
                if bytes.len() > n {
                    return wrong(&format!("a text of at most {n} bytes"));
                }
                out.extend(&bytes);
                out.resize(out.len() + n - bytes.len(), 0);
            }
            Field::RestText => out.extend(word),
            Field::RestHex => return unhex(word, out),
            Field::Pad(_) => {}
        }
        Ok(())
    }
}

/// Appends hexadecimal digits.
pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    out.extend(text.into_bytes());
}

/// Reads hexadecimal digits, with or without blanks between bytes.
pub fn unhex(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    for word in text.split(u8::is_ascii_whitespace) {
        for pair in word.chunks(2) {
            let byte = match pair {
                [high, low] => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
                _ => None,
            };
            out.push(byte.ok_or_else(|| {
                format!("{:?} is not hexadecimal", String::from_utf8_lossy(word))
            })?);
        }
    }
    Ok(())
}
