//! The last resort: examining an armed handle that was not rung for a slice.
//!
//! Something may be wrong without anybody ringing: a waker was stopped (SIGSTOP) before it rang, a
//! member that was rung takes nothing, the set or the segment was removed by hand, or the end of a
//! process is not visible from here. Whatever looks like it makes the handle ready, so that its next
//! call finds out. An idle handle costs a few loads for each slice, and two system calls once a
//! second.

use std::time::Duration;

use super::view::{View, Work};
use crate::role::Side;
use crate::wait::doorbell;

/// How often an armed handle is examined.
const SLICE: Duration = Duration::from_millis(200);

/// The same if a member's end is not reported by a pidfd: the latency of its death.
const BLIND_SLICE: Duration = Duration::from_millis(20);

/// How often it is checked that the channel exists.
const OVER_EVERY: Duration = Duration::from_secs(1);

/// What is known of a handle since it was last examined.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// A member's end is not reported.
    pub(super) is_blind: bool,
    /// Which seats were taken, if the handle is blind.
    taken: Option<Vec<bool>>,
    /// The work that was there last time.
    work: Work,
    next_work: u64,
    next_over: u64,
}

/// The result of an examination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    None,
    Found,
}

impl Watch {
    pub(super) fn interval(&self) -> Duration {
        if self.is_blind { BLIND_SLICE } else { SLICE }
    }

    /// Forgets which members were there: the handle's owner is about to look.
    pub(super) fn forget_members(&mut self) {
        self.taken = None;
    }

    pub(super) fn look(&mut self, view: &View, now: u64) -> Suspicion {
        if !doorbell::is_waiting(&view.record().armed) {
            self.work = None;
            return Suspicion::None;
        }
        match self.has_changed(view) || self.is_neglected(view, now) || self.is_over(view, now) {
            true => Suspicion::Found,
            false => Suspicion::None,
        }
    }

    /// Returns whether a member that is not watched has come or gone.
    fn has_changed(&mut self, view: &View) -> bool {
        if !self.is_blind {
            return false;
        }
        let Ok(values) = view.members().semaphore_values(view.seats()) else { return true };
        let taken: Vec<_> = (0..view.seats()).map(|seat| values.is_taken(seat as u8)).collect();
        let last = self.taken.replace(taken);
        last.is_none() || last != self.taken
    }

    /// Returns whether somebody has had the duty for a slice, or work has been there for one, or a
    /// sender has a little room.
    fn is_neglected(&mut self, view: &View, now: u64) -> bool {
        if now < self.next_work {
            return false;
        }
        self.next_work = now + SLICE.as_nanos() as u64;
        let work = view.work();
        let last = std::mem::replace(&mut self.work, work);
        // A sender was armed because there was no room. It takes room that is too little for a ring
        // now, as a blocked sender does.
        let is_sender = view.seat().side == Side::Senders;
        let is_left = work.is_some() && (work == last || is_sender);
        doorbell::is_rung(&view.record().armed) || doorbell::is_due(view.parking()) || is_left
    }

    fn is_over(&mut self, view: &View, now: u64) -> bool {
        if now < self.next_over {
            return false;
        }
        self.next_over = now + OVER_EVERY.as_nanos() as u64;
        view.is_over()
    }
}
