//! Waiting for many handles, descriptors and times at once.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use static_assertions::assert_impl_all;

use super::Pollable;
use super::event::{Event, Interest, Token};
use crate::doorbell::{self, Doorbell, Kind};
use crate::error::{Error, Fault};
use crate::os_error::Call;
use crate::role::Side;
use crate::sysv::event::{Ready, TimerFd};
use crate::sysv::time::{self, Deadline};

/// What a set's errors name as the channel.
const SET: &str = "none (a wait set)";

/// A set of senders, receivers, file descriptors and times, of which one call waits for any.
///
/// [`wait`](WaitSet::wait) returns everything that is ready, in no particular order. A handle is
/// *ready* until a `try_` call on it returns that there is nothing to do:
/// [`RecvError::Empty`](crate::RecvError::Empty), [`SendError::Full`](crate::SendError::Full), or
/// `Behind`. So call `try_recv` until it returns `Empty`, or as often as you like: what is left is
/// reported by the next wait, and nothing can be missed. A handle that was just added is ready. The
/// end of a stream, the death of a peer, the removal of the channel and an interrupt make it ready,
/// and the `try_` call returns them as the blocking call would.
///
/// - *Cost.* Waiting does not take longer with more handles: handles stay armed until their turn
///   comes. A set has one message queue of the system and four descriptors, and one more for each
///   process that it exchanges messages with. A channel that nobody waits for in this way costs
///   nothing more per message; one that is waited for costs its other side a system call per wait.
/// - *Latency.* A message, room, a departure, the removal by [`remove`](crate::remove): about that of
///   a Unix socket in `epoll`, a third longer if both sides share a processor. The death of a process:
///   when the kernel has ended it; 20 ms if that process is in a PID namespace that is not visible
///   from here, or without `pidfd_open` (Linux 5.3). `ipcrm`: a second. A member that was woken for a
///   message and takes none, or that is stopped (SIGSTOP): others are woken after 200 ms. In a
///   set of more than 200 handles, these two times are 5 ms and 1 ms for each handle.
/// - *Sharing.* All methods take `&self`. Handles may be added and removed while another thread waits;
///   several threads may wait, and an event is returned to one of them or to more.
/// - *In other loops.* The set itself is a descriptor ([`AsFd`]) that is readable while `wait` would
///   return something: put it into `epoll`, mio, or the event loop of another language, and call
///   `wait` with a timeout of zero.
/// - *Signals.* A handle in a set must not be used in a signal handler. Notifiers and interrupters
///   may.
///
/// ```
/// use sysvring::{Options, RecvError, WaitSet, mpmc, spsc};
/// # fn main() -> Result<(), sysvring::Error> {
/// # let ticks_tx: mpmc::Sender<u64> = Options::private().create()?;
/// # let mut orders_tx: spsc::Sender<[u8]> = Options::private().slot_size(64).create()?;
/// # let (ticks_id, orders_id) = (ticks_tx.id(), orders_tx.id());
/// let ticks: mpmc::Receiver<u64> = Options::id(ticks_id).attach()?;
/// let mut orders: spsc::Receiver<[u8]> = Options::id(orders_id).attach()?;
///
/// let set = WaitSet::new()?;
/// let (tick, order) = (set.add(&ticks)?, set.add(&orders)?);
/// # ticks_tx.send(&1)?;
/// # orders_tx.send(b"buy")?;
/// # let mut rounds = 0;
/// loop {
///     for event in set.wait(None)? {
///         if event.token() == tick {
///             while let Ok(message) = ticks.try_recv() {
///                 println!("tick {message}");
///             }
///         } else if event.token() == order {
///             while let Ok(message) = orders.try_recv_ref() {
///                 println!("order {message:?}");
/// #               rounds += 1;
///                 message.ack()?;
///             }
///         }
///     }
/// #   if rounds == 1 { break }
/// }
/// # assert_eq!(ticks.try_recv(), Err(RecvError::Empty));
/// # assert!(set.wait(Some(std::time::Duration::ZERO))?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct WaitSet {
    doorbell: Arc<Doorbell>,
    /// Readable when the first of the deadlines has passed.
    timer: TimerFd,
    state: Mutex<State>,
}

assert_impl_all!(WaitSet: Send, Sync);

#[derive(Debug, Default)]
struct State {
    /// The last token.
    last: u64,
    /// The handles: their keys at the doorbell.
    handles: BTreeMap<u64, (u32, Side)>,
    /// The tokens of handles by their keys.
    by_key: BTreeMap<u32, u64>,
    fds: BTreeMap<u64, RawFd>,
    /// Deadlines and their tokens, the next one first.
    deadlines: BTreeMap<(u64, u64), ()>,
    notifier: Option<u64>,
}

/// The number of the timer among the doorbell's descriptors; those of users come after it.
const TIMER: u64 = doorbell::FIRST_FREE;

/// Wakes a thread that waits for a [`WaitSet`], from another thread or from a signal handler.
/// Several notifications before the next wait count as one.
#[derive(Clone, Debug)]
pub struct Notifier {
    doorbell: Arc<Doorbell>,
    token: Token,
}

impl Notifier {
    /// Makes the set's next wait, or the present one, return the notifier's token.
    pub fn notify(&self) {
        self.doorbell.notify();
    }

    /// Returns the token of this notifier's events.
    pub fn token(&self) -> Token {
        self.token
    }
}

impl WaitSet {
    /// Makes an empty set.
    ///
    /// # Errors
    /// [`Error::System`] if the process may not open more descriptors.
    pub fn new() -> Result<WaitSet, Error> {
        let failed = |(name, errno)| Call::new(name, SET).doorbell(errno);
        let doorbell = Doorbell::new(Kind::Set).map_err(failed)?;
        let timer = TimerFd::new().map_err(|errno| failed(("timerfd_create", errno)))?;
        let added = doorbell.poll().add(&timer, TIMER, true, false);
        added.map_err(|errno| failed(("epoll_ctl", errno)))?;
        let state = Mutex::new(State { last: TIMER, ..State::default() });
        Ok(WaitSet { doorbell, timer, state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a handle rest until a member of the other side joins.
    ///
    /// A handle whose call returned `Disconnected` stays ready, and every wait returns it. Call this to
    /// wait for the next member instead of [removing](WaitSet::remove) the handle; one that joined since
    /// that call makes it ready at once. Messages that you left in the channel are not reported
    /// meanwhile. The removal of the channel, an interrupt, and a member of its own side that joins or
    /// leaves end the rest, too. A handle that is not in this set is left as it is.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use sysvring::{Options, RecvError, WaitSet, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let name = format!("doc-rest-{}", std::process::id());
    /// # let name = name.as_str();
    /// let tx: spsc::Sender<u64> = Options::named(name).create()?;
    /// let mut rx: spsc::Receiver<u64> = Options::named(name).attach()?;
    /// let set = WaitSet::new()?;
    /// set.add(&rx)?;
    /// drop(tx);
    /// assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
    /// set.rest_until_peer(&rx)?;
    /// assert!(set.wait(Some(Duration::ZERO))?.is_empty());
    /// let next: spsc::Sender<u64> = Options::named(name).attach()?;
    /// assert_eq!(set.wait(None)?.len(), 1);
    /// # drop((next, rx));
    /// # sysvring::remove(name)
    /// # }
    /// ```
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on: remove it from the set.
    pub fn rest_until_peer(&self, handle: &impl Pollable) -> Result<(), Fault> {
        handle.endpoint().rest_until_peer(&self.doorbell)
    }

    /// Adds a handle. It stays usable as before, and leaves the set when it is dropped or closed.
    /// The clones of an MPMC handle are in the set together with it.
    ///
    /// # Errors
    /// [`Error::InWaitSet`] if the handle is in a set already, a task waits for it, or it has a
    /// [`Readiness`](crate::Readiness); [`Error::Limit`] if a limit of the system is reached, the
    /// one on message queues above all (`fs.mqueue.queues_max`): the error says which, and what to
    /// do; [`Error::Fault`] if the handle is unusable, and in a forked child.
    pub fn add(&self, handle: &impl Pollable) -> Result<Token, Error> {
        if self.doorbell.is_forked() {
            return Err(Fault::Forked.into());
        }
        let endpoint = handle.endpoint();
        // Held until the token is known: a wait may return the handle at once.
        let mut state = self.lock();
        let key = endpoint.register(&self.doorbell)?;
        let token = state.next();
        // A handle that was dropped has left its key to this one.
        if let Some(old) = state.by_key.insert(key, token) {
            state.handles.remove(&old);
        }
        state.handles.insert(token, (key, endpoint.attachment.seat.side));
        Ok(Token(token))
    }

    /// Adds a file descriptor: a socket, a pipe, anything that `epoll` accepts. It is reported as
    /// long as it is ready. Remove it before it is closed.
    ///
    /// # Errors
    /// [`Error::System`]: `EPERM` for a descriptor that cannot be waited for, such as a regular
    /// file; `EEXIST` for one that is in the set already. [`Error::Fault`] in a forked child.
    pub fn add_fd(&self, fd: &impl AsFd, interest: Interest) -> Result<Token, Error> {
        if self.doorbell.is_forked() {
            return Err(Fault::Forked.into());
        }
        let mut state = self.lock();
        let token = state.next();
        let (read, write) = (interest != Interest::Writable, interest != Interest::Readable);
        self.doorbell.poll().add(fd, token, read, write).map_err(|errno| Error::System {
            call: "epoll_ctl",
            channel: SET.into(),
            source: errno.into(),
        })?;
        state.fds.insert(token, fd.as_fd().as_raw_fd());
        Ok(Token(token))
    }

    /// Adds a point in time. It is reported once, when it has come, and leaves the set then.
    pub fn add_deadline(&self, at: Instant) -> Token {
        // Another thread of the parent may have had the lock.
        if self.doorbell.is_forked() {
            return Token(0);
        }
        let left = at.saturating_duration_since(Instant::now()).as_nanos();
        let at = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(time::now_ns());
        let mut state = self.lock();
        let token = state.next();
        state.deadlines.insert((at, token), ());
        self.set_timer(&state);
        Token(token)
    }

    fn set_timer(&self, state: &State) {
        let next = state.deadlines.keys().next().map(|(at, _)| *at);
        // Fails only for a time that the clock does not have.
        let _ = self.timer.set(next.map(|at| at.min(i64::MAX as u64)));
    }

    /// Removes what was added under a token; returns whether it was still in the set. An event that
    /// another thread is about to get may still come. In a forked child, nothing is in the set.
    pub fn remove(&self, token: Token) -> bool {
        if self.doorbell.is_forked() {
            return false;
        }
        let mut state = self.lock();
        let Token(token) = token;
        if let Some((key, _)) = state.handles.remove(&token) {
            state.by_key.remove(&key);
            // Locked all the while: no other handle can get the key before.
            return self.doorbell.deregister(key);
        }
        if let Some(fd) = state.fds.remove(&token) {
            // SAFETY: if it was closed against the rules, the call fails or concerns another
            // descriptor of this process that is in no set of ours under this number.
            let _ = self.doorbell.poll().remove(unsafe { BorrowedFd::borrow_raw(fd) });
            return true;
        }
        let count = state.deadlines.len();
        state.deadlines.retain(|(_, listed), ()| *listed != token);
        self.set_timer(&state);
        state.deadlines.len() != count
    }

    /// Returns a notifier of this set. All notifiers of a set have the same token.
    pub fn notifier(&self) -> Notifier {
        if self.doorbell.is_forked() {
            return Notifier { doorbell: Arc::clone(&self.doorbell), token: Token(0) };
        }
        let mut state = self.lock();
        let token = match state.notifier {
            Some(token) => token,
            None => state.next(),
        };
        state.notifier = Some(token);
        Notifier { doorbell: Arc::clone(&self.doorbell), token: Token(token) }
    }

    /// Waits until something is ready, and returns all that is; nothing when the timeout is over.
    /// `None` waits for ever, `Some(Duration::ZERO)` does not wait.
    ///
    /// # Errors
    /// [`Error::Fault`] ([`Fault::Forked`]) in a forked child: make another set there.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Vec<Event>, Error> {
        let deadline = timeout.and_then(Deadline::after);
        loop {
            if self.doorbell.is_forked() {
                return Err(Fault::Forked.into());
            }
            let at_most = match self.doorbell.ready().is_empty() {
                true => deadline.map(|deadline| deadline.remaining()),
                false => Some(Duration::ZERO),
            };
            let collected = self
                .doorbell
                .wait(at_most)
                .map_err(|(name, errno)| Call::new(name, SET).doorbell(errno))?;
            let events = self.events(&collected.ready);
            if !events.is_empty() || deadline.is_some_and(|deadline| deadline.passed()) {
                return Ok(events);
            }
        }
    }

    fn events(&self, fds: &[Ready]) -> Vec<Event> {
        let ready = self.doorbell.ready();
        let mut state = self.lock();
        let mut events = Vec::with_capacity(ready.len() + fds.len());
        for key in ready {
            let token = state.by_key.get(&key);
            let Some((&token, &(_, side))) = token.and_then(|t| Some((t, state.handles.get(t)?)))
            else {
                continue;
            };
            let interrupted = self
                .doorbell
                .registration(key)
                .is_some_and(|registration| registration.calls().take_pending());
            let readable = side == Side::Receivers;
            events.push(Event { token: Token(token), readable, writable: !readable, interrupted });
        }
        for fd in fds.iter().filter(|fd| fd.number != TIMER) {
            events.push(Event {
                token: Token(fd.number),
                readable: fd.readable || fd.failed,
                writable: fd.writable || fd.failed,
                interrupted: false,
            });
        }
        let now = time::now_ns();
        let mut is_due = false;
        while let Some((&(at, token), ())) = state.deadlines.first_key_value()
            && at <= now
        {
            state.deadlines.pop_first();
            is_due = true;
            events.push(Event::of(token));
        }
        if is_due {
            self.set_timer(&state);
        }
        if let Some(token) = state.notifier
            && self.doorbell.take_notification()
        {
            events.push(Event::of(token));
        }
        events
    }
}

impl Event {
    /// An event that has no directions.
    fn of(token: u64) -> Event {
        Event { token: Token(token), readable: true, writable: false, interrupted: false }
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl AsFd for WaitSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.doorbell.polled_fd()
    }
}

impl Drop for WaitSet {
    fn drop(&mut self) {
        self.doorbell.close();
    }
}

impl AsRawFd for WaitSet {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
