//! The last resort: examining an armed handle that was not rung for a slice.
//!
//! Something may be wrong without anybody ringing: a waker was stopped (SIGSTOP) before it rang, a
//! member that was rung takes nothing, the set or the segment was removed by hand, or the end of a
//! process is not visible from here. Whatever looks like it makes the handle ready, so that its next
//! call finds out. An idle handle costs a few loads for each slice, and two system calls in five of
//! them. The more handles a doorbell has, the longer is the slice, so that idle ones cost next to
//! nothing however many they are.

use std::time::Duration;

use super::view::{Ends, View};
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::doorbell;

/// How often an armed handle is examined: at least once in this time,
const SLICE: Duration = Duration::from_millis(200);

/// or in this time for each handle of its doorbell, if that is longer.
const SLICE_PER_HANDLE: Duration = Duration::from_millis(1);

/// The same if a member's end is not reported by a pidfd: the latency of its death.
const BLIND_SLICE: Duration = Duration::from_millis(20);

/// How often a ring is searched for work whose ends do not change. A message that is published after
/// its end moved on is announced by its sender, if only once that is continued (SIGCONT).
const SEARCHES: u32 = 2;

/// After how many slices it is checked that the channel exists.
const OVER_EVERY: u32 = 5;

/// Returns how often each handle is examined if there are `handles` of them.
pub(super) fn slice(handles: usize) -> Duration {
    SLICE.max(SLICE_PER_HANDLE.saturating_mul(handles as u32))
}

/// What is known of a handle since it was last examined.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// A member's end is not reported.
    pub(super) is_blind: bool,
    /// Which seats were taken, if the handle is blind.
    taken: Option<Vec<bool>>,
    /// The work that was there last time.
    work: Option<Ends>,
    /// The ends of the ring, and how often nothing was found since they changed.
    ends: Option<Ends>,
    unsuccessful: u32,
    next_work: u64,
    next_over: u64,
}

impl Watch {
    pub(super) fn interval(&self, slice: Duration) -> Duration {
        if self.is_blind { BLIND_SLICE } else { slice }
    }

    /// Forgets which members were there: the handle's owner is about to look.
    pub(super) fn forget_members(&mut self) {
        self.taken = None;
    }

    /// Returns whether a handle that is not known to be ready should look for itself.
    pub(super) fn is_suspicious(
        &mut self,
        view: &View,
        rests: bool,
        now: u64,
        slice: Duration,
    ) -> bool {
        // The timer is for handles that are blind.
        if !self.is_blind && now < self.next_work {
            return false;
        }
        // Another process has disarmed it.
        if !doorbell::is_waiting(&view.record().armed) {
            return true;
        }
        // Set by a process that was killed before it rang.
        let is_removed = view.parking().is_removed();
        let has_news =
            is_removed || self.has_changed(view) || self.is_neglected(view, rests, now, slice);
        has_news || self.is_over(view, now, slice)
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
    fn is_neglected(&mut self, view: &View, rests: bool, now: u64, slice: Duration) -> bool {
        if now < self.next_work {
            return false;
        }
        self.next_work = now.saturating_add(slice.as_nanos() as u64);
        let work = if rests { None } else { self.search(view) };
        let last = std::mem::replace(&mut self.work, work);
        let is_rung = doorbell::is_rung(&view.record().armed);
        let is_due = doorbell::is_due(view.parking());
        let is_left = work.is_some() && work == last;
        // A sender was armed because there was no room. It takes room that is too little for a ring
        // now, as a blocked sender does.
        let is_enough = work.is_some_and(|ends| view.is_enough(ends));
        if is_left && is_enough && !is_rung && !is_due {
            // Nobody was about to ring: counted like a blocked call that its slice ends.
            view.parking().overslept.fetch_add(1, Relaxed);
        }
        is_rung || is_due || is_left || work.is_some() && !is_enough
    }

    /// Returns the ends of the ring if there is work. The slots of an idle channel are not loaded again
    /// and again.
    fn search(&mut self, view: &View) -> Option<Ends> {
        let ends = view.ends();
        if self.ends.replace(ends) != Some(ends) {
            self.unsuccessful = 0;
        }
        if self.unsuccessful == SEARCHES {
            return None;
        }
        let work = view.has_work().then_some(ends);
        self.unsuccessful = if work.is_some() { 0 } else { self.unsuccessful + 1 };
        work
    }

    fn is_over(&mut self, view: &View, now: u64, slice: Duration) -> bool {
        if now < self.next_over {
            return false;
        }
        self.next_over = now.saturating_add((slice * OVER_EVERY).as_nanos() as u64);
        view.is_over()
    }
}
