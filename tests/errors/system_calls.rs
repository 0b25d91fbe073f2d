//! Every system call fails with every errno: what is reported, how fast, and what is left.

use std::fmt::{Debug, Display};
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Fault, Lifetime, Message, Options, Peer};
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::{Key, marked};
use sysvring_support::seccomp_errno;
use sysvring_support::stopwatch::MOMENT;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{ipc_namespace, test, work};

use sysvring_support::error_text::advises;
use sysvring_support::stopwatch::Stopwatch;

/// Some system calls, or one with a certain argument.
struct Calls {
    /// What an error text must name.
    name: &'static str,
    numbers: &'static [libc::c_long],
    /// The number of the argument, its mask, and the value.
    only: Option<(usize, u32, u32)>,
}

const fn all(name: &'static str, numbers: &'static [libc::c_long]) -> Calls {
    Calls { name, numbers, only: None }
}

const fn some(
    name: &'static str,
    numbers: &'static [libc::c_long],
    only: (usize, u32, u32),
) -> Calls {
    Calls { name, numbers, only: Some(only) }
}

const SHMGET: &[libc::c_long] = &[libc::SYS_shmget];
const SHMCTL: &[libc::c_long] = &[libc::SYS_shmctl];
const SEMGET: &[libc::c_long] = &[libc::SYS_semget];
const SEMCTL: &[libc::c_long] = &[libc::SYS_semctl];
const CREATING: u32 = libc::IPC_CREAT as u32;
const WHOLE: u32 = u32::MAX;

/// Some commands of `shmctl` and `semctl` fail separately as well.
const CALLS: [Calls; 22] = [
    all("shmget", SHMGET),
    some("shmget", SHMGET, (2, CREATING, CREATING)),
    all("shmat", &[libc::SYS_shmat]),
    some("shmat", &[libc::SYS_shmat], (2, WHOLE, 0)), // but not read-only
    all("shmdt", &[libc::SYS_shmdt]),
    all("shmctl", SHMCTL),
    some("shmctl", SHMCTL, (1, WHOLE, libc::IPC_STAT as u32)),
    some("shmctl", SHMCTL, (1, WHOLE, libc::IPC_RMID as u32)),
    some("shmctl", SHMCTL, (1, WHOLE, libc::SHM_LOCK as u32)),
    some("shmctl", SHMCTL, (1, WHOLE, 14)), // SHM_INFO
    all("semget", SEMGET),
    some("semget", SEMGET, (2, CREATING, CREATING)),
    all("sem", &[libc::SYS_semop, libc::SYS_semtimedop]),
    all("semctl", SEMCTL),
    some("semctl", SEMCTL, (2, WHOLE, libc::IPC_STAT as u32)),
    some("semctl", SEMCTL, (2, WHOLE, libc::IPC_RMID as u32)),
    some("semctl", SEMCTL, (2, WHOLE, 12)), // GETVAL
    some("semctl", SEMCTL, (2, WHOLE, 16)), // SETVAL
    some("semctl", SEMCTL, (2, WHOLE, 11)), // GETPID
    all("madvise", &[libc::SYS_madvise]),
    all("membarrier", &[libc::SYS_membarrier]),
    all("getrandom", &[libc::SYS_getrandom]),
];

const ERRNOS: [i32; 11] = [
    libc::EACCES,
    libc::EPERM,
    libc::ENOSPC,
    libc::ENOMEM,
    libc::EINVAL,
    libc::EIDRM,
    libc::EMFILE,
    libc::ENOSYS,
    libc::E2BIG,
    libc::ERANGE,
    libc::EAGAIN,
];

/// The maximum time that a call may wait for others.
const TIMEOUT: Duration = Duration::from_millis(10);

impl Display for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.only {
            None => f.write_str(self.name),
            Some((_, _, value)) => write!(f, "{} with {value}", self.name),
        }
    }
}

impl Calls {
    /// Makes the calls fail from now on.
    fn fail(&self, errno: i32) {
        let done = match self.only {
            None => seccomp_errno::fail(self.numbers, errno),
            Some(only) => seccomp_errno::fail_where(self.numbers[0], only, errno),
        };
        done.expect("a filter");
    }

    /// Returns whether an error names this failure, so that the user can act on it.
    fn is_told(&self, errno: i32, error: &Error) -> bool {
        let gone = matches!(errno, libc::EINVAL | libc::EIDRM);
        match error {
            // To the kernel, the object does not exist, or is about to be removed.
            Error::NotFound { .. } | Error::Fault(Fault::Removed) => gone,
            // What was granted to the handle is so no longer, by whichever call it finds out.
            Error::Fault(Fault::PermissionLost) => errno == libc::EACCES,
            Error::Busy { .. } => gone || errno == libc::EAGAIN,
            // In the last attempt: an object whose mark cannot be checked is not removed.
            Error::AlreadyExists { .. } => gone && self.name == "semctl",
            Error::SeatTaken { .. } => self.name == "semctl",
            Error::PermissionDenied { call, .. } => {
                errno == libc::EACCES && call.starts_with(self.name)
            }
            Error::CallRefused { call, errno: told, .. } => {
                *told == errno && call.starts_with(self.name)
            }
            Error::Limit { call, errno: told, .. } => *told == errno && call.starts_with(self.name),
            Error::System { call, source, .. } => {
                source.raw_os_error() == Some(errno) && call.starts_with(self.name)
            }
            Error::Fault(Fault::System { call, errno: told }) => {
                *told == errno && call.starts_with(self.name)
            }
            _ => false,
        }
    }
}

/// Makes one call of the crate under a failure. Returns whether it succeeded.
fn attempt<T>(
    calls: &Calls,
    errno: i32,
    what: &str,
    act: impl FnOnce() -> Result<T, Error>,
) -> bool {
    let watch = Stopwatch::start();
    let result = act();
    let took = watch.took();
    let context = || format!("{what} under errno {errno} of {calls}");
    assert!(took < TIMEOUT + Duration::from_secs(1), "{} took {took:?}", context());
    match result {
        Ok(_) => true,
        Err(error) => {
            let text = advises(&error);
            assert!(calls.is_told(errno, &error), "{}: {text:?} {error:?}", context());
            false
        }
    }
}

/// The objects that exist when a call begins to fail, and those that a child may make.
struct Scene {
    joined: Key,
    removed: Key,
    made: [Key; 3],
}

impl Scene {
    /// Makes every call that needs no handle.
    fn play(&self, calls: &Calls, errno: i32) -> Vec<(&'static str, bool)> {
        let mut done = Vec::new();
        let mut attempt = |what, act: &mut dyn FnMut() -> Result<(), Error>| {
            done.push((what, attempt(calls, errno, what, act)));
        };
        let keyed = |key: &Key| key.options().open_timeout(TIMEOUT);
        let made = |n: usize| keyed(&self.made[n]).lifetime(Lifetime::LastMember);
        let private = || Options::private().open_timeout(TIMEOUT);
        let id = sysvring::stat(self.joined.address()).map(|stat| stat.id);
        attempt("create", &mut || made(0).create().map(drop::<Sender<u64>>));
        attempt("open", &mut || made(1).open().map(drop::<Receiver<[u8]>>));
        let locked = || made(2).lock_memory(true).prefault(false);
        attempt("lock", &mut || locked().create().map(drop::<Sender<u64>>));
        attempt("private", &mut || private().create().map(drop::<Sender<u64>>));
        attempt("attach", &mut || keyed(&self.joined).attach().map(drop::<Sender<u64>>));
        if let Ok(id) = id {
            let by_id = || Options::id(id).open_timeout(TIMEOUT);
            attempt("id", &mut || by_id().attach().map(drop::<Sender<u64>>));
        }
        attempt("stat", &mut || sysvring::stat(self.joined.address()).map(drop));
        attempt("list", &mut || sysvring::list().map(drop));
        attempt("reap", &mut || sysvring::reap().map(drop));
        attempt("remove", &mut || sysvring::remove(self.removed.address()));
        done
    }
}

/// Returns whether the crate works without these calls.
fn are_spared(calls: &Calls, errno: i32) -> bool {
    match calls.name {
        "shmdt" | "membarrier" | "getrandom" => true,
        // If denied or unknown, pages are touched one by one instead.
        "madvise" => {
            matches!(errno, libc::EINVAL | libc::ENOSYS | libc::EPERM | libc::EACCES)
        }
        _ => false,
    }
}

/// Returns which calls must fail when these system calls do.
fn must_fail(calls: &Calls) -> &'static [&'static str] {
    match (calls.name, calls.only) {
        ("shmget", None) | ("semget", None) => {
            &["create", "open", "lock", "private", "attach", "remove"]
        }
        ("shmget" | "semget", Some(_)) => &["create", "open", "lock", "private"],
        ("shmat", None) => &["create", "open", "lock", "private", "attach", "stat"],
        ("shmat", Some(_)) => &["create", "open", "lock", "private", "attach"],
        ("shmctl", None) => {
            &["create", "lock", "private", "attach", "stat", "list", "reap", "remove"]
        }
        ("sem", None) => &["create", "open", "lock", "private", "attach", "remove"],
        ("semctl", None) => {
            &["create", "open", "lock", "private", "attach", "stat", "reap", "remove"]
        }
        _ => &[],
    }
}

#[work]
fn before(args: &mut Args) {
    let calls = &CALLS[args.next::<usize>()];
    let alone = ipc_namespace::enter_as_any_user();
    for errno in ERRNOS {
        let scene = Scene {
            joined: Key::new(),
            removed: Key::new(),
            made: [Key::new(), Key::new(), Key::new()],
        };
        let mut rx: Receiver<u64> = scene.joined.options().create().expect("create");
        drop(scene.removed.options().create::<Sender<u64>>().expect("create"));
        let child = Fork::start(|| {
            calls.fail(errno);
            let done = scene.play(calls, errno);
            if are_spared(calls, errno) {
                assert!(done.iter().all(|(_, well)| *well), "{done:?} under {calls} {errno}");
            }
            for what in must_fail(calls) {
                // For calls that observe or remove, "does not exist" is an answer.
                let gone = matches!(errno, libc::EINVAL | libc::EIDRM);
                let tolerated = gone && matches!(*what, "stat" | "reap" | "remove" | "list");
                let failed = done.iter().any(|(done, well)| done == what && !well);
                assert!(
                    failed || tolerated,
                    "{what} succeeded although {calls} failed with {errno}"
                );
            }
        });
        child.finish();
        // What existed before is intact.
        let tx = scene.joined.options().attach::<Sender<u64>>();
        let mut tx = tx.unwrap_or_else(|error| panic!("after {} {errno}: {error}", calls));
        assert_eq!((tx.send(&1), rx.recv()), (Ok(()), Ok(1)));
        drop((tx, rx));
        for key in [&scene.joined, &scene.removed] {
            match sysvring::remove(key.address()) {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => panic!("after {calls} {errno}: {error}"),
            }
        }
        // What could not be undone is removed now.
        sysvring::reap().expect("reap");
        let [a, b, c] = &scene.made;
        let keys = [a, b, c, &scene.joined, &scene.removed];
        is_clean(alone, &keys, &format!("{calls} {errno}"));
    }
}

/// Nothing is left: under these keys, or, in a namespace of its own, at all.
fn is_clean(alone: bool, keys: &[&Key], after: &str) {
    keys.iter().for_each(|key| key.assert_free());
    assert!(!alone || marked().is_empty(), "after {after}: {:?}", marked());
}

#[test(quiet)]
fn calls_that_fail_before_there_is_a_handle() {
    for calls in 0..CALLS.len() {
        Worker::start(&[&"system_calls::before", &calls]).expect("start").finish();
    }
}

/// What a handle returns. If the object cannot be found, the channel counts as removed.
fn says<T, E>(calls: &Calls, errno: i32, what: &str, act: impl FnOnce() -> Result<T, E>) -> bool
where
    E: Into<Error> + Debug + Display,
{
    attempt(calls, errno, what, || match act() {
        Err(error) => match error.into() {
            Error::Send(sysvring::SendError::Fault(fault))
            | Error::Recv(sysvring::RecvError::Fault(fault)) => Err(Error::Fault(fault)),
            Error::Send(_) | Error::Recv(_) => Ok(None),
            error => Err(error),
        },
        Ok(value) => Ok(Some(value)),
    })
}

/// Makes every call on two handles of a small channel.
fn play<T: Message>(
    calls: &Calls,
    errno: i32,
    (mut tx, mut rx): (Sender<T>, Receiver<T>),
    message: T,
) {
    let says_of =
        |what: &str, act: &mut dyn FnMut() -> Result<(), Error>| says(calls, errno, what, act);
    // Messages need no system call, so none can fail them.
    for _ in 0..2 {
        assert_eq!((tx.send(&message), tx.try_send(&message)), (Ok(()), Ok(())));
        assert!(rx.recv().is_ok() && rx.try_recv().is_ok());
    }
    says_of("recv", &mut || Ok(rx.recv_timeout(TIMEOUT).map(drop)?));
    says_of("try_recv", &mut || Ok(rx.try_recv().map(drop)?));
    says_of("wait_for_peer", &mut || Ok(rx.wait_for_peer(TIMEOUT).map(drop)?));
    says_of("peer", &mut || Ok(rx.peer().map(drop)?));
    says_of("stat", &mut || rx.stat().map(drop));
    for _ in 0..3 {
        says_of("send", &mut || Ok(tx.send_timeout(&message, TIMEOUT)?));
    }
    says_of("try_send", &mut || Ok(tx.try_send(&message)?));
    says_of("flush", &mut || Ok(tx.flush(TIMEOUT)?));
    says_of("wait_for_peer", &mut || Ok(tx.wait_for_peer(TIMEOUT).map(drop)?));
    says_of("peer", &mut || Ok(tx.peer().map(drop)?));
    says_of("stat", &mut || tx.stat().map(drop));
    let mut handles = (Some(tx), Some(rx));
    says_of("close", &mut || handles.0.take().expect("once").close());
    says_of("close", &mut || handles.1.take().expect("once").close());
}

#[work]
fn under(args: &mut Args) {
    let calls = &CALLS[args.next::<usize>()];
    let alone = ipc_namespace::enter_as_any_user();
    for errno in ERRNOS {
        let key = Key::new();
        let options = || key.options().capacity(2).lifetime(Lifetime::LastMember);
        let child = Fork::start(|| {
            let tx: Sender<u64> = options().create().expect("create");
            let rx = options().attach().expect("attach");
            calls.fail(errno);
            play(calls, errno, (tx, rx), 5);
        });
        child.finish();
        // Between processes: this one is told of the end of one whose system calls all failed.
        let other = Key::new();
        let options = || other.options().lifetime(Lifetime::LastMember);
        let mut rx: Receiver<u64> = options().create().expect("create");
        let child = Fork::start(|| {
            let mut tx: Sender<u64> = options().attach().expect("attach");
            calls.fail(errno);
            assert_eq!(tx.send(&8), Ok(()));
        });
        let pid = child.pid();
        child.finish();
        assert_eq!(rx.recv_timeout(MOMENT), Ok(8));
        let peer = rx.peer().expect("peer");
        assert!(peer == Peer::Left || peer == Peer::Died { pid }, "{peer:?}");
        drop(rx);
        sysvring::reap().expect("reap");
        is_clean(alone, &[&key, &other], &format!("{calls} {errno}"));
    }
}

#[test(quiet)]
fn calls_that_fail_under_a_handle() {
    for calls in 0..CALLS.len() {
        Worker::start(&[&"system_calls::under", &calls]).expect("start").finish();
    }
}
