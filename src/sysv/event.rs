//! Waiting for descriptors: `epoll`, and the descriptors for what is no file (`eventfd`, `timerfd`,
//! `pidfd_open`).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::{Errno, Result, check};

/// The number of events that one call returns at most.
const EVENTS: usize = 64;

/// A descriptor that is ready, as the number that it was added with, and what it is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) number: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// An error or a hang-up.
    pub(crate) failed: bool,
}

/// A set of descriptors. Level-triggered: a descriptor is returned as long as it is ready.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    pub(crate) fn new() -> Result<Epoll> {
        // SAFETY: takes a plain number.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: a new descriptor, which nobody else owns.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn control(&self, call: libc::c_int, fd: RawFd, events: u32, number: u64) -> Result<()> {
        let mut event = libc::epoll_event { events, u64: number };
        // SAFETY: an open descriptor, and an event that lives through the call.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), call, fd, &raw mut event) }).map(drop)
    }

    /// Adds a descriptor; the returned events carry `number`.
    pub(crate) fn add(&self, fd: impl AsFd, number: u64, read: bool, write: bool) -> Result<()> {
        let read = if read { libc::EPOLLIN | libc::EPOLLRDHUP } else { 0 };
        let write = if write { libc::EPOLLOUT } else { 0 };
        let fd = fd.as_fd().as_raw_fd();
        self.control(libc::EPOLL_CTL_ADD, fd, (read | write) as u32, number)
    }

    /// Removes a descriptor.
    pub(crate) fn remove(&self, fd: impl AsFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd.as_fd().as_raw_fd(), 0, 0)
    }

    /// Waits until a descriptor is ready, or for `at_most`, rounded up to milliseconds; `None` waits
    /// for ever. Returns nothing after a signal.
    pub(crate) fn wait(&self, at_most: Option<Duration>) -> Result<Vec<Ready>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let timeout = at_most.map_or(-1, |time| {
            i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        // SAFETY: an open descriptor, and room for as many events as are passed.
        let count = match check(unsafe {
            let fd = self.0.as_raw_fd();
            libc::epoll_wait(fd, events.as_mut_ptr(), EVENTS as libc::c_int, timeout)
        }) {
            Err(Errno::EINTR) => 0,
            other => other?,
        };
        let ready = |event: &libc::epoll_event| {
            let is = |flags: libc::c_int| event.events & flags as u32 != 0;
            Ready {
                number: event.u64,
                readable: is(libc::EPOLLIN),
                writable: is(libc::EPOLLOUT),
                failed: is(libc::EPOLLERR | libc::EPOLLHUP | libc::EPOLLRDHUP),
            }
        };
        Ok(events.iter().take(count as usize).map(ready).collect())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor that this process makes readable.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> Result<EventFd> {
        // SAFETY: takes plain numbers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: a new descriptor, which nobody else owns.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable. Safe in a signal handler.
    pub(crate) fn set(&self) {
        let one = 1u64.to_ne_bytes();
        // Fails only if it is readable already.
        // SAFETY: an open descriptor, and eight bytes.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes it unreadable.
    pub(crate) fn clear(&self) {
        let mut count = [0u8; 8];
        // Fails only if it is not readable.
        // SAFETY: an open descriptor, and room for eight bytes.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor that becomes readable at a time.
#[derive(Debug)]
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    /// Returns a timer that is not set.
    pub(crate) fn new() -> Result<TimerFd> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes plain numbers.
        let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        // SAFETY: a new descriptor, which nobody else owns.
        Ok(TimerFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable at `at` nanoseconds of the monotonic clock, and unreadable until then;
    /// `None` for never.
    pub(crate) fn set(&self, at: Option<u64>) -> Result<()> {
        // All zeros would unset it.
        let at = at.map_or(0, |at| at.max(1));
        let value = libc::timespec {
            tv_sec: (at / 1_000_000_000) as _,
            tv_nsec: (at % 1_000_000_000) as libc::c_long,
        };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let times = libc::itimerspec { it_interval: never, it_value: value };
        let (fd, flags) = (self.0.as_raw_fd(), libc::TFD_TIMER_ABSTIME);
        // SAFETY: an open descriptor, and times that live through the call.
        check(unsafe { libc::timerfd_settime(fd, flags, &raw const times, std::ptr::null_mut()) })
            .map(drop)
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns a descriptor that becomes readable when the process has ended, after the kernel undid its
/// semaphore operations; `ESRCH` if there is no such process.
pub(crate) fn pidfd(pid: u32) -> Result<OwnedFd> {
    // SAFETY: takes plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    let fd = check(fd as libc::c_int)?;
    // SAFETY: a new descriptor, which nobody else owns. The kernel sets close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fork, wait};
    use super::super::time;
    use super::*;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    fn numbers(poll: &Epoll, at_most: Option<Duration>) -> Vec<u64> {
        poll.wait(at_most).unwrap().iter().map(|ready| ready.number).collect()
    }

    #[test]
    fn events_and_timers_are_readable_when_set() {
        let (poll, event, timer) =
            (Epoll::new().unwrap(), EventFd::new().unwrap(), TimerFd::new().unwrap());
        poll.add(&event, 1, true, false).unwrap();
        poll.add(&timer, 2, true, false).unwrap();
        assert_eq!(numbers(&poll, NOW), [0; 0]);
        event.set();
        event.set();
        assert_eq!((numbers(&poll, NOW), numbers(&poll, NOW)), (vec![1], vec![1]));
        event.clear();
        event.clear();
        assert_eq!(numbers(&poll, NOW), [0; 0]);
        timer.set(Some(time::now_ns() + 1_000_000)).unwrap();
        assert_eq!(numbers(&poll, None), [2]);
        timer.set(None).unwrap();
        assert_eq!(numbers(&poll, Some(Duration::from_millis(2))), [0; 0]);
        event.set();
        poll.remove(&event).unwrap();
        assert_eq!(numbers(&poll, NOW), [0; 0]);
    }

    #[test]
    fn a_pidfd_is_readable_when_the_process_has_ended() {
        let poll = Epoll::new().unwrap();
        let child = fork(|| {
            // SAFETY: sleeps until the parent kills it.
            unsafe { libc::pause() };
            true
        });
        poll.add(pidfd(child as u32).unwrap().try_clone().unwrap(), 7, true, false).unwrap();
        let fd = pidfd(child as u32).unwrap();
        poll.add(&fd, 8, true, false).unwrap();
        assert_eq!(numbers(&poll, NOW), [0; 0]);
        // SAFETY: our own child.
        unsafe { libc::kill(child, libc::SIGKILL) };
        assert_eq!(numbers(&poll, None), [8], "the closed copy is not in the set");
        assert!(!wait(child));
        assert_eq!(pidfd(child as u32).unwrap_err(), Errno(libc::ESRCH));
    }
}
