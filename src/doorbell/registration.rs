//! What a handle shares with the doorbell that it is registered with, and with its interrupters.

use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Doorbell;
use crate::sync::plain::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::plain::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
use crate::wait::interrupt::Interrupts;

/// A handle's registration with a doorbell, and the calls of the handle that can be interrupted.
#[derive(Debug)]
pub(crate) struct Registration {
    calls: Interrupts,
    /// The handle's key at the doorbell; 0 while it is registered with none.
    key: AtomicU32,
    /// The doorbell, while the handle is registered with one.
    doorbell: Mutex<Option<Arc<Doorbell>>>,
    /// The same for interrupters, which may run in a signal handler and take no lock, and the number
    /// of those that use it.
    current: AtomicPtr<Doorbell>,
    users: AtomicU32,
    /// The number of arrivals in the channel when the pidfds of its members were opened.
    arrivals: AtomicU64,
    /// The member was rung, and has to see to it that further members are.
    duty: AtomicBool,
    /// The handle is armed for a member of the other side that joins, and for no work.
    rests: AtomicBool,
    /// The handle was interrupted, and its doorbell has not noticed it yet.
    is_interrupted: AtomicBool,
    /// The tasks that wait for the handle.
    #[cfg(feature = "async")]
    tasks: super::tasks::Tasks,
}

/// The number of arrivals before the pidfds were opened for the first time.
const NEVER: u64 = u64::MAX;

/// Locks a mutex; a thread that panicked while it held it has left nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registration {
    /// Returns the registration of a handle that is registered with no doorbell.
    pub(crate) fn new() -> Registration {
        Registration {
            calls: Interrupts::new(),
            key: AtomicU32::new(0),
            doorbell: Mutex::default(),
            current: AtomicPtr::new(ptr::null_mut()),
            users: AtomicU32::new(0),
            arrivals: AtomicU64::new(NEVER),
            duty: AtomicBool::new(false),
            rests: AtomicBool::new(false),
            is_interrupted: AtomicBool::new(false),
            #[cfg(feature = "async")]
            tasks: super::tasks::Tasks::new(),
        }
    }

    /// Returns the blocked calls of the handle.
    pub(crate) fn calls(&self) -> &Interrupts {
        &self.calls
    }

    /// Returns the tasks that wait for the handle.
    #[cfg(feature = "async")]
    pub(crate) fn tasks(&self) -> &super::tasks::Tasks {
        &self.tasks
    }

    /// Returns the key; 0 without a doorbell.
    #[inline]
    pub(crate) fn key(&self) -> u32 {
        self.key.load(Acquire)
    }

    /// Returns the doorbell that the handle is registered with.
    pub(crate) fn doorbell(&self) -> Option<Arc<Doorbell>> {
        lock(&self.doorbell).clone()
    }

    /// Enters a doorbell under a key. Returns false if the handle is registered already.
    pub(super) fn enter(&self, doorbell: &Arc<Doorbell>, key: u32) -> bool {
        let mut entered = lock(&self.doorbell);
        if entered.is_some() {
            return false;
        }
        *entered = Some(Arc::clone(doorbell));
        self.current.store(Arc::as_ptr(doorbell).cast_mut(), SeqCst);
        self.forget_arrivals();
        self.key.store(key, Release);
        true
    }

    /// Leaves the doorbell.
    pub(super) fn exit(&self) {
        self.key.store(0, Release);
        self.current.store(ptr::null_mut(), SeqCst);
        // An interrupter that found it before is about to end, and waits for nothing.
        while self.users.load(SeqCst) != 0 {
            std::thread::yield_now();
        }
        *lock(&self.doorbell) = None;
    }

    /// Gives the member the duty.
    pub(crate) fn charge(&self) {
        self.duty.store(true, Release);
    }

    /// Returns whether the member has the duty, and takes it away.
    #[inline]
    pub(crate) fn discharge(&self) -> bool {
        self.duty.load(Relaxed) && self.duty.swap(false, AcqRel)
    }

    /// Records whether the handle, which is armed, waits for a member of the other side only.
    pub(crate) fn set_resting(&self, rests: bool) {
        self.rests.store(rests, Relaxed);
    }

    pub(super) fn rests(&self) -> bool {
        self.rests.load(Relaxed)
    }

    /// Returns whether the pidfds of these arrivals are open.
    pub(crate) fn knows(&self, arrivals: u64) -> bool {
        self.arrivals.load(Relaxed) == arrivals
    }

    /// Records that they are.
    pub(crate) fn learn(&self, arrivals: u64) {
        self.arrivals.store(arrivals, Relaxed);
    }

    /// Opens them again when the handle is armed next.
    pub(super) fn forget_arrivals(&self) {
        self.arrivals.store(NEVER, Relaxed);
    }

    /// Makes the handle ready, because it was interrupted. Safe in a signal handler.
    pub(crate) fn interrupt(&self) {
        self.is_interrupted.store(true, Release);
        self.users.fetch_add(1, SeqCst);
        // SAFETY: null, or a doorbell that `exit` keeps until `users` is 0.
        if let Some(doorbell) = unsafe { self.current.load(SeqCst).as_ref() } {
            doorbell.note_interrupt();
        }
        self.users.fetch_sub(1, SeqCst);
    }

    /// Returns whether that happened since the last call.
    pub(super) fn take_interrupt(&self) -> bool {
        self.is_interrupted.load(Relaxed) && self.is_interrupted.swap(false, AcqRel)
    }
}
