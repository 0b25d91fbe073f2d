//! Numbers that a process shares with the children it forks.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Returns zeros in memory that all children forked later share, for the life of the process. A
/// number that is never touched takes no memory.
pub fn board<const N: usize>() -> &'static [AtomicU64; N] {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel picks, never unmapped; zeros are valid
    // numbers.
    unsafe {
        let page = libc::mmap(ptr::null_mut(), N * 8, protection, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        &*page.cast()
    }
}

/// Waits until `what` is true, for 20 seconds at most.
#[track_caller]
pub fn until(mut what: impl FnMut() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(20), "the condition never became true");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Waits until the number is at least `n`.
#[track_caller]
pub fn until_at_least(number: &AtomicU64, n: u64) {
    until(|| number.load(Ordering::Acquire) >= n);
}

/// Returns the time of the monotonic clock in nanoseconds. It is the same in all processes.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local variable for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Random numbers, by splitmix64.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Returns a generator whose numbers differ between processes and between calls.
    pub fn new() -> Dice {
        Dice(now_ns() ^ u64::from(std::process::id()) << 40)
    }

    /// Returns a number from 0 to `n` - 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) % n
    }

    /// Returns a time of at most 2^`bits` nanoseconds. Each order of magnitude is equally likely.
    pub fn time(&mut self, bits: u64) -> Duration {
        let reach = self.below(bits) + 1;
        Duration::from_nanos(self.below(1 << reach))
    }

    /// Waits for such a time, without giving up the processor if it is short.
    pub fn pause(&mut self, bits: u64) {
        let time = self.time(bits);
        if time > Duration::from_micros(50) {
            return std::thread::sleep(time);
        }
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}

impl Default for Dice {
    fn default() -> Dice {
        Dice::new()
    }
}
