//! A channel and its objects, accessed by hand, and neighbours that no process may change.

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use sysvring::{Address, Options};
use sysvring_support::memory::Memory;
use sysvring_support::{ipc, witness};

/// A key of this process's tests. The next key is for a neighbour. Dropping a key removes the
/// objects under it.
#[derive(Debug)]
pub struct Key(pub i32);

impl Key {
    pub fn new() -> Key {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let n = COUNT.fetch_add(1, Ordering::Relaxed) & 0xff;
            let key = Key((0x4800_0000 | (std::process::id() & 0xffff) << 8 | n) as i32);
            if (key.segment(), key.set()) == (None, None) {
                return key;
            }
            // The objects are not this test's to remove.
            std::mem::forget(key);
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
        // SAFETY: takes numbers only.
        let id = unsafe { libc::shmget(self.0, 0, 0) };
        (id != -1).then_some(id)
    }

    /// Returns the identifier of the set with this key.
    pub fn set(&self) -> Option<i32> {
        // SAFETY: takes numbers only.
        let id = unsafe { libc::semget(self.0, 0, 0) };
        (id != -1).then_some(id)
    }

    /// Removes the segment, as `ipcrm` does.
    pub fn remove_segment(&self) {
        // SAFETY: takes numbers only.
        self.segment().map(|id| unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) });
    }

    /// Removes the set, as `ipcrm` does.
    pub fn remove_set(&self) {
        // SAFETY: takes numbers only.
        self.set().map(|id| unsafe { libc::semctl(id, 0, libc::IPC_RMID) });
    }

    pub fn clear(&self) {
        self.remove_segment();
        self.remove_set();
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A channel to change, and its state after creation.
#[derive(Debug)]
pub struct Sample {
    pub memory: Memory,
    segment: i32,
    set: i32,
    words: Vec<u64>,
    values: Vec<u16>,
}

impl Sample {
    /// Records the current state of the channel with this key.
    pub fn of(key: &Key) -> Sample {
        let (segment, set) = (key.segment().expect("a segment"), key.set().expect("a set"));
        let memory = Memory::of(segment);
        Sample { words: memory.words(), values: ipc::values(set), memory, segment, set }
    }

    /// Restores the state. Returns false if the key has another channel by now.
    pub fn put_back(&self, key: &Key) -> bool {
        if (key.segment(), key.set()) != (Some(self.segment), Some(self.set)) {
            return false;
        }
        self.put_memory_back();
        ipc::set_values(self.set, &self.values);
        true
    }

    pub fn put_memory_back(&self) {
        self.memory.restore(&self.words);
    }
}

/// Another channel, and a segment and a set that do not belong to a channel.
#[derive(Debug)]
pub struct Neighbours {
    channel: Key,
    foreign: Key,
    before: String,
}

impl Neighbours {
    pub fn new() -> Neighbours {
        let (channel, foreign) = (Key::new(), Key::new());
        drop(channel.options().create::<sysvring::spsc::Sender<u64>>().expect("a neighbour"));
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
        // SAFETY: takes numbers only.
        unsafe {
            assert_ne!(libc::shmget(foreign.0, 8192, flags), -1);
            assert_ne!(libc::semget(foreign.0, 10, flags), -1);
        }
        let mut neighbours = Neighbours { channel, foreign, before: String::new() };
        neighbours.before = neighbours.look();
        neighbours
    }

    /// Returns everything that is visible of them.
    fn look(&self) -> String {
        let look = |key: &Key| {
            let (segment, set) = (key.segment().expect("there"), key.set().expect("there"));
            (segment, set, ipc::bytes(segment), ipc::values(set))
        };
        format!("{:?} {:?}", look(&self.channel), look(&self.foreign))
    }

    /// Fails if one of them was changed.
    pub fn must_be_untouched(&self) {
        assert!(self.look() == self.before, "a neighbour was changed");
    }
}

/// Returns whether something that began at `since`, on the monotonic clock, and should have taken
/// `time`, is late by more than the host excuses.
pub fn is_late(time: std::time::Duration, since: u64) -> bool {
    let took = std::time::Duration::from_nanos(sysvring_support::board::now_ns() - since);
    took > time && took > time + witness::excuse(since)
}
