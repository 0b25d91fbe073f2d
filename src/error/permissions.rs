//! Whom a segment or a set admits, for the errors of those that it does not.

use core::fmt;

use crate::sysv::process;

/// The owner, the group and the mode of a segment or a semaphore set.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permissions {
    /// "segment" or "set".
    pub object: &'static str,
    /// The owner's user id.
    pub uid: u32,
    /// The owner's group id.
    pub gid: u32,
    /// The permission bits, as in `chmod`.
    pub mode: u32,
}

impl Permissions {
    /// Returns whether the mode certainly admits the calling user, for everything.
    fn admits_this_user(self) -> bool {
        self.mode & 0o666 == 0o666 || self.uid == process::euid() && self.mode & 0o600 == 0o600
    }
}

/// With the mode in octal.
impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permissions")
            .field("object", &self.object)
            .field("uid", &self.uid)
            .field("gid", &self.gid)
            .field("mode", &format_args!("{:#o}", self.mode))
            .finish()
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may = |shift: u32| match self.mode >> shift & 0o6 {
            0o6 => "read and write",
            0o4 => "read only",
            0o2 => "write only",
            _ => "do nothing",
        };
        write!(
            f,
            "the mode {:04o} of its {} lets its owner, user {}, {}, group {} {}, and others {}",
            self.mode,
            self.object,
            self.uid,
            may(6),
            self.gid,
            may(3),
            may(0),
        )
    }
}

/// Writes why access was denied, and what to do about it. Removing is not a matter of the mode.
pub(super) fn explain(
    f: &mut fmt::Formatter<'_>,
    permissions: Option<Permissions>,
    is_removal: bool,
) -> fmt::Result {
    match permissions {
        None if is_removal => {
            f.write_str(": only its owner, its creator or root can remove it; ask the owner")
        }
        Some(Permissions { uid, .. }) if is_removal => write!(
            f,
            ": only its owner, user {uid}, its creator or root can remove it; ask that user"
        ),
        None => f.write_str(
            ": its mode does not grant this user access, or a security module refuses the call; ask \
             the owner to change the mode, or allow the call",
        ),
        Some(known) if known.admits_this_user() => {
            write!(f, ", although {known}: a security module refuses the call; allow it there")
        }
        Some(known) if known.uid == process::euid() => write!(
            f,
            ": {known}, which is this process; restore the mode, or remove the channel by `ipcrm`"
        ),
        Some(known) => {
            write!(f, ": {known}; this process is user {}; ask ", process::euid())?;
            write!(f, "user {} for another mode", known.uid)?;
            match known.mode & 0o060 {
                0o060 => write!(f, ", or join group {}", known.gid),
                _ => Ok(()),
            }
        }
    }
}
