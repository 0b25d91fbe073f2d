//! Everything else that differs from one run to the next: time, random numbers, processors.

use std::ffi::{c_int, c_long, c_uint, c_void};

use super::model::pid;
use super::{CLOCK, MODEL, RANDOM, forward};

/// The time that a reading of the clock takes, in nanoseconds. A spin of some microseconds then
/// ends soon.
const READING: u64 = 4000;

/// Advances the clock by this number of nanoseconds.
pub(super) fn pass(time: u64) {
    CLOCK.set(CLOCK.get().map(|now| now.saturating_add(time)));
}

pub(super) fn nanoseconds(time: &libc::timespec) -> u64 {
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

// SAFETY, of all functions here: the signature is that of the C library; nothing unwinds.

#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    type Time = *mut libc::timespec;
    // A fuzzer measures its inputs by the time of day.
    let Some(now) = CLOCK.get().filter(|_| clock != libc::CLOCK_REALTIME) else {
        return forward!(c"clock_gettime", fn(libc::clockid_t, Time) -> c_int, clock, time);
    };
    CLOCK.set(Some(now + READING));
    let (tv_sec, tv_nsec) = ((now / 1_000_000_000) as _, (now % 1_000_000_000) as _);
    // SAFETY: the caller's pointer to the result.
    unsafe { time.write(libc::timespec { tv_sec, tv_nsec }) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn nanosleep(time: *const libc::timespec, left: *mut libc::timespec) -> c_int {
    if CLOCK.get().is_none() {
        return forward!(
            c"nanosleep",
            fn(*const libc::timespec, *mut libc::timespec) -> c_int,
            time,
            left
        );
    }
    // SAFETY: the caller's time.
    pass(nanoseconds(unsafe { &*time }));
    0
}

#[unsafe(no_mangle)]
extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    time: *const libc::timespec,
    left: *mut libc::timespec,
) -> c_int {
    type Time = *const libc::timespec;
    type Left = *mut libc::timespec;
    if CLOCK.get().is_none() {
        return forward!(
            c"clock_nanosleep",
            fn(libc::clockid_t, c_int, Time, Left) -> c_int,
            clock,
            flags,
            time,
            left
        );
    }
    // SAFETY: the caller's time.
    let time = nanoseconds(unsafe { &*time });
    match flags & libc::TIMER_ABSTIME {
        0 => pass(time),
        _ => CLOCK.set(CLOCK.get().map(|now| now.max(time))),
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn madvise(place: *mut c_void, len: usize, advice: c_int) -> c_int {
    type Place = *mut c_void;
    match (advice, CLOCK.get()) {
        // A segment on the heap is populated already.
        (libc::MADV_POPULATE_WRITE, Some(_)) => 0,
        _ => forward!(c"madvise", fn(Place, usize, c_int) -> c_int, place, len, advice),
    }
}

#[unsafe(no_mangle)]
extern "C" fn sched_yield() -> c_int {
    match MODEL.get() {
        Some(_) => 0,
        None => forward!(c"sched_yield", fn() -> c_int,),
    }
}

#[unsafe(no_mangle)]
extern "C" fn getpid() -> libc::pid_t {
    match MODEL.get() {
        Some(_) => pid(),
        None => forward!(c"getpid", fn() -> libc::pid_t,),
    }
}

#[unsafe(no_mangle)]
extern "C" fn sysconf(name: c_int) -> c_long {
    match (name, MODEL.get()) {
        (libc::_SC_NPROCESSORS_ONLN, Some(_)) => 2,
        _ => forward!(c"sysconf", fn(c_int) -> c_long, name),
    }
}

#[unsafe(no_mangle)]
extern "C" fn getrandom(bytes: *mut c_void, len: usize, flags: c_uint) -> isize {
    if CLOCK.get().is_none() {
        return forward!(c"getrandom", fn(*mut c_void, usize, c_uint) -> isize, bytes, len, flags);
    }
    let n = RANDOM.get() + 1;
    RANDOM.set(n);
    let number = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for (at, byte) in number.to_be_bytes().into_iter().cycle().take(len).enumerate() {
        // SAFETY: the caller's buffer has this length.
        unsafe { bytes.cast::<u8>().add(at).write(byte) };
    }
    len as isize
}
