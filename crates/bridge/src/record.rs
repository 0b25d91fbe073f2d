//! The record of an incoming route: which message of the stream was last sent into the channel.
//!
//! It is a mapped file, which survives the death of the bridge as the channel does: both are memory of
//! the running kernel. It has two entries. Before a message is sent, its position in the channel and its
//! sequence in the stream are written into one of them, while the other one holds the last message that
//! is known to be sent. So a bridge that was killed leaves at most one message of which the record does
//! not tell whether it was sent; the channel tells it (`resume.rs`).
//!
//! An entry begins with its epoch, which is 0 while the entry is being written. A kill ends a process
//! between two of its instructions, and the stores are executed in this order, so no entry is torn.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use memmap2::MmapMut;
use sysvring::ChannelId;
use sysvring::zerocopy::FromBytes;

use crate::message_id;
use crate::state_file::{StateError, StateFile};

/// The first word of a record: its format.
const MAGIC: u64 = u64::from_le_bytes(*b"svrbrec1");
/// Words of an entry.
const ENTRY: usize = 6;
/// Size of the file in bytes.
const SIZE: usize = (1 + 2 * ENTRY) * size_of::<u64>();

/// A message of the stream, and where it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Segment and nonce of the channel.
    channel: (u32, u32),
    /// The position in the channel; `None` if the message needs no look at the channel.
    pub position: Option<u64>,
    /// The sequence in the stream.
    pub sequence: u64,
    /// The stream.
    pub stream: u64,
    /// A checksum of the message where its position alone does not tell; otherwise 0.
    pub sum: u64,
}

impl Entry {
    /// Returns an entry of a message that is to be sent, or was.
    pub fn new(channel: ChannelId, position: Option<u64>, sequence: u64, stream: u64) -> Entry {
        Entry { channel: parts(channel), position, sequence, stream, sum: 0 }
    }

    /// Returns it with the checksum of its message.
    pub fn with_sum_of(self, message: &[u8]) -> Entry {
        Entry { sum: checksum(message), ..self }
    }

    /// Returns whether it is of this channel.
    pub fn is_of(&self, channel: ChannelId) -> bool {
        self.channel == parts(channel)
    }
}

/// Returns a number that other bytes are not likely to have; the same in each run of one program, and that
/// of a newer program may differ.
pub fn checksum(message: &[u8]) -> u64 {
    let words = message.chunks(8).map(|bytes| {
        let mut word = [0; 8];
        word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(word)
    });
    let seed = (message.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    words.fold(seed, |sum, word| {
        let mixed = (sum ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ mixed >> 32
    })
}

fn parts(channel: ChannelId) -> (u32, u32) {
    (channel.segment() as u32, message_id::nonce(channel))
}

/// The record of one route, locked.
#[derive(Debug)]
pub struct Record {
    map: MmapMut,
    /// The entry of the last message that is known to be sent.
    known: usize,
    epoch: u64,
    file: StateFile,
}

impl Record {
    /// Opens the record of a route in a folder.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(directory: &Path, route: &str) -> Result<Record, StateError> {
        let file = StateFile::open(directory, &format!("in-{route}.record"))?;
        let failed = |source| file.failed(source);
        match file.file.metadata().map_err(failed)?.len() {
            0 => file.file.set_len(SIZE as u64).map_err(failed)?,
            len if len == SIZE as u64 => {}
            _ => return Err(file.foreign()),
        }
        // SAFETY: the file is locked by this process, in a folder of this user, and no correct program
        // changes its length or, while it is locked, its contents.
        let map = unsafe { MmapMut::map_mut(&*file.file) }.map_err(failed)?;
        let mut record = Record { map, known: 0, epoch: 0, file };
        match record.words()[0].load(Acquire) {
            0 => record.words()[0].store(MAGIC, Release),
            MAGIC => {}
            _ => return Err(record.file.foreign()),
        }
        let epochs = [record.epoch_of(0), record.epoch_of(1)];
        record.known = usize::from(epochs[1] > epochs[0]);
        record.epoch = epochs[0].max(epochs[1]);
        Ok(record)
    }

    /// Returns the newest entry, of whose message it may not be known whether it was sent, and the one
    /// before.
    pub fn entries(&mut self) -> [Option<Entry>; 2] {
        let newest = usize::from(self.epoch_of(1) > self.epoch_of(0));
        [self.read(newest), self.read(1 - newest)]
    }

    /// Decides whether the message of the newest entry counts as sent.
    pub fn settle(&mut self, newest_was_sent: bool) {
        let newest = usize::from(self.epoch_of(1) > self.epoch_of(0));
        self.known = if newest_was_sent { newest } else { 1 - newest };
    }

    /// Records a message that is to be sent.
    pub fn intend(&mut self, entry: Entry) {
        let index = 1 - self.known;
        self.epoch += 1;
        let epoch = self.epoch;
        let position = entry.position.map_or(u64::MAX, |position| position);
        let channel = u64::from(entry.channel.0) << 32 | u64::from(entry.channel.1);
        let [begin, fields @ ..] = self.entry(index) else { return };
        // Release keeps the order of all of them.
        begin.store(0, Release);
        let values = [channel, position, entry.sequence, entry.stream, entry.sum];
        for (word, value) in fields.iter().zip(values) {
            word.store(value, Release);
        }
        begin.store(epoch, Release);
    }

    /// Records that the message of the last intent was sent.
    pub fn confirm(&mut self) {
        self.known = 1 - self.known;
    }

    /// Makes the newest entry one that was being written.
    #[cfg(test)]
    pub fn tear(&mut self) {
        let newest = usize::from(self.epoch_of(1) > self.epoch_of(0));
        self.entry(newest)[0].store(0, Release);
    }

    fn words(&mut self) -> &mut [AtomicU64] {
        // The file has whole words, and a mapping begins with a page.
        <[AtomicU64]>::mut_from_bytes(&mut self.map[..]).unwrap_or_default()
    }

    fn entry(&mut self, index: usize) -> &mut [AtomicU64] {
        let begin = 1 + index * ENTRY;
        self.words().get_mut(begin..begin + ENTRY).unwrap_or_default()
    }

    fn epoch_of(&mut self, index: usize) -> u64 {
        self.entry(index).first().map_or(0, |epoch| epoch.load(Acquire))
    }

    fn read(&mut self, index: usize) -> Option<Entry> {
        let [epoch, channel, position, sequence, stream, sum] = self.entry(index) else {
            return None;
        };
        let [epoch, channel, position] = [epoch, channel, position].map(|word| word.load(Acquire));
        let [sequence, stream, sum] = [sequence, stream, sum].map(|word| word.load(Acquire));
        (epoch != 0).then_some(Entry {
            channel: ((channel >> 32) as u32, channel as u32),
            position: (position != u64::MAX).then_some(position),
            sequence,
            stream,
            sum,
        })
    }
}

#[cfg(test)]
mod tests;
