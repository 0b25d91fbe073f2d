//! What happens to a message that was delivered and not acknowledged.

use core::fmt;

/// The policy for a message that was delivered and not acknowledged, because its receiver died,
/// returned it, or dropped its guard.
///
/// Every delivery counts: a receiver that dies with several messages in flight was delivered each
/// of them. A delivery is counted when it begins. So a receiver that holds many unacknowledged
/// messages should be used without a limit, or with a generous one: if it is killed often, all its
/// messages reach the limit, not only the one that kills it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "policy", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Redelivery {
    /// It is delivered again until a receiver acknowledges or rejects it. Nothing is lost.
    #[default]
    Unlimited,
    /// It is delivered at most this many times (1 to 15), then moved to the channel that
    /// [`Options::dead_letters`](crate::Options::dead_letters) names. Nothing is lost.
    DeadLetter {
        /// The number of deliveries.
        after: u8,
    },
    /// It is delivered at most this many times (1 to 15), then discarded: it is lost, and counted in
    /// [`Stat::poisoned`](crate::Stat::poisoned).
    Discard {
        /// The number of deliveries.
        after: u8,
    },
    /// It is dropped, and counted in [`Stat::dropped`](crate::Stat::dropped): no message is ever
    /// delivered twice.
    Never,
}

/// The largest limit of deliveries. Above it, a slot's state does not count exactly.
const LIMIT_MAX: u8 = 15;

impl fmt::Display for Redelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Redelivery::Unlimited => f.write_str("unlimited"),
            Redelivery::DeadLetter { after } => {
                write!(f, "moved to the dead letters after {after} deliveries")
            }
            Redelivery::Discard { after } => write!(f, "discarded after {after} deliveries"),
            Redelivery::Never => f.write_str("never"),
        }
    }
}

impl Redelivery {
    /// Returns the numbers in the header: the kind and the limit.
    pub(super) fn numbers(self) -> (u32, u32) {
        match self {
            Redelivery::Unlimited => (1, 0),
            Redelivery::Never => (2, 1),
            Redelivery::Discard { after } => (3, after.into()),
            Redelivery::DeadLetter { after } => (4, after.into()),
        }
    }

    pub(super) fn from_numbers(kind: u32, limit: u32) -> Option<Redelivery> {
        let after = u8::try_from(limit).ok()?;
        let policy = match kind {
            1 => Redelivery::Unlimited,
            2 => Redelivery::Never,
            3 => Redelivery::Discard { after },
            4 => Redelivery::DeadLetter { after },
            _ => return None,
        };
        (policy.numbers() == (kind, limit) && policy.is_possible()).then_some(policy)
    }

    /// Returns how often a message may be delivered; `None` without a limit.
    pub(crate) fn limit(self) -> Option<u8> {
        match self {
            Redelivery::Unlimited => None,
            Redelivery::Discard { after } | Redelivery::DeadLetter { after } => Some(after),
            Redelivery::Never => Some(1),
        }
    }

    /// Returns whether a slot's state can count up to the limit.
    pub(crate) fn is_possible(self) -> bool {
        self.limit().is_none_or(|limit| (1..=LIMIT_MAX).contains(&limit))
    }
}
