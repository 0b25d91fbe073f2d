//! What each errno of each call means: the error names the cause and the remedy that fit, and no other.

use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Observer, Options, Tap, TapStart, WaitSet};
use sysvring_support::error_text::advises;
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::{self, Key};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{ipc_namespace, seccomp_errno, test, work};

/// A system call that fails, and the operations that must report it.
struct Case {
    numbers: &'static [libc::c_long],
    /// The number of the argument that selects some of its calls, a mask, and the value.
    only: Option<(usize, u32, u32)>,
    operations: &'static [&'static str],
}

const WHOLE: u32 = u32::MAX;
const CREATING: u32 = libc::IPC_CREAT as u32;
/// The C library makes either of the two for `semop`.
const SEMOP: &[libc::c_long] = &[libc::SYS_semop, libc::SYS_semtimedop];

const SHMGET: Case =
    Case { numbers: &[libc::SYS_shmget], only: Some((2, CREATING, CREATING)), operations: NEW };
const SHMAT: Case = Case {
    numbers: &[libc::SYS_shmat],
    only: None,
    operations: &["create", "private", "attach", "stat", "tap"],
};
const SEMGET: Case =
    Case { numbers: &[libc::SYS_semget], only: Some((2, CREATING, CREATING)), operations: NEW };
const SEMOP_ALL: Case =
    Case { numbers: SEMOP, only: None, operations: &["create", "private", "attach", "remove"] };
const IPC_STAT: u32 = libc::IPC_STAT as u32;
const SHM_STAT: Case = Case {
    numbers: &[libc::SYS_shmctl],
    only: Some((1, WHOLE, IPC_STAT)),
    operations: &["create", "private", "attach", "stat", "tap"],
};
const SEM_STAT: Case = Case {
    numbers: &[libc::SYS_semctl],
    only: Some((2, WHOLE, IPC_STAT)),
    operations: &["create", "attach", "remove"],
};
const GETVAL: Case = Case {
    numbers: &[libc::SYS_semctl],
    only: Some((2, WHOLE, raw_ipc::GETVAL as u32)),
    operations: &["create", "private", "attach"],
};
const GETPID: Case = Case {
    numbers: &[libc::SYS_semctl],
    only: Some((2, WHOLE, raw_ipc::GETPID as u32)),
    operations: &["create", "private", "attach"],
};
const SETVAL: Case = Case {
    numbers: &[libc::SYS_semctl],
    only: Some((2, WHOLE, raw_ipc::SETVAL as u32)),
    operations: NEW,
};
const REMOVAL: Case = Case {
    numbers: &[libc::SYS_shmctl],
    only: Some((1, WHOLE, libc::IPC_RMID as u32)),
    operations: &["private", "remove"],
};
const INFO: Case = Case {
    numbers: &[libc::SYS_shmctl],
    only: Some((1, WHOLE, raw_ipc::SHM_INFO as u32)),
    operations: &["list", "reap"],
};
const MQ_OPEN: Case = Case { numbers: &[libc::SYS_mq_open], only: None, operations: &["add"] };
const EPOLL: Case =
    Case { numbers: &[libc::SYS_epoll_create1], only: None, operations: &["wait set"] };
const EPOLL_CTL: Case =
    Case { numbers: &[libc::SYS_epoll_ctl], only: None, operations: &["wait set"] };
const MADVISE: Case = Case { numbers: &[libc::SYS_madvise], only: None, operations: NEW };

const NEW: &[&str] = &["create", "private"];

/// Each call that only a filter refuses with `EPERM` or `ENOSYS`.
const REFUSED: [Case; 14] = [
    SHMGET, SHMAT, SEMGET, SEMOP_ALL, SHM_STAT, SEM_STAT, GETVAL, GETPID, SETVAL, REMOVAL, INFO,
    MQ_OPEN, EPOLL, EPOLL_CTL,
];

/// The other errors: what the text must contain, and what it must not.
const CAUSES: [(Case, i32, &[&str], &[&str]); 22] = [
    // The mode of this user's own object is not the reason.
    (SHMAT, libc::EACCES, &["security module", "0600"], &["ask"]),
    (SEMOP_ALL, libc::EACCES, &["security module", "its set"], &["ask"]),
    (GETVAL, libc::EACCES, &["security module", "its set"], &["ask"]),
    (SHMAT, libc::EAGAIN, &["RLIMIT_MEMLOCK", "mlockall", "ulimit -l"], &["man page"]),
    (MADVISE, libc::EAGAIN, &["RLIMIT_MEMLOCK", "mlockall", "ulimit -l"], &["man page"]),
    (SHMAT, libc::ENOMEM, &["address space", "bytes"], &[" 0 bytes"]),
    (SHMAT, libc::EMFILE, &["attached"], &["man page"]),
    (SHMAT, libc::ENFILE, &["fs.file-max"], &["man page"]),
    (SHMGET, libc::ENFILE, &["fs.file-max"], &["man page"]),
    (SHMGET, libc::ENOSPC, &["kernel.shmmni", "kernel.shmall"], &[]),
    (SHMGET, libc::EINVAL, &["kernel.shmmax"], &[]),
    (SHMGET, libc::ENOMEM, &["memory"], &[]),
    (SEMGET, libc::ENOSPC, &["SEMMNI", "SEMMNS"], &["fewer members"]),
    // The smallest set there is.
    (SEMGET, libc::EINVAL, &["14 semaphores", "SEMMSL", "32000"], &["fewer members"]),
    (SEMOP_ALL, libc::ENOSPC, &["SEM_UNDO"], &[]),
    (SEMOP_ALL, libc::E2BIG, &["SEMOPM", "500"], &[]),
    (MADVISE, libc::ENOMEM, &["memory"], &[]),
    (MQ_OPEN, libc::ENOSPC, &["fs.mqueue.queues_max"], &["descriptors"]),
    (MQ_OPEN, libc::EMFILE, &["ulimit -n", "ulimit -q"], &["queues_max"]),
    (EPOLL, libc::EMFILE, &["ulimit -n"], &["ulimit -q"]),
    (EPOLL, libc::ENFILE, &["fs.file-max"], &["ulimit"]),
    (EPOLL_CTL, libc::ENOSPC, &["fs.epoll.max_user_watches"], &["queues"]),
];

/// The objects that exist when a call begins to fail, and a key for one that does not.
struct Scene {
    joined: Key,
    removed: Key,
    made: Key,
}

impl Scene {
    fn new() -> Scene {
        let (joined, removed, made) = (Key::new(), Key::new(), Key::new());
        drop(removed.options().create::<Sender<u64>>().expect("create"));
        drop(joined.options().create::<Sender<u64>>().expect("create"));
        Scene { joined, removed, made }
    }

    /// Performs an operation, which must fail.
    fn attempt(&self, operation: &str, set: &WaitSet, rx: &Receiver<u64>) -> Error {
        let at_once = |options: Options| options.open_timeout(Duration::from_millis(5));
        let done = match operation {
            "create" => at_once(self.made.options()).create().map(drop::<Sender<u64>>),
            "private" => at_once(Options::private()).create().map(drop::<Sender<u64>>),
            "attach" => at_once(self.joined.options()).attach().map(drop::<Sender<u64>>),
            "stat" => sysvring::stat(self.joined.address()).map(drop),
            "tap" => Observer::open(self.joined.address())
                .and_then(|observer| observer.tap(TapStart::Now))
                .and_then(|_| Tap::open(self.joined.address(), TapStart::Now))
                .map(drop),
            "remove" => sysvring::remove(self.removed.address()),
            "list" => sysvring::list().map(drop),
            "reap" => sysvring::reap().map(drop),
            "wait set" => WaitSet::new().map(drop),
            "add" => set.add(rx).map(drop),
            other => panic!("no such operation: {other}"),
        };
        done.expect_err(operation)
    }
}

/// Lets a call fail in a child, and hands each error, with its text, to a check.
fn each(case: &Case, errno: i32, check: impl Fn(&str, &Error, &str)) {
    let scene = Scene::new();
    Fork::start(|| {
        let set = WaitSet::new().expect("a set");
        let rx: Receiver<u64> = scene.joined.options().attach().expect("attach");
        for &number in case.numbers {
            let done = match case.only {
                None => seccomp_errno::fail(&[number], errno),
                Some(only) => seccomp_errno::fail_where(number, only, errno),
            };
            done.expect("a filter");
        }
        for operation in case.operations {
            let error = scene.attempt(operation, &set, &rx);
            let text = advises(&error);
            let channel = match *operation {
                "create" => scene.made.address().to_string(),
                "attach" | "stat" | "tap" => scene.joined.address().to_string(),
                "remove" => scene.removed.address().to_string(),
                "add" => rx.id().to_string(),
                _ => String::new(),
            };
            assert!(text.contains(&channel), "{operation}: {channel} is not in {text:?}");
            check(operation, &error, &text);
        }
        std::mem::forget((set, rx));
    })
    .finish();
}

#[work]
fn refusals(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    for case in REFUSED {
        for errno in [libc::EPERM, libc::ENOSYS] {
            each(&case, errno, |operation, error, text| {
                let is_refused =
                    matches!(error, Error::CallRefused { errno: told, .. } if *told == errno);
                assert!(is_refused, "{operation}: {error:?}");
                assert!(text.contains("sandbox (seccomp") && text.contains("allow it"), "{text}");
                assert!(!text.contains("mode") && !text.contains("owner"), "{text}");
            });
        }
    }
}

#[test(quiet)]
fn a_sandbox_is_named_and_not_the_mode() {
    Worker::run(&[&"causes::refusals"]);
}

#[work]
fn causes(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    for (case, errno, wanted, unwanted) in CAUSES {
        each(&case, errno, |operation, _, text| {
            for part in wanted {
                assert!(text.contains(part), "{operation}: {part:?} is not in {text:?}");
            }
            for part in unwanted {
                assert!(!text.contains(part), "{operation}: {part:?} is in {text:?}");
            }
        });
    }
}

#[test(quiet)]
fn each_errno_has_the_cause_and_remedy_that_fit() {
    Worker::run(&[&"causes::causes"]);
}
