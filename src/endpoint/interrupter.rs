//! The public handle that interrupts blocked calls. The protocol is in `wait/interrupt.rs`.

use std::sync::Arc;

use static_assertions::assert_impl_all;

use crate::doorbell::Registration;
use crate::liveness::ChannelSemaphores;
use crate::role::Side;
use crate::sysv::fork_guard::ForkGuard;
use crate::wait::interrupt::Interrupts;

/// A handle that ends blocked calls of a sender or receiver, from another thread or from a signal
/// handler. Made by `interrupter` of the handle, for example
/// [`mpmc::Receiver::interrupter`](crate::mpmc::Receiver::interrupter).
///
/// [`interrupt`](Interrupter::interrupt) ends the call that is blocked on the handle at that
/// moment; in an MPMC channel, all calls that are blocked on the handle and its clones. Each of
/// them returns [`RecvError::Interrupted`](crate::RecvError::Interrupted) or
/// [`SendError::Interrupted`](crate::SendError::Interrupted) once. If no call is blocked, the next
/// call that would block returns it. Nothing else changes: no message is lost, and the handle goes
/// on working.
///
/// - *Blocking calls* are those that wait: `recv` and `send` in all their forms except `try_`,
///   with and without a timeout, also in batches, in place, by iterators and for loans; `flush`;
///   `wait_for_peer`. A `try_` call neither returns nor consumes an interrupt, nor does a call that
///   need not wait.
/// - *Kept until returned.* A call that ends otherwise at the same moment, because a message
///   arrived or its timeout is over, leaves the interrupt to the next call that would block.
///   Interrupts that come before a call has returned the first one count as one.
/// - *Threads that share a member.* A thread that was not in a blocked call is not told. To end
///   several threads that use clones of one handle, let each of them call `interrupt` again before
///   it ends: the interrupt is then kept for the next one that would block.
/// - *After the handle is gone*, and in a forked child, `interrupt` does nothing.
///
/// Cloning is cheap; an interrupter keeps neither the channel nor the handle alive.
///
/// A worker that ends on SIGTERM, after the message that it is working on:
///
/// ```
/// use std::sync::OnceLock;
/// use sysvring::{Interrupter, Options, RecvError, mpmc};
///
/// static WORKER: OnceLock<Interrupter> = OnceLock::new();
///
/// extern "C" fn on_sigterm(_: libc::c_int) {
///     if let Some(worker) = WORKER.get() {
///         worker.interrupt();
///     }
/// }
///
/// # fn main() -> Result<(), sysvring::Error> {
/// let jobs: mpmc::Sender<u64> = Options::private().create()?;
/// let worker: mpmc::Receiver<u64> = Options::id(jobs.id()).attach()?;
/// WORKER.get_or_init(|| worker.interrupter());
/// // SAFETY: the handler makes only calls that are safe in signal handlers.
/// unsafe { libc::signal(libc::SIGTERM, on_sigterm as *const () as libc::sighandler_t) };
///
/// jobs.send(&7)?;
/// # unsafe { libc::raise(libc::SIGTERM) }; // somebody ends the worker
/// loop {
///     match worker.recv() {
///         Ok(job) => println!("job {job}"),
///         Err(RecvError::Interrupted) => break, // no job is in flight
///         Err(error) => return Err(error.into()),
///     }
/// }
/// worker.close()
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Interrupter {
    interruption: Arc<Interruption>,
}

/// What a handle shares with its interrupters: all that an interrupt needs, also after the handle
/// is gone.
#[derive(Debug)]
pub(crate) struct Interruption {
    registration: Arc<Registration>,
    members: ChannelSemaphores,
    side: Side,
    /// The identifier of a removed set is given to another one some time.
    nonce: u32,
    /// A child's copy of the calls is not that of the parent's threads.
    home: ForkGuard,
}

assert_impl_all!(Interrupter: Clone, Send, Sync, std::fmt::Debug);

impl Interruption {
    pub(super) fn new(members: ChannelSemaphores, side: Side, nonce: u32) -> Interruption {
        {
            let registration = Arc::new(Registration::new());
            Interruption { registration, members, side, nonce, home: ForkGuard::new() }
        }
    }

    /// Returns the blocked calls of the handle.
    pub(super) fn calls(&self) -> &Interrupts {
        self.registration.calls()
    }

    /// Returns what the handle shares with its doorbell.
    pub(super) fn registration(&self) -> &Arc<Registration> {
        &self.registration
    }
}

impl Interrupter {
    pub(super) fn of(interruption: &Arc<Interruption>) -> Interrupter {
        Interrupter { interruption: Arc::clone(interruption) }
    }

    /// Makes the calls that are blocked on the handle return, or else the next one that would
    /// block.
    ///
    /// It may be called in a signal handler, also one that interrupts a call of the same handle: it
    /// makes at most five system calls, allocates nothing, takes no lock, and keeps `errno`.
    ///
    /// ```
    /// use sysvring::{Options, RecvError, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let tx: spsc::Sender<u64> = Options::private().create()?;
    /// let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// let interrupter = rx.interrupter();
    /// let waiting = std::thread::spawn(move || rx.recv());
    /// interrupter.interrupt(); // before or after that thread blocks
    /// assert_eq!(waiting.join().unwrap(), Err(RecvError::Interrupted));
    /// # Ok(()) }
    /// ```
    pub fn interrupt(&self) {
        let Interruption { registration, members, side, nonce, home } = &*self.interruption;
        if !home.forked() {
            // A fault of the set ends the blocked calls as well.
            registration.calls().interrupt(|| _ = members.interrupt(*side, *nonce));
            registration.interrupt();
        }
    }
}
