//! Objects with the mark that are no usable channel: every one is in `unusable`, with the reason, or
//! belongs to a channel in `list`, and none is in both.

use std::sync::atomic::Ordering::Relaxed;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Defect, IpcObject, Lifetime, Options, Unusable};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{self, Key, MARKED, Segment, at};
use sysvring_support::worker::{Args, Worker, end_with_parent};
use sysvring_support::{test, work};

/// The number of semaphores in the set of an SPSC channel.
const SEMAPHORES: usize = raw_ipc::FIRST_SEAT + 2;

fn unusable() -> Vec<Unusable> {
    sysvring::unusable().expect("the kernel's tables")
}

/// Returns what is reported of a segment.
#[track_caller]
fn defect_of(segment: i32) -> Defect {
    let found = unusable();
    let is_it = |found: &&Unusable| match found.object {
        IpcObject::Segment(stat) => stat.id == segment,
        _ => false,
    };
    let mut of_it = found.iter().filter(is_it);
    let first = of_it.next().expect("it is reported");
    assert_eq!(of_it.next(), None, "twice");
    assert!(first.to_string().starts_with(&format!("segment {segment}, ")), "{first}");
    first.defect.clone()
}

/// Each marked object is in one of the lists: exactly one.
fn assert_complete() {
    let (found, listed) = (unusable(), sysvring::list().expect("list"));
    for object in raw_ipc::marked() {
        let in_unusable = found.iter().filter(|found| match found.object {
            IpcObject::Segment(stat) => ("shm", stat.id) == (object.table, object.id),
            IpcObject::Set(stat) => ("sem", stat.id) == (object.table, object.id),
            _ => false,
        });
        let in_list = listed.iter().filter(|stat| match object.table {
            "shm" => stat.segment.id == object.id,
            _ => stat.set.is_some_and(|set| set.id == object.id),
        });
        assert_eq!(in_unusable.count() + in_list.count(), 1, "{object}");
    }
}

#[test(quiet)]
fn each_defect_is_reported_with_its_object() {
    let key = Key::new();
    let mut tx: Sender<u64> = key.options().create().expect("create");
    tx.send(&1).expect("room");
    let id = tx.id().segment();
    let stat = tx.stat().expect("stat");
    let segment = Segment::of(id);
    let good = segment.words();
    assert_complete();
    assert!(unusable().iter().all(|found| found.object.key() != key.0));
    for (offset, value, expected) in [
        (at::MAGIC, 0, Defect::Incomplete),
        (at::VERSION, 1, Defect::LayoutVersion { found: 1 }),
        (at::FLAVOR, 77, Defect::Corrupt { what: "unknown flavor".into() }),
        (at::NONCE, 0, Defect::Corrupt { what: "invalid nonce".into() }),
    ] {
        if offset == at::MAGIC {
            segment.u64(offset).store(0, Relaxed);
        } else {
            segment.u32(offset).store(value, Relaxed);
        }
        assert_eq!(defect_of(id), expected);
        // No complete segment names the set any more.
        let of_key: Vec<_> =
            unusable().into_iter().filter(|found| found.object.key() == key.0).collect();
        let [found, set] = &of_key[..] else { panic!("{of_key:#?}") };
        let IpcObject::Segment(found) = found.object else { panic!("{found}") };
        assert_eq!((found.id, found.size, found.uid), (id, stat.segment.size, raw_ipc::me()));
        assert_eq!((set.object.id(), &set.defect), (key.set().expect("a set"), &Defect::NoSegment));
        assert_complete();
        assert!(sysvring::list().expect("list").iter().all(|stat| stat.key != key.0));
        segment.restore(&good);
    }
    segment.u64(at::MAGIC).store(7, Relaxed);
    assert!(matches!(defect_of(id), Defect::NotAChannel { what } if what.contains("magic number")));
    segment.restore(&good);
    assert!(unusable().iter().all(|found| found.object.key() != key.0));
    assert_eq!(sysvring::stat(key.address()).expect("as before").depth, 1);
}

/// The remedy that the documentation gives.
#[test(quiet)]
fn defective_channels_are_removed_by_their_key() {
    for (offset, value) in [(at::VERSION, 1), (at::FLAVOR, 77), (at::NONCE, 0)] {
        let key = Key::new();
        drop(key.options().create::<Sender<u64>>().expect("create"));
        let id = key.segment().expect("a segment");
        Segment::of(id).u32(offset).store(value, Relaxed);
        defect_of(id);
        assert!(sysvring::reapable().expect("a report").iter().all(|left| left.key != key.0));
        sysvring::remove(key.address()).expect("removed");
        key.assert_free();
    }
}

#[test(quiet)]
fn parts_of_channels_are_reported() {
    let (half, short, odd) = (Key::new(), Key::new(), Key::new());
    let segment = half.make_segment(10_000, MARKED);
    let set = half.make_set(SEMAPHORES, MARKED);
    assert_eq!(defect_of(segment), Defect::Incomplete);
    let small = short.make_segment(100, MARKED);
    assert!(matches!(defect_of(small), Defect::NotAChannel { what } if what.contains("100 bytes")));
    let strange = odd.make_set(3, MARKED);
    let of_set = |id| {
        let found = unusable().into_iter().find(|found| match found.object {
            IpcObject::Set(stat) => stat.id == id,
            _ => false,
        });
        found.expect("it is reported").defect
    };
    assert_eq!(of_set(set), Defect::NoSegment);
    assert!(matches!(of_set(strange), Defect::NotAChannel { what } if what.contains("3 sem")));
    // A segment without its set is a channel that `list` shows.
    let name = Name::new();
    let rx: Receiver<u64> = name.options().create().expect("create");
    raw_ipc::remove_set(rx.stat().expect("stat").set.expect("a set").id).expect("IPC_RMID");
    assert_complete();
    drop(rx);
    assert_complete();
}

/// A header that asks for more than the segment has.
#[test(quiet)]
fn a_truncated_channel_is_reported() {
    let (key, copy) = (Key::new(), Key::new());
    let options = key.options().capacity(1024).lifetime(Lifetime::LastMember);
    let tx: Sender<u64> = options.create().expect("create");
    let bytes = raw_ipc::bytes(tx.id().segment());
    let shorter = copy.make_segment(bytes.len() - 8, MARKED);
    Segment::of(shorter).write(0, &bytes);
    assert_eq!(defect_of(shorter), Defect::Truncated { expected: bytes.len() as u64 });
    drop(tx);
}

/// A channel that this user may not read is reported as such, with its owner.
#[test(root)]
fn channels_of_others_are_unreadable() {
    let key = Key::new();
    let tx: Sender<u64> = key.options().create().expect("create");
    let private: Sender<u64> = Options::private().create().expect("create");
    let ids = [&tx, &private].map(|tx| tx.id().segment());
    let sets = [&tx, &private].map(|tx| tx.stat().expect("stat").set.expect("a set").id);
    let [a, b, c, d] = [ids[0], ids[1], sets[0], sets[1]];
    Worker::run(&[&"unusable::look_as_nobody", &a, &b, &c, &d]);
    assert!(unusable().iter().all(|found| found.object.key() != key.0));
}

#[work]
fn look_as_nobody(args: &mut Args) {
    let (segments, sets): ([i32; 2], [i32; 2]) =
        ([args.next(), args.next()], [args.next(), args.next()]);
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(65_534), libc::setuid(65_534)), (0, 0));
    }
    end_with_parent();
    let found = unusable();
    for id in segments {
        let is_it = |found: &&Unusable| match found.object {
            IpcObject::Segment(stat) => (stat.id, stat.uid) == (id, 0),
            _ => false,
        };
        let defect = &found.iter().find(is_it).expect("it is reported").defect;
        assert_eq!(*defect, Defect::Unreadable { call: "shmat", errno: libc::EACCES });
    }
    for id in sets {
        let is_it = |found: &&Unusable| match found.object {
            IpcObject::Set(stat) => (stat.id, stat.uid) == (id, 0),
            _ => false,
        };
        let defect = &found.iter().find(is_it).expect("it is reported").defect;
        assert_eq!(*defect, Defect::Unreadable { call: "semctl(GETVAL)", errno: libc::EACCES });
    }
}
