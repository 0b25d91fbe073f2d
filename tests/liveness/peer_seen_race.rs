//! A member sees its peer and leaves before the peer has joined completely: the peer reports that
//! there was a member.

use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{RecvError, SendError};
use sysvring_support::name::Name;
use sysvring_support::single_step::{Stepper, Stop, mark};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

/// The maximum time of a call that does not wait, on a busy host.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_sender_that_saw_a_joining_receiver_and_left_is_reported() {
    Worker::run(&[&"peer_seen_race::meet_receiver"]);
}

#[test]
fn a_receiver_that_saw_a_joining_sender_and_left_is_reported() {
    Worker::run(&[&"peer_seen_race::meet_sender"]);
}

/// Runs `join` up to its `n`-th entry or exit of a system call, and there runs `act`, which returns
/// whether the two saw each other. If so, `join` continues, and must succeed. Returns `None` if
/// there is no such call before its second mark.
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

/// Returns at how many system calls of joining the two see each other.
fn meet_at_every_call(round: impl FnMut(u32) -> Option<bool>) {
    let met = (0..).map_while(round).filter(|met| *met).count();
    assert!(met > 2, "no system call after the seat was taken: {met}");
}

/// A sender sees a receiver that is joining.
#[work]
fn meet_receiver(_: &mut Args) {
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

/// A receiver sees a sender that is joining.
#[work]
fn meet_sender(_: &mut Args) {
    meet_at_every_call(|n| {
        let name = Name::new();
        let mut rx: Receiver<u64> = name.options().capacity(1).open().expect("open");
        let join = || {
            mark();
            let mut tx: Sender<u64> = name.options().attach().expect("attach");
            mark();
            // There is room for one message, whichever receiver joins for it.
            let end = tx.send_timeout(&1, SOON).and_then(|()| tx.send_timeout(&2, SOON));
            assert_eq!(end, Err(SendError::Disconnected), "call {n}");
        };
        while_joining(n, join, || rx.wait_for_peer(Duration::ZERO).is_ok() && rx.close().is_ok())
    });
}
