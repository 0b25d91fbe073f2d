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

mod collect;
mod handles;
mod peers;
mod queue;
mod ready;
mod registration;
#[cfg(feature = "async")]
pub(crate) mod tasks;
mod view;
mod watch;

use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[cfg(feature = "async")]
pub(crate) use self::collect::Collected;
use self::peers::Peers;
pub(crate) use self::queue::{DeadQueue, dead_queues, unlink_of_dead};
pub(crate) use self::registration::Registration;
pub(crate) use self::view::{Bells, View, arrivals};
use self::watch::Watch;
use crate::sync::plain::AtomicBool;
use crate::sysv::Errno;
use crate::sysv::event::{Epoll, EventFd, TimerFd};
use crate::sysv::fork_guard::{ForkGuard, SharedForkGuard};
use crate::sysv::mqueue::Queue;

/// The numbers of the descriptors in the set. A peer's is its pid, above `PEER`; those of the
/// descriptors that others add are above [`FIRST_FREE`].
const QUEUE: u64 = 0;
const EVENT: u64 = 1;
const TIMER: u64 = 2;
const PEER: u64 = 1 << 32;
pub(crate) const FIRST_FREE: u64 = 1 << 33;

/// A call that failed, and its error number.
pub(crate) type Failed = (&'static str, Errno);

/// What waits for a doorbell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Threads that call `wait`, or that wait for the descriptor and then call `wait`.
    Set,
    /// There is one handle, and nobody calls `wait`: it handles the descriptors in a call that arms
    /// it.
    Solo,
    /// Tasks, which are woken by their handle's registration.
    #[cfg(feature = "async")]
    Tasks,
}

/// A doorbell, and the handles that are registered with it.
#[derive(Debug)]
pub(crate) struct Doorbell {
    poll: Epoll,
    /// Readable while a handle is ready, if the doorbell is polled, and after `notify`.
    event: EventFd,
    timer: TimerFd,
    /// Whether anyone waits for the descriptor itself, and not by `wait`.
    is_polled: AtomicBool,
    is_notified: AtomicBool,
    /// Whether a handle was interrupted.
    is_interrupted: AtomicBool,
    kind: Kind,
    home: ForkGuard,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: Option<(u64, Queue)>,
    /// The mode of the queue: whatever the channels of the handles permit.
    mode: u32,
    /// The handles, by their key minus 1.
    entries: Vec<Option<Entry>>,
    peers: Peers,
    /// The keys of handles that may be ready.
    ready: Vec<u32>,
    /// Whether the event was made readable for them.
    is_shown: bool,
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
    #[cfg(feature = "tokio")]
    fn shared(&self) -> Arc<Registration> {
        Arc::clone(&self.registration)
    }

    /// Returns whether the handle, which was not rung, should look for itself.
    fn is_suspicious(&mut self, now: u64, slice: Duration) -> bool {
        self.watch.is_suspicious(&self.view, self.registration.rests(), now, slice)
    }

    /// Gives the handle the duty: its next call has to see to it.
    fn charge(&self) {
        self.registration.charge();
        if let Some(Gate(gate)) = &self.gate {
            // SAFETY: the handle stays where it is until this entry is gone.
            unsafe { gate.as_ref() }.set_broken();
        }
    }
}

impl Doorbell {
    /// Makes a doorbell.
    pub(crate) fn new(kind: Kind) -> Result<Arc<Doorbell>, Failed> {
        let failed = |call| move |errno| (call, errno);
        let poll = Epoll::new().map_err(failed("epoll_create1"))?;
        let event = EventFd::new().map_err(failed("eventfd"))?;
        let timer = TimerFd::new().map_err(failed("timerfd_create"))?;
        poll.add(&event, EVENT, true, false).map_err(failed("epoll_ctl"))?;
        poll.add(&timer, TIMER, true, false).map_err(failed("epoll_ctl"))?;
        Ok(Arc::new(Doorbell {
            poll,
            event,
            timer,
            is_polled: AtomicBool::new(false),
            is_notified: AtomicBool::new(false),
            is_interrupted: AtomicBool::new(false),
            kind,
            home: ForkGuard::new(),
            state: Mutex::default(),
        }))
    }

    /// Returns whether tasks wait for it.
    #[cfg(feature = "async")]
    pub(crate) fn is_for_tasks(&self) -> bool {
        self.kind == Kind::Tasks
    }

    /// Returns the set of descriptors, for others to add theirs.
    pub(crate) fn poll(&self) -> &Epoll {
        &self.poll
    }

    /// Returns whether this is a forked child, which shares all descriptors with its parent.
    pub(crate) fn is_forked(&self) -> bool {
        self.home.forked()
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
