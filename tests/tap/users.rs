//! Taps of other users' channels.

use sysvring::{Address, Error, Tap, TapStart, spsc};
use sysvring_support::raw_ipc::Key;
use sysvring_support::worker::{Args, Worker, end_with_parent, print_line, read_line};
use sysvring_support::{test, work};

use crate::{next, rest};

const NOBODY: u32 = 65_534;

fn become_nobody(group: u32) {
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(group), libc::setuid(NOBODY)), (0, 0));
    }
    end_with_parent();
}

/// Another user of the same group, who may only read.
#[work]
fn tap_as_a_group_member(args: &mut Args) {
    become_nobody(0);
    let mut tap = Tap::open(Address::Key(args.next()), TapStart::Oldest).expect("a tap");
    assert_eq!(rest(&mut tap), [0]);
    print_line("here");
    assert_eq!(next(&mut tap).0.position, 1);
    print_line("seen");
    read_line();
    let over = tap.next_timeout(&mut Vec::new(), crate::LONG);
    assert!(matches!(over, Err(Error::Fault(sysvring::Fault::Removed))), "{over:?}");
}

/// A user of another group.
#[work]
fn tap_as_a_stranger(args: &mut Args) {
    become_nobody(NOBODY);
    let refused = Tap::open(Address::Key(args.next()), TapStart::Oldest);
    assert!(matches!(refused, Err(Error::PermissionDenied { .. })), "{refused:?}");
}

#[test(root)]
fn read_permission_suffices_to_tap() {
    let key = Key::new();
    let mut tx: spsc::Sender<u64> = key.options().mode(0o640).open().expect("open");
    tx.send(&0).expect("room");
    Worker::run(&[&"users::tap_as_a_stranger", &key.0]);
    let mut tapper = Worker::start(&[&"users::tap_as_a_group_member", &key.0]).expect("start");
    tapper.expect("here");
    tx.send(&1).expect("room");
    tapper.expect("seen");
    sysvring::remove(key.address()).expect("removed");
    tapper.write_line("it is gone").expect("tell");
    tapper.finish();
}
