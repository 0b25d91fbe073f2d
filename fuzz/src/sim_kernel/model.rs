//! System V IPC for one thread, which never has to wait for another one.
//!
//! A segment is a heap block of exactly its size, so that AddressSanitizer detects every access
//! past its end. A call that would block times out at once.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::sets::Set;

/// An errno.
pub(super) type Errno = i32;

/// The kernel's mark of a segment that is removed at its last detachment.
const DEST: u32 = 0o1000;
const PAGE: usize = 4096;

/// All objects, by identifier.
#[derive(Debug, Default)]
pub(super) struct Model {
    segments: BTreeMap<i32, Segment>,
    sets: BTreeMap<i32, Set>,
    last_id: i32,
}

#[derive(Debug)]
struct Segment {
    key: i32,
    mode: u32,
    len: usize,
    base: *mut u8,
    attached: u64,
    was_attached: bool,
    was_detached: bool,
}

impl Segment {
    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, PAGE).expect("less than half of all memory")
    }

    fn new(key: i32, mode: u32, len: usize) -> Segment {
        let layout = Segment::layout(len);
        // SAFETY: the size is not zero; `shmget` has checked it.
        let base = unsafe { alloc_zeroed(layout) };
        if base.is_null() {
            handle_alloc_error(layout);
        }
        Segment { key, mode, len, base, attached: 0, was_attached: false, was_detached: false }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and not attached any more.
        unsafe { dealloc(self.base, Segment::layout(self.len)) };
    }
}

/// Returns the PID of this process, which does not fork.
pub(super) fn pid() -> i32 {
    static PID: LazyLock<i32> = LazyLock::new(|| {
        // SAFETY: takes nothing and cannot fail. `getpid` would be simulated.
        unsafe { libc::syscall(libc::SYS_getpid) as i32 }
    });
    *PID
}

/// Does what `shmget` and `semget` have in common: returns the object of a key, or makes one.
fn get<T>(
    objects: &mut BTreeMap<i32, T>,
    last_id: &mut i32,
    (key, key_of): (i32, fn(&T) -> i32),
    flags: i32,
    suffices: impl Fn(&T) -> bool,
    make: impl FnOnce() -> Result<T, Errno>,
) -> Result<i32, Errno> {
    let found =
        objects.iter().find(|(_, object)| key != libc::IPC_PRIVATE && key_of(object) == key);
    if let Some((id, object)) = found {
        return match flags & libc::IPC_CREAT != 0 && flags & libc::IPC_EXCL != 0 {
            true => Err(libc::EEXIST),
            false if !suffices(object) => Err(libc::EINVAL),
            false => Ok(*id),
        };
    }
    if key != libc::IPC_PRIVATE && flags & libc::IPC_CREAT == 0 {
        return Err(libc::ENOENT);
    }
    let object = make()?;
    *last_id += 1;
    objects.insert(*last_id, object);
    Ok(*last_id)
}

fn at_index<T>(objects: &BTreeMap<i32, T>, index: i32) -> Result<i32, Errno> {
    let index = usize::try_from(index).map_err(|_| libc::EINVAL)?;
    objects.keys().nth(index).copied().ok_or(libc::EINVAL)
}

fn highest_index<T>(objects: &BTreeMap<i32, T>) -> i32 {
    (objects.len() as i32 - 1).max(0)
}

impl Model {
    pub(super) fn shmget(&mut self, key: i32, len: usize, flags: i32) -> Result<i32, Errno> {
        let make = || match len {
            0 => Err(libc::EINVAL),
            _ => Ok(Segment::new(key, flags as u32 & 0o777, len)),
        };
        let (objects, last) = (&mut self.segments, &mut self.last_id);
        get(objects, last, (key, |segment| segment.key), flags, |segment| len <= segment.len, make)
    }

    pub(super) fn shmat(&mut self, id: i32) -> Result<*mut u8, Errno> {
        let segment = self.segments.get_mut(&id).ok_or(libc::EINVAL)?;
        segment.attached += 1;
        segment.was_attached = true;
        Ok(segment.base)
    }

    pub(super) fn shmdt(&mut self, base: *const u8) -> Result<i32, Errno> {
        let mut segments = self.segments.iter_mut();
        let found = segments.find(|(_, segment)| segment.base.cast_const() == base);
        let (id, segment) = found.filter(|(_, s)| s.attached > 0).ok_or(libc::EINVAL)?;
        segment.attached -= 1;
        segment.was_detached = true;
        if segment.attached == 0 && segment.mode & DEST != 0 {
            let id = *id;
            self.segments.remove(&id);
        }
        Ok(0)
    }

    pub(super) fn shm_remove(&mut self, id: i32) -> Result<i32, Errno> {
        let segment = self.segments.get_mut(&id).ok_or(libc::EINVAL)?;
        segment.mode |= DEST;
        segment.key = libc::IPC_PRIVATE;
        if segment.attached == 0 {
            self.segments.remove(&id);
        }
        Ok(0)
    }

    pub(super) fn shm_stat(&self, id: i32) -> Result<libc::shmid_ds, Errno> {
        let segment = self.segments.get(&id).ok_or(libc::EINVAL)?;
        // SAFETY: zeros are valid numbers.
        let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
        stat.shm_perm.__key = segment.key;
        stat.shm_perm.mode = segment.mode as _;
        (stat.shm_perm.uid, stat.shm_perm.cuid) = (user(), user());
        stat.shm_segsz = segment.len;
        stat.shm_nattch = segment.attached;
        stat.shm_cpid = pid();
        stat.shm_lpid = if segment.was_attached { stat.shm_cpid } else { 0 };
        stat.shm_ctime = 1;
        stat.shm_atime = segment.was_attached.into();
        stat.shm_dtime = segment.was_detached.into();
        Ok(stat)
    }

    pub(super) fn shm_at_index(&self, index: i32) -> Result<i32, Errno> {
        at_index(&self.segments, index)
    }

    pub(super) fn highest_segment(&self) -> i32 {
        highest_index(&self.segments)
    }

    pub(super) fn semget(&mut self, key: i32, n: i32, flags: i32) -> Result<i32, Errno> {
        let n = usize::try_from(n).map_err(|_| libc::EINVAL)?;
        let make = || match n {
            1..=Set::MAX_LEN => Ok(Set::new(key, flags as u32 & 0o777, n)),
            _ => Err(libc::EINVAL),
        };
        let (objects, last) = (&mut self.sets, &mut self.last_id);
        get(objects, last, (key, |set| set.key), flags, |set| n <= set.len(), make)
    }

    pub(super) fn set(&mut self, id: i32) -> Result<&mut Set, Errno> {
        self.sets.get_mut(&id).ok_or(libc::EINVAL)
    }

    pub(super) fn sem_remove(&mut self, id: i32) -> Result<i32, Errno> {
        self.sets.remove(&id).map(|_| 0).ok_or(libc::EINVAL)
    }

    pub(super) fn sem_at_index(&self, index: i32) -> Result<i32, Errno> {
        at_index(&self.sets, index)
    }

    pub(super) fn highest_set(&self) -> i32 {
        highest_index(&self.sets)
    }
}

/// Returns the user of this process, who owns all objects.
pub(super) fn user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}
