//! A segment, read according to the document.

use std::ops::Deref;

use sysvring_support::raw_ipc::Segment;

use crate::page;

/// A segment, attached separately and read-only.
pub struct Raw(Segment);

impl Deref for Raw {
    type Target = Segment;

    fn deref(&self) -> &Segment {
        &self.0
    }
}

impl Raw {
    pub fn attach(segment: i32) -> Raw {
        Raw(Segment::attach_read_only(segment).expect("shmat"))
    }

    /// Returns `bytes` bytes from `offset` on.
    pub fn bytes(&self, offset: usize, bytes: usize) -> Vec<u8> {
        self.read(offset..offset + bytes)
    }

    /// Returns a word of at most eight bytes.
    pub fn word(&self, offset: usize, bytes: usize) -> u64 {
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(&self.bytes(offset, bytes));
        u64::from_le_bytes(word)
    }

    /// Returns the word that the document describes: a field of the `n`th structure of this name.
    pub fn value(&self, structure: &str, n: usize, field: &str) -> u64 {
        let (offset, bytes) = page::place(structure, n, field);
        self.word(offset, bytes)
    }

    /// Returns the text that the document describes.
    pub fn text(&self, structure: &str, n: usize, field: &str) -> String {
        let (offset, bytes) = page::place(structure, n, field);
        let text = String::from_utf8(self.bytes(offset, bytes)).expect("UTF-8");
        text.trim_end_matches('\0').to_owned()
    }

    /// Returns the offset of the slot of a position.
    pub fn slot(&self, position: u64) -> usize {
        let fact = |field| self.value("Identity", 0, field);
        (fact("header_size") + position % fact("capacity") * fact("stride")) as usize
    }
}
