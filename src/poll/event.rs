//! What a wait returns.

/// What was added to a [`WaitSet`](crate::WaitSet), as an event refers to it. Tokens of different
/// sets have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub(super) u64);

/// Something that is ready, as [`WaitSet::wait`](crate::WaitSet::wait) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub(super) token: Token,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) interrupted: bool,
}

impl Event {
    /// Returns what is ready.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Returns whether a receiver or a descriptor may have something to read, or has ended; true
    /// for a timer and a notifier.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Returns whether a sender or a descriptor may have room, or has lost its other side.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Returns whether the handle was interrupted by an [`Interrupter`](crate::Interrupter). Each
    /// interrupt is reported once.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }
}

/// What to wait for in a file descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// Something to read, or the end.
    Readable,
    /// Room to write.
    Writable,
    /// Either.
    Both,
}
