//! Numbers: their bytes, and their text in JSON.

use std::fmt::Debug;
use std::str::FromStr;

use sysvring::{ByteOrder, Number, NumberType};

use super::text;

/// Appends the number of these bytes.
pub fn write(number: NumberType, bytes: &[u8], out: &mut Vec<u8>) {
    let value = value_of(number, bytes);
    let text = match number.number {
        Number::F32 => float(f32::from_bits(value as u32)),
        Number::F64 => float(f64::from_bits(value as u64)),
        Number::Bool if value <= 1 => (value == 1).to_string(),
        Number::Char => match u32::try_from(value).ok().and_then(char::from_u32) {
            Some(c) => return text::write(c.encode_utf8(&mut [0; 4]), out),
            None => value.to_string(),
        },
        _ if is_signed(number) => (value as i128).to_string(),
        _ => value.to_string(),
    };
    out.extend(text.into_bytes());
}

/// Returns the text of a float: in JSON, only finite ones are numbers.
fn float<F: Copy + Debug + Into<f64>>(value: F) -> String {
    match value.into() {
        wide if wide.is_nan() => "\"NaN\"".into(),
        f64::INFINITY => "\"inf\"".into(),
        f64::NEG_INFINITY => "\"-inf\"".into(),
        // As short as it can be read back, with an exponent if it is very large or very small.
        _ => format!("{value:?}"),
    }
}

/// Appends the bytes of a number that is written as JSON.
pub fn read(number: NumberType, json: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let value = match number.number {
        Number::F32 => read_float(number, json, f32::is_finite)?.to_bits().into(),
        Number::F64 => read_float(number, json, f64::is_finite)?.to_bits().into(),
        Number::Bool if json == "true" => 1,
        Number::Bool if json == "false" => 0,
        Number::Char if json.starts_with('"') => {
            let string = text::read(json).unwrap_or_default();
            let mut chars = string.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => u32::from(c).into(),
                _ => return Err(format!("{} is not one character", text::shown(json))),
            }
        }
        _ => read_integer(number, json)?,
    };
    push(number, value, out);
    Ok(())
}

fn read_float<F: Copy + FromStr>(
    number: NumberType,
    json: &str,
    is_finite: impl Fn(F) -> bool,
) -> Result<F, String> {
    let special = match json {
        "\"NaN\"" => Some("NaN"),
        "\"inf\"" => Some("inf"),
        "\"-inf\"" => Some("-inf"),
        _ => None,
    };
    let is_number = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    match special.or(is_number.then_some(json)).map(str::parse::<F>) {
        Some(Ok(value)) if special.is_some() || is_finite(value) => Ok(value),
        Some(Ok(_)) => Err(out_of_range(number, json)),
        _ => Err(wrong_type(number, json)),
    }
}

/// Returns the value of an integer, with its sign extended to 128 bits.
fn read_integer(number: NumberType, json: &str) -> Result<u128, String> {
    let unused = 128 - 8 * number.size() as u32;
    let value = match is_signed(number) {
        true => json
            .parse::<i128>()
            .ok()
            .filter(|value| (i128::MIN >> unused..=i128::MAX >> unused).contains(value))
            .map(|value| value as u128),
        false => json.parse::<u128>().ok().filter(|value| *value <= u128::MAX >> unused),
    };
    let digits = json.strip_prefix('-').unwrap_or(json);
    match value {
        Some(value) => Ok(value),
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => Err(out_of_range(number, json)),
        None => Err(wrong_type(number, json)),
    }
}

fn out_of_range(number: NumberType, json: &str) -> String {
    format!("{} is out of range for {number}", text::shown(json))
}

fn wrong_type(number: NumberType, json: &str) -> String {
    format!("{} is not of type {number}", text::shown(json))
}

/// Appends the lower bytes of a value in the order of the number.
fn push(number: NumberType, value: u128, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend(value.to_le_bytes().into_iter().take(number.size()));
    if number.order == ByteOrder::Big {
        out[start..].reverse();
    }
}

/// Returns the value of these bytes, with its sign extended to 128 bits. The library is for machines whose
/// own order is little-endian.
fn value_of(number: NumberType, bytes: &[u8]) -> u128 {
    let place = |value: u128, byte: &u8| value << 8 | u128::from(*byte);
    let value = match number.order {
        ByteOrder::Big => bytes.iter().fold(0, place),
        ByteOrder::Native | ByteOrder::Little => bytes.iter().rev().fold(0, place),
    };
    let unused = 128 - 8 * number.size() as u32;
    match is_signed(number) {
        true => (((value << unused) as i128) >> unused) as u128,
        false => value,
    }
}

/// Returns the value of these bytes if they are an integer, as a variant has it.
pub fn integer_of(number: NumberType, bytes: &[u8]) -> Option<i128> {
    let value = value_of(number, bytes);
    match is_signed(number) {
        true => Some(value as i128),
        false => i128::try_from(value).ok().filter(|_| is_integer(number)),
    }
}

/// Returns whether this is an integer.
pub fn is_integer(number: NumberType) -> bool {
    !matches!(number.number, Number::F32 | Number::F64 | Number::Bool | Number::Char)
}

fn is_signed(number: NumberType) -> bool {
    use Number::{I8, I16, I32, I64, I128, Isize};
    matches!(number.number, I8 | I16 | I32 | I64 | I128 | Isize)
}
