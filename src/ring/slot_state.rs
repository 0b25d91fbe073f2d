//! The state word of a slot: lap, delivery count, owner seat and phase in 64 bits.
//!
//! ```text
//! 63                                    16 15      11 10         3 2     0
//! +---------------------------------------+----------+------------+-------+
//! |                  lap                  |deliveries|    owner   | phase |
//! +---------------------------------------+----------+------------+-------+
//! ```
//!
//! The all-zero word is FREE at lap 0, so a fresh segment needs no pass over its slots. SPSC
//! channels write FULL only, and compare whole words.
//!
//! MPMC channels move a slot through the phases of one lap, each step by one compare-and-swap:
//!
//! ```text
//! FREE(l) -> CLAIMED(l, sender) -> FULL(l) -> READING(l, receiver) -> FREE(l + 1)
//!                 | died                          | died: again, by another receiver
//!                 v                               v
//!             SKIP(l) -> FREE(l + 1)          READING(l, other)
//! ```
//!
//! Laps wrap after 2^48 and are compared by their distance; an error would require a process that
//! is suspended for that many laps in the middle of one operation.

/// What a slot is doing in the lap its word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Phase {
    /// Free for a sender to claim.
    Free = 0,
    /// A sender is writing.
    Claimed = 1,
    /// Holds the message of this lap.
    Full = 2,
    /// A receiver is reading.
    Reading = 3,
    /// Its sender died while it wrote: no message.
    Skip = 4,
}

/// The bit at which each field begins.
const OWNER_SHIFT: u32 = 3;
const DELIVERIES_SHIFT: u32 = 11;
pub(crate) const LAP_SHIFT: u32 = 16;

/// The maximum delivery count that a state can hold.
pub(crate) const DELIVERIES_MAX: u8 = 31;

/// The count from which on the exact number is not known: the next one after the maximum.
pub(crate) const DELIVERIES_SHOWN: u8 = DELIVERIES_MAX.div_ceil(2);

/// The owner of an orphaned slot, which no living member owns. No seat has this number.
pub(crate) const NO_OWNER: u8 = 255;

/// A slot's state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotState(pub(crate) u64);

/// How the lap of a state relates to another lap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LapOrder {
    Older,
    Same,
    Newer,
}

impl SlotState {
    /// The state of every slot in a fresh segment.
    pub(crate) const UNUSED: SlotState = SlotState(0);

    const fn of(lap: u64, deliveries: u8, owner: u8, phase: Phase) -> SlotState {
        let deliveries = (deliveries & DELIVERIES_MAX) as u64;
        SlotState(
            lap << LAP_SHIFT
                | deliveries << DELIVERIES_SHIFT
                | (owner as u64) << OWNER_SHIFT
                | phase as u64,
        )
    }

    /// The FREE state of `lap`.
    #[inline(always)]
    pub(crate) const fn free(lap: u64) -> SlotState {
        SlotState::of(lap, 0, 0, Phase::Free)
    }

    /// The CLAIMED state of `lap`: `owner` is writing the message.
    #[inline(always)]
    pub(crate) const fn claimed(lap: u64, owner: u8) -> SlotState {
        SlotState::of(lap, 0, owner, Phase::Claimed)
    }

    /// The FULL state, which publishes the message of `lap`.
    #[inline(always)]
    pub(crate) const fn full(lap: u64) -> SlotState {
        SlotState::of(lap, 0, 0, Phase::Full)
    }

    /// The READING state of `lap`: `owner` is reading the message, at its `deliveries`-th delivery.
    #[inline(always)]
    pub(crate) const fn reading(lap: u64, deliveries: u8, owner: u8) -> SlotState {
        SlotState::of(lap, deliveries, owner, Phase::Reading)
    }

    /// The SKIP state: no message in `lap`.
    #[inline(always)]
    pub(crate) const fn skip(lap: u64) -> SlotState {
        SlotState::of(lap, 0, 0, Phase::Skip)
    }

    /// Returns the phase, or `None` for a word that no honest member writes.
    #[inline(always)]
    pub(crate) const fn phase(self) -> Option<Phase> {
        Some(match self.0 & 7 {
            0 => Phase::Free,
            1 => Phase::Claimed,
            2 => Phase::Full,
            3 => Phase::Reading,
            4 => Phase::Skip,
            _ => return None,
        })
    }

    /// Returns the seat that is writing or reading.
    #[inline(always)]
    pub(crate) const fn owner(self) -> u8 {
        (self.0 >> OWNER_SHIFT) as u8
    }

    /// Returns the count of the next delivery. It goes round the upper half of the numbers, so that
    /// a state does not recur soon; there it means only that there were that many or more.
    pub(crate) const fn deliveries_after(self) -> u8 {
        match self.deliveries() {
            DELIVERIES_MAX => DELIVERIES_SHOWN,
            deliveries => deliveries + 1,
        }
    }

    /// Returns how often the message was delivered.
    #[inline(always)]
    pub(crate) const fn deliveries(self) -> u8 {
        (self.0 >> DELIVERIES_SHIFT) as u8 & DELIVERIES_MAX
    }

    /// Returns the lap, of which the state holds 48 bits.
    #[inline(always)]
    pub(crate) const fn lap(self) -> u64 {
        self.0 >> LAP_SHIFT
    }

    /// Returns how many laps this state is after `lap`, modulo 2^48. Only for a state that is
    /// [newer](LapOrder::Newer).
    #[inline]
    pub(crate) const fn laps_after(self, lap: u64) -> u64 {
        (self.lap() << LAP_SHIFT).wrapping_sub(lap << LAP_SHIFT) >> LAP_SHIFT
    }

    /// Compares the lap of this state with `lap`.
    #[inline(always)]
    pub(crate) const fn age(self, lap: u64) -> LapOrder {
        let distance = (self.0 & !0xffff).wrapping_sub(lap << LAP_SHIFT) as i64;
        match distance {
            0 => LapOrder::Same,
            1.. => LapOrder::Newer,
            _ => LapOrder::Older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_is_free_at_lap_zero_and_never_full() {
        assert_eq!(SlotState::UNUSED, SlotState::free(0));
        for lap in [0, 1, 2, (1 << 48) - 1, 1 << 48, u64::MAX] {
            assert_ne!(SlotState::full(lap), SlotState::UNUSED);
            assert_ne!(SlotState::full(lap), SlotState::full(lap.wrapping_add(1)));
        }
    }

    #[test]
    fn laps_wrap_at_two_to_the_48th() {
        assert_eq!(SlotState::full(1 << 48), SlotState::full(0));
        assert_eq!(SlotState::free(u64::MAX).age(0), LapOrder::Older);
        assert_eq!(SlotState::free(0).age(u64::MAX), LapOrder::Newer);
    }

    /// For every word: its fields make the same word again, or its phase is invalid.
    #[test]
    fn every_word_is_read_as_it_is_written() {
        for lap in [0, 1, 0x5555_5555_5555, (1 << 47) - 1, 1 << 47, (1 << 48) - 1] {
            for low in 0..1u64 << LAP_SHIFT {
                let word = SlotState(lap << LAP_SHIFT | low);
                assert_eq!(word.lap(), lap);
                match word.phase() {
                    Some(phase) => {
                        assert_eq!(
                            SlotState::of(lap, word.deliveries(), word.owner(), phase),
                            word
                        );
                    }
                    None => assert!(low & 7 > Phase::Skip as u64),
                }
            }
        }
    }

    /// Of any two laps at the edges and next to them, either one is older or a state cannot tell
    /// them apart; and if the first is older than the second, the second is newer than the first.
    #[test]
    fn ages_are_an_order() {
        let edges = [0u64, 1 << 16, 1 << 32, 1 << 46, 1 << 47, 1 << 48, 1 << 63];
        let laps = || {
            edges
                .into_iter()
                .flat_map(|e| (0..7u64).map(move |n| e.wrapping_add(n).wrapping_sub(3)))
        };
        for one in laps() {
            for other in laps() {
                let there = SlotState::reading(one, 31, 255).age(other);
                let back = SlotState::free(other).age(one);
                let distance = one.wrapping_sub(other) << LAP_SHIFT;
                let expected = match distance {
                    0 => [LapOrder::Same, LapOrder::Same],
                    // The maximum distance, in both directions.
                    0x8000_0000_0000_0000 => [LapOrder::Older, LapOrder::Older],
                    1..0x8000_0000_0000_0000 => [LapOrder::Newer, LapOrder::Older],
                    _ => [LapOrder::Older, LapOrder::Newer],
                };
                assert_eq!([there, back], expected, "{one:#x} and {other:#x}");
            }
        }
    }

    #[test]
    fn laps_between_are_counted_round_the_end() {
        for from in [0, 1, 7, (1 << 48) - 2, (1 << 48) - 1, 1 << 48, u64::MAX - 1, u64::MAX] {
            for far in [1, 2, 1 << 20, (1 << 47) - 1] {
                let word = SlotState::reading(from.wrapping_add(far), 31, 255);
                assert_eq!((word.age(from), word.laps_after(from)), (LapOrder::Newer, far));
            }
        }
    }

    /// Every owner, every delivery count and every phase, at many laps: the fields that go in come
    /// out.
    #[test]
    fn fields_do_not_touch_each_other() {
        let phases = [Phase::Free, Phase::Claimed, Phase::Full, Phase::Reading, Phase::Skip];
        for lap in [0, 1, 0x5555_5555_5555, (1 << 48) - 1] {
            for owner in 0..=255 {
                for deliveries in 0..=DELIVERIES_MAX {
                    for phase in phases {
                        let word = SlotState::of(lap, deliveries, owner, phase);
                        let fields = (word.lap(), word.deliveries(), word.owner(), word.phase());
                        assert_eq!(fields, (lap, deliveries, owner, Some(phase)));
                        assert_eq!(word.age(lap), LapOrder::Same);
                        assert_eq!(word.age(lap.wrapping_add(1)), LapOrder::Older);
                        assert_eq!(word.age(lap.wrapping_sub(1)), LapOrder::Newer);
                    }
                }
            }
        }
        for bits in 5..8 {
            assert_eq!(SlotState(bits).phase(), None);
        }
    }
}
