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
//!                 | died, or            | died or returned it: again, by another receiver
//!                 v abandoned           v
//!             SKIP(l) -> FREE'(l + 1) READING(l, other)
//!                 | nothing behind it    | a sender comes to it a lap later
//!                 v                      v
//!             CLAIMED(l, sender)      HELD(l + 1, other) -> HELD(l + 2, other) -> FREE'(l + 3)
//! ```
//!
//! HELD is READING for a slot that senders stepped over. Its lap is that of the last position that
//! was skipped there; the position of its message is in the table of origins
//! ([`Ring`](crate::ring::Ring)).
//!
//! The delivery count of a message grows to 31 and goes on at 16: from 16 on it only tells one
//! delivery from the next. In CLAIMED and SKIP, the same bits count how often the position was
//! claimed again after an abandoned claim. FREE' above has 1 there: it followed SKIP or HELD, so
//! nothing was sent at the slot's position of the lap before. Members treat both kinds alike; a
//! [tap](crate::ring::tap) does not take what lies in the slot for the message of that position.
//!
//! Laps wrap after 2^48 and are compared by their distance; an error would require a process that
//! is suspended for that many laps in the middle of one operation, or for 16 deliveries of one
//! message.

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
    /// Its sender died while it wrote, or abandoned the claim: no message.
    Skip = 4,
    /// A receiver is still reading a message of an earlier lap, and senders stepped over it.
    Held = 5,
}

/// The bit at which each field begins.
const OWNER_SHIFT: u32 = 3;
const DELIVERIES_SHIFT: u32 = 11;
pub(crate) const LAP_SHIFT: u32 = 16;

/// All fields but the lap.
const LOW: u64 = (1 << LAP_SHIFT) - 1;

/// The maximum delivery count that a state can hold.
pub(crate) const DELIVERIES_MAX: u8 = 31;

/// The count from which on the exact number is not known: the next one after the maximum.
pub(crate) const DELIVERIES_SHOWN: u8 = DELIVERIES_MAX.div_ceil(2);

/// The owner of an orphaned slot, which no living member owns. No seat has this number.
pub(crate) const NO_OWNER: u8 = 255;

/// A slot's state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotState(pub(crate) u64);

/// The mark of a FREE state after a position that held no message.
const UNSENT: u64 = 1 << DELIVERIES_SHIFT;

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

    /// A state that no slot has.
    pub(crate) const NEVER: SlotState = SlotState(u64::MAX);

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

    /// The FREE state of `lap` in a slot whose position of the lap before held no message.
    #[inline(always)]
    pub(crate) const fn free_unsent(lap: u64) -> SlotState {
        SlotState(SlotState::free(lap).0 | UNSENT)
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
    #[cfg(all(test, not(loom)))]
    pub(crate) const fn skip(lap: u64) -> SlotState {
        SlotState::of(lap, 0, 0, Phase::Skip)
    }

    /// The HELD state: `owner` is reading a message of an earlier lap, and `lap` was stepped over.
    #[inline(always)]
    pub(crate) const fn held(lap: u64, deliveries: u8, owner: u8) -> SlotState {
        SlotState::of(lap, deliveries, owner, Phase::Held)
    }

    /// Returns this CLAIMED state as FULL, which publishes the message.
    #[inline(always)]
    pub(crate) const fn published(self) -> SlotState {
        SlotState(self.0 & !LOW | Phase::Full as u64)
    }

    /// Returns this CLAIMED state as SKIP: there will be no message.
    #[inline(always)]
    pub(crate) const fn abandoned(self) -> SlotState {
        SlotState::of(self.lap(), self.deliveries(), 0, Phase::Skip)
    }

    /// Returns this SKIP state as CLAIMED by `owner`, or `None` if that was done too often to count.
    #[inline]
    pub(crate) const fn claimed_again(self, owner: u8) -> Option<SlotState> {
        match self.deliveries() {
            DELIVERIES_MAX => None,
            times => Some(SlotState::of(self.lap(), times + 1, owner, Phase::Claimed)),
        }
    }

    /// Returns the FREE state of the lap after this READING state's.
    #[inline(always)]
    pub(crate) const fn freed(self) -> SlotState {
        SlotState((self.0 & !LOW).wrapping_add(1 << LAP_SHIFT))
    }

    /// Returns the FREE state of the lap after this SKIP or HELD state's, in whose lap nothing was
    /// sent.
    #[inline]
    pub(crate) const fn freed_unsent(self) -> SlotState {
        SlotState(self.freed().0 | UNSENT)
    }

    /// Returns whether a sender may claim the slot, in this state's lap.
    #[inline]
    pub(crate) const fn is_free(self) -> bool {
        self.0 & LOW & !UNSENT == Phase::Free as u64
    }

    /// Returns this READING or HELD state with another owner.
    #[inline(always)]
    const fn owned_by(self, owner: u8) -> SlotState {
        SlotState(self.0 & !(0xff << OWNER_SHIFT) | (owner as u64) << OWNER_SHIFT)
    }

    /// Returns this READING or HELD state without owner.
    #[inline(always)]
    pub(crate) const fn orphaned(self) -> SlotState {
        self.owned_by(NO_OWNER)
    }

    /// Returns this READING or HELD state at its next delivery, to `owner`.
    #[inline]
    pub(crate) const fn taken_over(self, owner: u8) -> SlotState {
        let deliveries = self.deliveries_after();
        let counted = self.0 & !((DELIVERIES_MAX as u64) << DELIVERIES_SHIFT);
        SlotState(counted | (deliveries as u64) << DELIVERIES_SHIFT).owned_by(owner)
    }

    /// Returns the READING state that a sender made this HELD state of, one lap before.
    #[inline]
    pub(crate) const fn before_step(self) -> SlotState {
        SlotState::reading(self.lap().wrapping_sub(1), self.deliveries(), self.owner())
    }

    /// Returns whether a message was taken and not yet acknowledged.
    #[inline(always)]
    pub(crate) const fn is_in_flight(self) -> bool {
        matches!(self.phase(), Some(Phase::Reading | Phase::Held))
    }

    /// Returns whether there is a message that was not yet acknowledged.
    #[inline(always)]
    pub(crate) const fn holds_message(self) -> bool {
        matches!(self.phase(), Some(Phase::Full)) || self.is_in_flight()
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
            5 => Phase::Held,
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
    const fn deliveries_after(self) -> u8 {
        match self.deliveries() {
            DELIVERIES_MAX => DELIVERIES_SHOWN,
            deliveries => deliveries + 1,
        }
    }

    /// Returns how often the message was delivered; [`DELIVERIES_SHOWN`] or more may stand for any
    /// higher number.
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
        let distance = (self.0 & !LOW).wrapping_sub(lap << LAP_SHIFT) as i64;
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
                    None => assert!(low & 7 > Phase::Held as u64),
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
        let phases =
            [Phase::Free, Phase::Claimed, Phase::Full, Phase::Reading, Phase::Skip, Phase::Held];
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
        for bits in 6..8 {
            assert_eq!(SlotState(bits).phase(), None);
        }
    }

    /// A step changes the fields that it is about, and no other.
    #[test]
    fn steps_keep_the_other_fields() {
        for lap in [0, 1, 0x5555_5555_5555, (1 << 48) - 1] {
            for count in 0..=DELIVERIES_MAX {
                for owner in [0, 1, 253, NO_OWNER] {
                    let claimed = SlotState::of(lap, count, owner, Phase::Claimed);
                    let skip = SlotState::of(lap, count, 0, Phase::Skip);
                    assert_eq!(claimed.published(), SlotState::full(lap));
                    assert_eq!(
                        (claimed.abandoned(), skip.freed()),
                        (skip, SlotState::free(lap + 1))
                    );
                    let again = SlotState::of(lap, count + 1, owner, Phase::Claimed);
                    let counted = (count < DELIVERIES_MAX).then_some(again);
                    assert_eq!(skip.claimed_again(owner), counted);
                    let deliveries = if count == 31 { 16 } else { count + 1 };
                    for phase in [Phase::Reading, Phase::Held] {
                        let word = SlotState::of(lap, count, owner, phase);
                        assert!(word.is_in_flight() && word.holds_message());
                        assert_eq!(word.orphaned(), SlotState::of(lap, count, NO_OWNER, phase));
                        assert_eq!(word.taken_over(7), SlotState::of(lap, deliveries, 7, phase));
                        assert_eq!(word.freed(), SlotState::free(lap + 1));
                    }
                }
            }
        }
    }
}
