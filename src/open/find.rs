//! Finding the segment and the set of a channel that is to be opened, and whether they belong to the
//! right user.

use super::{Examined, Opening, Stop, Try};
use crate::admin::locate;
use crate::error::Error;
use crate::liveness::{self, ChannelSemaphores};
use crate::os_error::Object;
use crate::segment::owner::Owner;
use crate::segment::{self, State};
use crate::sysv::sem::{Set, SetLookup, SetStat};
use crate::sysv::shm::{self, Access, Mapping, Refused, SegmentLookup, SegmentStat};
use crate::sysv::{Errno, process};

impl Opening<'_> {
    /// Returns the set of a key, and whether this call made it. The set is created if this call may
    /// create the channel, or attaches to a segment whose set was removed by hand.
    pub(super) fn find_or_make_set(&self, key: i32) -> Try<(Set, bool)> {
        match Set::lookup(key) {
            Ok(set) => {
                let stat = set.stat().map_err(|errno| {
                    let owner = || Owner::of_set(set.id());
                    let foreign = self.foreign(errno, "set", owner);
                    foreign.unwrap_or_else(|| self.stop_on(set, "semctl(IPC_STAT)", errno))
                })?;
                self.check_owner("set", Owner::from(&stat))?;
                match locate::is_of_channel(&stat) {
                    true => Ok((set, false)),
                    false => Err(locate::foreign_set(&stat, &self.channel).into()),
                }
            }
            Err(Errno::ENOENT) => {
                // No set is created next to a segment that is not ours: examining that segment
                // fails.
                let (seats, mode) = match self.find_by_key(key)? {
                    Some(Examined { state: State::Ready(facts), stat, .. }) => {
                        self.check(&facts, &stat)?;
                        if !Owner::from(&stat).is_same(Owner::made_for(stat.uid)) {
                            let channel = self.channel.clone();
                            return Err(Error::SetRemoved { channel, owner: stat.uid }.into());
                        }
                        (facts.geometry.seats, stat.mode)
                    }
                    None if !self.may_create() => return Err(self.not_found()),
                    examined => {
                        if let Some(Examined { stat, .. }) = &examined {
                            self.must_be("segment", stat, Owner::own())?;
                        }
                        (self.plan.geometry.seats, self.options.mode_or_default())
                    }
                };
                Ok((self.make_set(key, seats, mode)?, true))
            }
            Err(errno) => Err(self.stop("semget", errno)),
        }
    }

    pub(super) fn make_set(&self, key: i32, seats: usize, mode: u32) -> Try<Set> {
        let n = liveness::semaphores(seats);
        let mode = mode | segment::MARK;
        Set::get(key, n, SetLookup::New { mode }).map_err(|errno| match errno {
            Errno::EEXIST => Stop::Again,
            errno => self.call("semget").set(errno, n).into(),
        })
    }

    pub(super) fn stat_of(&self, members: &ChannelSemaphores) -> Try<SetStat> {
        let set = members.set;
        set.stat().map_err(|errno| self.stop_on(set, "semctl(IPC_STAT)", errno))
    }

    pub(super) fn nonce_of(&self, members: &ChannelSemaphores) -> Try<u32> {
        members.nonce().map_err(|errno| self.stop_on(members.set, "semctl(GETVAL)", errno))
    }

    /// Checks that an object belongs to the user whose channel is to be opened.
    fn check_owner(&self, object: &'static str, owner: Owner) -> Result<(), Error> {
        match &self.options.address {
            Some(address) => locate::check_owner(address, object, owner, &self.channel),
            None => Ok(()),
        }
    }

    /// Returns the error for an object under the key of a name that could not be inspected because
    /// it belongs to another user.
    fn foreign(
        &self,
        errno: Errno,
        object: &'static str,
        owner: impl FnOnce() -> Option<Owner>,
    ) -> Option<Stop> {
        let address = self.options.address.as_ref()?;
        locate::foreign(errno, address, object, owner, &self.channel).map(Stop::Failed)
    }

    /// Fails unless an object has this owner: an object of another user is neither used for
    /// building nor removed.
    pub(super) fn must_be(
        &self,
        object: &'static str,
        found: impl Into<Owner>,
        expected: Owner,
    ) -> Result<(), Error> {
        match found.into() {
            found if found.is_same(expected) => Ok(()),
            found => Err(self.foreign_owner(object, found, process::euid())),
        }
    }

    /// Fails unless segment and set have the same owner.
    pub(super) fn must_be_of_one(&self, segment: &SegmentStat, set: &SetStat) -> Result<(), Error> {
        let (segment, set) = (Owner::from(segment), Owner::from(set));
        if segment.is_same(set) {
            return Ok(());
        }
        Err(match set.is_same(Owner::own()) {
            true => self.foreign_owner("segment", segment, process::euid()),
            false => self.foreign_owner("set", set, segment.user()),
        })
    }

    fn foreign_owner(&self, object: &'static str, found: Owner, expected: u32) -> Error {
        let channel = self.channel.clone();
        Error::ForeignOwner { channel, object, owner: found.besides(expected), expected }
    }

    /// Attaches and examines the segment of a key; `None` if it does not exist.
    pub(super) fn find_by_key(&self, key: i32) -> Try<Option<Examined>> {
        match shm::get(key, 0, SegmentLookup::Existing) {
            Ok(id) => self.examine(id, Some(key)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.stop("shmget", errno)),
        }
    }

    /// Attaches and examines a segment, found by this key; `None` if it was removed.
    pub(super) fn examine(&self, id: i32, key: Option<i32>) -> Try<Option<Examined>> {
        let (mapping, stat) = match Mapping::attach_known(id, Access::ReadWrite) {
            Ok(found) => found,
            Err(Refused { errno: Errno::EIDRM | Errno::EINVAL, .. }) => return Ok(None),
            Err(Refused { call, errno }) => {
                let foreign = self.foreign(errno, "segment", || Owner::of_segment(id));
                return Err(foreign.unwrap_or_else(|| {
                    let bytes = shm::stat(id).map_or(0, |stat| stat.size as usize);
                    self.call(call).on(Object::Segment(id)).segment(errno, bytes, false).into()
                }));
            }
        };
        // It has lost its key, or the identifier was reused before it was attached.
        if key.is_some_and(|key| key != stat.key) {
            return Err(Stop::Again);
        }
        self.check_owner("segment", Owner::from(&stat))?;
        let state = segment::examine(&mapping, &stat, &self.channel)?;
        Ok(Some(Examined { stat, mapping, state }))
    }
}
