//! What wakes the tasks of this process: a doorbell for the handles that they wait for, and times.
//!
//! A *reactor* is a doorbell, and somebody that waits for its descriptors: one thread of this process,
//! which is started when it is needed first; or, in a tokio runtime, a task of that runtime
//! (`tokio.rs`). A handle is registered with one reactor at a time. Which one is decided when a task
//! begins to wait for it, or is polled again:
//!
//! - that of the runtime in which the task is polled, or else the thread;
//! - but the thread, if tasks wait for the handle that began in another runtime. Each runtime may
//!   stand still at any time, and must not hold up the tasks of another one.
//!
//! # Why no ring is lost while a handle moves
//!
//! A handle moves only within the poll of a task, before the attempt that arms it anew. Leaving the
//! old doorbell disarms it, and passes a ring on that it had not followed. So for the other tasks
//! this is an attempt like any other: `doorbell/tasks.rs`. A reactor whose runtime ends takes all
//! handles out and wakes all tasks; they look, and move.
//!
//! A forked child has none of its parent's threads. It makes reactors of its own, for handles of its
//! own.

mod thread;
pub(super) mod timers;
#[cfg(feature = "tokio")]
mod tokio;

use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::timers::{TIMER, Timers};
use crate::doorbell::{Collected, Doorbell, Failed, Kind, Registration};
use crate::endpoint::Endpoint;
use crate::endpoint::readiness::Refused;
use crate::sync::plain::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::plain::{AtomicBool, AtomicPtr};
use crate::sysv::Errno;
use crate::sysv::fork_guard::ForkGuard;

/// A doorbell and its tasks.
#[derive(Debug)]
pub(super) struct Reactor {
    doorbell: Arc<Doorbell>,
    timers: Timers,
    /// Whether somebody waits for the doorbell.
    is_driven: AtomicBool,
}

/// The reactors of one process.
#[derive(Debug)]
struct Reactors {
    home: ForkGuard,
    thread: Mutex<Option<Arc<Reactor>>>,
    #[cfg(feature = "tokio")]
    runtimes: Mutex<self::tokio::Runtimes>,
}

/// The reactors of this process, or those of the process from which it was forked.
static CURRENT: AtomicPtr<Reactors> = AtomicPtr::new(ptr::null_mut());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the reactors of this process, made on first use. A child leaves those of its parent as
/// they are: a thread that does not exist in it may have locked them.
fn reactors() -> &'static Reactors {
    loop {
        let current = CURRENT.load(Acquire);
        // SAFETY: null, or made below and never freed.
        if let Some(reactors) = unsafe { current.as_ref() }
            && !reactors.home.forked()
        {
            return reactors;
        }
        let fresh = Box::into_raw(Box::new(Reactors {
            home: ForkGuard::new(),
            thread: Mutex::default(),
            #[cfg(feature = "tokio")]
            runtimes: Mutex::default(),
        }));
        if CURRENT.compare_exchange(current, fresh, AcqRel, Relaxed).is_err() {
            // SAFETY: made just now, and no other thread has seen it.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }
}

impl Reactor {
    /// Makes a reactor that nobody drives yet.
    fn new() -> Result<Reactor, Failed> {
        let doorbell = Doorbell::new(Kind::Tasks)?;
        let timers = Timers::new(doorbell.poll()).map_err(|errno| ("timerfd_create", errno))?;
        Ok(Reactor { doorbell, timers, is_driven: AtomicBool::new(true) })
    }

    /// Returns the reactor for a task that is polled here.
    pub(super) fn current() -> Result<Arc<Reactor>, Failed> {
        #[cfg(feature = "tokio")]
        if let Some(reactor) = self::tokio::of_runtime(reactors()) {
            return reactor;
        }
        thread::reactor(reactors())
    }

    fn is_driven(&self) -> bool {
        self.is_driven.load(Acquire)
    }

    /// Waits for the doorbell and for times, for at most `at_most`, and wakes the tasks that they
    /// concern. Returns whether there was anything.
    fn turn(&self, at_most: Option<Duration>) -> Result<bool, Failed> {
        Ok(self.wake(self.doorbell.wait(at_most)?))
    }

    /// The same for a ring alone, which is most of what there is, with one system call less.
    #[cfg(feature = "tokio")]
    fn answer_ring(&self) -> bool {
        self.wake(self.doorbell.take_ring())
    }

    /// Wakes the tasks that something concerns. Returns whether there was anything.
    fn wake(&self, collected: Collected) -> bool {
        for registration in collected.rung {
            if !registration.tasks().wake_all() {
                self.doorbell.pass_on(&registration);
            }
        }
        if collected.ready.iter().any(|ready| ready.number == TIMER) {
            self.timers.wake_due();
        }
        collected.is_any
    }

    /// Nobody drives it any more: wakes all tasks, which turn to another one.
    #[cfg(feature = "tokio")]
    fn abandon(&self) {
        self.is_driven.store(false, crate::sync::plain::Ordering::Release);
        for registration in self.doorbell.evict() {
            registration.tasks().wake_all();
        }
        self.timers.wake_all();
    }

    fn is_of(&self, registration: &Registration) -> bool {
        registration.key() != 0
            && registration
                .doorbell()
                .is_some_and(|doorbell| Arc::ptr_eq(&doorbell, &self.doorbell))
    }
}

/// Registers a handle with the reactor for a task that is polled here, unless it is already. `own`: how
/// many of the tasks that wait for the handle are this one.
pub(super) fn attend(endpoint: &Endpoint, own: usize) -> Result<(), Refused> {
    let registration = endpoint.attachment.registration();
    let mut wanted = Reactor::current().map_err(Refused::Failed)?;
    if wanted.is_of(registration) && wanted.is_driven() {
        return Ok(());
    }
    let _held = registration.tasks().hold();
    loop {
        let present = registration.doorbell().filter(|_| registration.key() != 0);
        if let Some(present) = present {
            if !present.is_for_tasks() {
                return Err(Refused::Failed(("register", Errno::EBUSY)));
            }
            if !wanted.is_of(registration) && registration.tasks().count() > own {
                wanted = thread::reactor(reactors()).map_err(Refused::Failed)?;
            }
            if wanted.is_of(registration) && wanted.is_driven() {
                return Ok(());
            }
            present.deregister_own(registration);
        }
        endpoint.try_register(&wanted.doorbell)?;
        if wanted.is_driven() {
            return Ok(());
        }
        // Its runtime ended meanwhile.
        wanted = thread::reactor(reactors()).map_err(Refused::Failed)?;
    }
}
