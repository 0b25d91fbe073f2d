//! What only a receiver of a broadcast channel does: it copies messages that may be overwritten, counts
//! those that it missed, and passes over those that it does not want.

use super::Consumer;
use crate::ring::Corrupt;
use crate::ring::broadcast::PrivateCopy;
use crate::ring::slot_state::LapOrder;
use crate::ring::tap::Seen;
use crate::sync::Ordering::Release;
use crate::sync::plain;

/// What no sender does.
const IMPOSSIBLE: Corrupt = Corrupt("a slot state has an impossible lap");

impl Consumer {
    /// Copies each message before it is read: the sender may overwrite it at any time.
    pub(crate) fn copying(self, is_variable: bool) -> Consumer {
        let copy = Some(PrivateCopy::new(&self.ring, is_variable));
        let mut consumer = Consumer { copy, ..self };
        consumer.publish_credit();
        consumer
    }

    /// Copies the message at the next position, if it is there. Returns whether there is something to
    /// report: a message, or that some were missed.
    fn fetch(&mut self) -> Result<bool, Corrupt> {
        let (position, full) = (self.next.position, self.ring.full(self.next.position));
        let Some(copy) = &mut self.copy else { return Ok(false) };
        if self.next.full == full {
            return Ok(true);
        }
        let ring = self.ring;
        match ring.tap_spsc(position, &mut |_, slot| copy.copy(&ring, &slot, full))? {
            Seen::Whole(()) => {
                (self.next.slot, self.next.full) = (copy.start(), full);
                Ok(true)
            }
            Seen::Lost(on) => {
                // By distance: it is another process' number. The tail and the grant of a sender that has
                // overwritten a message are past it.
                let missed = on.wrapping_sub(position) as i64;
                if missed <= 0 {
                    return Err(IMPOSSIBLE);
                }
                self.miss(missed as u64);
                self.skip_to(on);
                Ok(true)
            }
            // The message that a receiver waits for follows the one of the last lap.
            Seen::NotYet => {
                let word = ring.word(position);
                let is_older = word.age(position >> ring.shift) == LapOrder::Older;
                match is_older && !ring.is_before(word, position) {
                    true => Err(IMPOSSIBLE),
                    false => Ok(false),
                }
            }
            Seen::Changed | Seen::Unsent => Ok(false),
        }
    }

    /// Copies the next message of a batch, in an overwriting channel. An error recurs in the next call.
    #[inline(never)]
    pub(super) fn fetch_more(&mut self) {
        if self.copy.is_some() {
            let _ = self.fetch();
        }
    }

    /// Counts messages that are to be reported as missed.
    pub(super) fn miss(&mut self, messages: u64) {
        self.missed = self.missed.saturating_add(messages);
        if let Some(count) = self.words.missed() {
            let sum = count.load(plain::Ordering::Relaxed).saturating_add(messages);
            count.store(sum, plain::Ordering::Relaxed);
        }
    }

    /// Goes on at a later position: everything before it is acknowledged.
    fn skip_to(&mut self, position: u64) {
        self.next = self.ring.cursor(position);
        self.words.head().store(position, Release);
        self.publish_credit();
    }

    /// Goes on at the newest message, if one is there that was not received. Returns whether it passed
    /// over messages.
    pub(crate) fn skip_to_newest(&mut self) -> bool {
        let newest = self.ring.tail().wrapping_sub(1);
        let passes = newest.wrapping_sub(self.next.position) as i64 > 0;
        if passes {
            self.skip_to(newest);
        }
        passes
    }

    /// Returns how many messages it missed, once.
    pub(crate) fn take_missed(&mut self) -> u64 {
        core::mem::take(&mut self.missed)
    }

    /// Returns whether it missed messages and has not reported it.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed != 0
    }

    /// Returns whether the next message was sent: in an overwriting channel, it may have been overwritten
    /// since.
    pub(crate) fn is_sent(&self) -> bool {
        if self.copy.is_some() { self.can_fetch() } else { self.has_message() }
    }

    /// Returns whether the next message was sent in an overwriting channel, overwritten or not.
    pub(super) fn can_fetch(&self) -> bool {
        let position = self.next.position;
        !self.ring.is_before(self.ring.word(position), position)
    }

    /// Returns whether the next message is available, or messages were missed; copies it in an
    /// overwriting channel. Reports an impossible state as corruption.
    pub(crate) fn obtain(&mut self) -> Result<bool, Corrupt> {
        if self.copy.is_some() { self.fetch() } else { self.is_ready() }
    }
}
