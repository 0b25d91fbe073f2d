//! Which blocks were counted already: at least once becomes exactly once.

use std::collections::HashSet;

/// The positions that were seen. Positions have gaps, so it keeps all of them.
#[derive(Default)]
pub struct Seen(HashSet<u64>);

impl Seen {
    /// Whether a position comes for the first time.
    pub fn is_first(&mut self, position: u64) -> bool {
        self.0.insert(position)
    }
}
