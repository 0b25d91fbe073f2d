//! Text of other users, made safe for a terminal.
//!
//! Names, labels and messages may contain terminal control sequences, or characters that reorder or
//! hide what follows. Everything that is not a visible character is printed as an escape.

use std::fmt::Write;

/// Returns a text in which every character is visible. A backslash is doubled, so the text can be
/// read back.
pub fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut safe, c);
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
            let safe = text(&c.to_string());
            assert!(!safe.chars().any(char::is_control), "{c:?}");
            assert!(!safe.contains(['\u{200e}', '\u{200f}', '\u{2066}', '\u{2069}']), "{c:?}");
        }
    }
}
