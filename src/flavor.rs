//! The kinds of channels, and the number of members that each can have.

mod seat_set;

use core::fmt;

pub(crate) use self::seat_set::SeatSet;

/// Maximum number of seats of an MPMC or broadcast channel: seat numbers fit into a slot state, and
/// one value is left over.
pub(crate) const SEATS_MAX: usize = 254;

/// Number of seats of an SPSC channel: the sender's and the receiver's.
pub(crate) const SPSC_SEATS: usize = 2;

/// The kind of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Flavor {
    /// A channel with one sender and one receiver; see [`spsc`](crate::spsc).
    Spsc,
    /// A channel with any number of senders and receivers; see [`mpmc`](crate::mpmc).
    Mpmc,
    /// A channel with one sender, in which every receiver gets every message; see
    /// [`broadcast`](crate::broadcast).
    Broadcast,
}

impl Flavor {
    /// Returns the number that represents the flavor in the header.
    pub(crate) fn number(self) -> u32 {
        match self {
            Flavor::Spsc => 1,
            Flavor::Mpmc => 2,
            Flavor::Broadcast => 3,
        }
    }

    pub(crate) fn from_number(number: u32) -> Option<Flavor> {
        let all = [Flavor::Spsc, Flavor::Mpmc, Flavor::Broadcast];
        all.into_iter().find(|flavor| flavor.number() == number)
    }

    /// Returns whether a channel of this kind can have `seats` seats.
    pub(crate) fn allows(self, seats: usize) -> bool {
        match self {
            Flavor::Spsc => seats == SPSC_SEATS,
            Flavor::Mpmc | Flavor::Broadcast => (2..=SEATS_MAX).contains(&seats),
        }
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flavor::Spsc => "an SPSC channel",
            Flavor::Mpmc => "an MPMC channel",
            Flavor::Broadcast => "a broadcast channel",
        })
    }
}
