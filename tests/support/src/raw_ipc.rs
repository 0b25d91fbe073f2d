//! Segments and sets without the crate under test: what `ipcrm`, other programs and stray writes do
//! to a channel, and what the kernel reports about it. The numbers are those of
//! `docs/design/memory-layout.md`.

use std::io::Read;
use std::ops::Range;
use std::os::fd::FromRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::{fmt, fs, io};

use sysvring::{Address, Options};

/// Offsets in a segment.
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
    pub const OVERWRITES: usize = 124;
    pub const NAME_LEN: usize = 100;
    pub const DEAD_LETTERS_LEN: usize = 120;
    pub const DEAD_LETTERS: usize = 1024;
    pub const TOTAL: usize = 104;
    pub const NAME: usize = 128;
    pub const TAIL: usize = 256;
    pub const HEAD: usize = 384;
    pub const CREDIT: usize = 512;
    pub const RECEIVERS: usize = 640;
    pub const SENDERS: usize = 768;
    pub const DESCRIPTION: usize = 1152;
    /// The members' table, one line for each seat.
    pub const MEMBERS: usize = 1280;
    /// The first slot, if the channel has at most 20 seats and a short structure.
    pub const SLOTS: usize = 4096;

    /// Offset in one of the two structures at [`RECEIVERS`] and [`SENDERS`].
    pub const JOINS: usize = 4;

    /// The size of a line of the members' table, and offsets in it.
    pub const MEMBER: usize = 128;
    pub const ROLE: usize = 4;
    pub const STATE: usize = 8;
    pub const LABEL_LEN: usize = 12;
    pub const LABEL: usize = 24;
    pub const JOINED: usize = 16;
    pub const DOORBELL: usize = 112;
    pub const ARMED: usize = 120;
}

/// The semaphores of a channel's set. Its seats begin at [`FIRST_SEAT`].
pub const LIFECYCLE: usize = 0;
pub const USERS: usize = 1;
pub const WAKE_RECEIVERS: usize = 2;
pub const WAKE_SENDERS: usize = 3;
pub const NONCE_LOW: usize = 4;
pub const NONCE_HIGH: usize = 5;
pub const SENDERS: usize = 6;
pub const RECEIVERS: usize = 7;
pub const FINISHED: usize = 8;
pub const DIED: usize = 9;
pub const INTERRUPT_RECEIVERS: usize = 10;
pub const INTERRUPT_SENDERS: usize = 11;
pub const FIRST_SEAT: usize = 12;
/// The tokens of the first holders of a seat.
pub const SENDER_TOKEN: i16 = 1;
pub const RECEIVER_TOKEN: i16 = 5;

/// The permission bits of segments and sets of this crate with the mode 0600. The last digit, which
/// grants no access, is the mark.
pub const MARKED: u32 = 0o601;

/// Commands of `semctl` and a flag of `semop` that libc does not define on every target.
pub const GETPID: libc::c_int = 11;
pub const GETVAL: libc::c_int = 12;
pub const GETALL: libc::c_int = 13;
pub const GETNCNT: libc::c_int = 14;
pub const GETZCNT: libc::c_int = 15;
pub const SETVAL: libc::c_int = 16;
pub const SETALL: libc::c_int = 17;
pub const SEM_UNDO: i16 = 0x1000;
/// A command of `shmctl`.
pub const SHM_INFO: libc::c_int = 14;

/// More semaphores than any channel has.
const MAX_SEMAPHORES: usize = 512;

/// Returns whether these permission bits have the mark of this crate.
pub fn is_marked(mode: u32) -> bool {
    mode & 0o111 == 0o001
}

fn check(result: libc::c_int) -> io::Result<i32> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Makes a segment of zeros under a key that is not in use.
pub fn create_segment(key: i32, bytes: usize, mode: u32) -> io::Result<i32> {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | mode as libc::c_int;
    // SAFETY: takes numbers only.
    check(unsafe { libc::shmget(key, bytes, flags) })
}

/// Makes a segment in huge pages without reserving any: if none is free, its first access is a
/// SIGBUS. Of the largest pages there is hardly ever one.
pub fn create_huge_segment(key: i32, bytes: usize, mode: u32) -> io::Result<i32> {
    const ONE_GIB: libc::c_int = 30 << 26;
    let flags = libc::SHM_HUGETLB | libc::SHM_NORESERVE;
    create_segment(key, bytes, mode | (flags | ONE_GIB) as u32)
        .or_else(|_| create_segment(key, bytes, mode | flags as u32))
}

/// Makes a set of zeros under a key that is not in use.
pub fn create_set(key: i32, semaphores: usize, mode: u32) -> io::Result<i32> {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | mode as libc::c_int;
    // SAFETY: takes numbers only.
    check(unsafe { libc::semget(key, semaphores as libc::c_int, flags) })
}

/// Returns the identifier of the segment with this key.
pub fn segment_of(key: i32) -> Option<i32> {
    // SAFETY: takes numbers only.
    found(check(unsafe { libc::shmget(key, 0, 0) }))
}

/// Returns the identifier of the set with this key.
pub fn set_of(key: i32) -> Option<i32> {
    // SAFETY: takes numbers only.
    found(check(unsafe { libc::semget(key, 0, 0) }))
}

fn found(id: io::Result<i32>) -> Option<i32> {
    match id {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => panic!("no key: {error}"),
        id => id.ok(),
    }
}

/// Removes a segment, as `ipcrm -m` does.
pub fn remove_segment(id: i32) -> io::Result<()> {
    // SAFETY: this command accesses no buffer.
    check(unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) }).map(drop)
}

/// Removes a set, as `ipcrm -s` does.
pub fn remove_set(id: i32) -> io::Result<()> {
    // SAFETY: this command takes no argument.
    check(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

/// Returns what the kernel reports about a segment.
pub fn segment_stat(id: i32) -> io::Result<libc::shmid_ds> {
    // SAFETY: zeros are a valid structure, which the kernel overwrites.
    unsafe {
        let mut stat: libc::shmid_ds = std::mem::zeroed();
        check(libc::shmctl(id, libc::IPC_STAT, &mut stat)).map(|_| stat)
    }
}

/// Returns what the kernel reports about a set.
pub fn set_stat(id: i32) -> io::Result<libc::semid_ds> {
    // SAFETY: zeros are a valid structure, which the kernel overwrites.
    unsafe {
        let mut stat: libc::semid_ds = std::mem::zeroed();
        check(libc::semctl(id, 0, libc::IPC_STAT, &raw mut stat)).map(|_| stat)
    }
}

/// Changes the owner and the mode of a segment.
pub fn chown_segment(id: i32, user: u32, mode: u32) {
    // SAFETY: zeros are a valid structure, of which the kernel reads owner and mode.
    unsafe {
        let mut stat: libc::shmid_ds = std::mem::zeroed();
        (stat.shm_perm.uid, stat.shm_perm.gid) = (user, libc::getegid());
        stat.shm_perm.mode = mode as _;
        check(libc::shmctl(id, libc::IPC_SET, &mut stat)).expect("IPC_SET");
    }
}

/// Changes the owner and the mode of a set.
pub fn chown_set(id: i32, user: u32, mode: u32) {
    // SAFETY: as above.
    unsafe {
        let mut stat: libc::semid_ds = std::mem::zeroed();
        (stat.sem_perm.uid, stat.sem_perm.gid) = (user, libc::getegid());
        stat.sem_perm.mode = mode as _;
        check(libc::semctl(id, 0, libc::IPC_SET, &raw mut stat)).expect("IPC_SET");
    }
}

/// Changes the mode of a segment of this user.
pub fn chmod_segment(id: i32, mode: u32) {
    chown_segment(id, me(), mode);
}

/// Changes the mode of a set of this user.
pub fn chmod_set(id: i32, mode: u32) {
    chown_set(id, me(), mode);
}

/// Returns the effective user of this process.
pub fn me() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Returns the value of a semaphore.
pub fn value(set: i32, semaphore: usize) -> io::Result<i32> {
    // SAFETY: this command takes no argument.
    check(unsafe { libc::semctl(set, semaphore as libc::c_int, GETVAL) })
}

/// Sets a semaphore, which no member ever does.
pub fn set_value(set: i32, semaphore: usize, value: i32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::semctl(set, semaphore as libc::c_int, SETVAL, value) }).map(drop)
}

/// Returns the values of all semaphores of a set.
pub fn try_values(set: i32) -> io::Result<Vec<u16>> {
    let mut values = vec![0; set_stat(set)?.sem_nsems as usize];
    // SAFETY: there is room for every semaphore; a set never changes their number.
    check(unsafe { libc::semctl(set, 0, GETALL, values.as_mut_ptr()) }).map(|_| values)
}

/// Returns the values of all semaphores of a set, which must exist.
#[track_caller]
pub fn values(set: i32) -> Vec<u16> {
    try_values(set).expect("GETALL")
}

/// Sets all semaphores of a set. The kernel then discards the undo records of all processes for it.
pub fn set_values(set: i32, values: &[u16]) -> io::Result<()> {
    let mut all = values.to_vec();
    all.resize(MAX_SEMAPHORES.max(values.len()), 0);
    // SAFETY: the kernel reads as many values as the set has, which is fewer.
    check(unsafe { libc::semctl(set, 0, SETALL, all.as_ptr()) }).map(drop)
}

/// Returns the process that changed a semaphore last.
pub fn pid(set: i32, semaphore: usize) -> i32 {
    // SAFETY: this command takes no argument.
    check(unsafe { libc::semctl(set, semaphore as libc::c_int, GETPID) }).unwrap_or(0)
}

/// Returns how many threads wait for a semaphore to increase; -1 if there is no such set.
pub fn waiting(set: i32, semaphore: usize) -> i32 {
    // SAFETY: this command takes no argument.
    unsafe { libc::semctl(set, semaphore as libc::c_int, GETNCNT) }
}

/// Returns how many threads wait for a semaphore to become zero.
pub fn waiting_for_zero(set: i32, semaphore: usize) -> i32 {
    // SAFETY: this command takes no argument.
    unsafe { libc::semctl(set, semaphore as libc::c_int, GETZCNT) }
}

/// Returns one operation of a `semop` that does not block: with `undo`, the kernel reverts it when
/// the process ends.
pub fn op(semaphore: usize, n: i16, undo: bool) -> libc::sembuf {
    let flags = libc::IPC_NOWAIT as i16 | if undo { SEM_UNDO } else { 0 };
    libc::sembuf { sem_num: semaphore as u16, sem_op: n, sem_flg: flags }
}

/// Executes all operations in one call.
#[track_caller]
pub fn semop(set: i32, ops: &mut [libc::sembuf]) {
    // SAFETY: the length is that of the slice.
    check(unsafe { libc::semop(set, ops.as_mut_ptr(), ops.len()) }).expect("semop");
}

/// Adds to a semaphore, as a wake-up does.
#[track_caller]
pub fn add(set: i32, semaphore: usize, n: i16) {
    semop(set, &mut [op(semaphore, n, false)]);
}

/// A key that is not in use. Dropping it removes the objects under it.
#[derive(Debug)]
pub struct Key(pub i32);

impl Key {
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Key {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let n = COUNT.fetch_add(1, Ordering::Relaxed) & 0x3ff;
            let key = (0x4c00_0000 | (std::process::id() & 0x3fff) << 10 | n) as i32;
            if (segment_of(key), set_of(key)) == (None, None) {
                return Key(key);
            }
        }
    }

    pub fn options(&self) -> Options {
        Options::key(self.0)
    }

    pub fn address(&self) -> Address {
        Address::Key(self.0)
    }

    /// Returns the identifier of the segment with this key.
    pub fn segment(&self) -> Option<i32> {
        segment_of(self.0)
    }

    /// Returns the identifier of the set with this key.
    pub fn set(&self) -> Option<i32> {
        set_of(self.0)
    }

    /// Fails if either exists.
    #[track_caller]
    pub fn assert_free(&self) {
        assert_eq!((self.segment(), self.set()), (None, None), "left under {:#x}", self.0);
    }

    /// Makes a segment as another program or a creator does.
    pub fn make_segment(&self, bytes: usize, mode: u32) -> i32 {
        create_segment(self.0, bytes, mode).expect("shmget")
    }

    /// Makes a set as another program or a creator does.
    pub fn make_set(&self, semaphores: usize, mode: u32) -> i32 {
        create_set(self.0, semaphores, mode).expect("semget")
    }

    /// Removes the segment and the set, if they exist.
    pub fn clear(&self) {
        // Another process may remove them at the same time.
        let _ = self.segment().map(remove_segment);
        let _ = self.set().map(remove_set);
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A segment that is attached separately, and read and written without any protocol. It remains
/// when this is dropped.
#[derive(Debug)]
pub struct Segment {
    pub id: i32,
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: an address range that belongs to the whole process and is accessed by atomics only.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    /// Attaches a segment, which must exist.
    #[track_caller]
    pub fn of(id: i32) -> Segment {
        Segment::attach(id).expect("shmat")
    }

    pub fn attach(id: i32) -> io::Result<Segment> {
        Segment::attach_with(id, 0)
    }

    /// Attaches a segment read-only. A write is then a SIGSEGV.
    pub fn attach_read_only(id: i32) -> io::Result<Segment> {
        Segment::attach_with(id, libc::SHM_RDONLY)
    }

    fn attach_with(id: i32, flags: libc::c_int) -> io::Result<Segment> {
        let len = segment_stat(id)?.shm_segsz;
        // SAFETY: without an address, the kernel picks a free range.
        let base = unsafe { libc::shmat(id, ptr::null(), flags) };
        match NonNull::new(base.cast()) {
            Some(base) if base.addr().get() != usize::MAX => Ok(Segment { id, base, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Makes the channel one whose messages are not described, so that types of the same layout join it.
    pub fn hide_structure(&self) {
        self.u32(at::DESCRIPTION).store(0, Ordering::Relaxed);
    }

    /// Returns the address at which it is attached.
    pub fn address(&self) -> usize {
        self.base.addr().get()
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn u8(&self, at: usize) -> &AtomicU8 {
        assert!(at < self.len);
        // SAFETY: the address is inside the segment.
        unsafe { self.base.add(at).cast().as_ref() }
    }

    #[inline]
    pub fn u32(&self, at: usize) -> &AtomicU32 {
        assert!(at + 4 <= self.len && at.is_multiple_of(4));
        // SAFETY: the address is inside the segment and aligned.
        unsafe { self.base.add(at).cast().as_ref() }
    }

    #[inline]
    pub fn u64(&self, at: usize) -> &AtomicU64 {
        assert!(at + 8 <= self.len && at.is_multiple_of(8));
        // SAFETY: the address is inside the segment and aligned.
        unsafe { self.base.add(at).cast().as_ref() }
    }

    /// Returns the bytes in a range.
    pub fn read(&self, range: Range<usize>) -> Vec<u8> {
        range.map(|at| self.u8(at).load(Ordering::Relaxed)).collect()
    }

    /// Writes as many of the bytes as fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        for (at, byte) in (offset..self.len).zip(bytes) {
            self.u8(at).store(*byte, Ordering::Relaxed);
        }
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
            self.u64(n * 8).store(*word, Ordering::Relaxed);
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: attached once, by `attach_with`.
        unsafe { libc::shmdt(self.base.as_ptr().cast()) };
    }
}

/// Returns the bytes of a segment, copied through a separate read-only attachment.
pub fn bytes(segment: i32) -> Vec<u8> {
    let segment = Segment::attach_read_only(segment).expect("shmat");
    segment.read(0..segment.len)
}

/// Returns where this process has a segment attached, as lines of its memory map.
pub fn attachments(segment: i32) -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").expect("the memory map of this process");
    // Address, mode, offset, device, and the inode, which is the segment's identifier.
    let is_it = |line: &&str| {
        let mut fields = line.split_whitespace().skip(4);
        fields.next() == Some(&segment.to_string())
            && fields.next().is_some_and(|path| path.starts_with("/SYSV"))
    };
    maps.lines().filter(is_it).map(str::to_owned).collect()
}

/// A segment or a set, as a line of the kernel's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// `shm` or `sem`.
    pub table: &'static str,
    pub key: i32,
    pub id: i32,
    /// The permission bits.
    pub mode: u32,
    pub owner: u32,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Object { table, key, id, mode, owner } = self;
        write!(f, "{table} key {key:#010x} id {id} mode {mode:o} of user {owner}")
    }
}

/// Returns all segments and sets in the IPC namespace of this thread that have the mark of this
/// crate.
pub fn marked() -> Vec<Object> {
    let mut objects = Vec::new();
    for (table, owner) in [("shm", 7), ("sem", 4)] {
        // A kernel without System V IPC has no tables.
        let text = fs::read_to_string(format!("/proc/sysvipc/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let field = |n| line.split_whitespace().nth(n).expect("a field");
            let number = |n| field(n).parse().expect("a number");
            // The other bits of a mode mark objects as locked or removed.
            let mode = u32::from_str_radix(field(2), 8).expect("a mode") & 0o777;
            let owner = field(owner).parse().expect("a user");
            if is_marked(mode) {
                objects.push(Object { table, key: number(0), id: number(1), mode, owner });
            }
        }
    }
    objects
}

/// Returns the names of the message queues of this crate in the IPC namespace of this thread; `None` if
/// this process may not list them. It must be root, of the machine or of its user namespace.
pub fn queues() -> Option<Vec<String>> {
    let mut pipe = [0; 2];
    // SAFETY: room for two descriptors.
    check(unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC) }).expect("a pipe");
    // SAFETY: the child makes system calls only, and so needs none of the locks of other threads.
    let pid = match check(unsafe { libc::fork() }).expect("fork") {
        0 => {
            let listed = list_queues(pipe[1]).is_some();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!listed)) }
        }
        pid => pid,
    };
    // SAFETY: two descriptors that nothing else owns; the child has its own copy.
    let mut entries = unsafe {
        libc::close(pipe[1]);
        fs::File::from_raw_fd(pipe[0])
    };
    let mut bytes = Vec::new();
    entries.read_to_end(&mut bytes).expect("what the child lists");
    let mut status = 0;
    // SAFETY: a child of this process, and a local variable for its status.
    while unsafe { libc::waitpid(pid, &mut status, 0) } == -1 {
        assert_eq!(io::Error::last_os_error().kind(), io::ErrorKind::Interrupted);
    }
    let names = String::from_utf8(bytes).expect("names");
    let mut names: Vec<_> =
        names.split('\0').filter(|name| name.starts_with("sysvring.")).map(str::to_owned).collect();
    names.sort();
    (status == 0).then_some(names)
}

/// Removes a queue, by the name that [`queues`] returns.
pub fn unlink_queue(name: &str) {
    let name = std::ffi::CString::new(format!("/{name}")).expect("no zero in it");
    // SAFETY: a string that outlives the call.
    check(unsafe { libc::mq_unlink(name.as_ptr()) }).expect("it is there");
}

/// Writes the names of all queues, each followed by a zero. They are shown by a file system, which is
/// mounted for this process alone.
fn list_queues(to: i32) -> Option<()> {
    let done = |result: libc::c_long| (result >= 0).then_some(result);
    let none = ptr::null::<libc::c_void>();
    // SAFETY: numbers, strings that outlive the calls, and a buffer of the length that is passed.
    unsafe {
        done(libc::unshare(libc::CLONE_NEWNS).into())?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        done(libc::mount(c"none".as_ptr(), c"/".as_ptr(), ptr::null(), private, none).into())?;
        let (kind, at) = (c"mqueue".as_ptr(), c"/dev".as_ptr());
        done(libc::mount(kind, at, kind, 0, none).into())?;
        let fd = done(libc::open(at, libc::O_RDONLY | libc::O_DIRECTORY).into())?;
        let mut buffer = [0u64; 1024];
        loop {
            let size = size_of_val(&buffer);
            let len = done(libc::syscall(libc::SYS_getdents64, fd, buffer.as_mut_ptr(), size))?;
            if len == 0 {
                return Some(());
            }
            let entries = buffer.as_ptr().cast::<u8>();
            let mut at = 0;
            while at < len as usize {
                // The number, the offset, the length of the entry and its type come first.
                let entry = entries.add(at).cast::<libc::dirent64>();
                let name = (&raw const (*entry).d_name).cast::<u8>();
                let len = libc::strlen(name.cast()) + 1;
                done(libc::write(to, name.cast(), len) as libc::c_long)?;
                at += usize::from((*entry).d_reclen);
            }
        }
    }
}

/// Removes a message queue.
pub fn remove_queue(name: &str) {
    let name = std::ffi::CString::new(format!("/{name}")).expect("a name");
    // SAFETY: a string that outlives the call.
    unsafe { libc::mq_unlink(name.as_ptr()) };
}
