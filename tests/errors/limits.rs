//! The limits of the system: the error names the limit, its advice helps, and nothing is left.

use std::fs;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Lifetime, Options};
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::{Key, marked};
use sysvring_support::seccomp_errno;
use sysvring_support::stopwatch::MOMENT;
use sysvring_support::worker::{Args, Worker, end_with_parent};
use sysvring_support::{ipc_namespace, raw_ipc, test, work};

use sysvring_support::error_text::{advises, refusal};
use sysvring_support::stopwatch::Stopwatch;

/// Checks that the error names the limit and its call.
#[track_caller]
fn limit(error: Error, wanted: (&str, i32), named: &str) {
    let text = advises(&error);
    match error {
        Error::Limit { call, errno, advice, .. } => {
            assert_eq!((call, errno), wanted, "{advice}");
            assert!(advice.contains(named) && text.starts_with(call), "{text}");
        }
        other => panic!("not Limit but {other:?}"),
    }
}

#[work]
fn simulated(_: &mut Args) {
    let creating = libc::IPC_CREAT as u32;
    let new = (2, creating, creating);
    let lock = (1, u32::MAX, libc::SHM_LOCK as u32);
    let cases = [
        (libc::SYS_shmget, new, ("shmget", libc::ENOSPC), "kernel.shmmni"),
        (libc::SYS_shmget, new, ("shmget", libc::EINVAL), "kernel.shmmax"),
        (libc::SYS_shmget, new, ("shmget", libc::ENOMEM), "memory"),
        (libc::SYS_semget, new, ("semget", libc::ENOSPC), "SEMMNI"),
        (libc::SYS_semget, new, ("semget", libc::EINVAL), "SEMMSL"),
        (libc::SYS_semget, new, ("semget", libc::ENOMEM), "memory"),
        (libc::SYS_shmctl, lock, ("shmctl(SHM_LOCK)", libc::EPERM), "RLIMIT_MEMLOCK"),
        (libc::SYS_shmctl, lock, ("shmctl(SHM_LOCK)", libc::ENOMEM), "RLIMIT_MEMLOCK"),
        (libc::SYS_shmat, (2, u32::MAX, 0), ("shmat", libc::ENOMEM), "address space"),
        (libc::SYS_shmat, (2, u32::MAX, 0), ("shmat", libc::EMFILE), "attached"),
        (libc::SYS_madvise, (2, u32::MAX, 23), ("madvise", libc::ENOMEM), "memory"),
    ];
    for (call, only, (name, errno), named) in cases {
        let child = Fork::start(|| {
            let key = Key::new();
            seccomp_errno::fail_where(call, only, errno).expect("a filter");
            for lifetime in [Lifetime::Kept, Lifetime::LastMember] {
                let options = || key.options().lifetime(lifetime).lock_memory(true);
                limit(refusal(options().create::<Sender<u64>>()), (name, errno), named);
                limit(refusal(options().open::<Receiver<u64>>()), (name, errno), named);
                // Nothing is left, even before the next reap.
                key.assert_free();
            }
            let private = Options::private().lock_memory(true);
            limit(refusal(private.create::<Sender<u64>>()), (name, errno), named);
        });
        child.finish();
    }
}

#[test]
fn simulated_limits() {
    Worker::start(&[&"limits::simulated"]).expect("start").finish();
}

fn set_limit(resource: libc::__rlimit_resource_t, bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: reads the limit.
    assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0);
}

#[work]
fn small(_: &mut Args) {
    let key = Key::new();
    // More than this program uses, less than the channel needs.
    set_limit(libc::RLIMIT_AS, 512 << 20);
    let wide = || key.options().slot_size(1 << 20).capacity(1024);
    limit(refusal(wide().create::<Sender<[u8]>>()), ("shmat", libc::ENOMEM), "address space");
    key.assert_free();
    limit(
        refusal(Options::private().slot_size(1 << 20).memory(1 << 30).create::<Sender<[u8]>>()),
        ("shmat", libc::ENOMEM),
        "smaller slots",
    );
    // The advice helps.
    drop(wide().capacity(4).create::<Sender<[u8]>>().expect("create"));
}

#[test]
fn no_address_space() {
    Worker::start(&[&"limits::small"]).expect("start").finish();
}

#[work]
fn unprivileged(_: &mut Args) {
    set_limit(libc::RLIMIT_MEMLOCK, 0);
    // SAFETY: numbers only.
    if unsafe { libc::geteuid() } == 0 {
        // SAFETY: numbers only; root may lock whatever it likes.
        assert_eq!(unsafe { libc::setuid(65_534) }, 0);
        end_with_parent();
    }
    let key = Key::new();
    let error = refusal(key.options().lock_memory(true).create::<Sender<u64>>());
    assert!(error.to_string().contains("RLIMIT_MEMLOCK (0 bytes)"), "{error}");
    let Error::Limit { call: "shmctl(SHM_LOCK)", errno, .. } = error else { panic!("{error:?}") };
    assert!(matches!(errno, libc::EPERM | libc::ENOMEM), "{errno}");
    key.assert_free();
    // The advice helps.
    drop(key.options().create::<Sender<u64>>().expect("create"));
    sysvring::remove(key.address()).expect("remove");
}

#[test]
fn no_permission_to_lock() {
    Worker::start(&[&"limits::unprivileged"]).expect("start").finish();
}

/// More huge pages than any host has free.
#[test]
fn no_huge_pages() {
    let key = Key::new();
    let options = key.options().huge_pages(true).slot_size(1 << 20).capacity(1 << 20);
    let error = refusal(options.create::<Sender<[u8]>>());
    let Error::Limit { call: "shmget", advice, .. } = error else { panic!("{error:?}") };
    assert!(advice.contains("without huge_pages"), "{advice}");
    key.assert_free();
}

/// The semaphores are set from outside.
#[test]
fn semaphores_at_their_limits() {
    const MOST: i32 = 32_767;
    let key = Key::new();
    let tx: Sender<u64> = key.options().create().expect("create");
    let set = key.set().expect("a set");
    let attach = || key.options().open_timeout(MOMENT).attach::<Receiver<u64>>();
    // Wake-ups accumulated on both sides: room is made where it is needed.
    for semaphore in [2, 3] {
        raw_ipc::set_value(set, semaphore, MOST).expect("SETVAL");
    }
    drop(attach().expect("tokens of dead members disturb no member"));
    assert!(raw_ipc::values(set)[3] < 1000, "{:?}", raw_ipc::values(set));
    let watch = Stopwatch::start();
    // The maximum number of users.
    raw_ipc::set_value(set, raw_ipc::USERS, MOST).expect("SETVAL");
    let error = refusal(attach());
    limit(error, ("semtimedop", libc::ERANGE), "remove the channel");
    // A seat that no member took.
    raw_ipc::set_value(set, raw_ipc::USERS, 1).expect("SETVAL");
    raw_ipc::set_value(set, raw_ipc::FIRST_SEAT + 1, MOST).expect("SETVAL");
    match refusal(attach()) {
        Error::SeatTaken { role: "receiver", pid, .. } => assert_eq!(pid, std::process::id()),
        other => panic!("not SeatTaken but {other:?}"),
    }
    raw_ipc::set_value(set, raw_ipc::FIRST_SEAT + 1, 0).expect("SETVAL");
    // A creator that does not exist.
    raw_ipc::set_value(set, raw_ipc::LIFECYCLE, 1).expect("SETVAL");
    match refusal(attach()) {
        Error::Busy { pid, .. } => assert_eq!(pid, std::process::id()),
        other => panic!("not Busy but {other:?}"),
    }
    raw_ipc::set_value(set, raw_ipc::LIFECYCLE, 0).expect("SETVAL");
    assert!(watch.took() < 5 * MOMENT, "{:?}", watch.took());
    drop(attach().expect("attach"));
    // More deaths than there are seats: a sender can leave, and the next one succeeds one of them.
    raw_ipc::set_value(set, raw_ipc::DIED, MOST).expect("SETVAL");
    let rx = attach().expect("attach");
    tx.finish().expect("finish");
    let state = || [raw_ipc::SENDERS, raw_ipc::DIED].map(|n| raw_ipc::values(set)[n]);
    assert_eq!(state(), [0, MOST as u16]);
    let tx: Sender<u64> = key.options().attach().expect("attach");
    assert_eq!(state(), [1, MOST as u16 - 1]);
    drop(rx);
    // The advice helps.
    sysvring::remove(key.address()).expect("remove");
    key.assert_free();
    drop(tx);
}

fn sysctl(name: &str, value: &str) {
    fs::write(format!("/proc/sys/kernel/{name}"), value).expect(name);
}

/// Makes three channels without members, whose last member was killed.
fn leave_three() -> [Key; 3] {
    let keys = [Key::new(), Key::new(), Key::new()];
    for key in &keys {
        let options = key.options().lifetime(Lifetime::LastMember);
        Fork::start(|| std::mem::forget(options.create::<Sender<u64>>().expect("create"))).finish();
    }
    keys
}

/// Creating fails, leaves nothing, and works after the leftovers are reaped.
fn is_full_until_reaped(wanted: (&str, i32), named: &str) {
    let before = marked();
    let key = Key::new();
    limit(refusal(key.options().create::<Sender<u64>>()), wanted, named);
    limit(refusal(Options::private().create::<Sender<u64>>()), wanted, named);
    assert_eq!(marked(), before);
    // There is room for what exists.
    assert_eq!(sysvring::reap().expect("reap").len(), 3);
    drop(key.options().create::<Sender<u64>>().expect("create"));
    drop(Options::private().create::<Sender<u64>>().expect("create"));
}

#[work]
fn many_segments(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    sysctl("shmmni", "3");
    let _three = leave_three();
    is_full_until_reaped(("shmget", libc::ENOSPC), "all 3 segments (kernel.shmmni) are in use");
    // The maximum number of pages: those of one small channel.
    sysctl("shmmni", "100");
    sysctl("shmall", "8");
    let key = Key::new();
    let large = key.options().capacity(1 << 20);
    let wanted = ("shmget", libc::ENOSPC);
    limit(refusal(large.create::<Sender<u64>>()), wanted, "of 8 shared pages (kernel.shmall)");
    key.assert_free();
}

#[test(root)]
fn the_maximum_number_of_segments() {
    Worker::start(&[&"limits::many_segments"]).expect("start").finish();
}

#[work]
fn large_segments(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    sysctl("shmmax", "8192");
    let key = Key::new();
    limit(
        refusal(key.options().create::<Sender<u64>>()),
        ("shmget", libc::EINVAL),
        "kernel.shmmax (8192 bytes)",
    );
    limit(
        refusal(Options::private().create::<Sender<[u8]>>()),
        ("shmget", libc::EINVAL),
        "fewer or smaller slots",
    );
    key.assert_free();
    assert_eq!(marked(), []);
    // The advice helps; and attaching takes nothing.
    let tx: Sender<u64> = key.options().capacity(64).create().expect("create");
    sysctl("shmmax", "1");
    drop(key.options().attach::<Receiver<u64>>().expect("attach"));
    drop(tx);
}

#[test(root)]
fn the_maximum_size_of_segments() {
    Worker::start(&[&"limits::large_segments"]).expect("start").finish();
}

#[work]
fn many_sets(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    // Semaphores in a set, in all, operations at once, sets.
    sysctl("sem", "250 32000 500 3");
    let _three = leave_three();
    is_full_until_reaped(("semget", libc::ENOSPC), "all 3 semaphore sets (SEMMNI");
    let needed = raw_ipc::FIRST_SEAT + 2;
    sysctl("sem", &format!("250 {} 500 100", needed - 1));
    let key = Key::new();
    let named = "semaphores (SEMMNS, 2nd value of kernel.sem) are in use, and the channel needs 14";
    limit(refusal(key.options().create::<Sender<u64>>()), ("semget", libc::ENOSPC), named);
    sysctl("sem", &format!("{} 32000 500 100", needed - 1));
    let named = "needs 14 semaphores in its set, and the kernel allows 13 (SEMMSL";
    limit(refusal(key.options().create::<Sender<u64>>()), ("semget", libc::EINVAL), named);
    let many = key.options().max_members(100).create::<sysvring::mpmc::Sender<u64>>();
    limit(refusal(many), ("semget", libc::EINVAL), "needs 112 semaphores");
    let many = key.options().max_members(100).create::<sysvring::mpmc::Sender<u64>>();
    limit(refusal(many), ("semget", libc::EINVAL), "or use fewer members");
    key.assert_free();
    sysctl("sem", &format!("{needed} 32000 500 100"));
    drop(key.options().create::<Sender<u64>>().expect("create"));
}

#[test(root)]
fn the_maximum_number_of_sets() {
    Worker::start(&[&"limits::many_sets"]).expect("start").finish();
}

#[work]
fn few_operations(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    let key = Key::new();
    let tx: Sender<u64> = key.options().create().expect("create");
    for most in 1..11 {
        sysctl("sem", &format!("250 32000 {most} 100"));
        let wanted = ("semtimedop", libc::E2BIG);
        let named = format!("the kernel allows {most}; raise SEMOPM (3rd value of kernel.sem)");
        limit(refusal(key.options().attach::<Receiver<u64>>()), wanted, &named);
        let new = Key::new();
        for lifetime in [Lifetime::Kept, Lifetime::LastMember] {
            if most < 9 {
                let options = new.options().lifetime(lifetime);
                limit(refusal(options.create::<Sender<u64>>()), wanted, "SEMOPM");
                new.assert_free();
            }
        }
    }
    sysctl("sem", "250 32000 11 100");
    let mut rx: Receiver<u64> = key.options().attach().expect("attach");
    let mut tx = { tx };
    assert_eq!((tx.send(&1), rx.recv()), (Ok(()), Ok(1)));
}

#[test(root)]
fn fewer_operations_than_needed() {
    Worker::start(&[&"limits::few_operations"]).expect("start").finish();
}
