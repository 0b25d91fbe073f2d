//! The calls that the library makes to the kernel, answered by a model of it in threads that ask for
//! that; everywhere else they go on to the C library.
//!
//! With the kernel an input of most targets is a few hundred system calls, and a few thousand are
//! done in a second; with the model ten times as many, and always in the same way: time is what the
//! model says, each look at a clock is later than the last. The names below are those of the C library,
//! and a program takes its own functions first.
//!
//! `tests/kernel.rs` compares both, call by call.

mod model;
mod sets;

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Errno, Model};
use sets::Set;

const GETPID: c_int = 11;
const GETVAL: c_int = 12;
const GETALL: c_int = 13;
const SETVAL: c_int = 16;
const SETALL: c_int = 17;
const SEM_STAT: c_int = 18;
const SEM_INFO: c_int = 19;
const SEM_STAT_ANY: c_int = 20;
const SHM_STAT: c_int = 13;
const SHM_INFO: c_int = 14;
const SHM_STAT_ANY: c_int = 15;

/// What a look at the clock takes, in nanoseconds: a spinning wait of some microseconds is soon over.
const LOOK: u64 = 4000;

thread_local! {
    static MODEL: Cell<Option<&'static RefCell<Model>>> = const { Cell::new(None) };
    /// The time of this input so far.
    static CLOCK: Cell<Option<u64>> = const { Cell::new(None) };
    static RANDOM: Cell<u64> = const { Cell::new(0) };
}

/// From now on this thread sees the model instead of the kernel, until it ends.
///
/// # Panics
/// When the kernel makes no channel.
pub fn model() {
    // What the library asks once in a process it asks of the kernel.
    let first = sysvring::Options::private().create::<sysvring::spsc::Sender<u64>>();
    drop(first.expect("a channel"));
    // Never freed: handles of this thread are dropped until its very end.
    MODEL.set(Some(Box::leak(Box::default())));
}

/// The model, or the kernel where the environment says `FUZZ_KERNEL=real`.
pub fn from_environment() {
    match std::env::var("FUZZ_KERNEL").as_deref() {
        Ok("real") => {}
        Ok("model") | Err(_) => model(),
        Ok(other) => panic!("FUZZ_KERNEL={other}: it is `real` or `model`"),
    }
}

/// Whether this thread sees the model.
pub(crate) fn is_model() -> bool {
    MODEL.get().is_some()
}

/// Does it from the same moment on, and with the same random numbers, each time.
pub(crate) fn at_the_same_time(what: impl FnOnce()) {
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            CLOCK.set(None);
        }
    }
    let _over = Over;
    if MODEL.get().is_some() {
        CLOCK.set(Some(1_000_000_000_000));
        RANDOM.set(0);
    }
    what();
}

/// The C library's function of that name.
fn real(name: &CStr, known: &AtomicUsize) -> usize {
    let address = known.load(Ordering::Relaxed);
    if address != 0 {
        return address;
    }
    // SAFETY: a name that ends in a zero.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast::<c_char>()) }.addr();
    if address == 0 {
        // Nothing of this program works then, a panic neither.
        std::process::abort();
    }
    known.store(address, Ordering::Relaxed);
    address
}

/// A call goes on to the C library.
macro_rules! forward {
    ($name:literal, fn($($type:ty),*) -> $result:ty, $($argument:expr),*) => {{
        static KNOWN: AtomicUsize = AtomicUsize::new(0);
        let address = real($name, &KNOWN) as *const ();
        // SAFETY: that function has these arguments, and ours are the caller's.
        unsafe {
            std::mem::transmute::<*const (), unsafe extern "C" fn($($type),*) -> $result>(address)
                ($($argument),*)
        }
    }};
}

/// An answer as the C library gives it.
fn answer<T>(result: Result<T, Errno>, failed: T) -> T {
    result.unwrap_or_else(|errno| {
        // SAFETY: the address of this thread's error number.
        unsafe { *libc::__errno_location() = errno };
        failed
    })
}

// SAFETY (all of those below): the signature is the C library's, with as many numbers in the place
// of variable arguments as it looks at; nothing here unwinds.

#[unsafe(no_mangle)]
extern "C" fn shmget(key: c_int, len: usize, flags: c_int) -> c_int {
    match MODEL.get() {
        Some(model) => answer(model.borrow_mut().shmget(key, len, flags), -1),
        None => forward!(c"shmget", fn(c_int, usize, c_int) -> c_int, key, len, flags),
    }
}

#[unsafe(no_mangle)]
extern "C" fn shmat(id: c_int, place: *const c_void, flags: c_int) -> *mut c_void {
    type Place = *const c_void;
    match MODEL.get() {
        Some(model) => {
            let base = model.borrow_mut().shmat(id).map(<*mut u8>::cast);
            answer(base, std::ptr::without_provenance_mut(usize::MAX))
        }
        None => forward!(c"shmat", fn(c_int, Place, c_int) -> *mut c_void, id, place, flags),
    }
}

#[unsafe(no_mangle)]
extern "C" fn shmdt(base: *const c_void) -> c_int {
    match MODEL.get() {
        Some(model) => answer(model.borrow_mut().shmdt(base.cast()), -1),
        None => forward!(c"shmdt", fn(*const c_void) -> c_int, base),
    }
}

#[unsafe(no_mangle)]
extern "C" fn shmctl(id: c_int, command: c_int, buffer: *mut libc::shmid_ds) -> c_int {
    type Buffer = *mut libc::shmid_ds;
    let Some(model) = MODEL.get() else {
        return forward!(c"shmctl", fn(c_int, c_int, Buffer) -> c_int, id, command, buffer);
    };
    let mut model = model.borrow_mut();
    let stat = |model: &Model, id| {
        let stat = model.shm_stat(id)?;
        // SAFETY: for these commands, the place of a `shmid_ds`.
        unsafe { buffer.write(stat) };
        Ok(id)
    };
    answer(
        match command {
            libc::IPC_RMID => model.shm_remove(id),
            libc::IPC_STAT => stat(&model, id).map(|_| 0),
            SHM_STAT | SHM_STAT_ANY => model.shm_at_index(id).and_then(|id| stat(&model, id)),
            SHM_INFO => Ok(model.highest_segment()),
            _ => Err(libc::EINVAL),
        },
        -1,
    )
}

#[unsafe(no_mangle)]
extern "C" fn semget(key: c_int, n: c_int, flags: c_int) -> c_int {
    match MODEL.get() {
        Some(model) => answer(model.borrow_mut().semget(key, n, flags), -1),
        None => forward!(c"semget", fn(c_int, c_int, c_int) -> c_int, key, n, flags),
    }
}

#[unsafe(no_mangle)]
extern "C" fn semctl(id: c_int, n: c_int, command: c_int, argument: usize) -> c_int {
    let Some(model) = MODEL.get() else {
        type Word = usize;
        return forward!(
            c"semctl",
            fn(c_int, c_int, c_int, Word) -> c_int,
            id,
            n,
            command,
            argument
        );
    };
    if id < 0 {
        return answer(Err(libc::EINVAL), -1);
    }
    let mut model = model.borrow_mut();
    let stat = |model: &mut Model, id| {
        let stat = model.set(id)?.stat();
        // SAFETY: for these commands, the place of a `semid_ds`.
        unsafe { (argument as *mut libc::semid_ds).write(stat) };
        Ok(id)
    };
    answer(
        match command {
            libc::IPC_RMID => model.sem_remove(id),
            libc::IPC_STAT => stat(&mut model, id).map(|_| 0),
            SEM_STAT | SEM_STAT_ANY => model.sem_at_index(id).and_then(|id| stat(&mut model, id)),
            SEM_INFO => Ok(model.highest_set()),
            GETVAL => model.set(id).and_then(|set| set.value(n)),
            GETPID => model.set(id).and_then(|set| set.pid(n)),
            SETVAL => {
                Set::check(argument as c_int).and_then(|value| model.set(id)?.set_value(n, value))
            }
            GETALL => model.set(id).map(|set| {
                for (at, value) in set.values().enumerate() {
                    // SAFETY: room for all values of the set.
                    unsafe { (argument as *mut u16).add(at).write(value) };
                }
                0
            }),
            SETALL => model.set(id).and_then(|set| {
                // SAFETY: as many values as the set has.
                let values =
                    unsafe { std::slice::from_raw_parts(argument as *const u16, set.len()) };
                set.set_values(values)
            }),
            _ => Err(libc::EINVAL),
        },
        -1,
    )
}

/// A call that would wait: nobody is there to end that but the clock.
fn operate(
    model: &RefCell<Model>,
    id: c_int,
    ops: *const libc::sembuf,
    len: usize,
    limit: Option<u64>,
) -> Result<c_int, Errno> {
    // SAFETY: as many operations as the caller says.
    let ops = unsafe { std::slice::from_raw_parts(ops, len) };
    match (model.borrow_mut().set(id)?.operate(ops), limit) {
        (Err(sets::SLEEPS), Some(limit)) => {
            pass(limit);
            Err(libc::EAGAIN)
        }
        (Err(sets::SLEEPS), None) => {
            // To be found, not to be waited for.
            eprintln!("it would sleep for ever");
            std::process::abort();
        }
        (other, _) => other,
    }
}

/// So many nanoseconds later.
fn pass(time: u64) {
    CLOCK.set(CLOCK.get().map(|now| now.saturating_add(time)));
}

fn nanoseconds(time: &libc::timespec) -> u64 {
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

#[unsafe(no_mangle)]
extern "C" fn semop(id: c_int, ops: *mut libc::sembuf, len: usize) -> c_int {
    type Ops = *mut libc::sembuf;
    match MODEL.get() {
        Some(model) => answer(operate(model, id, ops, len, None), -1),
        None => forward!(c"semop", fn(c_int, Ops, usize) -> c_int, id, ops, len),
    }
}

#[unsafe(no_mangle)]
extern "C" fn syscall(
    n: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    type Word = usize;
    match (n, MODEL.get()) {
        (libc::SYS_semtimedop, Some(model)) => {
            // SAFETY: null, or a time that outlives the call.
            let limit = unsafe { (d as *const libc::timespec).as_ref() };
            let limit = limit.map(nanoseconds);
            answer(operate(model, a as c_int, b as *const libc::sembuf, c, limit), -1).into()
        }
        // Of one thread.
        (libc::SYS_membarrier, Some(_)) => 0,
        _ => forward!(
            c"syscall",
            fn(c_long, Word, Word, Word, Word, Word, Word) -> c_long,
            n,
            a,
            b,
            c,
            d,
            e,
            f
        ),
    }
}

#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    type Time = *mut libc::timespec;
    let Some(now) = CLOCK.try_with(Cell::get).ok().flatten() else {
        return forward!(c"clock_gettime", fn(libc::clockid_t, Time) -> c_int, clock, time);
    };
    CLOCK.set(Some(now + LOOK));
    let (tv_sec, tv_nsec) = ((now / 1_000_000_000) as _, (now % 1_000_000_000) as _);
    // SAFETY: a place for the answer.
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
        // A segment of the heap, there already.
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
        Some(_) => model::pid(),
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
        // SAFETY: room for so many.
        unsafe { bytes.cast::<u8>().add(at).write(byte) };
    }
    len as isize
}
