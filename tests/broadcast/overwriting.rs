//! Overwriting channels: the sender waits for nobody, and a receiver is told what it missed.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use sysvring::{Error, Options, RecvError, WaitSet, broadcast, untyped};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::shared_counters::{shared_counters, until_at_least};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::{Receiver, Sender};

fn channel<const N: usize>(name: &Name, capacity: usize) -> (Sender, [Receiver; N]) {
    let tx = name.options().capacity(capacity).overwriting(true).open().expect("a sender");
    (tx, std::array::from_fn(|_| name.options().attach().expect("a receiver")))
}

/// Receives all that is there; returns the messages and how many were missed between them.
fn drain(rx: &mut Receiver) -> (Vec<u64>, u64) {
    let (mut messages, mut missed) = (Vec::new(), 0);
    loop {
        match rx.try_recv() {
            Ok(message) => messages.push(message),
            Err(RecvError::Lagged { messages }) => missed += messages,
            Err(RecvError::Empty) => return (messages, missed),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_slow_receiver_slows_nobody_down() {
    let name = Name::new();
    let (mut tx, [mut fast, mut slow]) = channel(&name, 16);
    for n in 0..1_000 {
        tx.try_send(&n).expect("it waits for nobody");
        assert_eq!(fast.try_recv(), Ok(n));
    }
    let (messages, missed) = drain(&mut slow);
    assert_eq!(messages.len() as u64 + missed, 1_000);
    assert_eq!(messages, (missed..1_000).collect::<Vec<_>>());
    assert!((4..16).contains(&messages.len()), "{messages:?}");
    let stat = tx.stat().expect("stat");
    let told: Vec<_> = stat.members.iter().map(|member| (member.lag, member.missed)).collect();
    assert_eq!(told, [(None, None), (Some(0), Some(0)), (Some(0), Some(missed))]);
    assert!(stat.overwriting && !tx.is_full());
}

#[test]
fn the_newest_message_comes_first() {
    let name = Name::new();
    let (mut tx, [mut rx]) = channel(&name, 8);
    assert_eq!(rx.try_latest(), Err(RecvError::Empty));
    for round in 0..200 {
        for n in 0..=round {
            tx.try_send(&(1_000 * round + n)).expect("room");
        }
        assert_eq!(rx.try_latest(), Ok(1_000 * round + round));
        assert_eq!(rx.try_latest(), Err(RecvError::Empty));
        assert_eq!(rx.latest_timeout(Duration::ZERO), Err(RecvError::Timeout));
    }
    // What was passed over was not missed.
    assert_eq!(rx.stat().expect("stat").members[1].missed, Some(0));
}

#[test]
fn the_newest_of_a_lossless_channel_acknowledges_all() {
    let name = Name::new();
    let (mut tx, [mut rx]) = crate::channel(&name, 4);
    for round in 0..10 {
        for n in 0..4 {
            tx.try_send(&(10 * round + n)).expect("room");
        }
        assert_eq!(rx.try_latest(), Ok(10 * round + 3));
    }
}

#[test]
fn every_way_to_receive_works() {
    let name = Name::new();
    let (mut tx, [mut rx]) = channel(&name, 8);
    let mut bytes: untyped::Receiver = name.options().attach().expect("a receiver");
    tx.send_batch(&[1, 2, 3, 4, 5, 6]).expect("it waits for nobody");
    let first = rx.try_recv_ref().expect("a message");
    assert_eq!((*first, first.delivery_count(), first.position()), (1, 1, 0));
    drop(first);
    let again = rx.try_recv_ref().expect("a message");
    assert_eq!((*again, again.delivery_count()), (1, 2));
    again.ack().expect("acknowledged");
    let mut messages = Vec::new();
    assert_eq!((rx.try_recv_batch(&mut messages, 3), &messages[..]), (Ok(3), &[2, 3, 4][..]));
    assert_eq!(*rx.try_recv_boxed().expect("a message"), 5);
    let mut message = 0;
    rx.try_recv_into(&mut message).expect("a message");
    assert_eq!((message, rx.try_recv()), (6, Err(RecvError::Empty)));
    let mut all = Vec::new();
    while let Ok(batch) = bytes.try_recv_batch_ref(10) {
        all.extend(batch.iter().map(|message| message[0]));
        batch.ack().expect("acknowledged");
    }
    assert_eq!(all, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn an_unacknowledged_message_may_be_overwritten() {
    let name = Name::new();
    let (mut tx, [mut rx]) = channel(&name, 4);
    tx.try_send(&0).expect("room");
    let guard = rx.try_recv_ref().expect("a message");
    for n in 1..100 {
        tx.try_send(&n).expect("it waits for nobody");
    }
    assert_eq!(*guard, 0, "it is a copy");
    guard.ack().expect("acknowledged");
    assert!(matches!(rx.try_recv(), Err(RecvError::Lagged { .. })));
    assert_eq!(drain(&mut rx).0.last(), Some(&99));
}

#[test]
fn both_sides_agree_on_the_mode() {
    let name = Name::new();
    let (_tx, [_rx]) = channel(&name, 4);
    let refused = name.options().overwriting(false).attach::<Receiver>();
    assert!(matches!(refused, Err(Error::OptionMismatch { option: "overwriting", .. })));
    let refused = Options::private().overwriting(true).create::<sysvring::spsc::Sender<u64>>();
    assert!(matches!(refused, Err(Error::InvalidOption { option: "overwriting", .. })));
}

#[test]
fn one_that_was_overrun_is_ready() {
    let name = Name::new();
    let (mut tx, [mut rx]) = channel(&name, 4);
    let set = WaitSet::new().expect("a set");
    set.add(&rx).expect("added");
    for round in 1..50 {
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        assert!(set.wait(Some(Duration::ZERO)).expect("a set").is_empty());
        for n in 0..round {
            tx.try_send(&n).expect("it waits for nobody");
        }
        assert_eq!(set.wait(Some(Duration::from_secs(20))).expect("a set").len(), 1);
        drain(&mut rx);
    }
}

/// The same number in every word, and longer than one cache line.
#[sysvring::message]
struct Wide([u64; 40]);

/// At full speed, with receivers that are overrun all the time.
#[work]
fn overrun(_: &mut Args) {
    const MESSAGES: u64 = if cfg!(debug_assertions) { 300_000 } else { 3_000_000 };
    let name = Name::new();
    let options = || name.options().capacity(8).overwriting(true);
    let mut tx: broadcast::Sender<Wide> = options().open().expect("a sender");
    let [missed] = shared_counters::<1>();
    let receivers = [0, 1, 2].map(|kind: u32| {
        Fork::start(|| {
            let mut rx: broadcast::Receiver<Wide> = options().attach().expect("a receiver");
            let mut next = 0;
            loop {
                let received = match kind {
                    0 => rx.recv(),
                    1 => rx.recv_ref().and_then(|guard| guard.read(|Wide(words)| Wide(*words))),
                    _ => rx.latest(),
                };
                match received {
                    Ok(Wide(words)) => {
                        assert_eq!(words, [words[0]; 40], "torn");
                        match kind {
                            2 => assert!(words[0] >= next),
                            _ => assert_eq!(words[0], next),
                        }
                        next = words[0] + 1;
                    }
                    Err(RecvError::Lagged { messages }) => {
                        missed.fetch_add(messages, Release);
                        next += messages;
                    }
                    Err(RecvError::Disconnected) => return assert_eq!(next, MESSAGES),
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    tx.wait_for_receivers(3, Duration::from_secs(20)).expect("they come");
    for n in 0..MESSAGES {
        tx.send(&Wide([n; 40])).expect("it waits for nobody");
    }
    tx.finish().expect("finished");
    receivers.into_iter().for_each(Fork::finish);
    assert!(missed.load(Acquire) != 0, "nobody was overrun");
}

#[test]
fn nothing_is_torn_when_receivers_are_overrun() {
    Worker::run(&[&"overwriting::overrun"]);
}

#[work]
fn stopped(_: &mut Args) {
    let name = Name::new();
    name.may_oversleep();
    let (mut tx, [mut fast]) = channel(&name, 8);
    let [here] = shared_counters::<1>();
    let slow = Fork::start(|| {
        let mut rx: Receiver = name.options().attach().expect("a receiver");
        here.store(1, Release);
        let mut next = 0;
        loop {
            match rx.recv() {
                Ok(n) => next = n + 1,
                Err(RecvError::Lagged { messages }) => next += messages,
                Err(RecvError::Disconnected) => return assert_eq!(next, 10_000),
                Err(error) => panic!("{error}"),
            }
        }
    });
    until_at_least(here, 1);
    slow.signal(libc::SIGSTOP);
    for n in 0..10_000 {
        tx.send_timeout(&n, Duration::ZERO).expect("it waits for nobody");
        assert_eq!(fast.try_recv(), Ok(n));
    }
    tx.finish().expect("finished");
    slow.signal(libc::SIGCONT);
    slow.finish();
}

#[test]
fn a_stopped_receiver_stops_nobody() {
    Worker::run(&[&"overwriting::stopped"]);
}
