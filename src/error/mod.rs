//! Error types. Each message states what is wrong and what to do about it.

pub(crate) mod call;
pub(crate) mod dead_letter;
mod display;
pub(crate) mod fault;
pub(crate) mod permissions;
pub(crate) mod printable;
pub(crate) mod registration_failure;
pub(crate) mod value;

pub(crate) use self::call::{BatchError, RecvError, SendError};
pub(crate) use self::dead_letter::DeadLetterFailure;
pub(crate) use self::fault::Fault;
pub(crate) use self::permissions::Permissions;
pub(crate) use self::printable::Printable;
pub(crate) use self::registration_failure::RegistrationFailure;
pub(crate) use self::value::{ValueError, ValueFailure};

use std::io;

/// The reason why a channel could not be opened, inspected or removed, or why a call on a handle
/// failed. The field `channel` is the address of the channel as text.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An option, a name or a path cannot be used. Correct it as `reason` describes.
    InvalidOption {
        /// The channel that was to be opened; `None` where a text or an address itself is wrong.
        channel: Option<String>,
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The channel does not exist. Start its creator, or use [`open`](crate::Options::open). Names
    /// are per user: to open another user's channel set its [`owner`](crate::Options::owner). The
    /// channel of an identifier ([`Options::id`](crate::Options::id)) does not come back: ask its
    /// creator for the identifier of a new one.
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
        /// Whom the object admits; `None` if the kernel does not tell.
        permissions: Option<Permissions>,
    },
    /// A sandbox (seccomp), a container's profile or a security module refused a system call, or the
    /// kernel does not have it. Allow the call there. The mode of a channel never causes this.
    CallRefused {
        /// The channel.
        channel: String,
        /// The call that was refused.
        call: &'static str,
        /// Its `errno`: `EPERM` or `ENOSYS`.
        errno: i32,
    },
    /// The segment or the set of this channel belongs to another user or was created by one, who
    /// has all rights to it whatever its mode. Let that user open or [`remove`](crate::remove) the
    /// channel, or choose another name or key.
    ForeignOwner {
        /// The channel.
        channel: String,
        /// "segment", "set" or "name".
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
        /// The channel.
        channel: String,
        /// The version of this build.
        expected: u32,
        /// The version of the segment.
        found: u32,
    },
    /// The channel is of another kind, or has another message type or schema. If both sides describe
    /// their types, the first field that differs is named. Build both programs with the same declaration
    /// of the type: rebuild the one that is older. To change the type, drain and remove the channel.
    TypeMismatch {
        /// The channel.
        channel: String,
        /// What this side has: the kind, the type with its field, as `f64 in the field Tick.price`, or
        /// the layout.
        expected: String,
        /// What the channel has in its place.
        found: String,
    },
    /// The channel exists with another value of an option. Leave the option unset to accept the
    /// existing value, or remove the channel.
    OptionMismatch {
        /// The channel.
        channel: String,
        /// The option.
        option: &'static str,
        /// The value asked for.
        expected: String,
        /// The value of the channel.
        found: String,
    },
    /// The segment is smaller than its header requires. Remove the channel.
    Truncated {
        /// The channel.
        channel: String,
        /// Size that the header requires, in bytes.
        expected: u64,
        /// Size of the segment in bytes.
        found: u64,
    },
    /// The header contains something that no member of this version writes, or segment and set do not
    /// belong together: another program with write access has written to it. Remove the channel, and
    /// check its mode. A handle that finds the same later returns [`Fault::Corrupt`].
    Corrupt {
        /// The channel.
        channel: String,
        /// What was found.
        what: &'static str,
    },
    /// A limit of the system is reached. `advice` names the limit and the remedy.
    Limit {
        /// The channel.
        channel: String,
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

impl Error {
    /// Names the channel that was to be opened with an invalid option.
    pub(crate) fn in_channel(mut self, name: &str) -> Error {
        if let Error::InvalidOption { channel: channel @ None, .. } = &mut self {
            *channel = Some(name.into());
        }
        self
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
