//! Segments and sets as anybody may make them, without the crate in between.

use std::io;
use std::ptr::{self, NonNull};

/// The bit in a mode that marks an object as one of sysvring's.
const MARK: i32 = 0o001;

fn check(result: i32) -> io::Result<i32> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn flags(marked: bool) -> i32 {
    libc::IPC_CREAT | libc::IPC_EXCL | 0o600 | if marked { MARK } else { 0 }
}

/// A segment, attached for writing. It stays when this is dropped.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: i32,
    base: NonNull<u8>,
    len: usize,
}

impl Segment {
    /// A new one, of a key that nobody has.
    pub(crate) fn make(key: i32, len: usize, marked: bool) -> io::Result<Segment> {
        // SAFETY: takes and returns plain numbers.
        let id = check(unsafe { libc::shmget(key, len, flags(marked)) })?;
        Segment::attach(id)
    }

    /// The one with this identifier.
    pub(crate) fn attach(id: i32) -> io::Result<Segment> {
        let len = segment_stat(id)?.shm_segsz;
        // SAFETY: the kernel picks the place.
        let base = unsafe { libc::shmat(id, ptr::null(), 0) };
        match NonNull::new(base.cast()) {
            Some(base) if base.addr().get() != usize::MAX => Ok(Segment { id, base, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Lays as many of the bytes there as fit.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        for (at, byte) in (offset..self.len).zip(bytes) {
            // SAFETY: inside what is attached.
            unsafe { self.base.add(at).write_volatile(*byte) };
        }
    }

    /// Lays all of its bytes there at once.
    pub(crate) fn restore(&self, bytes: &[u8]) {
        let len = bytes.len().min(self.len);
        // SAFETY: inside what is attached; nobody else writes meanwhile.
        unsafe { self.base.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), len) };
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::with_capacity(self.len);
        // SAFETY: what is attached, into as much room; nobody else writes meanwhile.
        unsafe {
            bytes.as_mut_ptr().copy_from_nonoverlapping(self.base.as_ptr(), self.len);
            bytes.set_len(self.len);
        }
        bytes
    }

    /// The four bytes there, as a number.
    pub(crate) fn word(&self, at: usize) -> Option<u32> {
        let mut bytes = [0u8; 4];
        if at + bytes.len() > self.len {
            return None;
        }
        // SAFETY: inside what is attached; nobody else writes meanwhile.
        unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(self.base.as_ptr().add(at), 4) };
        Some(u32::from_le_bytes(bytes))
    }

    /// Its mode with the kernel's bits, of which one says that it was removed, while it is known.
    pub(crate) fn mode(&self) -> Option<u32> {
        segment_stat(self.id).ok().map(|stat| stat.shm_perm.mode.into())
    }

    /// Whether nobody removed it.
    pub(crate) fn is_there(&self) -> bool {
        self.mode().is_some_and(|mode| mode & 0o1000 == 0)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: attached by us, once.
        unsafe { libc::shmdt(self.base.as_ptr().cast()) };
    }
}

fn segment_stat(id: i32) -> io::Result<libc::shmid_ds> {
    // SAFETY: any bytes are a `shmid_ds`, and the kernel writes one.
    unsafe {
        let mut stat: libc::shmid_ds = std::mem::zeroed();
        check(libc::shmctl(id, libc::IPC_STAT, &mut stat)).map(|_| stat)
    }
}

/// The segment of a key, if it has the mark.
pub(crate) fn marked_segment(key: i32) -> Option<i32> {
    // SAFETY: takes and returns plain numbers.
    let id = check(unsafe { libc::shmget(key, 0, 0) }).ok()?;
    let marked = segment_stat(id).ok()?.shm_perm.mode as i32 & 0o111 == MARK;
    marked.then_some(id)
}

/// Removes a segment, if it is there.
pub(crate) fn remove_segment(id: i32) {
    // SAFETY: no pointer is read.
    unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) };
}

/// A semaphore set, by its identifier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set {
    pub(crate) id: i32,
}

impl Set {
    /// A new one, of a key that nobody has.
    pub(crate) fn make(key: i32, semaphores: u16, marked: bool) -> io::Result<Set> {
        // SAFETY: takes and returns plain numbers.
        check(unsafe { libc::semget(key, semaphores.into(), flags(marked)) }).map(|id| Set { id })
    }

    /// The one of a key, if it has the mark.
    pub(crate) fn marked(key: i32) -> Option<Set> {
        // SAFETY: takes and returns plain numbers; any bytes are a `semid_ds`, and the kernel writes
        // one.
        unsafe {
            let id = check(libc::semget(key, 0, 0)).ok()?;
            let mut stat: libc::semid_ds = std::mem::zeroed();
            check(libc::semctl(id, 0, libc::IPC_STAT, &raw mut stat)).ok()?;
            (stat.sem_perm.mode as i32 & 0o111 == MARK).then_some(Set { id })
        }
    }

    pub(crate) fn set_value(self, n: u16, value: u16) {
        // SAFETY: no pointer is passed. What cannot be set stays.
        unsafe { libc::semctl(self.id, n.into(), libc::SETVAL, libc::c_int::from(value)) };
    }

    /// The value of a semaphore, if there is one of that number.
    pub(crate) fn value(self, n: u16) -> Option<i32> {
        // SAFETY: no pointer is passed.
        check(unsafe { libc::semctl(self.id, n.into(), libc::GETVAL) }).ok()
    }

    /// All values, of a set of at most so many semaphores.
    pub(crate) fn values<const N: usize>(self) -> Option<[u16; N]> {
        const GETALL: libc::c_int = 13;
        let mut values = [0u16; N];
        // SAFETY: room for all values, as the caller says.
        check(unsafe { libc::semctl(self.id, 0, GETALL, values.as_mut_ptr()) }).ok()?;
        Some(values)
    }

    /// Sets all values, as [`values`](Set::values) told them.
    pub(crate) fn set_values<const N: usize>(self, values: &[u16; N]) {
        const SETALL: libc::c_int = 17;
        // SAFETY: the kernel reads as many values as the set has, and there are so many.
        unsafe { libc::semctl(self.id, 0, SETALL, values.as_ptr()) };
    }

    /// Removes it, if it is there.
    pub(crate) fn remove(self) {
        // SAFETY: no pointer is passed.
        unsafe { libc::semctl(self.id, 0, libc::IPC_RMID) };
    }
}

/// Whether no segment and no set has this key.
pub(crate) fn is_free(key: i32) -> bool {
    // SAFETY: takes and returns plain numbers.
    unsafe { libc::shmget(key, 0, 0) == -1 && libc::semget(key, 0, 0) == -1 }
}
