//! The waiting table: the number of waiting threads of each member, in one word for each seat.
//!
//! ```text
//! 63                     33   32  31      30 29            0
//! +------------------------+------+----------+--------------+
//! |      incarnation       | side | resigned |   threads    |
//! +------------------------+------+----------+--------------+
//! ```
//!
//! The member that has the seat writes its word: a new incarnation with no threads when it joins,
//! one thread more or less when a thread starts or ends waiting. Other members do one thing only:
//! they clear the count of a member that died while it waited, by a compare-and-swap of a word that
//! they read *before* they found the seat's semaphore at zero. A new member in that seat has
//! another incarnation, so a late cleaner cannot clear its count. A member never lowers a count
//! that is not its own: one that lost its seat (`unshare`) finds another incarnation there, and
//! detects its eviction by that.
//!
//! A member that leaves and may not say so to the kernel resigns here, by a compare-and-swap of its
//! own word: a later holder's word has another incarnation, so nobody resigns for another member.
//! What follows from that is in `liveness/resignation.rs`.

use core::ptr::NonNull;

use super::Side;
use crate::flavor::SEATS_MAX;
use crate::layout;
use crate::liveness::{Departure, Resigned, Seat, SemaphoreValues, next_incarnation};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};

/// One thread in the count of a word.
const ONE: u64 = 1;
const COUNT: u64 = 0x3fff_ffff;
const RESIGNED_SHIFT: u32 = 30;
const RESIGNED: u64 = 3 << RESIGNED_SHIFT;
const SIDE_SHIFT: u32 = 32;
const INCARNATION_SHIFT: u32 = 33;

/// The holder of a seat: a later holder of the same seat has another incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) seat: Seat,
    pub(crate) incarnation: u32,
}

impl Holder {
    /// Returns the word of the holder without threads, which has not resigned.
    fn identity(self) -> u64 {
        u64::from(self.incarnation) << INCARNATION_SHIFT | side_bit(self.seat.side)
    }
}

fn side_bit(side: Side) -> u64 {
    match side {
        Side::Senders => 0,
        Side::Receivers => 1 << SIDE_SHIFT,
    }
}

fn incarnation(word: u64) -> u32 {
    (word >> INCARNATION_SHIFT) as u32
}

/// Returns the bits of a resignation.
fn resignation(departure: Departure) -> u64 {
    let number = match departure {
        Departure::Leave => 1,
        Departure::Finish => 2,
        Departure::Courier => 3,
    };
    number << RESIGNED_SHIFT
}

/// Returns the number of threads of this side that a word counts.
fn threads(word: u64, side: Side) -> u32 {
    if word & 1 << SIDE_SHIFT == side_bit(side) { (word & COUNT) as u32 } else { 0 }
}

/// The words of the seats. The table is empty where a side has one member that one thread uses, for
/// then there is no other waiter to pass a wake-up on to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a>(pub(crate) &'a [AtomicU64]);

impl<'a> Table<'a> {
    /// Returns the table of a channel with this number of seats.
    ///
    /// # Safety
    /// A header and the tables behind it must lie at `base`, and must stay there for as long as the
    /// table is used.
    pub(crate) unsafe fn at(base: NonNull<u8>, seats: usize) -> Table<'a> {
        // SAFETY: the caller's promise; the words are atomics.
        Table(unsafe {
            let first = base.add(layout::waiting_at(seats)).cast::<AtomicU64>();
            NonNull::slice_from_raw_parts(first, seats).as_ref()
        })
    }

    fn word(&self, seat: u8) -> Option<&AtomicU64> {
        self.0.get(usize::from(seat))
    }

    /// Returns the incarnations of the last holders of all seats; to be read before a seat is
    /// taken.
    pub(crate) fn incarnations(&self) -> Vec<u32> {
        self.0.iter().map(|word| incarnation(word.load(Acquire))).collect()
    }

    /// Assigns the word of a seat that was just taken to its new holder. Returns `None` if the
    /// incarnation is not what it was before: another member signed there in between, in another
    /// set of this channel, or has died since.
    pub(crate) fn sign(&self, seat: Seat, before: &[u32]) -> Option<Holder> {
        let (word, &last) = self.word(seat.number).zip(before.get(usize::from(seat.number)))?;
        let holder = Holder { seat, incarnation: next_incarnation(last) };
        let mut old = word.load(Relaxed);
        // Only a late cleaner can change it meanwhile.
        while incarnation(old) == last {
            match word.compare_exchange(old, holder.identity(), AcqRel, Relaxed) {
                Ok(_) => return Some(holder),
                Err(now) => old = now,
            }
        }
        None
    }

    /// Records that the holder of a seat has left, as it may not say so to the kernel. Returns false
    /// if the seat belongs to another member.
    pub(crate) fn resign(&self, holder: Holder, departure: Departure) -> bool {
        // None of its threads waits any more.
        self.change(holder, |_| Some(holder.identity() | resignation(departure)))
    }

    /// Returns the holder of a seat if it has resigned. What it wrote before is visible then.
    pub(crate) fn resigned(&self, number: u8) -> Option<Resigned> {
        let word = self.word(number)?.load(Acquire);
        let departures = [Departure::Leave, Departure::Finish, Departure::Courier];
        let departure = departures.into_iter().find(|&d| word & RESIGNED == resignation(d))?;
        let side = match word & 1 << SIDE_SHIFT {
            0 => Side::Senders,
            _ => Side::Receivers,
        };
        Some(Resigned { seat: Seat { number, side }, incarnation: incarnation(word), departure })
    }

    /// Forgets a resignation that nothing is left to be done for.
    pub(crate) fn settle(&self, resigned: Resigned) {
        let Resigned { seat, incarnation, departure } = resigned;
        let identity = Holder { seat, incarnation }.identity();
        if let Some(word) = self.word(seat.number) {
            // A successor has signed, or another process was faster: both are fine.
            let old = identity | resignation(departure);
            let _ = word.compare_exchange(old, identity, AcqRel, Relaxed);
        }
    }

    /// Returns all holders of seats that have resigned.
    pub(crate) fn all_resigned(self) -> impl Iterator<Item = Resigned> + 'a {
        (0..self.0.len()).filter_map(move |seat| self.resigned(seat as u8))
    }

    /// Returns whether the seat still belongs to its holder, as far as the table shows, and it has
    /// not resigned.
    pub(crate) fn is_of(&self, holder: Holder) -> bool {
        let word = self.word(holder.seat.number);
        word.is_none_or(|word| word.load(Relaxed) & !COUNT == holder.identity())
    }

    /// Counts a thread that is about to park. Returns false if the seat belongs to another member.
    pub(super) fn add(&self, holder: Holder) -> bool {
        self.change(holder, |word| (word & COUNT != COUNT).then(|| word + ONE))
    }

    /// Subtracts the thread from the count. The member may have been evicted meanwhile, or may have
    /// lost its seat.
    pub(super) fn remove(&self, holder: Holder) {
        self.change(holder, |word| (word & COUNT != 0).then(|| word - ONE));
    }

    fn change(&self, holder: Holder, to: impl Fn(u64) -> Option<u64>) -> bool {
        let Some(word) = self.word(holder.seat.number) else { return true };
        let mut old = word.load(Relaxed);
        while old & !COUNT == holder.identity()
            && let Some(new) = to(old)
        {
            match word.compare_exchange(old, new, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
        false
    }

    /// Returns the number of waiting threads of a member.
    pub(crate) fn threads_of(&self, holder: Holder) -> u32 {
        self.word(holder.seat.number)
            .map_or(0, |word| threads(word.load(Acquire), holder.seat.side))
    }

    /// Returns the number of threads of the holder of a seat that wait.
    pub(crate) fn threads_in(&self, seat: Seat) -> u32 {
        self.word(seat.number).map_or(0, |word| threads(word.load(Acquire), seat.side))
    }

    /// Returns whether any thread of this side waits, dead members included.
    pub(super) fn has_waiters(&self, side: Side) -> bool {
        self.0.iter().any(|word| threads(word.load(Acquire), side) != 0)
    }

    /// Returns whether any thread of this side other than the calling waiter waits.
    pub(super) fn has_waiters_beside(&self, own: Holder) -> bool {
        let side = own.seat.side;
        let others = |(seat, word): (u8, &AtomicU64)| {
            threads(word.load(Acquire), side) > u32::from(seat == own.seat.number)
        };
        (0..).zip(self.0).any(others)
    }

    /// Clears the counts of members that died while they waited. `look` reads the semaphores and is
    /// called after the words were read: a member that joins later has another incarnation.
    pub(super) fn clear_dead<E>(
        &self,
        own: Holder,
        look: impl FnOnce() -> Result<SemaphoreValues, E>,
    ) -> Result<SemaphoreValues, E> {
        let mut words = [0; SEATS_MAX];
        for (copy, word) in words.iter_mut().zip(self.0) {
            *copy = word.load(Acquire);
        }
        let alive = look()?;
        for ((seat, word), &old) in (0..).zip(self.0).zip(&words) {
            if old & COUNT != 0 && seat != own.seat.number && !alive.is_taken(seat) {
                // Another thread cleared it, or a new member signed: both are fine.
                let _ = word.compare_exchange(old, old & !COUNT, AcqRel, Relaxed);
            }
        }
        Ok(alive)
    }

    /// Clears all counts. Call it only while there are no members.
    pub(crate) fn forget(&self) {
        for word in self.0 {
            word.fetch_and(!COUNT, AcqRel);
        }
    }
}
