//! Conditions that end a handle.

use core::fmt;
use std::io;

use crate::sysv::Errno;

/// A condition that makes a handle unusable. Every later call on the handle returns the same fault;
/// only a receiver of a [removed](Fault::Removed) channel still gets the messages that are in the
/// ring first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The channel was removed (by [`remove`](crate::remove), by `ipcrm`, by systemd's
    /// `RemoveIPC=yes` at logout). Open it again.
    ///
    /// After [`remove`](crate::remove) returned, each thread sends at most one more message, or
    /// what is left of its batch. `ipcrm` leaves no trace in the segment, and neither does a `remove`
    /// by a user without write permission for it: members ask the kernel. A call that waits notices
    /// the removal within 300 ms. So does a sender that never waits, or, if that is later, after two more laps
    /// of the ring (broadcast: 16) and 8,192 messages; in an MPMC channel, one sender
    /// notices it with every 1,024th message of all; and a sender whose receiver noticed it and left does
    /// so with its next message. Until then messages go into a ring that only the
    /// previous members have attached. Receivers get them, and then the fault.
    Removed,
    /// The segment contains something that no member of this version writes: another program with
    /// write access has written to it. Remove the channel and check its mode.
    Corrupt {
        /// What was found.
        what: &'static str,
    },
    /// The handle was inherited across `fork` and belongs to the parent process. Open the channel
    /// again in the child, or fork before opening.
    Forked,
    /// The handle was closed through one of its clones. To end a blocked call without closing the
    /// handle, use an [`Interrupter`](crate::Interrupter).
    Closed,
    /// The kernel no longer counts this process as a member: the process called `unshare` for
    /// System V semaphores or IPC, or another process set the semaphore. The other members treat
    /// this one as dead. Open the channel again.
    LivenessLost,
    /// The mode of the channel does not grant this process access any more: the process changed its
    /// user or group after it opened the channel, or the mode was changed. The message of the call
    /// before was sent or received, but the other side could not be woken for it. Open the channel
    /// after `setuid`, or with a mode that admits the later user. Drop or close the handle, which
    /// returns this error again: another member, or the next process that opens the channel, then
    /// frees the seat. What was not acknowledged is delivered again.
    PermissionLost,
    /// A system call failed with an error that has no variant of its own.
    System {
        /// The call.
        call: &'static str,
        /// Its `errno`.
        errno: i32,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Removed => f.write_str("the channel was removed; open it again"),
            Fault::Corrupt { what } => write!(
                f,
                "the segment is corrupt: {what}; remove the channel and check which processes can \
                 write to it"
            ),
            Fault::Forked => f.write_str(
                "this handle was inherited across fork; open the channel again in the child \
                 process",
            ),
            Fault::Closed => f.write_str(
                "this handle was closed through one of its clones; open the channel again",
            ),
            Fault::LivenessLost => f.write_str(
                "this process lost its seat (unshare was called, or a semaphore was set from \
                 outside); open the channel again",
            ),
            Fault::PermissionLost => f.write_str(
                "the channel's mode no longer grants this process access, because the process changed \
                 its user or group, or the mode was changed; open the channel after such a change, or \
                 with a mode that admits the later user",
            ),
            Fault::System { call, errno } => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "{call} failed: {error}")?;
                f.write_str(match Errno(*errno) {
                    Errno::EPERM if call.ends_with("(IPC_RMID)") => {
                        ": only its owner, its creator or root can remove the channel; ask the owner"
                    }
                    Errno::EPERM | Errno::ENOSYS => {
                        ", as a sandbox (seccomp) or a security module refuses the call; allow it \
                         there, and open the channel again"
                    }
                    _ => "; open the channel again",
                })
            }
        }
    }
}

impl std::error::Error for Fault {}

impl From<crate::ring::Corrupt> for Fault {
    fn from(corrupt: crate::ring::Corrupt) -> Self {
        Fault::Corrupt { what: corrupt.0 }
    }
}
