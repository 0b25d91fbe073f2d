//! Clocks: one shared by all processes, one of this process's CPU time, and one that is cheap to
//! read.

/// Returns nanoseconds of `CLOCK_MONOTONIC`, which are comparable between processes.
pub fn now() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Returns the CPU time of this process in nanoseconds, user and system.
pub fn worked() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call, which cannot fail for these clocks.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Returns the number of voluntary context switches of this process.
pub fn sleeps() -> u64 {
    // SAFETY: a `rusage` consists of numbers, may be zero, and outlives the call.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage.ru_nvcsw as u64
    }
}

/// Returns the processor's time-stamp counter; [`tick`] returns the length of a tick.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Returns the shared clock, which costs a few nanoseconds more, on other architectures.
#[cfg(not(target_arch = "x86_64"))]
pub fn ticks() -> u64 {
    now()
}

/// Measures the length of a tick in nanoseconds; takes some milliseconds.
pub fn tick() -> f64 {
    let (start, first) = (now(), ticks());
    while now() - start < 5_000_000 {}
    (now() - start) as f64 / (ticks() - first) as f64
}
