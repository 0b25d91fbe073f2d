//! Strings of JSON: text, and bytes that are most likely text.

use std::io::Write;

use crate::escape;

/// Appends a text as a string.
pub fn write(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        write_char(c, out);
    }
    out.push(b'"');
}

/// Appends bytes as a string, from which [`escape::unescape`] returns them: text as it is, except for
/// backslashes, which are doubled, and `\xNN` for each byte that is not UTF-8.
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                write_char(c, out);
            }
            write_char(c, out);
        }
        for byte in chunk.invalid() {
            // To memory, which does not fail.
            let _ = write!(out, "\\\\x{byte:02x}");
        }
    }
    out.push(b'"');
}

fn write_char(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend(b"\\\""),
        '\\' => out.extend(b"\\\\"),
        '\n' => out.extend(b"\\n"),
        '\r' => out.extend(b"\\r"),
        '\t' => out.extend(b"\\t"),
        // To memory, which does not fail.
        c => _ = escape::write_json(c, out),
    }
}

/// Returns the text of a string; `None` if it is none.
pub fn read(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// Returns the beginning of a value, for an error.
pub fn shown(json: &str) -> String {
    const MAX: usize = 40;
    match json.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &json[..end]),
        None => json.to_owned(),
    }
}

/// Returns the first of these names, for an error.
pub fn list<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    const MAX: usize = 16;
    let mut first: Vec<&str> = names.by_ref().take(MAX).collect();
    if names.next().is_some() {
        first.push("...");
    }
    first.join(", ")
}
