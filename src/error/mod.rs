//! Error types. Each message states what is wrong and what to do about it.

pub(crate) mod call;
pub(crate) mod dead_letter;
pub(crate) mod registration_failure;

pub(crate) use self::call::{BatchError, RecvError, SendError};
pub(crate) use self::dead_letter::DeadLetterFailure;
pub(crate) use self::registration_failure::RegistrationFailure;

use core::fmt;
use std::io;

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
    /// what is left of its batch. `ipcrm` leaves no trace in the segment: the removal is noticed
    /// when a call has to wait, and until then messages go into a ring that only the previous
    /// members have attached. The same holds after a `remove` by a user without write permission
    /// for the segment.
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
    /// after `setuid`, or with a mode that admits the later user. The seat is given back when the
    /// process ends; what it did not acknowledge is delivered again.
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
                write!(f, "{call} failed: {error}; open the channel again")
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

/// The reason why a channel could not be opened, inspected or removed, or why a call on a handle
/// failed. The field `channel` is the address of the channel as text.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An option, a name or a path cannot be used. Correct it as `reason` describes.
    InvalidOption {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The channel does not exist. Start its creator, or use [`open`](crate::Options::open). Names
    /// are per user: to open another user's channel set its [`owner`](crate::Options::owner).
    NotFound {
        /// The channel.
        channel: String,
    },
    /// The channel already exists. Use [`open`](crate::Options::open), or remove it first.
    AlreadyExists {
        /// The channel.
        channel: String,
    },
    /// The key is used by something that is not a channel of this crate. Choose another key or
    /// name; `ipcs` shows what uses it.
    ForeignObject {
        /// The channel.
        channel: String,
        /// What was found there.
        what: String,
    },
    /// Another process is creating, joining or removing this channel and did not finish in time. If
    /// it is stopped, resume or kill it; then try again.
    Busy {
        /// The channel.
        channel: String,
        /// The pid of that process; 0 if it is not known.
        pid: u32,
    },
    /// The mode of the segment or set does not grant this user access. Ask the owner for another
    /// mode. Whatever the mode, only owner, creator or root can [`remove`](crate::remove) a channel.
    PermissionDenied {
        /// The channel.
        channel: String,
        /// The call that was refused.
        call: &'static str,
    },
    /// The segment or the set of this channel belongs to another user or was created by one, who
    /// has all rights to it whatever its mode. Let that user open or [`remove`](crate::remove) the
    /// channel, or choose another name or key.
    ForeignOwner {
        /// The channel.
        channel: String,
        /// "segment" or "set".
        object: &'static str,
        /// The user found.
        owner: u32,
        /// The user it should belong to.
        expected: u32,
    },
    /// The semaphore set of this channel was removed by hand (`ipcrm -s`). Another user cannot
    /// create it again: let its owner or root open the channel once.
    SetRemoved {
        /// The channel.
        channel: String,
        /// The user who owns the channel.
        owner: u32,
    },
    /// A living process has this seat. An SPSC channel has one sender and one receiver, and a broadcast
    /// channel one sender; wait for that process to exit, or end it.
    SeatTaken {
        /// The channel.
        channel: String,
        /// "sender" or "receiver".
        role: &'static str,
        /// The pid of the process that has the seat; 0 if it is in a PID namespace that is not
        /// visible from here.
        pid: u32,
    },
    /// Every seat of the channel is taken. Create it with more
    /// [`members`](crate::Options::max_members), or close some.
    NoSeat {
        /// The channel.
        channel: String,
        /// Number of its seats.
        seats: usize,
    },
    /// Two names hash to the same key. Rename one of the channels.
    NameCollision {
        /// The name asked for.
        wanted: String,
        /// The name of the channel that has the key.
        found: String,
    },
    /// The channel was created with another version of the layout. Build both sides with the same
    /// version of this crate, or remove the channel.
    LayoutVersion {
        /// The version of this build.
        expected: u32,
        /// The version of the segment.
        found: u32,
    },
    /// The channel is of the other kind, or has another message type or schema. Use the same type
    /// on both sides, or remove the channel if it is stale.
    TypeMismatch {
        /// The type of this side.
        expected: String,
        /// The type of the channel.
        found: String,
    },
    /// The channel exists with another value of an option. Leave the option unset to accept the
    /// existing value, or remove the channel.
    OptionMismatch {
        /// The option.
        option: &'static str,
        /// The value asked for.
        expected: String,
        /// The value of the channel.
        found: String,
    },
    /// The segment is smaller than its header requires. Remove the channel.
    Truncated {
        /// Size that the header requires, in bytes.
        expected: u64,
        /// Size of the segment in bytes.
        found: u64,
    },
    /// A limit of the system is reached. `advice` names the limit and the remedy.
    Limit {
        /// The call that failed.
        call: &'static str,
        /// Its `errno`.
        errno: i32,
        /// The remedy.
        advice: String,
    },
    /// The handle is in a [`WaitSet`](crate::WaitSet) already, or has a
    /// [`Readiness`](crate::Readiness): remove it there first. Or a task waits for it: let it end.
    InWaitSet {
        /// The channel.
        channel: String,
    },
    /// The kernel accepts `SEM_UNDO` and ignores it, as gVisor does: it would report no death. Use
    /// a standard Linux kernel. This is detected at the first attach of a process, unless the
    /// process is prevented from calling `unshare(CLONE_SYSVSEM)` in a thread.
    SemUndoUnsupported {
        /// The channel that was not joined.
        channel: String,
    },
    /// A system call failed with an error that has no variant of its own.
    System {
        /// The call.
        call: &'static str,
        /// The channel.
        channel: String,
        /// The error of the call.
        source: io::Error,
    },
    /// A handle is unusable.
    Fault(Fault),
    /// Sending failed.
    Send(SendError),
    /// Receiving failed.
    Recv(RecvError),
    /// A batch stopped early.
    Batch(BatchError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidOption { option, reason } => write!(f, "{option}: {reason}"),
            // The name belongs to another user.
            Error::NotFound { channel } if channel.contains("\" of user ") => write!(
                f,
                "channel {channel} does not exist, and only that user can create it; start its \
                 creator"
            ),
            // A name without a user was looked up among those of the calling user.
            Error::NotFound { channel } if channel.ends_with('"') => write!(
                f,
                "channel {channel} does not exist for this user; start its creator, use open() \
                 instead of attach(), or set Options::owner"
            ),
            Error::NotFound { channel } => write!(
                f,
                "channel {channel} does not exist; start its creator, or use open() instead of \
                 attach()"
            ),
            Error::AlreadyExists { channel } => {
                write!(f, "channel {channel} already exists; open it, or remove it first")
            }
            Error::ForeignObject { channel, what } => write!(
                f,
                "{channel} is not a sysvring channel ({what}); choose another key or name"
            ),
            Error::Busy { channel, pid: 0 } => write!(
                f,
                "timed out: another process is creating, joining or removing channel {channel}; if \
                 it is stopped, resume or kill it, then try again"
            ),
            Error::Busy { channel, pid } => write!(
                f,
                "timed out: process {pid} is creating, joining or removing channel {channel}; if \
                 it is stopped, resume or kill it, then try again"
            ),
            Error::PermissionDenied { channel, call } if call.ends_with("(IPC_RMID)") => write!(
                f,
                "{call} denied for channel {channel}: only its owner, its creator or root can remove it; ask \
                 the owner"
            ),
            Error::PermissionDenied { channel, call } => write!(
                f,
                "{call} denied for channel {channel}: its mode does not grant this user access; \
                 ask the owner to change it"
            ),
            Error::SetRemoved { channel, owner } => write!(
                f,
                "the semaphore set of channel {channel} was removed; its owner, user {owner}, or \
                 root must open the channel once to create another"
            ),
            Error::ForeignOwner { channel, object, owner, expected } if owner == expected => {
                write!(
                    f,
                    "the {object} of channel {channel} belongs to user {owner}, the overflow uid \
                     of all users without a mapping in this user namespace; map them, or choose a \
                     key instead of a name"
                )
            }
            Error::ForeignOwner { channel, object, owner, expected } => write!(
                f,
                "the {object} of channel {channel} belongs to or was created by user {owner}, not \
                 user {expected}; let user {owner} open or remove it, or choose another name or key"
            ),
            Error::SeatTaken { channel, role, pid: 0 } => write!(
                f,
                "a process in another PID namespace is the {role} of channel {channel}; wait for \
                 it to exit, or end it"
            ),
            Error::SeatTaken { channel, role, pid } if *pid == std::process::id() => write!(
                f,
                "this process ({pid}) is already the {role} of channel {channel}; use the existing \
                 handle, or close it first"
            ),
            Error::SeatTaken { channel, role, pid } => write!(
                f,
                "process {pid} is the {role} of channel {channel}; wait for it to exit, or end it"
            ),
            Error::NoSeat { channel, seats } => write!(
                f,
                "channel {channel} is at its limit of {seats} members; close one, or recreate the \
                 channel with a larger `max_members`"
            ),
            Error::NameCollision { wanted, found } => write!(
                f,
                "channel names {wanted:?} and {found:?} hash to the same System V key; rename one \
                 of them"
            ),
            Error::LayoutVersion { expected, found } => write!(
                f,
                "the channel uses layout version {found}, but this build supports {expected}; \
                 build both sides with the same sysvring version, or remove the channel"
            ),
            Error::TypeMismatch { expected, found } => write!(
                f,
                "channel or message type mismatch: expected {expected}, found {found}; use the \
                 same types on both sides, or remove the channel if it is stale"
            ),
            Error::OptionMismatch { option, expected, found } => write!(
                f,
                "the existing channel has {option} = {found}, not {expected}; leave the option \
                 unset to accept it, or remove the channel"
            ),
            Error::Truncated { expected, found } => write!(
                f,
                "the segment is {found} bytes long, but its header requires {expected}; remove the \
                 channel"
            ),
            Error::Limit { call, errno, advice } => {
                write!(f, "{call} failed: {}; {advice}", io::Error::from_raw_os_error(*errno))
            }
            Error::InWaitSet { channel } => write!(
                f,
                "the handle of channel {channel} is in a wait set or has a Readiness already, or a \
                 task waits for it; remove it there first, or let the task end"
            ),
            Error::SemUndoUnsupported { channel } => write!(
                f,
                "this kernel ignores SEM_UNDO (as gVisor does), so crashes in channel {channel} \
                 could not be detected; use a standard Linux kernel"
            ),
            Error::System { call, channel, source } => write!(
                f,
                "{call} failed for channel {channel}: {source}; look it up in the man page of the \
                 call"
            ),
            Error::Fault(e) => e.fmt(f),
            Error::Send(e) => e.fmt(f),
            Error::Recv(e) => e.fmt(f),
            Error::Batch(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Fault> for Error {
    fn from(e: Fault) -> Self {
        Error::Fault(e)
    }
}

impl From<SendError> for Error {
    fn from(e: SendError) -> Self {
        Error::Send(e)
    }
}

impl From<RecvError> for Error {
    fn from(e: RecvError) -> Self {
        Error::Recv(e)
    }
}

impl From<BatchError> for Error {
    fn from(e: BatchError) -> Self {
        Error::Batch(e)
    }
}

#[cfg(test)]
mod tests;
