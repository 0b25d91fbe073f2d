//! Why a channel is seen without its set.

use core::fmt;
use std::io;

/// Why a [`Stat`](crate::Stat) has no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "kind", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MissingSet {
    /// It was removed by hand. The next open by the owner of the channel creates it again, and keeps
    /// the messages.
    Removed,
    /// It belongs to another user than the segment: the owner of one of them was changed. Give it
    /// back, or remove both.
    OtherOwner {
        /// The identifier of the set, as `ipcs -s` shows it.
        id: i32,
        /// The owner of the set.
        uid: u32,
    },
    /// The calling user may not read it, or a sandbox refused the call: nothing is known about it.
    Unreadable {
        /// The call that failed.
        call: &'static str,
        /// Its `errno`: `EACCES` if the mode of the set is the reason.
        errno: i32,
    },
}

impl fmt::Display for MissingSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MissingSet::Removed => f.write_str("removed"),
            MissingSet::OtherOwner { id, uid } => {
                write!(f, "id {id}, of user {uid}, who does not own the segment")
            }
            MissingSet::Unreadable { call, errno } => {
                write!(f, "not read: {call} failed: {}", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sysv::Errno;

    #[test]
    fn each_reason_is_told() {
        assert_eq!(MissingSet::Removed.to_string(), "removed");
        let other = MissingSet::OtherOwner { id: 7, uid: 65_534 };
        assert_eq!(other.to_string(), "id 7, of user 65534, who does not own the segment");
        let hidden = MissingSet::Unreadable { call: "semctl(GETVAL)", errno: Errno::EPERM.0 };
        let text = hidden.to_string();
        assert!(text.starts_with("not read: semctl(GETVAL) failed: Operation not"), "{text}");
    }
}
