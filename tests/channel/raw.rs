//! The kernel's objects by hand: what `ipcrm`, other programs and stray writes do to a channel.

use std::io;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sysvring::{Address, Options};
pub use sysvring_support::memory::Memory;
use sysvring_support::work;
use sysvring_support::worker::{Orders, hear, say};

/// Where receivers and senders sleep, in a channel's set.
pub const WAKE_RECEIVERS: i32 = 2;
pub const WAKE_SENDERS: i32 = 3;

/// Where the fields lie, by the numbers of `docs/design/memory-layout.md`.
pub mod at {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 8;
    pub const HEADER_SIZE: usize = 12;
    pub const FLAVOR: usize = 16;
    pub const SEATS: usize = 20;
    pub const CAPACITY: usize = 24;
    pub const SLOT_SIZE: usize = 32;
    pub const STRIDE: usize = 40;
    pub const SHAPE: usize = 48;
    pub const ALIGN: usize = 52;
    pub const SIZE: usize = 56;
    pub const ELEMENT: usize = 64;
    pub const SCHEMA: usize = 72;
    pub const SET: usize = 80;
    pub const NONCE: usize = 84;
    pub const CREATED: usize = 88;
    pub const LIFETIME: usize = 96;
    pub const NAME_LEN: usize = 100;
    pub const TOTAL: usize = 104;
    pub const NAME: usize = 128;
    pub const TAIL: usize = 256;
    pub const HEAD: usize = 384;
    pub const CREDIT: usize = 512;
    pub const RECEIVERS: usize = 640;
    pub const SENDERS: usize = 768;
    pub const MEMBERS: usize = 1024;
    pub const SLOTS: usize = 4096;
}

/// Bytes of the header that mean something: what follows up to the slots is never read.
pub const HEADER_USED: usize = at::MEMBERS + 2 * 128;

/// The word of a slot whose message is there.
pub fn full(lap: u64) -> u64 {
    lap << 16 | 2
}

/// Long for what should be at once, short for a test.
pub const MOMENT: Duration = Duration::from_millis(300);

/// The semaphores of a channel's set.
pub const LIFECYCLE: u16 = 0;
pub const USERS: u16 = 1;

fn check(result: libc::c_int) -> io::Result<i32> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A key that nobody else uses. Dropped, it removes whatever lies there.
pub struct Key(pub i32);

impl Key {
    pub fn new() -> Key {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let n = COUNT.fetch_add(1, Ordering::Relaxed) & 0x3ff;
            let key = Key((0x4c00_0000 | (std::process::id() & 0x3fff) << 10 | n) as i32);
            if key.segment().is_none() && key.set().is_none() {
                return key;
            }
            // Not ours to remove.
            std::mem::forget(key);
        }
    }

    pub fn options(&self) -> Options {
        Options::key(self.0)
    }

    pub fn address(&self) -> Address {
        Address::Key(self.0)
    }

    /// The identifier of the segment with this key.
    pub fn segment(&self) -> Option<i32> {
        // SAFETY: numbers only.
        found(check(unsafe { libc::shmget(self.0, 0, 0) }))
    }

    /// The identifier of the set with this key.
    pub fn set(&self) -> Option<i32> {
        // SAFETY: numbers only.
        found(check(unsafe { libc::semget(self.0, 0, 0) }))
    }

    /// Fails unless neither is there.
    pub fn assert_free(&self) {
        assert_eq!((self.segment(), self.set()), (None, None), "left under {:#x}", self.0);
    }

    /// Removes whatever lies there.
    pub fn clear(&self) {
        // SAFETY: numbers only; nobody but this test uses the key.
        unsafe {
            let segment = libc::shmget(self.0, 0, 0);
            if segment != -1 {
                libc::shmctl(segment, libc::IPC_RMID, ptr::null_mut());
            }
            let set = libc::semget(self.0, 0, 0);
            if set != -1 {
                libc::semctl(set, 0, libc::IPC_RMID);
            }
        }
    }

    /// A segment made by another program, or half of one of ours, all zero.
    pub fn make_segment(&self, bytes: usize, mode: i32) -> i32 {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | mode;
        // SAFETY: numbers only.
        check(unsafe { libc::shmget(self.0, bytes, flags) }).expect("shmget")
    }

    /// A set made by another program, or half of one of ours, all zero.
    pub fn make_set(&self, semaphores: i32, mode: i32) -> i32 {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | mode;
        // SAFETY: numbers only.
        check(unsafe { libc::semget(self.0, semaphores, flags) }).expect("semget")
    }
}

fn found(id: io::Result<i32>) -> Option<i32> {
    match id {
        Ok(id) => Some(id),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => None,
        Err(error) => panic!("looking for a key: {error}"),
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Takes a semaphore as a creator would, and keeps it until the end.
#[work]
fn hold_semaphore(orders: &mut Orders) {
    let (set, semaphore): (i32, u16) = (orders.next(), orders.next());
    let mut up = libc::sembuf { sem_num: semaphore, sem_op: 1, sem_flg: 0x1000 };
    // SAFETY: one operation, as said.
    check(unsafe { libc::semop(set, &mut up, 1) }).expect("semop");
    say("held");
    hear();
}

/// This process gets an IPC namespace of its own, with no objects of others in it. Whether it did: an
/// ordinary user needs a user namespace for it, which not every system gives.
pub fn own_namespace() -> bool {
    // SAFETY: numbers only; for processes of one thread that have nothing of System V yet.
    unsafe {
        libc::unshare(libc::CLONE_NEWIPC) == 0
            || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWIPC) == 0
    }
}

/// All segments and sets with this crate's mark, as the kernel tells of them.
pub fn objects() -> Vec<String> {
    let mut marked = Vec::new();
    for table in ["shm", "sem"] {
        let text = std::fs::read_to_string(format!("/proc/sysvipc/{table}")).expect("a table");
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().take(3).collect();
            if i32::from_str_radix(fields[2], 8).expect("a mode") & 0o111 == 1 {
                marked.push(format!("{table} {}", fields.join(" ")));
            }
        }
    }
    marked
}

/// `ipcrm -m`, or `-s`: by the program where it is installed, else by what it calls.
pub fn ipcrm(option: &str, id: i32) {
    let program =
        Command::new("ipcrm").arg(option).arg(id.to_string()).stderr(Stdio::null()).status();
    let done = match (program, option) {
        (Ok(status), _) => status.success(),
        // SAFETY: numbers only.
        (Err(_), "-m") => unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) == 0 },
        // SAFETY: numbers only.
        (Err(_), _) => unsafe { libc::semctl(id, 0, libc::IPC_RMID) == 0 },
    };
    assert!(done, "ipcrm {option} {id}");
}

/// Sets a semaphore, which no member ever does.
pub fn set_semaphore(set: i32, semaphore: u16, value: i32) {
    // SAFETY: numbers only.
    check(unsafe { libc::semctl(set, semaphore.into(), libc::SETVAL, value) }).expect("SETVAL");
}

/// Changes the mode of a segment of ours.
pub fn chmod_segment(id: i32, mode: u16) {
    // SAFETY: zeros are valid, and the kernel reads owner and mode of it.
    unsafe {
        let mut stat: libc::shmid_ds = std::mem::zeroed();
        (stat.shm_perm.uid, stat.shm_perm.gid) = (libc::geteuid(), libc::getegid());
        stat.shm_perm.mode = mode as _;
        check(libc::shmctl(id, libc::IPC_SET, &mut stat)).expect("IPC_SET");
    }
}

/// Changes the mode of a set of ours.
pub fn chmod_set(id: i32, mode: u16) {
    // SAFETY: as above.
    unsafe {
        let mut stat: libc::semid_ds = std::mem::zeroed();
        (stat.sem_perm.uid, stat.sem_perm.gid) = (libc::geteuid(), libc::getegid());
        stat.sem_perm.mode = mode as _;
        check(libc::semctl(id, 0, libc::IPC_SET, &mut stat)).expect("IPC_SET");
    }
}
