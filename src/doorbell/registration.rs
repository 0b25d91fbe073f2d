//! What a handle shares with the doorbell that it is registered with, and with its interrupters.

use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Doorbell;
use crate::sync::plain::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::plain::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
use crate::wait::interrupt::Interrupts;

/// A handle's registration with a doorbell, and the calls of the handle that can be interrupted.
#[derive(Debug)]
pub(crate) struct Registration {
    calls: Interrupts,
    /// The handle's key at the doorbell; 0 while it is registered with none.
    key: AtomicU32,
    /// The doorbell that was entered last; one of `entered`.
    current: AtomicPtr<Doorbell>,
    /// All doorbells that were ever entered. They are kept so that an interrupter, which may run in
    /// a signal handler, can use `current` without a lock.
    entered: Mutex<Vec<Arc<Doorbell>>>,
    /// The number of arrivals in the channel when the pidfds of its members were opened.
    arrivals: AtomicU64,
    /// The member was rung, and has to see to it that further members are.
    duty: AtomicBool,
    /// The handle was interrupted, and its doorbell has not noticed it yet.
    is_interrupted: AtomicBool,
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
            current: AtomicPtr::new(ptr::null_mut()),
            entered: Mutex::default(),
            arrivals: AtomicU64::new(NEVER),
            duty: AtomicBool::new(false),
            is_interrupted: AtomicBool::new(false),
        }
    }

    /// Returns the blocked calls of the handle.
    pub(crate) fn calls(&self) -> &Interrupts {
        &self.calls
    }

    /// Returns the key; 0 without a doorbell.
    #[inline]
    pub(crate) fn key(&self) -> u32 {
        self.key.load(Acquire)
    }

    /// Returns the doorbell that the handle is registered with, or was last.
    pub(crate) fn doorbell(&self) -> Option<&Doorbell> {
        // SAFETY: null, or one of the doorbells in `entered`, which lives as long as `self`.
        unsafe { self.current.load(Acquire).as_ref() }
    }

    /// Enters a doorbell under a key. Returns false if the handle is registered already.
    pub(super) fn enter(&self, doorbell: &Arc<Doorbell>, key: u32) -> bool {
        let mut entered = lock(&self.entered);
        if self.key() != 0 {
            return false;
        }
        if !entered.iter().any(|known| Arc::ptr_eq(known, doorbell)) {
            entered.push(Arc::clone(doorbell));
        }
        self.current.store(Arc::as_ptr(doorbell).cast_mut(), Release);
        self.arrivals.store(NEVER, Relaxed);
        self.key.store(key, Release);
        true
    }

    /// Leaves the doorbell.
    pub(super) fn exit(&self) {
        self.key.store(0, Release);
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

    /// Returns whether the pidfds of these arrivals are open.
    pub(crate) fn knows(&self, arrivals: u64) -> bool {
        self.arrivals.load(Relaxed) == arrivals
    }

    /// Records that they are.
    pub(crate) fn learn(&self, arrivals: u64) {
        self.arrivals.store(arrivals, Relaxed);
    }

    /// Makes the next call that arms the handle open the pidfds.
    pub(super) fn forget_arrivals(&self) {
        self.arrivals.store(NEVER, Relaxed);
    }

    /// Makes the handle ready, because it was interrupted. Safe in a signal handler.
    pub(crate) fn interrupt(&self) {
        self.is_interrupted.store(true, Release);
        if self.key() != 0
            && let Some(doorbell) = self.doorbell()
        {
            doorbell.note_interrupt();
        }
    }

    /// Returns whether that happened since the last call.
    pub(super) fn take_interrupt(&self) -> bool {
        self.is_interrupted.load(Relaxed) && self.is_interrupted.swap(false, AcqRel)
    }
}
