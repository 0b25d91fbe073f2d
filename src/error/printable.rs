//! Texts from a segment, made safe for a terminal and for a line of a log.

use core::fmt::{self, Write};

/// A text that another user may have written: shown with an escape for everything that is not a
/// visible character, such as line ends, terminal control sequences, and marks that reorder or hide
/// what follows. A backslash is doubled.
#[derive(Clone, Copy)]
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                // Quotes would be escaped, too.
                '\'' | '"' => f.write_char(c)?,
                // Rust's own table of printable characters.
                c => c.escape_debug().try_for_each(|part| f.write_char(part))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_visible_is_escaped() {
        for (text, shown) in [
            ("jobs", "jobs"),
            ("na\u{ef}ve \u{6570}", "na\u{ef}ve \u{6570}"),
            ("it's \"x\"\r\n", "it's \"x\"\\r\\n"),
            ("\x1b]0;x\x07", "\\u{1b}]0;x\\u{7}"),
            ("\u{9b}2J\0", "\\u{9b}2J\\0"),
            ("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}"),
            ("\\u{1b}", "\\\\u{1b}"),
        ] {
            assert_eq!(Printable(text).to_string(), shown);
        }
        for c in '\0'..='\u{2fff}' {
            let shown = Printable(&c.to_string()).to_string();
            assert!(!shown.contains(|c: char| c.is_control() || "\u{200e}\u{2066}".contains(c)));
        }
    }
}
