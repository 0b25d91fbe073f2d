//! Untyped handles in wait sets and with descriptors of their own.

use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::Duration;

use sysvring::{Error, Readiness, RecvError, SendError, WaitSet, untyped};
use sysvring_support::handle::AnyFlavor;
use sysvring_support::name::Name;
use sysvring_support::test;

use super::kinds::LONG;

const SOON: Duration = Duration::from_millis(20);

fn handles<F: AnyFlavor>(name: &Name) -> (untyped::Sender, untyped::Receiver) {
    drop(name.options().capacity(2).create::<F::Sender<u64>>().expect("create"));
    let tx = name.options().attach().expect("attach");
    (tx, name.options().attach().expect("attach"))
}

/// A receiver is ready for a message and for the end of the stream, a sender for room; each waits
/// until then.
#[test]
fn handles_wait_in_sets<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = handles::<F>(&name);
    let set = WaitSet::new().expect("a set");
    let readable = set.add(&rx).expect("added");
    assert!(matches!(set.add(&rx), Err(Error::InWaitSet { .. })));
    // A handle may move while it is in a set.
    let mut boxed = Box::new(rx);
    assert_eq!(set.wait(Some(Duration::ZERO)).expect("a wait").len(), 1, "it was just added");
    assert_eq!(boxed.try_recv_boxed(), Err(RecvError::Empty));
    assert!(set.wait(Some(SOON)).expect("a wait").is_empty());
    for n in 0..3u64 {
        let sending = thread::spawn(move || {
            thread::sleep(SOON / 4);
            tx.send(&n.to_ne_bytes()).expect("room");
            tx
        });
        let events = set.wait(Some(LONG)).expect("a wait");
        assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [readable]);
        assert_eq!(*boxed.try_recv_boxed().expect("a message"), n.to_ne_bytes());
        assert_eq!(boxed.try_recv_ref().err(), Some(RecvError::Empty));
        tx = sending.join().expect("no panic");
    }
    rx = *boxed;
    let writable = set.add(&tx).expect("added");
    while tx.try_send(&[0; 8]).is_ok() {}
    assert_eq!(tx.try_send(&[0; 8]), Err(SendError::Full));
    while rx.try_recv_boxed().is_ok() {}
    let events = set.wait(Some(LONG)).expect("a wait");
    assert!(events.iter().any(|event| event.token() == writable && event.is_writable()));
    assert!(tx.try_send(&[1; 8]).is_ok());
    assert!(rx.try_recv_boxed().is_ok());
    assert_eq!(rx.try_recv_boxed(), Err(RecvError::Empty));
    tx.finish().expect("a member");
    let events = set.wait(Some(LONG)).expect("a wait");
    assert!(events.iter().any(|event| event.token() == readable));
    assert_eq!(rx.try_recv_boxed(), Err(RecvError::Disconnected));
}

#[test]
fn a_handle_has_a_descriptor<F: AnyFlavor>() {
    fn poll(fd: i32, timeout: i32) -> i32 {
        let mut fd = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one `pollfd`, which outlives the call.
        unsafe { libc::poll(&mut fd, 1, timeout) }
    }
    let name = Name::new();
    let (mut tx, mut rx) = handles::<F>(&name);
    let readiness = Readiness::of(&rx).expect("a descriptor");
    let fd = readiness.as_fd().as_raw_fd();
    assert_eq!(rx.try_recv_boxed(), Err(RecvError::Empty));
    assert_eq!(poll(fd, 0), 0);
    tx.send(&[7; 8]).expect("room");
    assert_eq!(poll(fd, 20_000), 1);
    assert_eq!(*rx.try_recv_boxed().expect("a message"), [7; 8]);
}
