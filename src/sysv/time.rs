//! Clocks and deadlines, in nanoseconds.

use std::time::Duration;

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid address for the answer. The clocks used here always exist.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// Reads the monotonic clock, which is the same for all processes of a machine that share a time
/// namespace.
pub(crate) fn now_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Returns the nanoseconds since `start` on the monotonic clock; 0 if the clock is behind that, which it
/// should never be, but has been seen to be on virtual machines.
pub(crate) fn since(start: u64) -> u64 {
    now_ns().saturating_sub(start)
}

/// Reads the monotonic clock as of the last tick: a few milliseconds late, but cheaper to read.
pub(crate) fn coarse_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// Reads the wall clock, in nanoseconds since 1970. It may jump.
pub(crate) fn wall_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// A point of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// Returns the deadline `time` from now, or `None`, which means never, if the clock does not
    /// reach that far.
    pub(crate) fn after(time: Duration) -> Option<Deadline> {
        let ns = u64::try_from(time.as_nanos()).ok()?;
        now_ns().checked_add(ns).map(Deadline)
    }

    /// Returns the time left; zero once it has passed.
    pub(crate) fn remaining(&self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now_ns()))
    }

    /// Returns whether it has passed.
    pub(crate) fn passed(&self) -> bool {
        self.passed_at(now_ns())
    }

    /// Returns whether it has passed at this point of the monotonic clock.
    pub(crate) fn passed_at(&self, now_ns: u64) -> bool {
        self.0 <= now_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run() {
        let (coarse, now) = (coarse_ns(), now_ns());
        assert!(coarse <= now && now <= now_ns());
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(Duration::from_nanos(wall_ns()).abs_diff(wall) < Duration::from_secs(5));
    }

    #[test]
    fn deadlines_pass_once() {
        let soon = Deadline::after(Duration::from_millis(5)).unwrap();
        assert!(soon.remaining() <= Duration::from_millis(5));
        let far = Deadline::after(Duration::from_secs(60)).unwrap();
        assert!(!far.passed() && far.remaining() <= Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(6));
        assert!(soon.passed() && soon.remaining().is_zero());
        assert!(soon.passed_at(u64::MAX) && !soon.passed_at(0));
        assert!(Deadline::after(Duration::ZERO).unwrap().passed());
    }

    #[test]
    fn a_clock_that_goes_back_counts_as_one_that_stands_still() {
        let now = now_ns();
        assert!(since(now) < 1_000_000_000 && since(0) >= now);
        assert_eq!(since(now + 3_600_000_000_000), 0);
    }

    #[test]
    fn what_overflows_never_comes() {
        assert_eq!(Deadline::after(Duration::MAX), None);
        assert_eq!(Deadline::after(Duration::from_nanos(u64::MAX)), None);
        assert!(Deadline::after(Duration::from_secs(86_400 * 365 * 100)).is_some());
    }
}
