//! MPMC channels: every call that sends or receives, and its errors.

use std::time::Duration;

use sysvring::{Address, Error, Fault, Flavor, Options, RecvError, SendError, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::Segment;
use sysvring_support::test;

const SOON: Duration = Duration::from_millis(1);

#[test]
fn messages_of_any_length_are_written_in_place() {
    let name = Name::new();
    let options = || name.options().slot_size(8);
    let tx: mpmc::Sender<[u8]> = options().capacity(4).open().expect("open");
    let rx: mpmc::Receiver<[u8]> = options().attach().expect("attach");
    assert_eq!((tx.slot_size(), rx.slot_size()), (8, 8));
    let mut loan = tx.loan_with(8).expect("a slot");
    loan.copy_from_slice(b"whatever");
    loan.truncate(4);
    // It cannot be lengthened again.
    loan.truncate(6);
    assert_eq!((&*loan, format!("{loan:?}")), (&b"what"[..], "Loan([119, 104, 97, 116])".into()));
    loan.commit().expect("commit");
    tx.try_loan_with(0).expect("a slot").commit().expect("commit");
    drop(tx.loan_with_timeout(3, SOON).expect("a slot"));
    tx.send(b"ever").expect("send");
    for too_long in [tx.loan_with(9), tx.try_loan_with(9), tx.loan_with_timeout(usize::MAX, SOON)] {
        assert!(matches!(too_long, Err(SendError::TooLong { max: 8, .. })), "{too_long:?}");
    }
    assert_eq!(tx.try_send(b"much more"), Err(SendError::TooLong { len: 9, max: 8 }));
    assert_eq!(*rx.recv_boxed().expect("receive"), b"what"[..]);
    assert_eq!(*rx.try_recv_boxed().expect("receive"), b""[..]);
    // The position of the dropped loan was used again.
    let guard = rx.recv_ref().expect("receive");
    assert_eq!((guard.position(), guard.delivery_count()), (2, 1));
    assert_eq!(
        (&*guard, format!("{guard:?}")),
        (&b"ever"[..], "Guard([101, 118, 101, 114])".into())
    );
    assert_eq!(tx.flush(SOON), Err(SendError::Timeout), "it is unacknowledged");
    guard.ack().expect("acknowledged");
    tx.flush(SOON).expect("flush");
    let text = rx.stat().expect("stat").to_string();
    assert!(text.contains("8 bytes a slot at most") && text.contains("redelivery"), "{text}");
}

#[test]
fn invalid_messages_are_discarded() {
    let name = Name::new();
    let tx: mpmc::Sender<u8> = name.options().open().expect("open");
    // Without a structure, a type of the same size is the same to the channel.
    Segment::of(tx.id().segment()).hide_structure();
    let rx: mpmc::Receiver<bool> = name.options().attach().expect("attach");
    tx.send_batch(&[7, 1, 8, 9, 0]).expect("send");
    assert_eq!(rx.recv(), Err(RecvError::Invalid { position: 0 }));
    assert_eq!(rx.recv(), Ok(true));
    let lent = rx.recv_ref().and_then(|guard| guard.read(|guard| *guard));
    assert_eq!(lent, Err(RecvError::Invalid { position: 2 }));
    let mut all = Vec::new();
    // Omitted from a batch, and an error if there is no other message.
    assert_eq!((rx.recv_batch(&mut all, 9), &*all), (Ok(1), &[false][..]));
    tx.send(&3).expect("send");
    assert_eq!(rx.try_recv_batch(&mut all, 9), Err(RecvError::Invalid { position: 5 }));
    tx.send(&4).expect("send");
    assert_eq!(rx.recv_boxed(), Err(RecvError::Invalid { position: 6 }));
    assert_eq!((rx.len(), rx.try_recv()), (0, Err(RecvError::Empty)));
}

#[test]
fn closing_the_only_clone_leaves_the_channel() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    tx.send(&1).expect("send");
    tx.close().expect("close");
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Err(RecvError::Disconnected)));
    assert!(rx.deaths().expect("no fault").is_empty(), "it left, and did not die");
    rx.close().expect("close");
}

#[test]
fn closing_closes_all_clones() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let (sends, receives) = (tx.clone(), rx.clone());
    let other = rx.try_clone().expect("another");
    rx.close().expect("close");
    assert_eq!(receives.try_recv(), Err(RecvError::Fault(Fault::Closed)));
    assert!(matches!(receives.close(), Err(Error::Fault(Fault::Closed))));
    tx.send(&1).expect("the other one is there");
    tx.close().expect("close");
    assert_eq!(sends.try_send(&2), Err(SendError::Fault(Fault::Closed)));
    // The last clone releases the seat.
    assert_eq!((other.recv(), other.try_recv()), (Ok(1), Err(RecvError::Empty)));
    drop(sends);
    assert_eq!(other.recv(), Err(RecvError::Disconnected));
}

#[test]
fn closing_a_clone_wakes_waiting_clones() {
    let name = Name::new();
    let _tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let clone = rx.clone();
    let waiting = std::thread::spawn(move || clone.recv());
    std::thread::sleep(SOON);
    rx.close().expect("close");
    assert_eq!(waiting.join().expect("no panic"), Err(RecvError::Fault(Fault::Closed)));
}

#[test]
fn an_unacknowledged_message_outlives_the_close_of_a_clone() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(2).open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let (clone, other) = (rx.clone(), rx.try_clone().expect("another"));
    tx.send(&1).expect("send");
    let guard = clone.recv_ref().expect("a message");
    rx.close().expect("close");
    assert_eq!(other.recv_timeout(Duration::ZERO), Err(RecvError::Timeout), "it was taken over");
    tx.send(&2).expect("the other slot");
    assert!(tx.try_send(&3).is_err(), "it is written over");
    assert_eq!((*guard, guard.delivery_count()), (1, 1));
    guard.ack().expect("acknowledged");
    tx.send(&3).expect("its slot is free");
    let sends = tx.clone();
    assert_eq!(sends.try_loan().err(), Some(SendError::Full));
    assert_eq!((other.recv(), other.recv()), (Ok(2), Ok(3)));
    let mut loan = sends.loan().expect("a slot");
    tx.close().expect("close");
    *loan = 4;
    assert_eq!(other.recv_timeout(SOON), Err(RecvError::Blocked { pid: std::process::id() }));
    assert_eq!(loan.commit(), Err(SendError::Fault(Fault::Closed)));
    drop(sends);
    assert_eq!(other.recv(), Err(RecvError::Disconnected));
}

#[test]
fn the_other_flavor_is_refused() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let Err(Error::TypeMismatch { expected, found, .. }) =
        name.options().attach::<spsc::Receiver<u64>>()
    else {
        panic!("joined a channel of another kind")
    };
    let kinds = (Flavor::Spsc.to_string(), Flavor::Mpmc.to_string());
    assert_eq!((expected, found), kinds);
    let same: mpmc::Receiver<u64> =
        Options::address(Address::from(&tx.id())).attach().expect("attach");
    assert_eq!(same.id(), tx.id());
}
