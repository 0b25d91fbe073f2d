//! A full ring, an empty one, and the end of a channel: what every call returns.

use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{BatchError, Error, Fault, Options, Peer, RecvError, SendError};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

const SOON: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(20);

#[test]
fn try_calls_return_full_and_empty<F: TakingFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvError::Timeout));
    assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Timeout));
    for n in 0..4 {
        tx.try_send(&n).expect("room");
    }
    assert_eq!(tx.try_send(&4), Err(SendError::Full));
    assert!(matches!(tx.try_loan().err(), Some(SendError::Full)));
    assert_eq!(tx.send_timeout(&4, Duration::ZERO), Err(SendError::Timeout));
    assert_eq!(tx.send_timeout(&4, SOON), Err(SendError::Timeout));
    assert!(matches!(tx.loan_timeout(SOON).err(), Some(SendError::Timeout)));
    assert_eq!(rx.try_recv(), Ok(0));
    // One slot was acknowledged, and a `try_` call reads the exact head.
    tx.try_send(&4).expect("room");
    assert_eq!(tx.try_send(&5), Err(SendError::Full));
    assert!((1..=4).all(|n| rx.try_recv() == Ok(n)));
    assert!(matches!(rx.try_recv_ref().err(), Some(RecvError::Empty)));
    assert!(matches!(rx.recv_ref_timeout(SOON).err(), Some(RecvError::Timeout)));
    assert_eq!(rx.try_recv_boxed(), Err(RecvError::Empty));
    assert_eq!(rx.recv_boxed_timeout(SOON), Err(RecvError::Timeout));
    let mut none = Vec::new();
    assert_eq!(rx.try_recv_batch(&mut none, 3), Err(RecvError::Empty));
    assert_eq!(rx.recv_batch_timeout(&mut none, 3, SOON), Err(RecvError::Timeout));
    assert!(none.is_empty());
}

#[test]
fn batches_end_where_the_ring_does<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(8);
    let numbers: Vec<u64> = (0..20).collect();
    let numbers: Vec<&u64> = numbers.iter().collect();
    let full = |sent| Err(BatchError { sent, error: SendError::Full });
    assert_eq!(tx.try_send_batch(&numbers[..3]), Ok(()));
    assert_eq!(tx.try_send_batch(&numbers[3..]), full(5));
    assert_eq!(tx.try_send_batch(&numbers[8..9]), full(0));
    assert_eq!(tx.try_send_batch(&[]), Ok(()));
    let mut got = vec![99];
    assert_eq!(rx.recv_batch_timeout(&mut got, 0, LONG), Ok(0));
    assert_eq!(rx.recv_batch_timeout(&mut got, 3, LONG), Ok(3));
    assert_eq!(got, [99, 0, 1, 2], "appended");
    assert_eq!(tx.len(), 5, "acknowledged");
    assert_eq!(rx.try_recv_batch(&mut got, usize::MAX), Ok(5));
    assert_eq!(got, [99, 0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(rx.try_recv_batch(&mut got, 1), Err(RecvError::Empty));
    drop(tx);
    assert_eq!(rx.recv_batch_timeout(&mut got, 1, LONG), Err(RecvError::Disconnected));
}

#[test]
fn each_side_waits_for_the_other<F: AnyFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<u64> = name.options().open().expect("open");
    assert_eq!(tx.wait_for_peer(SOON), Err(SendError::Timeout));
    let mut rx: F::Receiver<u64> = name.options().attach().expect("attach");
    tx.wait_for_peer(SOON).expect("it is there");
    rx.wait_for_peer(SOON).expect("it is there");
    drop(tx);
    assert_eq!(rx.wait_for_peer(SOON), Err(RecvError::Timeout));
}

/// One that joins, sends and leaves between two calls, or while a call waits for it, is not missed.
#[test]
fn a_brief_visit_ends_the_wait<F: AnyFlavor>() {
    let name = Name::new();
    let tx: F::Sender<u64> = name.options().open().expect("open");
    let mut rx: F::Receiver<u64> = name.options().attach().expect("attach");
    drop(tx);
    let visit = |n| {
        let mut tx: F::Sender<u64> = name.options().attach().expect("attach");
        tx.try_send(&n).expect("room");
    };
    for n in 0..3 {
        assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
        visit(n);
        assert_eq!(rx.wait_for_peer(LONG), Ok(()));
        assert_eq!(rx.recv_timeout(LONG), Ok(n));
    }
    assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
    assert_eq!(rx.wait_for_peer(SOON), Err(RecvError::Timeout), "nobody came since");
    for n in 0..100 {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| rx.wait_for_peer(LONG));
            visit(n);
            assert_eq!(waiting.join().expect("no panic"), Ok(()));
        });
        assert_eq!(
            (rx.recv_timeout(LONG), rx.recv_timeout(LONG)),
            (Ok(n), Err(RecvError::Disconnected))
        );
    }
}

#[test]
fn iterators_end_and_stay_ended() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(8);
    tx.send_batch(&[1, 2]).expect("room");
    let mut now = rx.try_iter();
    assert_eq!((now.next(), now.next(), now.next()), (Some(Ok(1)), Some(Ok(2)), None));
    tx.send(&3).expect("room");
    assert_eq!(now.next(), None, "it ended");
    tx.send_batch(&[4, 5]).expect("room");
    drop(tx);
    let mut sum = 0;
    for n in &mut rx {
        sum += n.expect("a message");
        if sum == 3 + 4 {
            break;
        }
    }
    let mut rest = rx.into_iter();
    assert_eq!((rest.next(), rest.next(), rest.next()), (Some(Ok(5)), None, None));
    drop(rest);
    let (mut tx, mut rx) = name.pair::<u64>(8);
    tx.send(&6).expect("room");
    sysvring::remove(name.as_str()).expect("removed");
    let mut last = rx.iter();
    assert_eq!(last.next(), Some(Ok(6)), "what was in the ring");
    assert_eq!(last.next(), Some(Err(RecvError::Fault(Fault::Removed))));
    assert_eq!(last.next(), None);
}

#[test]
fn both_sides_report_the_length<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    let see = |tx: &F::Sender<u64>, rx: &F::Receiver<u64>, n: usize| {
        assert_eq!((tx.len(), rx.len()), (n, n));
        assert_eq!((tx.is_empty(), rx.is_empty()), (n == 0, n == 0));
        assert_eq!((tx.is_full(), rx.is_full()), (n == 4, n == 4));
        assert_eq!((tx.capacity(), rx.capacity()), (4, 4));
        assert_eq!((tx.slot_size(), rx.slot_size()), (8, 8));
        assert_eq!(sysvring::stat(name.as_str()).expect("stat").depth, n as u64);
        let positions = tx.position().zip(rx.position());
        assert!(positions.is_none_or(|(sent, received)| sent - received == n as u64));
    };
    for round in 0..5 {
        for n in 0..4 {
            see(&tx, &rx, n);
            tx.try_send(&(n as u64)).expect("room");
        }
        for n in (0..4).rev() {
            see(&tx, &rx, n + 1);
            assert_eq!(rx.try_recv(), Ok(3 - n as u64));
        }
        see(&tx, &rx, 0);
        assert!(tx.position().is_none_or(|position| position == 4 * (round + 1)));
    }
}

/// Receives one message, holds it until told to drop it, then reports the next result.
#[work]
fn hold(args: &mut Args) {
    let name: String = args.next();
    let mut rx: Receiver<u64> = Options::named(name).open().expect("open");
    let guard = rx.recv_ref().expect("a message");
    print_line(*guard);
    read_line();
    guard.ack().expect("acknowledged");
    print_line(match rx.recv() {
        Ok(n) => n.to_string(),
        Err(error) => format!("{error:?}"),
    });
}

#[test]
fn flush_waits_for_the_last_acknowledgement() {
    let name = Name::new();
    let mut tx: Sender<u64> = name.options().open().expect("open");
    assert_eq!(tx.flush(LONG), Ok(()), "nothing was sent");
    let mut holder = Worker::start(&[&"full_empty_disconnected::hold", &name]).expect("start");
    tx.send(&7).expect("send");
    holder.expect("7");
    assert_eq!(tx.flush(Duration::ZERO), Err(SendError::Timeout));
    assert_eq!(tx.flush(SOON), Err(SendError::Timeout), "a guard is held");
    assert_eq!(tx.len(), 1);
    holder.write_line("let go").expect("tell");
    assert_eq!(tx.flush(LONG), Ok(()));
    assert_eq!(tx.len(), 0);
    drop(tx);
    holder.expect("Disconnected");
    holder.finish();
}

#[test]
fn flush_reports_why_it_failed() {
    let name = Name::new();
    let mut tx: Sender<u64> = name.options().open().expect("open");
    assert_eq!(tx.peer(), Ok(Peer::Absent));
    tx.send(&1).expect("send");
    let start = Instant::now();
    assert_eq!(tx.flush(SOON), Err(SendError::Timeout), "no member has joined yet");
    assert!(start.elapsed() >= SOON);
    let mut holder = Worker::start(&[&"full_empty_disconnected::hold", &name]).expect("start");
    holder.expect("1");
    let killer = std::thread::spawn(move || {
        std::thread::sleep(SOON);
        holder.kill_and_wait().expect("kill");
    });
    assert_eq!(tx.flush(LONG), Err(SendError::Disconnected));
    assert_eq!(tx.len(), 1, "it is kept for another receiver");
    killer.join().expect("killed");
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(tx.flush(LONG), Ok(()));
    drop(rx);
    assert_eq!(tx.flush(LONG), Ok(()), "no message is left");
}

#[test]
fn closing_is_reported_after_the_drain() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(8);
    tx.send_batch(&[1, 2, 3]).expect("room");
    tx.close().expect("closed");
    assert_eq!(rx.peer(), Ok(Peer::Left));
    assert_eq!((rx.recv(), rx.try_recv(), rx.recv_timeout(LONG)), (Ok(1), Ok(2), Ok(3)));
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
    assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
    assert_eq!(rx.recv_boxed(), Err(RecvError::Disconnected));
    assert!(matches!(rx.recv_ref(), Err(RecvError::Disconnected)));
    // After another receiver joins, everything works again.
    let mut tx: Sender<u64> = name.options().attach().expect("attach");
    assert_eq!(rx.wait_for_peer(LONG), Ok(()));
    assert_eq!(rx.peer(), Ok(Peer::Present { pid: std::process::id() }));
    tx.send(&4).expect("send");
    assert_eq!(rx.recv(), Ok(4));
    rx.close().expect("closed");
    assert_eq!(tx.peer(), Ok(Peer::Left));
    // The send that detects the disconnect is published, and kept for the next receiver.
    assert_eq!(tx.try_send(&5), Ok(()));
    assert_eq!(tx.try_send(&0), Err(SendError::Disconnected));
    assert_eq!(tx.send(&0), Err(SendError::Disconnected));
    assert_eq!(tx.send_timeout(&0, LONG), Err(SendError::Disconnected));
    assert!(matches!(tx.loan(), Err(SendError::Disconnected)));
    let nothing_sent = BatchError { sent: 0, error: SendError::Disconnected };
    assert_eq!(tx.send_batch(&[0, 0]), Err(nothing_sent));
    assert_eq!(tx.wait_for_peer(SOON), Err(SendError::Timeout));
    let mut rx: Receiver<u64> = name.options().attach().expect("attach");
    assert_eq!(tx.wait_for_peer(LONG), Ok(()));
    assert_eq!(tx.peer(), Ok(Peer::Present { pid: std::process::id() }));
    tx.send(&6).expect("send");
    assert_eq!((rx.recv(), rx.recv()), (Ok(5), Ok(6)), "and nothing of what failed");
}

#[test]
fn closing_a_removed_channel_reports_it() {
    let name = Name::new();
    let (tx, rx) = name.pair::<u64>(8);
    sysvring::remove(name.as_str()).expect("removed");
    assert!(matches!(tx.close(), Err(Error::Fault(Fault::Removed))));
    assert!(matches!(rx.close(), Err(Error::Fault(Fault::Removed))));
}

#[test]
fn a_sent_message_needs_no_receiver<F: TakingFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<u64> = name.options().capacity(4).open().expect("open");
    for n in 0..4 {
        tx.send_timeout(&n, LONG).expect("send");
    }
    assert_eq!(tx.try_send(&4), Err(SendError::Full));
    assert_eq!(tx.send_timeout(&4, SOON), Err(SendError::Timeout), "a receiver may still join");
}
