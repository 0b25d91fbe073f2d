//! The channel has members, or somebody is building or removing it: join, or wait.

use super::alone::Alone;
use super::{Finished, Looked, Opening, Stop, Try};
use crate::error::{Error, Fault};
use crate::members::{Joined, Members, USERS};
use crate::membership::Membership;
use crate::segment::{self, Facts, State};
use crate::sysv::Errno;
use crate::sysv::shm::{self, Get};

impl Opening<'_> {
    pub(super) fn among(&self, members: Members, key: i32) -> Try<Membership> {
        match self.look_for(key)? {
            Some(Looked { stat, mapping, state: State::Ready(facts) }) => {
                self.check(&facts)?;
                let found = Finished { stat, mapping, facts };
                let facts = &found.facts;
                if facts.set != members.set.id()
                    || self.nonce(&members)? != facts.nonce
                    || !self.fits(&members, facts.geometry.seats)?
                {
                    return Err(self.mismatched(&members, &found));
                }
                self.join(members, found)
            }
            // Its creator is at it; or its remover is, or died; or the segment was taken away.
            _ => {
                self.wait_settled(&members)?;
                self.finish_removal(members, key)?;
                Err(Stop::Again)
            }
        }
    }

    /// The segment of the key names another set. While somebody puts that right, wait for them.
    fn mismatched(&self, members: &Members, found: &Finished) -> Stop {
        if let Err(stop) = self.wait_settled(members) {
            return stop;
        }
        let bound = segment::binding(&found.mapping);
        match (members.set.value(USERS), members.nonce()) {
            (Ok(users), Ok(nonce)) if users > 0 && bound != (members.set.id(), nonce) => {
                Error::Fault(Fault::Corrupt {
                    what: "the segment and the set of its key do not belong together",
                })
                .into()
            }
            _ => Stop::Again,
        }
    }

    /// A set with users and no segment to join, when nobody is at work on it: the segment was taken
    /// away by hand, or its remover died in the middle. Removing the set tells its members.
    fn finish_removal(&self, members: Members, key: i32) -> Try<()> {
        members.lock(self.deadline).map_err(|errno| self.busy(&members, errno))?;
        // Dropped, it removes a set that no segment belongs to.
        let _alone = Alone { members, key: Some(key) };
        match self.look_for(key)? {
            // Nobody builds where there are members.
            Some(Looked { state: State::HalfMade, .. })
                if members.set.value(USERS).is_ok_and(|users| users > 0) =>
            {
                Err(Error::Fault(Fault::Corrupt { what: "its magic is gone" }).into())
            }
            _ => Ok(()),
        }
    }

    /// Takes a seat among others.
    pub(super) fn join(&self, members: Members, found: Finished) -> Try<Membership> {
        let channel = || self.channel.clone();
        let unmet = self.unmet(&members, &found)?;
        let Facts { flavor, geometry, .. } = found.facts;
        let seat = match members.join(flavor, geometry.seats, self.side, self.deadline) {
            Ok(Joined::Seated(seat)) => seat,
            Ok(Joined::NotNow) => return Err(Stop::Again),
            Ok(Joined::Taken { pid }) => {
                let role = self.side.role();
                return Err(Error::SeatTaken { channel: channel(), role, pid }.into());
            }
            Ok(Joined::Full) => {
                return Err(Error::NoSeat { channel: channel(), seats: geometry.seats }.into());
            }
            Ok(Joined::Busy { pid }) => return Err(Error::Busy { channel: channel(), pid }.into()),
            Err(errno) => return Err(self.stop("semop", errno)),
        };
        // Between the look and the seat another one may have been built.
        let same = match found.stat.key {
            0 => true,
            key => shm::get(key, 0, Get::Existing) == Ok(found.stat.id),
        };
        if !same || members.nonce() != Ok(found.facts.nonce) {
            let _ = members.leave(flavor, seat);
            return Err(Stop::Again);
        }
        self.seated(members, seat, found, unmet)
    }

    fn wait_settled(&self, members: &Members) -> Try<()> {
        members.settled(self.deadline).map_err(|errno| self.busy(members, errno))
    }

    fn busy(&self, members: &Members, errno: Errno) -> Stop {
        match errno {
            Errno::EAGAIN => {
                let channel = self.channel.clone();
                Error::Busy { channel, pid: members.builder().unwrap_or(0) }.into()
            }
            errno => self.stop("semtimedop", errno),
        }
    }
}
