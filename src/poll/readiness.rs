//! A file descriptor for one handle.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use super::Pollable;
use crate::doorbell::{Doorbell, Registration};
use crate::error::{Error, Fault};

/// A file descriptor that is readable while a handle may be ready, for `poll`, `epoll` or any event
/// loop.
///
/// It is readable from the start. It becomes unreadable when a `try_` call on the handle returns
/// that there is nothing to do ([`RecvError::Empty`](crate::RecvError::Empty),
/// [`SendError::Full`](crate::SendError::Full), or `Behind`), and readable again when there may be
/// something: a message or room, the end of the stream, the death of a member, the removal of the
/// channel, an interrupt. So a loop that waits for the descriptor and then calls `try_` until there
/// is nothing more misses nothing; one that stops earlier is told again, unless it is edge-triggered,
/// as mio is. An idle descriptor becomes readable five times a second, for a moment. After
/// `Disconnected` it stays readable: see [`rest_until_peer`](Readiness::rest_until_peer).
///
/// The handle is used as before, also by calls that block. It must not be used in a signal handler
/// meanwhile. For many handles, a [`WaitSet`](crate::WaitSet) needs fewer descriptors: this one
/// takes five in this process, and one message queue of the system.
///
/// ```
/// use std::os::fd::{AsFd, AsRawFd};
/// use sysvring::{Options, Readiness, RecvError, mpmc};
/// # fn main() -> Result<(), sysvring::Error> {
/// # fn poll(fd: i32, timeout: i32) -> i32 {
/// #     let mut fd = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
/// #     unsafe { libc::poll(&mut fd, 1, timeout) }
/// # }
/// let tx: mpmc::Sender<u64> = Options::private().create()?;
/// let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
/// let readiness = Readiness::of(&rx)?;
/// let fd = readiness.as_fd().as_raw_fd();
///
/// assert_eq!(rx.try_recv(), Err(RecvError::Empty));
/// assert_eq!(poll(fd, 0), 0);
/// tx.send(&7)?;
/// assert_eq!(poll(fd, -1), 1);
/// assert_eq!(rx.try_recv(), Ok(7));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Readiness {
    doorbell: Arc<Doorbell>,
    registration: Arc<Registration>,
}

impl Readiness {
    /// Makes the descriptor of a handle. For an MPMC handle it counts for all clones: each is told
    /// of by the same descriptor.
    ///
    /// # Errors
    /// [`Error::InWaitSet`] if the handle is in a wait set or has a descriptor already, or a task waits for
    /// it;
    /// [`Error::Limit`] if the system's limit on message queues or descriptors is reached: the error
    /// says which, and what to do; [`Error::Fault`] in a forked child.
    pub fn of(handle: &impl Pollable) -> Result<Readiness, Error> {
        let endpoint = handle.endpoint();
        let doorbell = endpoint.solo_doorbell()?;
        endpoint.register(&doorbell)?;
        let registration = Arc::clone(endpoint.attachment.registration());
        Ok(Readiness { doorbell, registration })
    }

    /// Makes the descriptor unreadable until a member of the other side joins: as
    /// [`WaitSet::rest_until_peer`](crate::WaitSet::rest_until_peer).
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn rest_until_peer(&self, handle: &impl Pollable) -> Result<(), Fault> {
        handle.endpoint().rest_until_peer(&self.doorbell)
    }

    /// Returns whether the handle was interrupted by an [`Interrupter`](crate::Interrupter) since
    /// the last call: the descriptor is readable after an interrupt, but no `try_` call returns it.
    pub fn take_interrupt(&self) -> bool {
        let was_interrupted = self.registration.calls().take_pending();
        if was_interrupted && !self.doorbell.is_forked() {
            // It may be readable for that alone.
            self.doorbell.is_armed();
        }
        was_interrupted
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.doorbell.polled_fd()
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        self.doorbell.close();
    }
}

impl AsRawFd for Readiness {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
