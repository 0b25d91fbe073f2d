//! Interrupting blocked calls from another thread or from a signal handler.
//!
//! # Why no interrupt is lost
//!
//! A wake-up token does not name its receiver: any thread of the side consumes it, and a signal
//! that arrives between a thread's last poll and its `semtimedop` ends nothing. So an interrupt is
//! a *value that changes*, and the kernel compares it in the very step in which the thread would
//! block. Each side has an interrupt semaphore. A thread that blocks passes the value that it read
//! before its last poll; if the semaphore has another value, now or later, the call returns at
//! once. No thread of another member has to do anything, and none can take it away.
//!
//! ```text
//! I1  interrupter   If calls are blocked: moves the generation on. If none is: sets PENDING.
//! I2  interrupter   If calls are blocked: adds 1 to the semaphore.
//! B1  call          Counts itself as blocked, and takes PENDING with it if it is set.
//! B2  call          Reads the semaphore, if ARMED is set.
//! B3  call          Polls; if it found nothing, checks the generation. Moved on: B5.
//! B4  call          Blocks, unless the semaphore changed since B2; then B2 again.
//! B5  call          No longer counts itself; returns. If it was interrupted and returns something
//!                   else, it sets PENDING.
//! ```
//!
//! **Invariant.** While a call is counted with an older generation than the present one, its check
//! in B3 has not been made yet, or the semaphore has another value than the call read in B2, or the
//! interrupter is between I1 and I2. For if B3 misses I1, then I2 comes after B3, and so after B2:
//! if I2 came before B2, B2 would have acquired it from the kernel, and B3 would see I1. The steps
//! I1, B1 and B5 change one word, so a call is either counted when I1 looks, or finds PENDING.
//!
//! Every interrupt is thus returned by each call that was blocked when it came, or by a later one:
//! PENDING is kept until a call takes it that would block. Interrupts that come before the calls
//! that they are for have returned count as one; I1 does nothing unless a call began since
//! (FRESH). The generation has 16 bits: a call could mistake it only if, between two of its polls,
//! that many other calls began and were interrupted, and no more.
//!
//! Comparing the value costs the kernel more than consuming a token. So a call does it only if the
//! handle was asked for an interrupter before (ARMED). A call that finds ARMED clear in B2 counts
//! itself as unwatched until its next B2 or B5, in one step with that look; the thread that sets
//! ARMED waits until no call is.

use super::Parker;
use crate::error::Fault;
use crate::role::Side;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};

/// An interrupter of this handle exists, or did.
const ARMED: u64 = 1 << 0;
/// An interrupt for the next call that would block.
const PENDING: u64 = 1 << 1;
/// A call began to wait since the last interrupt, and has not been interrupted.
const FRESH: u64 = 1 << 2;
/// The handle is gone.
const CLOSED: u64 = 1 << 3;
/// The number of blocked calls, and of those among them that a change of the semaphore does not
/// wake. Linux has fewer threads than fit here.
const BLOCKED: u64 = 1 << 4;
const UNWATCHED: u64 = 1 << 26;
const COUNT: u64 = (1 << 22) - 1;
/// The number of interrupts, in the remaining 16 bits.
const GENERATION: u64 = 1 << 48;

fn blocked(state: u64) -> u64 {
    (state / BLOCKED) & COUNT
}

fn unwatched(state: u64) -> u64 {
    (state / UNWATCHED) & COUNT
}

fn generation(state: u64) -> u16 {
    (state / GENERATION) as u16
}

/// The blocked calls of one handle and its clones, and the interrupts for them.
#[derive(Debug)]
pub(crate) struct Interrupts {
    state: AtomicU64,
}

/// One call that waits. If no interrupter of its handle can exist, nothing is counted.
#[derive(Debug)]
pub(crate) struct BlockedCall<'a> {
    interrupts: Option<&'a Interrupts>,
    /// The generation when it began; one less if it took a pending interrupt.
    generation: u16,
    /// Whether a change of the semaphore ends its blocking.
    is_watched: bool,
    /// Whether it is counted as a call that such a change does not end.
    is_unwatched: bool,
}

impl Interrupts {
    pub(crate) fn new() -> Interrupts {
        Interrupts { state: AtomicU64::new(0) }
    }

    /// Changes the state and returns the one before; `to` returns `None` if nothing is to change.
    fn change(&self, to: impl Fn(u64) -> Option<u64>) -> u64 {
        let mut old = self.state.load(Relaxed);
        while let Some(new) = to(old) {
            match self.state.compare_exchange(old, new, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => old = now,
            }
        }
        old
    }

    /// Performs I1, and I2 by `raise` if calls are blocked.
    pub(crate) fn interrupt(&self, raise: impl FnOnce()) {
        let is_new = |state| state & CLOSED == 0 && blocked(state) != 0 && state & FRESH != 0;
        let old = self.change(|old| match blocked(old) {
            _ if old & CLOSED != 0 => None,
            0 => (old & PENDING == 0).then_some(old | PENDING),
            _ => is_new(old).then(|| (old & !FRESH).wrapping_add(GENERATION)),
        });
        if is_new(old) {
            raise();
        }
    }

    /// Returns whether an interrupt waits for a call that would block, or for a wait that reports it.
    pub(crate) fn is_pending(&self) -> bool {
        self.state.load(Acquire) & PENDING != 0
    }

    /// Takes an interrupt that no blocked call took.
    pub(crate) fn take_pending(&self) -> bool {
        self.change(|old| (old & PENDING != 0).then_some(old & !PENDING)) & PENDING != 0
    }

    /// Makes calls compare the semaphore from now on.
    pub(crate) fn arm(&self) {
        self.state.fetch_or(ARMED, AcqRel);
    }

    /// Returns the number of blocked calls that a change of the semaphore does not wake.
    pub(crate) fn unwatched(&self) -> u64 {
        unwatched(self.state.load(Acquire))
    }

    fn generation(&self) -> u16 {
        generation(self.state.load(Acquire))
    }

    /// Makes later interrupts do nothing: the handle is gone.
    pub(crate) fn close(&self) {
        self.state.fetch_or(CLOSED, AcqRel);
    }
}

impl<'a> BlockedCall<'a> {
    /// Performs B1.
    pub(crate) fn begin(interrupts: Option<&'a Interrupts>) -> BlockedCall<'a> {
        let old = interrupts.map_or(0, |interrupts| {
            interrupts.change(|old| {
                let new = if old & PENDING != 0 { old & !PENDING } else { old | FRESH };
                Some(new + BLOCKED)
            })
        });
        let generation = generation(old).wrapping_sub(u16::from(old & PENDING != 0));
        BlockedCall { interrupts, generation, is_watched: false, is_unwatched: false }
    }

    /// Returns whether the call was interrupted.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.check()()
    }

    /// Returns the same check, apart from the call.
    pub(crate) fn check(&self) -> impl Fn() -> bool + 'a {
        let (interrupts, generation) = (self.interrupts, self.generation);
        move || interrupts.is_some_and(|interrupts| interrupts.generation() != generation)
    }

    /// Performs B2. Returns `None` if the semaphore is not to be compared.
    pub(crate) fn watch(&mut self, parker: &impl Parker, side: Side) -> Result<Option<u16>, Fault> {
        let Some(interrupts) = self.interrupts else { return Ok(None) };
        if !self.is_watched {
            let is_unwatched = self.is_unwatched;
            let old = interrupts.change(|old| match (old & ARMED != 0, is_unwatched) {
                (true, true) => Some(old - UNWATCHED),
                (false, false) => Some(old + UNWATCHED),
                _ => None,
            });
            self.is_watched = old & ARMED != 0;
            self.is_unwatched = !self.is_watched;
        }
        self.is_watched.then(|| parker.interrupts(side)).transpose()
    }

    /// Performs B5; `is_returned` if the call returns the interrupt.
    pub(crate) fn end(self, is_returned: bool) {
        let Some(interrupts) = self.interrupts else { return };
        interrupts.change(|old| {
            let owed = generation(old) != self.generation && !is_returned;
            let new = if owed { old | PENDING } else { old };
            Some(new - BLOCKED - if self.is_unwatched { UNWATCHED } else { 0 })
        });
    }
}

/// A blocked call of a task that is not being polled: it refers to no handle.
#[cfg(feature = "async")]
#[derive(Debug)]
pub(crate) struct SuspendedCall {
    generation: u16,
}

#[cfg(feature = "async")]
impl SuspendedCall {
    /// Performs B1 for a call that never compares the semaphore.
    pub(crate) fn begin(interrupts: &Interrupts) -> SuspendedCall {
        SuspendedCall { generation: BlockedCall::begin(Some(interrupts)).generation }
    }

    /// Returns whether the call, which began on these, was interrupted.
    pub(crate) fn is_interrupted(&self, interrupts: &Interrupts) -> bool {
        interrupts.generation() != self.generation
    }

    /// Performs B5; `is_returned` if the call returns the interrupt.
    pub(crate) fn end(self, interrupts: &Interrupts, is_returned: bool) {
        let (generation, is_watched, is_unwatched) = (self.generation, false, false);
        let interrupts = Some(interrupts);
        BlockedCall { interrupts, generation, is_watched, is_unwatched }.end(is_returned);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Returns whether the semaphore is to be changed.
    fn interrupt(interrupts: &Interrupts) -> bool {
        let mut raised = false;
        interrupts.interrupt(|| raised = true);
        raised
    }

    #[test]
    fn an_interrupt_without_a_blocked_call_is_kept_for_one_call() {
        let interrupts = Interrupts::new();
        let begin = || BlockedCall::begin(Some(&interrupts));
        assert!(!interrupt(&interrupts) && !interrupt(&interrupts));
        let call = begin();
        assert!(call.is_interrupted());
        call.end(true);
        let call = begin();
        assert!(!call.is_interrupted());
        call.end(false);
    }

    #[test]
    fn every_blocked_call_is_interrupted_once() {
        let interrupts = Interrupts::new();
        let begin = || BlockedCall::begin(Some(&interrupts));
        let calls = [begin(), begin()];
        assert!(interrupt(&interrupts));
        assert!(!interrupt(&interrupts), "it is the same interrupt");
        let late = begin();
        assert!(calls.iter().all(BlockedCall::is_interrupted) && !late.is_interrupted());
        assert!(interrupt(&interrupts), "a call began meanwhile");
        assert!(late.is_interrupted());
        calls.into_iter().chain([late]).for_each(|call| call.end(true));
        assert!(!begin().is_interrupted());
    }

    #[test]
    fn a_call_that_returns_something_else_leaves_the_interrupt() {
        let interrupts = Interrupts::new();
        let begin = || BlockedCall::begin(Some(&interrupts));
        for pending in [false, true] {
            if pending {
                interrupt(&interrupts);
            }
            let call = begin();
            if !pending {
                interrupt(&interrupts);
            }
            assert!(call.is_interrupted());
            call.end(false);
            let next = begin();
            assert!(next.is_interrupted());
            next.end(true);
        }
    }

    #[test]
    fn nothing_happens_once_the_handle_is_gone() {
        let interrupts = Interrupts::new();
        let begin = || BlockedCall::begin(Some(&interrupts));
        let call = begin();
        interrupts.close();
        assert!(!interrupt(&interrupts) && !call.is_interrupted());
        call.end(false);
        assert!(!interrupt(&interrupts) && !begin().is_interrupted());
    }

    #[test]
    fn the_generation_wraps() {
        let interrupts = Interrupts::new();
        let begin = || BlockedCall::begin(Some(&interrupts));
        for n in 0..200_000 {
            let call = begin();
            assert!(!call.is_interrupted(), "{n}");
            assert!(interrupt(&interrupts) && call.is_interrupted(), "{n}");
            call.end(true);
        }
        assert_eq!((blocked(0), unwatched(interrupts.state.load(Relaxed))), (0, 0));
    }
}
