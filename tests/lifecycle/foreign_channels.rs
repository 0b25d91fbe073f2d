//! Observing the channels of other users: no crash, no memory and no time in proportion to their
//! numbers, and one failure does not make the whole call fail.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sysvring::{Address, Error, Observer, Options, mpmc};
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::single_step::{Stepper, Stop, mark};
use sysvring_support::worker::{Args, Worker, end_with_parent, print_line, read_line};
use sysvring_support::{ipc_namespace, raw_ipc, test, work};

use sysvring_support::stopwatch::Stopwatch;

const NOBODY: u32 = 65_534;
const AT_ONCE: Duration = Duration::from_secs(1);

fn become_nobody() {
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(NOBODY), libc::setuid(NOBODY)), (0, 0));
    }
    end_with_parent();
}

/// Returns how many bytes of a segment are resident, according to the kernel's table.
fn resident(segment: i32) -> u64 {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").expect("a table");
    let column = |line: &str, n: usize| line.split_whitespace().nth(n).map(str::to_owned);
    let head = table.lines().next().expect("a head");
    let rss = head.split_whitespace().position(|name| name == "rss").expect("a column");
    let line = table.lines().find(|line| column(line, 1) == Some(segment.to_string()));
    column(line.expect("the segment"), rss).expect("a field").parse().expect("a number")
}

/// Makes every call that observes a channel.
fn look(key: &Key) {
    sysvring::stat(key.address()).expect("stat");
    sysvring::list().expect("list");
    Observer::open(key.address()).expect("open").stat().expect("stat");
}

const SLOTS: usize = 1 << 20;

#[test]
fn observing_makes_no_page_resident() {
    let key = Key::new();
    let options = || key.options().capacity(SLOTS).prefault(false);
    let tx: mpmc::Sender<[u64; 7]> = options().create().expect("create");
    let memory = Segment::of(tx.id().segment());
    for hint in [0, 1 << 19, 1 << 40, 1 << 63, u64::MAX] {
        memory.u64(at::TAIL).store(hint, Relaxed);
        memory.u64(at::HEAD).store(hint.wrapping_sub(1000), Relaxed);
        let before = resident(tx.id().segment());
        look(&key);
        let stat = tx.stat().expect("stat");
        assert_eq!(stat.segment.size as usize, 12_288 + SLOTS * (64 + 8));
        let more = resident(tx.id().segment()) - before;
        assert!(more <= 4 * 4096, "{more} bytes more for a tail of {hint:#x}");
    }
}

/// The depth excludes what was received and includes what is in flight, wherever the hints are.
#[test]
fn a_depth_is_counted() {
    let key = Key::new();
    let options = || key.options().capacity(1024).max_members(4);
    let tx: mpmc::Sender<u64> = options().create().expect("create");
    let rx: mpmc::Receiver<u64> = key.options().attach().expect("attach");
    let other: mpmc::Receiver<u64> = key.options().attach().expect("attach");
    let depth = |expected: u64| {
        let stat = sysvring::stat(key.address()).expect("stat");
        assert_eq!((stat.depth, stat.depth_is_exact), (expected, true));
    };
    for round in 0..3 {
        (0..1000).for_each(|n| tx.send(&n).expect("send"));
        depth(1000);
        let held = rx.recv_ref().expect("a message");
        (0..700).for_each(|_| _ = other.recv().expect("a message"));
        depth(300);
        held.ack().expect("acknowledged");
        depth(299);
        (0..299).for_each(|_| _ = other.recv().expect("a message"));
        depth(0);
        assert_eq!(tx.len(), 0, "round {round}");
    }
    (0..1024).for_each(|n| tx.send(&n).expect("send"));
    depth(1024);
}

/// Makes an ordinary user's channel of many slots, with this number of messages.
#[work]
fn own_channel(args: &mut Args) {
    let (key, messages): (i32, u64) = (args.next(), args.next());
    become_nobody();
    let options = Options::key(key).capacity(1 << 14).mode(0o666);
    let tx: mpmc::Sender<u64> = options.create().expect("create");
    (0..messages).for_each(|n| tx.send(&n).expect("send"));
    print_line("sent");
    let stat = tx.stat().expect("stat");
    assert_eq!((stat.depth, stat.depth_is_exact), (messages, true), "it counts its own messages");
    read_line();
}

#[test(root)]
fn a_depth_of_another_user_is_bounded() {
    for (messages, exact) in [(100, true), (4000, true), (10_000, false)] {
        let key = Key::new();
        let args: [&dyn ToString; 3] = [&"foreign_channels::own_channel", &key.0, &messages];
        let mut owner = Worker::start(&args).expect("start");
        owner.expect("sent");
        let stat = sysvring::stat(key.address()).expect("stat");
        assert_eq!(stat.depth_is_exact, exact);
        let most = if exact { 0 } else { 16 };
        assert!(stat.depth <= messages && stat.depth + most >= messages, "{}", stat.depth);
        assert_eq!(stat.to_string().contains("about"), !exact);
        owner.write_line("end").expect("tell");
        owner.finish();
    }
}

/// Makes a segment of an ordinary user with the mark of this crate; if it can be attached, with a
/// header that claims all of it for a channel.
#[work]
fn own_giant(args: &mut Args) {
    let (key, bytes): (i32, usize) = (args.next(), args.next());
    become_nobody();
    let small = Key::new();
    let tx: mpmc::Sender<[u64; 7]> = small.options().max_members(2).create().expect("create");
    let mut header = Segment::of(tx.id().segment()).read(0..4096);
    // A slot, and its word in the table of origins.
    let capacity = (bytes - 4096) / (64 + 8);
    let capacity =
        if capacity.is_power_of_two() { capacity } else { capacity.next_power_of_two() / 2 };
    for (at, value) in [
        (at::CAPACITY, capacity),
        (at::TOTAL, 4096 + capacity * (64 + 8)),
        (at::TAIL, usize::MAX / 3),
        (at::HEAD, usize::MAX / 5),
    ] {
        header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    let mode = libc::SHM_NORESERVE as u32 | 0o645;
    let id = raw_ipc::create_segment(key, bytes, mode).expect("shmget");
    if let Ok(memory) = Segment::attach(id) {
        memory.write(0, &header);
    }
    print_line("made");
    read_line();
    raw_ipc::remove_segment(id).expect("IPC_RMID");
}

fn giant(key: &Key, bytes: usize) -> Worker {
    let args: [&dyn ToString; 3] = [&"foreign_channels::own_giant", &key.0, &bytes];
    let mut giant = Worker::start(&args).expect("start");
    giant.expect("made");
    giant
}

#[test(root)]
fn a_segment_of_terabytes() {
    let (key, own) = (Key::new(), Key::new());
    let tx: mpmc::Sender<u64> = own.options().create().expect("create");
    let mut owner = giant(&key, ((64 + 8) << 36) + 4096);
    let watch = Stopwatch::start();
    let list = sysvring::list().expect("list");
    assert!(list.iter().any(|stat| stat.id == tx.id()));
    let stat = list.iter().find(|stat| stat.key == key.0).expect("listed");
    assert_eq!((stat.capacity, stat.segment.uid), (1 << 36, NOBODY));
    look(&key);
    assert!(watch.took() < AT_ONCE, "{:?}", watch.took());
    assert!(resident(stat.segment.id) <= 8 * 4096);
    owner.write_line("end").expect("tell");
    owner.finish();
}

#[test(root)]
fn a_segment_too_large_to_attach() {
    let (key, own) = (Key::new(), Key::new());
    let tx: mpmc::Sender<u64> = own.options().create().expect("create");
    let mut owner = giant(&key, 127 << 40);
    let watch = Stopwatch::start();
    let list = sysvring::list().expect("list: it is omitted");
    assert!(list.iter().any(|stat| stat.id == tx.id()));
    assert!(list.iter().all(|stat| stat.key != key.0));
    sysvring::reap().expect("reap");
    // Observed directly, it is an error.
    let error = sysvring::stat(key.address()).expect_err("too large");
    assert!(matches!(error, Error::Limit { .. }), "{error:?}");
    assert!(watch.took() < AT_ONCE, "{:?}", watch.took());
    owner.write_line("end").expect("tell");
    owner.finish();
}

#[test(quiet)]
fn an_identifier_reused_during_an_observation() {
    for what in ["list", "stat", "observer", "attach", "reap"] {
        Worker::run(&[&"foreign_channels::look_while_it_comes_round", &what]);
    }
}

/// Before each `shmat` of an observation, the segment is replaced by a small one with the same
/// identifier, whose header claims the size of the first.
#[work]
fn look_while_it_comes_round(args: &mut Args) {
    let what: String = args.next();
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    for turn in 0..4 {
        let key = Key::new();
        let tx: mpmc::Sender<u64> =
            key.options().capacity(1 << 16).max_members(2).mode(0o666).create().expect("create");
        let id = tx.id();
        drop(tx);
        let header = Segment::of(id.segment()).read(0..4096);
        let observer = (what == "observer").then(|| Observer::open(id).expect("open"));
        let mut child = Stepper::start(|| {
            mark();
            let address: Address = id.into();
            // Any result is correct, except a crash.
            match what.as_str() {
                "list" => drop(sysvring::list()),
                "stat" => drop(sysvring::stat(address)),
                "observer" => drop(observer.as_ref().expect("opened").stat()),
                "attach" => drop(Options::id(id).attach::<mpmc::Receiver<u64>>()),
                _ => drop(sysvring::reap()),
            }
            mark();
        })
        .expect("traced");
        let mut attaches = 0;
        let mut is_entry = true;
        let replaced = loop {
            match child.run_to_call(&mut || false) {
                Stop::Call if is_entry && child.call() == libc::SYS_shmat => {
                    if attaches == turn {
                        break true;
                    }
                    attaches += 1;
                    is_entry = false;
                }
                Stop::Call => is_entry = !is_entry,
                Stop::Marked => break false,
                other => panic!("{what}: {other:?} before its attach {turn}"),
            }
        };
        if replaced {
            come_round(&key, id.segment(), &header);
            assert_eq!(child.run(&mut || false), Stop::Marked, "{what}, attach {turn}");
        }
        child.kill();
        key.clear();
    }
}

/// Removes a segment, and makes others until one has the same identifier. As long as the first one
/// is attached, none gets it.
fn come_round(key: &Key, id: i32, header: &[u8]) {
    // Identifiers are assigned in sequence; the kernel may permit setting the next one.
    raw_ipc::remove_segment(id).expect("IPC_RMID");
    if Segment::attach(id).is_ok() {
        return;
    }
    let _ = std::fs::write("/proc/sys/kernel/shm_next_id", id.to_string());
    for _ in 0..1 << 18 {
        let made = key.make_segment(4096, 0o667);
        if made == id {
            return Segment::of(id).write(0, header);
        }
        raw_ipc::remove_segment(made).expect("IPC_RMID");
    }
    panic!("identifier {id} was never reused");
}
