//! Which messages of a channel the engine is known to have stored.

use std::collections::HashSet;

use crate::engine::Recalled;

/// The positions of messages that are stored.
#[derive(Debug, Default)]
pub struct Stored {
    /// Those that the engine returned.
    recalled: HashSet<u64>,
    /// Those of this batch that it acknowledged.
    acknowledged: HashSet<u64>,
    /// A position up to which all are stored.
    up_to: Option<u64>,
}

impl Stored {
    /// Replaces what the engine returned before. Where messages are published in the order of their
    /// positions, each after the one before, all before the last one are stored.
    pub fn learn(&mut self, recalled: &Recalled, nonce: u32, is_ordered: bool) {
        let ours = recalled.ids.iter().filter(|id| id.nonce == nonce);
        self.recalled = ours.map(|id| id.position).collect();
        // A server that was restarted may not know the last id any more, and yet have later messages.
        let stored = recalled.ids.iter().chain(&recalled.last);
        let ours = stored.filter(|id| is_ordered && id.nonce == nonce).map(|id| id.position);
        self.up_to = self.up_to.max(ours.max());
    }

    /// Adds a message that the engine acknowledged.
    pub fn add(&mut self, position: u64) {
        self.acknowledged.insert(position);
    }

    /// Forgets the messages that were added, but for those of a batch: the channel does not deliver the
    /// others again.
    pub fn keep(&mut self, batch: impl Iterator<Item = u64>) {
        self.acknowledged = batch.filter(|position| self.acknowledged.contains(position)).collect();
    }

    /// Returns whether the message of a position is known to be stored.
    pub fn contains(&self, position: u64) -> bool {
        self.up_to.is_some_and(|last| position <= last)
            || self.acknowledged.contains(&position)
            || self.recalled.contains(&position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message_id::MessageId;

    fn recalled(nonce: u32, positions: &[u64], last: Option<u64>) -> Recalled {
        let id = |position| MessageId { nonce, position };
        Recalled { ids: positions.iter().copied().map(id).collect(), last: last.map(id) }
    }

    #[test]
    fn only_messages_of_this_channel_count() {
        let mut stored = Stored::default();
        stored.learn(&recalled(2, &[5], Some(9)), 1, true);
        assert!(!stored.contains(5) && !stored.contains(0));
        stored.learn(&recalled(1, &[5, 7], None), 1, false);
        assert!(stored.contains(5) && !stored.contains(6) && stored.contains(7));
    }

    #[test]
    fn the_last_one_of_an_ordered_route_covers_those_before() {
        let mut stored = Stored::default();
        stored.learn(&recalled(1, &[], Some(9)), 1, false);
        assert!(!stored.contains(9));
        stored.learn(&recalled(1, &[], Some(9)), 1, true);
        assert!(stored.contains(0) && stored.contains(9) && !stored.contains(10));
        stored.learn(&recalled(1, &[12, 11], None), 1, true);
        assert!(stored.contains(10) && stored.contains(12) && !stored.contains(13));
    }

    #[test]
    fn acknowledged_messages_count_until_the_channel_has_dropped_them() {
        let mut stored = Stored::default();
        stored.add(3);
        stored.learn(&recalled(1, &[], None), 1, false);
        assert!(stored.contains(3));
        stored.add(4);
        stored.keep([4, 5].into_iter());
        assert!(!stored.contains(3) && stored.contains(4) && !stored.contains(5));
    }
}
