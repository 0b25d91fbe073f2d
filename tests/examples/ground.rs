//! Where a test stands: among no other objects of System V than its own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// For tests that have no namespace of their own.
static TURN: Mutex<()> = Mutex::new(());

/// How long the kernel may take with processes that were just killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The segments and sets before the test.
pub struct Ground {
    before: Vec<String>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Ground {
    /// An IPC namespace for this thread and the processes it starts, where the kernel permits one.
    /// Elsewhere tests wait for each other, and other programs may disturb them.
    pub fn new() -> Ground {
        // SAFETY: a number; concerns this thread only, which has no semaphores.
        let alone = unsafe { libc::unshare(libc::CLONE_NEWIPC) } == 0;
        let turn = (!alone).then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        Ground { before: ours(), _turn: turn }
    }

    /// Whether there is something of this crate that was not there before.
    pub fn is_clean(&self) -> bool {
        self.left().is_empty()
    }

    /// Makes sure that nothing stays.
    pub fn assert_clean(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_clean() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let left = self.left();
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    }

    fn left(&self) -> Vec<String> {
        ours().into_iter().filter(|object| !self.before.contains(object)).collect()
    }
}

/// The segments and sets of this user with the mark of this crate; of each what does not change.
fn ours() -> Vec<String> {
    // SAFETY: always succeeds.
    let me = unsafe { libc::geteuid() }.to_string();
    let mut found = Vec::new();
    for (table, owner) in [("shm", 7), ("sem", 4)] {
        // The table of the calling thread's namespace.
        let text = std::fs::read_to_string(format!("/proc/sysvipc/{table}")).expect("the table");
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (key, id, mode) = (fields[0], fields[1], fields[2]);
            if mode.ends_with('1') && fields[owner] == me {
                found.push(format!("{table} key {key} id {id} mode {mode}"));
            }
        }
    }
    found
}
