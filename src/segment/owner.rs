//! Whose a segment or a set is, and whether that is the right user.
//!
//! A key is no secret: any user can compute that of a name, and can put a segment or a set of its own
//! there first. So a name is joined only where both objects are those of its user, and under any key
//! segment and set must be of one owner; that they also name each other is checked by who joins them.
//!
//! The owner of an object can give it to anybody (`IPC_SET`), while its creator never changes and
//! keeps all rights to it. So both count. Root can act for any user, and so is as good a creator as
//! that user: it makes sets anew, where they were taken away.

use crate::sysv::process;
use crate::sysv::sem;
use crate::sysv::sem::SetStat;
use crate::sysv::shm::{self, SegmentStat};

const ROOT: u32 = 0;

/// The users that have all rights to an object of the kernel, whatever its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    uid: u32,
    /// Its creator.
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
    /// Of what this process makes.
    pub(crate) fn own() -> Owner {
        let me = process::euid();
        Owner { uid: me, cuid: me }
    }

    /// Of what this process makes and gives to a user.
    pub(crate) fn made_for(uid: u32) -> Owner {
        Owner { uid, cuid: process::euid() }
    }

    /// Whose the object is.
    pub(crate) fn user(self) -> u32 {
        self.uid
    }

    /// Whether the object is this user's alone.
    pub(crate) fn is(self, user: u32) -> bool {
        self.uid == user && [user, ROOT].contains(&self.cuid) && process::is_a_user(user)
    }

    /// Whether the object is the calling user's.
    pub(crate) fn is_own(self) -> bool {
        self.is(process::euid())
    }

    /// Whether two objects are of one owner.
    pub(crate) fn is_same(self, other: Owner) -> bool {
        let by_its_user = |owner: Owner| [owner.uid, ROOT].contains(&owner.cuid);
        self == other || self.uid == other.uid && by_its_user(self) && by_its_user(other)
    }

    /// Who has rights to it besides this user, as far as one number tells.
    pub(crate) fn besides(self, user: u32) -> u32 {
        if self.uid == user { self.cuid } else { self.uid }
    }

    /// The owner of a segment that may not be read. `None`: there is none, or the kernel does not
    /// tell.
    pub(crate) fn of_segment(id: i32) -> Option<Owner> {
        shm::list().ok()?.iter().find(|stat| stat.id == id).map(Owner::from)
    }

    /// The owner of a set that may not be read.
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
        assert!(owner(7, ROOT).is(7), "root may act for anybody");
        assert!(!owner(7, 8).is(7), "given away: its creator keeps all rights");
        assert!(!owner(8, 7).is(7), "given away");
        assert!(!owner(8, 8).is(7) && !owner(ROOT, ROOT).is(7));
        assert!(!owner(ROOT, 7).is(ROOT) && owner(ROOT, ROOT).is(ROOT));
        assert_eq!((owner(8, 7).besides(7), owner(7, 8).besides(7)), (8, 8));
    }

    #[test]
    fn two_objects_are_of_one_owner() {
        assert!(owner(7, 7).is_same(owner(7, 7)) && owner(7, 8).is_same(owner(7, 8)));
        assert!(owner(7, 7).is_same(owner(7, ROOT)), "root made one of them anew");
        for other in [owner(8, 8), owner(8, 7), owner(7, 8), owner(ROOT, ROOT), owner(ROOT, 7)] {
            assert!(!owner(7, 7).is_same(other) && !other.is_same(owner(7, 7)), "{other:?}");
        }
        assert!(!owner(ROOT, ROOT).is_same(owner(ROOT, 7)), "made by another and given to root");
    }
}
