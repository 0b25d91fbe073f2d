//! What can be wrong after a crash, and how long operations took.

use std::fmt;
use std::time::Duration;

use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;

use crate::steps::peer::Peer;

/// A parked waiter polls by itself every 200 ms. One that takes half of that was not woken.
const WOKEN: Duration = Duration::from_millis(100);

/// The kinds of violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message is torn, out of order, or another message.
    WrongMessage,
    /// A message is lost, duplicated, or present although its call failed.
    WrongCount,
    /// A parked waiter was not woken, or was woken too late.
    NotWoken,
    /// A parked waiter got a wrong result.
    WrongResult,
    /// A dead process still holds a semaphore.
    SemaphoreHeld,
    /// The channel cannot be opened, or not quickly.
    CannotOpen,
    /// The channel cannot be used as a new one can.
    Unusable,
    /// Something is left in the kernel's tables.
    Leaked,
}

/// A violation of a [`Kind`], with its description.
#[derive(Debug)]
pub struct Violation(pub Kind, pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0, self.1)
    }
}

/// The maximum times that were measured.
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

/// Returns a violation.
pub fn no<T>(kind: Kind, what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(kind, what.into()))
}

/// When something happened that wakes a parked peer.
pub struct Moment {
    /// When it was begun, and when it was certainly done.
    begun: u64,
    done: u64,
    /// Measures the time that the host took from the peer and this process.
    watch: Watch,
}

impl Moment {
    pub fn now(peer: Option<&Peer>) -> Moment {
        Moment::since(now_ns(), peer)
    }

    /// Returns the moment of an event that began then and is done now.
    pub fn since(begun: u64, peer: Option<&Peer>) -> Moment {
        let peer = peer.map(|peer| peer.fork.pid());
        let watch = Watch::start(peer.as_slice());
        Moment { begun, done: now_ns(), watch }
    }

    /// Returns whether the condition becomes true in the time that a parked waiter has to wake.
    pub fn is_followed_by(&self, what: impl Fn() -> bool) -> bool {
        while !what() {
            if self.is_too_late(now_ns()) {
                return what();
            }
            // This sleeps, because a process that polls without sleep has to wait for the
            // processor, which would excuse the peer.
            std::thread::sleep(Duration::from_micros(50));
        }
        true
    }

    /// Returns whether a waiter whose call returned then was not woken.
    pub fn is_too_late(&self, then: u64) -> bool {
        let time = Duration::from_nanos(then.saturating_sub(self.done));
        time > WOKEN && time > WOKEN + self.watch.allowance()
    }

    /// Returns how late the host itself may have made the peer.
    pub fn allowance(&self) -> Duration {
        self.watch.allowance()
    }

    /// Returns how long it took until then.
    pub fn until(&self, then: u64) -> Duration {
        Duration::from_nanos(then.saturating_sub(self.begun))
    }
}
