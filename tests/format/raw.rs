//! The kernel's objects behind a channel, read without the crate, according to the document.

use std::io;

use crate::page;

/// A segment, attached separately and read-only.
pub struct Raw {
    base: *const u8,
    len: usize,
}

impl Raw {
    pub fn attach(segment: i32) -> Raw {
        // SAFETY: the kernel picks the address, and writes one `shmid_ds`, for which any bytes are
        // valid.
        let (base, stat) = unsafe {
            let mut stat: libc::shmid_ds = std::mem::zeroed();
            assert_ne!(libc::shmctl(segment, libc::IPC_STAT, &mut stat), -1);
            (libc::shmat(segment, std::ptr::null(), libc::SHM_RDONLY), stat)
        };
        assert_ne!(base.addr(), usize::MAX, "{}", io::Error::last_os_error());
        Raw { base: base.cast(), len: stat.shm_segsz }
    }

    /// Returns the address where it is attached.
    pub fn address(&self) -> usize {
        self.base.addr()
    }

    /// Returns `bytes` bytes from `offset` on.
    pub fn bytes(&self, offset: usize, bytes: usize) -> Vec<u8> {
        assert!(offset + bytes <= self.len);
        // SAFETY: inside the attached segment; no test writes while it reads.
        (offset..offset + bytes).map(|i| unsafe { self.base.add(i).read_volatile() }).collect()
    }

    /// Returns the whole segment.
    pub fn all(&self) -> Vec<u8> {
        self.bytes(0, self.len)
    }

    /// Returns a word of at most eight bytes.
    pub fn word(&self, offset: usize, bytes: usize) -> u64 {
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(&self.bytes(offset, bytes));
        u64::from_le_bytes(word)
    }

    /// Returns the word that the document describes: a field of the `n`th structure of this name.
    pub fn value(&self, structure: &str, n: usize, field: &str) -> u64 {
        let (offset, bytes) = page::place(structure, n, field);
        self.word(offset, bytes)
    }

    /// Returns the text that the document describes.
    pub fn text(&self, structure: &str, n: usize, field: &str) -> String {
        let (offset, bytes) = page::place(structure, n, field);
        let text = String::from_utf8(self.bytes(offset, bytes)).expect("UTF-8");
        text.trim_end_matches('\0').to_owned()
    }

    /// Returns the offset of the slot of a position.
    pub fn slot(&self, position: u64) -> usize {
        let fact = |field| self.value("Identity", 0, field);
        (fact("header_size") + position % fact("capacity") * fact("stride")) as usize
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: attached once, by `attach`.
        unsafe { libc::shmdt(self.base.cast()) };
    }
}

/// Returns the value of one semaphore.
pub fn semaphore(set: i32, n: usize) -> usize {
    // SAFETY: takes and returns plain numbers.
    let value = unsafe { libc::semctl(set, n as i32, libc::GETVAL) };
    usize::try_from(value).unwrap_or_else(|_| panic!("{}", io::Error::last_os_error()))
}
