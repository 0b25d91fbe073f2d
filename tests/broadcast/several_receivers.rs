//! Every receiver gets every message, at its own pace; the sender waits for the slowest.

use std::time::Duration;

use sysvring::{Error, Options, RecvError, SendError, Tap, TapStart, broadcast, untyped};
use sysvring_support::name::Name;
use sysvring_support::test;

use crate::{Receiver, Sender, channel};

#[test]
fn every_receiver_gets_every_message() {
    let name = Name::new();
    let (mut tx, mut all) = channel::<5>(&name, 8);
    for n in 0..1_000 {
        tx.try_send(&n).expect("room");
        for rx in &mut all {
            assert_eq!(rx.try_recv(), Ok(n));
            assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        }
    }
}

#[test]
fn the_sender_waits_for_the_slowest() {
    let name = Name::new();
    let (mut tx, [mut fast, mut slow]) = channel(&name, 4);
    for n in 0..4 {
        tx.try_send(&n).expect("room");
        assert_eq!(fast.try_recv(), Ok(n));
    }
    assert_eq!(tx.try_send(&4), Err(SendError::Full));
    let pid = std::process::id();
    assert_eq!(tx.send_timeout(&4, Duration::from_millis(20)), Err(SendError::Blocked { pid }));
    assert!(tx.is_full() && slow.is_full() && !fast.is_full());
    assert_eq!((tx.len(), fast.len(), slow.len()), (4, 0, 4));
    assert_eq!(slow.try_recv(), Ok(0));
    tx.try_send(&4).expect("room");
    assert_eq!(tx.try_send(&5), Err(SendError::Full));
    assert_eq!((fast.try_recv(), slow.try_recv()), (Ok(4), Ok(1)));
}

#[test]
fn the_snapshot_tells_how_far_each_is_behind() {
    let name = Name::new();
    let (mut tx, [mut one, _other]) = channel(&name, 8);
    tx.send_batch(&[1, 2, 3]).expect("room");
    one.try_recv().expect("a message");
    let stat = tx.stat().expect("stat");
    let lags: Vec<_> = stat.members.iter().map(|member| member.lag).collect();
    assert_eq!(lags, [None, Some(2), Some(3)]);
    assert_eq!((stat.depth, stat.room, stat.head, stat.tail), (3, 5, 0, 3));
    assert_eq!(tx.slowest().expect("stat").map(|member| member.lag), Some(Some(3)));
    let messages: Vec<_> = stat.members.iter().map(|member| member.messages).collect();
    assert_eq!(messages, [3, 1, 0]);
}

#[test]
fn one_that_leaves_holds_nobody_up() {
    let name = Name::new();
    let (mut tx, [mut stays, leaves]) = channel(&name, 2);
    for n in 0..2 {
        tx.try_send(&n).expect("room");
        assert_eq!(stays.try_recv(), Ok(n));
    }
    assert_eq!(tx.try_send(&2), Err(SendError::Full));
    drop(leaves);
    tx.try_send(&2).expect("room");
    assert_eq!(stays.try_recv(), Ok(2));
}

#[test]
fn a_sender_without_receivers_goes_on() {
    let name = Name::new();
    let (mut tx, []) = channel(&name, 4);
    for n in 0..100 {
        tx.try_send(&n).expect("nobody is waited for");
    }
    tx.flush(Duration::ZERO).expect("nobody is waited for");
    assert_eq!((tx.len(), tx.receivers()), (0, Ok(0)));
    let mut rx: Receiver = name.options().attach().expect("a receiver");
    let last: Vec<u64> = rx.try_iter().map(|message| message.expect("a message")).collect();
    assert_eq!(last.last(), Some(&99));
    assert!(last.windows(2).all(|two| two[0] + 1 == two[1]), "{last:?}");
}

#[test]
fn in_place_and_in_batches() {
    let name = Name::new();
    let (mut tx, [mut one, mut two]) = channel(&name, 8);
    let mut loan = tx.loan().expect("a slot");
    *loan = 1;
    loan.commit().expect("sent");
    tx.send_batch(&[2, 3]).expect("room");
    let first = one.recv_ref().expect("a message");
    assert_eq!((*first, first.delivery_count()), (1, 1));
    drop(first);
    // It is returned to this receiver, and is the other's as well.
    let again = one.recv_ref().expect("a message");
    assert_eq!((*again, again.delivery_count()), (1, 2));
    again.ack().expect("acknowledged");
    let first = two.recv_ref().expect("a message");
    assert_eq!((*first, first.delivery_count()), (1, 1));
    first.reject().expect("passed over");
    for rx in [&mut one, &mut two] {
        let mut messages = Vec::new();
        assert_eq!(rx.recv_batch(&mut messages, 10), Ok(2));
        assert_eq!(messages, [2, 3]);
    }
    tx.flush(Duration::ZERO).expect("all acknowledged");
}

#[test]
fn the_end_of_the_stream_is_for_all() {
    let name = Name::new();
    let (mut tx, all) = channel::<3>(&name, 4);
    tx.send(&7).expect("room");
    tx.finish().expect("finished");
    for mut rx in all {
        assert_eq!((rx.recv(), rx.recv()), (Ok(7), Err(RecvError::Disconnected)));
    }
}

#[test]
fn a_second_sender_is_refused() {
    let name = Name::new();
    let (_tx, [_rx]) = channel(&name, 4);
    match name.options().attach::<Sender>() {
        Err(Error::SeatTaken { role: "sender", pid, .. }) => assert_eq!(pid, std::process::id()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn there_are_as_many_receivers_as_seats() {
    let name = Name::new();
    let options = name.options().max_members(254).capacity(2);
    let mut tx: Sender = options.open().expect("a sender");
    let mut all: Vec<Receiver> =
        (0..253).map(|_| name.options().attach().expect("a receiver")).collect();
    assert!(matches!(name.options().attach::<Receiver>(), Err(Error::NoSeat { seats: 254, .. })));
    tx.wait_for_receivers(253, Duration::from_secs(10)).expect("all are there");
    for n in 0..5 {
        tx.send(&n).expect("room");
        all.iter_mut().for_each(|rx| assert_eq!(rx.recv(), Ok(n)));
    }
}

#[test]
fn other_flavors_are_refused() {
    let name = Name::new();
    let (_tx, [_rx]) = channel(&name, 4);
    let refused = name.options().attach::<sysvring::spsc::Receiver<u64>>();
    assert!(matches!(refused, Err(Error::TypeMismatch { .. })), "{refused:?}");
    let options = Options::private().redelivery(sysvring::Redelivery::Discard { after: 2 });
    let refused = options.create::<broadcast::Sender<u64>>();
    assert!(matches!(refused, Err(Error::InvalidOption { option: "redelivery", .. })));
}

#[test]
fn an_untyped_handle_and_a_tap_see_the_same() {
    let name = Name::new();
    let (mut tx, [mut typed]) = channel(&name, 4);
    let mut bytes: untyped::Receiver = name.options().attach().expect("a receiver");
    let mut tap = Tap::open(name.as_str(), TapStart::Oldest).expect("a tap");
    for n in 0..10u64 {
        tx.try_send(&n).expect("room");
        assert_eq!(typed.try_recv(), Ok(n));
        let mut message = Vec::new();
        bytes.try_recv_into(&mut message).expect("a message");
        assert_eq!(message, n.to_le_bytes());
        let tapped = tap.try_next(&mut message).expect("sound").expect("a message");
        assert_eq!(tapped.position, n);
        assert_eq!(message, n.to_le_bytes());
    }
    drop(tx);
    let mut tx: untyped::Sender = name.options().attach().expect("a sender");
    tx.try_send(&10u64.to_le_bytes()).expect("room");
    assert_eq!(typed.try_recv(), Ok(10));
}
