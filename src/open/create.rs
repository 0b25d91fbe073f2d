//! With the lifecycle semaphore in hand and no users: build, or take over.

use std::time::Duration;

use super::{Finished, Looked, Opening, RETRY_DELAY, Stop, Try};
use crate::endpoint::attachment::Attachment;
use crate::liveness::{self, ChannelSemaphores};
use crate::options::Options;
use crate::segment::owner::Owner;
use crate::segment::{self, State};
use crate::sysv::key::PRIVATE;
use crate::sysv::sem::SetStat;
use crate::sysv::shm::{self, Access, Get, Mapping, Refused, SegmentStat};
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno, process};

/// So long is looked once more whether a segment whose set was taken away still has members: those that
/// sleep are told at once and leave, and observers look for less.
const LEAVING: Duration = Duration::from_millis(200);

/// The lifecycle semaphore in hand. Dropped, it goes back; and a set of this user, of a key under which
/// there is no segment of ours, goes away, for nothing else belongs to it.
pub(super) struct LifecycleLock {
    pub(super) members: ChannelSemaphores,
    /// `None`: a private channel, whose set stays whatever happens.
    pub(super) key: Option<i32>,
}

impl Drop for LifecycleLock {
    fn drop(&mut self) {
        let has_segment = |key| match shm::get(key, 0, Get::Existing) {
            Ok(id) => match shm::stat(id) {
                Ok(stat) => segment::is_marked(stat.raw_mode),
                // Whoever may not look must not decide; what is gone by now the next one finds so.
                Err(_) => true,
            },
            Err(errno) => errno != Errno::ENOENT,
        };
        // What is not done here, the next process of its owner that opens, or `reap`, does: another
        // user's set is not ours to remove, not even for root, but must not be held up either.
        let set = self.members.set;
        let is_own = || set.stat().is_ok_and(|stat| Owner::from(&stat).is_same(Owner::own()));
        let removed =
            self.key.is_some_and(|key| !has_segment(key) && is_own() && set.remove().is_ok());
        if !removed {
            let _ = self.members.unlock();
        }
    }
}

/// A private channel's set until there is a member to take it away.
struct PrivateSet(ChannelSemaphores);

impl Drop for PrivateSet {
    fn drop(&mut self) {
        // Gone already is fine.
        let _ = self.0.set.remove();
    }
}

/// A segment until it is a channel.
struct Unfinished(i32);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already is fine.
        let _ = shm::remove(self.0);
    }
}

impl Opening<'_> {
    /// A new channel without a key.
    pub(super) fn private(&self) -> Try<Attachment> {
        let seats = self.plan.geometry.seats;
        let members = ChannelSemaphores::new(self.make_set(PRIVATE, seats, self.options.mode)?);
        let set = PrivateSet(members);
        match members.try_exclusive() {
            Ok(true) => {}
            // Somebody reaps it.
            Ok(false) => return Err(Stop::Again),
            Err(errno) => return Err(self.stop("semop", errno)),
        }
        let alone = LifecycleLock { members, key: None };
        let built = self.build(&alone, PRIVATE)?;
        let channel = self.enter(alone, built)?;
        std::mem::forget(set);
        Ok(channel)
    }

    /// The channel of a key.
    pub(super) fn alone(&self, alone: LifecycleLock, key: i32) -> Try<Attachment> {
        let set = self.stat_of(&alone.members)?;
        let Some(Looked { stat, mapping, state }) = self.look_for(key)? else {
            if !self.may_create() {
                return Err(self.not_found());
            }
            self.must_be("set", &set, Owner::own())?;
            // Otherwise some dead creator's, of another kind; dropped, it goes.
            if set.semaphores as i32 != liveness::semaphores(self.plan.geometry.seats) {
                return Err(Stop::Again);
            }
            let built = self.build(&alone, key)?;
            let (members, id) = (alone.members, built.stat.id);
            let entered = self.enter(alone, built);
            if entered.is_err() {
                self.take_back(members, key, id);
            }
            return entered;
        };
        let State::Ready(mut facts) = state else {
            // Without magic, its creator died in the middle.
            self.must_be("segment", &stat, Owner::own())?;
            let removed = shm::remove(stat.id);
            removed.map_err(|errno| self.stop("shmctl(IPC_RMID)", errno))?;
            return Err(Stop::Again);
        };
        self.check(&facts)?;
        let set = self.hand_over(&alone.members, set, &stat)?;
        self.must_be_of_one(&stat, &set)?;
        if set.semaphores as i32 != liveness::semaphores(facts.geometry.seats) {
            // Without users, there is nothing in it to be lost.
            self.must_be("set", &set, Owner::own())?;
            let removed = alone.members.set.remove();
            removed.map_err(|errno| self.stop("semctl(IPC_RMID)", errno))?;
            return Err(Stop::Again);
        }
        if facts.set != set.id || self.nonce_of(&alone.members)? != facts.nonce {
            // The old set was taken away. Its members may not know that yet; without any, the
            // messages are still good.
            if !self.is_deserted(&mapping, facts.geometry.seats, stat.id)? {
                self.must_be("segment", &stat, Owner::own())?;
                let removed = shm::remove(stat.id);
                removed.map_err(|errno| self.stop("shmctl(IPC_RMID)", errno))?;
                segment::mark_removed(&mapping);
                return Err(Stop::Again);
            }
            let bound = alone.members.set_nonce(facts.nonce);
            bound.map_err(|errno| self.stop("semctl(SETVAL)", errno))?;
            segment::bind(&mapping, set.id, facts.nonce);
            facts.set = set.id;
        }
        self.enter(alone, Finished { stat, mapping, facts })
    }

    /// Gives a set that root made anew, and that is bound to no segment yet, to the owner of the
    /// segment that it is for, with group and mode of that.
    fn hand_over(
        &self,
        members: &ChannelSemaphores,
        set: SetStat,
        segment: &SegmentStat,
    ) -> Try<SetStat> {
        let mode = segment.mode | segment::MARK;
        let is_alike = (set.uid, set.gid, set.raw_mode & 0o777) == (segment.uid, segment.gid, mode);
        let is_ours = set.cuid == process::euid()
            && Owner::made_for(segment.uid).is_same(segment.into())
            && members.nonce() == Ok(0);
        if is_alike || !is_ours {
            return Ok(set);
        }
        match members.set.give(segment.uid, segment.gid, mode) {
            Ok(()) => self.stat_of(members),
            // Not that the set is gone: a user or a group has no number in this user namespace.
            Err(errno) if self.stat_of(members).is_ok() => {
                Err(self.call("semctl(IPC_SET)").error(errno).into())
            }
            Err(_) => Err(Stop::Again),
        }
    }

    /// Whether no member of a former set can be at work in a segment. A member signs the table before it
    /// works, and then makes sure of its set: one that is not in the table by now never works with that.
    /// One that is there may have died; then nobody but this process has the segment attached, apart
    /// from observers, for as long as one look takes, and from forked children.
    fn is_deserted(&self, mapping: &Mapping, seats: usize, id: i32) -> Try<bool> {
        let given_up = Deadline::after(LEAVING.min(self.options.timeout));
        loop {
            if !segment::has_members(mapping, seats) {
                return Ok(true);
            }
            let now = shm::stat(id).map_err(|errno| self.stop("shmctl(IPC_STAT)", errno))?;
            if now.attached == 1 {
                return Ok(true);
            }
            if given_up.is_some_and(|deadline| deadline.passed()) {
                return Ok(false);
            }
            std::thread::sleep(RETRY_DELAY);
        }
    }

    /// Removes what was built and could not be entered, if nobody else has done so meanwhile.
    fn take_back(&self, members: ChannelSemaphores, key: i32, id: i32) {
        if !matches!(members.try_exclusive(), Ok(true)) {
            return;
        }
        // Dropped, it removes the set of a segment that is gone.
        let _alone = LifecycleLock { members, key: Some(key) };
        if let Ok(Some(Looked { stat, mapping, .. })) = self.look_for(key)
            && stat.id == id
            && segment::is_untouched(&mapping)
        {
            // What cannot be done here `remove` does.
            let _ = shm::remove(stat.id);
        }
    }

    /// A new segment, finished. Whatever fails, it goes again.
    fn build(&self, alone: &LifecycleLock, key: i32) -> Try<Finished> {
        let Options { mode, huge_pages, lock_memory, .. } = *self.options;
        let total = self.plan.geometry.total;
        let how = Get::New { mode: mode | segment::MARK, huge: huge_pages };
        let id = shm::get(key, total, how).map_err(|errno| match errno {
            Errno::EEXIST => Stop::Again,
            errno => self.call("shmget").segment(errno, total, huge_pages).into(),
        })?;
        let unfinished = Unfinished(id);
        let taken_away = |errno| matches!(errno, Errno::EIDRM | Errno::EINVAL);
        let (mapping, stat) =
            Mapping::attach_known(id, Access::ReadWrite).map_err(|Refused { call, errno }| {
                if taken_away(errno) && shm::stat(id).is_err_and(taken_away) {
                    return Stop::Again;
                }
                self.call(call).segment(errno, total, huge_pages).into()
            })?;
        // It was taken away at once; then it goes by itself, or its identifier has come round, and it is
        // another one.
        let is_it = (stat.key, stat.size) == (key, total as u64);
        if !is_it || Owner::from(&stat) != Owner::own() {
            std::mem::forget(unfinished);
            return Err(Stop::Again);
        }
        let kernel =
            |call, result: sysv::Result<()>| result.map_err(|errno| self.stop(call, errno));
        if key == PRIVATE {
            // Attached, it stays until the last detach; others still find it by its identifier.
            kernel("shmctl(IPC_RMID)", shm::remove(id))?;
        }
        if lock_memory {
            shm::lock(id).map_err(|errno| self.call("shmctl(SHM_LOCK)").lock(errno, total))?;
        }
        let nonce = liveness::fresh_nonce();
        kernel("semctl(SETVAL)", alone.members.set_nonce(nonce))?;
        let set = alone.members.set.id();
        let facts = segment::initialise(&mapping, &self.plan, set, nonce);
        std::mem::forget(unfinished);
        Ok(Finished { stat, mapping, facts })
    }

    /// Gives the lifecycle semaphore back and sits down.
    pub(super) fn enter(&self, alone: LifecycleLock, found: Finished) -> Try<Attachment> {
        // The dead wait no more, and need no fences.
        // SAFETY: the segment is as large as its facts say.
        unsafe { segment::forget_waiters(&found.mapping, found.facts.geometry.seats) };
        let members = alone.members;
        let before = self.before(&members, &found)?;
        let joined = members.unlock_and_join(found.facts.flavor, self.side);
        let seat = joined.map_err(|errno| match errno {
            // Alone, nobody but a stranger could set one of these semaphores: look again.
            Errno::EAGAIN => Stop::Again,
            errno => self.stop("semop", errno),
        })?;
        std::mem::forget(alone);
        self.seated(members, seat, found, before)
    }
}
