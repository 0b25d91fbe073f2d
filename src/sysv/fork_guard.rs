//! Detecting that this process is a forked child.
//!
//! A child inherits a handle's memory but not its semaphore adjustments: for the kernel, the child
//! never took the seat. Such a handle must notice that before it writes anything, on the hottest
//! path, so the check is one load of a word that the fork itself clears.
//!
//! The word lies in a private page that the kernel clears in a child (`MADV_WIPEONFORK`), whatever
//! call made the child. Where the kernel does not support that, the word is on the heap and a
//! handler of `pthread_atfork` clears it, which covers every `fork` but no bare `clone`. Either
//! way, a cleared word stays cleared: a child that makes a guard of its own gets a fresh word; the
//! inherited guards keep the old one and continue to report a fork. A child of `vfork` shares its
//! parent's memory, including the word, and is not distinguished; it may only exec or exit anyway.

use std::ptr;

use super::memory;
use crate::sync::plain::{AtomicPtr, AtomicU32, Ordering};

/// Values that belong to one process and must be initialized again in its children.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct PerProcess {
    /// 1 in the process that made it, 0 in a child.
    alive: AtomicU32,
    /// Caches the result of `process::register_membarrier`; 0 at first.
    pub(crate) membarrier: AtomicU32,
}

/// The words of this process, or those of the process from which it was forked.
static CURRENT: AtomicPtr<PerProcess> = AtomicPtr::new(ptr::null_mut());

/// Returns the words of this process, made on first use.
pub(crate) fn per_process() -> &'static PerProcess {
    loop {
        let current = CURRENT.load(Ordering::Acquire);
        // SAFETY: null, or words that are never freed.
        if let Some(words) = unsafe { current.as_ref() }
            && words.alive.load(Ordering::Relaxed) != 0
        {
            return words;
        }
        let fresh = wiped_page().unwrap_or_else(cleared_by_handler);
        fresh.alive.store(1, Ordering::Relaxed);
        // The thread that loses this race leaks a page: once in a process, and too rarely to
        // matter.
        let _ = CURRENT.compare_exchange(
            current,
            ptr::from_ref(fresh).cast_mut(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }
}

/// Makes words in a page that reads as zeros in a child.
fn wiped_page() -> Option<&'static PerProcess> {
    let (length, protection) = (memory::page_size(), libc::PROT_READ | libc::PROT_WRITE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory at an address that the kernel picks.
    let page = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page just made, which holds nothing yet.
    if unsafe { libc::madvise(page, length, libc::MADV_WIPEONFORK) } == -1 {
        // SAFETY: as above; there is no other reference to it.
        unsafe { libc::munmap(page, length) };
        return None;
    }
    // SAFETY: zeros are valid words, the page is aligned for them and is never unmapped.
    unsafe { page.cast::<PerProcess>().as_ref() }
}

/// Makes words that a handler clears in a child.
fn cleared_by_handler() -> &'static PerProcess {
    extern "C" fn clear() {
        // SAFETY: null, or words that are never freed.
        if let Some(words) = unsafe { CURRENT.load(Ordering::Acquire).as_ref() } {
            words.alive.store(0, Ordering::Relaxed);
        }
    }
    static REGISTERED: AtomicU32 = AtomicU32::new(0);
    // If two threads register it at once, it runs twice, which does no harm; a lock could be held
    // for ever in a child.
    if REGISTERED.load(Ordering::Relaxed) == 0 {
        // SAFETY: the handler only touches atomics, as a child of a threaded process must.
        let result = unsafe { libc::pthread_atfork(None, None, Some(clear)) };
        REGISTERED.store(u32::from(result == 0), Ordering::Relaxed);
    }
    Box::leak(Box::new(PerProcess { alive: AtomicU32::new(0), membarrier: AtomicU32::new(0) }))
}

/// Detects whether this process was forked from the one that made the guard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForkGuard {
    alive: &'static AtomicU32,
}

impl ForkGuard {
    /// Returns a guard of the current process.
    pub(crate) fn new() -> ForkGuard {
        ForkGuard { alive: &per_process().alive }
    }

    /// Returns whether this process is a child of the one that made the guard.
    #[inline(always)]
    pub(crate) fn forked(&self) -> bool {
        self.alive.load(Ordering::Relaxed) == 0
    }
}

/// A guard that can be made to report a fork in every process, while other threads check it.
#[derive(Debug)]
pub(crate) struct SharedForkGuard {
    alive: AtomicPtr<AtomicU32>,
}

impl SharedForkGuard {
    /// Returns a guard of the current process.
    pub(crate) fn new() -> SharedForkGuard {
        let ForkGuard { alive } = ForkGuard::new();
        SharedForkGuard { alive: AtomicPtr::new(ptr::from_ref(alive).cast_mut()) }
    }

    /// Makes the guard report a fork in every process. AcqRel, as a swap: the thread that undoes
    /// this sees what was done before it, also through other threads that broke the guard.
    pub(crate) fn set_broken(&self) {
        static NEVER: AtomicU32 = AtomicU32::new(0);
        self.alive.swap(ptr::from_ref(&NEVER).cast_mut(), Ordering::AcqRel);
    }

    /// Makes the guard report again what `home` reports.
    pub(crate) fn mend(&self, home: ForkGuard) {
        self.alive.swap(ptr::from_ref(home.alive).cast_mut(), Ordering::AcqRel);
    }

    /// Returns whether this process is a child of the one that made the guard, or the guard was
    /// broken.
    #[inline(always)]
    pub(crate) fn forked(&self) -> bool {
        // SAFETY: a word that is never freed.
        unsafe { &*self.alive.load(Ordering::Relaxed) }.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;

    #[test]
    fn a_child_knows_and_can_start_afresh() {
        let guard = ForkGuard::new();
        let copy = guard;
        assert!(!guard.forked() && !ForkGuard::new().forked());
        let child = fork(|| {
            let inherited = guard.forked() && copy.forked();
            let fresh = ForkGuard::new();
            let afresh = !fresh.forked() && guard.forked() && copy.forked();
            // Three generations, each with a guard of its own.
            let grandchild = fork(|| {
                let inherited = fresh.forked() && guard.forked();
                inherited && !ForkGuard::new().forked() && fresh.forked() && guard.forked()
            });
            inherited && afresh && wait(grandchild) && !fresh.forked()
        });
        assert!(wait(child));
        assert!(!guard.forked() && !copy.forked());
    }

    #[test]
    fn the_handler_clears_too() {
        let words = cleared_by_handler();
        words.alive.store(1, Ordering::Relaxed);
        // Only a dedicated child may exchange the words of the process.
        let child = fork(|| {
            CURRENT.store(ptr::from_ref(words).cast_mut(), Ordering::Release);
            let guard = ForkGuard::new();
            let before = !guard.forked();
            let inner = fork(|| guard.forked() && !ForkGuard::new().forked() && guard.forked());
            before && wait(inner) && !guard.forked()
        });
        assert!(wait(child));
    }

    #[test]
    fn broken_is_broken() {
        let guard = SharedForkGuard::new();
        assert!(!guard.forked());
        assert!(wait(fork(|| guard.forked())));
        guard.set_broken();
        assert!(guard.forked());
        assert!(wait(fork(|| guard.forked())));
    }

    #[test]
    fn threads_agree() {
        let words: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| ptr::from_ref(per_process()).addr())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(words.iter().all(|word| *word == words[0]));
    }
}
