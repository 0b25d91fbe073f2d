//! Segments of other programs whose pages cannot be had: reading one would be a SIGBUS. Whatever
//! examines them reports that, and they can be removed.

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Defect, Error, IpcObject, Observer};
use sysvring_support::error_text::{advises, refusal};
use sysvring_support::raw_ipc::{self, FIRST_SEAT, Key, MARKED, create_huge_segment};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{ipc_namespace, test, work};

/// Larger than a huge page of any machine that tests run on.
const BYTES: usize = 4 << 20;

#[track_caller]
fn is_without_pages(error: Error) {
    advises(&error);
    match error {
        Error::Limit { call: "madvise", errno: libc::EFAULT, .. } => {
            assert!(error.to_string().contains("huge pages"), "{error}");
        }
        other => panic!("not Limit but {other:?}"),
    }
}

/// Performs every call that examines a segment.
fn examine(key: &Key, segment: i32, mode: u32, has_set: bool) {
    let is_it =
        |object: &IpcObject| matches!(object, IpcObject::Segment(stat) if stat.id == segment);
    assert!(sysvring::list().expect("list").iter().all(|stat| stat.segment.id != segment));
    let unusable = sysvring::unusable().expect("unusable");
    let defect =
        unusable.iter().find(|unusable| is_it(&unusable.object)).map(|found| &found.defect);
    let missing = Defect::Unreadable { call: "madvise", errno: libc::EFAULT };
    assert_eq!(defect, (mode == MARKED).then_some(&missing));
    for left in [sysvring::reapable(), sysvring::reap()] {
        assert!(left.expect("leftovers").iter().all(|left| left.segment != Some(segment)));
    }
    let options = || key.options();
    is_without_pages(refusal(options().attach::<Receiver<u64>>()));
    is_without_pages(refusal(options().open::<Sender<u64>>()));
    is_without_pages(refusal(options().create::<Sender<u64>>()));
    let is_set_known = !has_set || mode == MARKED;
    if is_set_known {
        is_without_pages(refusal(sysvring::stat(key.address())));
        is_without_pages(refusal(Observer::open(key.address())));
    }
}

#[work]
fn examine_all(_: &mut Args) {
    // What other processes list must not contain these.
    ipc_namespace::enter_as_any_user();
    for mode in [MARKED, 0o600] {
        for has_set in [false, true] {
            let key = Key::new();
            let segment = create_huge_segment(key.0, BYTES, mode).expect("shmget");
            if has_set {
                let set = key.make_set(FIRST_SEAT + 2, MARKED);
                // As if it were bound to a segment.
                raw_ipc::set_value(set, 4, 1).expect("SETVAL");
            }
            examine(&key, segment, mode, has_set);
            assert!(key.segment().is_some(), "it may be of another program");
            if mode == MARKED {
                sysvring::remove(key.address()).expect("remove");
                key.assert_free();
            }
        }
    }
}

/// Without the errors, the worker would be killed.
#[test(root)]
fn segments_without_pages() {
    Worker::run(&[&"missing_pages::examine_all"]);
}
