//! What travels between the stages.

use sysvring::zerocopy::FromBytes;
use sysvring::zerocopy::little_endian::{U32, U64};

use crate::words::Tally;

/// Some of the tree's text, from the reader to a worker: whole lines, or a part of a line that is
/// longer than a slot. Often of several files.
#[sysvring::message]
pub struct Lines {
    /// 1: the first line began in an earlier message.
    pub continued: u8,
    /// Newlines that are not in the files: the reader adds them where a file ends without.
    pub added: U32,
    /// Not empty.
    pub text: [u8],
}

impl Lines {
    /// Bytes before the text.
    pub const HEADER: usize = 5;

    /// Bytes of the files.
    pub fn bytes(&self) -> u64 {
        (self.text.len() as u64).saturating_sub(self.added.get().into())
    }

    /// How many lines begin here: so each is counted once, where it begins.
    pub fn begun(&self) -> u64 {
        let ended = self.text.iter().filter(|byte| **byte == b'\n').count() as u64;
        let open = u64::from(self.text.last().is_some_and(|byte| *byte != b'\n'));
        (ended + open).saturating_sub(u64::from(self.continued))
    }
}

/// What was counted in one message of lines, from a worker to the collector.
#[sysvring::message]
pub struct Counts {
    /// The position of the message of lines: who knows it counts each once.
    pub position: U64,
    /// How often that one was delivered, until then.
    pub deliveries: u8,
    /// Lines begun.
    pub lines: U64,
    /// Words.
    pub words: U64,
    /// Bytes.
    pub bytes: U64,
    /// Packed: how often, how long, the word itself; again and again.
    pub tally: [u8],
}

impl Counts {
    /// Bytes before the tally.
    pub const HEADER: usize = 33;

    /// Bytes of a message that has room for the tally of any text of so many bytes. A word of one
    /// letter, with the space behind it, becomes six bytes from two; longer ones grow less.
    pub const fn room(text: usize) -> usize {
        Counts::HEADER + 3 * (text + 1)
    }

    /// The words and how often each was seen. Ends early where the bytes are no tally.
    pub fn tally(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let mut rest = &self.tally;
        std::iter::from_fn(move || {
            let (times, after) = U32::read_from_prefix(rest).ok()?;
            let (len, after) = after.split_first()?;
            let (word, after) = after.split_at_checked(usize::from(*len))?;
            rest = after;
            Some((word, u64::from(times.get())))
        })
    }
}

/// Packs words into a tally that has [room](Counts::room) for them; how many bytes.
pub fn pack<'a>(room: &mut [u8], words: impl Iterator<Item = (&'a [u8], u64)>) -> usize {
    let mut len = 0;
    for (word, times) in words {
        let entry = &mut room[len..len + 5 + word.len()];
        // A message holds fewer words than a u32 counts, and none is longer than a u8 tells.
        entry[..4].copy_from_slice(&(times as u32).to_le_bytes());
        entry[4] = word.len() as u8;
        entry[5..].copy_from_slice(word);
        len += entry.len();
    }
    len
}

/// The words of a tally in the form that [`pack`] takes.
pub fn entries<'a>(tally: &'a Tally<&'a [u8]>) -> impl Iterator<Item = (&'a [u8], u64)> {
    tally.iter().map(|(word, times)| (*word, *times))
}
