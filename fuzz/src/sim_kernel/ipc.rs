//! The calls of System V IPC.

use std::cell::RefCell;
use std::ffi::{c_int, c_long, c_void};

use sysvring_support::raw_ipc::{GETALL, GETPID, GETVAL, SETALL, SETVAL, SHM_INFO};

use super::model::{Errno, Model};
use super::sets::{Set, WOULD_BLOCK};
use super::time::{nanoseconds, pass};
use super::{MODEL, answer, forward};

const IPC_INFO: c_int = 3;
const SEM_STAT: c_int = 18;
const SEM_INFO: c_int = 19;
const SEM_STAT_ANY: c_int = 20;
const SHM_STAT: c_int = 13;
const SHM_STAT_ANY: c_int = 15;

// SAFETY, of all functions here: the signature is that of the C library, with as many numbers in
// place of variable arguments as it reads; nothing unwinds.

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
        // SAFETY: for these commands, a pointer to a `shmid_ds`.
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
        // SAFETY: for these commands, a pointer to a `semid_ds`.
        unsafe { (argument as *mut libc::semid_ds).write(stat) };
        Ok(id)
    };
    answer(
        match command {
            libc::IPC_RMID => model.sem_remove(id),
            libc::IPC_STAT => stat(&mut model, id).map(|_| 0),
            SEM_STAT | SEM_STAT_ANY => model.sem_at_index(id).and_then(|id| stat(&mut model, id)),
            SEM_INFO => Ok(model.highest_set()),
            IPC_INFO => {
                // SAFETY: zeros are valid numbers.
                let mut limits: libc::seminfo = unsafe { std::mem::zeroed() };
                limits.semmsl = 32_000;
                // SAFETY: for this command, a pointer to a `seminfo`.
                unsafe { (argument as *mut libc::seminfo).write(limits) };
                Ok(0)
            }
            libc::IPC_SET => model.set(id).map(|set| {
                // SAFETY: for this command, a pointer to a `semid_ds`.
                set.set_mode(unsafe {
                    (*(argument as *const libc::semid_ds)).sem_perm.mode as u32
                });
                0
            }),
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

/// Executes a `semop`. One that would block ends at its timeout, because nothing else can end it.
fn operate(
    model: &RefCell<Model>,
    id: c_int,
    ops: *const libc::sembuf,
    len: usize,
    limit: Option<u64>,
) -> Result<c_int, Errno> {
    // SAFETY: the length is the caller's.
    let ops = unsafe { std::slice::from_raw_parts(ops, len) };
    match (model.borrow_mut().set(id)?.operate(ops), limit) {
        (Err(WOULD_BLOCK), Some(limit)) => {
            pass(limit);
            Err(libc::EAGAIN)
        }
        (Err(WOULD_BLOCK), None) => {
            // A fuzzer reports an abort at once, and a timeout only after a while.
            eprintln!("this call would block for ever");
            std::process::abort();
        }
        (other, _) => other,
    }
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
            // SAFETY: null, or a timeout that outlives the call.
            let limit = unsafe { (d as *const libc::timespec).as_ref() };
            let limit = limit.map(nanoseconds);
            answer(operate(model, a as c_int, b as *const libc::sembuf, c, limit), -1).into()
        }
        // There is only one thread.
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
