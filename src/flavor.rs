//! The kinds of channels, and how many members each can have.

use core::fmt;

/// Most seats of a many-to-many channel: their numbers fit a slot's word, and leave one over.
pub(crate) const SEATS_MAX: usize = 254;

/// Seats of a one-to-one channel: the sender's and the receiver's.
pub(crate) const SPSC_SEATS: usize = 2;

/// What kind of channel it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flavor {
    /// [One to one](crate::spsc).
    Spsc,
    /// [Many to many](crate::mpmc).
    Mpmc,
}

impl Flavor {
    /// As the header has it.
    pub(crate) fn number(self) -> u32 {
        match self {
            Flavor::Spsc => 1,
            Flavor::Mpmc => 2,
        }
    }

    pub(crate) fn from_number(number: u32) -> Option<Flavor> {
        [Flavor::Spsc, Flavor::Mpmc].into_iter().find(|flavor| flavor.number() == number)
    }

    /// Whether a channel of this kind can have so many seats.
    pub(crate) fn allows(self, seats: usize) -> bool {
        match self {
            Flavor::Spsc => seats == SPSC_SEATS,
            Flavor::Mpmc => (2..=SEATS_MAX).contains(&seats),
        }
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flavor::Spsc => "a one-to-one channel (spsc)",
            Flavor::Mpmc => "a many-to-many channel (mpmc)",
        })
    }
}
