//! What a word is, and how words are counted.
//!
//! A word is a run of ASCII letters, digits, underscores and bytes from 0x80 up, so that words of
//! any UTF-8 text stay whole and text in no encoding at all has words too. A run of more than
//! [`LONGEST`] bytes counts as several words, cut after each [`LONGEST`]: so a line of any length
//! can be cut into messages that know nothing of each other.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Bytes of the longest word.
pub const LONGEST: usize = 255;

/// How often each word was seen.
pub type Tally<K> = HashMap<K, u64, BuildHasherDefault<WordHasher>>;

/// Whether a byte belongs to a word.
pub const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The words of a text.
pub fn words(text: &[u8]) -> Words<'_> {
    Words { text, run: &[], edges: 0, base: 0, next: 0, within: 0 }
}

/// See [`words`]. It finds where words begin and end for [`BLOCK`] bytes at a time, without a
/// branch: words are short, and a loop over their bytes is guessed wrong at the end of each.
pub struct Words<'a> {
    text: &'a [u8],
    /// What is left of a run that is too long to be one word.
    run: &'a [u8],
    /// Where runs begin and end in the block at `base`: a bit for each byte that differs from the
    /// one before.
    edges: u64,
    base: usize,
    /// The next block.
    next: usize,
    /// 1 if the block ended within a run.
    within: u64,
}

const BLOCK: usize = 64;

impl Words<'_> {
    /// Where the next run begins, or this one ends.
    #[inline(always)]
    fn edge(&mut self) -> Option<usize> {
        while self.edges == 0 {
            let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
            let mask = match rest.first_chunk() {
                Some(block) => mask(block),
                None => {
                    let mut block = [0; BLOCK];
                    block[..rest.len()].copy_from_slice(rest);
                    mask(&block)
                }
            };
            self.edges = mask ^ (mask << 1 | self.within);
            self.within = mask >> (BLOCK - 1);
            self.base = self.next;
            self.next += BLOCK;
        }
        let edge = self.base + self.edges.trailing_zeros() as usize;
        self.edges &= self.edges - 1;
        Some(edge)
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.run.is_empty() {
            let start = self.edge()?;
            // A run that ends with the text in a whole block has no end in it.
            let end = self.edge().unwrap_or(self.text.len());
            self.run = &self.text[start..end];
        }
        let (word, rest) = self.run.split_at(self.run.len().min(LONGEST));
        self.run = rest;
        Some(word)
    }
}

/// A bit for each byte: whether it belongs to a word.
#[inline(always)]
fn mask(block: &[u8; BLOCK]) -> u64 {
    let answers = block.map(|byte| u8::from(is_word_byte(byte)));
    // Eight bytes of 0 or 1 times this number: their bits side by side in the highest byte.
    let gather =
        |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let (eights, _) = answers.as_chunks::<8>();
    eights.iter().enumerate().fold(0, |mask, (i, eight)| mask | gather(eight) << (8 * i))
}

/// Where a text that goes on can be cut, so that the words of both parts are the words of the whole.
/// Not 0 for texts of at least [`LONGEST`] bytes that start where a word may start.
pub fn cut(text: &[u8]) -> usize {
    let run = text.iter().rposition(|byte| !is_word_byte(*byte)).map_or(0, |last| last + 1);
    run + (text.len() - run) / LONGEST * LONGEST
}

/// A hash for short texts that nobody chose to be hard: a multiplication for eight bytes.
#[derive(Default)]
pub struct WordHasher(u64);

impl WordHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for WordHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let byte = |at: usize| u64::from(bytes[at]);
        let four = |at: usize| bytes[at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let eight = |at: usize| bytes[at..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        // The last bytes overlap those before: a loop over what is left would be guessed wrong by
        // the processor for almost every word.
        let last = match bytes.len() {
            0 => 0,
            len @ 1..=3 => byte(0) | byte(len / 2) << 8 | byte(len - 1) << 16,
            len @ 4..=8 => u64::from(four(0)) | u64::from(four(len - 4)) << 32,
            len => {
                for at in (0..len - 8).step_by(8) {
                    self.add(eight(at));
                }
                eight(len - 8)
            }
        };
        self.add(last);
    }

    #[inline]
    fn write_usize(&mut self, length: usize) {
        self.add(length as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes its low bits from the bottom, where a product is weakest.
        self.0 ^ self.0 >> 32
    }
}
