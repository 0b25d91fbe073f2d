//! Numbers that a process shares with the children it forks.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Returns zeros in memory that all children forked later share, for the life of the process. A
/// number that is never touched takes no memory.
pub fn shared_counters<const N: usize>() -> &'static [AtomicU64; N] {
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
