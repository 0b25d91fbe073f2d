//! Joining a channel that has members, or waiting while another process builds or removes it.

use super::create::LifecycleLock;
use super::{Examined, Finished, Opening, Stop, Try};
use crate::admin::locate;
use crate::endpoint::attachment::Attachment;
use crate::error::Error;
use crate::liveness::{ChannelSemaphores, Joined, USERS};
use crate::segment::owner::Owner;
use crate::segment::{self, ChannelInfo, State};
use crate::sysv::Errno;
use crate::sysv::shm::{self, SegmentLookup};

impl Opening<'_> {
    pub(super) fn among(&self, members: ChannelSemaphores, key: i32) -> Try<Attachment> {
        match self.find_by_key(key)? {
            Some(Examined { stat, mapping, state: State::Ready(facts) }) => {
                self.check(&facts, &stat)?;
                let set = self.stat_of(&members)?;
                self.must_be_of_one(&stat, &set)?;
                self.check_mode(set.mode)?;
                let found = Finished { stat, mapping, facts: *facts, is_new: false };
                let nonce = self.nonce_of(&members)?;
                if !locate::belong_together(&found.stat, &found.facts, &set, nonce) {
                    return Err(self.mismatched(&members, &found));
                }
                self.join(members, found)
            }
            // Its creator or its remover is still working, or its remover died, or the segment was
            // removed by hand.
            _ => {
                self.wait_settled(&members)?;
                self.finish_removal(members, key)?;
                Err(Stop::Again)
            }
        }
    }

    /// Handles a segment that names another set than that of its key: waits while another process
    /// is rebinding it.
    fn mismatched(&self, members: &ChannelSemaphores, found: &Finished) -> Stop {
        let belong = || -> Try<bool> {
            self.wait_settled(members)?;
            let (set, nonce) = (self.stat_of(members)?, self.nonce_of(members)?);
            match segment::examine(&found.mapping, &found.stat, &self.channel)? {
                State::Ready(now) => Ok(locate::belong_together(&found.stat, &now, &set, nonce)),
                State::Incomplete => Ok(false),
            }
        };
        match belong() {
            // Checked last: without its set there is nothing to match.
            Ok(false) if members.set.value(USERS).is_ok_and(|users| users > 0) => {
                let what = "segment and semaphore set under this key do not match";
                Error::Corrupt { channel: self.channel.clone(), what }.into()
            }
            Ok(_) => Stop::Again,
            Err(stop) => stop,
        }
    }

    /// Handles a set with users but no segment to join while no process is working on it: the
    /// segment was removed by hand, or its remover died before it finished. Removing the set
    /// notifies its members.
    fn finish_removal(&self, members: ChannelSemaphores, key: i32) -> Try<()> {
        members.lock(self.deadline).map_err(|errno| self.busy(&members, errno))?;
        // When dropped, it removes a set without a segment.
        let _alone = LifecycleLock { members, key: Some(key), is_new: false };
        match self.find_by_key(key)? {
            // A set of another user must be removed by that user, or left by its members.
            None => {
                let set = self.stat_of(&members)?;
                Ok(self.must_be("set", &set, Owner::own())?)
            }
            // No process builds while there are members.
            Some(Examined { state: State::Incomplete, .. })
                if members.set.value(USERS).is_ok_and(|users| users > 0) =>
            {
                let what = "its magic number was overwritten";
                Err(Error::Corrupt { channel: self.channel.clone(), what }.into())
            }
            _ => Ok(()),
        }
    }

    /// Takes a seat in a channel that has members.
    pub(super) fn join(&self, members: ChannelSemaphores, found: Finished) -> Try<Attachment> {
        let channel = || self.channel.clone();
        self.prepare(&found)?;
        self.vacate(&members, &found)?;
        let before = self.before(&members, &found)?;
        let ChannelInfo { flavor, geometry, .. } = found.facts;
        let (order, standing) = (self.order(&found), self.standing());
        let last = &before.incarnations;
        let joined = members.join(flavor, geometry.seats, &order, last, standing, self.deadline);
        let seated = match joined {
            Ok(Joined::Seated(seated)) => seated,
            Ok(Joined::NotNow) => return Err(Stop::Again),
            Ok(Joined::Taken { pid }) => {
                let role = self.side.role();
                return Err(Error::SeatTaken { channel: channel(), role, pid }.into());
            }
            Ok(Joined::Full) => {
                return Err(Error::NoSeat { channel: channel(), seats: geometry.seats }.into());
            }
            Ok(Joined::Busy { pid }) => return Err(Error::Busy { channel: channel(), pid }.into()),
            Err(errno) => return Err(self.stop_on(members.set, "semtimedop", errno)),
        };
        // Another channel may have been built between examining this one and taking the seat.
        let same = match found.stat.key {
            0 => true,
            key => shm::get(key, 0, SegmentLookup::Existing) == Ok(found.stat.id),
        };
        if !same || members.nonce() != Ok(found.facts.nonce) {
            let _ = members.withdraw(flavor, seated);
            return Err(Stop::Again);
        }
        self.seated(members, seated, found, before)
    }

    fn wait_settled(&self, members: &ChannelSemaphores) -> Try<()> {
        members.settled(self.deadline).map_err(|errno| self.busy(members, errno))
    }

    pub(super) fn busy(&self, members: &ChannelSemaphores, errno: Errno) -> Stop {
        match errno {
            Errno::EAGAIN => {
                let channel = self.channel.clone();
                Error::Busy { channel, pid: members.builder() }.into()
            }
            errno => self.stop_on(members.set, "semtimedop", errno),
        }
    }
}
