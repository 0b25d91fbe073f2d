//! The reactors of tokio runtimes: each is driven by a task of its runtime, which waits for the
//! doorbell's descriptor.

use std::future::poll_fn;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};

use super::{Reactor, Reactors, lock};
use crate::doorbell::Failed;

/// The reactors of the runtimes of this process.
#[derive(Debug, Default)]
pub(super) struct Runtimes {
    driven: Vec<(Id, Arc<Reactor>)>,
    /// Runtimes that cannot wait for descriptors: the thread is for their tasks.
    without_io: Vec<Id>,
}

/// Returns the reactor of the runtime that this code runs in, and starts its task on first use; `None`
/// outside of a runtime.
pub(super) fn of_runtime(reactors: &'static Reactors) -> Option<Result<Arc<Reactor>, Failed>> {
    let runtime = Handle::try_current().ok()?;
    let id = runtime.id();
    let mut runtimes = lock(&reactors.runtimes);
    if runtimes.without_io.contains(&id) {
        return None;
    }
    if let Some((_, reactor)) = runtimes.driven.iter().find(|(driven, _)| *driven == id) {
        return Some(Ok(Arc::clone(reactor)));
    }
    let reactor = match Reactor::new() {
        Ok(reactor) => Arc::new(reactor),
        Err(failed) => return Some(Err(failed)),
    };
    runtimes.driven.push((id, Arc::clone(&reactor)));
    drop(runtimes);
    // A runtime that is shutting down drops the driver at once.
    runtime.spawn(Driver { reactors, id, reactor: Arc::clone(&reactor) }.run());
    Some(Ok(reactor))
}

/// The task that drives a reactor. Dropping it abandons the reactor.
struct Driver {
    reactors: &'static Reactors,
    id: Id,
    reactor: Arc<Reactor>,
}

/// Puts this task behind those that are about to run. tokio's `yield_now` would also poll all
/// descriptors in between.
async fn requeue() {
    let mut is_requeued = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_requeued, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The descriptor of a reactor's doorbell.
struct Descriptor(Arc<Reactor>);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.doorbell.poll().as_fd().as_raw_fd()
    }
}

impl Driver {
    async fn run(self) {
        let descriptor = Descriptor(Arc::clone(&self.reactor));
        // Tokio panics in a runtime that was built without IO, and there is no other way to ask. Newer
        // versions have another call for descriptors that may be closed meanwhile; this one is not.
        #[allow(deprecated, reason = "that call does not exist in the minimal version")]
        let add = || AsyncFd::try_with_interest(descriptor, Interest::READABLE).ok();
        let Ok(Some(fd)) = catch_unwind(AssertUnwindSafe(add)) else {
            lock(&self.reactors.runtimes).without_io.push(self.id);
            return;
        };
        let mut may_be_ring = true;
        // A turn that fails would fail again: the tasks turn to another reactor.
        while let Ok(mut ready) = fd.readable().await {
            let has_rung = may_be_ring && self.reactor.answer_ring();
            let turn = if has_rung { Ok(true) } else { self.reactor.turn(Some(Duration::ZERO)) };
            match turn {
                Ok(true) => {
                    ready.retain_ready();
                    drop(ready);
                    // Woken tasks run before the turn that finds out whether there is more.
                    requeue().await;
                }
                // What comes after that turn makes it ready again.
                Ok(false) => ready.clear_ready(),
                Err(_) => break,
            }
            may_be_ring = !has_rung;
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        lock(&self.reactors.runtimes).driven.retain(|(id, _)| *id != self.id);
        self.reactor.abandon();
    }
}
