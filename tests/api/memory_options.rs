//! The effect of options on memory and labels: prefaulted, locked or huge pages, labels, schemas.

use std::io;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Lifetime, Options, untyped};
use sysvring_support::name::{Name, is_gone};
use sysvring_support::raw_ipc::Key;
use sysvring_support::worker::{Args, Worker, end_with_parent};
use sysvring_support::{test, work};

/// Each slot is on another page.
type Page = [u64; 512];
const PAGES: usize = 1_024;

/// The number of slots by default, for frames of a camera as well.
#[test]
fn the_default_is_bounded_by_memory() {
    let options = || Options::private().prefault(false);
    let frames: Sender<[u8]> = options().slot_size(6_220_800).create().expect("create");
    assert_eq!(frames.capacity(), 16);
    let size = frames.stat().expect("stat").segment.size;
    assert!((16 * 6_220_800..17 * 6_220_800).contains(&size), "{size}");
    let lines: Sender<[u8]> = options().slot_size(1 << 20).create().expect("create");
    assert_eq!(lines.capacity(), 32);
    let small: Sender<u64> = options().create().expect("create");
    assert_eq!(small.capacity(), 1024);
}

/// The number of slots by memory: of a typed handle, and of one that does not know the slots.
#[test]
fn slots_by_memory() {
    let name = Name::new();
    let tx: Sender<u64> = name.options().memory(1 << 20).create().expect("create");
    assert_eq!(tx.capacity(), 1 << 16);
    let rx: sysvring::untyped::Receiver = name.options().memory(1 << 20).attach().expect("attach");
    assert_eq!(rx.capacity(), 1 << 16);
}

#[test]
fn prefaulted_pages_do_not_fault() {
    Worker::run(&[&"memory_options::count_faults", &Name::new()]);
}

/// Returns the number of page faults of this process so far.
fn faults() -> i64 {
    // SAFETY: zeros are valid, and the kernel fills them.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage.ru_minflt + usage.ru_majflt
    }
}

/// Fills a ring. Returns the page faults that this causes.
#[work]
fn count_faults(args: &mut Args) {
    let name: String = args.next();
    let fill = |prefault: Option<bool>| {
        let mut options = Options::named(&name).capacity(PAGES).lifetime(Lifetime::LastMember);
        if let Some(prefault) = prefault {
            options = options.prefault(prefault);
        }
        let mut tx: Sender<Page> = options.open().expect("open");
        let before = faults();
        for _ in 0..PAGES {
            tx.loan().expect("room").commit().expect("committed");
        }
        faults() - before
    };
    // Loans that are not written to touch the slots' words, each on another page.
    let (without, with, by_default) = (fill(Some(false)), fill(Some(true)), fill(None));
    assert!(without >= PAGES as i64 / 32, "nothing to save: {without} faults");
    assert!(with < without / 8, "{with} faults with, {without} without");
    assert!(by_default < without / 8, "small segments are, by default");
}

#[test]
fn memory_is_locked_or_the_error_states_a_remedy() {
    let key = Key::new();
    let options = key.options().capacity(64).lock_memory(true);
    match options.create::<Receiver<u64>>() {
        Ok(rx) => {
            assert!(rx.stat().expect("stat").segment.locked);
            assert!(rx.stat().expect("stat").to_string().contains("locked in memory"));
        }
        Err(error) => must_advise_on_locking(&error),
    }
}

fn must_advise_on_locking(error: &Error) {
    let Error::Limit { call, errno, advice, .. } = error else { panic!("{error}") };
    assert_eq!(*call, "shmctl(SHM_LOCK)");
    assert!([libc::EPERM, libc::ENOMEM].contains(errno), "{error}");
    assert!(advice.contains("RLIMIT_MEMLOCK"), "{advice}");
}

#[test]
fn memory_beyond_the_limit_is_not_locked() {
    let key = Key::new();
    Worker::run(&[&"memory_options::lock_too_much", &key.0]);
    key.assert_free();
}

/// Locks memory without the permission to do so.
#[work]
fn lock_too_much(args: &mut Args) {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_MEMLOCK, &none), 0);
        if libc::geteuid() == 0 {
            assert_eq!(libc::setuid(65_534), 0, "{}", io::Error::last_os_error());
        }
    }
    end_with_parent();
    let key: i32 = args.next();
    let options = || Options::key(key).lock_memory(true);
    must_advise_on_locking(&options().open::<Receiver<u64>>().expect_err("no right to"));
    // Nothing is left, and without locking it works.
    assert!(is_gone(sysvring::Address::Key(key)));
    let options = options().lock_memory(false).lifetime(Lifetime::LastMember);
    options.create::<Receiver<u64>>().expect("create");
}

#[test]
fn huge_pages_are_used_or_the_error_states_a_remedy() {
    let key = Key::new();
    let meminfo = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
    let free = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("HugePages_Free:")?.trim().parse::<u64>().ok());
    let size = key.options().capacity(1024).huge_pages(true).create::<Receiver<u64>>();
    match (size, free) {
        (Ok(mut rx), Some(1..)) => {
            let mut tx: Sender<u64> = key.options().attach().expect("attach");
            tx.send(&1).expect("send");
            assert_eq!(rx.recv(), Ok(1));
        }
        (Err(Error::Limit { call, advice, .. }), free) => {
            assert!(call == "shmget" || call == "shmat", "{call}");
            match free {
                Some(0) => assert!(advice.contains("vm.nr_hugepages"), "{advice}"),
                _ => assert!(advice.contains("huge"), "{advice}"),
            }
            assert!(advice.contains("do without huge_pages"), "{advice}");
            key.assert_free();
            key.options().create::<Receiver<u64>>().expect("without them");
        }
        (other, free) => panic!("{free:?} huge pages are free: {other:?}"),
    }
}

#[test]
fn labels_are_reported_and_truncated() {
    for (label, seen) in [
        ("", ""),
        ("reader 7", "reader 7"),
        ("12345678901234567890123456789012", "12345678901234567890123456789012"),
        ("12345678901234567890123456789012345", "12345678901234567890123456789012"),
        // Cut between characters.
        ("x→→→→→→→→→→→→", "x→→→→→→→→→→"),
    ] {
        let name = Name::new();
        let _rx: Receiver<u64> = name.options().label(label).open().expect("open");
        assert_eq!(sysvring::stat(name.as_str()).expect("stat").members[0].label, seen);
    }
    // The next member in the same seat has its own label.
    let name = Name::new();
    drop(name.options().label("a long label").open::<Receiver<u64>>().expect("open"));
    drop(name.options().label("short").open::<Receiver<u64>>().expect("open"));
    assert_eq!(sysvring::stat(name.as_str()).expect("stat").members[0].label, "short");
}

#[test]
fn schemas_must_agree() {
    let name = Name::new();
    let tx: Sender<u64> = name.options().schema(0x17).open().expect("open");
    drop(name.options().schema(0x17).attach::<Receiver<u64>>().expect("the same"));
    let refused =
        |options: Options, [own, other]: [&str; 2]| match options.attach::<Receiver<u64>>() {
            Err(Error::TypeMismatch { expected, found, .. }) => {
                assert_eq!([&*expected, &*found], [own, other]);
            }
            other => panic!("{other:?}"),
        };
    refused(name.options().schema(0x18), ["schema 0x18", "schema 0x17"]);
    // None is 0.
    refused(name.options(), ["no schema", "schema 0x17"]);
    refused(name.options().schema(0), ["no schema", "schema 0x17"]);
    drop(name.options().schema(0x17).attach::<Receiver<u64>>().expect("the seat stayed free"));
    // An untyped handle takes any, unless it asks for one.
    drop(name.options().attach::<untyped::Receiver>().expect("whichever it is"));
    let error = name.options().schema(0x18).attach::<untyped::Receiver>().expect_err("another one");
    assert!(matches!(error, Error::TypeMismatch { .. }), "{error:?}");
    drop(tx);

    let name = Name::new();
    let tx: Sender<u64> = name.options().open().expect("open");
    refused(name.options().schema(5), ["schema 0x5", "no schema"]);
    drop(name.options().schema(0).attach::<Receiver<u64>>().expect("the same"));
    drop(tx);
}
