//! Claims and unacknowledged messages that their holder cannot finish block no other member.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sysvring::{Fault, Options, RecvError, SendError, mpmc};

use sysvring_support::raw_ipc::{Segment, at};
use sysvring_support::test;

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_failed_commit_releases_its_claim() {
    for clones in 1..3 {
        let tx: mpmc::Sender<u64> = Options::private().capacity(4).create().expect("create");
        let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
        let other = tx.try_clone().expect("a seat");
        let lends: Vec<_> = (0..clones).map(|_| tx.clone()).collect();
        let loans: Vec<_> = lends.iter().map(|tx| tx.loan().expect("a slot")).collect();
        other.send(&7).expect("send");
        tx.close().expect("close");
        let pid = std::process::id();
        assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Blocked { pid }), "they are loaned");
        for loan in loans {
            assert_eq!(loan.commit(), Err(SendError::Fault(Fault::Closed)));
        }
        assert_eq!(rx.recv_timeout(SOON), Ok(7), "behind {clones} refused");
        // Every member can use the slots.
        for n in 0..4 {
            other.try_send(&n).expect("room");
        }
    }
}

#[test]
fn a_failed_commit_of_variable_length_releases_its_claim() {
    let options = Options::private().capacity(2).slot_size(16);
    let tx: mpmc::Sender<[u8]> = options.create().expect("create");
    let rx: mpmc::Receiver<[u8]> = Options::id(tx.id()).attach().expect("attach");
    let (other, lends) = (tx.try_clone().expect("a seat"), tx.clone());
    let loan = lends.loan_with(3).expect("a slot");
    other.send(b"next").expect("send");
    tx.close().expect("close");
    assert_eq!(loan.commit(), Err(SendError::Fault(Fault::Closed)));
    assert_eq!(rx.recv_boxed_timeout(SOON).as_deref(), Ok(&b"next"[..]));
}

/// An impossible length stops the handle that finds it. When it is corrected, another receiver gets
/// the message, although the stopped handle still exists.
#[test]
fn a_message_that_cannot_be_loaned_goes_to_another_receiver() {
    const CAPACITY: usize = 2;
    for boxed in [false, true] {
        let options = Options::private().capacity(CAPACITY).slot_size(16);
        let tx: mpmc::Sender<[u8]> = options.create().expect("create");
        let stopped: mpmc::Receiver<[u8]> = Options::id(tx.id()).attach().expect("attach");
        let rx = stopped.try_clone().expect("a seat");
        tx.send(b"message").expect("send");
        let memory = Segment::of(tx.id().segment());
        // The length follows the word.
        let slots = memory.u32(at::HEADER_SIZE).load(Relaxed) as usize;
        let length = memory.u64(slots + 8);
        assert_eq!(length.swap(17, Relaxed), 7, "not the length");
        let told = match boxed {
            true => stopped.recv_boxed().map(drop),
            false => stopped.recv_ref().map(drop),
        };
        assert!(matches!(told, Err(RecvError::Fault(Fault::Corrupt { .. }))), "{told:?}");
        length.store(7, Relaxed);
        let guard = rx.recv_ref_timeout(LONG).expect("it was abandoned");
        assert_eq!((&*guard, guard.delivery_count()), (&b"message"[..], 2));
        guard.ack().expect("acknowledged");
    }
}

/// The last receiver acknowledges the last message and leaves: everything is acknowledged.
#[test]
fn flush_succeeds_when_the_last_receiver_acknowledges_and_leaves() {
    for round in 0..500 {
        let tx: mpmc::Sender<u64> = Options::private().capacity(2).create().expect("create");
        let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
        tx.send(&round).expect("send");
        let receiver = std::thread::spawn(move || rx.recv());
        assert_eq!(tx.flush(LONG), Ok(()), "round {round}");
        assert_eq!(receiver.join().expect("no panic"), Ok(round));
    }
}
