//! Segments and sets without the crate under test, by the numbers of
//! `docs/design/memory-layout.md`.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use sysvring_support::ipc;

use crate::steps::messages::{CAPACITY, Load, State};

/// Offsets of the words.
pub mod at {
    pub const TAIL: usize = 256;
    pub const HEAD: usize = 384;
    pub const CREDIT: usize = 512;
    pub const RECEIVERS: usize = 640;
    pub const SENDERS: usize = 768;
    pub const JOINS: usize = 4;
    /// Offset of the members' table, followed by offsets inside one of its lines.
    pub const MEMBERS: usize = 1024;
    pub const MEMBER: usize = 128;
    pub const ROLE: usize = 4;
    pub const STATE: usize = 8;
    pub const JOINED: usize = 16;
    pub const SLOTS: usize = 4096;
    /// Size of a slot with the messages used here: the word and the message.
    pub const STRIDE: usize = 8 + size_of::<super::Load>();
}

/// The bit of a parked word that is set if the other side has a parked waiter.
pub const PARKED: u32 = 1;

/// The semaphores of a channel's set.
pub const LIFECYCLE: usize = 0;
pub const USERS: usize = 1;
pub const SENDERS: usize = 6;
pub const RECEIVERS: usize = 7;
pub const FIRST_SEAT: usize = 8;
const SEMAPHORES: i32 = 10;
/// The permission "others may execute" marks this crate's objects.
const MODE: i32 = 0o601;

/// A side of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Sender,
    Receiver,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Sender => Side::Receiver,
            Side::Receiver => Side::Sender,
        }
    }

    /// Returns the index of the semaphore of its seat.
    pub fn seat(self) -> usize {
        FIRST_SEAT + self as usize
    }

    /// Returns the index of the semaphore that counts its members.
    pub fn count(self) -> usize {
        SENDERS + self as usize
    }

    /// Returns the index of the semaphore that it parks on.
    pub fn wake(self) -> usize {
        3 - self as usize
    }
}

fn check(result: libc::c_int, call: &str) -> i32 {
    assert_ne!(result, -1, "{call}: {}", io::Error::last_os_error());
    result
}

/// Returns the set of a key.
pub fn set(key: i32) -> Option<i32> {
    // SAFETY: takes numbers only.
    Some(unsafe { libc::semget(key, 0, 0) }).filter(|id| *id != -1)
}

/// Returns the segment of a key.
pub fn segment(key: i32) -> Option<i32> {
    // SAFETY: takes numbers only.
    Some(unsafe { libc::shmget(key, 0, 0) }).filter(|id| *id != -1)
}

/// Returns whether a member of this side sleeps.
pub fn asleep(set: i32, side: Side) -> bool {
    let waiting = |semaphore: usize| ipc::waiting(set, semaphore as i32) > 0;
    // It waits for a wake-up, for a member of the other side, or for the next poll of a flush.
    waiting(side.wake())
        || waiting(side.other().count())
        || ipc::waiting_for_zero(set, USERS as i32) > 0
}

/// Makes a set as a creator does.
pub fn make_set(key: i32) -> i32 {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | MODE;
    // SAFETY: takes numbers only.
    check(unsafe { libc::semget(key, SEMAPHORES, flags) }, "semget")
}

/// Makes a segment as a creator does. It is still all zero.
pub fn make_segment(key: i32) -> i32 {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | MODE;
    // SAFETY: takes numbers only.
    check(unsafe { libc::shmget(key, 8192, flags) }, "shmget")
}

/// Does the same as `ipcrm -s`.
pub fn remove_set(set: i32) {
    // SAFETY: takes numbers only.
    check(unsafe { libc::semctl(set, 0, libc::IPC_RMID) }, "semctl(IPC_RMID)");
}

/// Does the same as `ipcrm -m`.
pub fn remove_segment(segment: i32) {
    // SAFETY: takes numbers only.
    check(unsafe { libc::shmctl(segment, libc::IPC_RMID, ptr::null_mut()) }, "shmctl(IPC_RMID)");
}

/// Returns one operation of a `semop`: semaphore, number, and whether the kernel undoes it when the
/// process ends.
pub fn op(semaphore: usize, n: i16, undo: bool) -> libc::sembuf {
    const SEM_UNDO: i16 = 0x1000;
    let flags = libc::IPC_NOWAIT as i16 | if undo { SEM_UNDO } else { 0 };
    libc::sembuf { sem_num: semaphore as u16, sem_op: n, sem_flg: flags }
}

/// Executes all operations in one call.
pub fn semop(set: i32, ops: &mut [libc::sembuf]) {
    // SAFETY: the length is that of the slice.
    check(unsafe { libc::semop(set, ops.as_mut_ptr(), ops.len()) }, "semop");
}

/// Returns the lines of all segments and sets with this crate's mark.
pub fn marked() -> Vec<String> {
    let mut lines = Vec::new();
    for table in ["shm", "sem"] {
        let text = std::fs::read_to_string(format!("/proc/sysvipc/{table}")).expect("a table");
        for line in text.lines().skip(1) {
            let mode = line.split_whitespace().nth(2).unwrap_or_default();
            if u32::from_str_radix(mode, 8).is_ok_and(|mode| mode & 0o111 == 0o001) {
                lines.push(format!("{table} {line}"));
            }
        }
    }
    lines
}

/// An attached segment with the messages used here, accessed without any protocol.
pub struct Memory(NonNull<u8>);

impl Memory {
    pub fn of(segment: i32) -> Memory {
        // SAFETY: without an address the kernel picks a free range.
        let base = unsafe { libc::shmat(segment, ptr::null(), 0) };
        assert_ne!(base.addr(), usize::MAX, "shmat: {}", io::Error::last_os_error());
        Memory(NonNull::new(base.cast()).expect("an address"))
    }

    #[inline(always)]
    pub fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at + 8 <= at::SLOTS + CAPACITY as usize * at::STRIDE && at.is_multiple_of(8));
        // SAFETY: the address is inside the segment and aligned.
        unsafe { self.0.add(at).cast().as_ref() }
    }

    #[inline(always)]
    pub fn half(&self, at: usize) -> &AtomicU32 {
        debug_assert!(at + 4 <= at::SLOTS && at.is_multiple_of(4));
        // SAFETY: the address is inside the header and aligned.
        unsafe { self.0.add(at).cast().as_ref() }
    }

    /// Returns the offset of the slot of a position.
    #[inline(always)]
    pub fn slot(position: u64) -> usize {
        at::SLOTS + (position % CAPACITY) as usize * at::STRIDE
    }

    /// Returns the word that publishes the message of a position.
    pub fn full(position: u64) -> u64 {
        (position / CAPACITY) << 16 | 2
    }

    /// Does the same as [`move_to`](Memory::move_to) for an MPMC channel: the slots are free in the
    /// lap of the next position.
    pub fn move_to_many(&self, state: State) {
        for word in [at::TAIL, at::HEAD] {
            self.word(word).store(state.base, Ordering::Relaxed);
        }
        for position in (0..CAPACITY).map(|n| state.base.wrapping_add(n)) {
            let free = (position / CAPACITY) << 16;
            self.word(Memory::slot(position)).store(free, Ordering::Relaxed);
        }
    }

    /// Sets the state after `state.base` messages were sent and all of them received.
    pub fn move_to(&self, state: State) {
        for word in [at::TAIL, at::HEAD, at::CREDIT] {
            self.word(word).store(state.base, Ordering::Relaxed);
        }
        for back in 1..=CAPACITY {
            let sent = state.base.wrapping_sub(back);
            self.word(Memory::slot(sent)).store(Memory::full(sent), Ordering::Relaxed);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: attached once, by `of`.
        unsafe { libc::shmdt(self.0.as_ptr().cast()) };
    }
}
