//! With the lifecycle semaphore in hand and no users: build, or take over.

use super::{Finished, Looked, Opening, Stop, Try};
use crate::members::{self, Members};
use crate::membership::Membership;
use crate::options::Options;
use crate::segment::{self, State};
use crate::sysv::key::PRIVATE;
use crate::sysv::shm::{self, Access, Get, Mapping};
use crate::sysv::{self, Errno};

/// The lifecycle semaphore in hand. Dropped, it goes back; and the set of a key under which there is
/// no segment of ours goes away, for nothing else belongs to it.
pub(super) struct Alone {
    pub(super) members: Members,
    /// `None`: a private channel, whose set stays whatever happens.
    pub(super) key: Option<i32>,
}

impl Drop for Alone {
    fn drop(&mut self) {
        let has_segment = |key| match shm::get(key, 0, Get::Existing) {
            Ok(id) => match shm::stat(id) {
                Ok(stat) => segment::is_marked(stat.raw_mode),
                // Whoever may not look must not decide; what is gone by now the next one finds so.
                Err(_) => true,
            },
            Err(errno) => errno != Errno::ENOENT,
        };
        // What cannot be done here, the next one who opens, or `reap`, does: another user's set is
        // not ours to remove, but must not be held up either.
        let removed =
            self.key.is_some_and(|key| !has_segment(key) && self.members.set.remove().is_ok());
        if !removed {
            let _ = self.members.unlock();
        }
    }
}

/// A private channel's set until there is a member to take it away.
struct PrivateSet(Members);

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
    pub(super) fn private(&self) -> Try<Membership> {
        let members = Members::new(self.make_set(PRIVATE, self.plan.geometry.seats)?);
        let set = PrivateSet(members);
        match members.try_exclusive() {
            Ok(true) => {}
            // Somebody reaps it.
            Ok(false) => return Err(Stop::Again),
            Err(errno) => return Err(self.stop("semop", errno)),
        }
        let alone = Alone { members, key: None };
        let built = self.build(&alone, PRIVATE)?;
        let channel = self.enter(alone, built)?;
        std::mem::forget(set);
        Ok(channel)
    }

    /// The channel of a key.
    pub(super) fn alone(&self, alone: Alone, key: i32) -> Try<Membership> {
        let Some(Looked { stat, mapping, state }) = self.look_for(key)? else {
            if !self.may_create() {
                return Err(self.not_found());
            }
            // Otherwise some dead creator's, of another kind; dropped, it goes.
            if !self.fits(&alone.members, self.plan.geometry.seats)? {
                return Err(Stop::Again);
            }
            let built = self.build(&alone, key)?;
            let members = alone.members;
            let entered = self.enter(alone, built);
            if entered.is_err() {
                self.take_back(members, key);
            }
            return entered;
        };
        let remove = || match shm::remove(stat.id) {
            Ok(()) => Stop::Again,
            Err(errno) => self.stop("shmctl(IPC_RMID)", errno),
        };
        // Without magic, its creator died in the middle.
        let State::Ready(facts) = state else { return Err(remove()) };
        self.check(&facts)?;
        if !self.fits(&alone.members, facts.geometry.seats)? {
            // Without users, there is nothing in it to be lost.
            let removed = alone.members.set.remove();
            removed.map_err(|errno| self.stop("semctl(IPC_RMID)", errno))?;
            return Err(Stop::Again);
        }
        if facts.set != alone.members.set.id() || self.nonce(&alone.members)? != facts.nonce {
            // The old set was taken away. Its members may not know that yet; without any, the
            // messages are still good.
            let now = shm::stat(stat.id).map_err(|errno| self.stop("shmctl(IPC_STAT)", errno))?;
            if now.attached != 1 {
                let stop = remove();
                segment::doom(&mapping);
                return Err(stop);
            }
            let bound = alone.members.set_nonce(facts.nonce);
            bound.map_err(|errno| self.stop("semctl(SETVAL)", errno))?;
            segment::bind(&mapping, alone.members.set.id(), facts.nonce);
        }
        self.enter(alone, Finished { stat, mapping, facts })
    }

    /// Removes what was built and could not be entered, if nobody else has done so meanwhile.
    fn take_back(&self, members: Members, key: i32) {
        if !matches!(members.try_exclusive(), Ok(true)) {
            return;
        }
        // Dropped, it removes the set of a segment that is gone.
        let _alone = Alone { members, key: Some(key) };
        if let Ok(Some(Looked { stat, mapping, .. })) = self.look_for(key)
            && segment::is_untouched(&mapping)
        {
            // What cannot be done here `remove` does.
            let _ = shm::remove(stat.id);
        }
    }

    /// A new segment, finished. Whatever fails, it goes again.
    fn build(&self, alone: &Alone, key: i32) -> Try<Finished> {
        let Options { mode, huge_pages, lock_memory, .. } = *self.options;
        let total = self.plan.geometry.total;
        let how = Get::New { mode: mode | segment::MARK, huge: huge_pages };
        let id = shm::get(key, total, how).map_err(|errno| match errno {
            Errno::EEXIST => Stop::Again,
            errno => self.call("shmget").segment(errno, total, huge_pages).into(),
        })?;
        let unfinished = Unfinished(id);
        let taken_away = |errno| matches!(errno, Errno::EIDRM | Errno::EINVAL);
        let mapping = Mapping::attach(id, Access::ReadWrite).map_err(|errno| {
            if taken_away(errno) && shm::stat(id).is_err_and(taken_away) {
                return Stop::Again;
            }
            self.call("shmat").segment(errno, total, huge_pages).into()
        })?;
        let kernel =
            |call, result: sysv::Result<()>| result.map_err(|errno| self.stop(call, errno));
        if key == PRIVATE {
            // Attached, it stays until the last detach; others still find it by its identifier.
            kernel("shmctl(IPC_RMID)", shm::remove(id))?;
        }
        if lock_memory {
            shm::lock(id).map_err(|errno| self.call("shmctl(SHM_LOCK)").lock(errno, total))?;
        }
        let nonce = members::fresh_nonce();
        kernel("semctl(SETVAL)", alone.members.set_nonce(nonce))?;
        segment::initialise(&mapping, &self.plan, alone.members.set.id(), nonce);
        let stat = shm::stat(id).map_err(|errno| self.stop("shmctl(IPC_STAT)", errno))?;
        match segment::examine(&mapping, &stat, &self.channel)? {
            State::Ready(facts) => {
                std::mem::forget(unfinished);
                Ok(Finished { stat, mapping, facts })
            }
            State::HalfMade => Err(Stop::Again),
        }
    }

    /// Gives the lifecycle semaphore back and sits down.
    pub(super) fn enter(&self, alone: Alone, found: Finished) -> Try<Membership> {
        // The dead wait no more, and need no fences.
        // SAFETY: the segment is as large as its facts say.
        unsafe { segment::forget_waiters(&found.mapping, found.facts.geometry.seats) };
        let members = alone.members;
        let unmet = self.unmet(&members, &found)?;
        let joined = members.unlock_and_join(found.facts.flavor, self.side);
        let seat = joined.map_err(|errno| match errno {
            // Alone, nobody but a stranger could set one of these semaphores: look again.
            Errno::EAGAIN => Stop::Again,
            errno => self.stop("semop", errno),
        })?;
        std::mem::forget(alone);
        self.seated(members, seat, found, unmet)
    }
}
