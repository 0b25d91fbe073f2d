//! Senders and receivers.

/// The two sides of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Senders,
    Receivers,
}

impl Side {
    /// What a member of this side is called.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Side::Senders => "sender",
            Side::Receivers => "receiver",
        }
    }

    /// As a line of the members' table has it.
    pub(crate) fn role_number(self) -> u32 {
        match self {
            Side::Senders => 1,
            Side::Receivers => 2,
        }
    }

    /// The side of such a number.
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
