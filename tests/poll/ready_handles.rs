//! What makes a handle ready: a message, room, the end of the stream, a member that joins; and what
//! makes it no longer ready.

use std::thread;
use std::time::Duration;

use sysvring::{RecvError, SendError, WaitSet};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::test;

use crate::{LONG, NOW, tokens, wait};

/// A handle is ready until a `try_` call finds nothing.
#[test]
fn a_message_makes_a_receiver_ready<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    assert_eq!(tokens(&set, NOW), [token], "it was just added");
    assert_eq!(tokens(&set, LONG), [token], "nobody looked yet");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert_eq!(tokens(&set, NOW), []);
    for n in 0..100 {
        tx.try_send(&n).expect("room");
        let events = wait(&set, LONG);
        assert_eq!((events.len(), events[0].token()), (1, token), "{n}");
        assert!(events[0].is_readable() && !events[0].is_writable());
        assert!(!events[0].is_interrupted());
        assert_eq!(tokens(&set, LONG), [token], "it was not received");
        assert_eq!(rx.try_recv(), Ok(n));
        assert_eq!(tokens(&set, LONG), [token], "there may be more");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        assert_eq!(tokens(&set, NOW), [], "{n}");
    }
}

/// A call of a handle that returns an error.
type Failing<H, E> = fn(&mut H) -> E;

/// Each call that finds nothing arms the handle.
#[test]
fn every_call_that_finds_nothing_arms_the_handle<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    let set = WaitSet::new().expect("a set");
    let readable = set.add(&rx).expect("added");
    let nothing: [Failing<F::Receiver<u64>, RecvError>; 5] = [
        |rx| rx.try_recv().expect_err("empty"),
        |rx| rx.try_recv_into(&mut 0).expect_err("empty"),
        |rx| rx.try_recv_batch(&mut Vec::new(), 3).expect_err("empty"),
        |rx| rx.try_recv_boxed().expect_err("empty"),
        |rx| rx.try_recv_ref().map(drop).expect_err("empty"),
    ];
    for call in nothing {
        tx.try_send(&7).expect("room");
        assert_eq!(tokens(&set, LONG), [readable]);
        assert_eq!(rx.try_recv(), Ok(7));
        assert_eq!(call(&mut rx), RecvError::Empty);
        assert_eq!(tokens(&set, NOW), []);
    }
    assert!(set.remove(readable));
    let writable = set.add(&tx).expect("added");
    let full: [Failing<F::Sender<u64>, SendError>; 3] = [
        |tx| tx.try_send(&0).expect_err("full"),
        |tx| tx.try_send_batch(&[&0, &0]).expect_err("full").error,
        |tx| tx.try_loan().map(drop).expect_err("full"),
    ];
    for call in full {
        while tx.try_send(&1).is_ok() {}
        while rx.try_recv().is_ok() {}
        assert_eq!(tokens(&set, LONG), [writable]);
        for _ in 0..4 {
            tx.try_send(&1).expect("room");
        }
        assert_eq!(call(&mut tx), SendError::Full);
        assert_eq!(tokens(&set, NOW), []);
    }
}

#[test]
fn room_makes_a_sender_ready<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(8);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&tx).expect("added");
    for lap in 0..100 {
        let mut sent = 0;
        while tx.try_send(&lap).is_ok() {
            sent += 1;
        }
        assert!(sent >= 4, "lap {lap}: {sent} were free");
        assert_eq!(tx.try_send(&lap), Err(SendError::Full));
        assert_eq!(tokens(&set, NOW), [], "lap {lap}");
        // At the latest when half of the ring is free, and the receiver knows of no more.
        for _ in 0..4 {
            rx.try_recv().expect("a full ring");
        }
        let events = wait(&set, Some(PROMPT));
        assert_eq!((events.len(), events[0].token()), (1, token), "lap {lap}");
        assert!(events[0].is_writable() && !events[0].is_readable());
    }
}

/// The same while a thread waits: it is woken at once, and not by the next look around.
#[test]
fn a_waiting_thread_is_woken_at_once<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(2);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    for n in 0..20 {
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| (tokens(&set, LONG), now_ns()));
            thread::sleep(Duration::from_millis(2));
            let (sent, watch) = (now_ns(), Watch::start(&[]));
            tx.try_send(&n).expect("room");
            let (events, _) = waiting.join().expect("events");
            assert_eq!(events, [token]);
            watch.must_be_within(PROMPT, sent);
        });
        assert_eq!(rx.try_recv(), Ok(n));
    }
}

/// Every message arrives, whatever the timing.
#[test]
fn a_stream_arrives_by_waits_alone<F: AnyFlavor>() {
    const MESSAGES: u64 = if cfg!(debug_assertions) { 20_000 } else { 200_000 };
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(16);
    thread::scope(|scope| {
        scope.spawn(move || {
            let set = WaitSet::new().expect("a set");
            set.add(&tx).expect("added");
            for n in 0..MESSAGES {
                loop {
                    match tx.try_send(&n) {
                        Ok(()) => break,
                        Err(SendError::Full) => {
                            assert!(!wait(&set, LONG).is_empty(), "it stays full");
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
        let set = WaitSet::new().expect("a set");
        set.add(&rx).expect("added");
        let mut next = 0;
        loop {
            match rx.try_recv() {
                Ok(n) => {
                    assert_eq!(n, next);
                    next += 1;
                }
                Err(RecvError::Empty) => assert!(!wait(&set, LONG).is_empty(), "it stays empty"),
                Err(RecvError::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(next, MESSAGES);
    });
}

#[test]
fn the_end_of_the_stream_makes_a_receiver_ready<F: AnyFlavor>() {
    for finishes in [false, true] {
        let name = Name::new();
        let (tx, mut rx) = name.pair_of::<F, u64>(2);
        let set = WaitSet::new().expect("a set");
        let token = set.add(&rx).expect("added");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        match finishes {
            true => tx.finish().expect("finished"),
            false => drop(tx),
        }
        assert_eq!(tokens(&set, Some(PROMPT)), [token], "{finishes}");
        assert_eq!(rx.try_recv(), Err(RecvError::Disconnected), "{finishes}");
        assert_eq!(tokens(&set, NOW), [token], "it is over as long as nobody joins");
    }
}

#[test]
fn the_last_receiver_that_leaves_makes_a_sender_ready<F: TakingFlavor>() {
    let name = Name::new();
    let (mut tx, rx) = name.pair_of::<F, u64>(2);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&tx).expect("added");
    while tx.try_send(&1).is_ok() {}
    assert_eq!(tokens(&set, NOW), []);
    drop(rx);
    assert_eq!(tokens(&set, Some(PROMPT)), [token]);
    assert_eq!(tx.try_send(&1), Err(SendError::Disconnected));
}

/// A member that joins rings, so that its end is noticed; the handle may find nothing.
#[test]
fn a_member_that_joins_is_noticed<F: AnyFlavor>() {
    let name = Name::new();
    let mut rx: F::Receiver<u64> = name.options().capacity(2).open().expect("open");
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert_eq!(tokens(&set, NOW), []);
    for n in 0..5 {
        let mut tx: F::Sender<u64> = name.options().attach().expect("attach");
        assert_eq!(tokens(&set, Some(PROMPT)), [token]);
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        tx.try_send(&n).expect("room");
        assert_eq!(tokens(&set, Some(PROMPT)), [token]);
        assert_eq!(rx.try_recv(), Ok(n));
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        drop(tx);
        assert_eq!(tokens(&set, Some(PROMPT)), [token]);
        assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
        // The end is not an event that is over: the handle is ready until another sender joins.
        assert_eq!(tokens(&set, NOW), [token]);
    }
}

/// A call that blocks works in a set, and takes nothing from the set.
#[test]
fn blocking_calls_work_in_a_set<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(2);
    let set = WaitSet::new().expect("a set");
    let (readable, writable) = (set.add(&rx).expect("added"), set.add(&tx).expect("added"));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    while tx.try_send(&1).is_ok() {}
    let sent = rx.len() as u64;
    thread::scope(|scope| {
        let sending = scope.spawn(|| tx.send_timeout(&2, Duration::from_secs(20)));
        for _ in 0..sent {
            assert_eq!(rx.recv_timeout(Duration::from_secs(20)), Ok(1));
        }
        assert_eq!(sending.join().expect("sent"), Ok(()));
    });
    assert_eq!(rx.recv_timeout(Duration::from_secs(20)), Ok(2));
    let short = Duration::from_millis(10);
    assert_eq!(rx.recv_timeout(short), Err(RecvError::Timeout));
    // The rings that came meanwhile cost one look.
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    let left = tokens(&set, Some(PROMPT));
    assert!(left.iter().all(|token| *token == writable), "{left:?} without {readable:?}");
    tx.try_send(&3).expect("room");
    assert!(tokens(&set, LONG).contains(&readable));
}
