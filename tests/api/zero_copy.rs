//! Messages in place: a loan is sent by `commit` and not before; a guard acknowledges by `ack` and not
//! before.

use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Flavor, Options, RecvError, SendError};
use sysvring_support::handle::{AnyFlavor, AnyGuard, AnyHandle, AnyLoan, AnyReceiver, AnySender};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

#[sysvring::message]
#[derive(PartialEq, Debug)]
struct Line {
    number: u32,
    text: [u32],
}

#[test]
fn a_loan_is_sent_by_commit<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, [u64; 4]>(4);
    let mut loan = tx.loan_timeout(LONG).expect("room");
    *loan = [1, 2, 3, 4];
    loan[3] = 5;
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    loan.commit().expect("commit");
    assert_eq!(rx.try_recv(), Ok([1, 2, 3, 5]));
    let stat = tx.stat().expect("stat");
    // The hints of an MPMC channel may lag.
    assert!(F::FLAVOR == Flavor::Mpmc || (stat.head, stat.tail) == (1, 1));
}

#[test]
fn a_dropped_loan_was_never_sent() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(4);
    for round in 0..10 {
        let position = tx.position();
        for way in 0..3 {
            let loan = match way {
                0 => tx.loan(),
                1 => tx.try_loan(),
                _ => tx.loan_timeout(LONG),
            };
            let mut loan = loan.expect("room");
            *loan = 666;
            drop(loan);
        }
        assert_eq!((tx.position(), tx.len()), (position, 0));
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        tx.send(&round).expect("room");
        assert_eq!(rx.try_recv(), Ok(round), "and nothing else");
    }
}

#[test]
fn the_slot_of_a_forgotten_loan_is_loaned_again() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(1);
    let mut loan = tx.loan().expect("room");
    *loan = 1;
    #[expect(clippy::forget_non_drop, reason = "as users may, whatever it is made of")]
    std::mem::forget(loan);
    let mut loan = tx.try_loan().expect("still room");
    *loan = 2;
    loan.commit().expect("committed");
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(2), Err(RecvError::Empty)));
}

#[test]
fn loans_wait_for_room() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<[u8]>(2);
    tx.send(b"a").expect("room");
    tx.send(b"b").expect("room");
    assert!(matches!(tx.try_loan_with(1), Err(SendError::Full)));
    assert!(matches!(tx.loan_with_timeout(1, SOON), Err(SendError::Timeout)));
    let receiver = std::thread::spawn(move || {
        std::thread::sleep(SOON);
        assert_eq!(*rx.recv_boxed().expect("a message"), *b"a");
        rx
    });
    let mut loan = tx.loan_with(1).expect("it becomes free");
    loan[0] = b'c';
    loan.commit().expect("committed");
    let mut rx = receiver.join().expect("received");
    for message in [b"b", b"c"] {
        assert_eq!(*rx.recv_boxed().expect("a message"), *message);
    }
}

#[test]
fn loans_are_shortened() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<[u8]>(4);
    for (lent, kept, len) in [(10, 4, 4), (10, 0, 0), (3, 3, 3), (3, 99, 3), (0, 1, 0)] {
        let mut loan = tx.loan_with(lent).expect("it fits");
        assert_eq!(loan.len(), lent);
        loan.iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
        loan.truncate(kept);
        assert_eq!(loan.len(), len);
        loan.commit().expect("committed");
        let expected: Vec<u8> = (1..=len as u8).collect();
        assert_eq!(*rx.recv_boxed().expect("a message"), expected[..]);
    }
    // It can be shortened several times, and never lengthened again.
    let mut loan = tx.loan_with(8).expect("it fits");
    loan.copy_from_slice(b"abcdefgh");
    loan.truncate(5);
    loan.truncate(7);
    loan.truncate(3);
    drop(loan);
    let mut loan = tx.loan_with(2).expect("it fits");
    loan.copy_from_slice(b"xy");
    loan.commit().expect("committed");
    assert_eq!(*rx.recv_boxed().expect("a message"), *b"xy");
    assert_eq!(rx.try_recv_boxed(), Err(RecvError::Empty));
}

#[test]
fn headers_are_loaned_with_their_bytes() {
    let name = Name::new();
    let mut tx: Sender<Line> = name.options().slot_size(28).open().expect("open");
    let mut rx: Receiver<Line> = name.options().attach().expect("attach");
    let mut loan = tx.loan_with(6).expect("it fits");
    loan.number = 7;
    loan.text.copy_from_slice(&[1, 2, 3, 4, 5, 6]);
    loan.truncate(4);
    loan.commit().expect("committed");
    let guard = rx.recv_ref().expect("a message");
    assert_eq!((guard.number, &guard.text), (7, &[1, 2, 3, 4][..]));
    guard.ack().expect("acknowledged");
    let too_long = SendError::TooLong { len: 32, max: 28 };
    assert!(matches!(tx.loan_with(7), Err(error) if error == too_long));
    assert!(matches!(tx.try_loan_with(usize::MAX), Err(SendError::TooLong { max: 28, .. })));
}

#[test]
fn a_guard_acknowledges_on_demand<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    tx.try_send_batch(&[&10, &11]).expect("room");
    for n in 0..2 {
        let guard = rx.recv_ref_timeout(LONG).expect("a message");
        assert_eq!((*guard, guard.position()), (10 + n, n));
        assert_eq!(tx.len() as u64, 2 - n, "not yet acknowledged");
        guard.ack().expect("acknowledged");
        assert_eq!(tx.len() as u64, 1 - n);
    }
    assert!(matches!(rx.try_recv_ref().err(), Some(RecvError::Empty)));
}

#[test]
fn the_message_of_a_forgotten_guard_is_received_again() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(4);
    tx.send_batch(&[1, 2, 3]).expect("room");
    for _ in 0..3 {
        let guard = rx.recv_ref().expect("a message");
        assert_eq!(*guard, 1);
        std::mem::forget(guard);
        assert_eq!(tx.len(), 3);
    }
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
    std::mem::forget(rx.try_recv_ref().expect("a message"));
    // A receiver that joins later receives it, too.
    drop(rx);
    let mut rx: Receiver<u64> = name.options().attach().expect("attach");
    assert_eq!((rx.recv(), tx.len()), (Ok(3), 0));
}

#[test]
fn a_held_guard_blocks_the_sender<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(1);
    tx.try_send(&1).expect("room");
    let guard = rx.recv_ref_timeout(LONG).expect("a message");
    assert_eq!(tx.try_send(&2), Err(SendError::Full));
    let blocked = match F::FLAVOR == Flavor::Spsc {
        true => SendError::Timeout,
        false => SendError::Blocked { pid: std::process::id() },
    };
    assert_eq!(tx.send_timeout(&2, SOON), Err(blocked));
    assert_eq!(*guard, 1, "and nobody wrote there");
    guard.ack().expect("acknowledged");
    assert_eq!(tx.try_send(&2), Ok(()));
    assert_eq!(rx.try_recv(), Ok(2));
}

/// Receives some messages by value, and holds the next one by a guard.
#[work]
fn hold(args: &mut Args) {
    let (name, some): (String, u64) = (args.next(), args.next());
    let mut rx: Receiver<u64> = Options::named(name).open().expect("open");
    for n in 0..some {
        assert_eq!(rx.recv(), Ok(n));
    }
    let guard = rx.recv_ref().expect("a message");
    print_line(*guard);
    read_line();
}

#[test]
fn the_message_of_a_guard_is_delivered_again_after_a_death() {
    let name = Name::new();
    let mut tx: Sender<u64> = name.options().capacity(16).open().expect("open");
    tx.send_batch(&(0..10).collect::<Vec<_>>()).expect("room");
    for _ in 0..3 {
        let mut holder = Worker::start(&[&"zero_copy::hold", &name, &0]).expect("start");
        holder.expect("0");
        holder.kill_and_wait().expect("kill");
        assert_eq!(tx.len(), 10);
    }
    let mut holder = Worker::start(&[&"zero_copy::hold", &name, &4]).expect("start");
    holder.expect("4");
    holder.kill_and_wait().expect("kill");
    let mut rx: Receiver<u64> = name.options().open().expect("its seat is free");
    assert_eq!(rx.position(), 4);
    assert!(rx.try_iter().map(|n| n.expect("a message")).eq(4..10));
}
