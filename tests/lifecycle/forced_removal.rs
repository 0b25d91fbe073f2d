//! Segments that no process has attached are removed: by the kernel (`kernel.shm_rmid_forced`), or by
//! a script.

use std::fs;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Defect, Error, Lifetime, Options};
use sysvring_support::error_text::{advises, refusal};
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::{Key, marked};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{ipc_namespace, raw_ipc, test, work};

fn force(forced: bool) {
    let value = if forced { "1" } else { "0" };
    fs::write("/proc/sys/kernel/shm_rmid_forced", value).expect("shm_rmid_forced");
}

#[work]
fn where_segments_are_lost(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    force(true);
    let key = Key::new();
    // A channel that is to be kept would be lost with its last member.
    for options in [key.options(), key.options().lifetime(Lifetime::Kept)] {
        for error in [
            refusal(options.clone().create::<Sender<u64>>()),
            refusal(options.open::<Receiver<u64>>()),
        ] {
            let text = advises(&error);
            assert!(
                text.contains("kernel.shm_rmid_forced") && text.contains("LastMember"),
                "{text}"
            );
            assert!(matches!(error, Error::InvalidOption { option: "lifetime", .. }), "{error:?}");
        }
        key.assert_free();
    }
    assert_eq!(marked(), [], "nothing is left");
    drop(key.options().lifetime(Lifetime::LastMember).create::<Sender<u64>>().expect("create"));
    drop(Options::private().create::<Sender<u64>>().expect("private"));
    assert_eq!(marked(), []);

    // One that exists can be used, and is lost.
    for reaps in [false, true] {
        force(false);
        let mut tx: Sender<u64> = key.options().create().expect("create");
        force(true);
        let mut rx: Receiver<u64> = key.options().attach().expect("attach");
        tx.send(&7).expect("send");
        assert_eq!(rx.recv(), Ok(7));
        let stat = sysvring::stat(key.address()).expect("stat");
        assert!(stat.lost_without_members && stat.to_string().contains("shm_rmid_forced"));
        drop(rx);
        drop(key.options().open::<Receiver<u64>>().expect("it exists"));
        // Its last member is killed.
        Fork::start(|| std::mem::forget(key.options().attach::<Receiver<u64>>())).finish();
        drop(tx);
        assert_eq!(key.segment(), None, "the kernel has removed it");
        assert!(key.set().is_some(), "its set is left");
        if reaps {
            let reaped = sysvring::reap().expect("reap");
            assert_eq!(reaped.len(), 1, "{reaped:?}");
        } else {
            force(false);
            drop(key.options().lifetime(Lifetime::LastMember).open::<Sender<u64>>().expect("anew"));
        }
        key.assert_free();
    }
}

/// A script that removes what no process has attached, as `ipcrm` does.
#[work]
fn where_unused_segments_are_removed(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    let (kept, used) = (Key::new(), Key::new());
    drop(kept.options().create::<Sender<u64>>().expect("create"));
    let mut tx: Sender<u64> = used.options().create().expect("create");
    let stat = sysvring::stat(used.address()).expect("stat");
    assert!(!stat.lost_without_members && !stat.to_string().contains("shm_rmid_forced"));
    for object in marked() {
        if object.table == "shm" && raw_ipc::segment_stat(object.id).expect("stat").shm_nattch == 0
        {
            raw_ipc::remove_segment(object.id).expect("removed");
        }
    }
    let unusable = sysvring::unusable().expect("unusable");
    let [left] = &unusable[..] else { panic!("{unusable:?}") };
    assert_eq!((left.object.key(), &left.defect), (kept.0, &Defect::NoSegment));
    assert_eq!(sysvring::reapable().expect("reapable").len(), 1);
    // The next open begins anew with the set that is left.
    drop(kept.options().open::<Receiver<u64>>().expect("open"));
    assert!(sysvring::unusable().expect("unusable").is_empty());
    tx.send(&1).expect("in use");
}

#[test(root)]
fn a_cleaner_of_unused_segments() {
    Worker::run(&[&"forced_removal::where_unused_segments_are_removed"]);
}

#[test(root)]
fn a_kept_channel_is_refused_where_it_would_be_lost() {
    Worker::run(&[&"forced_removal::where_segments_are_lost"]);
}
