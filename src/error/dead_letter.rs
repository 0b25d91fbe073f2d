//! Why a message could not be moved to the dead-letter channel.

use core::fmt;

/// The reason why a message could not be moved to the dead-letter channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DeadLetterFailure {
    /// It is full. Receive its letters, or remove it and create it with a larger
    /// [`capacity`](crate::Options::capacity).
    Full,
    /// Its slots are too short for the message. Remove it and create it with the
    /// [`DeadLetter::slot_size`](crate::DeadLetter::slot_size) of this channel's messages.
    TooLong,
    /// It belongs to another user, or its mode excludes this user. Change its mode, or its name.
    PermissionDenied,
    /// It has no free seat. Create it with more [`max_members`](crate::Options::max_members).
    NoSeat,
    /// It cannot be opened or used, for another reason. Opening it with
    /// [`Options::named`](crate::Options::named) as an [`mpmc::Sender`](crate::mpmc::Sender) of
    /// [`DeadLetter`](crate::DeadLetter) returns the error.
    Unavailable,
}

const NUMBERS: [(DeadLetterFailure, u32); 5] = [
    (DeadLetterFailure::Full, 1),
    (DeadLetterFailure::TooLong, 2),
    (DeadLetterFailure::PermissionDenied, 3),
    (DeadLetterFailure::NoSeat, 4),
    (DeadLetterFailure::Unavailable, 5),
];

impl DeadLetterFailure {
    pub(crate) fn number(self) -> u32 {
        NUMBERS.iter().find(|(failure, _)| *failure == self).map_or(0, |&(_, number)| number)
    }

    pub(crate) fn from_number(number: u32) -> Option<DeadLetterFailure> {
        NUMBERS.iter().find(|(_, known)| *known == number).map(|&(failure, _)| failure)
    }
}

impl fmt::Display for DeadLetterFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeadLetterFailure::Full => "the dead-letter channel is full; receive its letters",
            DeadLetterFailure::TooLong => {
                "the slots of the dead-letter channel are too short; remove it and create it with \
                 DeadLetter::slot_size"
            }
            DeadLetterFailure::PermissionDenied => {
                "the dead-letter channel is not open to this user; change its mode"
            }
            DeadLetterFailure::NoSeat => {
                "the dead-letter channel has no free seat; create it with more max_members"
            }
            DeadLetterFailure::Unavailable => {
                "the dead-letter channel cannot be opened; open it by hand to see why"
            }
        })
    }
}
