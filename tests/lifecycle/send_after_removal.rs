//! Sending after `remove` returned: at most one more message is accepted, even if there is room and
//! a receiver is active. Receivers get what is in the ring, then the fault.

use std::thread;
use std::time::Duration;

use sysvring::{Fault, RecvError, SendError, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::test;

const REMOVED: SendError = SendError::Fault(Fault::Removed);
const TRIES: u64 = 200_000;

/// Returns how many messages are accepted after the removal, with a receiver that is active or
/// idle.
macro_rules! sent_after {
    ($module:ident, $name:ident, $at_work:expr) => {{
        let name = Name::new();
        #[allow(unused_mut)]
        let mut tx: $module::Sender<u64> = name.options().capacity(1024).create().expect("create");
        #[allow(unused_mut)]
        let mut rx: $module::Receiver<u64> = name.options().attach().expect("attach");
        for n in 0..10 {
            tx.send(&n).expect("send");
        }
        let receiver = thread::spawn(move || {
            if !$at_work {
                // It keeps its seat.
                return (0, Some(rx));
            }
            let mut received = 0;
            loop {
                match rx.recv() {
                    Ok(_) => received += 1,
                    Err(RecvError::Fault(Fault::Removed)) => return (received, Some(rx)),
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
        sysvring::remove(name.as_str()).expect("remove");
        let mut sent = 0;
        let error = loop {
            match tx.send(&sent) {
                Ok(()) if sent < TRIES => sent += 1,
                Ok(()) => panic!("it does not notice"),
                Err(error) => break error,
            }
        };
        assert_eq!(error, REMOVED);
        assert_eq!(tx.try_send(&0), Err(REMOVED), "for ever");
        let (received, _rx) = receiver.join().expect("no panic");
        assert!(!$at_work || (10..=11).contains(&received), "received {received}");
        sent
    }};
}

#[test]
fn at_most_one_message_in_an_spsc_channel() {
    for at_work in [false, true] {
        let sent = sent_after!(spsc, name, at_work);
        assert!(sent <= 1, "{sent} sent after it was removed, a receiver at work: {at_work}");
    }
}

#[test]
fn at_most_one_message_in_an_mpmc_channel() {
    for at_work in [false, true] {
        let sent = sent_after!(mpmc, name, at_work);
        assert!(sent <= 1, "{sent} sent after it was removed, a receiver at work: {at_work}");
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
            _ => other.recv_ref().map(|guard| *guard),
        };
        assert_eq!(got, Ok(n));
    }
    let removed = Err(RecvError::Fault(Fault::Removed));
    assert_eq!((rx.recv(), other.try_recv(), other.recv()), (removed, removed, removed));
}
