//! Building a channel, or taking over one without users, while holding the lifecycle semaphore.

use std::time::Duration;

use super::{Examined, Finished, Opening, RETRY_DELAY, Stop, Try};
use crate::doorbell::Bells;
use crate::endpoint::attachment::Attachment;
use crate::error::Error;
use crate::liveness::{self, ChannelSemaphores};
use crate::options::Options;
use crate::os_error::Object;
use crate::segment::owner::Owner;
use crate::segment::{self, Lifetime, State};
use crate::sysv::key::PRIVATE;
use crate::sysv::sem::SetStat;
use crate::sysv::shm::{self, Access, Mapping, Refused, SegmentLookup, SegmentStat};
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno, process};

/// Maximum time to wait until a segment whose set was removed by hand has no members: blocked
/// members are woken immediately and leave, and observers attach for less than this.
const LEAVING: Duration = Duration::from_millis(200);

/// A guard that holds the lifecycle semaphore. Dropping it releases the semaphore, or removes the
/// set if this open made it, or if the set belongs to this user and no segment of ours exists under
/// its key, because then nothing else belongs to it.
pub(super) struct LifecycleLock {
    pub(super) members: ChannelSemaphores,
    /// `None`: a private channel, whose set is never removed by this guard.
    pub(super) key: Option<i32>,
    /// This open made the set, and nothing needs it yet: a segment that is there was without a set
    /// before, and will be again.
    pub(super) is_new: bool,
}

impl Drop for LifecycleLock {
    fn drop(&mut self) {
        let has_segment = |key| match shm::get(key, 0, SegmentLookup::Existing) {
            Ok(id) => match shm::stat(id) {
                Ok(stat) if segment::is_marked(stat.raw_mode) => true,
                // A changed mode does not make it the segment of another program.
                Ok(_) => match Mapping::attach_known(id, Access::ReadOnly) {
                    Ok((mapping, stat)) => {
                        mapping.check_first_page().is_err() || segment::is_ours(&mapping, &stat)
                    }
                    Err(_) => true,
                },
                // A process that cannot inspect the segment must not decide; if the segment has
                // been removed, the next process finds out.
                Err(_) => true,
            },
            Err(errno) => errno != Errno::ENOENT,
        };
        // A set that is not removed here is removed by the next open of its owner, or by `reap`:
        // another user's set must not be removed, not even by root, but must not stay locked
        // either.
        let set = self.members.set;
        let is_own = || set.stat().is_ok_and(|stat| Owner::from(&stat).is_same(Owner::own()));
        let is_needless = |key| self.is_new || !has_segment(key) && is_own();
        let removed = self.key.is_some_and(|key| is_needless(key) && set.remove().is_ok());
        if !removed {
            let _ = self.members.unlock();
        }
    }
}

/// The set of a private channel that has no member yet; dropping it removes the set.
struct PrivateSet(ChannelSemaphores);

impl Drop for PrivateSet {
    fn drop(&mut self) {
        // It may have been removed already.
        let _ = self.0.set.remove();
    }
}

/// A segment that is not a channel yet; dropping it removes the segment.
struct Unfinished(i32);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It may have been removed already.
        let _ = shm::remove(self.0);
    }
}

impl Opening<'_> {
    /// Creates a channel without a key and joins it.
    pub(super) fn private(&self) -> Try<Attachment> {
        let seats = self.plan.geometry.seats;
        let members = ChannelSemaphores::new(self.make_set(
            PRIVATE,
            seats,
            self.options.mode_or_default(),
        )?);
        let set = PrivateSet(members);
        match members.try_exclusive() {
            Ok(true) => {}
            // Another process is reaping it.
            Ok(false) => return Err(Stop::Again),
            Err(errno) => return Err(self.stop_on(members.set, "semtimedop", errno)),
        }
        let alone = LifecycleLock { members, key: None, is_new: false };
        let built = self.build(&alone, PRIVATE)?;
        let channel = self.enter(alone, built)?;
        std::mem::forget(set);
        Ok(channel)
    }

    /// Takes over the channel of a key, or builds it if it does not exist, and joins it.
    pub(super) fn alone(&self, mut alone: LifecycleLock, key: i32) -> Try<Attachment> {
        let set = self.stat_of(&alone.members)?;
        let Some(Examined { stat, mapping, state }) = self.find_by_key(key)? else {
            if !self.may_create() {
                return Err(self.not_found());
            }
            self.must_be("set", &set, Owner::own())?;
            // Otherwise a dead creator left it, for a channel of another size or mode; the guard
            // removes it.
            let mode = self.options.mode_or_default() | segment::MARK;
            let size = liveness::semaphores(self.plan.geometry.seats);
            if (set.semaphores as i32, set.raw_mode & 0o777) != (size, mode) {
                return Err(Stop::Again);
            }
            self.must_be_kept()?;
            let built = self.build(&alone, key)?;
            // From here on, the segment goes first.
            alone.is_new = false;
            let (members, id) = (alone.members, built.stat.id);
            let entered = self.enter(alone, built);
            if entered.is_err() {
                self.take_back(members, key, id);
            }
            return entered;
        };
        let State::Ready(mut facts) = state else {
            // Without magic number: its creator died before it finished.
            self.must_be("segment", &stat, Owner::own())?;
            let removed = shm::remove(stat.id);
            removed.map_err(|errno| self.stop("shmctl(IPC_RMID)", errno))?;
            return Err(Stop::Again);
        };
        self.check(&facts, &stat)?;
        let set = self.hand_over(&alone.members, set, &stat)?;
        self.must_be_of_one(&stat, &set)?;
        self.check_mode(set.mode)?;
        if set.semaphores as i32 != liveness::semaphores(facts.geometry.seats) {
            // Without users, removing it loses nothing.
            self.must_be("set", &set, Owner::own())?;
            let removed = alone.members.set.remove();
            removed.map_err(|errno| self.stop("semctl(IPC_RMID)", errno))?;
            return Err(Stop::Again);
        }
        if facts.set != set.id || self.nonce_of(&alone.members)? != facts.nonce {
            // The old set was removed by hand. Its members may not have noticed yet; if there are
            // none, the messages are still valid.
            if !self.is_deserted(&mapping, facts.geometry.seats, stat.id)? {
                self.must_be("segment", &stat, Owner::own())?;
                let removed = shm::remove(stat.id);
                removed.map_err(|errno| self.stop("shmctl(IPC_RMID)", errno))?;
                segment::mark_removed(&mapping);
                return Err(Stop::Again);
            }
            let bound = alone.members.begin(facts.nonce);
            bound.map_err(|errno| self.stop_on(alone.members.set, "semctl(SETVAL)", errno))?;
            segment::bind(&mapping, set.id, facts.nonce);
            facts.set = set.id;
        }
        self.enter(alone, Finished { stat, mapping, facts: *facts, is_new: false })
    }

    /// Fails if the new channel is to be kept, and the kernel would remove it with its last member.
    fn must_be_kept(&self) -> Result<(), Error> {
        if self.plan.lifetime != Lifetime::Kept || shm::removal_is_forced() != Some(true) {
            return Ok(());
        }
        let reason = "kernel.shm_rmid_forced is 1, so the kernel would remove the channel and its \
                      messages with its last member; set it to 0 (`sysctl -w \
                      kernel.shm_rmid_forced=0`), or use Lifetime::LastMember";
        let channel = Some(self.channel.clone());
        Err(Error::InvalidOption { channel, option: "lifetime", reason: reason.into() })
    }

    /// Gives a set that root re-created, and that is not yet bound to a segment, to the owner of
    /// the segment for which it was created, with the group and mode of that segment.
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
            // The set still exists: the user or the group has no mapping in this user namespace.
            Err(errno) if self.stat_of(members).is_ok() => {
                Err(self.call("semctl(IPC_SET)").on(Object::Set(set.id)).error(errno).into())
            }
            Err(_) => Err(Stop::Again),
        }
    }

    /// Returns whether no member of a former set can still work in a segment. A member signs the
    /// table before it works, and then checks its set: a member that is not in the table by now
    /// never works with the former set. A member that is in the table may have died; then no
    /// process but this one has the segment attached, except observers, for the duration of one
    /// `stat`, and forked children.
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

    /// Removes a channel that was built and could not be joined, unless another process has removed
    /// or joined it in the meantime.
    fn take_back(&self, members: ChannelSemaphores, key: i32, id: i32) {
        let _alone = match members.try_exclusive() {
            // When dropped, it removes the set of a segment that no longer exists.
            Ok(true) => Some(LifecycleLock { members, key: Some(key), is_new: false }),
            // The set was removed by somebody who saw no segment yet.
            Err(Errno::EIDRM | Errno::EINVAL) => None,
            _ => return,
        };
        if let Ok(Some(Examined { stat, mapping, .. })) = self.find_by_key(key)
            && stat.id == id
            && segment::is_untouched(&mapping, self.plan.geometry.seats)
        {
            // If this fails, the user can still call `remove`.
            let _ = shm::remove(stat.id);
        }
    }

    /// Creates and initialises a segment. If a step fails, the segment is removed again.
    fn build(&self, alone: &LifecycleLock, key: i32) -> Try<Finished> {
        let Options { huge_pages, lock_memory, .. } = *self.options;
        let mode = self.options.mode_or_default();
        let total = self.plan.geometry.total;
        let how = SegmentLookup::New { mode: mode | segment::MARK, huge: huge_pages };
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
                let call = self.call(call).on(Object::Segment(id));
                call.segment(errno, total, huge_pages).into()
            })?;
        // Otherwise the segment was removed by hand right after its creation: it disappears with
        // its last detach, or its identifier was reused and this is another segment.
        let is_it = (stat.key, stat.size) == (key, total as u64);
        if !is_it || Owner::from(&stat) != Owner::own() {
            std::mem::forget(unfinished);
            return Err(Stop::Again);
        }
        let kernel =
            |call, result: sysv::Result<()>| result.map_err(|errno| self.stop(call, errno));
        if key == PRIVATE {
            // An attached segment exists until the last detach; others still find it by its
            // identifier.
            kernel("shmctl(IPC_RMID)", shm::remove(id))?;
        }
        if lock_memory {
            shm::lock(id).map_err(|errno| self.call("shmctl(SHM_LOCK)").lock(errno, total))?;
        }
        // Before the first access to the segment, and before another process can find the channel.
        self.populate_new(&mapping, total)?;
        let nonce = liveness::fresh_nonce();
        kernel("semctl(SETVAL)", alone.members.begin(nonce))?;
        let set = alone.members.set.id();
        let facts = segment::initialise(&mapping, &self.plan, set, nonce);
        std::mem::forget(unfinished);
        Ok(Finished { stat, mapping, facts, is_new: true })
    }

    /// Releases the lifecycle semaphore and takes a seat, in one step.
    pub(super) fn enter(&self, alone: LifecycleLock, found: Finished) -> Try<Attachment> {
        self.prepare(&found)?;
        // Dead members no longer wait, and no fences are needed for them.
        // SAFETY: the segment is as large as its facts state.
        unsafe { segment::forget_waiters(&found.mapping, found.facts.geometry.seats) };
        let members = alone.members;
        self.vacate_held(&members, &found)?;
        Bells::of(&found.mapping, found.facts.geometry.seats, members).unlink_dead();
        let before = self.before(&members, &found)?;
        let joined = members.unlock_and_join(
            found.facts.flavor,
            &self.order(&found),
            &before.incarnations,
            self.standing(),
        );
        let seated = joined.map_err(|errno| match errno {
            // This process is alone, so only a program that is not a member can have set one of
            // these semaphores: start again.
            Errno::EAGAIN => Stop::Again,
            errno => self.stop_on(members.set, "semtimedop", errno),
        })?;
        std::mem::forget(alone);
        self.seated(members, seated, found, before)
    }
}
