//! The values of all semaphores of a channel at one instant.

use super::{ChannelSemaphores, DIED, FINISHED, FIRST_SEAT, semaphores, side_of, wake_sem};
use crate::flavor::{SEATS_MAX, SeatSet};
#[cfg(test)]
use crate::liveness::Seat;
use crate::role::Side;
use crate::sysv;

/// Number of semaphores of the largest channel.
const SEMAPHORES_MAX: usize = OTHERS + SEATS_MAX;
/// Number of semaphores that are no seats.
const OTHERS: usize = FIRST_SEAT as usize;

/// The values of all semaphores of a channel at one instant. It is small, as it is returned by value
/// in every call that is about to wait.
#[derive(Clone, Debug)]
pub(crate) struct SemaphoreValues {
    /// Those that are no seats.
    values: [u16; OTHERS],
    /// The seats of living processes.
    taken: SeatSet,
    /// Whether a seat is that of a sender, and whether one is that of a receiver. The counts of both
    /// sides may be too high (`resignation.rs`).
    there: [bool; 2],
    /// How often the other side of the member that asks had been joined before that instant: a member
    /// that is counted later is not among those that the values show gone.
    pub(crate) peer_joins: u32,
}

impl SemaphoreValues {
    /// Returns the values of a channel without members.
    pub(crate) fn new() -> SemaphoreValues {
        SemaphoreValues {
            values: [0; OTHERS],
            taken: SeatSet::EMPTY,
            there: [false; 2],
            peer_joins: 0,
        }
    }

    /// Adds a member.
    #[cfg(test)]
    pub(crate) fn seat(&mut self, seat: Seat) {
        self.taken.insert(seat.number);
        self.there[seat.side as usize] = true;
    }

    /// Sets the number of wake tokens of a side.
    #[cfg(test)]
    pub(crate) fn set_tokens(&mut self, side: Side, tokens: u16) {
        self.values[usize::from(wake_sem(side))] = tokens;
    }

    /// Sets what is known of the stream: whether a sender finished, and how many died unfinished.
    #[cfg(test)]
    pub(crate) fn set_stream(&mut self, finished: bool, died: u16) {
        self.values[usize::from(FINISHED)] = finished.into();
        self.values[usize::from(DIED)] = died;
    }

    /// Returns whether a living process has this seat.
    pub(crate) fn is_taken(&self, seat: u8) -> bool {
        self.taken.contains(seat)
    }

    /// Returns whether this side has a living member.
    pub(crate) fn is_there(&self, side: Side) -> bool {
        self.there[side as usize]
    }

    /// Returns the number of wake tokens of this side.
    pub(crate) fn tokens(&self, side: Side) -> u16 {
        self.values[usize::from(wake_sem(side))]
    }

    /// Returns whether a sender has finished since the stream was opened.
    pub(crate) fn is_finished(&self) -> bool {
        self.values[usize::from(FINISHED)] != 0
    }

    /// Returns the number of senders that died unfinished and have no successor.
    pub(crate) fn died(&self) -> u16 {
        self.values[usize::from(DIED)]
    }

    /// Returns whether the stream has ended: no message follows before a sender opens the next one.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_finished() && self.died() == 0 && !self.is_there(Side::Senders)
    }
}

impl ChannelSemaphores {
    /// Returns all semaphores of a channel with `seats` seats; `EFAULT` if the set has more.
    pub(crate) fn semaphore_values(&self, seats: usize) -> sysv::Result<SemaphoreValues> {
        let mut all = [0; SEMAPHORES_MAX];
        let all = &mut all[..(semaphores(seats) as usize).min(SEMAPHORES_MAX)];
        self.set.values_into(all)?;
        let (values, seats) = all.split_at(OTHERS);
        let mut alive = SemaphoreValues::new();
        alive.values.copy_from_slice(values);
        for (seat, &token) in (0..).zip(seats).filter(|(_, token)| **token != 0) {
            alive.taken.insert(seat);
            if let Some(side) = side_of(token) {
                alive.there[side as usize] = true;
            }
        }
        Ok(alive)
    }
}
