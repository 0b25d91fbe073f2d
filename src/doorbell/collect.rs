//! Waiting for the descriptors of a doorbell, and what becomes of each: a key, an interrupt, the end of a
//! process, the timer.

use std::sync::Arc;
use std::time::Duration;

use super::registration::lock;
use super::watch::slice;
use super::{
    Doorbell, EVENT, Entry, FIRST_FREE, Failed, Kind, PEER, QUEUE, Registration, State, TIMER,
    entry,
};
use crate::sync::plain::Ordering::{AcqRel, Relaxed};
use crate::sysv::event::Ready;
use crate::sysv::mqueue::LENGTH;
use crate::sysv::time;
use crate::wait::doorbell;

/// So few handles are all looked at when the queue has a key.
const FEW: usize = 8;

/// What a wait found beside the handles.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The handles that were rung, or that are to look for themselves.
    pub(crate) rung: Vec<Arc<Registration>>,
    /// The descriptors that others added.
    pub(crate) ready: Vec<Ready>,
    /// Whether there was anything.
    #[cfg(feature = "async")]
    pub(crate) is_any: bool,
}

impl Doorbell {
    /// Waits until a descriptor is ready, for at most `at_most`, and handles those of the doorbell.
    pub(crate) fn wait(&self, at_most: Option<Duration>) -> Result<Collected, Failed> {
        let events = self.poll.wait(at_most).map_err(|errno| ("epoll_wait", errno))?;
        let mut collected = Collected::default();
        if events.is_empty() {
            return Ok(collected);
        }
        #[cfg(feature = "async")]
        {
            collected.is_any = true;
        }
        let mut state = lock(&self.state);
        for event in events {
            match event.number {
                QUEUE => _ = self.take_keys(&mut state, &mut collected),
                EVENT => self.take_interrupts(&mut state, &mut collected),
                TIMER => self.look_around(&mut state, &mut collected),
                number if number < FIRST_FREE => {
                    self.peer_ended(&mut state, (number - PEER) as u32, &mut collected);
                }
                _ => collected.ready.push(event),
            }
        }
        Ok(collected)
    }

    /// Handles the descriptors now, if nobody waits for them.
    pub(crate) fn collect_if_solo(&self) {
        if self.kind == Kind::Solo {
            // What fails here fails again when the descriptor is waited for.
            let _ = self.wait(Some(Duration::ZERO));
        }
    }

    /// Handles a ring, without looking at the other descriptors. If there was none, nothing was found.
    #[cfg(feature = "tokio")]
    pub(crate) fn take_ring(&self) -> Collected {
        let mut collected = Collected::default();
        collected.is_any = self.take_keys(&mut lock(&self.state), &mut collected);
        collected
    }

    /// Performs R1. Returns whether there was a key. What comes while it takes the keys of a full queue
    /// is left for the next time: a process that sends without end must not keep this one.
    fn take_keys(&self, state: &mut State, collected: &mut Collected) -> bool {
        let receive = |state: &State| match &state.queue {
            Some((_, queue)) => queue.receive().unwrap_or(None),
            None => None,
        };
        let is_rung = |state: &State, key| {
            let is_rung = |entry: &Entry| doorbell::is_rung(&entry.view.record().armed);
            entry(state, key).is_some_and(is_rung)
        };
        let all = 1..=state.entries.len() as u32;
        let mut taken = Vec::new();
        // Looking at a few words is faster than a call that finds the queue empty. What is left in
        // the queue makes it readable; if others wait for that, it must be empty.
        if state.entries.len() <= FEW && self.kind != Kind::Solo && !self.is_polled.load(Relaxed) {
            let Some(_) = receive(state) else { return false };
            taken.extend(all.filter(|key| is_rung(state, *key)));
            for _ in 1..taken.len() {
                receive(state);
            }
        } else {
            while taken.len() < LENGTH
                && let Some(key) = receive(state)
            {
                taken.push(key);
            }
            if taken.is_empty() {
                return false;
            }
            // The queue was full, so keys are missing.
            if taken.len() >= LENGTH {
                taken = all.collect();
            }
            taken.retain(|key| is_rung(state, *key));
        }
        for key in taken {
            // A key may be there twice.
            if is_rung(state, key) {
                self.disarm(state, key, collected);
            }
        }
        true
    }

    /// Makes interrupted handles ready, and the event unreadable unless it is for others to see.
    fn take_interrupts(&self, state: &mut State, collected: &mut Collected) {
        if self.is_interrupted.swap(false, AcqRel) {
            for key in 1..=state.entries.len() as u32 {
                if let Some(entry) = entry(state, key)
                    && entry.registration.take_interrupt()
                {
                    collected.rung.push(Arc::clone(&entry.registration));
                    doorbell::disarm(&entry.view.record().armed).then(|| entry.charge());
                    self.set_ready(state, key);
                }
            }
        }
        self.clear_event(state);
    }

    /// Performs R2.
    fn peer_ended(&self, state: &mut State, pid: u32, collected: &mut Collected) {
        for (key, seats) in state.peers.ended(&self.poll, pid) {
            if let Some(entry) = entry(state, key) {
                for seat in seats {
                    doorbell::pass_over(&entry.view.bells(), seat);
                }
                // The pid may belong to a member that joined since, and that was taken for this one.
                entry.registration.forget_arrivals();
            }
            self.disarm(state, key, collected);
        }
    }

    /// Performs D1 for a handle that has the duty in any case.
    pub(super) fn disarm(&self, state: &mut State, key: u32, collected: &mut Collected) {
        let Some(entry) = entry(state, key) else { return };
        doorbell::disarm(&entry.view.record().armed);
        entry.charge();
        collected.rung.push(Arc::clone(&entry.registration));
        self.set_ready(state, key);
    }

    /// Examines the handles that were not rung for a slice, as a last resort.
    fn look_around(&self, state: &mut State, collected: &mut Collected) {
        let (now, slice) = (time::now_ns(), slice(state.entries.len()));
        self.show_ready(state);
        for place in 0..state.entries.len() {
            let Some(entry) = &mut state.entries[place] else { continue };
            if !entry.is_ready && entry.is_suspicious(now, slice) {
                self.disarm(state, place as u32 + 1, collected);
            }
        }
        self.set_timer(state);
    }

    pub(super) fn set_timer(&self, state: &State) {
        let entries = state.entries.iter().flatten();
        let slice = slice(state.entries.len());
        let next = entries.map(|entry| entry.watch.interval(slice)).min();
        let _ =
            self.timer.set(next.map(|next| time::now_ns().saturating_add(next.as_nanos() as u64)));
    }
}
