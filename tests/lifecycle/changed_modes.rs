//! An administrator changes the mode of a channel (`IPC_SET`), which removes the mark from it: it
//! remains a channel for everything that looks for channels.

use std::sync::atomic::Ordering::Relaxed;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Lifetime, Observer, Options, Tap, TapStart, broadcast, mpmc};
use sysvring_support::error_text::refusal;
use sysvring_support::raw_ipc::{self, Key, Segment, at};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

/// The objects whose modes are changed.
const OBJECTS: [(bool, bool); 3] = [(true, false), (false, true), (true, true)];
const MODES: [u32; 3] = [0o600, 0o660, 0o770];

fn change(key: &Key, (segment, set): (bool, bool), mode: u32) {
    if segment {
        raw_ipc::chmod_segment(key.segment().expect("a segment"), mode);
    }
    if set {
        raw_ipc::chmod_set(key.set().expect("a set"), mode);
    }
}

fn is_listed(key: &Key) -> bool {
    sysvring::list().expect("list").iter().any(|stat| stat.key == key.0)
}

fn is_unusable(key: &Key) -> bool {
    sysvring::unusable().expect("list").iter().any(|found| found.object.key() == key.0)
}

#[test]
fn a_channel_is_found_whatever_its_mode_is() {
    for objects in OBJECTS {
        for mode in MODES {
            let key = Key::new();
            let mut tx: Sender<u64> = key.options().create().expect("create");
            tx.send(&1).expect("room");
            change(&key, objects, mode);
            assert!(is_listed(&key) && !is_unusable(&key), "{objects:?}, {mode:o}");
            let stat = sysvring::stat(key.address()).expect("stat");
            assert_eq!((stat.depth, stat.set.map(|set| set.id)), (1, key.set()));
            assert_eq!(Observer::open(key.address()).expect("open").stat().expect("it").depth, 1);
            drop(Tap::open(key.address(), TapStart::Oldest).expect("tap"));
            // Beside a member, after it, by each way to open.
            let mut rx: Receiver<u64> = key.options().attach().expect("attach");
            assert_eq!(rx.recv(), Ok(1));
            drop(rx);
            drop(key.options().open::<Receiver<u64>>().expect("open"));
            drop(Options::id(tx.id()).attach::<Receiver<u64>>().expect("by identifier"));
            tx.send(&2).expect("room");
            drop(tx);
            assert!(is_listed(&key), "{objects:?}, {mode:o}");
            assert!(matches!(
                refusal(key.options().create::<Sender<u64>>()),
                Error::AlreadyExists { .. }
            ));
            let mut rx: Receiver<u64> = key.options().open().expect("open");
            assert_eq!(rx.recv(), Ok(2), "its messages are there");
            drop(rx);
            sysvring::remove(key.address()).expect("remove");
            key.assert_free();
        }
    }
}

/// An open that fails while nobody else is there leaves the channel as it is.
#[test]
fn a_failed_open_leaves_the_set() {
    for objects in OBJECTS {
        let key = Key::new();
        let mut tx: Sender<u64> = key.options().create().expect("create");
        tx.send(&1).expect("room");
        drop(tx);
        change(&key, objects, 0o600);
        let set = key.set();
        let error = refusal(key.options().attach::<Receiver<u32>>());
        assert!(matches!(error, Error::TypeMismatch { .. }), "{error:?}");
        assert_eq!(key.set(), set, "{objects:?}");
        let mut rx: Receiver<u64> = key.options().attach().expect("attach");
        assert_eq!(rx.recv(), Ok(1));
    }
}

#[test]
fn every_flavor_is_found() {
    macro_rules! found {
        ($($flavor:ident)*) => {$(
            let key = Key::new();
            let tx: $flavor::Sender<u64> = key.options().create().expect("create");
            change(&key, (true, true), 0o600);
            assert!(is_listed(&key));
            drop(key.options().attach::<$flavor::Receiver<u64>>().expect("attach"));
            drop(tx);
        )*};
    }
    found!(mpmc broadcast);
}

/// Creates a channel, and leaves it without leaving.
#[work]
fn dies(args: &mut Args) {
    let (key, is_kept) = (args.next(), args.next());
    let lifetime = if is_kept { Lifetime::Kept } else { Lifetime::LastMember };
    let options = Options::key(key).lifetime(lifetime);
    std::mem::forget(options.create::<Sender<u64>>().expect("create"));
}

/// Channels of dead members are reaped, and those that are kept are not.
#[test(quiet)]
fn reap_finds_them() {
    for objects in OBJECTS {
        let (gone, kept) = (Key::new(), Key::new());
        for (key, is_kept) in [(&gone, false), (&kept, true)] {
            Worker::run(&[&"changed_modes::dies", &key.0, &is_kept]);
            change(key, objects, 0o600);
        }
        let is_gone = |reaped: &sysvring::Reaped| reaped.key == gone.0;
        assert!(sysvring::reapable().expect("reapable").iter().any(is_gone), "{objects:?}");
        let reaped = sysvring::reap().expect("reap");
        assert!(reaped.iter().any(is_gone), "{objects:?}: {reaped:?}");
        gone.assert_free();
        assert!(reaped.iter().all(|reaped| reaped.key != kept.0), "{objects:?}");
        drop(kept.options().attach::<Sender<u64>>().expect("kept"));
    }
}

/// The mark decides where there is nothing else: neither is a channel.
#[test]
fn without_a_mark_what_is_unfinished_is_not_ours() {
    let key = Key::new();
    key.make_set(raw_ipc::FIRST_SEAT + 2, 0o600);
    let error = refusal(key.options().open::<Sender<u64>>());
    assert!(matches!(error, Error::ForeignObject { .. }), "{error:?}");
    let key = Key::new();
    let segment = key.make_segment(4096, 0o600);
    let error = refusal(key.options().open::<Sender<u64>>());
    assert!(matches!(error, Error::ForeignObject { .. }), "{error:?}");
    assert!(!is_unusable(&key) && key.segment() == Some(segment));
}

/// The segments of other programs are not even attached, with or without a set under the same key.
#[test]
fn foreign_segments_are_not_attached() {
    let (alone, beside) = (Key::new(), Key::new());
    let segments = [&alone, &beside].map(|key| key.make_segment(8192, 0o600));
    // As large as a channel's, and without a nonce.
    beside.make_set(raw_ipc::FIRST_SEAT + 2, 0o600);
    let attached = |id: i32| {
        let stat = raw_ipc::segment_stat(id).expect("stat");
        (stat.shm_atime, stat.shm_dtime, stat.shm_lpid)
    };
    let before = segments.map(attached);
    assert_eq!(before, [(0, 0, 0); 2]);
    sysvring::list().expect("list");
    sysvring::unusable().expect("unusable");
    sysvring::reapable().expect("reapable");
    assert_eq!(segments.map(attached), before);
}

/// A header that names a set of another key does not make that set a channel's.
#[test]
fn a_header_cannot_claim_the_set_of_another_key() {
    let (key, other) = (Key::new(), Key::new());
    let tx: Sender<u64> = key.options().create().expect("create");
    let (mine, set) = (Segment::of(key.segment().expect("a segment")), key.set().expect("a set"));
    let foreign = other.make_set(raw_ipc::FIRST_SEAT + 2, 0o600);
    for nonce in [raw_ipc::NONCE_LOW, raw_ipc::NONCE_HIGH] {
        let value = raw_ipc::value(set, nonce).expect("a nonce");
        raw_ipc::set_value(foreign, nonce, value).expect("SETVAL");
    }
    let before = raw_ipc::values(foreign);
    mine.u32(at::SET).store(foreign as u32, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(sysvring::stat(key.address()).expect("stat").set, None);
    assert!(Options::id(tx.id()).attach::<Receiver<u64>>().is_err());
    assert_eq!(raw_ipc::values(foreign), before);
    mine.u32(at::SET).store(set as u32, std::sync::atomic::Ordering::Relaxed);
}

/// A program whose segment others may write has a set of its own under the same key: whatever they
/// write there, neither is taken for what is left of a channel.
#[test(quiet)]
fn a_forged_header_makes_no_foreign_objects_leftovers() {
    let (channel, foreign) = (Key::new(), Key::new());
    Worker::run(&[&"changed_modes::dies", &channel.0, &false]);
    let header = Segment::of(channel.segment().expect("a segment"));
    let id = foreign.make_segment(20_480, 0o666);
    let set = foreign.make_set(raw_ipc::FIRST_SEAT + 2, 0o600);
    raw_ipc::set_value(set, raw_ipc::NONCE_LOW, 5).expect("its own value");
    let forged = Segment::of(id);
    for word in (0..at::SLOTS).step_by(8) {
        forged.u64(word).store(header.u64(word).load(Relaxed), Relaxed);
    }
    forged.u64(at::SET).store(set as u64 | 5 << 32, Relaxed);
    for reaped in [sysvring::reapable(), sysvring::reap()] {
        assert!(reaped.expect("reap").iter().all(|reaped| reaped.key != foreign.0));
    }
    assert_eq!((foreign.segment(), foreign.set()), (Some(id), Some(set)));
    // Nor is its set, once nothing names it.
    forged.u64(at::SET).store(0, Relaxed);
    assert!(sysvring::reap().expect("reap").iter().all(|reaped| reaped.key != foreign.0));
    assert_eq!((foreign.segment(), foreign.set()), (Some(id), Some(set)));
}
