//! Sets and handles as descriptors in other loops: level-triggered, and unreadable once there is
//! nothing left.

use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::Duration;

use sysvring::{Error, Readiness, RecvError, SendError, WaitSet, mpmc};
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender, Mpmc};
use sysvring_support::name::Name;
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::test;

use crate::{LONG, NOW, is_readable, tokens};

/// An `epoll` of this test, as another library has it.
struct Outer(i32);

impl Outer {
    fn of(inner: &impl AsFd) -> Outer {
        // SAFETY: takes a number.
        let outer = Outer(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) });
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 7 };
        let fd = inner.as_fd().as_raw_fd();
        // SAFETY: open descriptors, and an event that outlives the call.
        let added = unsafe { libc::epoll_ctl(outer.0, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        assert_eq!(added, 0);
        outer
    }

    fn is_ready(&self, timeout: Duration) -> bool {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        let timeout = timeout.as_millis() as i32;
        // SAFETY: an open descriptor, and room for one event.
        unsafe { libc::epoll_wait(self.0, &raw mut event, 1, timeout) == 1 }
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        // SAFETY: opened by `of`.
        unsafe { libc::close(self.0) };
    }
}

const ZERO: Duration = Duration::ZERO;

#[test]
fn a_set_is_readable_while_a_handle_is_ready<F: AnyFlavor>() {
    let names = [Name::new(), Name::new()];
    let [(mut tx, mut rx), (mut other_tx, mut other_rx)] =
        names.each_ref().map(|name| name.pair_of::<F, u64>(4));
    let set = WaitSet::new().expect("a set");
    let (one, other) = (set.add(&rx).expect("added"), set.add(&other_rx).expect("added"));
    let outer = Outer::of(&set);
    assert!(outer.is_ready(ZERO), "both were just added");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert!(outer.is_ready(ZERO), "one is left");
    assert_eq!(other_rx.try_recv(), Err(RecvError::Empty));
    assert!(!outer.is_ready(ZERO));
    for n in 0..100 {
        tx.try_send(&n).expect("room");
        other_tx.try_send(&n).expect("room");
        assert!(outer.is_ready(PROMPT), "{n}");
        let mut ready = tokens(&set, NOW);
        ready.sort();
        assert_eq!(ready, [one, other]);
        assert!(outer.is_ready(ZERO), "what is not received is shown again");
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(n), Err(RecvError::Empty)));
        assert!(outer.is_ready(ZERO));
        assert_eq!((other_rx.try_recv(), other_rx.try_recv()), (Ok(n), Err(RecvError::Empty)));
        assert!(!outer.is_ready(ZERO), "{n}");
        assert_eq!(tokens(&set, NOW), []);
    }
    set.notifier().notify();
    assert!(outer.is_ready(PROMPT));
    assert_eq!(tokens(&set, NOW), [set.notifier().token()]);
    assert!(!outer.is_ready(ZERO));
}

#[test]
fn a_readiness_is_readable_while_its_handle_is_ready<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    let (readable, writable) =
        (Readiness::of(&rx).expect("a descriptor"), Readiness::of(&tx).expect("a descriptor"));
    let outer = Outer::of(&readable);
    for n in 0..100 {
        assert!(outer.is_ready(PROMPT), "{n}");
        while rx.try_recv().is_ok() {}
        assert!(!outer.is_ready(ZERO), "{n}");
        assert!(is_readable(&writable, PROMPT));
        while tx.try_send(&n).is_ok() {}
        assert_eq!(tx.try_send(&n), Err(SendError::Full));
        assert!(!is_readable(&writable, ZERO));
        assert!(outer.is_ready(PROMPT));
        assert_eq!(rx.try_recv(), Ok(n));
        assert!(outer.is_ready(ZERO), "it was not emptied");
    }
    drop(tx);
    while rx.try_recv() != Err(RecvError::Disconnected) {}
    assert!(outer.is_ready(ZERO));
}

/// A loop over a descriptor that calls `try_` until there is nothing more misses nothing.
#[test]
fn a_stream_arrives_by_a_descriptor<F: AnyFlavor>() {
    const MESSAGES: u64 = if cfg!(debug_assertions) { 20_000 } else { 200_000 };
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(8);
    thread::scope(|scope| {
        scope.spawn(move || {
            let writable = Readiness::of(&tx).expect("a descriptor");
            for n in 0..MESSAGES {
                while let Err(error) = tx.try_send(&n) {
                    assert_eq!(error, SendError::Full);
                    assert!(is_readable(&writable, Duration::from_secs(20)));
                }
            }
        });
        let readable = Readiness::of(&rx).expect("a descriptor");
        let mut next = 0;
        loop {
            assert!(is_readable(&readable, Duration::from_secs(20)), "after {next}");
            match rx.try_recv() {
                Ok(n) => {
                    assert_eq!(n, next);
                    next += 1;
                }
                Err(RecvError::Empty) => {}
                Err(RecvError::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(next, MESSAGES);
    });
}

#[test]
fn a_handle_has_one_set_or_one_descriptor<F: AnyFlavor>() {
    let name = Name::new();
    let (_tx, rx) = name.pair_of::<F, u64>(2);
    let (set, other) = (WaitSet::new().expect("a set"), WaitSet::new().expect("a set"));
    let refused = |result: Result<(), Error>| matches!(result, Err(Error::InWaitSet { .. }));
    let token = set.add(&rx).expect("added");
    assert!(refused(set.add(&rx).map(drop)));
    assert!(refused(other.add(&rx).map(drop)));
    assert!(refused(Readiness::of(&rx).map(drop)));
    assert!(set.remove(token));
    let readiness = Readiness::of(&rx).expect("a descriptor");
    assert!(refused(set.add(&rx).map(drop)));
    drop(readiness);
    drop(set);
    other.add(&rx).expect("added");
}

/// What is made for a handle and dropped keeps no descriptors and no queue, as long as the handle
/// lives.
#[test(quiet)]
fn nothing_is_kept_of_what_was_dropped<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(2);
    // The one that sends keeps the queues open for a while.
    let before = crate::descriptors() + 64;
    for n in 0..500 {
        let readiness = Readiness::of(&rx).expect("a descriptor");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        tx.try_send(&n).expect("room");
        assert!(is_readable(&readiness, PROMPT));
        assert_eq!(rx.try_recv(), Ok(n));
        drop(readiness);
        let set = WaitSet::new().expect("a set");
        set.add(&rx).expect("added");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    }
    assert!(crate::descriptors() <= before, "{} are open", crate::descriptors());
}

/// A clone of a handle is in the set together with it.
#[test]
fn clones_are_ready_together() {
    let name = Name::new();
    let (tx, rx): (mpmc::Sender<u64>, mpmc::Receiver<u64>) = name.pair_of::<Mpmc, u64>(4);
    let clone = rx.clone();
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    assert!(matches!(set.add(&clone), Err(Error::InWaitSet { .. })));
    assert_eq!(clone.try_recv(), Err(RecvError::Empty));
    assert_eq!(tokens(&set, NOW), []);
    tx.send(&1).expect("room");
    assert_eq!(tokens(&set, LONG), [token]);
    drop(rx);
    assert_eq!(clone.try_recv(), Ok(1));
    assert_eq!(clone.try_recv(), Err(RecvError::Empty));
    tx.send(&2).expect("room");
    assert_eq!(tokens(&set, LONG), [token], "one of them is left");
    drop(clone);
    assert_eq!(tokens(&set, NOW), []);
}
