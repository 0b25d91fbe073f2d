//! The same count in one process, by plain code: what the pipeline is checked against.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::failure::{Failure, cannot};
use crate::source::Files;
use crate::words::{LONGEST, Tally, is_word_byte};

/// What is counted.
#[derive(Default, PartialEq)]
pub struct Totals {
    /// A last line without a newline is one.
    pub lines: u64,
    pub words: u64,
    pub bytes: u64,
    pub tally: Tally<Box<[u8]>>,
}

impl Totals {
    /// Adds to the tally.
    pub fn add(&mut self, word: &[u8], times: u64) {
        match self.tally.get_mut(word) {
            Some(count) => *count += times,
            None => _ = self.tally.insert(word.into(), times),
        }
    }

    /// The commonest words first; of equally common ones the first in order.
    pub fn commonest(&self, n: usize) -> Vec<(&[u8], u64)> {
        let mut words: Vec<(&[u8], u64)> =
            self.tally.iter().map(|(word, times)| (&**word, *times)).collect();
        words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        words.truncate(n);
        words
    }
}

/// Counts a file or all files of a folder.
pub fn count(path: &Path) -> Result<Totals, Failure> {
    let mut totals = Totals::default();
    let mut line = Vec::new();
    for file in Files::of(path)? {
        let file = file?;
        let unreadable = |error| cannot(format!("read {}", file.display()))(error);
        let mut text = BufReader::new(File::open(&file).map_err(unreadable)?);
        while text.read_until(b'\n', &mut line).map_err(unreadable)? != 0 {
            totals.lines += 1;
            totals.bytes += line.len() as u64;
            for run in line.split(|byte| !is_word_byte(*byte)) {
                for word in run.chunks(LONGEST) {
                    totals.words += 1;
                    totals.add(word, 1);
                }
            }
            line.clear();
        }
    }
    Ok(totals)
}
