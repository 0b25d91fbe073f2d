//! Pages: their sizes, populating them in advance, and leaving them out of core dumps.

use std::hint::black_box;
use std::ptr::NonNull;

use super::{Errno, Result, check};
use crate::sync::plain::{AtomicU64, Ordering};

/// Returns the size of a page in bytes.
pub(crate) fn page_size() -> usize {
    // SAFETY: takes and returns plain numbers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Returns the value of a line of /proc/meminfo such as `Hugepagesize:    2048 kB`, without its
/// unit.
fn meminfo(name: &str) -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns whether /proc/meminfo can be read, as in a chroot it may not.
pub(crate) fn has_meminfo() -> bool {
    meminfo("MemTotal").is_some()
}

/// Returns the size in bytes of the huge pages that segments get, or `None` without huge pages.
pub(crate) fn huge_page_size() -> Option<usize> {
    meminfo("Hugepagesize")?.checked_mul(1024).filter(|size| size.is_power_of_two())
}

/// Returns the number of huge pages that are neither in use nor reserved.
pub(crate) fn free_huge_pages() -> usize {
    let promised = meminfo("HugePages_Rsvd").unwrap_or(0);
    meminfo("HugePages_Free").unwrap_or(0).saturating_sub(promised)
}

/// Returns the bytes of swap that this system has.
pub(crate) fn total_swap() -> u64 {
    meminfo("SwapTotal").unwrap_or(0) as u64 * 1024
}

/// Makes all pages of a range present and writable, without changing their contents. A page that
/// cannot be had is an error here, and a signal at the first access otherwise.
///
/// # Safety
/// The range must be mapped and writable, and must start on a page. Other processes may use it
/// meanwhile, atomically.
pub(crate) unsafe fn prefault(base: NonNull<u8>, len: usize) -> Result<()> {
    let address = base.as_ptr();
    // SAFETY: populating a mapped range changes no byte of it.
    match check(unsafe { libc::madvise(address.cast(), len, libc::MADV_POPULATE_WRITE) }) {
        // Before Linux 5.14, or in a sandbox that does not support this advice.
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM | Errno::EACCES) => {
            // SAFETY: the caller's promise.
            unsafe { touch(base, len) };
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Segments up to this size in bytes lie in one huge page, if they are in huge pages: it is the
/// smallest size of them.
const ONE_HUGE_PAGE: usize = 64 << 10;

/// Checks that the first page of a segment, attached at `base`, can be read: if it cannot be had, that
/// is `EFAULT` here, and a signal at the first access otherwise. That is so of huge pages, of which
/// another program may make a segment without that there are any.
///
/// # Safety
/// A segment must be attached there. Other processes may use it meanwhile, atomically.
pub(crate) unsafe fn check_first_page(base: NonNull<u8>) -> Result<()> {
    // SAFETY: no segment is smaller than a page.
    unsafe { populate_read(base, page_size()) }
}

/// Checks the same of the first `len` bytes of a segment whose first page can be read. Pages that are
/// not huge are had from ordinary memory, and left alone: a large segment may have never used most of
/// them.
///
/// # Safety
/// As for [`check_first_page`], of at least so many bytes.
pub(crate) unsafe fn check_readable(base: NonNull<u8>, len: usize) -> Result<()> {
    match len > ONE_HUGE_PAGE && may_be_huge(base) {
        // SAFETY: the caller's promise.
        true => unsafe { populate_read(base, len) },
        false => Ok(()),
    }
}

/// Returns whether a mapping is in huge pages. Those are not on the kernel's lists of pages that can
/// be swapped, and advice for these lists is invalid for them; so it is for locked memory
/// (`mlockall`), which huge pages never are, and which `msync` refuses to invalidate. Before Linux
/// 5.4 the advice is invalid for any memory, even for none of it: there nothing is known.
fn may_be_huge(base: NonNull<u8>) -> bool {
    let advise = |len| {
        // SAFETY: the advice changes no byte.
        check(unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_COLD) })
    };
    let is_locked = || {
        let flags = libc::MS_ASYNC | libc::MS_INVALIDATE;
        // SAFETY: there is no file whose pages it could write or discard.
        check(unsafe { libc::msync(base.as_ptr().cast(), page_size(), flags) }) == Err(Errno::EBUSY)
    };
    advise(0).is_ok() && advise(page_size()) == Err(Errno::EINVAL) && !is_locked()
}

/// Makes all pages of a range present.
///
/// # Safety
/// The range must be mapped and readable, and must start on a page.
unsafe fn populate_read(base: NonNull<u8>, len: usize) -> Result<()> {
    let address = base.as_ptr();
    // SAFETY: populating a mapped range changes no byte of it.
    match check(unsafe { libc::madvise(address.cast(), len, libc::MADV_POPULATE_READ) }) {
        // As in `prefault`.
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM | Errno::EACCES) => read_all(base, len),
        other => other.map(drop),
    }
}

/// Lets the kernel read a byte of each page, which fails with `EFAULT` where a read would be a
/// signal. If there is no pipe to be had, nothing is known.
fn read_all(base: NonNull<u8>, len: usize) -> Result<()> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    if check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }).is_err()
    {
        return Ok(());
    }
    let mut read = Ok(());
    for offset in (0..len).step_by(page_size()) {
        let at = base.as_ptr().wrapping_add(offset);
        // SAFETY: the kernel reads one byte of the range, and checks the address.
        let written = unsafe { libc::write(ends[1], at.cast(), 1) };
        if written < 0 && Errno::last() == Errno::EFAULT {
            read = Err(Errno::EFAULT);
            break;
        }
        let mut byte = 0u8;
        // SAFETY: room for one byte.
        unsafe { libc::read(ends[0], (&raw mut byte).cast(), 1) };
    }
    // SAFETY: made above, and used nowhere else.
    let _ = ends.map(|end| unsafe { libc::close(end) });
    read
}

/// Returns the number of bytes of a mapped range that are in pages which are not in memory, as far
/// as the kernel reports it.
pub(crate) fn missing(base: NonNull<u8>, len: usize) -> usize {
    let page = page_size();
    // One byte for each page, for a part of the range at a time.
    let mut present = vec![0u8; len.div_ceil(page).min(1 << 16)];
    let mut missing = 0;
    for offset in (0..len).step_by(page * present.len().max(1)) {
        let part = (len - offset).min(page * present.len());
        // SAFETY: inside the range.
        let start = unsafe { base.add(offset) }.as_ptr().cast();
        // SAFETY: accesses no byte of the range, and there is room for the answer on each page.
        if check(unsafe { libc::mincore(start, part, present.as_mut_ptr()) }).is_err() {
            continue;
        }
        let pages = &present[..part.div_ceil(page)];
        missing += page * pages.iter().filter(|state| **state & 1 == 0).count();
    }
    missing
}

/// Leaves a mapping out of core dumps of this process. `len`: all of it, or its last page may be a
/// part of a huge page.
///
/// # Safety
/// The range must be mapped.
pub(crate) unsafe fn leave_out_of_dumps(base: NonNull<u8>, len: usize) -> Result<()> {
    let advise = |len: usize| {
        // SAFETY: concerns the kernel's record of the mapping only, not its bytes.
        check(unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_DONTDUMP) }).map(drop)
    };
    match (advise(len), huge_page_size()) {
        // A mapping of huge pages cannot be divided inside one.
        (Err(Errno::EINVAL), Some(huge)) => advise(len.next_multiple_of(huge)),
        (result, _) => result,
    }
}

/// Writes to every page without changing it, whatever other processes write there.
///
/// # Safety
/// As for [`prefault`].
unsafe fn touch(base: NonNull<u8>, len: usize) {
    for offset in (0..len).step_by(page_size()) {
        // SAFETY: inside the range, and the start of a page is aligned for any word.
        let word = unsafe { base.add(offset).cast::<AtomicU64>().as_ref() };
        // The compiler may remove the addition of a zero that it knows.
        word.fetch_add(black_box(0), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::shm::{self, Access, Mapping, SegmentLookup};
    use super::super::tests::eventually;
    use super::*;

    #[test]
    fn sizes_are_powers_of_two() {
        assert!(page_size().is_power_of_two() && page_size() >= 4096);
        assert!(huge_page_size().is_none_or(|size| size > page_size()));
        assert!(free_huge_pages() < 1 << 40);
        assert!(meminfo("MemTotal").is_some() && meminfo("NoSuchLine").is_none());
    }

    #[test]
    fn missing_pages_are_counted() {
        let (page, how) = (page_size(), SegmentLookup::New { mode: 0o600, huge: false });
        let len = 70_000 * page;
        let id = shm::get(libc::IPC_PRIVATE, len, how).unwrap();
        let mapping = Mapping::attach(id, Access::ReadWrite);
        shm::remove(id).unwrap();
        let mapping = mapping.unwrap();
        assert_eq!((missing(mapping.base(), len), missing(mapping.base(), 0)), (len, 0));
        for (n, offset) in [(1, 0), (2, len - 1), (3, 66_000 * page)] {
            // SAFETY: inside the segment, which no other process uses.
            unsafe { mapping.base().add(offset).write_volatile(1) };
            assert_eq!(missing(mapping.base(), len - 1), len - n * page);
        }
        // SAFETY: the whole segment.
        unsafe { leave_out_of_dumps(mapping.base(), len).unwrap() };
        // Still one range.
        eventually(|| shm::stat(id).unwrap().attached == 1);
    }

    /// A segment in pages of 1 GiB, of which there is hardly ever one.
    fn huge_segment(len: usize) -> Result<Mapping> {
        let flags = libc::SHM_HUGETLB | 30 << 26 | libc::SHM_NORESERVE;
        // SAFETY: takes and returns plain numbers.
        let id = check(unsafe { libc::shmget(libc::IPC_PRIVATE, len, flags | 0o600) })?;
        let mapping = Mapping::attach(id, Access::ReadOnly);
        shm::remove(id).unwrap();
        mapping
    }

    #[test]
    fn missing_huge_pages_are_an_error() {
        for len in [page_size(), 4 << 20] {
            let mapping = match huge_segment(len) {
                Ok(mapping) => mapping,
                // It needs a right, and such pages (`tests/surroundings/missing_pages.rs`).
                Err(errno) => {
                    assert!(matches!(errno, Errno::EPERM | Errno::EINVAL | Errno::ENOENT));
                    continue;
                }
            };
            assert!(may_be_huge(mapping.base()));
            // SAFETY: the whole segment.
            assert_eq!(unsafe { check_first_page(mapping.base()) }, Err(Errno::EFAULT));
            // SAFETY: as above.
            let all = unsafe { check_readable(mapping.base(), len) };
            assert_eq!(all, if len > ONE_HUGE_PAGE { Err(Errno::EFAULT) } else { Ok(()) });
            assert_eq!(read_all(mapping.base(), len), Err(Errno::EFAULT));
        }
    }

    #[test]
    fn a_large_segment_stays_sparse() {
        let (len, how) = (256 << 20, SegmentLookup::New { mode: 0o600, huge: false });
        let id = shm::get(libc::IPC_PRIVATE, len, how).unwrap();
        let mapping = Mapping::attach(id, Access::ReadOnly);
        shm::remove(id).unwrap();
        let mapping = mapping.unwrap();
        assert!(!may_be_huge(mapping.base()));
        // SAFETY: the whole segment.
        unsafe {
            check_first_page(mapping.base()).unwrap();
            check_readable(mapping.base(), len).unwrap();
        }
        assert!(missing(mapping.base(), len) >= len - (2 << 20));
        assert_eq!(read_all(mapping.base(), 4 * page_size()), Ok(()));
    }

    #[test]
    fn prefaulted_pages_are_there_and_unchanged() {
        let len = 64 * page_size();
        for by_hand in [false, true] {
            let how = SegmentLookup::New { mode: 0o600, huge: false };
            let id = shm::get(libc::IPC_PRIVATE, len, how).unwrap();
            let mapping = Mapping::attach(id, Access::ReadWrite);
            shm::remove(id).unwrap();
            let mapping = mapping.unwrap();
            let base = mapping.base();
            // SAFETY: inside the segment, which no other process uses.
            unsafe { base.write_volatile(9) };
            // SAFETY: the whole segment, which is attached for writing.
            unsafe { if by_hand { touch(base, len) } else { prefault(base, len).unwrap() } };
            let mut present = [0u8; 64];
            // SAFETY: one byte for each page of the range.
            check(unsafe { libc::mincore(base.as_ptr().cast(), len, present.as_mut_ptr()) })
                .unwrap();
            assert!(present.iter().all(|page| page & 1 == 1));
            // SAFETY: inside the segment.
            assert_eq!(unsafe { base.read_volatile() }, 9);
            // Still one range: the kernel counts mappings, not processes.
            eventually(|| shm::stat(id).unwrap().attached == 1);
        }
    }
}
