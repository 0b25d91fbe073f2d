//! The doorbell of a process: one descriptor for any number of channels.
//!
//! A doorbell is an `epoll` set with a message queue that other processes ring, a pidfd for each
//! process that is a member of one of its channels, a timer, and an event of its own. The protocol
//! between the processes is in `wait/doorbell.rs`. Here is what one process keeps: which of its
//! handles are registered, which of them are *ready*, and what became of the keys and descriptors.
//!
//! A handle is ready until it is armed, and it is armed by a call that finds nothing to do: a
//! `try_recv` that returns `Empty`, for example. So a handle that was reported as ready stays ready
//! until its user has taken what there is; nobody can forget to arm it, and what a user leaves is
//! reported again. The event is readable while a handle is ready, if anyone waits for the descriptor
//! itself (`is_polled`).
//!
//! One lock guards all of that. A handle that goes away is taken out under the lock, so a `View`
//! whose mapping is gone is never used.

mod peers;
mod queue;
mod registration;
mod view;
mod watch;

use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::peers::Peers;
pub(crate) use self::queue::{reap, unlink};
pub(crate) use self::registration::Registration;
use self::registration::lock;
pub(crate) use self::view::{Bells, View, arrivals};
use self::watch::{Suspicion, Watch};
use crate::sync::plain::AtomicBool;
use crate::sync::plain::Ordering::{AcqRel, Relaxed, Release};
use crate::sysv::event::{Epoll, Event, Ready, Timer};
use crate::sysv::fork_guard::{ForkGuard, SharedForkGuard};
use crate::sysv::mqueue::{LENGTH, Queue};
use crate::sysv::{Errno, time};
use crate::wait::doorbell;

/// The numbers of the descriptors in the set. A peer's is its pid, above `PEER`; those of the
/// descriptors that others add are above [`FIRST_FREE`].
const QUEUE: u64 = 0;
const EVENT: u64 = 1;
const TIMER: u64 = 2;
const PEER: u64 = 1 << 32;
pub(crate) const FIRST_FREE: u64 = 1 << 33;

/// A call that failed, and its error number.
pub(crate) type Failed = (&'static str, Errno);

/// A doorbell, and the handles that are registered with it.
#[derive(Debug)]
pub(crate) struct Doorbell {
    poll: Epoll,
    /// Readable while a handle is ready, if the doorbell is polled, and after `notify`.
    event: Event,
    timer: Timer,
    /// Whether anyone waits for the descriptor itself, and not by `wait`.
    is_polled: AtomicBool,
    is_notified: AtomicBool,
    /// Whether a handle was interrupted.
    is_interrupted: AtomicBool,
    /// Whether its one handle handles the descriptors, in a call that arms it.
    is_solo: bool,
    home: ForkGuard,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: Option<(u64, Queue)>,
    /// The handles, by their key minus 1.
    entries: Vec<Option<Entry>>,
    peers: Peers,
    /// The keys of handles that may be ready.
    ready: Vec<u32>,
}

/// A registered handle.
#[derive(Debug)]
struct Entry {
    view: View,
    registration: Arc<Registration>,
    /// Forbids the handle's fast path, in a handle that passes on rings.
    gate: Option<Gate>,
    /// Whether its key is in `ready`.
    is_ready: bool,
    watch: Watch,
}

/// The address of a handle's gate.
#[derive(Debug)]
struct Gate(NonNull<SharedForkGuard>);

// SAFETY: the guard is for many threads.
unsafe impl Send for Gate {}

impl Entry {
    /// Gives the handle the duty: its next call has to see to it.
    fn charge(&self) {
        self.registration.charge();
        if let Some(Gate(gate)) = &self.gate {
            // SAFETY: the handle stays where it is until this entry is gone.
            unsafe { gate.as_ref() }.set_broken();
        }
    }
}

/// What a wait found beside the handles.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The handles that were rung, or that are to look for themselves.
    pub(crate) rung: Vec<Arc<Registration>>,
    /// The descriptors that others added.
    pub(crate) ready: Vec<Ready>,
}

impl Doorbell {
    /// Makes a doorbell. `is_solo`: there is one handle, and nobody calls `wait`.
    pub(crate) fn new(is_solo: bool) -> Result<Arc<Doorbell>, Failed> {
        let failed = |call| move |errno| (call, errno);
        let poll = Epoll::new().map_err(failed("epoll_create1"))?;
        let event = Event::new().map_err(failed("eventfd"))?;
        let timer = Timer::new().map_err(failed("timerfd_create"))?;
        poll.add(&event, EVENT, true, false).map_err(failed("epoll_ctl"))?;
        poll.add(&timer, TIMER, true, false).map_err(failed("epoll_ctl"))?;
        Ok(Arc::new(Doorbell {
            poll,
            event,
            timer,
            is_polled: AtomicBool::new(false),
            is_notified: AtomicBool::new(false),
            is_interrupted: AtomicBool::new(false),
            is_solo,
            home: ForkGuard::new(),
            state: Mutex::default(),
        }))
    }

    /// Returns the set of descriptors, for others to add theirs.
    pub(crate) fn poll(&self) -> &Epoll {
        &self.poll
    }

    /// Returns whether this is a forked child, which shares all descriptors with its parent.
    pub(crate) fn is_forked(&self) -> bool {
        self.home.forked()
    }

    /// Returns the descriptor, which is readable while a handle is ready from now on.
    pub(crate) fn polled_fd(&self) -> BorrowedFd<'_> {
        if !self.is_polled.swap(true, Relaxed) {
            self.show_ready(&mut lock(&self.state));
        }
        self.poll.as_fd()
    }

    /// Makes the descriptor readable until [`take_notification`](Doorbell::take_notification). Safe
    /// in a signal handler.
    pub(crate) fn notify(&self) {
        self.is_notified.store(true, Relaxed);
        self.event.set();
    }

    /// Looks for interrupted handles at the next wait. Safe in a signal handler.
    pub(super) fn note_interrupt(&self) {
        self.is_interrupted.store(true, Release);
        self.event.set();
    }

    pub(crate) fn take_notification(&self) -> bool {
        if !self.is_notified.load(Relaxed) {
            return false;
        }
        self.event.clear();
        let was_notified = self.is_notified.swap(false, Relaxed);
        self.show_ready(&mut lock(&self.state));
        was_notified
    }

    /// Registers a handle; it is ready at first. `mode`: that of its channel. The gate must stay where it
    /// is until the handle is taken out.
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
        record.armed.swap(0, crate::sync::Ordering::AcqRel);
        if let Some((id, _)) = state.queue {
            record.doorbell.store(id, Relaxed);
        } else {
            // The record names the queue before it exists: a successor in the seat unlinks it.
            let id = queue::fresh_id();
            record.doorbell.store(id, Relaxed);
            match self.open_queue(id, mode) {
                Ok(queue) => state.queue = Some((id, queue)),
                Err(failed) => {
                    record.doorbell.store(0, Relaxed);
                    registration.exit();
                    return Err(failed);
                }
            }
        }
        let registration = Arc::clone(registration);
        let gate = gate.map(|gate| Gate(NonNull::from(gate)));
        let watch = Watch::default();
        state.entries[place] = Some(Entry { view, registration, gate, is_ready: false, watch });
        self.set_ready(&mut state, key);
        self.set_timer(&state);
        Ok(key)
    }

    fn open_queue(&self, id: u64, mode: u32) -> Result<Queue, Failed> {
        let queue = queue::create(id, mode).map_err(|errno| ("mq_open", errno))?;
        self.poll.add(&queue, QUEUE, true, false).map_err(|errno| {
            queue::unlink(id);
            ("epoll_ctl", errno)
        })?;
        Ok(queue)
    }

    /// Takes a handle out, and passes on a ring that it has not followed.
    pub(crate) fn deregister(&self, key: u32) {
        let mut state = lock(&self.state);
        let place = (key as usize).wrapping_sub(1);
        let Some(entry) = state.entries.get_mut(place).and_then(Option::take) else { return };
        entry.registration.exit();
        state.ready.retain(|ready| *ready != key);
        state.peers.forget(&self.poll, key);
        if state.entries.iter().all(Option::is_none) {
            state.entries.clear();
            if let Some((id, queue)) = state.queue.take() {
                queue::unlink(id);
                let _ = self.poll.remove(&queue);
            }
            let _ = self.timer.set(None);
        }
        // After the queue is unlinked: as long as it has a name, a record names it.
        entry.view.record().doorbell.store(0, Relaxed);
        // After that: a thread that was about to arm the handle can do so even now, and a waker
        // either finds no queue, or has set RUNG before this.
        let was_rung = doorbell::disarm(&entry.view.record().armed);
        if entry.registration.discharge() || was_rung {
            entry.view.pass_on();
        }
        self.show_ready(&mut state);
    }

    /// Takes all handles out: nobody waits any more.
    pub(crate) fn close(&self) {
        let count = lock(&self.state).entries.len() as u32;
        // In a forked child they are the parent's.
        if !self.is_forked() {
            (1..=count).for_each(|key| self.deregister(key));
        }
    }

    /// Returns what is registered under a key.
    pub(crate) fn registration(&self, key: u32) -> Option<Arc<Registration>> {
        entry(&lock(&self.state), key).map(|entry| Arc::clone(&entry.registration))
    }

    /// Handles the descriptors now, if nobody waits for them.
    pub(crate) fn collect_if_solo(&self) {
        if self.is_solo {
            // What fails here fails again when the descriptor is waited for.
            let _ = self.wait(Some(Duration::ZERO));
        }
    }

    /// Opens the pidfds of members that have joined a handle's channel (A4).
    pub(crate) fn meet_peers(&self, key: u32) {
        let mut state = lock(&self.state);
        let State { entries, peers, .. } = &mut *state;
        if let Some(Some(entry)) = entries.get_mut(key as usize - 1) {
            entry.watch.is_blind = !peers.meet(&self.poll, key, &entry.view);
            entry.watch.forget_members();
        }
        self.set_timer(&state);
    }

    /// Records that a handle is not ready any more: it is armed, and there is nothing to do.
    pub(crate) fn is_armed(&self) {
        if self.is_polled.load(Relaxed) {
            self.show_ready(&mut lock(&self.state));
        }
    }

    /// Records that a handle is ready again although it was not rung.
    pub(crate) fn is_ready(&self, key: u32) {
        let mut state = lock(&self.state);
        self.set_ready(&mut state, key);
        self.event.set();
    }

    fn set_ready(&self, state: &mut State, key: u32) {
        let State { entries, ready, .. } = state;
        if let Some(Some(entry)) = entries.get_mut(key as usize - 1)
            && !std::mem::replace(&mut entry.is_ready, true)
        {
            ready.push(key);
            if self.is_polled.load(Relaxed) {
                self.event.set();
            }
        }
    }

    /// Drops the keys of armed handles from `ready`, and makes the event readable or not.
    fn show_ready(&self, state: &mut State) {
        let State { entries, ready, .. } = state;
        ready.retain(|key| {
            entries[*key as usize - 1].as_mut().is_some_and(|entry| {
                entry.is_ready = !doorbell::is_waiting(&entry.view.record().armed);
                entry.is_ready
            })
        });
        let is_shown = self.is_polled.load(Relaxed) && !ready.is_empty();
        if is_shown {
            self.event.set();
        } else if !self.is_notified.load(Relaxed) {
            self.event.clear();
            // It may have been notified meanwhile.
            if self.is_notified.load(Relaxed) {
                self.event.set();
            }
        }
    }

    /// Returns the keys of the handles that are ready.
    pub(crate) fn ready(&self) -> Vec<u32> {
        let mut state = lock(&self.state);
        if !state.ready.is_empty() {
            self.show_ready(&mut state);
        }
        state.ready.clone()
    }

    /// Waits until a descriptor is ready, for at most `at_most`, and handles those of the doorbell.
    pub(crate) fn wait(&self, at_most: Option<Duration>) -> Result<Collected, Failed> {
        let events = self.poll.wait(at_most).map_err(|errno| ("epoll_wait", errno))?;
        let mut collected = Collected::default();
        if events.is_empty() {
            return Ok(collected);
        }
        let mut state = lock(&self.state);
        for event in events {
            match event.number {
                QUEUE => self.take_keys(&mut state, &mut collected),
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

    /// Performs R1.
    fn take_keys(&self, state: &mut State, collected: &mut Collected) {
        let mut taken = Vec::new();
        while let Some((_, queue)) = &state.queue
            && let Ok(Some(key)) = queue.receive()
        {
            taken.push(key);
        }
        // The queue was full, so keys are missing.
        if taken.len() >= LENGTH {
            taken = (1..=state.entries.len() as u32).collect();
        }
        for key in taken {
            let is_rung = |entry: &Entry| doorbell::is_rung(&entry.view.record().armed);
            if entry(state, key).is_some_and(is_rung) {
                self.disarm(state, key, collected);
            }
        }
    }

    /// Makes interrupted handles ready, and the event unreadable unless it is for others to see.
    fn take_interrupts(&self, state: &mut State, collected: &mut Collected) {
        // Before the flags: an interrupt that comes later makes it readable again.
        self.show_ready(state);
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
    }

    /// Performs R2.
    fn peer_ended(&self, state: &mut State, pid: u32, collected: &mut Collected) {
        for (key, seats) in state.peers.ended(&self.poll, pid) {
            if let Some(entry) = entry(state, key) {
                for seat in seats {
                    doorbell::pass_over(&entry.view.bells(), seat);
                }
                // A member that joined since may have that pid again, and not be watched.
                entry.registration.forget_arrivals();
            }
            self.disarm(state, key, collected);
        }
    }

    /// Performs D1 for a handle that has the duty in any case.
    fn disarm(&self, state: &mut State, key: u32, collected: &mut Collected) {
        let Some(entry) = entry(state, key) else { return };
        doorbell::disarm(&entry.view.record().armed);
        entry.charge();
        collected.rung.push(Arc::clone(&entry.registration));
        self.set_ready(state, key);
    }

    /// Examines the handles that were not rung for a slice, as a last resort.
    fn look_around(&self, state: &mut State, collected: &mut Collected) {
        let now = time::now_ns();
        for place in 0..state.entries.len() {
            let Some(entry) = &mut state.entries[place] else { continue };
            match entry.watch.look(&entry.view, now) {
                Suspicion::None => {}
                Suspicion::Found => self.disarm(state, place as u32 + 1, collected),
            }
        }
        self.set_timer(state);
    }

    fn set_timer(&self, state: &State) {
        let entries = state.entries.iter().flatten();
        let next = entries.map(|entry| entry.watch.interval()).min();
        let _ = self.timer.set(next.map(|next| time::now_ns() + next.as_nanos() as u64));
    }
}

fn entry(state: &State, key: u32) -> Option<&Entry> {
    state.entries.get((key as usize).checked_sub(1)?)?.as_ref()
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        // A registered handle keeps its doorbell, so the queue is gone by now; unless this is a
        // forked child, where it is the parent's.
        let state = self.state.get_mut();
        if let Ok(state) = state
            && !self.home.forked()
            && let Some((id, _)) = state.queue
        {
            queue::unlink(id);
        }
    }
}
