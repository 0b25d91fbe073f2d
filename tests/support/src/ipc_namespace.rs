//! IPC namespaces: there, the segments and sets of other programs are out of reach.

/// Moves this thread, and the threads and processes that it starts later, to a new and empty IPC
/// namespace. Returns whether the kernel allows that. The thread must not use System V IPC yet.
pub fn enter() -> bool {
    // SAFETY: takes a number.
    unsafe { libc::unshare(libc::CLONE_NEWIPC) == 0 }
}

/// Does the same for an ordinary user, who needs a new user namespace for it: without root's
/// rights, the process then is the user 65534. The process must have one thread.
pub fn enter_as_any_user() -> bool {
    // SAFETY: takes a number.
    enter() || unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWIPC) == 0 }
}
