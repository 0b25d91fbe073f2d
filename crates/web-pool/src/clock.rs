//! Processor time of any process.

use std::io;
use std::time::Duration;

/// Returns the processor time, user and system, that a process has used.
pub fn processor_time(pid: u32) -> io::Result<Duration> {
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: takes a number, and a pointer to a variable that outlives the call.
    match unsafe { libc::clock_getcpuclockid(pid as i32, &mut clock) } {
        0 => {}
        error => return Err(io::Error::from_raw_os_error(error)),
    }
    // SAFETY: `time` outlives the call.
    match unsafe { libc::clock_gettime(clock, &mut time) } {
        0 => Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the sleeps of this thread end on time.
pub fn sleep_exactly() {
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}
