//! What can be wrong after a death, and how long things took.

use std::fmt;
use std::time::Duration;

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message is torn, out of order, or another one's.
    Wrong,
    /// A message is lost, there twice, or there although its call failed.
    Count,
    /// A sleeper was not woken, or too late.
    Asleep,
    /// A sleeper was told something wrong.
    Told,
    /// A semaphore is still held.
    Held,
    /// The channel cannot be opened, or not at once.
    Shut,
    /// The channel cannot be used as a new one can.
    Broken,
    /// Something is left in the kernel's tables.
    Left,
}

/// See [`Kind`].
#[derive(Debug)]
pub struct Violation(pub Kind, pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0, self.1)
    }
}

/// The longest times that were measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    pub open: Duration,
    pub wake: Duration,
}

impl Times {
    pub fn take(&mut self, other: Times) {
        self.open = self.open.max(other.open);
        self.wake = self.wake.max(other.wake);
    }
}

/// It does not hold.
pub fn no<T>(kind: Kind, what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(kind, what.into()))
}
