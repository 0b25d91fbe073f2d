//! What travels between the stages.

use sysvring::zerocopy::little_endian::{U32, U64};
use sysvring::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::words::Tally;

/// Some of the tree's text, from the reader to the counter: whole lines, or a part of a line that is
/// longer than a slot. Often of several files.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(C)]
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

/// What was counted in one message of lines, from the counter to the collector. In several parts if
/// its words do not fit a slot.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(C)]
pub struct Counts {
    /// 1 in the last part; the numbers of the others are 0.
    pub last: u8,
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
    pub const HEADER: usize = 25;

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

/// Packs words into a tally until the next one has no room; how many bytes.
pub fn pack<'a>(
    mut room: &mut [u8],
    words: &mut std::iter::Peekable<impl Iterator<Item = (&'a [u8], u64)>>,
) -> usize {
    let before = room.len();
    while let Some((word, times)) = words.next_if(|(word, _)| 5 + word.len() <= room.len()) {
        let (entry, rest) = room.split_at_mut(5 + word.len());
        // A message holds fewer words than a u32 counts, and none is longer than a u8 tells.
        entry[..4].copy_from_slice(&(times as u32).to_le_bytes());
        entry[4] = word.len() as u8;
        entry[5..].copy_from_slice(word);
        room = rest;
    }
    before - room.len()
}

/// The words of a tally in the form that [`pack`] takes.
pub fn entries<'a>(tally: &'a Tally<&'a [u8]>) -> impl Iterator<Item = (&'a [u8], u64)> {
    tally.iter().map(|(word, times)| (*word, *times))
}
