//! Sending after `remove` returned: at most one more message is accepted, even if there is room and
//! a receiver is active. Receivers get what is in the ring, then the fault.

use std::thread;
use std::time::Duration;

use sysvring::{Fault, RecvError, SendError, mpmc};
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender};
use sysvring_support::name::Name;
use sysvring_support::test;

const REMOVED: SendError = SendError::Fault(Fault::Removed);
const LONG: Duration = Duration::from_secs(20);
const TRIES: u64 = 200_000;

/// Returns how many messages are accepted after the removal, with a receiver that is active or
/// idle.
fn sent_after<F: AnyFlavor>(is_active: bool) -> u64
where
    F::Receiver<u64>: Send,
{
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(1024);
    for n in 0..10 {
        tx.send_timeout(&n, LONG).expect("send");
    }
    let receiver = thread::spawn(move || {
        let mut received = 0;
        if !is_active {
            // It keeps its seat.
            return (received, rx);
        }
        loop {
            match rx.recv_timeout(LONG) {
                Ok(_) => received += 1,
                Err(RecvError::Fault(Fault::Removed)) => return (received, rx),
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    sysvring::remove(name.as_str()).expect("remove");
    let mut sent = 0;
    let error = loop {
        match tx.send_timeout(&sent, LONG) {
            Ok(()) if sent < TRIES => sent += 1,
            Ok(()) => panic!("it does not notice"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, REMOVED);
    assert_eq!(tx.try_send(&0), Err(REMOVED), "for ever");
    let (received, _rx) = receiver.join().expect("no panic");
    assert!(!is_active || (10..=11).contains(&received), "received {received}");
    sent
}

#[test]
fn at_most_one_message<F: AnyFlavor>()
where
    F::Receiver<u64>: Send,
{
    for is_active in [false, true] {
        let sent = sent_after::<F>(is_active);
        assert!(sent <= 1, "{sent} sent after it was removed, receiver active: {is_active}");
    }
}

#[test]
fn at_most_one_message_of_each_thread_and_handle() {
    let name = Name::new();
    let first: mpmc::Sender<u64> = name.options().capacity(1024).create().expect("create");
    let _rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let handles = [first.clone(), first.clone(), first.try_clone().expect("a seat"), first];
    sysvring::remove(name.as_str()).expect("remove");
    let threads = handles.map(|tx| {
        thread::spawn(move || {
            let sent = (0..TRIES).take_while(|n| tx.send(n).is_ok()).count();
            (sent, tx.send(&0), tx.loan().map(drop), tx.send_batch([&0]).map_err(|e| e.error))
        })
    });
    for thread in threads {
        let (sent, send, loan, batch) = thread.join().expect("no panic");
        assert!(sent <= 1, "{sent} sent after it was removed");
        assert_eq!((send, loan, batch), (Err(REMOVED), Err(REMOVED), Err(REMOVED)));
    }
}

#[test]
fn messages_in_the_ring_are_received_first() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(64).create().expect("create");
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let other = rx.try_clone().expect("a seat");
    tx.send_batch(&(0..40).collect::<Vec<_>>()).expect("room");
    sysvring::remove(name.as_str()).expect("remove");
    for n in 0..40 {
        let got = match n % 4 {
            0 => rx.recv(),
            1 => other.try_recv(),
            2 => rx.recv_timeout(Duration::from_secs(1)),
            _ => other.recv_ref().and_then(|guard| guard.read(|n| *n)),
        };
        assert_eq!(got, Ok(n));
    }
    let removed = Err(RecvError::Fault(Fault::Removed));
    assert_eq!((rx.recv(), other.try_recv(), other.recv()), (removed, removed, removed));
}
