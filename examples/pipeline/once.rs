//! Which blocks were counted already: at least once becomes exactly once.

use std::collections::BTreeSet;

/// The positions that were seen. It keeps few of them, for they come nearly in order.
#[derive(Default)]
pub struct Seen {
    /// All before it were.
    all_before: u64,
    /// These, too.
    beyond: BTreeSet<u64>,
}

impl Seen {
    /// Whether a position comes for the first time.
    pub fn is_first(&mut self, position: u64) -> bool {
        if position < self.all_before || !self.beyond.insert(position) {
            return false;
        }
        while self.beyond.remove(&self.all_before) {
            self.all_before += 1;
        }
        true
    }
}
