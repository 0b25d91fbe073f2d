//! The state word of a slot: lap, owner seat, deliveries and phase in 64 bits.
//!
//! ```text
//! 63                                    16 15      11 10         3 2     0
//! +---------------------------------------+----------+------------+-------+
//! |                  lap                  |deliveries|    owner   | phase |
//! +---------------------------------------+----------+------------+-------+
//! ```
//!
//! The all-zero word is FREE at lap 0, so a fresh segment needs no pass over its slots. Laps are
//! compared for equality only and wrap after 2^48; an error would need a process that sleeps for
//! exactly that many laps in the middle of one operation.

/// What a slot is doing in the lap its word names. One-to-one channels write only FULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Phase {
    /// Never used, or free for a sender (many-to-many).
    #[cfg_attr(not(test), expect(dead_code, reason = "read by eye: the all-zero word"))]
    Free = 0,
    /// Holds the message of this lap.
    Full = 2,
}

/// Bits below the lap.
pub(crate) const LAP_SHIFT: u32 = 16;

/// A slot's state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    /// What a fresh segment holds.
    pub(crate) const UNUSED: Word = Word(0);

    /// The word that announces the message of `lap`.
    #[inline(always)]
    pub(crate) fn full(lap: u64) -> Word {
        Word((lap << LAP_SHIFT) | Phase::Full as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_is_free_at_lap_zero_and_never_full() {
        assert_eq!(Word::UNUSED.0, Phase::Free as u64);
        for lap in [0, 1, 2, (1 << 48) - 1, 1 << 48, u64::MAX] {
            assert_ne!(Word::full(lap), Word::UNUSED);
            assert_ne!(Word::full(lap), Word::full(lap.wrapping_add(1)));
        }
    }

    #[test]
    fn laps_wrap_at_two_to_the_48th() {
        assert_eq!(Word::full(1 << 48), Word::full(0));
    }
}
