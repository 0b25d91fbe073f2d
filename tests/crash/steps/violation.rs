//! What can be wrong after a death, and how long things took.

use std::fmt;
use std::time::Duration;

use sysvring_support::board::now_ns;
use sysvring_support::witness::Watch;

use crate::steps::peer::Peer;

/// A sleeper looks by itself every 200 ms: who takes half of that was not woken.
const WOKEN: Duration = Duration::from_millis(100);

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

/// When something happened that wakes a sleeping peer.
pub struct Moment {
    /// When it was begun, and when it was done for sure.
    begun: u64,
    done: u64,
    /// Knows what time the machine took from the peer and us.
    watch: Watch,
}

impl Moment {
    pub fn now(peer: Option<&Peer>) -> Moment {
        Moment::since(now_ns(), peer)
    }

    /// It was begun then, and is done now.
    pub fn since(begun: u64, peer: Option<&Peer>) -> Moment {
        let peer = peer.map(|peer| peer.fork.pid());
        let watch = Watch::start(peer.as_slice());
        Moment { begun, done: now_ns(), watch }
    }

    /// Whether it comes true in the time that a sleeper has to wake.
    pub fn is_followed_by(&self, what: impl Fn() -> bool) -> bool {
        while !what() {
            if self.is_too_late(now_ns()) {
                return what();
            }
            // Asleep: who asks for the processor all the time has to wait for it, which would excuse
            // the peer.
            std::thread::sleep(Duration::from_micros(50));
        }
        true
    }

    /// Whether a sleeper that returns then was not woken.
    pub fn is_too_late(&self, then: u64) -> bool {
        let time = Duration::from_nanos(then.saturating_sub(self.done));
        time > WOKEN && time > WOKEN + self.watch.excuse()
    }

    /// How long it took until then.
    pub fn until(&self, then: u64) -> Duration {
        Duration::from_nanos(then.saturating_sub(self.begun))
    }
}
