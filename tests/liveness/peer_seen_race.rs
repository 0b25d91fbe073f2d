//! A member that meets its peer and leaves before the peer has quite come: the peer knows that
//! somebody was there.

use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{RecvError, SendError};
use sysvring_support::name::Name;
use sysvring_support::step::{Stepper, Stop, mark};
use sysvring_support::worker::{Orders, Worker};
use sysvring_support::{test, work};

/// As long as a call takes that has nothing to wait for, on a busy machine.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn who_meets_a_receiver_and_leaves_is_missed() {
    Worker::run(&[&"peer_seen_race::meet_receiver"]);
}

#[test]
fn who_meets_a_sender_and_leaves_is_missed() {
    Worker::run(&[&"peer_seen_race::meet_sender"]);
}

/// Lets `join` go on up to its `n`-th border of a system call, and there does `act`, which tells
/// whether the two met. If so, it goes on from there, and must end well. `None`: it makes no such
/// call before its second mark.
fn while_joining(n: u32, join: impl FnOnce(), act: impl FnOnce() -> bool) -> Option<bool> {
    let mut stepper = Stepper::start(join).expect("traced");
    for _ in 0..n {
        match stepper.run_to_call(&mut || false) {
            Stop::Call => {}
            Stop::Marked => return None,
            other => panic!("call {n}: {other:?}"),
        }
    }
    if !act() {
        return Some(false);
    }
    assert_eq!(stepper.run(&mut || false), Stop::Marked, "call {n}: joined");
    let joined = stepper.leave_stopped();
    joined.signal(libc::SIGCONT);
    joined.finish();
    Some(true)
}

/// How many calls of joining there are at which the two meet.
fn meet_at_every_call(round: impl FnMut(u32) -> Option<bool>) {
    let met = (0..).map_while(round).filter(|met| *met).count();
    assert!(met > 2, "there are calls after the seat was taken: {met}");
}

/// A sender that meets a receiver in the middle of joining.
#[work]
fn meet_receiver(_: &mut Orders) {
    meet_at_every_call(|n| {
        let name = Name::new();
        let mut tx: Sender<u64> = name.options().open().expect("open");
        let join = || {
            mark();
            let mut rx: Receiver<u64> = name.options().attach().expect("attach");
            mark();
            let end = rx.recv_timeout(SOON);
            assert_eq!(end, Err(RecvError::Disconnected), "call {n}");
        };
        while_joining(n, join, || tx.wait_for_peer(Duration::ZERO).is_ok() && tx.close().is_ok())
    });
}

/// A receiver that meets a sender in the middle of joining.
#[work]
fn meet_sender(_: &mut Orders) {
    meet_at_every_call(|n| {
        let name = Name::new();
        let mut rx: Receiver<u64> = name.options().capacity(1).open().expect("open");
        let join = || {
            mark();
            let mut tx: Sender<u64> = name.options().attach().expect("attach");
            mark();
            // There is room for one message, whoever may come for it.
            let end = tx.send_timeout(&1, SOON).and_then(|()| tx.send_timeout(&2, SOON));
            assert_eq!(end, Err(SendError::Disconnected), "call {n}");
        };
        while_joining(n, join, || rx.wait_for_peer(Duration::ZERO).is_ok() && rx.close().is_ok())
    });
}
