//! Giving a message up: it is discarded, or moved to the dead-letter channel.

use core::fmt::Debug;
use core::ptr::NonNull;
use core::time::Duration;

use super::Endpoint;
use crate::error::DeadLetterFailure;
use crate::protocol::GivenUp;
use crate::segment::Redelivery;
use crate::sync::plain::Ordering::Relaxed;

/// The pause after a message could not be moved.
pub(super) const RETRY_EVERY: Duration = Duration::from_millis(100);

/// A copy of a message for the dead-letter channel.
#[derive(Debug)]
pub(crate) struct Letter {
    /// The nonce of the channel that the message comes from.
    pub(crate) nonce: u32,
    pub(crate) position: u64,
    pub(crate) deliveries: u8,
    /// The message: `len` bytes in a slot that the caller of [`put`](DeadLetterBox::put) owns.
    pub(crate) payload: NonNull<u8>,
    pub(crate) len: usize,
}

/// Where messages go that are given up. The handles supply it: it sends through a channel itself.
pub(crate) trait DeadLetterBox: Debug + Send + Sync {
    /// Sends a letter without waiting for room.
    fn put(&self, letter: &Letter) -> Result<(), DeadLetterFailure>;
}

impl Endpoint {
    /// Sets where messages go that are given up.
    pub(crate) fn with_dead_letters(self, letters: Option<Box<dyn DeadLetterBox>>) -> Endpoint {
        Endpoint { dead_letters: letters, ..self }
    }

    /// Discards a message, or moves it to the dead-letter channel. The caller acknowledges it
    /// afterwards.
    pub(crate) fn dispose_of(&self, message: &GivenUp<'_>) -> Result<(), DeadLetterFailure> {
        let Some(letters) = &self.dead_letters else {
            return Ok(());
        };
        // The message of a member that was evicted is another one's by now.
        self.attachment.check_membership().map_err(|_| DeadLetterFailure::Unavailable)?;
        let GivenUp { slot, position, deliveries } = *message;
        slot.reading();
        let geometry = self.geometry();
        let len = match geometry.shape.variable {
            true => geometry.slot_size.min(slot.length().load(Relaxed) as usize),
            false => geometry.slot_size,
        };
        let nonce = self.attachment.facts.nonce;
        let sent =
            letters.put(&Letter { nonce, position, deliveries, payload: slot.payload(), len });
        let repairs = &self.attachment.header().repairs;
        match sent {
            Ok(()) => {
                repairs.dead_letters.fetch_add(1, Relaxed);
            }
            Err(reason) => {
                repairs.last_failure.store(reason.number(), Relaxed);
                repairs.dead_letter_failures.fetch_add(1, Relaxed);
            }
        }
        sent
    }

    /// Counts a message that was given up because of the channel's policy.
    pub(super) fn count_disposal(&self, position: u64) {
        let repairs = &self.attachment.header().repairs;
        match self.attachment.facts.redelivery {
            Redelivery::Never => {
                repairs.dropped.fetch_add(1, Relaxed);
            }
            Redelivery::Discard { .. } => {
                repairs.poisoned.fetch_add(1, Relaxed);
                repairs.last_poisoned.store(position, Relaxed);
            }
            // Counted when it was moved.
            Redelivery::DeadLetter { .. } | Redelivery::Unlimited => {}
        }
    }

    /// Counts a message that a receiver rejected.
    pub(crate) fn count_rejection(&self) {
        self.attachment.header().repairs.rejected.fetch_add(1, Relaxed);
    }
}
