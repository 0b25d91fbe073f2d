//! Doorbells: waking members that wait for a file descriptor instead of the wake semaphore.
//!
//! A process that waits for many channels at once has one *doorbell*: a message queue that every
//! other process can open by name, and that is readable while it holds a message. A member of such
//! a process *arms* the doorbell for its channel when it finds nothing to do; a member that
//! provides work then *rings* it, by a message with the member's key. Doorbells and the wake
//! semaphore (`mod.rs`) are independent of each other: each publication wakes a parked thread and
//! rings a doorbell, if there are such.
//!
//! # Why no ring is lost
//!
//! A side has the bit BELL beside PARKED, and each member has one word: ARMED, RUNG, its side and
//! its key. *Work* and *the duty* are what they are in `mod.rs`.
//!
//! ```text
//! P1  publisher        Publishes, then loads the parking word, as in `mod.rs`. BELL is clear: done.
//! W1  waker            Clears BELL. If it was clear already: done, another thread has the duty.
//! W2  waker            Looks for a living member of the side whose word is ARMED and not RUNG, and
//!                      sets RUNG by a compare-and-swap. It sets RUNG for dead ones on the way.
//!                      None: W3 for every member that is ARMED. If only one was ARMED, it
//!                      does not ask whether that one is living.
//! W3  waker            Puts the member's key into its queue, unless that is full.
//! A1  waiter           Swaps its word for ARMED. If RUNG was set, it has the duty.
//! A2  waiter           Sets BELL; an SPSC receiver also sets FENCE.
//! A3  waiter           Executes a barrier, as in S3.
//! A4  waiter           If a member has joined or died since it last looked: opens the pidfd of
//!                      every other member, and sets RUNG in the armed words of free seats. Polls
//!                      exactly and takes what it finds. Found something: D1. Nothing: waits for its
//!                      descriptors. In both cases: O1 if it has the duty.
//! N1  waiter, in any   Takes the slow path. Found something without A1: D1, then O1 if it has the
//!     later call       duty.
//! D1  waiter           Swaps its word for zero. If RUNG was set, it has the duty.
//! R1  woken by a key   Takes the keys from its queue. For each of them whose word is RUNG: D1.
//! R2  woken by a pidfd For each channel of that process: sets RUNG for members that it knew and that
//!                      are dead; D1, and has the duty.
//! O1  waiter that has  After its next attempt: if no other member is ARMED, done.
//!     the duty
//! O2  same             Sets BELL and executes a barrier.
//! O3  same             Polls exactly without taking anything. If there is work: W1.
//! J1  joining member   Takes its seat; counts its joining; executes a fence; then, for every ARMED
//!                      member of both sides, sets RUNG and performs W3. A member that has left, and
//!                      a process that has removed the channel, do the same.
//! ```
//!
//! **Invariant.** A member is *committed* from a poll in A4 that found nothing until D1. While it
//! is, its word is ARMED. While there is also work, then BELL is set and a publisher is between its
//! publication and its load of the parking word; or a living process has the duty, that is, it is
//! between W1 and W3, or its key is in its queue, or it is between D1 and the end of O3; or the
//! committed member has a readable descriptor.
//!
//! The argument is that of `mod.rs`, with one difference. A token that is posted outlives every
//! process, and the kernel posts more when a process ends; a key is worth nothing once its owner is
//! dead. Here, the pidfds stand for that: *every* committed member has a pidfd of each other member
//! of the channel. When a process ends that had the duty, they all look for themselves. The kernel
//! makes a pidfd readable after it has given back the seat, so that they see what that end means.
//!
//! A member that joined after A4 is not known to the committed ones. It can have the duty only
//! after J1, and J1 has put a key into the queue of each of them. If it is killed within J1, it had
//! no duty yet, but may have set RUNG without W3; so RUNG does not mean that a key was sent: a
//! waker that finds nobody else sends the keys again, and O1 counts those that are RUNG. A full
//! queue holds [`LENGTH`](crate::sysv::mqueue::LENGTH) keys; a waiter that takes that many looks at
//! all of its words. One that has only a few takes one key, looks at all of them, and leaves the
//! other keys for later: whatever was rung before is found, and whatever is rung after that leaves
//! the queue readable.
//!
//! A dead member is not rung in place of a living one: W2 asks the kernel whether its seat is taken. The seat may be taken
//! by a successor that has not cleared the word yet (J1), and that may be killed before it does.
//! But if a committed member knew the dead one, it was told of the death by the pidfd and has set
//! RUNG for it in R2, unless it has not handled that yet, and then its descriptor is readable. If
//! it did not, it has set RUNG in A4, or the successor had the seat by then, and is known.
//!
//! The threads of a member share its word and its duty. A call that ends in A4 performs O1 as well,
//! since another thread may have got the duty after its poll. A call that is not caused by a ring may
//! find what the ring was for; without N1, the duty would stay in the queue of a process that is busy
//! with what it has found.
//!
//! Nothing has to balance: BELL may stay set without an armed member, and a surplus key costs one
//! poll.
//!
//! # The last resort
//!
//! As in `mod.rs`, a process can be stopped while it has the duty, and objects can be removed by
//! hand. So a member that is committed for a slice is examined by its own process:
//! `doorbell/watch.rs`.

use super::parking::BELL;
use super::{FenceRequest, Parker};
use crate::error::Fault;
use crate::layout::Parking;
use crate::role::Side;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, SeqCst};

/// The member waits to be rung.
const ARMED: u64 = 1 << 0;
/// A waker has chosen this member, or is about to ring every member.
const RUNG: u64 = 1 << 1;
/// The member is a receiver.
const RECEIVER: u64 = 1 << 2;
/// The member's key, in the upper half.
const KEY_SHIFT: u32 = 32;

/// The members of a channel, as a waker sees them.
pub(crate) trait Doorbells {
    fn seats(&self) -> u8;

    /// Returns the word of a seat.
    fn word(&self, seat: u8) -> &AtomicU64;

    /// Returns whether a living process has the seat.
    fn is_alive(&self, seat: u8) -> Result<bool, Fault>;

    /// Puts a key into the queue of the member in a seat. Returns whether the queue holds a key now.
    fn send(&self, seat: u8, key: u32) -> bool;

    /// Returns the seat at which a search begins: behind the one that was rung last, so that all get
    /// their turn.
    fn first(&self) -> u8;
}

/// Returns whether a word is that of an armed member of this side.
fn is_armed(word: u64, side: Side) -> bool {
    word & ARMED != 0 && (word & RECEIVER != 0) == (side == Side::Receivers)
}

fn key(word: u64) -> u32 {
    (word >> KEY_SHIFT) as u32
}

/// Performs A1. Returns whether the member has the duty: it was armed and rung before.
pub(crate) fn arm(word: &AtomicU64, side: Side, key: u32) -> bool {
    let receiver = if side == Side::Receivers { RECEIVER } else { 0 };
    // It is ordered by what follows in A2 and A3.
    word.swap(u64::from(key) << KEY_SHIFT | receiver | ARMED, SeqCst) & RUNG != 0
}

/// Performs A2 and A3, or O2.
pub(crate) fn announce<P: Parker>(parker: &P, parking: &Parking, request: Option<&FenceRequest>) {
    let asks = request.is_some_and(FenceRequest::sets_flag);
    let was_asked = parking.announce(BELL, asks);
    if let Some(request) = request {
        request.complete(was_asked, parker);
    }
    parker.fence();
}

/// Performs D1. Returns whether the member has the duty.
pub(crate) fn disarm(word: &AtomicU64) -> bool {
    word.swap(0, AcqRel) & RUNG != 0
}

/// Returns whether the word is armed.
pub(crate) fn is_waiting(word: &AtomicU64) -> bool {
    word.load(Acquire) & ARMED != 0
}

/// Returns whether RUNG is set.
pub(crate) fn is_rung(word: &AtomicU64) -> bool {
    word.load(Acquire) & RUNG != 0
}

/// Returns whether the member waits to be rung.
pub(crate) fn awaits_ring(word: &AtomicU64) -> bool {
    word.load(Acquire) & (ARMED | RUNG) == ARMED
}

/// Returns whether BELL is clear: somebody has the duty.
pub(crate) fn is_due(parking: &Parking) -> bool {
    parking.flags() & BELL == 0
}

/// Sets RUNG in an armed word. Returns false if it is not what it was.
fn mark(word: &AtomicU64, seen: u64) -> bool {
    word.compare_exchange(seen, seen | RUNG, AcqRel, Acquire).is_ok()
}

/// Returns the seats in the order of a search.
fn seats<D: Doorbells>(bells: &D) -> impl Iterator<Item = u8> + use<D> {
    let (seats, first) = (bells.seats(), bells.first());
    let first = if first < seats { first } else { 0 };
    (first..seats).chain(0..first)
}

/// Returns the seats of the armed members of a side.
fn armed(bells: &impl Doorbells, side: Side) -> impl Iterator<Item = u8> {
    (0..bells.seats()).filter(move |&seat| is_armed(bells.word(seat).load(Acquire), side))
}

/// Performs W1 to W3. Returns whether it rang a doorbell.
#[cold]
pub(crate) fn ring<D: Doorbells>(bells: &D, parking: &Parking, side: Side) -> Result<bool, Fault> {
    if !parking.take_bell() {
        return Ok(false);
    }
    let mut all = armed(bells, side);
    // One that waits alone is rung without a question: if it is dead, nobody else could be rung.
    let alone = all.next().filter(|_| all.next().is_none());
    for seat in seats(bells) {
        let word = bells.word(seat);
        let seen = word.load(Acquire);
        if !is_armed(seen, side) || seen & RUNG != 0 {
            continue;
        }
        let can_answer = alone == Some(seat)
            || bells.is_alive(seat).inspect_err(|_| {
                // Somebody else may be able to.
                parking.set(BELL);
            })?;
        if mark(word, seen) && can_answer && bells.send(seat, key(seen)) {
            return Ok(true);
        }
    }
    let mut has_rung = false;
    for seat in 0..bells.seats() {
        let seen = bells.word(seat).load(Acquire);
        has_rung |= is_armed(seen, side) && bells.send(seat, key(seen));
    }
    Ok(has_rung)
}

/// Rings a doorbell, whether BELL is set or not: O2 and W1 without O3.
pub(crate) fn pass_on(bells: &impl Doorbells, parking: &Parking, side: Side) -> Result<(), Fault> {
    parking.set(BELL);
    ring(bells, parking, side).map(drop)
}

/// Performs W1, and W2 and W3 for every armed member: what was published is for each of them. Returns
/// whether it was set.
#[cold]
pub(crate) fn ring_each<D: Doorbells>(
    bells: &D,
    parking: &Parking,
    side: Side,
) -> Result<bool, Fault> {
    let is_due = parking.take_bell();
    if is_due {
        ring_all(bells, side);
    }
    Ok(is_due)
}

/// Rings every armed member of a side (J1).
#[cold]
pub(crate) fn ring_all(bells: &impl Doorbells, side: Side) {
    for seat in 0..bells.seats() {
        let word = bells.word(seat);
        let seen = word.load(Acquire);
        // If the word has changed, its member has just looked or is about to look.
        if is_armed(seen, side) && (seen & RUNG != 0 || mark(word, seen)) {
            bells.send(seat, key(seen));
        }
    }
}

/// Sets RUNG for an armed member that is dead (R2), so that no waker chooses it. If the word belongs
/// to a successor in the seat by now, that one is rung.
pub(crate) fn pass_over(bells: &impl Doorbells, seat: u8) {
    let word = bells.word(seat);
    let seen = word.load(Acquire);
    if seen & ARMED != 0 && seen & RUNG == 0 && mark(word, seen) {
        bells.send(seat, key(seen));
    }
}

/// Returns whether another member of the side is armed (O1). One whose RUNG is set may have been
/// sent no key (J1).
pub(crate) fn has_others(bells: &impl Doorbells, own: u8, side: Side) -> bool {
    armed(bells, side).any(|seat| seat != own)
}
