//! The last resort: examining an armed handle that was not rung for a slice.
//!
//! Something may be wrong without anybody ringing: a waker was stopped (SIGSTOP) before it rang, a
//! member that was rung takes nothing, the set or the segment was removed by hand, or the end of a
//! process is not visible from here. Whatever looks like it makes the handle ready, so that its next
//! call finds out. An idle handle costs a few loads for each slice, and two system calls once a
//! second.

use std::time::Duration;

use super::view::{Ends, View, Work};
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::doorbell;

/// How often an armed handle is examined.
const SLICE: Duration = Duration::from_millis(200);

/// The same if a member's end is not reported by a pidfd: the latency of its death.
const BLIND_SLICE: Duration = Duration::from_millis(20);

/// How often a ring is searched for work whose ends do not change. A message that is published after
/// its end moved on is announced by its sender, if only once that is continued (SIGCONT).
const SEARCHES: u32 = 2;

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
    /// The ends of the ring, and how often nothing was found since they changed.
    ends: Option<Ends>,
    unsuccessful: u32,
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
            (self.work, self.ends) = (None, None);
            return Suspicion::None;
        }
        // Set by a process that was killed before it rang.
        let is_removed = view.parking().is_removed();
        let has_news = is_removed || self.has_changed(view) || self.is_neglected(view, now);
        match has_news || self.is_over(view, now) {
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

    /// Returns whether somebody has had the duty for a slice, or work has been there for one.
    fn is_neglected(&mut self, view: &View, now: u64) -> bool {
        if now < self.next_work {
            return false;
        }
        self.next_work = now + SLICE.as_nanos() as u64;
        let work = self.search(view);
        let last = std::mem::replace(&mut self.work, work);
        let is_left = work.is_some() && work == last;
        let is_rung = doorbell::is_rung(&view.record().armed);
        let is_due = doorbell::is_due(view.parking());
        if is_left && !is_rung && !is_due {
            // Nobody was about to ring: counted like a blocked call that its slice ends.
            view.parking().overslept.fetch_add(1, Relaxed);
        }
        is_rung || is_due || is_left
    }

    /// Returns the work for the handle. The slots of an idle channel are not loaded again and again.
    fn search(&mut self, view: &View) -> Work {
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

    fn is_over(&mut self, view: &View, now: u64) -> bool {
        if now < self.next_over {
            return false;
        }
        self.next_over = now + OVER_EVERY.as_nanos() as u64;
        view.is_over()
    }
}
