//! How channels are created, found and left.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Address, ChannelId, Error, Fault, Lifetime, Options, Peer, RecvError};
use sysvring_support::name::{Name, is_gone, wait_until_attached};
use sysvring_support::raw_ipc::Key;
use sysvring_support::shared_counters::until;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{raw_ipc, test, work};

/// Sends 0 to `count` to an address and finishes.
#[work]
fn send_some(args: &mut Args) {
    let (address, count): (Address, u64) = (args.next(), args.next());
    let mut tx: Sender<u64> = Options::address(address).open().expect("open");
    for n in 0..count {
        tx.send(&n).expect("send");
    }
    tx.finish().expect("finish");
}

/// Receives everything from an address, and reports how many messages.
#[work]
fn receive_some(args: &mut Args) {
    let mut rx: Receiver<u64> = Options::address(args.next::<Address>()).open().expect("open");
    print_line("here");
    print_line(rx.iter().inspect(|n| assert!(n.is_ok(), "{n:?}")).count());
}

#[test]
fn either_side_comes_first() {
    let name = Name::new();
    let sender = Worker::start(&[&"open_and_leave::send_some", &name, &1_000]).expect("start");
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    assert!(rx.iter().map(|n| n.expect("a message")).eq(0..1_000));
    sender.finish();

    let name = Name::new();
    let mut receiver = Worker::start(&[&"open_and_leave::receive_some", &name]).expect("start");
    receiver.expect("here");
    let mut tx: Sender<u64> = name.options().open().expect("open");
    for n in 0..1_000 {
        tx.send(&n).expect("send");
    }
    drop(tx);
    receiver.expect("1000");
    receiver.finish();
}

#[test]
fn create_and_attach_are_strict() {
    let name = Name::new();
    assert!(matches!(name.options().attach::<Sender<u64>>(), Err(Error::NotFound { .. })));
    assert!(is_gone(name.as_str()), "attaching leaves nothing");
    let tx: Sender<u64> = name.options().create().expect("create");
    for _ in 0..2 {
        // Whether or not the seat is free.
        let sender = name.options().create::<Sender<u64>>();
        assert!(matches!(sender, Err(Error::AlreadyExists { .. })));
        let receiver = name.options().create::<Receiver<u64>>();
        assert!(matches!(receiver, Err(Error::AlreadyExists { .. })));
    }
    drop(tx);
    let nobody_there = name.options().create::<Sender<u64>>();
    assert!(matches!(nobody_there, Err(Error::AlreadyExists { .. })));
    drop(name.options().attach::<Sender<u64>>().expect("attach"));
    sysvring::remove(name.as_str()).expect("removed");
    name.options().create::<Receiver<u64>>().expect("create");
}

#[test]
fn a_writer_ends_before_its_reader_starts() {
    let name = Name::new();
    Worker::run(&[&"open_and_leave::send_some", &name, &500]);
    let stat = sysvring::stat(name.as_str()).expect("the channel stays");
    assert_eq!(stat.depth, 500);
    wait_until_attached(name.as_str(), 1);
    let mut reader = Worker::start(&[&"open_and_leave::receive_some", &name]).expect("start");
    reader.expect("here");
    // It does not wait for more, because the sender has finished.
    reader.expect("500");
    reader.finish();
    assert_eq!(sysvring::stat(name.as_str()).expect("stat").depth, 0);
    sysvring::remove(name.as_str()).expect("removed");
    assert!(is_gone(name.as_str()));
}

#[test]
fn a_kept_channel_stays_until_removed() {
    let name = Name::new();
    let (tx, rx) = name.pair::<u64>(4);
    drop((tx, rx));
    let id = sysvring::stat(name.as_str()).expect("it stays").id;
    Worker::run(&[&"open_and_leave::send_some", &name, &3]);
    assert_eq!(sysvring::stat(name.as_str()).expect("it stays").id, id, "and is the same");
    sysvring::remove(name.as_str()).expect("removed");
    let again = sysvring::remove(name.as_str());
    assert!(matches!(again, Err(Error::NotFound { .. })));
    assert!(is_gone(name.as_str()));
    until(|| is_gone(id));
}

#[test]
fn a_channel_goes_with_its_last_member() {
    let name = Name::new();
    let options = || name.options().lifetime(Lifetime::LastMember);
    for receiver_last in [false, true] {
        let mut tx: Sender<u64> = options().open().expect("open");
        let mut rx: Receiver<u64> = options().open().expect("open");
        let stat = tx.stat().expect("stat");
        assert_eq!(stat.lifetime, Lifetime::LastMember);
        wait_until_attached(name.as_str(), 3);
        tx.send(&7).expect("send");
        if receiver_last {
            drop(tx);
            assert_eq!((rx.recv(), rx.recv()), (Ok(7), Err(RecvError::Disconnected)));
            rx.close().expect("closed");
        } else {
            drop(rx);
            tx.close().expect("closed");
        }
        assert!(is_gone(name.as_str()));
        let set = stat.set.expect("a set").id;
        assert_eq!(raw_ipc::waiting(set, 0), -1, "the set is gone too");
    }
    // A private channel is removed with its last member, too, and no process made it a kept one
    // meanwhile.
    drop(options().open::<Receiver<u64>>().expect("open"));
    assert!(is_gone(name.as_str()));
    let kept = name.options().lifetime(Lifetime::Kept).open::<Receiver<u64>>().expect("open");
    drop(kept);
    assert!(!is_gone(name.as_str()));
}

#[test]
fn removed_names_are_free_at_once() {
    let name = Name::new();
    for round in 0..20 {
        let (mut tx, mut rx) = name.pair::<u64>(4);
        assert_eq!((tx.position(), rx.position()), (0, 0), "a fresh one");
        tx.send(&round).expect("send");
        sysvring::remove(name.as_str()).expect("removed");
        let mut new: Receiver<u64> = name.options().create().expect("the name is free");
        assert_ne!(new.id(), rx.id());
        assert_eq!(new.try_recv(), Err(RecvError::Empty));
        // Members of the old channel are told after its messages.
        assert_eq!(rx.recv(), Ok(round));
        assert_eq!(rx.recv(), Err(RecvError::Fault(Fault::Removed)));
        drop((tx, rx));
        assert_eq!(new.peer(), Ok(Peer::Absent), "their leave does not affect this channel");
        drop(new);
        sysvring::remove(name.as_str()).expect("removed");
    }
}

#[test]
fn private_channels_travel_by_id() {
    let mut rx: Receiver<u64> = Options::private().capacity(8).open().expect("open");
    let id = rx.id();
    assert_eq!(id.to_string().parse::<ChannelId>().expect("it prints and parses"), id);
    let stat = rx.stat().expect("stat");
    assert_eq!((stat.key, stat.name.as_str(), stat.id), (0, "", id));
    assert!(stat.segment.marked_for_removal, "the kernel removes it with its last user");
    let sender = Worker::start(&[&"open_and_leave::send_some", &id, &1_000]).expect("start");
    assert!(rx.iter().map(|n| n.expect("a message")).eq(0..1_000));
    sender.finish();
    let other: Receiver<u64> = Options::private().open().expect("open");
    assert_ne!(other.id(), id, "every private channel is a new one");
    let strange: ChannelId =
        format!("{}:{:08x}", id.segment(), 0x1234_5678).parse().expect("an identifier");
    let not_it = Options::id(strange).attach::<Sender<u64>>();
    assert!(matches!(not_it, Err(Error::NotFound { .. })), "the number alone finds nothing");
    drop(rx);
    until(|| is_gone(id));
    assert!(matches!(Options::id(id).attach::<Sender<u64>>(), Err(Error::NotFound { .. })));
    let set = stat.set.expect("a set").id;
    assert_eq!(raw_ipc::waiting(set, 0), -1, "the set is gone too");
}

#[test]
fn raw_keys_and_files_find_the_same_channel() {
    let key = Key::new();
    let rx: Receiver<u64> = key.options().open().expect("open");
    let stat = rx.stat().expect("stat");
    assert_eq!((stat.key, stat.segment.key, stat.name.as_str()), (key.0, key.0, ""));
    assert_eq!(stat.segment.id, key.segment().expect("as `ipcs` finds it"));
    check_from_elsewhere(rx, &format!("{:#x}", key.0));

    let path: PathBuf = std::env::temp_dir().join(Name::new().as_str());
    File::create(&path).expect("a file");
    // SAFETY: a C string that lives through the call.
    let theirs = unsafe { libc::ftok(c_string(&path).as_ptr(), 7) };
    let key = Key(theirs);
    let rx: Receiver<u64> = Options::file(&path, 7).open().expect("open");
    assert_eq!(rx.stat().expect("stat").key, theirs, "the key that C programs find");
    let other = Options::file(&path, 8).attach::<Sender<u64>>();
    assert!(matches!(other, Err(Error::NotFound { .. })), "another project");
    check_from_elsewhere(rx, &format!("{:#x}", key.0));
    std::fs::remove_file(&path).expect("removed");
    assert!(Options::file(&path, 7).attach::<Sender<u64>>().is_err(), "no file, no key");
}

fn c_string(path: &std::path::Path) -> std::ffi::CString {
    std::ffi::CString::new(path.to_str().expect("text")).expect("no zero in it")
}

/// Another process finds the channel and sends.
fn check_from_elsewhere(mut rx: Receiver<u64>, address: &str) {
    let sender = Worker::start(&[&"open_and_leave::send_some", &address, &100]).expect("start");
    assert!(rx.iter().map(|n| n.expect("a message")).eq(0..100));
    sender.finish();
}

#[test]
fn one_segment_is_attached_twice() {
    Worker::run(&[&"open_and_leave::attach_twice", &Name::new()]);
}

/// Both ends in one process, which has the segment attached at two addresses.
#[work]
fn attach_twice(args: &mut Args) {
    let options = Options::named(args.next::<String>()).capacity(64);
    let mut tx: Sender<u64> = options.clone().open().expect("open");
    let mut rx: Receiver<u64> = options.open().expect("open");
    let at = raw_ipc::attachments(tx.id().segment());
    assert_eq!(at.len(), 2, "{at:?}");
    assert_ne!(at[0].split('-').next(), at[1].split('-').next(), "two addresses");
    for lap in 0..10 {
        for n in 0..64 {
            tx.try_send(&(lap << 8 | n)).expect("room");
        }
        for n in 0..64 {
            assert_eq!(rx.try_recv(), Ok(lap << 8 | n));
        }
    }
}

#[test]
fn joins_are_counted() {
    let name = Name::new();
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    assert_eq!(rx.peer(), Ok(Peer::Absent));
    assert_eq!(rx.recv_timeout(Duration::from_millis(5)), Err(RecvError::Timeout));
    // It joined and left between two calls.
    drop(name.options().attach::<Sender<u64>>().expect("attach"));
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    assert_eq!(rx.peer(), Ok(Peer::Left));
    // A member that joins now has not seen a peer.
    drop(rx);
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    assert_eq!(rx.peer(), Ok(Peer::Absent));
    assert_eq!(rx.recv_timeout(Duration::from_millis(5)), Err(RecvError::Timeout));
    // Nor if there are messages: it has seen these, but not their sender.
    drop(rx);
    let mut tx: Sender<u64> = name.options().attach().expect("attach");
    tx.send(&1).expect("send");
    drop(tx);
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    assert_eq!(rx.peer(), Ok(Peer::Absent));
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(rx.recv_timeout(Duration::from_millis(5)), Err(RecvError::Timeout));
    assert_eq!(rx.peer(), Ok(Peer::Absent));
}

#[test]
fn a_channel_is_handed_from_process_to_process() {
    let name = Name::new();
    for _ in 0..10 {
        Worker::run(&[&"open_and_leave::send_some", &name, &10]);
    }
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    for _ in 0..10 {
        assert!((0..10).all(|n| rx.recv() == Ok(n)));
    }
    assert_eq!((rx.position(), rx.recv()), (100, Err(RecvError::Disconnected)));
}
