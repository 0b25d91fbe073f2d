//! What the kernel, or a filter of system calls, can do: tried with a private channel.

use std::io;

use nix::libc;
use sysvring::{Error, Options, WaitSet, spsc};

use super::Finding;
use crate::{refused, remedy};

pub fn check() -> Vec<Finding> {
    let (channel, receiver) = channel();
    let queue = receiver.map(queue);
    [Some(channel), queue, Some(membarrier()), Some(pidfd())].into_iter().flatten().collect()
}

/// Opens a channel, which also probes whether the kernel undoes semaphore operations.
fn channel() -> (Finding, Option<spsc::Receiver<u64>>) {
    let check = "semaphore-undo";
    match Options::private().capacity(1).create() {
        Ok(receiver) => {
            (Finding::fine(check, "the kernel detects the death of processes"), Some(receiver))
        }
        Err(error @ Error::SemUndoUnsupported { .. }) => {
            let found = error.to_string();
            (Finding::problem(check, found, "use a container runtime on Linux's own kernel"), None)
        }
        Err(Error::CallRefused { call, errno, .. }) => {
            let found = format!("no channel can be created: {}", refused::refusal(call, errno));
            (Finding::problem(check, found, refused::remedy()), None)
        }
        Err(error) => {
            let found = format!("no channel can be created: {}", remedy::of(&error));
            (Finding::problem(check, found, "see above"), None)
        }
    }
}

/// Waits for a channel by a wait set, which needs a message queue.
fn queue(receiver: spsc::Receiver<u64>) -> Finding {
    let check = "wait-sets";
    let added = WaitSet::new().and_then(|set| set.add(&receiver).map(drop));
    match added {
        Ok(()) => Finding::fine(check, "wait sets and async handles work"),
        Err(error) => Finding::problem(
            check,
            format!("wait sets and async handles do not work: {}", remedy::of(&error)),
            "blocking calls do; raise the limit that it names, or let the filter permit mq_open",
        ),
    }
}

fn membarrier() -> Finding {
    const QUERY: libc::c_int = 0;
    const NEEDED: libc::c_long = 1 << 1 | 1 << 2; // GLOBAL_EXPEDITED and its registration
    let check = "membarrier";
    // SAFETY: takes and returns plain numbers.
    let offered = unsafe { libc::syscall(libc::SYS_membarrier, QUERY, 0, 0) };
    match offered {
        commands if commands != -1 && commands & NEEDED == NEEDED => {
            Finding::fine(check, "SPSC channels need no fences")
        }
        _ => Finding::problem(
            check,
            "the kernel refuses membarrier: each message of an SPSC channel costs a memory fence",
            "use Linux 4.16 or later, and let the seccomp profile permit membarrier",
        ),
    }
}

fn pidfd() -> Finding {
    let check = "pidfd";
    // SAFETY: takes plain numbers, and returns a new descriptor or -1.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) };
    if descriptor == -1 {
        let error = io::Error::last_os_error();
        return Finding::problem(
            check,
            format!(
                "pidfd_open fails ({error}): wait sets notice a death within 20 ms, not at once"
            ),
            "use Linux 5.3 or later, and let the seccomp profile permit pidfd_open",
        );
    }
    // SAFETY: it was just opened, and nothing else uses it.
    unsafe { libc::close(descriptor as libc::c_int) };
    Finding::fine(check, "wait sets notice the death of a process at once")
}
