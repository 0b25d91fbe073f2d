//! Memory that cannot be had: opening reports it and names the reason, before a page is touched, and
//! leaves nothing. Otherwise it would be a signal, or the end of some process.

use std::path::PathBuf;
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Lifetime, Options, RecvError};
use sysvring_support::control_group::ControlGroup;
use sysvring_support::error_text::{advises, refusal};
use sysvring_support::fork::Fork;
use sysvring_support::huge_pages::HugePage;
use sysvring_support::raw_ipc::{Key, marked};
use sysvring_support::single_step::{Stepper, Stop, mark};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{ipc_namespace, seccomp_errno, test, work};

const MIB: usize = 1 << 20;
const POPULATE: (usize, u32, u32) = (2, u32::MAX, libc::MADV_POPULATE_WRITE as u32);

/// Checks that the error is a limit on memory, and returns its advice.
#[track_caller]
fn limit(error: Error, errno: i32) -> String {
    advises(&error);
    match error {
        Error::Limit { call, errno: found, advice, .. } => {
            assert_eq!((call, found), ("madvise", errno), "{advice}");
            advice
        }
        other => panic!("not Limit but {other:?}"),
    }
}

#[work]
fn without_pages(_: &mut Args) {
    // The objects of other tests would be taken for those that are left.
    let is_alone = ipc_namespace::enter_as_any_user();
    for (errno, named) in [
        (libc::EFAULT, "huge pages"),
        (libc::EHWPOISON, "hardware memory error"),
        (libc::ENOMEM, "memory"),
    ] {
        Fork::start(|| {
            let (key, other) = (Key::new(), Key::new());
            let tx: Sender<u64> = other.options().create().expect("create");
            seccomp_errno::fail_where(libc::SYS_madvise, POPULATE, errno).expect("a filter");
            let before = marked();
            // The header is asked for in any case, and large rings are no exception.
            for (prefault, slots) in [(true, 16), (false, 16), (false, 64 * MIB / 64)] {
                for lifetime in [Lifetime::Kept, Lifetime::LastMember] {
                    let options = key.options().lifetime(lifetime).prefault(prefault);
                    let advice =
                        limit(refusal(options.capacity(slots).create::<Sender<u64>>()), errno);
                    assert!(advice.contains(named), "{advice}");
                    key.assert_free();
                }
                let private = Options::private().prefault(prefault).capacity(slots);
                limit(refusal(private.create::<Sender<u64>>()), errno);
            }
            // A member that joins takes no seat.
            limit(refusal(other.options().attach::<Receiver<u64>>()), errno);
            let stat = tx.stat().expect("stat");
            assert_eq!(stat.members.iter().filter(|member| member.alive).count(), 1);
            assert!(!is_alone || marked() == before, "nothing is left");
            drop(other.options().prefault(false).attach::<Receiver<u64>>().expect("a free seat"));
            sysvring::remove(other.address()).expect("remove");
        })
        .finish();
    }
}

#[test]
fn pages_that_cannot_be_had() {
    Worker::run(&[&"memory::without_pages"]);
}

/// Bytes of swap, which a group may have in addition to its memory where that is not limited.
fn swap() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("SwapTotal:")).expect("swap");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

/// A ring of this size.
fn ring(key: &Key, bytes: usize) -> Options {
    key.options().slot_size(MIB - 64).capacity(bytes / MIB)
}

#[work]
fn in_a_small_group(args: &mut Args) {
    let group: PathBuf = args.next::<String>().into();
    let (empty, full) = (Key(args.next()), Key(args.next()));
    let larger: usize = args.next();
    ControlGroup::enter(&group).expect("a group");
    let key = Key::new();
    let name = group.file_name().and_then(|name| name.to_str()).expect("a name");
    let is_named = |error| {
        let advice = limit(error, libc::ENOMEM);
        assert!(advice.contains(name) && advice.contains("33554432 bytes"), "{advice}");
    };
    for lifetime in [Lifetime::Kept, Lifetime::LastMember] {
        let options = ring(&key, larger).prefault(true).lifetime(lifetime);
        is_named(refusal(options.create::<Sender<[u8]>>()));
        key.assert_free();
    }
    let private = Options::private().slot_size(MIB).capacity(larger / MIB).prefault(true);
    is_named(refusal(private.create::<Sender<[u8]>>()));
    // Locked memory is not swapped.
    is_named(refusal(
        ring(&key, 64 * MIB).prefault(true).lock_memory(true).create::<Sender<[u8]>>(),
    ));
    // What another group has touched is not charged to this one.
    drop(full.options().prefault(true).attach::<Receiver<[u8]>>().expect("what is there"));
    is_named(refusal(empty.options().prefault(true).attach::<Receiver<[u8]>>()));
    drop(empty.options().prefault(false).attach::<Receiver<[u8]>>().expect("the seat is free"));
    // What fits can be had.
    let fits = ring(&key, 8 * MIB).lifetime(Lifetime::LastMember);
    drop(fits.create::<Sender<[u8]>>().expect("create"));
    std::mem::forget((empty, full));
}

/// Without the error, the kernel would kill the worker.
#[test(memory_group)]
fn a_group_that_can_never_hold_the_ring() {
    let group = ControlGroup::new("memory").expect("a group");
    group.limit_memory(32 * MIB as u64).expect("a limit");
    let (empty, full) = (Key::new(), Key::new());
    let larger = swap() + 64 * MIB;
    let _empty: Sender<[u8]> = ring(&empty, larger).prefault(false).create().expect("create");
    let _full: Sender<[u8]> = ring(&full, 64 * MIB).prefault(true).create().expect("create");
    let directory = group.directory().display();
    Worker::run(&[&"memory::in_a_small_group", &directory, &empty.0, &full.0, &larger]);
}

#[work]
fn without_huge_pages(args: &mut Args) {
    let group: PathBuf = args.next::<String>().into();
    ControlGroup::enter(&group).expect("a group");
    let key = Key::new();
    for prefault in [None, Some(false), Some(true)] {
        let options = prefault.into_iter().fold(key.options(), Options::prefault);
        let error = refusal(options.huge_pages(true).capacity(64).create::<Sender<u64>>());
        let advice = limit(error, libc::EFAULT);
        assert!(advice.contains("hugetlb.") && advice.contains("allows 0 bytes"), "{advice}");
        key.assert_free();
    }
    drop(key.options().lifetime(Lifetime::LastMember).create::<Sender<u64>>().expect("without"));
}

/// A huge page is free, and not permitted: without the error, its first access would be SIGBUS.
#[test(huge_page_group)]
fn a_group_without_huge_pages() {
    let text = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
    let size = text.lines().find_map(|line| line.strip_prefix("Hugepagesize:")).expect("a size");
    let kib: usize = size.trim().trim_end_matches(" kB").parse().expect("a number");
    let group = ControlGroup::new("hugetlb").expect("a group");
    let _page = HugePage::reserve().expect("a page");
    group.limit_huge_pages(&format!("{}MB", kib >> 10), 0).expect("a limit");
    Worker::run(&[&"memory::without_huge_pages", &group.directory().display()]);
}

/// Attaches, stays for a while in each call that would populate pages, and fails there.
#[work]
fn attach_and_fail(args: &mut Args) {
    let key = Key(args.next());
    let attach = || {
        mark();
        limit(refusal(key.options().attach::<Sender<u64>>()), libc::EFAULT);
        mark();
    };
    let mut stepper = Stepper::start(attach).expect("traced");
    let mut stop = stepper.run_to_call(&mut || false);
    while stop == Stop::Call {
        stop = if stepper.call() == libc::SYS_madvise {
            std::thread::sleep(Duration::from_millis(250));
            stepper.fail_call(libc::EFAULT)
        } else {
            stepper.run_to_call(&mut || false)
        };
    }
    assert_eq!(stop, Stop::Marked);
    stepper.kill();
    std::mem::forget(key);
}

/// An open that fails ends no stream: it was never a member.
#[test]
fn an_open_that_fails_ends_no_stream() {
    let key = Key::new();
    let mut rx: Receiver<u64> = key.options().create().expect("create");
    let waiting = std::thread::spawn(move || rx.recv_timeout(Duration::from_secs(1)));
    Worker::run(&[&"memory::attach_and_fail", &key.0]);
    assert_eq!(waiting.join().expect("no panic"), Err(RecvError::Timeout));
}
