//! The two sides of a channel.

/// A side of a channel: its senders or its receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Senders,
    Receivers,
}

impl Side {
    /// Returns the name of a member of this side, for error texts.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Side::Senders => "sender",
            Side::Receivers => "receiver",
        }
    }

    /// Returns the number that represents the side in the members' table.
    pub(crate) fn role_number(self) -> u32 {
        match self {
            Side::Senders => 1,
            Side::Receivers => 2,
        }
    }

    /// Returns the side that a number in the members' table represents.
    pub(crate) fn from_role_number(number: u32) -> Option<Side> {
        [Side::Senders, Side::Receivers].into_iter().find(|side| side.role_number() == number)
    }

    pub(crate) fn other(self) -> Side {
        match self {
            Side::Senders => Side::Receivers,
            Side::Receivers => Side::Senders,
        }
    }
}
