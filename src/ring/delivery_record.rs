//! How often the next message of an SPSC channel, or of a receiver of a broadcast channel, was
//! delivered, in one word, so that a process that
//! is killed leaves the record of before or after a step.
//!
//! ```text
//! 63                                                  8 7         1   0
//! +---------------------------------------------------+------------+---+
//! |                     position                      |   count    | b |
//! +---------------------------------------------------+------------+---+
//! ```
//!
//! `count` is the number of deliveries of the message at `position` that ended without an
//! acknowledgement; `b` is set while another delivery may have begun. The record of any other
//! position says nothing about the message. Only the receiver writes it.

/// The largest count of ended deliveries.
const COUNT_MAX: u64 = 127;

/// The record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeliveryRecord(pub(super) u64);

impl DeliveryRecord {
    fn of(position: u64, count: u64, begun: bool) -> DeliveryRecord {
        DeliveryRecord(position << 8 | count.min(COUNT_MAX) << 1 | u64::from(begun))
    }

    fn is_of(self, position: u64) -> bool {
        self.0 >> 8 == position << 8 >> 8
    }

    /// Returns how many deliveries of the message at this position ended without an
    /// acknowledgement.
    pub(super) fn ended(self, position: u64) -> u64 {
        if self.is_of(position) { self.0 >> 1 & COUNT_MAX } else { 0 }
    }

    /// Returns the record once a delivery of that message has begun.
    pub(super) fn begin(self, position: u64) -> DeliveryRecord {
        DeliveryRecord::of(position, self.ended(position), true)
    }

    /// Returns the record once a delivery of that message has ended without an acknowledgement.
    pub(super) fn end(self, position: u64) -> DeliveryRecord {
        DeliveryRecord::of(position, self.ended(position) + 1, false)
    }

    /// Returns whether a delivery of that message began and has not ended.
    pub(super) fn has_begun(self, position: u64) -> bool {
        self.is_of(position) && self.0 & 1 == 1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn deliveries_of_one_message_are_counted() {
        for position in [0, 1, 1 << 40, u64::MAX >> 8, u64::MAX] {
            let mut record = DeliveryRecord(0).begin(position.wrapping_sub(1));
            for ended in 0..300 {
                assert_eq!(record.ended(position), ended.min(COUNT_MAX));
                assert!(!record.has_begun(position));
                record = record.begin(position);
                assert!(record.has_begun(position) && !record.has_begun(position.wrapping_add(1)));
                assert_eq!(record.ended(position), ended.min(COUNT_MAX));
                record = record.end(position);
            }
            assert_eq!(record.ended(position.wrapping_add(1)), 0);
        }
    }
}
