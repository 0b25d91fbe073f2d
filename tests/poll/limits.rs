//! Limits and absences: typed errors that name the remedy, and nothing is left.

use std::ffi::CString;
use std::time::Duration;

use sysvring::{Error, Options, Readiness, RecvError, WaitSet, spsc};
use sysvring_support::error_text::advises;
use sysvring_support::fork::Fork;
use sysvring_support::handle::Spsc;
use sysvring_support::ipc_namespace;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::queues;
use sysvring_support::seccomp_errno;
use sysvring_support::worker::{Args, Worker, end_with_parent};
use sysvring_support::{test, work};

use crate::{NOW, tokens};

/// The handle is as it was: in no set, and usable.
#[track_caller]
fn is_untouched(tx: &mut spsc::Sender<u64>, rx: &mut spsc::Receiver<u64>) {
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    tx.try_send(&1).expect("room");
    assert_eq!(rx.recv_timeout(Duration::from_secs(20)), Ok(1));
}

#[track_caller]
fn is_limit(error: &Error, wanted: i32, named: &str) {
    let text = advises(error);
    match error {
        Error::Limit { call: "mq_open", errno, advice, .. } => {
            assert_eq!(*errno, wanted, "{advice}");
            assert!(advice.contains(named), "{text}");
        }
        other => panic!("not Limit but {other:?}"),
    }
}

/// Without rights to exceed it, the number of queues in a namespace is limited.
#[work]
fn no_more_queues(_: &mut Args) {
    // In the namespace of the suite, other tests make and remove queues meanwhile, and those that are
    // left if this test fails would be in the way of all others.
    if !ipc_namespace::enter() {
        eprintln!("NOT CHECKED: the limit on queues; this needs an IPC namespace of its own");
        return;
    }
    // SAFETY: takes a number. The children of this process die with it only if they ask again.
    assert_eq!(unsafe { libc::setuid(65_534) }, 0, "as root");
    end_with_parent();
    let tx: spsc::Sender<u64> = Options::private().create().expect("create");
    let (mut tx, mut rx) = (tx, None);
    let receiver = rx.insert(Options::id(tx.id()).attach().expect("attach"));
    let mut names = Vec::new();
    let limit = loop {
        let name = CString::new(format!("/sysvring-fill-{}", names.len())).expect("a name");
        // SAFETY: all zeros is valid for these numbers.
        let mut small: libc::mq_attr = unsafe { std::mem::zeroed() };
        (small.mq_maxmsg, small.mq_msgsize) = (1, 1);
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
        // SAFETY: a string and numbers that outlive the call.
        let fd = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600, &raw mut small) };
        if fd == -1 {
            break std::io::Error::last_os_error();
        }
        // SAFETY: opened above.
        unsafe { libc::close(fd) };
        names.push(name);
    };
    assert_eq!(limit.raw_os_error(), Some(libc::ENOSPC), "after {} queues: {limit}", names.len());
    let set = WaitSet::new().expect("a set");
    is_limit(&set.add(receiver).expect_err("no queue"), libc::ENOSPC, "fs.mqueue.queues_max");
    is_limit(&Readiness::of(receiver).expect_err("none"), libc::ENOSPC, "sysvring::reap()");
    is_untouched(&mut tx, receiver);
    // SAFETY: a string that outlives the call.
    assert_eq!(unsafe { libc::mq_unlink(names[0].as_ptr()) }, 0);
    let token = set.add(receiver).expect("there is room now");
    assert_eq!(tokens(&set, NOW), [token]);
}

#[test(root)]
fn the_limit_on_queues_is_reported() {
    Worker::run(&[&"limits::no_more_queues"]);
}

#[work]
fn no_more_bytes(_: &mut Args) {
    let mut tx: spsc::Sender<u64> = Options::private().create().expect("create");
    let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads the limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MSGQUEUE, &none) }, 0);
    let set = WaitSet::new().expect("a set");
    is_limit(&set.add(&rx).expect_err("no queue"), libc::EMFILE, "ulimit -q");
    is_untouched(&mut tx, &mut rx);
}

#[test]
fn the_limit_on_bytes_in_queues_is_reported() {
    Worker::run(&[&"limits::no_more_bytes"]);
}

#[work]
fn no_more_descriptors(_: &mut Args) {
    let tx: spsc::Sender<u64> = Options::private().create().expect("create");
    let rx: spsc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    let open = crate::descriptors() as u64 - 1;
    // Each of the calls that need a descriptor fails once, and then they all succeed.
    let mut has_failed = 0;
    for more in 0..12 {
        let limit = libc::rlimit { rlim_cur: open + more, rlim_max: 1_024 };
        // SAFETY: reads the limit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
        let made = WaitSet::new().and_then(|set| set.add(&rx).map(drop));
        match made {
            Err(error @ Error::Limit { .. }) => {
                assert!(advises(&error).contains("ulimit -n"), "{error}");
                assert_eq!(has_failed, more, "it succeeded with fewer");
                has_failed += 1;
            }
            Ok(()) => assert!(has_failed > 0),
            other => panic!("with {more} descriptors: {other:?}"),
        }
    }
    assert!(has_failed < 12, "it needs no more than a few");
}

#[test]
fn the_limit_on_descriptors_is_reported() {
    Worker::run(&[&"limits::no_more_descriptors"]);
}

/// Every system call of adding a handle fails, each with no effect on the handle, and no queue is
/// left.
#[work]
fn failing_calls(args: &mut Args) {
    // Other tests make queues meanwhile.
    ipc_namespace::enter();
    let name: String = args.next();
    let options = Options::named(&name).capacity(2);
    // A process makes some checks at its first open, with calls of its own.
    drop(options.clone().open::<spsc::Sender<u64>>().expect("open"));
    let before = queues();
    let calls = [
        (libc::SYS_mq_open, libc::ENOSYS),
        (libc::SYS_mq_open, libc::EACCES),
        (libc::SYS_fchmod, libc::EPERM),
        (libc::SYS_flock, libc::ENOLCK),
        (libc::SYS_flock, libc::EAGAIN),
        (libc::SYS_fstat, libc::EIO),
        (libc::SYS_newfstatat, libc::EIO),
        (libc::SYS_epoll_ctl, libc::ENOSPC),
    ];
    for (call, errno) in calls {
        let child = Fork::start(|| {
            let mut tx: spsc::Sender<u64> = options.clone().open().expect("open");
            let mut rx: spsc::Receiver<u64> = options.clone().attach().expect("attach");
            let set = WaitSet::new().expect("a set");
            seccomp_errno::fail(&[call], errno).expect("a filter");
            // glibc makes one of the two calls.
            let is_either = [libc::SYS_fstat, libc::SYS_newfstatat].contains(&call);
            match set.add(&rx) {
                Err(Error::System { source, .. }) => {
                    assert_eq!(source.raw_os_error(), Some(errno));
                }
                Err(Error::Limit { errno: reported, .. }) => assert_eq!(reported, errno),
                Err(Error::PermissionDenied { .. }) => assert_eq!(errno, libc::EACCES),
                Err(Error::CallRefused { errno: reported, .. }) => assert_eq!(reported, errno),
                Ok(_) if is_either => {}
                other => panic!("call {call}, errno {errno}: {other:?}"),
            }
            drop(set);
            is_untouched(&mut tx, &mut rx);
        });
        child.finish();
        assert_eq!(queues(), before, "call {call}, errno {errno}");
    }
}

#[test]
fn a_call_that_fails_leaves_no_queue() {
    Worker::run(&[&"limits::failing_calls", &Name::new()]);
}

/// The queues of killed members are removed: by a successor in the seat, by `remove`, and by those that
/// leave last.
#[work]
fn killed_members(args: &mut Args) {
    ipc_namespace::enter();
    let name: String = args.next();
    let options = Options::named(&name).capacity(2);
    let Some(before) = queues() else {
        eprintln!("NOT CHECKED: the queues of killed members; they cannot be listed");
        return;
    };
    let kill = || {
        let [armed] = sysvring_support::shared_counters::shared_counters::<1>();
        let mut member = Fork::start(|| {
            let mut rx: spsc::Receiver<u64> = options.clone().open().expect("open");
            let set = WaitSet::new().expect("a set");
            set.add(&rx).expect("added");
            assert_eq!(rx.try_recv(), Err(RecvError::Empty));
            armed.store(1, std::sync::atomic::Ordering::Release);
            std::thread::sleep(Duration::from_secs(20));
        });
        sysvring_support::shared_counters::until_at_least(armed, 1);
        assert_eq!(queues().map(|all| all.len()), Some(before.len() + 1));
        member.kill_and_wait();
    };
    kill();
    let rx: spsc::Receiver<u64> = options.clone().attach().expect("attach");
    assert_eq!(queues().as_ref(), Some(&before), "a successor");
    drop(rx);
    kill();
    sysvring::remove(&*name).expect("removed");
    assert_eq!(queues().as_ref(), Some(&before), "remove");
    kill();
    drop(options.clone().attach::<spsc::Sender<u64>>().expect("attach"));
    kill_and_take_over(&options);
    sysvring::remove(&*name).expect("removed");
    assert_eq!(queues().as_ref(), Some(&before), "one that takes the channel over");
}

fn kill_and_take_over(options: &Options) {
    drop(options.clone().open::<spsc::Receiver<u64>>().expect("open"));
}

#[test]
fn the_queues_of_killed_members_are_removed() {
    Worker::run(&[&"limits::killed_members", &Name::new()]);
}

/// `reap` in another process does not take a new queue for that of a dead process.
#[test(root)]
fn queues_are_not_reaped_while_they_are_made() {
    let name = Name::new();
    let (_tx, rx) = name.pair_of::<Spsc, u64>(2);
    for _ in 0..200 {
        let set = WaitSet::new().expect("a set");
        set.add(&rx).expect("added");
        sysvring::reap().expect("reaped");
    }
}
