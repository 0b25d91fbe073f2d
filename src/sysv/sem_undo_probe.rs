//! Probing whether this kernel undoes semaphore operations when their process exits. Without that,
//! no death is detected, and there are kernels that accept `SEM_UNDO` and ignore it.
//!
//! Undo normally runs at process exit, so only a dead process could observe it. But a thread may
//! leave its process' undo list for one of its own, and leave that too: then the kernel does at
//! once what it does at the exit of a process. No process is created for the probe, so no parent is
//! notified of a child; and all signals are blocked, so no handler runs in that thread.
//!
//! Under a seccomp filter nothing is probed: a filter may answer `unshare`, or the start of a thread,
//! by ending the thread or the process instead of an error.

use super::process;
use super::sem::{Op, Set};
use crate::sync::plain::{AtomicU32, Ordering::Relaxed};

/// 1 if it was observed to work, or cannot be determined. Children inherit this: they run on the
/// same kernel.
static ASKED: AtomicU32 = AtomicU32::new(0);

const STACK: usize = 64 * 1024;
/// A bound on the polls until the kernel has removed a thread that has ended.
const MOMENTS: u32 = 10_000;

/// Returns whether undo works here; probed once in a process. `sem` is used by this process alone.
/// Returns true where it cannot be determined (there is a filter, no thread can be started, the
/// kernel refuses `unshare`).
pub(crate) fn works(set: Set, sem: u16) -> bool {
    if ASKED.load(Relaxed) == 0 {
        if !process::is_filtered() && in_a_thread(move || probe(set, sem)) == Some(false) {
            return false;
        }
        ASKED.store(1, Relaxed);
    }
    true
}

/// Returns the result of `what` in a thread with all signals blocked, after that thread is gone: a
/// caller that forks next, or asks for a user namespace, has no more threads than before.
fn in_a_thread(what: impl FnOnce() -> Option<bool> + Send + 'static) -> Option<bool> {
    // SAFETY: takes nothing and cannot fail.
    let named = move || (unsafe { libc::gettid() }, what());
    let quiet = Quiet::new();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(named);
    drop(quiet);
    let (number, said) = thread.ok()?.join().ok()?;
    for _ in 0..MOMENTS {
        // SAFETY: numbers only, and no signal: asks whether that thread exists.
        if unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), number, 0) } != 0 {
            break;
        }
        std::thread::yield_now();
    }
    said
}

/// The number of probes that must agree that undo does not work.
const PROBES: usize = 3;

/// Probes in a dedicated thread. Returns `None` if it cannot be determined.
fn probe(set: Set, sem: u16) -> Option<bool> {
    for _ in 1..PROBES {
        let works = probe_once(set, sem);
        if works != Some(false) {
            return works;
        }
    }
    probe_once(set, sem)
}

/// Probes once. A process with write access may set the semaphore meanwhile: then the value is not
/// the one that a missing undo leaves, unless by chance.
fn probe_once(set: Set, sem: u16) -> Option<bool> {
    // From here on, the operations of this thread are undone separately from those of its process.
    leave_list()?;
    let before = set.value(sem).ok()?;
    set.op(&[Op::add(sem, 1).undo().nowait()]).ok()?;
    let left = leave_list();
    let after = set.value(sem).ok()?;
    if after == before {
        return Some(true);
    }
    if after != before + 1 {
        return None;
    }
    set.op(&[Op::add(sem, -1).undo().nowait()]).ok()?;
    left.map(|()| false)
}

/// Leaves the undo list. When the last thread leaves a list, the kernel performs it.
fn leave_list() -> Option<()> {
    // SAFETY: takes a number, and concerns this thread only.
    (unsafe { libc::unshare(libc::CLONE_SYSVSEM) } == 0).then_some(())
}

/// Blocks all signals in this thread, and in those that it starts, until it is dropped.
struct Quiet(libc::sigset_t);

impl Quiet {
    fn new() -> Quiet {
        // SAFETY: signal sets are numbers, and both live through the calls, which cannot fail.
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &all, &mut before);
            Quiet(before)
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::sem::SetLookup;
    use super::*;

    #[test]
    fn an_undo_is_seen_and_others_stay() {
        let set = Set::get(super::super::key::PRIVATE, 2, SetLookup::New { mode: 0o600 }).unwrap();
        set.op(&[Op::add(0, 1).undo(), Op::add(1, 1).undo()]).unwrap();
        for _ in 0..10 {
            let seen = std::thread::spawn(move || probe(set, 0)).join().unwrap();
            assert_eq!(seen, Some(true));
            assert!(works(set, 1));
            assert_eq!(set.values().unwrap(), [1, 1]);
        }
        set.remove().unwrap();
    }

    /// Another process sets the semaphore to ever new values, which differ by more than one.
    #[test]
    fn a_semaphore_set_from_outside_is_no_missing_undo() {
        let set = Set::get(super::super::key::PRIVATE, 1, SetLookup::New { mode: 0o600 }).unwrap();
        let over = std::sync::Arc::new(AtomicU32::new(0));
        let is_over = over.clone();
        let writer = std::thread::spawn(move || {
            for value in (10..=32_760).step_by(10).cycle() {
                if is_over.load(Relaxed) != 0 {
                    break;
                }
                set.set_value(0, value).unwrap();
            }
        });
        for _ in 0..2_000 {
            let seen = std::thread::spawn(move || probe(set, 0)).join().unwrap();
            assert_ne!(seen, Some(false));
        }
        over.store(1, Relaxed);
        writer.join().unwrap();
        set.remove().unwrap();
    }
}
