//! An IPC namespace for each test, and the check that the test leaves nothing in it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sysvring_support::ipc_namespace;
use sysvring_support::raw_ipc::{Object, marked, me};

/// Held by a test that has no namespace of its own.
static SHARED: Mutex<()> = Mutex::new(());

/// The time that the kernel may take to end processes that were just killed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The segments and sets that existed before the test.
pub struct IpcFixture {
    before: Vec<Object>,
    _shared: Option<MutexGuard<'static, ()>>,
}

impl IpcFixture {
    /// Moves this thread, and the processes it starts, to a new IPC namespace. If the kernel does
    /// not allow that, tests run one after the other, and other programs may disturb them.
    pub fn new() -> IpcFixture {
        let shared = (!ipc_namespace::enter())
            .then(|| SHARED.lock().unwrap_or_else(PoisonError::into_inner));
        IpcFixture { before: marked(), _shared: shared }
    }

    /// Returns whether no segment or set of this crate and user was added.
    pub fn is_clean(&self) -> bool {
        self.left().is_empty()
    }

    /// Fails if a segment or set remains.
    pub fn assert_clean(&self) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.is_clean() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(self.left(), [], "left behind");
    }

    fn left(&self) -> Vec<Object> {
        let mut now = marked();
        now.retain(|object| object.owner == me() && !self.before.contains(object));
        now
    }
}
