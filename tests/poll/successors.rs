//! The end of the other side, and the next member that joins it: a handle that rests until then keeps no
//! loop busy.

use std::time::{Duration, Instant};

use sysvring::{Options, Readiness, RecvError, SendError, WaitSet};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::test;
use sysvring_support::worker::Worker;

use crate::deaths::seated;
use crate::{LONG, NOW, is_readable, tokens};

/// Longer than the last resort takes to find something suspicious, twice.
const SLICES: Duration = Duration::from_millis(700);

/// Checks that a set is not ready for a while.
#[track_caller]
fn stays_quiet(set: &WaitSet) {
    let start = Instant::now();
    assert_eq!(tokens(set, Some(SLICES)), [], "after {:?}", start.elapsed());
}

#[test]
fn a_receiver_waits_for_the_next_sender<F: AnyFlavor>() {
    let name = Name::new();
    let mut rx: F::Receiver<u64> = name.options().open().expect("open");
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    for n in 0..5 {
        let mut tx: F::Sender<u64> = name.options().attach().expect("attach");
        assert_eq!(tokens(&set, LONG), [token], "it joined");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        tx.try_send(&n).expect("room");
        if n % 2 == 0 {
            drop(tx)
        } else {
            tx.finish().expect("a member")
        }
        assert_eq!(tokens(&set, LONG), [token]);
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(n), Err(RecvError::Disconnected)));
        assert_eq!(tokens(&set, NOW), [token], "as long as nobody joins");
        set.rest_until_peer(&rx).expect("a member");
        stays_quiet(&set);
    }
}

#[test]
fn a_receiver_waits_for_the_successor_of_a_killed_sender<F: AnyFlavor>() {
    let name = Name::new();
    let mut rx: F::Receiver<u64> = name.options().open().expect("open");
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    for _ in 0..3 {
        let mut sender: Worker = seated(&name, F::FLAVOR, "sender");
        assert_eq!(tokens(&set, LONG), [token], "it joined");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        sender.kill().expect("a child");
        assert_eq!(tokens(&set, LONG), [token], "it died");
        assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
        set.rest_until_peer(&rx).expect("a member");
        stays_quiet(&set);
    }
    // One that came and left before the handle rests is not missed.
    let sender = seated(&name, F::FLAVOR, "sender");
    assert_eq!(tokens(&set, LONG), [token]);
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    drop(sender);
    assert_eq!(tokens(&set, LONG), [token]);
    assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
    let mut tx: F::Sender<u64> = name.options().attach().expect("attach");
    tx.try_send(&7).expect("room");
    drop(tx);
    set.rest_until_peer(&rx).expect("a member");
    assert_eq!(tokens(&set, NOW), [token]);
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(7), Err(RecvError::Disconnected)));
}

#[test]
fn a_sender_waits_for_the_next_receiver<F: TakingFlavor>() {
    let name = Name::new();
    let options = || name.options().capacity(4);
    let mut tx: F::Sender<u64> = options().open().expect("open");
    let set = WaitSet::new().expect("a set");
    let token = set.add(&tx).expect("added");
    for n in 0..4 {
        tx.try_send(&n).expect("room");
    }
    assert_eq!(tx.try_send(&4), Err(SendError::Full));
    for n in 0..5 {
        let rx: F::Receiver<u64> = options().attach().expect("attach");
        assert_eq!(tokens(&set, LONG), [token], "it joined");
        assert_eq!(tx.try_send(&4), Err(SendError::Full));
        drop(rx);
        assert_eq!(tokens(&set, LONG), [token], "it left");
        assert_eq!(tx.try_send(&4), Err(SendError::Disconnected));
        set.rest_until_peer(&tx).expect("a member");
        if n < 2 {
            stays_quiet(&set);
        }
        assert_eq!(tokens(&set, NOW), []);
    }
    // One that leaves room behind, for which the handle does not wait.
    let mut rx: F::Receiver<u64> = options().attach().expect("attach");
    assert_eq!((rx.try_recv(), rx.try_recv(), rx.try_recv()), (Ok(0), Ok(1), Ok(2)));
    drop(rx);
    assert_eq!(tokens(&set, LONG), [token]);
    set.rest_until_peer(&tx).expect("a member");
    assert_eq!(tokens(&set, NOW), [token], "it came since the last look");
    set.rest_until_peer(&tx).expect("a member");
    stays_quiet(&set);
    let _rx: F::Receiver<u64> = options().attach().expect("attach");
    assert_eq!(tokens(&set, LONG), [token]);
}

#[test]
fn a_descriptor_of_one_handle_is_quiet_as_well<F: AnyFlavor>() {
    let tx: F::Sender<u64> = Options::private().create().expect("create");
    let id = tx.id();
    let mut rx: F::Receiver<u64> = Options::id(id).attach().expect("attach");
    let readiness = Readiness::of(&rx).expect("a descriptor");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    drop(tx);
    assert!(is_readable(&readiness, Duration::from_secs(20)));
    assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
    // The timer of the last resort makes it readable, five times a second.
    let start = Instant::now();
    let mut polls = 0;
    while start.elapsed() < SLICES {
        readiness.rest_until_peer(&rx).expect("a member");
        polls += u32::from(is_readable(&readiness, SLICES));
    }
    assert!(polls <= 5, "{polls} times in {SLICES:?}");
    let _tx: F::Sender<u64> = Options::id(id).attach().expect("attach");
    assert!(is_readable(&readiness, Duration::from_secs(20)));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
}

/// A handle rests although there is work that nobody waits for, and is not counted as overslept.
#[test]
fn work_does_not_end_a_rest<F: TakingFlavor>() {
    let name = Name::new();
    let options = || name.options().capacity(8);
    let mut tx: F::Sender<u64> = options().open().expect("open");
    let mut rx: F::Receiver<u64> = options().attach().expect("attach");
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    for n in 0..3 {
        tx.try_send(&n).expect("room");
    }
    drop(tx);
    assert_eq!(rx.try_recv(), Ok(0));
    set.rest_until_peer(&rx).expect("a member");
    stays_quiet(&set);
    assert!(set.remove(token));
    // A sender with room, whose receiver is killed.
    drop(rx);
    let mut tx: F::Sender<u64> = options().attach().expect("attach");
    let token = set.add(&tx).expect("added");
    let mut receiver = seated(&name, F::FLAVOR, "receiver");
    tx.try_send(&1).expect("room");
    receiver.kill_and_wait().expect("a child");
    tx.wait_for_peer(Duration::from_secs(20)).expect("it came");
    set.rest_until_peer(&tx).expect("a member");
    let start = Instant::now();
    while tokens(&set, NOW) == [token] && start.elapsed() < Duration::from_secs(20) {
        // The end of the killed process ends the first rest.
        set.rest_until_peer(&tx).expect("a member");
    }
    stays_quiet(&set);
    assert_eq!(tx.stat().expect("stat").overslept, 0);
}

/// An interrupt is reported although the handle rests, and rests again, at once.
#[test]
fn an_interrupt_ends_a_rest<F: AnyFlavor>() {
    let name = Name::new();
    let rx: F::Receiver<u64> = name.options().open().expect("open");
    let interrupter = rx.interrupter();
    let readiness = Readiness::of(&rx).expect("a descriptor");
    readiness.rest_until_peer(&rx).expect("a member");
    interrupter.interrupt();
    readiness.rest_until_peer(&rx).expect("a member");
    assert!(is_readable(&readiness, Duration::from_millis(100)));
    assert!(readiness.take_interrupt());
    drop(readiness);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    set.rest_until_peer(&rx).expect("a member");
    assert_eq!(tokens(&set, NOW), []);
    interrupter.interrupt();
    let events = crate::wait(&set, LONG);
    assert!(events.len() == 1 && events[0].token() == token && events[0].is_interrupted());
}
