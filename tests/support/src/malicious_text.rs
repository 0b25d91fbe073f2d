//! Texts that another user may have written into a segment: what a terminal would act on, what ends a
//! line, what reorders or hides what follows, and what is no text at all.

use std::sync::atomic::Ordering::Relaxed;

use crate::raw_ipc::{Segment, at};

/// The bytes, each at most as long as a label.
pub const TEXTS: [&[u8]; 12] = [
    b"\x1b]0;title\x07",
    b"\x1b[2J\x1b[31m",
    "\u{9b}2J\u{9d}0;x\u{9c}".as_bytes(),
    b"a\nsender live pid 1\n",
    b"a\r\x1b[Kb",
    b"a\0b",
    "a\u{202e}b\u{2066}c".as_bytes(),
    "a\u{200b}\u{feff}\u{2028}b".as_bytes(),
    b"\xff\xfe\x1b[m",
    b"\x7f\x08\x08",
    b"x\"} 1\nx{y=\"\\",
    "\u{e0001}\u{1}".as_bytes(),
];

/// What a well-behaved text may be replaced by, for comparison.
pub const HARMLESS: &[u8] = b"plain";

/// Writes bytes as name, as name of the dead-letter channel, and as label of the members in the first
/// two seats.
pub fn write(segment: &Segment, bytes: &[u8]) {
    let put = |text: usize, length: usize, room: usize| {
        segment.write(text, &vec![0; room]);
        segment.write(text, bytes);
        segment.u32(length).store(bytes.len() as u32, Relaxed);
    };
    put(at::NAME, at::NAME_LEN, 128);
    put(at::DEAD_LETTERS, at::DEAD_LETTERS_LEN, 128);
    for seat in 0..2 {
        let line = at::MEMBERS + seat * at::MEMBER;
        put(line + at::LABEL, line + at::LABEL_LEN, 32);
    }
}

/// Checks that a text has nothing but visible characters, blanks and ends of lines.
#[track_caller]
pub fn assert_visible(text: &str, of: &str) {
    let is_hidden = |c: char| {
        let is_end = matches!(c, '\n' | '\'' | '"' | '\\');
        !is_end && c.escape_debug().len() > 1
    };
    assert!(!text.contains(is_hidden), "{of}: {text:?}");
}
