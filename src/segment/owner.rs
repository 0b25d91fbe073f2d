//! The owner of a segment or a set, and whether it is the right user.
//!
//! A key is not a secret: any user can compute the key of a name, and can create a segment or a set
//! of its own under that key first. Therefore a name is joined only if both objects belong to the
//! user of the name, and under any key segment and set must have the same owner. That the two also
//! name each other is checked by the process that joins them.
//!
//! The owner of an object can give it to any other user (`IPC_SET`), while its creator never
//! changes and keeps all rights to it. Therefore both are checked. Root can act for any user, and
//! is thus as acceptable a creator as that user: it re-creates sets that were removed by hand.

use crate::sysv::process;
use crate::sysv::sem;
use crate::sysv::sem::SetStat;
use crate::sysv::shm::{self, SegmentStat};

const ROOT: u32 = 0;

/// The two users that have all rights to a segment or set, whatever its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    uid: u32,
    /// The user that created it.
    cuid: u32,
}

impl From<&SegmentStat> for Owner {
    fn from(stat: &SegmentStat) -> Owner {
        Owner { uid: stat.uid, cuid: stat.cuid }
    }
}

impl From<&SetStat> for Owner {
    fn from(stat: &SetStat) -> Owner {
        Owner { uid: stat.uid, cuid: stat.cuid }
    }
}

impl Owner {
    /// Returns the owner of an object that this process creates.
    pub(crate) fn own() -> Owner {
        let me = process::euid();
        Owner { uid: me, cuid: me }
    }

    /// Returns the owner of an object that this process creates and then gives to a user.
    pub(crate) fn made_for(uid: u32) -> Owner {
        Owner { uid, cuid: process::euid() }
    }

    /// Returns the user that owns the object.
    pub(crate) fn user(self) -> u32 {
        self.uid
    }

    /// Returns whether the object belongs to this user only.
    pub(crate) fn is(self, user: u32) -> bool {
        self.uid == user && [user, ROOT].contains(&self.cuid) && process::is_a_user(user)
    }

    /// Returns whether the object belongs to the calling user only.
    pub(crate) fn is_own(self) -> bool {
        self.is(process::euid())
    }

    /// Returns whether two objects have the same owner.
    pub(crate) fn is_same(self, other: Owner) -> bool {
        let by_its_user = |owner: Owner| [owner.uid, ROOT].contains(&owner.cuid);
        self == other || self.uid == other.uid && by_its_user(self) && by_its_user(other)
    }

    /// Returns another user that has rights to the object in addition to this one; if both owner
    /// and creator are others, the owner.
    pub(crate) fn besides(self, user: u32) -> u32 {
        if self.uid == user { self.cuid } else { self.uid }
    }

    /// Returns the owner of a segment without read permission for it. `None`: the segment does not
    /// exist, or the kernel does not report it.
    pub(crate) fn of_segment(id: i32) -> Option<Owner> {
        shm::list().ok()?.iter().find(|stat| stat.id == id).map(Owner::from)
    }

    /// Returns the owner of a set without read permission for it.
    pub(crate) fn of_set(id: i32) -> Option<Owner> {
        sem::list().ok()?.iter().find(|stat| stat.id == id).map(Owner::from)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const fn owner(uid: u32, cuid: u32) -> Owner {
        Owner { uid, cuid }
    }

    #[test]
    fn what_others_made_or_were_given_is_not_a_users() {
        assert!(owner(7, 7).is(7));
        assert!(owner(7, ROOT).is(7), "root can act for any user");
        assert!(!owner(7, 8).is(7), "given away: its creator keeps all rights");
        assert!(!owner(8, 7).is(7), "given away");
        assert!(!owner(8, 8).is(7) && !owner(ROOT, ROOT).is(7));
        assert!(!owner(ROOT, 7).is(ROOT) && owner(ROOT, ROOT).is(ROOT));
        assert_eq!((owner(8, 7).besides(7), owner(7, 8).besides(7)), (8, 8));
    }

    #[test]
    fn two_objects_are_of_one_owner() {
        assert!(owner(7, 7).is_same(owner(7, 7)) && owner(7, 8).is_same(owner(7, 8)));
        assert!(owner(7, 7).is_same(owner(7, ROOT)), "root re-created one of them");
        for other in [owner(8, 8), owner(8, 7), owner(7, 8), owner(ROOT, ROOT), owner(ROOT, 7)] {
            assert!(!owner(7, 7).is_same(other) && !other.is_same(owner(7, 7)), "{other:?}");
        }
        assert!(
            !owner(ROOT, ROOT).is_same(owner(ROOT, 7)),
            "created by another user and given to root"
        );
    }
}
