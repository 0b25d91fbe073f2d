//! Every call that sends or receives, from process to process.

use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{BatchError, Options, RecvError, SendError};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

const LONG: Duration = Duration::from_secs(20);

/// Sends 0 to `count` to a channel, by one kind of call.
#[work]
fn count_up(args: &mut Args) {
    let (name, count, way): (String, u64, String) = (args.next(), args.next(), args.next());
    let mut tx: Sender<u64> = Options::named(name).open().expect("open");
    send_all(&mut tx, count, &way);
}

const WAYS_TO_SEND: [&str; 8] = [
    "send",
    "try_send",
    "send_timeout",
    "send_batch",
    "try_send_batch",
    "loan",
    "try_loan",
    "loan_timeout",
];

fn send_all(tx: &mut Sender<u64>, count: u64, way: &str) {
    let again = |result: Result<(), SendError>| match result {
        Ok(()) => false,
        Err(SendError::Full) => {
            std::thread::yield_now();
            true
        }
        Err(error) => panic!("{error}"),
    };
    if way == "send_batch" || way == "try_send_batch" {
        let all: Vec<u64> = (0..count).collect();
        let mut rest = &all[..];
        while !rest.is_empty() {
            let sent = match way {
                "send_batch" => tx.send_batch(rest),
                _ => tx.try_send_batch(rest),
            };
            match sent {
                Ok(()) => rest = &[],
                Err(BatchError { sent, error: SendError::Full }) if way == "try_send_batch" => {
                    rest = &rest[sent..];
                    std::thread::yield_now();
                }
                Err(error) => panic!("{error}"),
            }
        }
        return;
    }
    for n in 0..count {
        match way {
            "send" => tx.send(&n).expect("send"),
            "try_send" => while again(tx.try_send(&n)) {},
            "send_timeout" => tx.send_timeout(&n, LONG).expect("send"),
            "try_loan" => while again(tx.try_loan().map(|loan| fill(loan, n))) {},
            "loan" => fill(tx.loan().expect("loan"), n),
            "loan_timeout" => fill(tx.loan_timeout(LONG).expect("loan"), n),
            other => panic!("unknown kind of call: {other}"),
        }
    }
}

fn fill(mut loan: sysvring::spsc::Loan<'_, u64>, n: u64) {
    *loan = n;
    loan.commit().expect("committed");
}

const WAYS_TO_RECEIVE: [&str; 17] = [
    "recv",
    "try_recv",
    "recv_timeout",
    "recv_into",
    "try_recv_into",
    "recv_into_timeout",
    "recv_boxed",
    "try_recv_boxed",
    "recv_boxed_timeout",
    "recv_ref",
    "try_recv_ref",
    "recv_ref_timeout",
    "recv_batch",
    "try_recv_batch",
    "recv_batch_timeout",
    "iter",
    "try_iter",
];

/// Returns the value that was written to a caller-provided buffer; an error leaves the buffer
/// unchanged.
fn into(receive: impl FnOnce(&mut u64) -> Result<(), RecvError>) -> Result<u64, RecvError> {
    let mut place = u64::MAX;
    let received = receive(&mut place);
    assert!(received.is_ok() || place == u64::MAX, "an error wrote {place}");
    received.map(|()| place)
}

/// Receives one or more messages; none if the channel is empty, an error at the end.
fn receive_some(rx: &mut Receiver<u64>, way: &str, got: &mut Vec<u64>) -> Result<(), RecvError> {
    let one = match way {
        "recv" => rx.recv(),
        "try_recv" => rx.try_recv(),
        "recv_timeout" => rx.recv_timeout(LONG),
        "recv_into" => into(|n| rx.recv_into(n)),
        "try_recv_into" => into(|n| rx.try_recv_into(n)),
        "recv_into_timeout" => into(|n| rx.recv_into_timeout(n, LONG)),
        "recv_boxed" => rx.recv_boxed().map(|n| *n),
        "try_recv_boxed" => rx.try_recv_boxed().map(|n| *n),
        "recv_boxed_timeout" => rx.recv_boxed_timeout(LONG).map(|n| *n),
        "recv_ref" => rx.recv_ref().and_then(|n| n.read(|n| *n)),
        "try_recv_ref" => rx.try_recv_ref().and_then(|n| n.read(|n| *n)),
        "recv_ref_timeout" => rx.recv_ref_timeout(LONG).and_then(|n| n.read(|n| *n)),
        "recv_batch" => return rx.recv_batch(got, 10).map(drop),
        "try_recv_batch" => return rx.try_recv_batch(got, 10).map(drop),
        "recv_batch_timeout" => return rx.recv_batch_timeout(got, 10, LONG).map(drop),
        "iter" => {
            rx.iter().for_each(|n| got.push(n.expect("a message")));
            return Err(RecvError::Disconnected);
        }
        "try_iter" => {
            rx.try_iter().for_each(|n| got.push(n.expect("a message")));
            rx.try_recv()
        }
        other => panic!("unknown kind of call: {other}"),
    };
    one.map(|n| got.push(n))
}

#[test]
fn a_stream_arrives_in_order() {
    let name = Name::new();
    let sender = Worker::start(&[&"messages::count_up", &name, &100_000, &"send"]).expect("start");
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    for n in 0..100_000 {
        assert_eq!(rx.recv(), Ok(n));
    }
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    sender.finish();
}

#[test]
fn every_kind_of_sending_meets_every_kind_of_receiving() {
    // Several laps of the ring, and not a multiple of the batches.
    const COUNT: u64 = 1_003;
    for (i, send) in WAYS_TO_SEND.iter().enumerate() {
        for (j, receive) in WAYS_TO_RECEIVE.iter().enumerate() {
            // Each kind of sending meets two kinds of receiving here, and many over all rounds.
            if (i + j) % 4 != 0 {
                continue;
            }
            let name = Name::new();
            let mut rx: Receiver<u64> = name.options().capacity(64).open().expect("open");
            let sender =
                Worker::start(&[&"messages::count_up", &name, &COUNT, send]).expect("start");
            let mut got = Vec::new();
            let end = loop {
                match receive_some(&mut rx, receive, &mut got) {
                    Ok(()) => {}
                    Err(RecvError::Empty) => std::thread::yield_now(),
                    Err(end) => break end,
                }
            };
            assert_eq!(end, RecvError::Disconnected, "{send} to {receive}");
            assert!(got.iter().copied().eq(0..COUNT), "{send} to {receive}: {got:?}");
            sender.finish();
        }
    }
}

#[test]
fn batches_are_longer_than_the_ring() {
    let name = Name::new();
    let (mut tx, receiver) = with_receiver(&name, 8, 1_000);
    tx.send_batch(&(0..1_000).collect::<Vec<_>>()).expect("all of them");
    receiver.finish();
}

/// Returns the sender of a channel whose receiver, another process, expects 0 to `count`.
fn with_receiver(name: &Name, capacity: usize, count: u64) -> (Sender<u64>, Worker) {
    let tx = name.options().capacity(capacity).open().expect("open");
    let mut receiver = Worker::start(&[&"messages::receive", name, &count]).expect("start");
    receiver.expect("here");
    (tx, receiver)
}

/// Receives 0 to `count` from a channel, then leaves it.
#[work]
fn receive(args: &mut Args) {
    let (name, count): (String, u64) = (args.next(), args.next());
    let mut rx: Receiver<u64> = Options::named(name).attach().expect("attach");
    print_line("here");
    for n in 0..count {
        assert_eq!(rx.recv(), Ok(n));
    }
}

#[test]
fn a_ring_of_one_slot() {
    let name = Name::new();
    let (mut tx, receiver) = with_receiver(&name, 1, 1_000);
    for n in 0..1_000 {
        tx.send(&n).expect("send");
        assert!(tx.len() <= 1);
    }
    receiver.finish();
}

#[test]
fn capacities_are_rounded_up() {
    for (asked, made) in [(1, 1), (2, 2), (3, 4), (5, 8), (1_000, 1_024), (1_025, 2_048)] {
        let name = Name::new();
        let (mut tx, rx) = name.pair::<u64>(asked);
        assert_eq!((tx.capacity(), rx.capacity()), (made, made));
        for n in 0..made as u64 {
            tx.try_send(&n).expect("room for all of them");
        }
        assert_eq!(tx.try_send(&0), Err(SendError::Full));
        drop(rx);
        // The requested options agree with the rounded ones.
        name.options().capacity(asked).attach::<Receiver<u64>>().expect("attach");
    }
    let name = Name::new();
    let tx: Sender<u64> = name.options().open().expect("open");
    assert_eq!(tx.capacity(), 1_024, "by default");
}

#[test]
fn rings_wrap_around_for_many_laps() {
    let name = Name::new();
    let (mut tx, receiver) = with_receiver(&name, 4, 10_000);
    for n in 0..10_000 {
        tx.send(&n).expect("send");
    }
    assert_eq!(tx.flush(LONG), Ok(()));
    assert_eq!(tx.position(), 10_000);
    receiver.finish();
}
