//! Why a task cannot wait for a handle.

use core::fmt;
use std::io;

use crate::sysv::Errno;

/// The reason why a task cannot wait for a handle: it could not be registered with a message queue
/// and descriptors of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationFailure {
    /// The handle is in a [`WaitSet`](crate::WaitSet), or has a [`Readiness`](crate::Readiness).
    /// Remove it there first.
    InWaitSet,
    /// A system call failed: `mq_open` with `ENOSPC` if the limit on message queues is reached
    /// (`fs.mqueue.queues_max`), any call with `EMFILE` or `ENFILE` if there are too many
    /// descriptors. Raise the limit, or let [`reap`](crate::reap) remove the queues of dead
    /// processes.
    System {
        /// The call.
        call: &'static str,
        /// Its `errno`.
        errno: i32,
    },
}

impl fmt::Display for RegistrationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistrationFailure::InWaitSet => {
                f.write_str("it is in a wait set or has a Readiness already; remove it there first")
            }
            RegistrationFailure::System { call, errno } => {
                let limit = match Errno(*errno) {
                    Errno::ENOSPC => {
                        "raise fs.mqueue.queues_max, or reap the queues of dead processes"
                    }
                    Errno::EMFILE => {
                        "raise the limit on descriptors (ulimit -n) or on bytes in message queues \
                         (ulimit -q)"
                    }
                    Errno::ENFILE => "raise fs.file-max, or close some descriptors",
                    Errno::EPERM | Errno::ENOSYS => {
                        "a sandbox (seccomp) refuses the call, or the kernel lacks it: allow it"
                    }
                    _ => "look the error up in the manual of the call",
                };
                write!(f, "{call} failed: {}; {limit}", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}
