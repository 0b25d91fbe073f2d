//! The handles of a doorbell: they are registered and taken out.

use std::ptr::NonNull;
use std::sync::Arc;

use super::registration::lock;
use super::watch::Watch;
use super::{Doorbell, Entry, Failed, Gate, QUEUE, Registration, State, View, entry, queue};
use crate::layout::Member;
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::Errno;
use crate::sysv::fork_guard::SharedForkGuard;
use crate::wait::doorbell;

/// How often a queue is created that another process takes for that of a dead one.
const ATTEMPTS: usize = 8;

impl Doorbell {
    /// Registers a handle; it is ready at first, and a thread that waits returns it. `mode`: that of
    /// its channel. The gate must stay where it is until the handle is taken out.
    ///
    /// # Errors
    /// `EBUSY` if it is registered already; the call that failed, if the queue cannot be made.
    pub(crate) fn register(
        self: &Arc<Doorbell>,
        view: View,
        registration: &Arc<Registration>,
        mode: u32,
        gate: Option<&SharedForkGuard>,
    ) -> Result<u32, Failed> {
        let mut state = lock(&self.state);
        let place = state.entries.iter().position(Option::is_none).unwrap_or_else(|| {
            state.entries.push(None);
            state.entries.len() - 1
        });
        let key = place as u32 + 1;
        if !registration.enter(self, key) {
            return Err(("register", Errno::EBUSY));
        }
        let record = view.record();
        // A call of another thread may have armed it when it left its last doorbell.
        let was_rung = doorbell::disarm(&record.armed);
        if let Err(failed) = self.open_queue(&mut state, record, mode) {
            record.doorbell.store(0, Relaxed);
            registration.exit();
            return Err(failed);
        }
        let registration = Arc::clone(registration);
        let gate = gate.map(|gate| Gate(NonNull::from(gate)));
        let watch = Watch::default();
        let entry = Entry { view, registration, gate, is_ready: false, watch };
        was_rung.then(|| entry.charge());
        state.entries[place] = Some(entry);
        self.set_ready(&mut state, key);
        self.event.set();
        self.set_timer(&state);
        Ok(key)
    }

    /// Opens the queue, unless it is open, for all that `mode` lets write. The member's record names it
    /// before it exists: a successor in the seat unlinks it.
    fn open_queue(&self, state: &mut State, record: &Member, mode: u32) -> Result<(), Failed> {
        let mode = state.mode | mode;
        if let Some((id, queue)) = &state.queue {
            record.doorbell.store(*id, Relaxed);
            if state.mode != mode {
                queue::permit(queue, mode).map_err(|errno| ("fchmod", errno))?;
                state.mode = mode;
            }
            return Ok(());
        }
        let mut attempts = 0;
        let (id, queue) = loop {
            let id = queue::fresh_id();
            record.doorbell.store(id, Relaxed);
            attempts += 1;
            match queue::create(id, mode) {
                Ok(queue) => break (id, queue),
                // Another process took it for that of a dead one, before it was locked.
                Err((_, Errno::EAGAIN)) if attempts < ATTEMPTS => {}
                Err(failed) => return Err(failed),
            }
        };
        self.poll.add(&queue, QUEUE, true, false).map_err(|errno| {
            queue::unlink(id);
            ("epoll_ctl", errno)
        })?;
        (state.queue, state.mode) = (Some((id, queue)), mode);
        Ok(())
    }

    /// Takes out what is registered under a key, and passes on a ring that it has not followed. Returns
    /// whether there was something.
    pub(crate) fn deregister(&self, key: u32) -> bool {
        self.take_out(&mut lock(&self.state), key)
    }

    /// Takes this very handle out: meanwhile another thread may have done so, and given its key to
    /// another handle.
    pub(crate) fn deregister_own(&self, registration: &Registration) {
        let mut state = lock(&self.state);
        let key = registration.key();
        if entry(&state, key).is_some_and(|entry| std::ptr::eq(&*entry.registration, registration))
        {
            self.take_out(&mut state, key);
        }
    }

    fn take_out(&self, state: &mut State, key: u32) -> bool {
        let place = (key as usize).wrapping_sub(1);
        let Some(entry) = state.entries.get_mut(place).and_then(Option::take) else { return false };
        let record = entry.view.record();
        let id = state.queue.as_ref().map_or(0, |(id, _)| *id);
        // The record of a seat that was lost may be that of another member.
        let is_own = record.doorbell.load(Relaxed) == id;
        state.ready.retain(|ready| *ready != key);
        state.peers.forget(&self.poll, key);
        let mut has_name = false;
        if state.entries.iter().all(Option::is_none) {
            state.entries.clear();
            state.mode = 0;
            if let Some((id, queue)) = state.queue.take() {
                has_name = !queue::unlink(id);
                let _ = self.poll.remove(&queue);
            }
            let _ = self.timer.set(None);
        }
        // After the queue is unlinked: as long as it has a name, a record names it.
        if is_own && !has_name {
            record.doorbell.store(0, Relaxed);
        }
        // After that: a thread that was about to arm the handle can do so even now, and a waker
        // either finds no queue, or has set RUNG before this.
        let was_rung = is_own && doorbell::disarm(&record.armed);
        if entry.registration.discharge() || was_rung {
            entry.view.pass_on();
        }
        // Last: a handle that is registered nowhere may take its mapping away.
        entry.registration.exit();
        self.show_ready(state);
        true
    }

    /// Takes all handles out: nobody waits any more.
    pub(crate) fn close(&self) {
        // In a forked child they are the parent's, and so may the lock be.
        if !self.is_forked() {
            let count = lock(&self.state).entries.len() as u32;
            (1..=count).for_each(|key| _ = self.deregister(key));
        }
    }

    /// Takes all handles out, and returns them.
    #[cfg(feature = "tokio")]
    pub(crate) fn evict(&self) -> Vec<Arc<Registration>> {
        let entries = || lock(&self.state).entries.iter().flatten().map(Entry::shared).collect();
        let all: Vec<_> = if self.is_forked() { Vec::new() } else { entries() };
        all.iter().for_each(|registration| self.deregister_own(registration));
        all
    }

    /// Passes the duty of a rung handle on to another member: nobody here looks.
    #[cfg(feature = "async")]
    pub(crate) fn pass_on(&self, registration: &Registration) {
        let state = lock(&self.state);
        if let Some(entry) = entry(&state, registration.key())
            && std::ptr::eq(&*entry.registration, registration)
            && registration.discharge()
        {
            entry.view.pass_on();
        }
    }

    /// Returns what is registered under a key.
    pub(crate) fn registration(&self, key: u32) -> Option<Arc<Registration>> {
        entry(&lock(&self.state), key).map(|entry| Arc::clone(&entry.registration))
    }

    /// Opens the pidfds of members that have joined a handle's channel (A4).
    pub(crate) fn meet_peers(&self, key: u32) {
        let mut state = lock(&self.state);
        let State { entries, peers, .. } = &mut *state;
        if let Some(Some(entry)) = entries.get_mut((key as usize).wrapping_sub(1)) {
            entry.watch.is_blind = !peers.meet(&self.poll, key, &entry.view);
            entry.watch.forget_members();
        }
        self.set_timer(&state);
    }
}
