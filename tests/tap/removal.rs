//! A tap of a channel that is removed: it reads what is left, then it says so.

use std::time::Duration;

use sysvring::{Error, Fault, Lifetime, Options, Tap, TapStart, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Key, remove_segment, remove_set};
use sysvring_support::test;

use crate::{LONG, next, rest};

/// The tap must say that the channel was removed, again and again.
#[track_caller]
fn must_be_over(tap: &mut Tap) {
    for _ in 0..3 {
        let mut message = vec![1];
        let found = tap.next_timeout(&mut message, LONG);
        assert!(matches!(found, Err(Error::Fault(Fault::Removed))), "{found:?}");
        let found = tap.try_next(&mut message);
        assert!(matches!(found, Err(Error::Fault(Fault::Removed))), "{found:?}");
        assert!(message.is_empty());
    }
}

fn send(tx: &mut spsc::Sender<[u64; 2]>) {
    tx.send(&[tx.position(); 2]).expect("room");
}

#[test]
fn a_channel_is_removed_and_made_again() {
    let name = Name::new();
    let (mut tx, rx) = name.pair::<[u64; 2]>(64);
    let mut tap = Tap::open(name.as_str(), TapStart::Now).expect("a tap");
    (0..3).for_each(|_| send(&mut tx));
    sysvring::remove(name.as_str()).expect("removed");
    let (mut tx_again, _rx_again) = name.pair::<[u64; 2]>(64);
    send(&mut tx_again);
    // The messages of the old channel come first, and none of the new one.
    assert_eq!([(); 3].map(|()| next(&mut tap).0.position), [0, 1, 2]);
    must_be_over(&mut tap);
    let mut again = Tap::open(name.as_str(), TapStart::Oldest).expect("a tap");
    assert_ne!(again.id(), tap.id());
    assert_eq!(rest(&mut again), [0]);
    let gone = Tap::open(tap.id(), TapStart::Now);
    // The old segment exists as long as it is attached, but nothing is sent there any more.
    match gone {
        Ok(mut gone) => must_be_over(&mut gone),
        Err(error) => assert!(matches!(error, Error::NotFound { .. }), "{error}"),
    }
    drop((tx, rx));
}

#[test]
fn the_last_member_leaves() {
    let name = Name::new();
    let options = || name.options().lifetime(Lifetime::LastMember);
    let mut tx: spsc::Sender<[u64; 2]> = options().create().expect("create");
    let mut tap = Tap::open(name.as_str(), TapStart::Now).expect("a tap");
    send(&mut tx);
    drop(tx);
    assert_eq!(next(&mut tap).0.position, 0);
    must_be_over(&mut tap);

    let tx: mpmc::Sender<u64> = Options::private().create().expect("create");
    let mut tap = Tap::open(tx.id(), TapStart::Now).expect("a tap");
    tx.send(&0).expect("room");
    let other = tx.try_clone().expect("another handle");
    drop(tx);
    assert_eq!(next(&mut tap).0.position, 0);
    let mut message = Vec::new();
    let none = tap.next_timeout(&mut message, Duration::from_millis(20)).expect("it exists");
    assert!(none.is_none());
    drop(other);
    must_be_over(&mut tap);
}

#[test]
fn ipcrm_removes_the_segment_or_the_set() {
    for segment in [true, false] {
        let key = Key::new();
        let mut tx: spsc::Sender<[u64; 2]> = key.options().create().expect("create");
        let mut tap = Tap::open(key.address(), TapStart::Now).expect("a tap");
        send(&mut tx);
        match segment {
            true => remove_segment(key.segment().expect("a segment")).expect("ipcrm -m"),
            false => remove_set(key.set().expect("a set")).expect("ipcrm -s"),
        }
        assert_eq!(next(&mut tap).0.position, 0);
        must_be_over(&mut tap);
    }
}

#[test]
fn nothing_to_tap_is_an_error() {
    let name = Name::new();
    let none = Tap::open(name.as_str(), TapStart::Now);
    assert!(matches!(none, Err(Error::NotFound { .. })), "{none:?}");
    let key = Key::new();
    key.make_segment(10_000, 0o600);
    let foreign = Tap::open(key.address(), TapStart::Now);
    assert!(matches!(foreign, Err(Error::ForeignObject { .. })), "{foreign:?}");
}
