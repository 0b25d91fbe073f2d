//! The process and its processors.

use super::fork_guard::per_process;
use super::{Errno, check, time};
use crate::sync::plain::{AtomicU64, Ordering};

/// Returns the identifier of this process, queried from the kernel each time: a fork changes it.
pub(crate) fn pid() -> u32 {
    std::process::id()
}

/// Returns the effective user, whose permissions count.
pub(crate) fn euid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Returns whether a seccomp filter restricts this thread. A filter may answer a call that it
/// refuses by ending the thread or the process.
pub(crate) fn is_filtered() -> bool {
    // SAFETY: takes and returns plain numbers.
    match check(unsafe { libc::prctl(libc::PR_GET_SECCOMP) }) {
        Ok(mode) => mode != 0,
        // A kernel without filters.
        Err(Errno::EINVAL) => false,
        Err(_) => true,
    }
}

/// The signals that the kernel sends to a thread for what the thread itself did. Blocking them would
/// not defer them: the kernel would end the process, also if it has a handler.
#[cfg(feature = "async")]
const SYNCHRONOUS: [libc::c_int; 6] =
    [libc::SIGSYS, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// Leaves signals to the other threads of this process, except those that concern this thread.
#[cfg(feature = "async")]
pub(crate) fn block_signals() {
    // SAFETY: a set of signals is plain data, and outlives the calls.
    unsafe {
        let mut others: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut others);
        for signal in SYNCHRONOUS {
            libc::sigdelset(&raw mut others, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const others, std::ptr::null_mut());
    }
}

/// The user id that the kernel reports for every user without a mapping in this user namespace,
/// unless it is configured otherwise.
const OVERFLOW_UID: u32 = 65_534;

/// Returns whether a user id stands for one user: it is not the one that stands for all users
/// without a mapping.
pub(crate) fn is_a_user(uid: u32) -> bool {
    uid != overflow_uid() || all_have_numbers()
}

fn overflow_uid() -> u32 {
    // The number is a compile-time constant of the kernel that only root can change; without
    // `/proc` the usual one is assumed.
    let told = std::fs::read_to_string("/proc/sys/kernel/overflowuid");
    told.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(OVERFLOW_UID)
}

/// Returns whether every user has a mapping in this user namespace; false where that cannot be
/// determined.
fn all_have_numbers() -> bool {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().filter_map(count).sum::<u64>() >= u64::from(u32::MAX)
}

/// Returns a number that cannot be guessed. While the kernel has no entropy yet, it is merely
/// unique.
pub(crate) fn random_u64() -> u64 {
    let mut bytes = [0u8; 8];
    let (start, length) = (bytes.as_mut_ptr().cast(), bytes.len());
    // SAFETY: writes at most as many bytes as there are.
    let got = unsafe { libc::getrandom(start, length, libc::GRND_NONBLOCK) };
    if got == length as isize { u64::from_ne_bytes(bytes) } else { makeshift_u64() }
}

/// Returns a different number for any two calls on a machine: the mixing function of splitmix64
/// over values that differ.
fn makeshift_u64() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let calls = CALLS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let address = (&raw const calls).addr() as u64;
    let mut x = time::wall_ns() ^ u64::from(pid()) << 40 ^ address << 16;
    x = x.wrapping_add(calls);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Returns the number of online processors of the machine, at least 1. This is not the number that
/// this thread may use: a thread that is bound to one processor may well wait for one bound to
/// another.
pub(crate) fn processors() -> usize {
    // SAFETY: takes and returns plain numbers.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(online).unwrap_or(1).max(1)
}

const QUERY: libc::c_int = 0;
const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

fn membarrier_call(command: libc::c_int) -> libc::c_int {
    // SAFETY: takes and returns plain numbers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) as libc::c_int }
}

/// Registers this process as one whose processors a [`membarrier`] of any process fences. Returns
/// whether that works here; it is tried once in a process, and again in its children.
pub(crate) fn register_membarrier() -> bool {
    const YES: u32 = 1;
    const NO: u32 = 2;
    let known = &per_process().membarrier;
    if known.load(Ordering::Relaxed) == 0 {
        let needed = GLOBAL_EXPEDITED | REGISTER_GLOBAL_EXPEDITED;
        let offered = membarrier_call(QUERY);
        let works = offered != -1
            && offered & needed == needed
            && membarrier_call(REGISTER_GLOBAL_EXPEDITED) == 0
            && membarrier();
        // Two threads at once try twice and store the same result.
        known.store(if works { YES } else { NO }, Ordering::Relaxed);
    }
    known.load(Ordering::Relaxed) == YES
}

/// Executes a full fence on every processor that runs a registered process. Returns false if the
/// kernel does not support it.
pub(crate) fn membarrier() -> bool {
    membarrier_call(GLOBAL_EXPEDITED) == 0
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;

    #[test]
    fn identities_follow_a_fork() {
        let parent = pid();
        assert_eq!(parent, std::process::id());
        let child = fork(|| pid() != parent);
        assert!(wait(child));
        // The owner of our own entry in /proc is the effective user.
        use std::os::unix::fs::MetadataExt;
        assert_eq!(euid(), std::fs::metadata("/proc/self").unwrap().uid());
    }

    #[test]
    fn users_have_numbers() {
        assert!(is_a_user(euid()) || euid() == overflow_uid());
        assert!(is_a_user(0) && overflow_uid() > 1000);
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
        let all = map.split_whitespace().eq(["0", "0", "4294967295"]);
        assert!(!all || is_a_user(overflow_uid()), "nobody is a user where all are");
        // A new user namespace has no mappings yet.
        let child = fork(|| {
            // SAFETY: numbers only, in a child with one thread.
            let alone = unsafe { libc::unshare(libc::CLONE_NEWUSER) } == 0;
            !alone || euid() == overflow_uid() && !is_a_user(euid())
        });
        assert!(wait(child));
    }

    #[test]
    fn random_numbers_differ() {
        for source in [random_u64, makeshift_u64] {
            let mut numbers: Vec<u64> = (0..1000).map(|_| source()).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), 1000);
        }
    }

    #[test]
    fn processors_are_counted() {
        assert!(processors() >= std::thread::available_parallelism().unwrap().get());
    }

    #[test]
    fn children_register_again() {
        let works = register_membarrier();
        assert_eq!(register_membarrier(), works);
        assert!(!works || membarrier());
        let child = fork(|| {
            let fresh = per_process().membarrier.load(Ordering::Relaxed) == 0;
            fresh && register_membarrier() == works && membarrier() == works
        });
        assert!(wait(child));
    }
}
