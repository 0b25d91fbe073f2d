//! Processes in unusual surroundings: memory that must be locked, no /proc, the group of a channel, and
//! nobody on the other side.

use std::fs;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Options, broadcast};
use sysvring_support::error_text::{advises, refusal};
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::Key;
use sysvring_support::stopwatch::MOMENT;
use sysvring_support::worker::{Args, Worker, end_with_parent};
use sysvring_support::{ipc_namespace, test, work};

/// The user `nobody`, who has no permissions.
const NOBODY: u32 = 65_534;

/// Becomes an ordinary user of one group, without any capability.
fn become_member_of(group: u32) {
    // SAFETY: numbers only.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(group), libc::setuid(NOBODY)), (0, 0));
    }
    end_with_parent();
}

/// A process that locks all memory that it will map, and may lock little.
#[work]
fn locks_all(_: &mut Args) {
    let key = Key::new();
    let limit = libc::rlimit { rlim_cur: 4 << 20, rlim_max: 4 << 20 };
    // SAFETY: numbers, and a structure that is read.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit), 0);
        assert_eq!(libc::mlockall(libc::MCL_FUTURE), 0);
    }
    // Root may lock whatever it likes.
    become_member_of(NOBODY);
    let large = || key.options().capacity(1 << 20);
    for lifetime in [sysvring::Lifetime::Kept, sysvring::Lifetime::LastMember] {
        let error = refusal(large().lifetime(lifetime).create::<Sender<u64>>());
        let text = error.to_string();
        let Error::Limit { call: "shmat", errno: libc::EAGAIN, .. } = error else {
            panic!("{error:?}")
        };
        assert!(
            text.contains("mlockall") && text.contains("RLIMIT_MEMLOCK (4194304 bytes)"),
            "{text}"
        );
        key.assert_free();
    }
    let error = refusal(Options::private().capacity(1 << 20).create::<Sender<u64>>());
    assert!(error.to_string().contains("ulimit -l"), "{error}");
    // The advice helps: fewer slots, or to do without MCL_FUTURE.
    drop(key.options().create::<Sender<u64>>().expect("create"));
    sysvring::remove(key.address()).expect("remove");
    let unlock = || {
        // SAFETY: takes nothing.
        assert_eq!(unsafe { libc::munlockall() }, 0);
    };
    unlock();
    drop(large().create::<Sender<u64>>().expect("create"));
    // One that exists, for a process that locks all memory.
    // SAFETY: a number.
    assert_eq!(unsafe { libc::mlockall(libc::MCL_FUTURE) }, 0);
    for error in [
        refusal(key.options().attach::<Receiver<u64>>()),
        refusal(sysvring::stat(key.address())),
        refusal(sysvring::Tap::open(key.address(), sysvring::TapStart::Now)),
    ] {
        let text = advises(&error);
        assert!(text.contains("mlockall") && text.contains("16781312 bytes"), "{text}");
    }
    unlock();
    sysvring::remove(key.address()).expect("remove");
}

#[test(root)]
fn a_process_that_locks_its_memory() {
    Worker::run(&[&"processes::locks_all"]);
}

/// A folder that is removed with the test.
struct Empty(std::path::PathBuf);

impl Empty {
    fn new() -> Empty {
        let path = std::env::temp_dir().join(format!("sysvring-empty-{}", std::process::id()));
        fs::create_dir(&path).expect("a folder");
        Empty(path)
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Without /proc, it is not known whether there are huge pages.
#[work]
fn in_an_empty_folder(_: &mut Args) {
    // Where nothing of other tests can be reaped.
    assert!(ipc_namespace::enter(), "as root");
    let (folder, key) = (Empty::new(), Key::new());
    Fork::start(|| {
        std::os::unix::fs::chroot(&folder.0).expect("as root");
        std::env::set_current_dir("/").expect("its root");
        let options = || key.options().huge_pages(true).slot_size(1 << 20).capacity(1 << 20);
        let error = refusal(options().create::<Sender<[u8]>>());
        let text = error.to_string();
        assert!(!text.contains("does not support"), "{text}");
        assert!(text.contains("/proc") && text.contains("vm.nr_hugepages"), "{text}");
        assert!(text.contains("do without huge_pages"), "{text}");
        key.assert_free();
        // The advice helps, and nothing else needs /proc.
        let mut tx: Sender<u64> = key.options().create().expect("create");
        let mut rx: Receiver<u64> = key.options().attach().expect("attach");
        tx.send(&7).expect("send");
        assert_eq!(rx.recv(), Ok(7));
        assert_eq!(sysvring::reap().expect("reap"), []);
        let error = refusal(key.options().attach::<Sender<u64>>());
        assert!(matches!(error, Error::SeatTaken { .. }), "{error:?}");
    })
    .finish();
}

#[test(root)]
fn huge_pages_without_proc() {
    Worker::run(&[&"processes::in_an_empty_folder"]);
}

const GROUP: u32 = 100;

/// A channel that a group may read, and a user that is in the group or in none.
#[work]
fn of_a_group(_: &mut Args) {
    let key = Key::new();
    // SAFETY: a number.
    assert_eq!(unsafe { libc::setegid(GROUP) }, 0);
    let tx: Sender<u64> = key.options().mode(0o640).create().expect("create");
    let lets = |object: &str| {
        format!(
            "the mode 0640 of its {object} lets its owner, user 0, read and write, group {GROUP} \
             read only, and others do nothing; this process is user {NOBODY}; ask user 0 for another \
             mode"
        )
    };
    let says = |error: Error, object: &str| {
        let text = advises(&error);
        assert!(text.contains(&lets(object)), "{text}");
        let Error::PermissionDenied { permissions: Some(known), .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((known.object, known.uid, known.gid), (object, 0, GROUP));
        assert_eq!(known.mode, 0o640);
    };
    for (group, may_read) in [(GROUP, true), (GROUP + 1, false)] {
        Fork::start(|| {
            become_member_of(group);
            let attach = || key.options().attach::<Receiver<u64>>();
            says(refusal(attach()), "set");
            let by_id = Options::id(tx.id()).attach::<Receiver<u64>>();
            says(refusal(by_id), "segment");
            match sysvring::stat(key.address()) {
                Ok(stat) => assert!(may_read && stat.segment.gid == GROUP),
                Err(error) => says(error, "set"),
            }
            match sysvring::Observer::open(tx.id()) {
                Ok(_) => assert!(may_read),
                Err(error) => says(error, "segment"),
            }
            let refused = refusal(sysvring::remove(tx.id())).to_string();
            assert!(!may_read || refused.contains("only its owner, user 0,"), "{refused}");
        })
        .finish();
    }
    drop(tx);
}

#[test(root)]
fn a_channel_that_a_group_may_read() {
    Worker::run(&[&"processes::of_a_group"]);
}

/// Where there is no peer, none is said to be slow, and the advice is to start one.
#[test]
fn nobody_on_the_other_side() {
    let starts = |text: String| {
        assert!(text.contains("start one if there is none"), "{text}");
        // It may wait for another channel of the same name.
        let names_others = text.contains("for another user, or in another IPC namespace");
        assert!(names_others || !text.contains("timed out"), "{text}");
    };
    let mut tx: Sender<u64> = Options::private().capacity(2).create().expect("create");
    starts(advises(&tx.wait_for_peer(MOMENT).expect_err("nobody comes")));
    tx.send_batch(&[1, 2]).expect("room");
    starts(advises(&tx.try_send(&3).expect_err("no room")));
    starts(advises(&tx.send_timeout(&3, MOMENT).expect_err("no room")));
    starts(advises(&tx.flush(MOMENT).expect_err("nobody receives")));
    let mut rx: Receiver<u64> = Options::private().create().expect("create");
    starts(advises(&rx.recv_timeout(MOMENT).expect_err("nobody sends")));
    starts(advises(&rx.wait_for_peer(MOMENT).expect_err("nobody comes")));
    let mut tx: broadcast::Sender<u64> = Options::private().create().expect("create");
    starts(advises(&tx.wait_for_receivers(2, MOMENT).expect_err("nobody comes")));
}
