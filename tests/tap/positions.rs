//! Where a tap starts, and how it waits.

use std::thread;
use std::time::{Duration, Instant};

use sysvring::{Lifetime, Observer, Options, Tap, TapStart, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::{next, rest};

fn send(tx: &mut spsc::Sender<[u64; 2]>, messages: u64) {
    (0..messages).for_each(|_| tx.send(&[tx.position(); 2]).expect("room"));
}

fn send_to_many(tx: &mpmc::Sender<[u64; 2]>, messages: u64) {
    for _ in 0..messages {
        let mut loan = tx.loan().expect("room");
        *loan = [loan.position(); 2];
        loan.commit().expect("send");
    }
}

#[test]
fn now_begins_behind_what_was_sent() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<[u64; 2]>(64);
    send(&mut tx, 10);
    let mut tap = Tap::open(name.as_str(), TapStart::default()).expect("a tap");
    assert_eq!((tap.position(), rest(&mut tap)), (10, vec![]));
    send(&mut tx, 3);
    assert_eq!(rest(&mut tap), [10, 11, 12]);
    // Taps take nothing.
    assert!((0..13).all(|n| rx.recv() == Ok([n; 2])));
    assert_eq!(tap.id(), tx.id());
}

#[test]
fn oldest_begins_with_received_messages() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<[u64; 2]>(128);
    for _ in 0..5 {
        send(&mut tx, 100);
        (0..100).for_each(|_| _ = rx.recv().expect("a message"));
    }
    drop(tx);
    drop(rx);
    // Slots of 24 bytes: the next 42 of them may be in use, as far as a tap can know; but for the
    // end of the lap.
    let mut tap = Tap::open(name.as_str(), TapStart::Oldest).expect("a tap");
    assert_eq!(rest(&mut tap), (384..500).collect::<Vec<u64>>());
    assert_eq!((tap.seen(), tap.missed(), tap.unsent()), (116, 0, 0));

    let name = Name::new();
    let (tx, rx) = name.pair_of::<sysvring_support::handle::Mpmc, [u64; 2]>(128);
    for _ in 0..5 {
        send_to_many(&tx, 100);
        (0..100).for_each(|_| _ = rx.recv().expect("a message"));
    }
    let mut tap = Tap::open(name.as_str(), TapStart::Oldest).expect("a tap");
    assert_eq!(rest(&mut tap), (372..500).collect::<Vec<u64>>());
    assert_eq!((tap.seen(), tap.missed(), tap.unsent()), (128, 0, 0));
}

#[test]
fn a_tap_continues_where_another_one_stopped() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<[u64; 2]>(128);
    send(&mut tx, 20);
    let mut first = Tap::open(name.as_str(), TapStart::Oldest).expect("a tap");
    (0..7).for_each(|n| assert_eq!(next(&mut first).0.position, n));
    let mut second = Tap::open(tx.id(), TapStart::Position(first.position())).expect("a tap");
    drop(first);
    assert_eq!(rest(&mut second), (7..20).collect::<Vec<u64>>());
    let third = TapStart::Position(second.position());
    for _ in 0..10 {
        (0..20).for_each(|_| _ = rx.recv().expect("a message"));
        send(&mut tx, 20);
    }
    // What was overwritten meanwhile is counted, and told with the next message.
    let mut third = Observer::open(name.as_str()).expect("open").tap(third).expect("a tap");
    let (tapped, words) = next(&mut third);
    assert_eq!((words, tapped.missed), (vec![tapped.position; 2], tapped.position - 20));
    assert!(tapped.position > 92);
    rest(&mut third);
    assert_eq!((third.position(), third.seen() + third.missed()), (220, 200));
    // One that was not sent yet is waited for.
    let mut late = Tap::open(name.as_str(), TapStart::Position(225)).expect("a tap");
    (0..20).for_each(|_| _ = rx.recv().expect("a message"));
    send(&mut tx, 8);
    assert_eq!((rest(&mut late), late.missed()), (vec![225, 226, 227], 0));
}

#[test]
fn a_tap_waits_for_a_message() {
    let name = Name::new();
    let (mut tx, _rx) = name.pair::<[u64; 2]>(64);
    let mut tap = Tap::open(name.as_str(), TapStart::Now).expect("a tap");
    let (mut message, start) = (vec![1; 3], Instant::now());
    let none = tap.next_timeout(&mut message, Duration::from_millis(30)).expect("a channel");
    assert!(none.is_none() && message.is_empty(), "{none:?}");
    assert!(start.elapsed() >= Duration::from_millis(30), "{:?}", start.elapsed());
    assert!(tap.next_timeout(&mut message, Duration::ZERO).expect("a channel").is_none());
    let sender = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        send(&mut tx, 1);
        tx
    });
    let (tapped, words) = next(&mut tap);
    assert_eq!((tapped.position, words), (0, vec![0; 2]));
    drop(sender.join().expect("a sender"));
}

#[test]
fn a_forked_child_goes_on_with_its_copy() {
    Worker::run(&[&"positions::fork", &Name::new()]);
}

#[work]
fn fork(args: &mut Args) {
    let name: String = args.next();
    let options = || Options::named(&name).lifetime(Lifetime::LastMember);
    let mut tx: spsc::Sender<[u64; 2]> = options().create().expect("create");
    let mut tap = Tap::open(tx.id(), TapStart::Now).expect("a tap");
    send(&mut tx, 3);
    let child = Fork::start(|| assert_eq!(rest(&mut tap), [0, 1, 2]));
    child.finish();
    send(&mut tx, 1);
    assert_eq!(rest(&mut tap), [0, 1, 2, 3]);
}
