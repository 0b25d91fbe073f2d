//! What an SPSC receiver knows of the end of its stream, so that it need not ask the kernel each
//! time it parks.
//!
//! # Why it notices the end
//!
//! The end of a process in the senders' seat takes the seat away and posts two tokens, in one step,
//! after everything that it published. A receiver that asked the kernel and learnt that a
//! sender may still send may park without asking again, for a tenth of a second, as long as each token
//! that it has consumed since came with a message.
//!
//! **Invariant.** After the last end of such a process there are two tokens more than before, and
//! only a park whose poll (S4) preceded that end can consume one of them and find a message: a later
//! poll sees all that was published, and the receiver parks only if it finds nothing. So the second
//! token, at the latest, comes without a message; the receiver then asks before it parks again. The
//! same holds for two tokens of its own side, which are posted if the receiver loses its seat. If a
//! successor takes that seat, it may consume them; then the receiver finds another holder in the
//! waiting table when it parks (`Parker::has_seat`).
//!
//! A message that stays in the ring because it cannot be given up would come with any token, so
//! channels with a limit of deliveries do without this. So do senders: the room that a receiver left
//! may be found in two steps, by its credit and by its head. So do MPMC channels, in which any thread
//! consumes the token.

use std::time::Duration;

use crate::sync::plain::AtomicU64;
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::time;

/// How long the knowledge holds. The question also finds out whether the segment was removed, or
/// someone reset the semaphore of the seat by hand, which posts nothing.
const HOLDS: Duration = Duration::from_millis(100);

/// When the knowledge expires, by the coarse clock, in nanoseconds; 0 if there is none.
#[derive(Debug)]
pub(crate) struct KnownOpen(AtomicU64);

impl KnownOpen {
    pub(crate) fn new() -> KnownOpen {
        KnownOpen(AtomicU64::new(0))
    }

    /// Returns whether the receiver may park without asking.
    pub(super) fn holds(&self) -> bool {
        self.0.load(Relaxed) > now()
    }

    /// Records that the kernel was asked, and that the wait is not over.
    pub(super) fn was_asked(&self) {
        self.0.store(now().saturating_add(HOLDS.as_nanos() as u64), Relaxed);
    }

    /// Records that a token came without a message.
    pub(super) fn forget(&self) {
        self.0.store(0, Relaxed);
    }
}

/// In a model no time passes.
fn now() -> u64 {
    if cfg!(loom) { 0 } else { time::coarse_ns() }
}
