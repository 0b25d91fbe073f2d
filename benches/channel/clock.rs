//! Clocks: one that all processes share, one of a process' own work, one that costs little to read.

/// Nanoseconds that mean the same in every process (`CLOCK_MONOTONIC`).
pub fn now() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of processor time of this process, in user code and in the kernel.
pub fn worked() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives through the call. It cannot fail for these clocks.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How often this process gave up its processor to sleep.
pub fn sleeps() -> u64 {
    // SAFETY: a `rusage` is numbers, may be zero, and lives through the call.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage.ru_nvcsw as u64
    }
}

/// Ticks of the processor's own counter; their length comes from [`now`], read at both ends.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// As above; elsewhere the shared clock serves, at a few nanoseconds more.
#[cfg(not(target_arch = "x86_64"))]
pub fn ticks() -> u64 {
    now()
}

/// Nanoseconds of a tick; takes some milliseconds to find out.
#[allow(dead_code, reason = "not all that share this need it")]
pub fn tick() -> f64 {
    let (start, first) = (now(), ticks());
    while now() - start < 5_000_000 {}
    (now() - start) as f64 / (ticks() - first) as f64
}
