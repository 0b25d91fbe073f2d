//! The request of an SPSC receiver that its sender executes a full fence for each message:
//! `wait/mod.rs` explains why one is needed before the receiver parks.
//!
//! The request is made when the receiver parks, and withdrawn when it has received many messages
//! without parking, so that a stream has no fences. The flag FENCE in the receivers' parking word sends
//! the sender to its slow path. The request stands if the receiver remembers it and finds the flag
//! still set when it parks: an earlier holder of the seat, which does not know yet that it lost the
//! seat, may have cleared the flag.

use super::Parker;
use crate::layout::Parking;
use crate::sync::plain::AtomicU64;
use crate::sync::plain::Ordering::Relaxed;

/// The number of messages since the receiver last parked after which they are a stream.
const STREAM: u64 = 64;

/// The states of a request that are no position: it was not made; the receiver parked, and has not
/// looked at its position since; `membarrier` failed, so the request is never withdrawn; it is that of
/// a receiver of a broadcast channel, whose sender decides about its fences.
const NOT_MADE: u64 = u64::MAX;
const PARKED: u64 = u64::MAX - 1;
const FOR_GOOD: u64 = u64::MAX - 2;
const SHARED: u64 = u64::MAX - 3;

/// A receiver's request, and the position at which it is withdrawn.
#[derive(Debug)]
pub(crate) struct FenceRequest(AtomicU64);

impl FenceRequest {
    /// Returns a request that was not made.
    pub(crate) fn new() -> FenceRequest {
        FenceRequest(AtomicU64::new(NOT_MADE))
    }

    /// Returns the request of a receiver of a broadcast channel.
    pub(crate) fn shared() -> FenceRequest {
        FenceRequest(AtomicU64::new(SHARED))
    }

    /// Returns whether it is made by the flag FENCE.
    pub(super) fn sets_flag(&self) -> bool {
        self.0.load(Relaxed) != SHARED
    }

    /// Returns a request that was made before the sender joined.
    #[cfg(test)]
    pub(crate) fn standing() -> FenceRequest {
        FenceRequest(AtomicU64::new(FOR_GOOD))
    }

    /// Completes the request of a receiver that has just set FENCE in its parking word, where it was
    /// set before if `was_set`: if not, the sender may have loaded the word before that, and its last
    /// message may not be visible yet.
    pub(super) fn complete(&self, was_set: bool, parker: &impl Parker) {
        let state = self.0.load(Relaxed);
        let stands = was_set && state != NOT_MADE;
        if !stands && !parker.membarrier() {
            parker.settle();
            if state != SHARED {
                self.0.store(FOR_GOOD, Relaxed);
            }
        } else if !matches!(state, FOR_GOOD | SHARED) {
            self.0.store(PARKED, Relaxed);
        }
    }

    /// Withdraws the request if the receiver, which is at this position, is in a stream.
    pub(crate) fn withdraw_in_stream(&self, position: u64, parking: &Parking) {
        match self.0.load(Relaxed) {
            NOT_MADE | FOR_GOOD | SHARED => {}
            PARKED => self.0.store(position.saturating_add(STREAM).min(SHARED - 1), Relaxed),
            until if position < until => {}
            _ => {
                self.0.store(NOT_MADE, Relaxed);
                parking.withdraw_fences();
            }
        }
    }
}
