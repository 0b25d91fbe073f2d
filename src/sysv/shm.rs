//! Shared memory segments.

use std::io::Read;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::time::SystemTime;

use super::{Errno, Perm, Result, check, memory, system_time};

// These belong to the kernel's ABI but not to the libc crate.
const SHM_STAT: libc::c_int = 13;
const SHM_INFO: libc::c_int = 14;
const SHM_STAT_ANY: libc::c_int = 15;
const SHM_DEST: u32 = 0o1000;
const SHM_LOCKED: u32 = 0o2000;

/// Segments up to this size in bytes are included in core dumps, unless the user decides otherwise.
const DUMPED_UP_TO: u64 = 16 << 20;

/// How [`get`] finds a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SegmentLookup {
    /// It must exist.
    Existing,
    /// It must not exist; `huge` backs it with huge pages.
    New { mode: u32, huge: bool },
}

/// Returns the identifier of the segment with this key, of at least `size` bytes.
pub(crate) fn get(key: i32, size: usize, how: SegmentLookup) -> Result<i32> {
    let flags = match how {
        SegmentLookup::Existing => 0,
        SegmentLookup::New { mode, huge } => {
            let huge = if huge { libc::SHM_HUGETLB } else { 0 };
            libc::IPC_CREAT | libc::IPC_EXCL | huge | (mode & 0o777) as libc::c_int
        }
    };
    // SAFETY: takes and returns plain numbers.
    check(unsafe { libc::shmget(key, size, flags) })
}

/// The permitted use of an attached segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    /// The kernel never lets such an attachment become writable.
    ReadOnly,
}

/// Which of two calls failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) call: &'static str,
    pub(crate) errno: Errno,
}

/// An attached segment, detached on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
}

// SAFETY: an address range of the whole process; its users are responsible for accesses through it.
unsafe impl Send for Mapping {}
// SAFETY: as above; this type itself never touches the memory.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Attaches a segment at an address that the kernel picks.
    pub(crate) fn attach(id: i32, access: Access) -> Result<Mapping> {
        let flags = match access {
            Access::ReadWrite => 0,
            Access::ReadOnly => libc::SHM_RDONLY,
        };
        // SAFETY: without an address the kernel picks a free range, so no mapping of ours is
        // replaced.
        let base = unsafe { libc::shmat(id, ptr::null(), flags) };
        if base.addr() == usize::MAX {
            return Err(Errno::last());
        }
        NonNull::new(base.cast()).map(|base| Mapping { base }).ok_or(Errno::ENOMEM)
    }

    /// Attaches a segment, and then queries the kernel about it. While it is attached, it cannot
    /// disappear and its identifier cannot be reused, so the facts, above all the size, belong to
    /// what is mapped.
    pub(crate) fn attach_known(
        id: i32,
        access: Access,
    ) -> std::result::Result<(Mapping, SegmentStat), Refused> {
        let refused = |call| move |errno| Refused { call, errno };
        let mapping = Mapping::attach(id, access).map_err(refused("shmat"))?;
        let stat = stat(id).map_err(refused("shmctl(IPC_STAT)"))?;
        Ok((mapping, stat))
    }

    /// Checks that the first page can be read, before anything of a segment is read that another
    /// program may have made.
    pub(crate) fn check_first_page(&self) -> Result<()> {
        // SAFETY: the whole attachment, which is at least a page.
        unsafe { memory::check_first_page(self.base) }
    }

    /// Checks that the first `len` bytes can be read, once the first page can. The segment is at least
    /// as long.
    pub(crate) fn check_readable(&self, len: usize) -> Result<()> {
        // SAFETY: a part of the attachment.
        unsafe { memory::check_readable(self.base, len) }
    }

    /// Returns another value for the same attachment.
    ///
    /// # Safety
    /// It must not be used after the attachment is gone.
    pub(crate) unsafe fn alias(&self) -> ManuallyDrop<Mapping> {
        ManuallyDrop::new(Mapping { base: self.base })
    }

    /// Leaves the attachment of a segment of `size` bytes out of core dumps of this process, unless
    /// it is small, or `included` in any case.
    pub(crate) fn leave_out_of_dumps(&self, size: u64, included: Option<bool>) -> Result<()> {
        if included.unwrap_or(size <= DUMPED_UP_TO) {
            return Ok(());
        }
        // SAFETY: the whole attachment.
        unsafe { memory::leave_out_of_dumps(self.base, size as usize) }
    }

    /// Returns the address of its first byte, which is page aligned.
    #[inline(always)]
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: attached by us, once, and it can no longer be used through this value.
        unsafe { libc::shmdt(self.base.as_ptr().cast()) };
    }
}

/// The kernel's facts about a shared memory segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SegmentStat {
    /// The identifier, as `ipcs -m` shows it.
    pub id: i32,
    /// The key; 0 for private segments and those marked for removal.
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
    /// The size in bytes, as requested at creation.
    pub size: u64,
    /// How often it is currently attached. A forked child counts too.
    pub attached: u64,
    /// The process that created it, in this process' pid namespace; 0 when it is not visible there.
    pub creator_pid: u32,
    /// The process that last attached or detached it, in this process' pid namespace; 0 if there was
    /// none, or when it is not visible there.
    pub last_pid: u32,
    /// When it was last attached, to the second.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::sysv::seconds::serialize_option")
    )]
    pub attach_time: Option<SystemTime>,
    /// When it was last detached, to the second.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::sysv::seconds::serialize_option")
    )]
    pub detach_time: Option<SystemTime>,
    /// When it was created or its owner or mode was changed, to the second.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::sysv::seconds::serialize_option")
    )]
    pub change_time: Option<SystemTime>,
    /// It will be removed with its last attachment.
    pub marked_for_removal: bool,
    /// It is locked in memory and never swapped out.
    pub locked: bool,
}

/// The kernel's `shmid64_ds` of 64-bit machines.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Raw {
    perm: Perm,
    size: usize,
    attach_time: i64,
    detach_time: i64,
    change_time: i64,
    creator_pid: i32,
    last_pid: i32,
    attached: u64,
    unused: [u64; 2],
}

/// Returns the answer of a `shmctl` command that fills a [`Raw`], or the smaller `shm_info`.
fn query(id: i32, command: libc::c_int) -> Result<(i32, Raw)> {
    let mut raw = Raw::default();
    // SAFETY: every command passed here writes at most a `shmid64_ds`; any bytes are valid for it.
    let answer = check(unsafe { libc::shmctl(id, command, (&raw mut raw).cast()) })?;
    Ok((answer, raw))
}

/// Returns whether the kernel removes every segment that no process has attached
/// (`kernel.shm_rmid_forced`), in this IPC namespace; `None` if that is not known.
pub(crate) fn removal_is_forced() -> Option<bool> {
    // With three system calls.
    let mut digit = [0];
    let mut file = std::fs::File::open("/proc/sys/kernel/shm_rmid_forced").ok()?;
    (file.read(&mut digit).ok()? == 1).then_some(digit != *b"0")
}

/// Performs a command that takes no argument.
fn control(id: i32, command: libc::c_int) -> Result<()> {
    // SAFETY: the kernel does not use the pointer.
    check(unsafe { libc::shmctl(id, command, ptr::null_mut()) }).map(drop)
}

fn describe(id: i32, raw: &Raw) -> SegmentStat {
    let perm = &raw.perm;
    SegmentStat {
        id,
        key: perm.key,
        uid: perm.uid,
        gid: perm.gid,
        cuid: perm.cuid,
        cgid: perm.cgid,
        mode: perm.mode & 0o666,
        raw_mode: perm.mode,
        size: raw.size as u64,
        attached: raw.attached,
        creator_pid: raw.creator_pid as u32,
        last_pid: raw.last_pid as u32,
        attach_time: system_time(raw.attach_time),
        detach_time: system_time(raw.detach_time),
        change_time: system_time(raw.change_time),
        marked_for_removal: perm.mode & SHM_DEST != 0,
        locked: perm.mode & SHM_LOCKED != 0,
    }
}

/// Returns the kernel's facts about one segment; needs read permission.
pub(crate) fn stat(id: i32) -> Result<SegmentStat> {
    query(id, libc::IPC_STAT).map(|(_, raw)| describe(id, &raw))
}

/// Marks a segment for removal: its key is free at once, its memory at the last detach.
pub(crate) fn remove(id: i32) -> Result<()> {
    control(id, libc::IPC_RMID)
}

/// Keeps a segment's pages from being swapped out, including pages not yet touched, once they are.
pub(crate) fn lock(id: i32) -> Result<()> {
    control(id, libc::SHM_LOCK)
}

/// Returns all segments of this IPC namespace, except those that vanish meanwhile and, before Linux
/// 4.17, those that we may not read.
pub(crate) fn list() -> Result<Vec<SegmentStat>> {
    let (highest, _) = query(0, SHM_INFO)?;
    // A kernel without SHM_STAT_ANY and an index without a segment give the same error.
    let look = |index| {
        query(index, SHM_STAT_ANY).or_else(|errno| match errno {
            Errno::EINVAL => query(index, SHM_STAT),
            _ => Err(errno),
        })
    };
    Ok((0..=highest)
        .filter_map(|index| look(index).ok())
        .map(|(id, raw)| describe(id, &raw))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;

    struct Temporary(i32);

    impl Temporary {
        fn new(size: usize) -> Temporary {
            let how = SegmentLookup::New { mode: 0o600, huge: false };
            Temporary(get(libc::IPC_PRIVATE, size, how).unwrap())
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = remove(self.0);
        }
    }

    #[test]
    fn the_layouts_are_those_of_the_c_library() {
        assert_eq!(size_of::<Perm>(), 48);
        #[cfg(target_env = "gnu")]
        {
            use std::mem::offset_of;
            assert_eq!(size_of::<Raw>(), size_of::<libc::shmid_ds>());
            assert_eq!(offset_of!(Raw, size), offset_of!(libc::shmid_ds, shm_segsz));
            assert_eq!(offset_of!(Raw, attached), offset_of!(libc::shmid_ds, shm_nattch));
        }
    }

    #[test]
    fn a_segment_lives_and_goes() {
        let segment = Temporary::new(12_345);
        let fresh = stat(segment.0).unwrap();
        assert_eq!((fresh.id, fresh.key, fresh.size), (segment.0, 0, 12_345));
        assert_eq!((fresh.mode, fresh.raw_mode, fresh.attached), (0o600, 0o600, 0));
        assert_eq!((fresh.creator_pid, fresh.last_pid), (std::process::id(), 0));
        assert!(fresh.attach_time.is_none() && fresh.detach_time.is_none());
        assert!(fresh.change_time.is_some() && !fresh.marked_for_removal && !fresh.locked);

        let mapping = Mapping::attach(segment.0, Access::ReadWrite).unwrap();
        assert!(mapping.base().addr().get().is_multiple_of(memory::page_size()));
        assert!(stat(segment.0).unwrap().attach_time.is_some());
        // The children of other tests are attached too while they run.
        eventually(|| stat(segment.0).unwrap().attached == 1);

        remove(segment.0).unwrap();
        let doomed = stat(segment.0).unwrap();
        assert!(doomed.marked_for_removal && doomed.raw_mode & 0o777 == doomed.mode);
        drop(mapping);
        eventually(|| matches!(stat(segment.0), Err(Errno::EINVAL | Errno::EIDRM)));
        assert!(Mapping::attach(segment.0, Access::ReadWrite).is_err());
    }

    #[test]
    fn two_attachments_share_and_a_child_counts() {
        let segment = Temporary::new(4096);
        let writer = Mapping::attach(segment.0, Access::ReadWrite).unwrap();
        let reader = Mapping::attach(segment.0, Access::ReadOnly).unwrap();
        // SAFETY: inside the segment, and no other process uses it.
        unsafe { writer.base().write_volatile(7) };
        // SAFETY: as above.
        assert_eq!(unsafe { reader.base().read_volatile() }, 7);
        eventually(|| stat(segment.0).unwrap().attached == 2);
        let id = segment.0;
        assert!(wait(fork(|| stat(id).is_ok_and(|stat| stat.attached >= 4))));
    }

    #[test]
    fn keys_are_found_and_exclusive() {
        let key = 0x7a00_0000 | std::process::id() as i32;
        assert_eq!(get(key, 0, SegmentLookup::Existing), Err(Errno::ENOENT));
        let how = SegmentLookup::New { mode: 0o640, huge: false };
        let segment = Temporary(get(key, 100, how).unwrap());
        assert_eq!(get(key, 0, SegmentLookup::Existing), Ok(segment.0));
        assert_eq!(get(key, 5000, SegmentLookup::Existing), Err(Errno::EINVAL));
        assert_eq!(get(key, 100, how), Err(Errno::EEXIST));
        assert_eq!(stat(segment.0).unwrap().key, key);
    }

    #[test]
    fn the_list_has_it() {
        let segment = Temporary::new(999);
        let found = list().unwrap().into_iter().find(|stat| stat.id == segment.0);
        assert_eq!(found, stat(segment.0).ok());
    }

    #[test]
    fn locking_shows() {
        let segment = Temporary::new(4096);
        match lock(segment.0) {
            Ok(()) => assert!(stat(segment.0).unwrap().locked),
            Err(errno) => assert!(matches!(errno, Errno::EPERM | Errno::ENOMEM)),
        }
    }
}
