//! What the bytes of a message mean, and how they are written as text: as JSON, as they are, as hexadecimal
//! digits, or as fields such as `u64,f64`.

use std::str::FromStr;

use sysvring::Stat;

use crate::escape;
use crate::stream::field::{Field, hex, unhex};
use crate::stream::framing::Framing;
use crate::stream::structured::{JSON, Structured};

/// The help on formats.
pub fn help() -> String {
    format!("{FORMATS}\n\n{JSON}")
}

const FORMATS: &str = "\
Formats of messages (--format):
  text            the bytes as they are; the default for messages of bytes or of text, and with --raw
                  and --length
  json            one line of JSON; the default for channels that store the structure of their messages
  hex             two digits a byte; the default for other messages
  FIELD,...       numbers separated by blanks, in the byte order of this machine, without gaps:
                  u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 bool; padN is a gap of N bytes;
                  textN is N bytes of text, filled up with NUL, as one word: \\x20 is a blank in it,
                  \\n, \\xNN and \\u{N} what is not visible, \\\\ a backslash, - an empty text;
                  a last field `text` or `hex` is the rest of the message, after one blank";

/// What a message consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    Text,
    Hex,
    Fields(Vec<Field>),
    Json(Structured),
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Layout, String> {
        match text {
            "text" => return Ok(Layout::Text),
            "hex" => return Ok(Layout::Hex),
            // Of a channel that is known later.
            "json" => return Ok(Layout::Json(Structured::unknown())),
            _ => {}
        }
        let fields: Vec<Field> =
            text.split(',').map(|field| field.trim().parse()).collect::<Result<_, _>>()?;
        match fields.iter().rev().skip(1).any(|field| field.is_rest()) {
            true => Err("text and hex without a size must be the last field".into()),
            false => Ok(Layout::Fields(fields)),
        }
    }
}

/// Returns what messages of a channel consist of: what the user said, or what fits best.
pub fn choose(wanted: Option<Layout>, framing: Framing, stat: &Stat) -> Layout {
    match (wanted, framing) {
        (Some(Layout::Json(_)), _) => Layout::Json(Structured::of(stat)),
        (Some(layout), _) => layout,
        // No text: the bytes as they are.
        (None, Framing::Raw | Framing::Length(_)) => Layout::Text,
        (None, Framing::EndedBy(_)) => match Structured::of(stat) {
            structured if structured.is_text() => Layout::Text,
            structured if structured.is_described() => Layout::Json(structured),
            _ => Layout::Hex,
        },
    }
}

impl Layout {
    /// Checks that messages of a channel can have this layout: of exactly `size` bytes, or of at
    /// least these if they are variable.
    pub fn check(&self, size: usize, is_variable: bool) -> Result<(), String> {
        let Layout::Fields(fields) = self else { return Ok(()) };
        let sum: usize = fields.iter().map(|field| field.size()).sum();
        let has_rest = fields.last().is_some_and(|field| field.is_rest());
        match (is_variable, has_rest) {
            (false, _) if sum != size && !(has_rest && sum <= size) => Err(format!(
                "the fields have {sum} bytes, and the messages of the channel {size}; add fields, or \
                 padN for bytes that mean nothing"
            )),
            (true, _) if sum > size => {
                Err(format!("the fields have {sum} bytes, and a message at most {size}"))
            }
            _ => Ok(()),
        }
    }

    /// Appends a message as text, of which nothing is left that a terminal would act on if it is for
    /// one. A message that is too short for its fields is printed as far as it goes; what is left
    /// over at its end is printed as hexadecimal digits.
    pub fn write(&self, message: &[u8], is_terminal: bool, out: &mut Vec<u8>) {
        let fields = match self {
            Layout::Text => return Layout::write_text(message, is_terminal, out),
            Layout::Hex => return hex(message, out),
            Layout::Json(structured) => return structured.write(message, out),
            Layout::Fields(fields) => fields,
        };
        let (mut rest, start) = (message, out.len());
        for field in fields {
            if rest.len() < field.size() {
                break;
            }
            let (bytes, after) = match field.is_rest() {
                true => (rest, &rest[rest.len()..]),
                false => rest.split_at(field.size()),
            };
            rest = after;
            if matches!(field, Field::Pad(_)) {
                continue;
            }
            if out.len() > start {
                out.push(b' ');
            }
            match field {
                Field::RestText => Layout::write_text(bytes, is_terminal, out),
                field => field.write(bytes, out),
            }
        }
        if !rest.is_empty() {
            if out.len() > start {
                out.push(b' ');
            }
            hex(rest, out);
        }
    }

    fn write_text(text: &[u8], is_terminal: bool, out: &mut Vec<u8>) {
        match is_terminal {
            true => out.extend(escape::bytes(text).into_bytes()),
            false => out.extend(text),
        }
    }

    /// Appends the bytes of a message that is written as text.
    pub fn read(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let fields = match self {
            Layout::Text => {
                out.extend(text);
                return Ok(());
            }
            Layout::Hex => return unhex(text, out),
            Layout::Json(structured) => return structured.read(text, out),
            Layout::Fields(fields) => fields,
        };
        let (mut rest, mut is_first) = (text, true);
        for field in fields {
            if let Field::Pad(n) = field {
                out.resize(out.len() + n, 0);
                continue;
            }
            if *field == Field::RestText {
                // Further blanks belong to the text.
                let after_blank = rest.strip_prefix(b" ").filter(|_| !is_first);
                return field.read(after_blank.unwrap_or(rest), out);
            }
            rest = rest.trim_ascii_start();
            let end = match field.is_rest() {
                true => rest.len(),
                false => rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len()),
            };
            let (word, after) = rest.split_at(end);
            (rest, is_first) = (after, false);
            field.read(word, out)?;
        }
        match rest.trim_ascii() {
            b"" => Ok(()),
            more => Err(format!("{:?} is more than the fields", String::from_utf8_lossy(more))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> Layout {
        text.parse().expect(text)
    }

    fn write(layout: &Layout, message: &[u8]) -> String {
        let mut out = Vec::new();
        layout.write(message, false, &mut out);
        String::from_utf8(out).expect("a text")
    }

    fn read(layout: &Layout, text: &str) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        layout.read(text.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn fields_are_read_back_as_they_were_written() {
        for (format, text) in [
            ("u64,f64", "7 9.5"),
            ("u8,u16,u32,u64", "255 65535 4294967295 18446744073709551615"),
            ("i8,i16,i32,i64", "-128 -32768 -2147483648 -9223372036854775808"),
            ("i8,i16,i32,i64", "127 32767 2147483647 9223372036854775807"),
            ("f32,f64", "0.1 -1e-300"),
            ("bool,bool,pad6,u64", "true false 7"),
            ("u32,text4,text", "1 ab the rest, with blanks"),
            ("u32,hex", "1 00ff"),
            ("u32,text", "1 "),
            ("u32,text", "1   indented, "),
            ("pad2,text", " indented"),
            ("text4,u8,text4", "- 0 \\x2d"),
            ("text16,u8", "a\\x20b\\t\\\\\\n\\u{1b} 7"),
            ("bool", "7"),
            ("text", "any thing\t"),
            ("hex", "00ff"),
        ] {
            let layout = layout(format);
            let bytes = read(&layout, text).expect(text);
            let again = write(&layout, &bytes);
            let expected = if text.ends_with("e-300") { again.as_str() } else { text };
            assert_eq!(again, expected, "{format}");
            assert_eq!(read(&layout, &again), Ok(bytes), "{format}");
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_machine() {
        let bytes = read(&layout("u32,i16,bool,pad1"), "1 -2 true").expect("fields");
        assert_eq!(bytes, [1, 0, 0, 0, 0xfe, 0xff, 1, 0]);
        assert_eq!(read(&layout("hex"), "00 ff0a"), Ok(vec![0, 0xff, 0x0a]));
    }

    #[test]
    fn a_wrong_text_is_refused() {
        for (format, text) in [
            ("u8", "256"),
            ("u8", "-1"),
            ("i8", "128"),
            ("i8", "-129"),
            ("u64", "18446744073709551616"),
            ("f64", "x"),
            ("bool", "yes"),
            ("u8,u8", "1"),
            ("u8", "1 2"),
            ("text2", "abc"),
            ("hex", "0"),
            ("hex", "0g"),
        ] {
            assert!(read(&layout(format), text).is_err(), "{format} {text}");
        }
        for format in ["", "u7", "u64,", "text,u8", "pad0", "textx", "u128"] {
            assert!(format.parse::<Layout>().is_err(), "{format}");
        }
    }

    /// Whatever the bytes of a message are, its text is read back as the same bytes.
    #[test]
    fn messages_are_read_back_as_they_were_written() {
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let favoured = b"\\x20-' \t\n\0\x1b\xff\xc3\xa4";
        let fields =
            ["u8", "u16", "i32", "i64", "bool", "text1", "text3", "text9", "u64", "text20"];
        for _ in 0..3_000 {
            let mut format: Vec<&str> =
                (0..1 + random(5)).map(|_| fields[random(fields.len())]).collect();
            format.extend([None, Some("text"), Some("hex")][random(3)]);
            let layout = layout(&format.join(","));
            let Layout::Fields(parts) = &layout else { continue };
            let size: usize = parts.iter().map(|field| field.size()).sum();
            let rest = match parts.last().is_some_and(|field| field.is_rest()) {
                true => random(6),
                false => 0,
            };
            let message: Vec<u8> = (0..size + rest)
                .map(|_| match random(3) {
                    0 => random(256) as u8,
                    _ => favoured[random(favoured.len())],
                })
                .collect();
            let (mut text, mut again) = (Vec::new(), Vec::new());
            layout.write(&message, false, &mut text);
            let read = layout.read(&text, &mut again);
            assert_eq!((read, &again), (Ok(()), &message), "{format:?}: {text:?}");
        }
    }

    /// A terminal gets each escape once, and nothing that it would act on.
    #[test]
    fn a_terminal_gets_what_a_pipe_gets_apart_from_text() {
        let layout = layout("text3,text");
        let mut out = Vec::new();
        layout.write(b"\x1b\\\0\x1b\\", true, &mut out);
        assert_eq!(out, b"\\u{1b}\\\\ \\u{1b}\\\\");
        out.clear();
        layout.write(b"\x1b\\\0\x1b\\", false, &mut out);
        assert_eq!(out, b"\\u{1b}\\\\ \x1b\\");
    }

    #[test]
    fn the_fields_must_fill_the_message() {
        assert!(layout("u64,f64").check(16, false).is_ok());
        assert!(layout("u64").check(16, false).is_err_and(|why| why.contains("padN")));
        assert!(layout("u64,hex").check(16, false).is_ok());
        assert!(layout("u64,text").check(1024, true).is_ok());
        assert!(layout("u64").check(4, true).is_err());
        assert!(layout("hex").check(4, false).is_ok());
    }

    #[test]
    fn a_message_that_does_not_fit_is_shown_all_the_same() {
        assert_eq!(write(&layout("u32,u32"), &[1, 0, 0, 0, 2, 0]), "1 0200");
        assert_eq!(write(&layout("bool"), &[7]), "7");
        assert_eq!(write(&layout("text4,u8"), b"a\x1b b\x07"), "a\\u{1b}\\x20b 7");
    }
}
