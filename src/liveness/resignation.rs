//! Freeing the seat of a member that left but may not say so to the kernel.
//!
//! A member that became another user after it had joined may have lost the permission for the set.
//! Its undo needs no permission, but happens only when its process ends. So it *resigns*: it records
//! in its word of the waiting table that it has left. Another process that may change the set, and
//! that looks for a seat or asks who is alive, then *vacates* the seat, by `SETVAL`: that sets a
//! semaphore, and discards what the kernel would undo on it for any process.
//!
//! # Why this frees the right seat, once
//!
//! Vacating needs the lifecycle semaphore, without which nobody joins. Under it, the word is read
//! again. If it shows a resignation, the seat has one of three holders:
//!
//! 1. The member that resigned. Its token is on the seat.
//! 2. None: its process has ended, or the seat was vacated before. The seat is 0.
//! 3. A successor that has not signed the word yet. It read the incarnation before it joined, so its
//!    own one is the next, and its token the other one of the two. The seat is left alone.
//!
//! (A successor that read the incarnation before the one that resigned had joined has the token of
//! case 1. It fails to sign, and withdraws: it did nothing, and finds that its seat is gone.) The end
//! of the old process at any moment turns case 1 into 2, and its undo changes nothing that was set
//! before: the kernel discards it with `SETVAL`. A process that is killed while it vacates leaves the
//! word as it is and the kernel undoes its lifecycle semaphore; each step below can be repeated. The
//! seat comes last, so nobody joins in between.
//!
//! # What can be set, and what remains until the old process ends
//!
//! `SETVAL` discards the undo of *all* processes, so only semaphores can be set that nobody but the
//! holder of this seat has operations on: the seat itself and, where a side has one seat ("alone":
//! both sides of an SPSC channel, the sender of a broadcast channel), the number of members of that
//! side and, for its sender, `died`. There the departure is complete: the other side is told, and the
//! stream ends if the sender finished.
//!
//! The others are shared, and keep what the old process added: `users` in any channel; `senders`,
//! `receivers` and `died` of an MPMC channel; `receivers` of a broadcast channel. Setting one of them
//! would let a later death go unnoticed, and subtracting without undo would count the end of the old
//! process twice. Therefore nobody is told by these counts who is there, but by the tokens of the
//! seats. What remains until the old process ends is what only the kernel compares with them:
//!
//! - `users`: a channel that lives as long as its members lives as long as that process, and is left
//!   to the next open or to `reap`.
//! - `senders`, `receivers`: a process that waits for an MPMC peer, or for broadcast receivers, polls
//!   instead of blocking; and an MPMC sender that joins after the end joins the old stream, as
//!   one beside the member that left, and does not open the next.
//! - `died`: at the end of its process, an MPMC sender that left counts as one that died. Until each
//!   of them has a successor, receivers that join are not told of the end of that stream.
//!
//! # What a process may do that writes to a word
//!
//! It may have the seat of a living member vacated. That member then finds that it lost its seat,
//! as after any change of the set from outside. The permission to write to the segment is that to
//! change the set, unless it was lost, and lets a process stop the channel in many other ways.

use super::membership::tokens_at_end;
use super::{ChannelSemaphores, DIED, Departure, FINISHED, Seat, count_sem, seat_sem, token_of};
use crate::flavor::Flavor;
use crate::role::Side;
use crate::sysv;
use crate::sysv::sem::Op;

/// A member that left, and may not have given its seat back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resigned {
    pub(crate) seat: Seat,
    pub(crate) incarnation: u32,
    pub(crate) departure: Departure,
}

/// Semaphores with a process that may set them: those of a set, or a model's.
pub(crate) trait Semaphores {
    type Error;

    /// Returns the value of a semaphore.
    fn value(&self, sem: u16) -> Result<i32, Self::Error>;

    /// Sets a semaphore, and discards the undo of all processes on it.
    fn set(&self, sem: u16, value: i32) -> Result<(), Self::Error>;
}

impl Semaphores for ChannelSemaphores {
    type Error = sysv::Errno;

    fn value(&self, sem: u16) -> sysv::Result<i32> {
        self.set.value(sem)
    }

    fn set(&self, sem: u16, value: i32) -> sysv::Result<()> {
        self.set.set_value(sem, value)
    }
}

/// Returns whether a side has one seat, so that nobody else has operations on its semaphores.
pub(super) fn is_alone(flavor: Flavor, side: Side) -> bool {
    match flavor {
        Flavor::Spsc => true,
        Flavor::Mpmc => false,
        Flavor::Broadcast => side == Side::Senders,
    }
}

impl Resigned {
    /// Returns whether this member is a sender that nobody but itself counts for.
    fn is_lone_sender(self, flavor: Flavor) -> bool {
        self.seat.side == Side::Senders
            && self.departure != Departure::Courier
            && is_alone(flavor, Side::Senders)
    }

    /// Returns whether something of this member is left to be given back: its seat, or the death that
    /// the end of its process counted.
    pub(crate) fn is_pending<S: Semaphores>(
        self,
        flavor: Flavor,
        set: &S,
    ) -> Result<bool, S::Error> {
        let Seat { number, side } = self.seat;
        let token = i32::from(token_of(self.departure.standing(side), self.incarnation));
        match set.value(seat_sem(number))? {
            0 => Ok(self.is_lone_sender(flavor) && set.value(DIED)? != 0),
            value => Ok(value == token || value == token + 1),
        }
    }

    /// Gives back what is left of this member, which the waiting table shows as resigned. Must be
    /// called only while the lifecycle semaphore is held, and the word was read since it was taken.
    pub(crate) fn vacate<S: Semaphores>(self, flavor: Flavor, set: &S) -> Result<bool, S::Error> {
        if !self.is_pending(flavor, set)? {
            return Ok(false);
        }
        let Seat { number, side } = self.seat;
        if self.departure == Departure::Finish && side == Side::Senders {
            // No death undoes it.
            set.set(FINISHED, 1)?;
        }
        if self.is_lone_sender(flavor) {
            // Before the count: without a sender, it would show a death.
            set.set(DIED, 0)?;
        }
        if self.departure != Departure::Courier && is_alone(flavor, side) {
            set.set(count_sem(side), 0)?;
        }
        set.set(seat_sem(number), 0)?;
        Ok(true)
    }
}

impl ChannelSemaphores {
    /// Wakes those whom the departure of a member concerns, as that did not.
    pub(crate) fn announce_vacated(&self, flavor: Flavor, side: Side) -> sysv::Result<()> {
        let posts = tokens_at_end(flavor, side).map(|(post, tokens)| Op::add(post, tokens));
        self.trimming(|| self.set.op(&posts))
    }
}
