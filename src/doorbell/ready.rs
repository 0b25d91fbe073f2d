//! Which handles of a doorbell are ready, and the event that shows it to those that wait for the
//! descriptor.
//!
//! The event is readable for three reasons: a handle is ready and the doorbell is polled; the doorbell
//! was notified; a handle was interrupted. The flags of the last two are set before it is made
//! readable, without the lock, and it is made unreadable only under the lock, before the flags are
//! looked at.

use std::os::fd::{AsFd, BorrowedFd};

#[cfg(feature = "async")]
use super::Kind;
use super::registration::lock;
use super::{Doorbell, State};
use crate::sync::plain::Ordering::{AcqRel, Relaxed, SeqCst};
use crate::wait::doorbell;

impl Doorbell {
    /// Returns the descriptor, which is readable while a handle is ready from now on.
    pub(crate) fn polled_fd(&self) -> BorrowedFd<'_> {
        if !self.is_forked() && !self.is_polled.swap(true, Relaxed) {
            let mut state = lock(&self.state);
            self.show_ready(&mut state);
            // It may be readable for what no wait has seen.
            self.clear_event(&state);
        }
        self.poll.as_fd()
    }

    /// Makes the descriptor readable until [`take_notification`](Doorbell::take_notification). Safe
    /// in a signal handler.
    pub(crate) fn notify(&self) {
        if !self.is_forked() {
            self.is_notified.store(true, SeqCst);
            self.event.set();
        }
    }

    /// Looks for interrupted handles at the next wait. Safe in a signal handler.
    pub(super) fn note_interrupt(&self) {
        self.is_interrupted.store(true, SeqCst);
        self.event.set();
    }

    /// Returns whether it was notified since the last call.
    pub(crate) fn take_notification(&self) -> bool {
        let was_notified = self.is_notified.load(Relaxed) && self.is_notified.swap(false, AcqRel);
        if was_notified {
            self.clear_event(&lock(&self.state));
        }
        was_notified
    }

    /// Returns the keys of the handles that are ready.
    pub(crate) fn ready(&self) -> Vec<u32> {
        let mut state = lock(&self.state);
        if !state.ready.is_empty() {
            self.show_ready(&mut state);
        }
        state.ready.clone()
    }

    /// Records that a handle is not ready any more: it is armed, and there is nothing to do.
    pub(crate) fn is_armed(&self) {
        if self.is_polled.load(Relaxed) {
            self.show_ready(&mut lock(&self.state));
        }
    }

    /// Records that a handle is ready again although it was not rung.
    pub(crate) fn is_ready(&self, key: u32) {
        #[cfg(feature = "async")]
        if self.kind == Kind::Tasks {
            return;
        }
        let mut state = lock(&self.state);
        if self.set_ready(&mut state, key) {
            // For a thread that waits.
            self.event.set();
        }
    }

    /// Returns whether it was not ready before.
    pub(super) fn set_ready(&self, state: &mut State, key: u32) -> bool {
        let State { entries, ready, .. } = state;
        let place = (key as usize).wrapping_sub(1);
        let Some(Some(entry)) = entries.get_mut(place) else { return false };
        let is_new = !std::mem::replace(&mut entry.is_ready, true);
        if is_new {
            ready.push(key);
            self.show(state);
        }
        is_new
    }

    /// Drops the keys of armed handles from `ready`, unless an interrupt is to be reported: another thread
    /// may have armed the handle since.
    pub(super) fn show_ready(&self, state: &mut State) {
        let State { entries, ready, .. } = state;
        ready.retain(|key| {
            entries[*key as usize - 1].as_mut().is_some_and(|entry| {
                let is_armed = doorbell::is_waiting(&entry.view.record().armed);
                entry.is_ready = !is_armed || entry.registration.calls().is_pending();
                entry.is_ready
            })
        });
        self.show(state);
    }

    /// Makes the event readable for others while a handle is ready, and not longer.
    fn show(&self, state: &mut State) {
        let is_shown = self.is_polled.load(Relaxed) && !state.ready.is_empty();
        match (std::mem::replace(&mut state.is_shown, is_shown), is_shown) {
            (false, true) => self.event.set(),
            (true, false) => self.clear_event(state),
            _ => {}
        }
    }

    /// Makes the event unreadable, unless it is to be seen for another reason.
    pub(super) fn clear_event(&self, state: &State) {
        self.event.clear();
        // A thread that sets a flag makes the event readable after it.
        let flags = [&self.is_notified, &self.is_interrupted];
        if state.is_shown || flags.iter().any(|flag| flag.load(SeqCst)) {
            self.event.set();
        }
    }
}
