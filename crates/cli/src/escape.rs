//! Text of other users, made safe for a terminal.
//!
//! Names, labels and messages may contain terminal control sequences, or characters that reorder or
//! hide what follows. Everything that is not a visible character is printed as an escape.

use std::fmt::Write as _;
use std::io;

/// Returns a text in which every character is visible. A backslash is doubled, so the text can be
/// read back.
pub fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut safe, c);
    }
    safe
}

/// Returns a text of this program or of the library, in which names are escaped already, with every
/// character visible. Backslashes stay as they are: those of escapes are not doubled again.
pub fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => safe.push(c),
            c => push(&mut safe, c),
        }
    }
    safe
}

/// Returns the bytes of a message as such a text; bytes that are not UTF-8 are printed as `\xNN`.
/// Tabs stay.
pub fn bytes(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => safe.push(c),
                c => push(&mut safe, c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(safe, "\\x{byte:02x}");
        }
    }
    safe
}

fn push(safe: &mut String, c: char) {
    match c {
        '\'' | '"' => safe.push(c),
        // Rust's own table of printable characters.
        c => safe.extend(c.escape_debug()),
    }
}

/// Writes a character of a string of JSON: as `\uNNNN` if it is not visible. Quotes, backslashes and ends of
/// lines have escapes of their own.
pub fn write_json<W: ?Sized + io::Write>(c: char, out: &mut W) -> io::Result<()> {
    // Rust's own table of printable characters.
    if c == '\'' || c.escape_debug().len() == 1 {
        return out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        write!(out, "\\u{unit:04x}")?;
    }
    Ok(())
}

/// Returns bytes as one word of a line whose words are separated by blanks: with escapes for blanks,
/// and a hyphen if there are none.
pub fn word(message: &[u8]) -> String {
    match message {
        b"" => EMPTY.into(),
        // It would mean that there are none.
        b"-" => "\\x2d".into(),
        bytes => field(&self::bytes(bytes)).replace('\t', "\\t"),
    }
}

/// What stands for a word without bytes.
const EMPTY: &str = "-";

/// Returns the bytes of which a word was made.
pub fn read_word(word: &[u8]) -> Result<Vec<u8>, String> {
    if word == EMPTY.as_bytes() { Ok(Vec::new()) } else { unescape(word) }
}

/// Returns the bytes of a text with escapes.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let (mut rest, mut bytes) = (text, Vec::new());
    while let Some(at) = memchr::memchr(b'\\', rest) {
        bytes.extend(&rest[..at]);
        let escape = &rest[at + 1..];
        let (read, len) = read_escape(escape).ok_or_else(|| {
            format!(
                "{:?} contains an escape that is none; a backslash is written as \\\\, a blank as \
                 \\x20",
                String::from_utf8_lossy(text)
            )
        })?;
        bytes.extend(read);
        rest = &escape[len..];
    }
    bytes.extend(rest);
    Ok(bytes)
}

/// Returns the bytes that an escape means, and its length, without its backslash.
fn read_escape(escape: &[u8]) -> Option<(Vec<u8>, usize)> {
    let byte = |byte: u8| Some((vec![byte], 1));
    let number = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok()?;
        u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
    };
    match escape {
        [b'0', ..] => byte(0),
        [b't', ..] => byte(b'\t'),
        [b'n', ..] => byte(b'\n'),
        [b'r', ..] => byte(b'\r'),
        [c @ (b'\\' | b'\'' | b'"'), ..] => byte(*c),
        [b'x', digits @ ..] => Some((vec![number(digits.get(..2)?)? as u8], 3)),
        [b'u', b'{', rest @ ..] => {
            let len = memchr::memchr(b'}', rest)?;
            let c = char::from_u32(number(&rest[..len])?)?;
            Some((c.to_string().into_bytes(), len + 3))
        }
        _ => None,
    }
}

/// Returns a text for the one field of a line whose fields are separated by blanks.
pub fn field(text: &str) -> String {
    text.replace(' ', "\\x20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(text("jobs"), "jobs");
        assert_eq!(text("naïve 数"), "naïve 数");
        assert_eq!(text("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(text("a\u{9b}2J"), "a\\u{9b}2J");
        assert_eq!(text("a\u{202e}b\u{200b}c"), "a\\u{202e}b\\u{200b}c");
        assert_eq!(text("a\\u{1b}"), "a\\\\u{1b}");
        assert_eq!(text("it's \"x\"\r\n"), "it's \"x\"\\r\\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        assert_eq!(bytes(b"a\tb"), "a\tb");
        assert_eq!(bytes(b"a\xffb\x1b"), "a\\xffb\\u{1b}");
        assert_eq!(bytes("\u{7f}".as_bytes()), "\\u{7f}");
    }

    /// No control character gets through, whatever the text.
    #[test]
    fn nothing_invisible_is_left() {
        for c in '\0'..='\u{2fff}' {
            for safe in [text(&c.to_string()), visible(&c.to_string())] {
                assert!(!safe.chars().any(char::is_control), "{c:?}");
                assert!(!safe.contains(['\u{200e}', '\u{200f}', '\u{2066}', '\u{2069}']), "{c:?}");
            }
        }
        assert_eq!(visible(&text("a\x1b\\")), "a\\u{1b}\\\\");
    }

    /// Whatever the bytes, a word of them has no blank, is visible, and is read back.
    #[test]
    fn words_are_read_back() {
        let random = |seed: u64| {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            std::iter::repeat_with(move || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            })
        };
        // Bytes that escapes consist of or stand for, and any others.
        let favoured = b"\\\\x20u{}-'\" \t\n\r\0\x0c\x1b\xff\xc3\xa4\xe2\x80\xae";
        let mut words: Vec<Vec<u8>> = (0..5_000)
            .map(|seed| {
                let mut random = random(seed);
                let len = random.next().map_or(0, |n| n % 12) as usize;
                let byte = |n: u64| match n % 4 {
                    0 => (n >> 8) as u8,
                    _ => favoured[(n >> 8) as usize % favoured.len()],
                };
                random.take(len).map(byte).collect()
            })
            .collect();
        words.extend((0..=255).map(|byte| vec![byte]));
        for bytes in words {
            let word = word(&bytes);
            assert!(!word.is_empty(), "{bytes:?}");
            assert!(!word.contains(|c: char| c.is_whitespace() || c.is_control()), "{word:?}");
            assert_eq!(read_word(word.as_bytes()), Ok(bytes), "{word:?}");
        }
    }

    #[test]
    fn an_escape_that_is_none_is_refused() {
        for wrong in
            ["\\", "\\q", "\\x2", "\\xzz", "\\x+1", "\\u{110000}", "\\u{1", "\\u1b", "\\u{}"]
        {
            assert!(read_word(wrong.as_bytes()).is_err_and(|why| why.contains("\\x20")), "{wrong}");
        }
        assert_eq!(read_word(b"a b"), Ok(b"a b".to_vec()));
    }
}
