//! A channel whose segment or set is removed by hand, which leaves no trace in the segment, while its
//! members are busy: they never wait, and notice it all the same.

use std::time::{Duration, Instant};

use sysvring::{Fault, RecvError, SendError, untyped};
use sysvring_support::handle::{AnyFlavor, AnyLoan, AnyReceiver, AnySender};
use sysvring_support::raw_ipc::{self, Key};
use sysvring_support::test;

/// The documented bound is 200 ms and some messages; this machine may be busy.
const BOUND: Duration = Duration::from_secs(5);
/// Long enough for every check that may come first.
const BEFORE: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Object {
    Segment,
    Set,
}

fn remove(key: &Key, object: Object) {
    match object {
        Object::Segment => raw_ipc::remove_segment(key.segment().expect("a segment")),
        Object::Set => raw_ipc::remove_set(key.set().expect("a set")),
    }
    .expect("removed");
}

/// How messages are exchanged.
#[derive(Clone, Copy, Debug)]
enum Calls {
    ByValue,
    InPlace,
    Batches,
}

/// Sends the messages that follow `n`. Returns how many were sent, and an error if not all were.
fn send<F: AnyFlavor>(
    tx: &mut F::Sender<u64>,
    n: u64,
    calls: Calls,
) -> (u64, Result<(), SendError>) {
    match calls {
        Calls::ByValue => match tx.try_send(&n) {
            Ok(()) => (1, Ok(())),
            Err(error) => (0, Err(error)),
        },
        Calls::InPlace => {
            let sent = tx.try_loan().and_then(|mut loan| {
                *loan = n;
                loan.commit()
            });
            (sent.is_ok().into(), sent)
        }
        Calls::Batches => match tx.try_send_batch(&[&n, &(n + 1), &(n + 2)]) {
            Ok(()) => (3, Ok(())),
            Err(batch) => (batch.sent as u64, Err(batch.error)),
        },
    }
}

/// Receives what is there, up to three messages.
fn receive<F: AnyFlavor>(rx: &mut F::Receiver<u64>, calls: Calls) -> Result<Vec<u64>, RecvError> {
    use sysvring_support::handle::AnyGuard;

    match calls {
        Calls::ByValue => rx.try_recv().map(|n| vec![n]),
        Calls::InPlace => rx.try_recv_ref().and_then(|guard| guard.read(|n| *n)).map(|n| vec![n]),
        Calls::Batches => {
            let mut messages = Vec::new();
            rx.try_recv_batch(&mut messages, 3).map(|_| messages)
        }
    }
}

/// One message, or one batch, after the other is sent and received, so that neither side ever finds
/// the ring full or empty.
fn take_turns<F: AnyFlavor>(object: Object, calls: Calls, capacity: usize) {
    let what = format!("{object:?}, {calls:?}, {capacity}");
    let key = Key::new();
    let mut tx: F::Sender<u64> = key.options().capacity(capacity).create().expect("create");
    let mut rx: F::Receiver<u64> = key.options().attach().expect("attach");
    let (mut sent, mut next) = (0, 0);
    let start = Instant::now();
    let mut removed = None;
    let error = loop {
        if removed.is_none() && start.elapsed() >= BEFORE {
            remove(&key, object);
            removed = Some(Instant::now());
        }
        assert!(removed.is_none_or(|at| at.elapsed() < BOUND), "{what}: {sent} were sent");
        let (more, end) = send::<F>(&mut tx, sent, calls);
        sent += more;
        match end {
            Ok(()) => {}
            Err(error) => break error,
        }
        for n in receive::<F>(&mut rx, calls).expect(&what) {
            assert_eq!(n, next, "{what}");
            next += 1;
        }
    };
    assert_eq!(error, SendError::Fault(Fault::Removed), "{what}");
    assert_eq!(tx.try_send(&0), Err(SendError::Fault(Fault::Removed)), "{what}: for good");
    // What is in the ring comes first.
    let end = loop {
        match rx.recv_timeout(BOUND) {
            Ok(n) => {
                assert_eq!(n, next, "{what}");
                next += 1;
            }
            Err(error) => break error,
        }
    };
    assert_eq!((end, next), (RecvError::Fault(Fault::Removed), sent), "{what}");
}

#[test]
fn members_that_never_wait<F: AnyFlavor>() {
    for object in [Object::Segment, Object::Set] {
        for calls in [Calls::ByValue, Calls::InPlace, Calls::Batches] {
            for capacity in [4, 1024] {
                take_turns::<F>(object, calls, capacity);
            }
        }
    }
}

#[test]
fn untyped_members_that_never_wait<F: AnyFlavor>() {
    for object in [Object::Segment, Object::Set] {
        for in_place in [false, true] {
            let key = Key::new();
            drop(key.options().create::<F::Sender<u64>>().expect("create"));
            let mut tx: untyped::Sender = key.options().attach().expect("attach");
            let mut rx: untyped::Receiver = key.options().attach().expect("attach");
            let mut buffer = Vec::new();
            let mut start = Instant::now();
            let mut is_removed = false;
            let (mut sent, mut received) = (0u64, 0u64);
            let error = loop {
                if !is_removed && start.elapsed() >= BEFORE {
                    remove(&key, object);
                    (is_removed, start) = (true, Instant::now());
                }
                assert!(start.elapsed() < BOUND, "{object:?}: {sent} were sent");
                let one = match in_place {
                    false => tx.try_send(&sent.to_ne_bytes()),
                    true => tx.try_loan(8).and_then(|mut loan| {
                        loan.copy_from_slice(&sent.to_ne_bytes());
                        loan.commit()
                    }),
                };
                match one {
                    Ok(()) => sent += 1,
                    Err(error) => break error,
                }
                rx.try_recv_into(&mut buffer).expect("a message");
                assert_eq!(buffer, received.to_ne_bytes());
                received += 1;
            };
            assert_eq!(error, SendError::Fault(Fault::Removed), "{object:?}");
            while received < sent {
                rx.try_recv_into(&mut buffer).expect("what is in the ring");
                received += 1;
            }
            let end = rx.recv_into_timeout(&mut buffer, BOUND).map(drop);
            assert_eq!(end, Err(RecvError::Fault(Fault::Removed)), "{object:?}");
        }
    }
}

/// Each side in a thread of its own, as fast as it can.
#[test]
fn members_at_full_speed<F: AnyFlavor>() {
    for object in [Object::Segment, Object::Set] {
        let key = Key::new();
        let mut tx: F::Sender<u64> = key.options().capacity(64).create().expect("create");
        let mut rx: F::Receiver<u64> = key.options().attach().expect("attach");
        let sender = std::thread::spawn(move || {
            let (start, mut n) = (Instant::now(), 0);
            loop {
                match tx.try_send(&n) {
                    Ok(()) => n += 1,
                    Err(SendError::Full | SendError::Behind { .. }) => std::hint::spin_loop(),
                    Err(error) => return (error, n, tx),
                }
                assert!(start.elapsed() < 2 * BOUND, "{object:?}: {n} were sent");
            }
        });
        let receiver = std::thread::spawn(move || {
            let (start, mut n) = (Instant::now(), 0);
            loop {
                match rx.try_recv() {
                    Ok(next) => {
                        assert_eq!(next, n);
                        n += 1;
                    }
                    Err(RecvError::Empty | RecvError::Behind { .. }) => std::hint::spin_loop(),
                    Err(error) => return (error, n, rx),
                }
                assert!(start.elapsed() < 2 * BOUND, "{object:?}: {n} were received");
            }
        });
        std::thread::sleep(BEFORE);
        remove(&key, object);
        let (error, _, _tx) = sender.join().expect("no panic");
        assert_eq!(error, SendError::Fault(Fault::Removed), "{object:?}");
        let (error, _, _rx) = receiver.join().expect("no panic");
        assert_eq!(error, RecvError::Fault(Fault::Removed), "{object:?}");
    }
}

/// Several senders share the positions, at which each of them is to check.
#[test]
fn every_sender_notices() {
    use sysvring::mpmc;

    for object in [Object::Segment, Object::Set] {
        let key = Key::new();
        let first: mpmc::Sender<u64> = key.options().create().expect("create");
        let senders =
            [first.try_clone().expect("a seat"), first.try_clone().expect("a seat"), first];
        let rx: mpmc::Receiver<u64> = key.options().attach().expect("attach");
        let (start, mut ends) = (Instant::now(), [None; 3]);
        let mut is_removed = false;
        while ends.contains(&None) {
            if !is_removed && start.elapsed() >= BEFORE {
                remove(&key, object);
                is_removed = true;
            }
            assert!(start.elapsed() < 2 * BOUND, "{object:?}: {ends:?}");
            for (tx, end) in senders.iter().zip(&mut ends) {
                if end.is_none() {
                    *end = tx.try_send(&1).err();
                }
                let _ = rx.try_recv();
            }
        }
        assert_eq!(ends, [Some(SendError::Fault(Fault::Removed)); 3], "{object:?}");
    }
}

/// A sender of one message now and then is told by its receiver, which waits, notices the removal and
/// leaves.
#[test]
fn a_slow_sender_is_told_by_its_receiver<F: AnyFlavor>() {
    for object in [Object::Segment, Object::Set] {
        let key = Key::new();
        let mut tx: F::Sender<u64> = key.options().create().expect("create");
        let mut rx: F::Receiver<u64> = key.options().attach().expect("attach");
        let receiver = std::thread::spawn(move || {
            loop {
                match rx.recv_timeout(BOUND) {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            }
        });
        tx.try_send(&0).expect("room");
        std::thread::sleep(BEFORE);
        remove(&key, object);
        assert_eq!(receiver.join().expect("no panic"), RecvError::Fault(Fault::Removed));
        let told = (0..3).find_map(|n| tx.try_send(&n).err());
        assert_eq!(told, Some(SendError::Fault(Fault::Removed)), "{object:?}");
    }
}
