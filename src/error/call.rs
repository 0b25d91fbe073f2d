//! The errors of calls that send and receive.

use core::fmt;

use super::{DeadLetterFailure, Fault, RegistrationFailure, ValueError, ValueFailure};

/// The text for a process whose pid may be unknown.
struct Process(u32);

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("another process"),
            pid => write!(f, "process {pid}"),
        }
    }
}

/// The reason why a message was not sent. Nothing was sent, and the message was only borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No slot is free (`try_` calls only). Try again when a receiver has made progress; if there is
    /// none, start one.
    Full,
    /// A living sender has claimed a slot and not yet finished writing there, and no slot behind it
    /// can be used (`try_` calls in MPMC channels only). Try again; if that process is stopped,
    /// resume or kill it.
    Behind {
        /// The pid of that sender; 0 if it is not known.
        pid: u32,
    },
    /// No slot became free in time, or the awaited event did not happen: no receiver joined, or none
    /// acknowledged. Check that there is a receiver, and try again.
    Timeout,
    /// As [`Timeout`](SendError::Timeout). In an MPMC channel, a living sender is still writing in a
    /// slot and blocks all slots behind it, or receivers are reading in every slot, this one in the
    /// next. In a broadcast channel, this receiver lives and is a whole ring behind. If that process is
    /// stopped, resume or kill it.
    Blocked {
        /// The pid of that member; 0 if it is not known.
        pid: u32,
    },
    /// An [`Interrupter`](crate::Interrupter) of this handle ended the call. Call again to go on
    /// waiting.
    Interrupted,
    /// The receiver left or died. [`wait_for_peer`](crate::spsc::Sender::wait_for_peer) waits for
    /// another one, after which sending works again; the messages in the ring are kept for it. The
    /// sender of a broadcast channel goes on instead.
    Disconnected,
    /// The message is longer than a slot. Remove the channel and create it with a larger
    /// [`slot_size`](crate::Options::slot_size), or split the message.
    TooLong {
        /// Length of the message in bytes.
        len: usize,
        /// Size of a slot in bytes.
        max: usize,
    },
    /// No message of the channel has this length (calls of [`untyped`](crate::untyped) handles
    /// only). Send bytes of a length that the channel's
    /// [`MessageLayout`](crate::MessageLayout) allows.
    WrongLength {
        /// Length of the bytes.
        len: usize,
        /// Size in bytes of a message, or of the part before its trailing slice.
        size: usize,
        /// Size in bytes of one element of the trailing slice; 0 if all messages have one size.
        element: usize,
    },
    /// The value cannot be serialised (calls of the feature `postcard` only). Sending other values works.
    NotSerialized {
        /// The reason.
        reason: ValueFailure,
    },
    /// A task cannot wait for this handle (calls that end in `_async` only); a blocking call can.
    NotRegistered {
        /// The reason.
        reason: RegistrationFailure,
    },
    /// The handle is unusable.
    Fault(Fault),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Full => f.write_str(
                "the channel is full; try again when a receiver has made room, and start one if \
                 there is none",
            ),
            SendError::Behind { pid } => write!(
                f,
                "{} is still writing in the next slot and holds up those behind it; try again, or \
                 resume or kill it if it is stopped",
                Process(*pid)
            ),
            SendError::Timeout => f.write_str(
                "timed out: no receiver joined, made room or acknowledged; start one if there is \
                 none (for another user, or in another IPC namespace, a name means another channel), \
                 or try again",
            ),
            SendError::Blocked { pid } => write!(
                f,
                "timed out: {} has not released the next slot; wait longer, or resume or kill it if \
                 it is stopped",
                Process(*pid)
            ),
            SendError::Interrupted => {
                f.write_str("the call was interrupted through its handle; call again to wait on")
            }
            SendError::Disconnected => {
                f.write_str("the receiver disconnected; wait for another one or close the channel")
            }
            SendError::TooLong { len, max } => write!(
                f,
                "a message of {len} bytes exceeds the slot size of {max}; remove the channel and \
                 open it with a larger slot_size"
            ),
            SendError::WrongLength { len, size, element: 0 } => write!(
                f,
                "{len} bytes are no message of this channel: each message has {size}; use that \
                 length"
            ),
            SendError::WrongLength { len, size: 0, element } => write!(
                f,
                "{len} bytes are no message of this channel: its messages consist of elements of \
                 {element} bytes; use whole elements"
            ),
            SendError::WrongLength { len, size, element } => write!(
                f,
                "{len} bytes are no message of this channel: its messages have {size} bytes and \
                 then elements of {element} bytes; use such a length"
            ),
            SendError::NotSerialized { reason } => write!(f, "the value was not sent: {reason}"),
            SendError::NotRegistered { reason } => {
                write!(f, "a task cannot wait for this handle: {reason}")
            }
            SendError::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for SendError {}

/// The reason why no message was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// No message is available (`try_` calls only). Try again.
    Empty,
    /// Messages were sent, but a living sender has not yet finished writing the one before them
    /// (`try_` calls in MPMC channels only). Try again; if that process is stopped, resume or kill
    /// it.
    Behind {
        /// The pid of that sender; 0 if it is not known.
        pid: u32,
    },
    /// No message arrived in time, or the awaited event did not happen: no sender joined. Check that
    /// there is a sender, and try again.
    Timeout,
    /// As [`Timeout`](RecvError::Timeout), in an MPMC channel: a living sender is still writing the
    /// next message, and blocks all messages behind it. If that process is stopped, resume or kill
    /// it.
    Blocked {
        /// The pid of that sender; 0 if it is not known.
        pid: u32,
    },
    /// An [`Interrupter`](crate::Interrupter) of this handle ended the call. Call again to go on
    /// waiting.
    Interrupted,
    /// Every message was received, and all senders finished, left or died.
    /// [`wait_for_peer`](crate::spsc::Receiver::wait_for_peer) waits for another one, after which
    /// receiving works again.
    ///
    /// A receiver that joined after the last sender left or died returns it only if the stream was
    /// [finished](crate::spsc::Sender::finish): otherwise it waits for the next sender.
    Disconnected,
    /// The bytes of a message are not a valid value of the message type: the sender wrote something
    /// else. The message was discarded (acknowledged); the next call receives the next one.
    Invalid {
        /// Its position in the sequence of all messages.
        position: u64,
    },
    /// The bytes of a message are no value of the serde type (calls of the feature `postcard` only): the
    /// sender has another type, or another version of it. A call that receives by value has discarded the
    /// message (acknowledged), and the next call receives the next one; a guard still has it.
    NotDeserialized {
        /// Its position in the sequence of all messages.
        position: u64,
        /// What is wrong, and where.
        cause: ValueError,
    },
    /// This receiver of a broadcast channel missed messages, which were overwritten before it received
    /// them: because the channel is [overwriting](crate::Options::overwriting), or because they were
    /// overwritten before it came, if it continues where a dead one stopped or was to
    /// [start](crate::Options::start) at a position. It is returned once; the next call receives the
    /// oldest message that is left, or, in an overwriting channel, one a quarter of a ring after it.
    Lagged {
        /// The number of messages.
        messages: u64,
    },
    /// A message could not be moved to the dead-letter channel: a rejected one, which was returned
    /// and is delivered again; or, in an SPSC channel, the next one, which was delivered as often as
    /// the channel permits and holds up the messages behind it (`try_` calls and timeouts). The
    /// receiver tries again at intervals.
    NotMoved {
        /// The reason.
        reason: DeadLetterFailure,
    },
    /// A task cannot wait for this handle (calls that end in `_async` only); a blocking call can.
    NotRegistered {
        /// The reason.
        reason: RegistrationFailure,
    },
    /// The handle is unusable.
    Fault(Fault),
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Empty => f.write_str(
                "the channel is empty; try again later, and start a sender if there is none",
            ),
            RecvError::Behind { pid } => write!(
                f,
                "{} is still writing the next message and holds up those behind it; try again, or \
                 resume or kill it if it is stopped",
                Process(*pid)
            ),
            RecvError::Timeout => f.write_str(
                "timed out: no message arrived, and no sender joined; start one if there is none \
                 (for another user, or in another IPC namespace, a name means another channel), or \
                 try again",
            ),
            RecvError::Blocked { pid } => write!(
                f,
                "timed out: {} has not finished writing the next message; if it is stopped, resume \
                 or kill it, then try again",
                Process(*pid)
            ),
            RecvError::Interrupted => {
                f.write_str("the call was interrupted through its handle; call again to wait on")
            }
            RecvError::Disconnected => f.write_str(
                "the sender disconnected and every message was received; wait for another sender \
                 or close the channel",
            ),
            RecvError::Invalid { position } => write!(
                f,
                "message {position} is not a valid value of the message type and was discarded; \
                 receive the next one"
            ),
            RecvError::NotDeserialized { position, cause } => {
                write!(f, "message {position} is no value of its type: {cause}")
            }
            RecvError::Lagged { messages } => write!(
                f,
                "{messages} messages were overwritten before they were received; receive the next one"
            ),
            RecvError::NotMoved { reason } => write!(f, "a message could not be moved: {reason}"),
            RecvError::NotRegistered { reason } => {
                write!(f, "a task cannot wait for this handle: {reason}")
            }
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

/// A batch that stopped early. The messages before the failed one were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchError {
    /// Number of messages of the batch that were sent.
    pub sent: usize,
    /// The reason why the next one was not sent.
    pub error: SendError,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the batch stopped after {} messages: {}", self.sent, self.error)
    }
}

impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
