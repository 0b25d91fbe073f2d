//! What the kernel reports about segments and sets, obtained without the crate under test.

use std::io;

/// Returns the values of all semaphores of a set, followed by zeros.
pub fn values(set: i32) -> Vec<u16> {
    const GETALL: libc::c_int = 13;
    let mut values = vec![0u16; 512];
    // SAFETY: a channel's set has at most 262 semaphores, fewer than there is room for.
    let result = unsafe { libc::semctl(set, 0, GETALL, values.as_mut_ptr()) };
    assert_ne!(result, -1, "semctl(GETALL): {}", io::Error::last_os_error());
    values
}

/// Sets all semaphores of a set. The kernel then discards the undo records of all processes for it.
pub fn set_values(set: i32, values: &[u16]) {
    const SETALL: libc::c_int = 17;
    assert_eq!(values.len(), 512, "the length that `values` returns, larger than any set");
    // SAFETY: the kernel reads as many values as the set has, which is fewer.
    let result = unsafe { libc::semctl(set, 0, SETALL, values.as_ptr()) };
    assert_ne!(result, -1, "semctl(SETALL): {}", io::Error::last_os_error());
}

/// Returns how many threads wait for a semaphore to increase.
pub fn waiting(set: i32, semaphore: i32) -> i32 {
    const GETNCNT: libc::c_int = 14;
    // SAFETY: numbers only.
    unsafe { libc::semctl(set, semaphore, GETNCNT) }
}

/// Returns how many threads wait for a semaphore to become zero.
pub fn waiting_for_zero(set: i32, semaphore: i32) -> i32 {
    const GETZCNT: libc::c_int = 15;
    // SAFETY: numbers only.
    unsafe { libc::semctl(set, semaphore, GETZCNT) }
}

/// Adds to a semaphore, as a wake-up does.
pub fn add(set: i32, semaphore: i32, n: i16) {
    let mut op = libc::sembuf { sem_num: semaphore as u16, sem_op: n, sem_flg: 0 };
    // SAFETY: one operation, read during the call.
    let result = unsafe { libc::semop(set, &mut op, 1) };
    assert_ne!(result, -1, "semop: {}", io::Error::last_os_error());
}

/// Returns the bytes of a segment, copied through a separate read-only attachment.
pub fn bytes(segment: i32) -> Vec<u8> {
    // SAFETY: the kernel fills the zeroed structure and picks a free range; the whole segment is
    // mapped there until it is detached. A byte that is being written meanwhile is read as some
    // value.
    unsafe {
        let mut stat: libc::shmid_ds = std::mem::zeroed();
        let result = libc::shmctl(segment, libc::IPC_STAT, &mut stat);
        assert_ne!(result, -1, "shmctl(IPC_STAT): {}", io::Error::last_os_error());
        let base = libc::shmat(segment, std::ptr::null(), libc::SHM_RDONLY);
        assert_ne!(base.addr(), usize::MAX, "shmat: {}", io::Error::last_os_error());
        let start = base.cast::<u8>();
        let copy = (0..stat.shm_segsz).map(|at| start.add(at).read_volatile()).collect();
        libc::shmdt(base);
        copy
    }
}

/// Returns where this process has a segment attached, as lines of its memory map.
pub fn attachments(segment: i32) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the memory map of this process");
    // Address, mode, offset, device, and the inode, which is the segment's identifier.
    let is_it = |line: &&str| {
        let mut fields = line.split_whitespace().skip(4);
        fields.next() == Some(&segment.to_string())
            && fields.next().is_some_and(|path| path.starts_with("/SYSV"))
    };
    maps.lines().filter(is_it).map(str::to_owned).collect()
}
