//! Segments as any process with write access may use them.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// A segment that is attached by hand, and read and written without any protocol.
#[derive(Debug)]
pub struct Memory {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: an address range that belongs to the whole process and is accessed by atomics only.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub fn of(segment: i32) -> Memory {
        Memory::try_of(segment).unwrap_or_else(|| panic!("shmat: {}", io::Error::last_os_error()))
    }

    /// Returns `None` if the segment does not exist any more.
    pub fn try_of(segment: i32) -> Option<Memory> {
        // SAFETY: the kernel fills the zeroed structure; without an address it picks a free range.
        unsafe {
            let mut stat: libc::shmid_ds = std::mem::zeroed();
            if libc::shmctl(segment, libc::IPC_STAT, &mut stat) == -1 {
                return None;
            }
            let base = libc::shmat(segment, ptr::null(), 0);
            let base = NonNull::new(base.cast()).filter(|base| base.addr().get() != usize::MAX)?;
            Some(Memory { base, len: stat.shm_segsz })
        }
    }

    pub fn u8(&self, at: usize) -> &AtomicU8 {
        assert!(at < self.len);
        // SAFETY: the address is inside the segment.
        unsafe { self.base.add(at).cast().as_ref() }
    }

    pub fn u32(&self, at: usize) -> &AtomicU32 {
        assert!(at + 4 <= self.len && at.is_multiple_of(4));
        // SAFETY: the address is inside the segment and aligned.
        unsafe { self.base.add(at).cast().as_ref() }
    }

    pub fn u64(&self, at: usize) -> &AtomicU64 {
        assert!(at + 8 <= self.len && at.is_multiple_of(8));
        // SAFETY: the address is inside the segment and aligned.
        unsafe { self.base.add(at).cast().as_ref() }
    }

    /// Returns the first `len` bytes.
    pub fn save(&self, len: usize) -> Vec<u8> {
        (0..len).map(|at| self.u8(at).load(Ordering::Relaxed)).collect()
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the whole segment in words. The length of a channel's segment is a multiple of a
    /// word.
    pub fn words(&self) -> Vec<u64> {
        (0..self.len / 8).map(|n| self.u64(n * 8).load(Ordering::Relaxed)).collect()
    }

    /// Writes words to the start.
    pub fn restore(&self, words: &[u64]) {
        assert!(words.len() * 8 <= self.len);
        for (n, word) in words.iter().enumerate() {
            // SAFETY: the address is inside the segment, which is aligned to pages.
            unsafe { self.base.cast::<AtomicU64>().add(n).as_ref() }
                .store(*word, Ordering::Relaxed);
        }
    }

    /// Writes bytes to the start.
    pub fn load(&self, bytes: &[u8]) {
        for (at, byte) in bytes.iter().enumerate() {
            self.u8(at).store(*byte, Ordering::Relaxed);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: attached once, by `of`.
        unsafe { libc::shmdt(self.base.as_ptr().cast()) };
    }
}
