//! The broadcast ring: the SPSC ring with a progress record for each receiver.
//!
//! *Sender and slots* are those of `spsc.rs`: the state of a slot publishes its message, and no
//! receiver writes to it. So any number of receivers can read the same slots.
//!
//! *Receivers.* Each has a record in the progress table, with its own head and credit. While the
//! record names a *holder*, the sender waits for it: it never writes to a slot whose message a
//! receiver that it waits for has not acknowledged. How many receivers there are matters only when
//! the sender comes near its limit, some times in a lap.
//!
//! *Why no receiver is overrun while it joins.* The sender has a word `granted`, the first position
//! that it may not have written to; only the sender stores it, and it never goes back. A receiver
//! that joins begins at most a ring before it, where nothing can have been overwritten yet, and the
//! two may move at the same time:
//!
//! ```text
//! G1  sender      least := the least head of all records that name a holder, or its own position.
//! G2  sender      granted := least + capacity, but no more than half of a ring from its own
//!                 position, and not less than before.
//! G3  sender      Executes a fence, unless the receivers' barrier (J4) stands for it.
//! G4  sender      If a receiver has arrived since before G1: least := the same again. Writes up to
//!                 least + capacity, but not beyond granted.
//!                 What it may write already stays permitted.
//! J0  receiver    Takes its seat. Unless it continues for a dead one: the record begins anew, at the
//!                 oldest position, with no name and no delivery. Then it stores its label.
//! J1  receiver    Swaps the name in its record for none.
//! J2  receiver    head := granted - capacity, but not less than the position at which it wants to
//!                 start.
//! J3  receiver    The record names this receiver. Counts its arrival, in the word that also says which
//!                 seats the sender looks at.
//! J4  receiver    Executes a fence, and `membarrier`: a fence in the sender, wherever it is.
//! J5  receiver    head := the same, again. It never begins before that.
//! J6  receiver    Wakes a parked sender.
//! ```
//!
//! A grant costs no fence: a sender that is registered for `membarrier` leaves that to the receivers,
//! which join rarely (`wait/mod.rs` says what happens where there is none). If the barrier comes before
//! G2 in the sender, G4 finds the record of J3; if it comes after, J5 finds what G2 stored. A sender
//! with little room left grants itself more at the start of a run, so that it seldom stands still.
//!
//! **Invariant.** Whenever the sender writes at a position `p`, `p < granted`, and
//! `p < head + capacity` for every receiver that has passed J5 and is a holder. Of the fences in G3
//! and J4, one comes first. If it is G3, J5 finds what G2 stored, and the receiver begins where this
//! grant does not reach. If it is J4, G4 finds the record of J3, whose head is not above that of J5,
//! since neither `granted` nor the wanted position goes back. A sender that was killed between G2 and
//! G4 leaves `granted` too high, by half of a ring at most; then receivers that join begin later
//! than they might.
//!
//! A look that finds the record between J3 and J5 finds a head that is too low at most: the sender
//! waits a moment longer. It does not take back what G4 has permitted before: the receivers that were
//! named then have not gone back, and the others begin where that does not reach. A sender that
//! parks because of such a look is woken in J6, even if the receiver never calls.
//!
//! *Why a receiver that dies while it joins loses nothing.* A receiver may continue for a dead one of
//! the same label, at its head. Until J5, and for ever if it dies before, the record shows the head of
//! the dead one, or, if messages behind that were overwritten, the oldest position. It is not moved
//! back to messages that were acknowledged. One that continues for nobody has begun the record anew
//! before its label could be found (J0). But the number of those that were overwritten is known to
//! the receiver alone: one that dies before it has reported it takes it along.
//!
//! *Why a dead receiver holds nobody up.* Its record still names it. A sender that has no room asks
//! the kernel whether the seat of the slowest holder is free. If it is, the one that was named there
//! before has ended, and the sender clears the name by a compare-and-swap: a successor in the seat
//! has another stamp. A slow receiver that lives is never passed over.
//!
//! A sender that has no room asks for all receivers, not only for the slowest. One that lives may
//! be as far behind as a dead one. When it has made room, it sees that the record of the dead one
//! still holds the slots, and wakes nobody. The death itself woke the sender, but that was before. So
//! a receiver that is named while the sender is parked was alive when it last asked, or joined later, and
//! the kernel posts a token when it dies.
//!
//! *An overwriting channel* has the same ring, whose sender waits for nobody: G1 finds no record. Its
//! receivers read like taps (`tap/mod.rs`): they copy a message to private memory, and take it only if
//! the tail and `granted` show that the sender had not begun to overwrite it. One that was overrun goes
//! on a quarter of a ring after the oldest message, and is told how many it missed. To receivers and
//! senders, everything else is the same: a copy is a slot (`private_copy.rs`), which stands in for that
//! of the ring until the message is acknowledged.
//!
//! A receiver that leaves clears its name itself. Its head stays, and so does that of a dead one: a
//! receiver of the same label continues there, if the messages are still in the ring.
//!
//! *What other words prove.* A head ahead of the sender, or a grant that no sender at this tail can have
//! made, is reported as corruption. A head that is far behind, or any credit, makes the sender wait,
//! as a receiver that receives nothing does.

mod private_copy;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use self::private_copy::PrivateCopy;
use crate::layout::Progress;
use crate::ring::spsc::Consumer;
use crate::ring::{Corrupt, Ring};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::{fence, plain};

/// A receiver that has joined and not left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinedReceiver {
    /// Its head, or its credit.
    pub(crate) position: u64,
    pub(crate) seat: u8,
    /// Its stamp.
    holder: u64,
}

/// Where a receiver of a broadcast channel starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// At the oldest message that is still in the ring, received by others or not.
    #[default]
    Oldest,
    /// At the next message that is sent.
    Next,
    /// At this position. If its message was overwritten, the first call that receives returns
    /// [`RecvError::Lagged`](crate::RecvError::Lagged), and the next one the oldest message. If it was
    /// not sent yet, the receiver starts at the next message that is sent.
    Position(u64),
}

/// Performs G3.
fn grant_fence(fences: bool) {
    // The model has no membarrier: both sides execute a fence.
    if fences || cfg!(loom) {
        fence(SeqCst);
    }
    #[cfg(not(loom))]
    crate::sync::compiler_fence(SeqCst);
}

impl Ring {
    /// Returns whether this is a broadcast channel's ring.
    #[inline(always)]
    pub(crate) fn is_broadcast(&self) -> bool {
        self.progress.is_some()
    }

    /// Returns the progress table; empty unless this is a broadcast channel's ring.
    fn progress(&self) -> &[Progress] {
        // SAFETY: `new`'s contract; a record consists of atomics.
        self.progress.map_or(&[], |table| unsafe { table.as_ref() })
    }

    /// Returns the oldest position whose message was not overwritten for certain.
    pub(super) fn oldest(&self) -> u64 {
        // Positions begin at 0.
        self.header().credit.0.load(Acquire).saturating_sub(self.capacity())
    }

    /// Returns the receiver that is furthest behind the sender at `position`, by its head if `exact`,
    /// and otherwise by its credit; `None` if there is none to wait for.
    pub(crate) fn slowest(&self, position: u64, exact: bool) -> Option<JoinedReceiver> {
        if self.overwrites {
            return None;
        }
        // By distance: a head that is ahead of the sender is no honest one, and is reported.
        self.receivers(exact).max_by_key(|receiver| position.wrapping_sub(receiver.position))
    }

    /// Returns the receivers that have joined and not left, dead ones included.
    pub(crate) fn receivers(&self, exact: bool) -> impl Iterator<Item = JoinedReceiver> {
        // Seats that no receiver has had yet are not looked at.
        let (table, used) = (self.progress(), self.arrivals() as u32 as usize);
        let used = table.len().min(used);
        table[..used].iter().zip(0..).filter_map(move |(record, seat)| {
            // Acquire: the head that the holder stored before it.
            let holder = record.shown.holder.load(Acquire);
            let word = if exact { &record.head.0 } else { &record.shown.credit };
            let position = word.load(Acquire);
            (holder != 0).then_some(JoinedReceiver { position, seat, holder })
        })
    }

    /// Returns how often a receiver has arrived, in the upper half, and one past the last seat that one
    /// has had, in the lower half. Acquire: the record of each is visible.
    fn arrivals(&self) -> u64 {
        self.header().head.0.load(Acquire)
    }

    /// Records the arrival of a receiver in a seat.
    fn arrive(&self, seat: u8) {
        let word = &self.header().head.0;
        let mut old = self.arrivals();
        loop {
            let used = (old as u32).max(u32::from(seat) + 1);
            let new = (old >> 32).wrapping_add(1) << 32 | u64::from(used);
            match word.compare_exchange(old, new, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Performs G1 to G4 for a sender at `position`. Returns how many slots it may write from there on.
    /// Without `fences`, the receivers that join execute a barrier in this process (J4).
    ///
    /// # Errors
    /// A head that no honest receiver has, if it looks at the heads (`exact`).
    pub(super) fn grant(&self, position: u64, exact: bool, fences: bool) -> Result<u64, Corrupt> {
        let arrivals = self.arrivals();
        let behind = || {
            let slowest = self.slowest(position, exact);
            slowest.map_or(0, |slowest| position.wrapping_sub(slowest.position))
        };
        let first = behind();
        if first > u64::MAX / 2 && exact {
            return Err(Corrupt("a receiver acknowledged an unsent message"));
        }
        // It is more for a receiver that joins, too.
        let Some(room) = self.capacity().checked_sub(first) else { return Ok(0) };
        let room = room.min(self.grant_at_once());
        let (granted, end) = (&self.header().credit.0, position.wrapping_add(room));
        if granted.load(Relaxed) < end {
            // Release: a process that finds it finds what was sent before.
            granted.store(end, Release);
        }
        grant_fence(fences);
        // If none has arrived since, nobody was missed by the first look, and heads only move on.
        Ok(match self.arrivals() == arrivals {
            true => room,
            false => room.min(self.capacity().saturating_sub(behind())),
        })
    }

    /// Returns how far a sender goes before it looks at its receivers again. The messages in the slots
    /// before that are what a late receiver can still get: half of the ring.
    fn grant_at_once(&self) -> u64 {
        (self.capacity() / 2).max(1)
    }

    /// Clears the name of a receiver whose seat was found free: nobody waits for it any more.
    pub(crate) fn forget_dead(&self, dead: JoinedReceiver) {
        if let Some(record) = self.progress().get(usize::from(dead.seat)) {
            // If it fails, a successor is named there, or another sender cleared it.
            let holder = &record.shown.holder;
            let _ = holder.compare_exchange(dead.holder, 0, AcqRel, Relaxed);
        }
    }

    /// Returns the head of the receiver that is furthest behind, as an observer or a receiver sees
    /// it; `None` if there is no receiver.
    pub(super) fn slowest_head(&self) -> Option<u64> {
        // Signed: a receiver may have gone past that tail meanwhile, and is not the slowest for that.
        let tail = self.tail();
        let behind = |receiver: &JoinedReceiver| tail.wrapping_sub(receiver.position) as i64;
        if self.overwrites {
            return None;
        }
        self.receivers(true).max_by_key(behind).map(|slowest| slowest.position)
    }

    /// Returns whether a sender at this position waits for a receiver.
    pub(crate) fn is_held_up_at(&self, position: u64) -> bool {
        let behind = |slowest: JoinedReceiver| position.wrapping_sub(slowest.position);
        self.slowest(position, true).is_some_and(|slowest| behind(slowest) >= self.capacity())
    }

    /// Returns the head of the receiver in a seat, or of the last one there.
    pub(crate) fn head_of(&self, seat: u8) -> u64 {
        self.progress().get(usize::from(seat)).map_or(0, |record| record.head.0.load(Acquire))
    }

    /// Returns how many messages the receiver in a seat missed, or the last one there.
    pub(crate) fn missed_by(&self, seat: u8) -> u64 {
        let record = self.progress().get(usize::from(seat));
        record.map_or(0, |record| record.shown.missed.load(Relaxed))
    }

    /// Performs J2 to J5 for the receiver in a seat, which has a stamp that no holder of it had before.
    ///
    /// `barrier` executes one in the sender, if that executes none in G3.
    ///
    /// # Errors
    /// There is no such seat, or the sender has a grant that no honest sender has.
    pub(crate) fn join(
        &self,
        seat: u8,
        stamp: u64,
        start: Start,
        barrier: impl FnOnce(),
    ) -> Result<Consumer, Corrupt> {
        let record = self.progress().get(usize::from(seat));
        let record = record.ok_or(Corrupt("a receiver has a seat that does not exist"))?;
        // A swap: it comes after the sender's compare-and-swap that forgets the last holder, or makes
        // it fail.
        record.shown.holder.swap(0, AcqRel);
        let wanted = match start {
            Start::Oldest => 0,
            Start::Next => self.tail(),
            Start::Position(position) => position.min(self.tail()),
        };
        let set = |head: u64| {
            record.head.0.store(head, Release);
            record.shown.credit.store(head, Release);
        };
        set(self.oldest().max(wanted));
        record.shown.holder.store(stamp, Release);
        self.arrive(seat);
        fence(SeqCst);
        barrier();
        let oldest = self.oldest();
        // The tail lags by one run at most.
        if oldest > self.header().tail.0.load(Relaxed).saturating_add(self.run()) {
            self.leave(seat);
            return Err(Corrupt("the sender may have written past the end of the ring"));
        }
        let first = oldest.max(wanted);
        set(first);
        let missed = match start {
            Start::Position(position) => oldest.saturating_sub(position),
            Start::Oldest | Start::Next => 0,
        };
        Ok(Consumer::of_record(*self, record, first, missed))
    }

    /// Makes the record of a seat that of a receiver that has acknowledged nothing, before the label of
    /// a new holder, who is no successor, is stored: should it die before J2, a receiver of its label
    /// would continue where another one stopped.
    pub(crate) fn begin_record(&self, seat: u8) {
        if let Some(record) = self.progress().get(usize::from(seat)) {
            record.shown.holder.swap(0, AcqRel);
            record.head.0.store(self.oldest(), Release);
            record.shown.delivery.store(0, plain::Ordering::Relaxed);
        }
    }

    /// Clears the name of a receiver that leaves.
    pub(crate) fn leave(&self, seat: u8) {
        if let Some(record) = self.progress().get(usize::from(seat)) {
            record.shown.holder.store(0, Release);
        }
    }
}
