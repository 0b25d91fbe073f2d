//! The search for messages of dead receivers, and when it can be skipped.
//!
//! A search scans every slot, so a receiver remembers an unsuccessful search, by a snapshot of what
//! was known of the dead before it: the seats whose holder had died, the sum of these holders' stamps,
//! and the count of messages that were orphaned. While all are unchanged, there is nothing to find.
//!
//! That holds because every way in which such a message arises changes one of them:
//!
//! - A receiver dies: its seat is one of the dead, and was none before; or an earlier holder of it had
//!   died. The stamps of one seat only grow, and a member signs its record with its own stamp before it
//!   takes a message. So while the seats are the same ones, the sum grows with each such death.
//! - Another member takes the seat and clears what the dead one left
//!   ([`release_slots_of`](Ring::release_slots_of)): the count grows.
//! - A member that lost its seat, and has not noticed yet, takes a message: neither that nor its
//!   death changes anything. But a sender that finds the slot in its way orphans the message: the
//!   count grows.
//!
//! Two different states must not be taken for the same one, however:
//!
//! - The search checks each owner when it meets it, after the snapshot. A member that took a dead
//!   one's seat in between is alive, and if it dies before it signs, everything is again as it was
//!   in the snapshot, with the message still where it was. So a search is remembered only if it was
//!   *conclusive*: every owner that it found alive is alive in the snapshot as well.
//! - A stamp that counts is read before the kernel is asked which seats are taken, never after: the
//!   stamp of a seat found empty is that of the dead holder, or of one before it. Read after, it could
//!   be that of a living successor, whose later death would look like one that was already searched
//!   for. So the stamps of the seats that are free are read, and the kernel is asked a second time if
//!   there are any. A member that dies in between has died a moment later. If there are none, nobody
//!   who died in a seat that was free has a message: a successor that has removed a stamp, by leaving,
//!   had released the messages of the dead before, and the count, which is read first of all, grew.
//!   The lines of living members are not read.
//!
//! The stamps that honest members sign only grow. One that corrupts its segment may hide messages
//! anyway.

use super::consumer::{Consumer, Held};
use super::{Ring, Watch};
use crate::flavor::{SEATS_MAX, SeatSet};

/// What was known of the dead at one moment. It is a small value on the stack: a receiver in a signal
/// handler must not allocate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    orphaned: u64,
    /// The seats whose holder died and that no member took since.
    dead: SeatSet,
    /// The sum of the stamps of these holders. It cannot overflow.
    stamps: u128,
}

impl Snapshot {
    /// Asks the kernel which of the seats are taken, by `ask`, and returns its answer with what is
    /// known of the dead. `stamp` returns 0 for a seat that has no holder according to the members'
    /// table.
    pub(crate) fn take<A, E>(
        ring: &Ring,
        seats: usize,
        stamp: impl Fn(u8) -> u64,
        ask: impl Fn() -> Result<A, E>,
        is_taken: impl Fn(&A, u8) -> bool,
    ) -> Result<(A, Snapshot), E> {
        let mut snapshot = Snapshot { orphaned: ring.orphaned(), dead: SeatSet::EMPTY, stamps: 0 };
        let seats = 0..seats.min(SEATS_MAX) as u8;
        let (mut stamps, mut has_stamps) = ([0; SEATS_MAX], false);
        let alive = ask()?;
        for seat in seats.clone().filter(|&seat| !is_taken(&alive, seat)) {
            let stamp = stamp(seat);
            stamps[usize::from(seat)] = stamp;
            has_stamps |= stamp != 0;
        }
        if !has_stamps {
            return Ok((alive, snapshot));
        }
        let alive = ask()?;
        for (seat, &stamp) in seats.zip(&stamps) {
            if stamp != 0 && !is_taken(&alive, seat) {
                snapshot.insert(seat, stamp);
            }
        }
        Ok((alive, snapshot))
    }

    fn insert(&mut self, seat: u8, stamp: u64) {
        self.dead.insert(seat);
        self.stamps += u128::from(stamp);
    }

    /// Returns whether this is the count of orphaned messages at that moment.
    pub(crate) fn has_count(&self, orphaned: u64) -> bool {
        self.orphaned == orphaned
    }

    /// For models, whose kernel reports all seats and their holders at once.
    #[cfg(test)]
    pub(crate) fn of(orphaned: u64, stamps: &[u64]) -> Snapshot {
        let mut snapshot = Snapshot { orphaned, dead: SeatSet::EMPTY, stamps: 0 };
        let dead = (0..).zip(stamps).filter(|(_, stamp)| **stamp != 0);
        dead.for_each(|(seat, &stamp)| snapshot.insert(seat, stamp));
        snapshot
    }
}

impl Consumer {
    /// Takes over a message whose receiver died or returned it, if there is one that was delivered
    /// less than `leave` times. Does not search again while `now` equals the `searched` snapshot of
    /// the last unsuccessful search.
    pub(crate) fn adopt<W: Watch>(
        &self,
        leave: u8,
        now: &Snapshot,
        searched: &mut Option<Snapshot>,
        watch: W,
    ) -> Result<Option<Held>, W::Error> {
        Search { now, searched, watch }.run(|watch| self.take_over(leave, watch))
    }

    /// Returns whether there is such a message, and leaves it to others.
    pub(crate) fn may_adopt<W: Watch>(
        &self,
        leave: u8,
        now: &Snapshot,
        searched: &mut Option<Snapshot>,
        watch: W,
    ) -> Result<bool, W::Error> {
        let one = |watch: Searching<'_, W>| Ok(self.has_orphan(leave, watch)?.then_some(()));
        Ok(Search { now, searched, watch }.run(one)?.is_some())
    }
}

/// A search, with the snapshot before it and the one before the last unsuccessful search.
struct Search<'a, W> {
    now: &'a Snapshot,
    searched: &'a mut Option<Snapshot>,
    watch: W,
}

impl<W: Watch> Search<'_, W> {
    /// Scans the slots unless an equal snapshot was searched without success; remembers this search
    /// if it is unsuccessful and conclusive.
    fn run<T>(
        self,
        look_through: impl FnOnce(Searching<'_, W>) -> Result<Option<T>, W::Error>,
    ) -> Result<Option<T>, W::Error> {
        let Search { now, searched, watch } = self;
        if searched.as_ref() == Some(now) {
            return Ok(None);
        }
        let mut conclusive = true;
        let found = look_through(Searching { watch, now, conclusive: &mut conclusive })?;
        if found.is_none() && conclusive {
            *searched = Some(*now);
        }
        Ok(found)
    }
}

/// Compares the liveness checks of the scan with the snapshot before it.
struct Searching<'a, W> {
    watch: W,
    now: &'a Snapshot,
    conclusive: &'a mut bool,
}

impl<W: Watch> Watch for Searching<'_, W> {
    type Error = W::Error;

    fn is_dead(&mut self, seat: u8) -> Result<bool, W::Error> {
        let dead = self.watch.is_dead(seat)?;
        if !dead && self.now.dead.contains(seat) {
            *self.conclusive = false;
        }
        Ok(dead)
    }

    fn freed(&mut self) {
        self.watch.freed();
    }

    fn orphaned(&mut self) {
        self.watch.orphaned();
    }

    fn unblocked(&mut self) {
        self.watch.unblocked();
    }

    /// A message that was left where it is must be found again.
    fn left_out(&mut self) {
        *self.conclusive = false;
    }
}
