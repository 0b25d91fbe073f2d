//! An open that fails leaves nothing, whatever it fails for: the kernel's tables are as before.

use std::fs;
use std::time::Duration;

use sysvring::{Error, Lifetime, Options, broadcast, mpmc, spsc};
use sysvring_support::error_text::advises;
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::{self, Key, Object, marked};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{ipc_namespace, seccomp_errno, test, work};

/// The maximum time that a call may wait for others.
const TIMEOUT: Duration = Duration::from_millis(5);

type Open = fn(Options) -> Result<(), Error>;

/// Every kind of channel; a receiver joins with fewer operations than a sender.
const KINDS: [(&str, Open); 4] = [
    ("SPSC sender", |options| options.open::<spsc::Sender<u64>>().map(drop)),
    ("SPSC receiver", |options| options.create::<spsc::Receiver<u64>>().map(drop)),
    ("MPMC", |options| options.max_members(7).create::<mpmc::Sender<u64>>().map(drop)),
    ("broadcast", |options| options.open::<broadcast::Receiver<u64>>().map(drop)),
];

/// Opens channels of every kind, with a key and private, and a channel that has lost its set. Those
/// that cannot be opened must leave nothing. Returns how many could not.
fn open_all(keys: &[Key; 8], what: &str) -> usize {
    let (mut failed, mut keys) = (0, keys.iter());
    let mut attempt = |open: Open, key: Option<&Key>, lifetime, kind: &str| {
        let before = marked();
        let options = key.map_or_else(Options::private, |key| key.options().lifetime(lifetime));
        let options = options.open_timeout(TIMEOUT).lock_memory(true);
        match open(options) {
            Ok(()) => key.iter().for_each(|key| drop(sysvring::remove(key.address()))),
            Err(error) => {
                advises(&error);
                assert_eq!(marked(), before, "{what}, {kind}: {error}");
                failed += 1;
            }
        }
    };
    for (kind, open) in KINDS {
        for lifetime in [Lifetime::Kept, Lifetime::LastMember] {
            attempt(open, keys.next(), lifetime, kind);
        }
        attempt(open, None, Lifetime::LastMember, kind);
    }
    failed
}

/// Makes a channel that has messages and has lost its set.
fn without_set() -> Key {
    let key = Key::new();
    let mut tx: spsc::Sender<u64> = key.options().create().expect("create");
    tx.send(&7).expect("send");
    drop(tx);
    raw_ipc::remove_set(key.set().expect("a set")).expect("removed");
    key
}

/// Makes a channel that lives as long as its members, with a message, whose last member was killed.
fn of_the_dead() -> Key {
    let key = Key::new();
    Fork::start(|| {
        let options = key.options().lifetime(Lifetime::LastMember);
        let mut tx: spsc::Sender<u64> = options.create().expect("create");
        tx.send(&7).expect("send");
        // SAFETY: this process.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    })
    .wait();
    key
}

/// A system call, and those of its arguments for which it fails.
struct Calls {
    name: &'static str,
    numbers: &'static [libc::c_long],
    only: Option<(usize, u32, u32)>,
}

/// Returns every call that an open makes. `semop` fails by its number of operations as well: then
/// those before succeed. Without the removal of objects nothing can be undone.
fn calls() -> Vec<Calls> {
    const WHOLE: u32 = u32::MAX;
    const CREATING: u32 = libc::IPC_CREAT as u32;
    let all = |name, numbers| Calls { name, numbers, only: None };
    let some = |name, numbers, only| Calls { name, numbers, only: Some(only) };
    // The C library makes either of the two for `semop`.
    const SEMOP: &[libc::c_long] = &[libc::SYS_semop, libc::SYS_semtimedop];
    let mut calls = vec![
        all("shmget", &[libc::SYS_shmget]),
        some("shmget (create)", &[libc::SYS_shmget], (2, CREATING, CREATING)),
        all("shmat", &[libc::SYS_shmat]),
        some("shmctl(IPC_STAT)", &[libc::SYS_shmctl], (1, WHOLE, libc::IPC_STAT as u32)),
        some("shmctl(SHM_LOCK)", &[libc::SYS_shmctl], (1, WHOLE, libc::SHM_LOCK as u32)),
        all("semget", &[libc::SYS_semget]),
        some("semget (create)", &[libc::SYS_semget], (2, CREATING, CREATING)),
        all("semop", SEMOP),
        some("semctl(IPC_STAT)", &[libc::SYS_semctl], (2, WHOLE, libc::IPC_STAT as u32)),
        some("semctl(GETVAL)", &[libc::SYS_semctl], (2, WHOLE, raw_ipc::GETVAL as u32)),
        some("semctl(SETVAL)", &[libc::SYS_semctl], (2, WHOLE, raw_ipc::SETVAL as u32)),
        some("semctl(GETPID)", &[libc::SYS_semctl], (2, WHOLE, raw_ipc::GETPID as u32)),
        some("semctl(GETALL)", &[libc::SYS_semctl], (2, WHOLE, raw_ipc::GETALL as u32)),
        all("madvise", &[libc::SYS_madvise]),
        all("membarrier", &[libc::SYS_membarrier]),
    ];
    calls.extend((1..=18).map(|n| some("semop of n", SEMOP, (2, WHOLE, n))));
    calls
}

const ERRNOS: [i32; 8] = [
    libc::EPERM,
    libc::EACCES,
    libc::ENOSYS,
    libc::ENOMEM,
    libc::ENOSPC,
    libc::E2BIG,
    libc::EAGAIN,
    libc::EIDRM,
];

#[work]
fn refused(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    for calls in calls() {
        let only = calls.only.map_or(0, |(_, _, value)| value);
        for errno in ERRNOS {
            let what = format!("{} {only} with errno {errno}", calls.name);
            let (orphan, bereaved) = (without_set(), of_the_dead());
            let keys = std::array::from_fn(|_| Key::new());
            Fork::start(|| {
                for &number in calls.numbers {
                    let done = match calls.only {
                        None => seccomp_errno::fail(&[number], errno),
                        Some(only) => seccomp_errno::fail_where(number, only, errno),
                    };
                    done.expect("a filter");
                }
                open_all(&keys, &what);
                let before = marked();
                let options = orphan.options().open_timeout(TIMEOUT);
                if let Err(error) = options.open::<spsc::Receiver<u64>>().map(drop) {
                    // A set that the channel has again is no leftover.
                    let others = |object: &Object| object.table == "shm" || object.key != orphan.0;
                    let after: Vec<Object> = marked().into_iter().filter(others).collect();
                    assert_eq!(after, before, "{what}, a lost set: {error}");
                }
                // Whether it can or not.
                let options = bereaved.options().open_timeout(TIMEOUT);
                let _ = options.open::<spsc::Receiver<u64>>().map(std::mem::forget);
            })
            .finish();
            // Their messages are still there.
            for key in [&orphan, &bereaved] {
                let mut rx: spsc::Receiver<u64> = key.options().attach().expect("attach");
                assert_eq!(rx.recv(), Ok(7), "{what}");
            }
            drop((orphan, bereaved, keys));
            sysvring::reap().expect("reap");
            assert_eq!(marked(), [], "{what}");
        }
    }
}

#[test(quiet)]
fn nothing_stays_if_a_call_fails() {
    Worker::run(&[&"leftovers::refused"]);
}

fn sysctl(name: &str, value: &str) {
    fs::write(format!("/proc/sys/kernel/{name}"), value).expect(name);
}

/// Every limit, each as small as it can be and a little larger, until all opens succeed.
#[work]
fn limited(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    let small = |names: &str, limit: &dyn Fn(u32), most: u32| {
        let failed: Vec<usize> = (0..=most)
            .map(|n| {
                limit(n);
                open_all(&std::array::from_fn(|_| Key::new()), &format!("{names} of {n}"))
            })
            .collect();
        assert!(failed[0] > 0 && failed[most as usize] == 0, "{names}: {failed:?}");
    };
    let semaphores = |values: String| sysctl("sem", &values);
    small("SEMOPM", &|n| semaphores(format!("250 32000 {n} 100")), 18);
    small("SEMMSL", &|n| semaphores(format!("{n} 32000 500 100")), 80);
    small("SEMMNS", &|n| semaphores(format!("250 {n} 500 100")), 80);
    small("SEMMNI", &|n| semaphores(format!("250 32000 500 {n}")), 1);
    semaphores("250 32000 500 100".into());
    small("shmmni", &|n| sysctl("shmmni", &n.to_string()), 1);
    small("shmmax", &|n| sysctl("shmmax", &(n * 8192).to_string()), 9);
    small("shmall", &|n| sysctl("shmall", &(n * 4).to_string()), 9);
}

#[test(root)]
fn nothing_stays_if_a_limit_is_reached() {
    Worker::run(&[&"leftovers::limited"]);
}
