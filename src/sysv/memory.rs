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
