//! The search for messages of dead receivers, and when it can be skipped.
//!
//! A search scans every slot, so a receiver remembers an unsuccessful search, by a snapshot of what
//! was known of the dead before it: for each seat the stamp of the holder that died in it, and the
//! count of messages that were orphaned. While both are unchanged, there is nothing to find.
//!
//! That holds because every way in which such a message arises changes one of them:
//!
//! - A receiver dies: its seat has a stamp, where it had none or that of an earlier holder. Stamps
//!   of one seat never repeat, and a member signs its record with its own stamp before it takes a
//!   message.
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
//! - Stamps are read before the kernel is asked which seats are taken, never after: the stamp of a
//!   seat found empty is that of the dead holder, or of one before it. Read after, it could be that
//!   of a living successor, whose later death would look like one that was already searched for.

use super::consumer::{Consumer, Held};
use super::{Ring, Watch};
use crate::flavor::SEATS_MAX;

/// For each seat whose holder died and that no member took since, the stamp of that holder; 0 for
/// all other seats.
pub(crate) type Stamps = [u64; SEATS_MAX];

/// What was known of the dead at one moment. It lives on the stack: a receiver in a signal handler
/// must not allocate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    orphaned: u64,
    dead: Stamps,
}

impl Snapshot {
    /// Reads the count, then every seat's stamp, before the kernel is asked which seats are taken.
    /// `stamp` returns 0 for a seat that has no holder according to the members' table.
    pub(crate) fn before(ring: &Ring, seats: usize, stamp: impl Fn(u8) -> u64) -> Snapshot {
        let (orphaned, mut dead) = (ring.orphaned(), [0; SEATS_MAX]);
        for (seat, place) in (0..).zip(dead.iter_mut().take(seats)) {
            *place = stamp(seat);
        }
        Snapshot { orphaned, dead }
    }

    /// Removes the stamps of living members.
    pub(crate) fn without(mut self, is_taken: impl Fn(u8) -> bool) -> Snapshot {
        for (seat, stamp) in (0..).zip(&mut self.dead) {
            if *stamp != 0 && is_taken(seat) {
                *stamp = 0;
            }
        }
        self
    }

    /// Returns whether this is the count of orphaned messages at that moment.
    pub(crate) fn has_count(&self, orphaned: u64) -> bool {
        self.orphaned == orphaned
    }

    /// Returns the stamps of the dead.
    pub(crate) fn stamps(&self) -> &Stamps {
        &self.dead
    }

    /// For models, whose kernel reports all seats and their holders at once.
    #[cfg(test)]
    pub(crate) fn of(orphaned: u64, stamps: &[u64]) -> Snapshot {
        let mut dead = [0; SEATS_MAX];
        dead[..stamps.len()].copy_from_slice(stamps);
        Snapshot { orphaned, dead }
    }

    /// Returns whether this seat's holder had died.
    fn is_dead(&self, seat: u8) -> bool {
        self.dead.get(usize::from(seat)).is_some_and(|&stamp| stamp != 0)
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
        if !dead && self.now.is_dead(seat) {
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
