//! The thread that wakes the tasks of this process, outside of tokio.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
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
    let (begun, has_begun) = mpsc::channel();
    let started = Builder::new().name(NAME.into()).spawn(move || run(&shared, &begun));
    started.map_err(|error| ("clone", Errno::from(error)))?;
    has_begun.recv_timeout(BEGIN).map_err(|_| ("epoll_wait", Errno::ETIMEDOUT))?;
    *thread = Some(Arc::clone(&reactor));
    Ok(reactor)
}

fn run(reactor: &Reactor, begun: &Sender<()>) {
    process::block_signals();
    let mut at_most = Some(Duration::ZERO);
    loop {
        // A waker that panics concerns the others as little as possible.
        let turned = catch_unwind(AssertUnwindSafe(|| reactor.turn(at_most)));
        if at_most.take().is_some() {
            // The other end waits no longer than it takes.
            let _ = begun.send(());
        }
        if !matches!(turned, Ok(Ok(_))) {
            thread::sleep(PAUSE);
        }
    }
}
