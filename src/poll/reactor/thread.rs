//! The thread that wakes the tasks of this process, outside of tokio.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::Duration;

use super::{Reactor, Reactors, lock};
use crate::doorbell::Failed;
use crate::sysv::{Errno, process};

/// The name of the thread, as `top -H` shows it.
const NAME: &str = "sysvring-tasks";

/// How long the thread rests if it cannot wait.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest time to wait for the thread to begin. A seccomp filter may end it at its first system
/// call without a trace, and a task would wait for ever.
const BEGIN: Duration = Duration::from_secs(2);

/// Returns the reactor, and starts its thread on first use. The thread is idle while no task waits,
/// and ends with the process.
pub(super) fn reactor(reactors: &Reactors) -> Result<Arc<Reactor>, Failed> {
    let mut thread = lock(&reactors.thread);
    if let Some(reactor) = &*thread {
        return Ok(Arc::clone(reactor));
    }
    let reactor = Arc::new(Reactor::new()?);
    let shared = Arc::clone(&reactor);
    let begun = Arc::new(Begun::default());
    let begins = Arc::clone(&begun);
    let started = Builder::new().name(NAME.into()).spawn(move || run(&shared, &begins));
    started.map_err(|error| ("clone", Errno::from(error)))?;
    if !begun.wait() {
        return Err(("epoll_wait", Errno::ETIMEDOUT));
    }
    *thread = Some(Arc::clone(&reactor));
    Ok(reactor)
}

/// Whether the thread has begun.
///
/// A channel would not do: to wait for it parks the thread, which is that of an executor. One that is woken by
/// [`Thread::unpark`](thread::Thread::unpark) would lose a wake-up that came before.
#[derive(Debug, Default)]
struct Begun {
    has_begun: Mutex<bool>,
    changed: Condvar,
}

impl Begun {
    fn set(&self) {
        *lock(&self.has_begun) = true;
        self.changed.notify_all();
    }

    /// Waits until the thread has begun, but no longer than [`BEGIN`]. Returns whether it has.
    fn wait(&self) -> bool {
        let has_begun = lock(&self.has_begun);
        let waited = self.changed.wait_timeout_while(has_begun, BEGIN, |has_begun| !*has_begun);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn run(reactor: &Reactor, begun: &Begun) {
    process::block_signals();
    let mut at_most = Some(Duration::ZERO);
    loop {
        // A waker that panics concerns the others as little as possible.
        let turned = catch_unwind(AssertUnwindSafe(|| reactor.turn(at_most)));
        if at_most.take().is_some() {
            begun.set();
        }
        if !matches!(turned, Ok(Ok(_))) {
            thread::sleep(PAUSE);
        }
    }
}
