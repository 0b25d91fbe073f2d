//! Semaphore sets.

use std::ptr;
use std::time::{Duration, SystemTime};

use super::guarded::with_room;
use super::time::Deadline;
use super::{Errno, Perm, Result, check, system_time};

// Part of the kernel's ABI, the same on every architecture; the libc crate has had them only
// recently.
const SEM_UNDO: i16 = 0x1000;
const IPC_INFO: libc::c_int = 3;
const GETPID: libc::c_int = 11;
const GETVAL: libc::c_int = 12;
const GETALL: libc::c_int = 13;
#[cfg(test)]
const GETNCNT: libc::c_int = 14;
const SETVAL: libc::c_int = 16;
const SEM_STAT: libc::c_int = 18;
const SEM_INFO: libc::c_int = 19;
const SEM_STAT_ANY: libc::c_int = 20;

/// One operation on one semaphore.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Op(libc::sembuf);

impl Op {
    /// Adds `n`. A negative `n` waits until the value is large enough.
    pub(crate) const fn add(sem: u16, n: i16) -> Op {
        Op(libc::sembuf { sem_num: sem, sem_op: n, sem_flg: 0 })
    }

    /// Waits until the value is 0.
    pub(crate) const fn zero(sem: u16) -> Op {
        Op::add(sem, 0)
    }

    /// Makes the kernel undo the operation when the process exits.
    pub(crate) const fn undo(mut self) -> Op {
        self.0.sem_flg |= SEM_UNDO;
        self
    }

    /// Makes the operation fail with `EAGAIN` instead of waiting.
    pub(crate) const fn nowait(mut self) -> Op {
        self.0.sem_flg |= libc::IPC_NOWAIT as i16;
        self
    }
}

/// How [`Set::get`] finds a set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SetLookup {
    /// It must exist.
    Existing,
    /// It must not exist. All its values start at 0.
    New { mode: u32 },
}

/// A semaphore set, by its identifier; it does not own it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    id: i32,
}

impl Set {
    /// Returns the set with this identifier, which need not exist.
    pub(crate) const fn from_id(id: i32) -> Set {
        Set { id }
    }

    /// Returns its identifier.
    pub(crate) const fn id(&self) -> i32 {
        self.id
    }

    /// Returns the set with this key, with at least `n` semaphores.
    pub(crate) fn get(key: i32, n: i32, how: SetLookup) -> Result<Set> {
        let flags = match how {
            SetLookup::Existing => 0,
            SetLookup::New { mode } => {
                libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777) as libc::c_int
            }
        };
        // SAFETY: takes and returns plain numbers.
        check(unsafe { libc::semget(key, n, flags) }).map(Set::from_id)
    }

    /// Returns the set with this key, of any size.
    pub(crate) fn lookup(key: i32) -> Result<Set> {
        Set::get(key, 0, SetLookup::Existing)
    }

    /// Performs all of the operations or none; waits without limit, through signals. glibc makes the
    /// system call `semtimedop` for it, which errors name, because filters refuse it by that name.
    pub(crate) fn op(&self, ops: &[Op]) -> Result<()> {
        loop {
            // SAFETY: the array has as many operations as stated, of the kernel's type; it only
            // reads them.
            let result = unsafe { libc::semop(self.id, ops.as_ptr().cast_mut().cast(), ops.len()) };
            match check(result) {
                Err(Errno::EINTR) => {}
                other => return other.map(drop),
            }
        }
    }

    /// Tries all of the operations once, waiting for at most this time: `EAGAIN` when that was not
    /// enough, `EINTR` after a signal, or a stop and its continuation.
    pub(crate) fn op_timeout(&self, ops: &[Op], at_most: Option<Duration>) -> Result<()> {
        let limit = at_most.map(|time| libc::timespec {
            // 68 years replace anything longer, which some kernels might be unable to add to the
            // current time.
            tv_sec: time.as_secs().min(i32::MAX as u64) as _,
            tv_nsec: time.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the array has as many operations as stated, and the limit outlives the call or is
        // null; the kernel only reads them.
        let result =
            unsafe { libc::syscall(libc::SYS_semtimedop, self.id, ops.as_ptr(), ops.len(), limit) };
        check(result as libc::c_int).map(drop)
    }

    /// Performs all of the operations or none; waits through signals until the deadline, then
    /// returns `EAGAIN`. It tries once even if the deadline has passed.
    pub(crate) fn op_until(&self, ops: &[Op], deadline: Option<Deadline>) -> Result<()> {
        let Some(deadline) = deadline else {
            return self.op(ops);
        };
        loop {
            let left = deadline.remaining();
            match self.op_timeout(ops, Some(left)) {
                // It would have waited, but no time is left.
                Err(Errno::EINTR) if left.is_zero() => return Err(Errno::EAGAIN),
                Err(Errno::EINTR) => {}
                other => return other,
            }
        }
    }

    /// Performs a command that takes a number or nothing.
    fn control(&self, sem: u16, command: libc::c_int, argument: i32) -> Result<i32> {
        // SAFETY: none of the commands passed here takes a pointer.
        check(unsafe { libc::semctl(self.id, sem.into(), command, libc::c_long::from(argument)) })
    }

    /// Returns the value of semaphore `n`.
    pub(crate) fn value(&self, n: u16) -> Result<i32> {
        self.control(n, GETVAL, 0)
    }

    /// Returns the process that last operated on semaphore `n`, including by exiting; 0 if there is
    /// none in this pid namespace.
    pub(crate) fn pid(&self, n: u16) -> Result<i32> {
        self.control(n, GETPID, 0)
    }

    /// Returns the number of threads that wait for semaphore `n` to grow.
    #[cfg(test)]
    pub(crate) fn waiting(&self, n: u16) -> Result<i32> {
        self.control(n, GETNCNT, 0)
    }

    /// Sets a value. The kernel discards the pending undo operations of all processes on this
    /// semaphore, so never use it where there are any.
    pub(crate) fn set_value(&self, n: u16, value: i32) -> Result<()> {
        self.control(n, SETVAL, value).map(drop)
    }

    /// Returns all values at one instant.
    pub(crate) fn values(&self) -> Result<Vec<u16>> {
        let count = self.stat()?.semaphores as usize;
        let mut values = vec![0u16; count.max(most_semaphores()?)];
        // SAFETY: there is room for the values of any set. The set itself never changes its size,
        // but it can be removed and its identifier given to a larger one, which any user can cause.
        check(unsafe { libc::semctl(self.id, 0, GETALL, values.as_mut_ptr()) })?;
        values.truncate(count);
        Ok(values)
    }

    /// The same without a heap buffer, for a set with as many semaphores as `values` has elements.
    /// Returns `EFAULT` if it has more: then it has been replaced by another set.
    pub(crate) fn values_into(&self, values: &mut [u16]) -> Result<()> {
        let (id, count) = (self.id, values.len());
        with_room(size_of_val(values), |place| {
            let place = place.cast::<u16>();
            // SAFETY: there is room for `count` values, followed by a page that the kernel cannot
            // write.
            unsafe {
                place.write_bytes(0, count);
                check(libc::semctl(id, 0, GETALL, place))?;
                values.as_mut_ptr().copy_from_nonoverlapping(place, count);
            }
            Ok(())
        })
    }

    /// Gives the set to a user and a group, with this mode. Its creator does not change.
    pub(crate) fn give(&self, uid: u32, gid: u32, mode: u32) -> Result<()> {
        let perm = Perm { uid, gid, mode: mode & 0o777, ..Perm::default() };
        let mut raw = Raw { perm, ..Raw::default() };
        // SAFETY: the kernel reads a `semid64_ds`, and uses its owner and mode.
        check(unsafe { libc::semctl(self.id, 0, libc::IPC_SET, &raw mut raw) }).map(drop)
    }

    /// Returns the kernel's facts about the set; needs read permission.
    pub(crate) fn stat(&self) -> Result<SetStat> {
        query(self.id, libc::IPC_STAT).map(|(_, raw)| describe(self.id, &raw))
    }

    /// Removes it at once: waiting threads get `EIDRM`.
    pub(crate) fn remove(&self) -> Result<()> {
        self.control(0, libc::IPC_RMID, 0).map(drop)
    }
}

/// The kernel's facts about a semaphore set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SetStat {
    /// The identifier, as `ipcs -s` shows it.
    pub id: i32,
    /// The key; 0 for private sets.
    pub key: i32,
    /// The owner's user id.
    pub uid: u32,
    /// The owner's group id.
    pub gid: u32,
    /// The creator's user id.
    pub cuid: u32,
    /// The creator's group id.
    pub cgid: u32,
    /// The permission bits, as in `chmod`.
    pub mode: u32,
    /// The mode with the kernel's own bits, unchanged.
    pub raw_mode: u32,
    /// The number of semaphores.
    pub semaphores: u32,
    /// When a semaphore was last operated on, to the second.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::sysv::seconds::serialize_option")
    )]
    pub operation_time: Option<SystemTime>,
    /// When it was created, its owner or mode was changed, or a value was set, to the second.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::sysv::seconds::serialize_option")
    )]
    pub change_time: Option<SystemTime>,
}

/// The kernel's `semid64_ds` of 64-bit machines.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Raw {
    perm: Perm,
    operation_time: i64,
    #[cfg(target_arch = "x86_64")]
    unused1: u64,
    change_time: i64,
    #[cfg(target_arch = "x86_64")]
    unused2: u64,
    semaphores: u64,
    unused: [u64; 2],
}

/// Returns the maximum number of semaphores of a set made now (SEMMSL).
fn most_semaphores() -> Result<usize> {
    let mut limits = Limits::default();
    // SAFETY: writes one `seminfo`.
    check(unsafe { libc::semctl(0, 0, IPC_INFO, &raw mut limits) })?;
    Ok(usize::try_from(limits.semmsl).unwrap_or(0))
}

/// The kernel's `seminfo`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Limits {
    before: [i32; 4],
    semmsl: i32,
    after: [i32; 5],
}

/// Returns the answer of a `semctl` command that fills a [`Raw`], or the smaller `seminfo`.
fn query(id: i32, command: libc::c_int) -> Result<(i32, Raw)> {
    let mut raw = Raw::default();
    // SAFETY: every command passed here writes at most a `semid64_ds`; any bytes are valid for it.
    let answer = check(unsafe { libc::semctl(id, 0, command, &raw mut raw) })?;
    Ok((answer, raw))
}

fn describe(id: i32, raw: &Raw) -> SetStat {
    let perm = &raw.perm;
    SetStat {
        id,
        key: perm.key,
        uid: perm.uid,
        gid: perm.gid,
        cuid: perm.cuid,
        cgid: perm.cgid,
        mode: perm.mode & 0o666,
        raw_mode: perm.mode,
        semaphores: raw.semaphores as u32,
        operation_time: system_time(raw.operation_time),
        change_time: system_time(raw.change_time),
    }
}

/// Returns all sets of this IPC namespace, except those that vanish meanwhile and, before Linux
/// 4.17, those that we may not read.
pub(crate) fn list() -> Result<Vec<SetStat>> {
    let (highest, _) = query(0, SEM_INFO)?;
    // A kernel without SEM_STAT_ANY and an index without a set give the same error.
    let look = |index| {
        query(index, SEM_STAT_ANY).or_else(|errno| match errno {
            Errno::EINVAL => query(index, SEM_STAT),
            _ => Err(errno),
        })
    };
    Ok((0..=highest)
        .filter_map(|index| look(index).ok())
        .map(|(id, raw)| describe(id, &raw))
        .collect())
}

#[cfg(test)]
mod tests;
