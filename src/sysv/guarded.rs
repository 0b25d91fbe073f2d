//! A buffer for an answer of the kernel whose length is not certain: it ends where a page begins
//! that cannot be written. A longer answer fails with `EFAULT`, and overwrites nothing.

use std::ptr;

use super::{Errno, Result, check, memory};
use crate::sync::plain::{AtomicPtr, AtomicU32, Ordering};

/// The buffer of this process, made on first use; only a thread that has set `BUSY` may touch it.
static ROOM: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static BUSY: AtomicU32 = AtomicU32::new(0);

/// Calls `ask` with a buffer of `bytes` bytes, one page at most, aligned to two. It neither locks
/// nor allocates: if the buffer is in use, by another thread, by the call that a signal handler
/// interrupted, or by a thread that was using it when this process was forked, a new one is mapped.
pub(crate) fn with_room<R>(bytes: usize, ask: impl FnOnce(*mut u8) -> Result<R>) -> Result<R> {
    let page = memory::page_size();
    if bytes > page || !bytes.is_multiple_of(2) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the buffer is one page, so the address lies in it.
    let place = |room: *mut u8| unsafe { room.add(page - bytes) };
    if BUSY.swap(1, Ordering::Acquire) != 0 {
        let room = map(page)?;
        let answer = ask(place(room));
        // SAFETY: mapped just now, and there is no other reference to it.
        unsafe { libc::munmap(room.cast(), 2 * page) };
        return answer;
    }
    let known = ROOM.load(Ordering::Relaxed);
    let room = if known.is_null() { map(page) } else { Ok(known) };
    let answer = room.and_then(|room| {
        ROOM.store(room, Ordering::Relaxed);
        ask(place(room))
    });
    BUSY.store(0, Ordering::Release);
    answer
}

/// Maps a page, followed by one that cannot be accessed.
fn map(page: usize) -> Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory at an address that the kernel picks.
    let room = unsafe { libc::mmap(ptr::null_mut(), 2 * page, libc::PROT_NONE, flags, -1, 0) };
    if room == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: the first of the two pages just mapped.
    let opened = check(unsafe { libc::mprotect(room, page, libc::PROT_READ | libc::PROT_WRITE) });
    if let Err(errno) = opened {
        // SAFETY: as above; there is no other reference to it.
        unsafe { libc::munmap(room, 2 * page) };
        return Err(errno);
    }
    Ok(room.cast())
}

#[cfg(test)]
mod tests {
    use super::super::sem::{Set, SetLookup};
    use super::*;

    #[test]
    fn what_is_longer_overwrites_nothing() {
        let set = |n| Set::get(libc::IPC_PRIVATE, n, SetLookup::New { mode: 0o600 }).unwrap();
        let (small, large) = (set(3), set(5_000));
        small.set_value(1, 7).unwrap();
        for _ in 0..2 {
            let mut values = [9; 4];
            assert_eq!((small.values_into(&mut values), values), (Ok(()), [0, 7, 0, 0]));
            assert_eq!(large.values_into(&mut values), Err(Errno::EFAULT));
        }
        // While it is in use.
        let inner = with_room(2, |_| {
            let mut values = [9; 3];
            small.values_into(&mut values).map(|()| values)
        });
        assert_eq!(inner, Ok([0, 7, 0]));
        small.remove().unwrap();
        large.remove().unwrap();
    }
}
