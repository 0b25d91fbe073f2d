//! What can go wrong, and what to do about it. Each message is a sentence that says both.

use core::fmt;
use std::io;

/// Why a handle cannot go on. Every later call on it says the same; only a receiver of a
/// [removed](Fault::Removed) channel still gets the messages that are in the ring first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The channel was removed (by [`remove`](crate::remove), by `ipcrm`, by systemd's
    /// `RemoveIPC=yes` at logout). Open it again.
    ///
    /// After [`remove`](crate::remove) returned, each thread sends one message more at most, or what is
    /// left of its batch. `ipcrm` leaves no trace in the segment: it is noticed when a call has to wait,
    /// and until then messages go into a ring that only members of old have. The same holds after a
    /// `remove` by a user who may not write to the segment.
    Removed,
    /// The segment holds what no member of this version writes: another program with write access
    /// wrote there. Remove the channel, look at its mode.
    Corrupt {
        /// What was found.
        what: &'static str,
    },
    /// This is a forked child with its parent's handle. Open the channel anew in the child, or fork
    /// before opening.
    Forked,
    /// The handle was closed, through a clone of it.
    Closed,
    /// The kernel no longer counts this process as a member: it called `unshare` for System V
    /// semaphores or IPC, or somebody set the semaphore. Others take it for dead. Open the channel anew.
    LivenessLost,
    /// A system call failed in a way that has no name here.
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
                "the segment is corrupt ({what}); remove the channel and look at who may write to it"
            ),
            Fault::Forked => f.write_str(
                "this handle belongs to the parent of this forked process; open the channel in the child",
            ),
            Fault::Closed => f.write_str("this handle was closed through a clone of it; open another"),
            Fault::LivenessLost => f.write_str(
                "the kernel no longer counts this process as a member (unshare, or a semaphore was \
                 set); open the channel again",
            ),
            Fault::System { call, errno } => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "{call} failed ({error}); open the channel again")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// How a process is named whose number may be unknown.
struct Process(u32);

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("another process"),
            pid => write!(f, "process {pid}"),
        }
    }
}

/// Why a message was not sent. Nothing was sent, and the message, borrowed, is still yours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No slot is free (`try_` calls only). Try again when the receiver was at work.
    Full,
    /// No slot became free in time, or what was waited for did not happen. Try again.
    Timeout,
    /// As [`Timeout`](SendError::Timeout), in a many-to-many channel: the next slot is in the hands
    /// of a living member, which writes or reads there and holds up all behind it. If it is stopped,
    /// continue or end it.
    Behind {
        /// Its process; 0 when it is not known.
        pid: u32,
    },
    /// The receiver left or died. [`wait_for_peer`](crate::spsc::Sender::wait_for_peer) waits for
    /// another, then sending works again; what is in the ring is kept for it.
    Disconnected,
    /// The message is longer than a slot. Open the channel with a larger
    /// [`slot_size`](crate::Options::slot_size), or cut the message.
    TooLong {
        /// Bytes of the message.
        len: usize,
        /// Bytes a slot holds.
        max: usize,
    },
    /// The handle cannot go on.
    Fault(Fault),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Full => f.write_str("the channel is full; try again later"),
            SendError::Timeout => {
                f.write_str("the time is over and the receiver did not do its part; try again")
            }
            SendError::Behind { pid } => write!(
                f,
                "the time is over and {} is at work in the next slot; continue or end it if it is \
                 stopped, then try again",
                Process(*pid)
            ),
            SendError::Disconnected => {
                f.write_str("the receiver is gone; wait for another or close the channel")
            }
            SendError::TooLong { len, max } => write!(
                f,
                "a message of {len} bytes is longer than a slot of {max}; open with a larger slot_size"
            ),
            SendError::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for SendError {}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// No message is there now (`try_` calls only). Try again.
    Empty,
    /// No message came in time, or what was waited for did not happen. Try again.
    Timeout,
    /// As [`Timeout`](RecvError::Timeout), in a many-to-many channel: the next message is being
    /// written by a living sender, and holds up all behind it. If that is stopped, continue or end it.
    Behind {
        /// Its process; 0 when it is not known.
        pid: u32,
    },
    /// The ring is drained, and the sender left or died.
    /// [`wait_for_peer`](crate::spsc::Receiver::wait_for_peer) waits for another, then receiving
    /// works again.
    Disconnected,
    /// The bytes of a message are no value of its type: the sender lied about it. That message is
    /// set aside (acknowledged), the next call receives the next one.
    Invalid {
        /// Its place in the sequence of all messages.
        position: u64,
    },
    /// The handle cannot go on.
    Fault(Fault),
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Empty => f.write_str("the channel is empty; try again later"),
            RecvError::Timeout => f.write_str("the time is over and nothing came; try again"),
            RecvError::Behind { pid } => write!(
                f,
                "the time is over and {} is writing the next message; continue or end it if it is \
                 stopped, then try again",
                Process(*pid)
            ),
            RecvError::Disconnected => f.write_str(
                "the channel is drained and the sender gone; wait for another or close it",
            ),
            RecvError::Invalid { position } => write!(
                f,
                "message {position} is no value of its type and was set aside; receive the next one"
            ),
            RecvError::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for RecvError {}

impl From<Fault> for SendError {
    fn from(fault: Fault) -> Self {
        SendError::Fault(fault)
    }
}

impl From<Fault> for RecvError {
    fn from(fault: Fault) -> Self {
        RecvError::Fault(fault)
    }
}

impl From<crate::ring::Corrupt> for Fault {
    fn from(corrupt: crate::ring::Corrupt) -> Self {
        Fault::Corrupt { what: corrupt.0 }
    }
}

/// A batch that ended early. The messages before it are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchError {
    /// How many messages of the batch were sent.
    pub sent: usize,
    /// Why the next one was not.
    pub error: SendError,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the batch ended with {} of its messages sent: {}", self.sent, self.error)
    }
}

impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Why a channel could not be opened, looked at or removed. `channel` is its address as text.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An option, a name or a path cannot be used. Correct it as `reason` says.
    Invalid {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such channel. Start its creator, or use [`open`](crate::Options::open). Names are each
    /// user's own: of another user's channel say the [`owner`](crate::Options::owner).
    NotFound {
        /// Which.
        channel: String,
    },
    /// The channel exists. Use [`open`](crate::Options::open), or remove it first.
    AlreadyExists {
        /// Which.
        channel: String,
    },
    /// The key is used by something that is no channel. Choose another key or name; `ipcs` shows it.
    NotOurs {
        /// Which.
        channel: String,
        /// What was found there.
        what: String,
    },
    /// Another process creates, joins or removes this channel and did not finish in time. If it is
    /// stopped, continue or end it; then try again.
    Busy {
        /// Which.
        channel: String,
        /// That process; 0 when it is not known.
        pid: u32,
    },
    /// The mode of the segment or set does not let this user in. Ask its owner for another mode. To
    /// [`remove`](crate::remove) is the owner's whatever the mode.
    PermissionDenied {
        /// Which.
        channel: String,
        /// The call that was refused.
        call: &'static str,
    },
    /// The segment or the set of this channel belongs to another user, or was made by one, who may do
    /// anything to it whatever its mode. Let that user open or [`remove`](crate::remove) the channel,
    /// or choose another name or key.
    ForeignOwner {
        /// Which.
        channel: String,
        /// "segment" or "set".
        object: &'static str,
        /// The user found.
        owner: u32,
        /// The user it should belong to.
        expected: u32,
    },
    /// The semaphore set of this channel was removed by hand (`ipcrm -s`). Another user cannot make it anew:
    /// let its owner or root open the channel once.
    SetRemoved {
        /// Which.
        channel: String,
        /// The user whose channel it is.
        owner: u32,
    },
    /// Somebody alive has this place. A one-to-one channel has one sender and one receiver; wait for
    /// that process to end or end it.
    SeatTaken {
        /// Which.
        channel: String,
        /// "sender" or "receiver".
        role: &'static str,
        /// The process that sits there; 0 when it is in a PID namespace that is not seen from here.
        pid: u32,
    },
    /// As many members as the channel has seats are there. Create it with more
    /// [`members`](crate::Options::members), or end some.
    NoSeat {
        /// Which.
        channel: String,
        /// How many seats it has.
        seats: usize,
    },
    /// Two names have the same key. Rename one of the channels.
    NameCollision {
        /// The name asked for.
        wanted: String,
        /// The name of the channel that has the key.
        found: String,
    },
    /// The channel was made by another version of the layout. Build both sides with the same version
    /// of this crate, or remove the channel.
    LayoutVersion {
        /// The version of this build.
        expected: u32,
        /// The version of the segment.
        found: u32,
    },
    /// The other side uses another message type. Use the same type on both sides, or remove the
    /// channel if it is an old one.
    TypeMismatch {
        /// This side's type.
        expected: String,
        /// The channel's.
        found: String,
    },
    /// The channel exists with another value of an option. Leave the option out to take what is
    /// there, or remove the channel.
    OptionMismatch {
        /// The option.
        option: &'static str,
        /// What was asked for.
        expected: String,
        /// What the channel has.
        found: String,
    },
    /// The segment is smaller than its header says. Remove the channel.
    Truncated {
        /// Bytes the header tells.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A limit of the system is reached. `advice` says which and what to do.
    Limit {
        /// The call that failed.
        call: &'static str,
        /// Its `errno`.
        errno: i32,
        /// What to do.
        advice: String,
    },
    /// The kernel accepts `SEM_UNDO` and ignores it, as gVisor's does: it would tell nobody of a
    /// death. Run the program on Linux's own kernel. Found out at the first attach of a process, where
    /// nothing keeps it from calling `unshare(CLONE_SYSVSEM)` in a thread.
    NoUndo {
        /// Which channel was not joined.
        channel: String,
    },
    /// A system call failed in a way that has no name here.
    System {
        /// The call.
        call: &'static str,
        /// Which channel.
        channel: String,
        /// Its error.
        source: io::Error,
    },
    /// A handle cannot go on.
    Fault(Fault),
    /// Sending failed.
    Send(SendError),
    /// Receiving failed.
    Recv(RecvError),
    /// A batch ended early.
    Batch(BatchError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid { option, reason } => write!(f, "{option}: {reason}"),
            // A name of another user.
            Error::NotFound { channel } if channel.contains("\" of user ") => write!(
                f,
                "there is no channel {channel}, and only that user creates it; start its creator"
            ),
            // A name without another user's: it is looked for among our own.
            Error::NotFound { channel } if channel.ends_with('"') => write!(
                f,
                "there is no channel {channel} of this user; start its creator, open it instead of \
                 attaching, or say whose it is (Options::owner)"
            ),
            Error::NotFound { channel } => {
                write!(
                    f,
                    "there is no channel {channel}; start its creator, or open it instead of attaching"
                )
            }
            Error::AlreadyExists { channel } => {
                write!(f, "channel {channel} exists; open it, or remove it first")
            }
            Error::NotOurs { channel, what } => {
                write!(
                    f,
                    "{channel} is no channel of this crate ({what}); choose another key or name"
                )
            }
            Error::Busy { channel, pid: 0 } => write!(
                f,
                "another process is creating, joining or removing channel {channel} and did not \
                 finish in time; continue or end it, then try again"
            ),
            Error::Busy { channel, pid } => write!(
                f,
                "process {pid} is creating, joining or removing channel {channel} and did not finish in \
                 time; continue or end it, then try again"
            ),
            Error::PermissionDenied { channel, call } if call.ends_with("(IPC_RMID)") => write!(
                f,
                "{call} was refused for channel {channel}: whatever its mode, only its owner may remove \
                 it; ask its owner"
            ),
            Error::PermissionDenied { channel, call } => write!(
                f,
                "{call} was refused for channel {channel}: its mode does not let this user in; ask its \
                 owner for another mode"
            ),
            Error::SetRemoved { channel, owner } => write!(
                f,
                "the semaphore set of channel {channel} was removed; user {owner}, whose channel it is, or \
                 root must open it once to make another"
            ),
            Error::ForeignOwner { channel, object, owner, expected } if owner == expected => {
                write!(
                    f,
                    "the {object} of channel {channel} belongs to user {owner}, the number of all users that \
                 have none in this user namespace; map them, or choose a key instead of a name"
                )
            }
            Error::ForeignOwner { channel, object, owner, expected } => write!(
                f,
                "the {object} of channel {channel} belongs to user {owner} or was made by it, not by user \
                 {expected}; let user {owner} open or remove it, or choose another name or key"
            ),
            Error::SeatTaken { channel, role, pid: 0 } => write!(
                f,
                "a process that is not seen from here is the {role} of channel {channel}; wait until it \
                 ends, or end it"
            ),
            Error::SeatTaken { channel, role, pid } if *pid == std::process::id() => write!(
                f,
                "this very process ({pid}) is the {role} of channel {channel} already; use the handle that \
                 it has, or close it"
            ),
            Error::SeatTaken { channel, role, pid } => write!(
                f,
                "process {pid} is the {role} of channel {channel}; wait until it ends, or end it"
            ),
            Error::NoSeat { channel, seats } => write!(
                f,
                "channel {channel} has {seats} members, as many as it can have; end some, or create it \
                 with more"
            ),
            Error::NameCollision { wanted, found } => write!(
                f,
                "the names {wanted:?} and {found:?} have the same System V key; rename one of the channels"
            ),
            Error::LayoutVersion { expected, found } => write!(
                f,
                "the channel has layout version {found}, this build {expected}; build both sides with the \
                 same version, or remove the channel"
            ),
            Error::TypeMismatch { expected, found } => write!(
                f,
                "the message types differ: expected {expected}, found {found}; use one type on both \
                 sides, or remove the channel if it is an old one"
            ),
            Error::OptionMismatch { option, expected, found } => write!(
                f,
                "the channel exists with {option} {found}, not {expected}; leave the option out to take \
                 what is there, or remove the channel"
            ),
            Error::Truncated { expected, found } => write!(
                f,
                "the segment has {found} bytes, its header says {expected}; remove the channel"
            ),
            Error::Limit { call, errno, advice } => {
                write!(f, "{call} failed ({}); {advice}", io::Error::from_raw_os_error(*errno))
            }
            Error::NoUndo { channel } => write!(
                f,
                "this kernel ignores SEM_UNDO (gVisor's does), so nobody would notice a death in channel \
                 {channel}; run the program on Linux's own kernel"
            ),
            Error::System { call, channel, source } => {
                write!(
                    f,
                    "{call} failed for channel {channel} ({source}); look the reason up in its manual page"
                )
            }
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
