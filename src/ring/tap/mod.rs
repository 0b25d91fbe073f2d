//! Taps: reading the messages of a live ring without taking part in it. A tap stores nothing, so
//! nobody waits for it: what it copies may be overwritten meanwhile, and it has to find that out.
//!
//! A tap goes through the positions in their order. At each, it loads the slot state (Acquire: the
//! payload that the state publishes is visible), copies the payload, executes an Acquire fence, and
//! looks again at the word in which a sender leaves a trace before it overwrites the slot. If there
//! is no trace, the copy is whole; otherwise it is thrown away.
//!
//! *Why a trace cannot be missed.* A sender leaves it, executes a Release fence, and only then
//! stores to the payload. A tap whose copy contains anything of those stores has read it before its
//! Acquire fence: the two fences synchronise, and the load after the fence finds the trace, or a
//! later value of that word. So the argument needs three steps in this order on each side; on
//! x86-64 the fences are no instruction, because stores and loads keep their order there, each
//! among themselves. (The standard library of C copies messages of a megabyte or so with stores
//! that x86-64 need not keep in order. Such a store would have to pass an older one by as long as
//! the whole copy takes.) Fences order atomic accesses. A tap copies by atomic loads or in assembly
//! (`message.rs`); a sender's stores are plain ones, and what orders them is the instruction that
//! the fence is, and that the compiler moves no store across it.
//!
//! *The trace of an SPSC sender* is the tail, for it writes to a slot nothing but the message. It
//! stores the tail at the start of each run, which has at most [`Ring::run`] slots and ends with
//! the lap. So with `begun(tail) = min(tail + run, the next lap)`:
//!
//! > Whenever a sender stores to the payload of position `q`, `q < begun(tail)` for the tail that it
//! > stored before.
//!
//! This holds for a loan that is dropped, and for a sender that was killed: its successor begins at
//! the first position that was not published, which is not before that tail, and stores it. Neither
//! the tail nor `begun` ever goes back. A copy of position `p` is whole if `p + capacity` is not
//! before `begun(tail)`. It is also whole if `head <= p`: the sender writes there only after it has
//! loaded a head or a credit above `p` (Acquire), which comes before the fence of that run. The
//! head is on a line that the receiver writes for every message, so it is loaded only if the tail
//! does not decide. The state says nothing more: it stays FULL until the next message is complete.
//! What is known in the end is less than a ring: the last `capacity - run` messages, and all that
//! were not acknowledged.
//!
//! *The trace of an MPMC sender* is its claim, in the state itself. From FULL on the payload stays
//! as it is until the slot is CLAIMED in a later lap. So a copy is whole if the state after it is
//! FULL or READING of the lap, or FREE of the next one, or HELD with this position as its origin.
//!
//! *What was sent at a position of an MPMC ring* is decided by the state alone:
//!
//! | state at a position of lap `l` | the position |
//! |---|---|
//! | an older lap, FREE(l), CLAIMED(l) | may still get a message: the tap waits |
//! | FULL(l), READING(l) | has a message |
//! | FREE(l + 1) | had a message that was received |
//! | FREE(l + 1) with the mark *unsent* | had none: it was abandoned, or stepped over |
//! | HELD(l) | was stepped over: it has none |
//! | HELD of a later lap | has a message if the origin is this position; if the origin is an older one, it was stepped over |
//! | SKIP(l) | had none so far: a sender may claim it again |
//! | any other state of a later lap | is lost: overwritten, or about to be |
//!
//! A claim of a dead sender is waited for, as receivers wait, until one of them makes it a SKIP.
//! Without the mark, FREE(l + 1) could follow SKIP(l) or HELD(l), and the payload would be half of
//! a message, or an older one. An origin that is read after the HELD state is not below that of its
//! message, and above it only if a later message was held there (`mpmc/origin.rs`).
//!
//! A tap passes over a SKIP once it has seen a message behind it and the SKIP after that. From then
//! on no sender *finds* the position claimable (`Ahead::is_last`). One that found it so before, and
//! was stopped between that look and its swap, can still send there. That message is not reported
//! and not counted: no word shows that it will come.
//!
//! *Corrupted segments.* Nothing that a tap loads is used as an address or a length: positions are
//! masked, and every walk is bounded. A writer that does not follow the protocol can make a tap
//! report any bytes, miss messages, or find none.

mod mpmc;
mod spsc;
#[cfg(all(test, not(loom)))]
mod tests;

use super::{Corrupt, Ring, Slot};
use crate::flavor::Flavor;

/// The number of positions that one call passes at most.
const STEPS: usize = 256;

/// The maximum number of slots of a walk: a segment of another user may claim any capacity.
const WALK: u64 = 1 << 16;

/// What was found at a position.
#[derive(Debug)]
pub(super) enum Seen<R> {
    /// A message, copied whole.
    Whole(R),
    /// No message yet.
    NotYet,
    /// It has changed while the tap looked.
    Changed,
    /// No message was sent there, nor will be.
    Unsent,
    /// It was overwritten, or may have been. Nothing before this position is worth a look.
    Lost(u64),
}

/// The outcome of a call.
#[derive(Debug)]
pub(crate) enum Tapped<R> {
    Message {
        position: u64,
        copy: R,
    },
    Nothing,
    /// So many positions were passed, or changed, that the call gave up; the next one continues.
    Overtaken,
}

/// What a tap has counted. Together they are the positions that it has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages.
    pub(crate) seen: u64,
    /// Positions that were overwritten before they were read, or perhaps while they were.
    pub(crate) missed: u64,
    /// Positions at which nothing was sent.
    pub(crate) unsent: u64,
}

/// The place of a tap in a ring.
#[derive(Debug)]
pub(crate) struct Follower {
    ring: Ring,
    flavor: Flavor,
    position: u64,
    counts: Counts,
    /// A position behind which the last SKIPs were passed: there is a message at it.
    message: u64,
}

impl Follower {
    pub(crate) fn new(ring: Ring, flavor: Flavor, position: u64) -> Follower {
        Follower { ring, flavor, position, counts: Counts::default(), message: position }
    }

    /// Returns the next position.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Returns whether the message of a position is in the ring and not acknowledged.
    pub(crate) fn is_waiting(&self, position: u64) -> bool {
        self.ring.is_waiting(self.flavor, position)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Copies the next message. `copy` may be called several times; only the last call before a
    /// message counts. It must read the slot by atomic loads or in assembly.
    ///
    /// # Errors
    /// A state that no member writes. The position stays.
    pub(crate) fn next<R>(
        &mut self,
        mut copy: impl FnMut(u64, Slot<'_>) -> R,
    ) -> Result<Tapped<R>, Corrupt> {
        for _ in 0..STEPS {
            let position = self.position;
            let seen = match self.flavor {
                Flavor::Spsc | Flavor::Broadcast => self.ring.tap_spsc(position, &mut copy)?,
                Flavor::Mpmc => self.ring.tap_mpmc(position, &mut self.message, &mut copy)?,
            };
            match seen {
                Seen::Whole(copy) => {
                    self.pass(1, |counts| &mut counts.seen);
                    return Ok(Tapped::Message { position, copy });
                }
                Seen::NotYet => return Ok(Tapped::Nothing),
                Seen::Changed => {}
                Seen::Unsent => self.pass(1, |counts| &mut counts.unsent),
                Seen::Lost(on) => {
                    // By distance: positions wrap. It is another process' number.
                    let lost = on.wrapping_sub(position) as i64;
                    self.pass(lost.max(1) as u64, |counts| &mut counts.missed);
                }
            }
        }
        Ok(Tapped::Overtaken)
    }

    /// Passes the next positions, and counts them.
    fn pass(&mut self, positions: u64, count: fn(&mut Counts) -> &mut u64) {
        self.position = self.position.wrapping_add(positions);
        let count = count(&mut self.counts);
        *count = count.wrapping_add(positions);
    }
}

impl Ring {
    /// Returns the first position that was not sent yet.
    pub(crate) fn tap_from_now(&self, flavor: Flavor) -> u64 {
        match flavor {
            Flavor::Spsc | Flavor::Broadcast => self.tail(),
            Flavor::Mpmc => self.first_unsent(),
        }
    }

    /// Returns the first position whose message can still be read, received or not.
    pub(crate) fn tap_from_oldest(&self, flavor: Flavor) -> u64 {
        match flavor {
            Flavor::Spsc | Flavor::Broadcast => self.oldest_left_alone(),
            Flavor::Mpmc => self.oldest_not_lost(),
        }
    }

    /// Returns whether the message of a position is in the ring and not acknowledged.
    pub(crate) fn is_waiting(&self, flavor: Flavor, position: u64) -> bool {
        match flavor {
            Flavor::Spsc | Flavor::Broadcast => self.is_unreceived(position),
            Flavor::Mpmc => self.is_unacknowledged(position),
        }
    }

    /// Returns where a tap that was overtaken continues: a quarter of the ring behind the oldest
    /// position that it could read, so that it is not overtaken again at once.
    fn margin(&self) -> u64 {
        self.capacity() / 4
    }
}
