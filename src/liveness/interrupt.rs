//! Blocking in the set so that an interrupt ends it: `wait/interrupt.rs` explains the protocol.
//!
//! A `semop` performs all of its operations or none, and the kernel evaluates a blocked one again
//! whenever a semaphore changes. So a thread that blocks for an operation precedes it by operations
//! that hold only while the interrupt semaphore has the value that it saw, and that do not wait:
//! subtract that value, require zero, add it again. Once the semaphore has another value, the call
//! fails with `EAGAIN`, before it blocks or while it does.

use super::{ChannelSemaphores, interrupt_sem};
use crate::role::Side;
use crate::sysv::sem::Op;
use crate::sysv::{self, Errno};
use core::time::Duration;

/// The largest value of a semaphore.
const MAX: i16 = i16::MAX;

impl ChannelSemaphores {
    /// Returns the value of the interrupt semaphore of a side.
    pub(crate) fn interrupts(&self, side: Side) -> sysv::Result<u16> {
        self.set.value(interrupt_sem(side)).map(|value| value as u16)
    }

    /// Changes the value of the interrupt semaphore of a side: every thread that saw another value
    /// continues. Does nothing if the set is not that of `nonce`. Safe in a signal handler.
    pub(crate) fn interrupt(&self, side: Side, nonce: u32) -> sysv::Result<()> {
        sysv::preserving_errno(|| {
            if self.nonce()? != nonce {
                return Err(Errno::EIDRM);
            }
            match self.set.op(&[Op::add(interrupt_sem(side), 1).nowait()]) {
                // It starts again at zero. If another process was faster, it has changed as well.
                Err(Errno::ERANGE) => self.set.op(&[Op::add(interrupt_sem(side), -MAX).nowait()]),
                other => other,
            }
        })
    }

    /// Performs up to two operations, waiting for at most `at_most`: `EAGAIN` when that was not
    /// enough; `EINTR` after a signal, and as soon as the interrupt semaphore of `side` has another
    /// value than `seen`. Without `seen`, interrupts end nothing.
    pub(super) fn op_unless_interrupted(
        &self,
        side: Side,
        seen: Option<u16>,
        ops: &[Op],
        at_most: Duration,
    ) -> sysv::Result<()> {
        let Some(seen) = seen else {
            return self.set.op_timeout(ops, Some(at_most));
        };
        let (sem, value) = (interrupt_sem(side), i16::try_from(seen).unwrap_or(MAX));
        let same =
            [Op::add(sem, -value).nowait(), Op::zero(sem).nowait(), Op::add(sem, value).nowait()];
        // An operation with zero would wait for zero.
        let same = if value == 0 { &same[1..2] } else { &same[..] };
        let mut all = [Op::zero(sem); 5];
        let used = same.iter().chain(ops).zip(&mut all).map(|(op, place)| *place = *op).count();
        match self.set.op_timeout(&all[..used], Some(at_most)) {
            // The time is over, or the value changed.
            Err(Errno::EAGAIN) if self.interrupts(side)? != seen => Err(Errno::EINTR),
            other => other,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sysv::sem::{Set, SetLookup};
    use crate::sysv::tests::eventually;
    use std::thread;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(5);

    /// A set that is removed with the test.
    struct Fixture(ChannelSemaphores);

    impl Fixture {
        fn new() -> Fixture {
            let set = Set::get(0, super::super::semaphores(2), SetLookup::New { mode: 0o600 });
            let fixture = Fixture(ChannelSemaphores::new(set.expect("a set")));
            fixture.0.begin(7).expect("a nonce");
            fixture
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            self.0.set.remove().expect("it is there");
        }
    }

    #[test]
    fn an_interrupt_ends_a_blocked_call_of_its_side() {
        for before in [0, 1, 5, MAX - 1, MAX] {
            let fixture = Fixture::new();
            let set = fixture.0;
            let sem = interrupt_sem(Side::Receivers);
            set.set.set_value(sem, before.into()).expect("set");
            let seen = set.interrupts(Side::Receivers).expect("a value");
            thread::scope(|scope| {
                let blocked = scope.spawn(|| set.sleep(Side::Receivers, Some(seen), LONG));
                eventually(|| set.set.waiting(super::super::WAKE_RECEIVERS) == Ok(1));
                set.interrupt(Side::Senders, 7).expect("the other side");
                thread::sleep(SHORT);
                assert!(!blocked.is_finished(), "{before}");
                set.interrupt(Side::Receivers, 7).expect("this side");
                assert_eq!(blocked.join().expect("no panic"), Err(Errno::EINTR), "{before}");
            });
            assert_ne!(set.interrupts(Side::Receivers), Ok(seen));
        }
    }

    #[test]
    fn an_interrupt_before_it_blocks_ends_the_call() {
        let fixture = Fixture::new();
        let set = fixture.0;
        for seen in 0..4 {
            assert_eq!(set.interrupts(Side::Senders), Ok(seen));
            let start = Instant::now();
            assert_eq!(set.sleep(Side::Senders, Some(seen), SHORT), Err(Errno::EAGAIN));
            assert!(start.elapsed() >= SHORT);
            set.interrupt(Side::Senders, 7).expect("this side");
            assert_eq!(set.sleep(Side::Senders, Some(seen), LONG), Err(Errno::EINTR));
        }
    }

    #[test]
    fn a_token_is_consumed_and_the_value_kept() {
        let fixture = Fixture::new();
        let set = fixture.0;
        for seen in 0..3 {
            set.post(Side::Receivers).expect("a token");
            assert_eq!(set.sleep(Side::Receivers, Some(seen), LONG), Ok(()));
            assert_eq!(set.interrupts(Side::Receivers), Ok(seen));
            set.interrupt(Side::Receivers, 7).expect("this side");
        }
    }

    /// A receiver of a broadcast channel watches no value that could not change at the end of a process,
    /// and each wake-up changes the value that it watches, also where that begins to count again.
    #[test]
    fn a_watched_value_changes_with_every_wake_up_and_every_end() {
        for before in [0, 1, 31_999, 32_000, 32_001, 32_002, MAX - 1, MAX] {
            let fixture = Fixture::new();
            let set = fixture.0;
            set.set.set_value(interrupt_sem(Side::Receivers), before.into()).expect("set");
            for _ in 0..3 {
                let seen = set.value_to_watch().expect("a value");
                assert!(seen < MAX as u16, "{seen} after {before}");
                assert_eq!(set.value_to_watch(), Ok(seen), "nothing changed");
                assert_eq!(set.sleep(Side::Receivers, Some(seen), SHORT), Err(Errno::EAGAIN));
                set.wake_receivers().expect("a wake-up");
                assert_ne!(set.interrupts(Side::Receivers), Ok(seen), "after {before}");
                assert_eq!(set.sleep(Side::Receivers, Some(seen), LONG), Err(Errno::EINTR));
            }
        }
    }

    #[test]
    fn another_set_is_left_alone() {
        let fixture = Fixture::new();
        assert_eq!(fixture.0.interrupt(Side::Senders, 8), Err(Errno::EIDRM));
        assert_eq!(fixture.0.interrupts(Side::Senders), Ok(0));
    }
}
