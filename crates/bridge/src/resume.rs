//! Where an incoming route goes on: the last message that was sent into the channel.
//!
//! The record names one message of which it does not tell whether it was sent, with the position that it
//! was to have. The channel tells it. An SPSC or broadcast channel has one sender, which is this bridge now:
//! a position below the tail was sent. In an MPMC channel, other senders go on, and the slot at that
//! position tells, as long as no message a lap or more later was sent. The position alone does not: a place
//! that a dead sender reserved is free for others. So the record has a checksum of the message.

use sysvring::untyped::Sender;
use sysvring::{Error, Flavor, Tap, TapStart};

use crate::engine::Source;
use crate::record::{Entry, Record, checksum};

/// Where a route goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The sequence of the last message that was sent, or 0.
    pub after: u64,
    /// A message that may be sent twice: it is not known whether it was sent.
    pub doubtful: Option<u64>,
}

/// Returns where a route goes on, and decides in the record which entry counts.
///
/// # Errors
/// Those of a look at the channel.
pub fn resume(record: &mut Record, channel: &Sender, source: Source) -> Result<Resume, Error> {
    let of_stream = |entry: &Entry| entry.stream == source.identity;
    let [newest, before] = record.entries();
    // An entry is begun only when the message of the other one is known to be sent.
    let is_known = before.is_none();
    let [newest, before] = [newest.filter(of_stream), before.filter(of_stream)];
    let mut doubtful = None;
    let sent = match newest {
        // The channel is another one, in which the message is not.
        Some(entry) if !entry.is_of(channel.id()) => {
            record.settle(entry.position.is_none());
            return Ok(Resume { after: elsewhere(entry, before, source), doubtful: None });
        }
        Some(entry) => {
            match entry.position.map(|position| was_sent(channel, position, entry.sum)) {
                None => Some(entry),
                Some(_) if is_known => Some(entry),
                // It was acknowledged after it was sent.
                Some(_) if source.floor >= Some(entry.sequence) => Some(entry),
                Some(looked) => match looked? {
                    Sent::Yes => Some(entry),
                    Sent::No => None,
                    Sent::Unknown => {
                        doubtful = Some(entry.sequence);
                        None
                    }
                },
            }
        }
        None => None,
    };
    record.settle(sent.is_some());
    let before = before.filter(|entry| entry.is_of(channel.id()));
    let recorded = sent.or(before).map_or(0, |entry| entry.sequence);
    Ok(Resume { after: recorded.max(source.floor.unwrap_or(0)), doubtful })
}

/// Returns where a route goes on in a channel that was made anew: behind the last message that is
/// acknowledged, if the server knows that, and otherwise behind the last one of the record.
fn elsewhere(newest: Entry, before: Option<Entry>, source: Source) -> u64 {
    let known = if newest.position.is_none() { Some(newest) } else { before };
    source.floor.or(known.map(|entry| entry.sequence)).unwrap_or(0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Yes,
    No,
    Unknown,
}

fn was_sent(channel: &Sender, position: u64, sum: u64) -> Result<Sent, Error> {
    if channel.flavor() != Flavor::Mpmc {
        let ahead = channel.stat()?.tail.wrapping_sub(position);
        return Ok(if (1..u64::MAX / 2).contains(&ahead) { Sent::Yes } else { Sent::No });
    }
    let (mut tap, mut message) =
        (Tap::open(channel.id(), TapStart::Position(position))?, Vec::new());
    Ok(match tap.try_next(&mut message)? {
        Some(tapped) if tapped.position == position && checksum(&message) == sum => Sent::Yes,
        // Another sender took the place.
        Some(tapped) if tapped.position == position => Sent::No,
        Some(tapped) if tapped.missed == 0 => Sent::No,
        None if tap.missed() == 0 => Sent::No,
        _ => Sent::Unknown,
    })
}
