//! Sets of seats.

/// A set of seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatSet([u64; 4]);

impl SeatSet {
    pub(crate) const EMPTY: SeatSet = SeatSet([0; 4]);

    pub(crate) fn insert(&mut self, seat: u8) {
        self.0[usize::from(seat / 64)] |= 1 << (seat % 64);
    }

    pub(crate) fn contains(&self, seat: u8) -> bool {
        self.0[usize::from(seat / 64)] >> (seat % 64) & 1 != 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_seat_is_one_of_its_own() {
        for seat in 0..=u8::MAX {
            let mut set = SeatSet::EMPTY;
            set.insert(seat);
            assert!((0..=u8::MAX).all(|other| set.contains(other) == (other == seat)));
        }
    }
}
