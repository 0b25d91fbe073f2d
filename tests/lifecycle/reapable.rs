//! The dry run of `reap` changes nothing, and `reap` then removes exactly what it reported.

use std::ffi::CStr;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{ChannelId, Lifetime, Options, Reaped, WaitSet};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{self, Key, MARKED, Object};
use sysvring_support::worker::{Args, Worker, end_with_parent, print_line, read_line};
use sysvring_support::{test, work};

/// The number of semaphores in the set of an SPSC channel.
const SEMAPHORES: usize = raw_ipc::FIRST_SEAT + 2;

/// Has a channel and waits for it in a set, so that it has a doorbell, until it is killed.
#[work]
fn wait_in_set(args: &mut Args) {
    let name: String = args.next();
    let options = match &*name {
        "" => Options::private(),
        name => Options::named(name).lifetime(Lifetime::LastMember),
    };
    // Other users may ring, and so lock, its queue.
    let rx: Receiver<u64> = options.mode(0o666).create().expect("create");
    let set = WaitSet::new().expect("a set");
    set.add(&rx).expect("added");
    print_line(rx.id());
    print_line(rx.stat().expect("stat").set.expect("a set").id);
    read_line();
}

/// Starts a process that does that, and kills it. Returns what it had: its channel and its set.
fn killed(name: &str) -> (ChannelId, i32) {
    let mut member = Worker::start(&[&"reapable::wait_in_set", &name]).expect("start");
    let id = member.read_line().expect("its channel").parse().expect("an identifier");
    let set = member.read_line().expect("its set").parse().expect("a number");
    member.kill_and_wait().expect("kill");
    (id, set)
}

/// Everything that a process could change: which objects exist, all bytes and semaphores, when each
/// set was last operated on and by which process, and the queues.
#[derive(Debug, PartialEq)]
struct Everything {
    objects: Vec<Object>,
    bytes: Vec<Vec<u8>>,
    semaphores: Vec<(Vec<u16>, Vec<i32>, i64)>,
    queues: Option<Vec<String>>,
}

fn everything() -> Everything {
    let objects = raw_ipc::marked();
    let of = |table| objects.iter().filter(move |object| object.table == table);
    let bytes = of("shm").map(|segment| raw_ipc::bytes(segment.id)).collect();
    let semaphores = of("sem").map(|set| {
        let values = raw_ipc::values(set.id);
        let pids = (0..values.len()).map(|n| raw_ipc::pid(set.id, n)).collect();
        (values, pids, raw_ipc::set_stat(set.id).expect("IPC_STAT").sem_otime)
    });
    let semaphores = semaphores.collect();
    Everything { objects, bytes, semaphores, queues: raw_ipc::queues() }
}

/// Leftovers of every kind, and channels that are none.
#[test(quiet)]
fn reap_removes_exactly_what_was_reported() {
    // What other tests left before.
    sysvring::reap().expect("reap");
    let [both, segment, set] = [(); 3].map(|()| Key::new());
    let both_ids = (both.make_segment(10_000, MARKED), both.make_set(SEMAPHORES, MARKED));
    let segment_id = segment.make_segment(10_000, MARKED);
    let set_id = set.make_set(SEMAPHORES, MARKED);
    let dead = Name::new();
    let (dead_id, dead_set) = killed(dead.as_str());
    let dead_key = sysvring::stat(dead.as_str()).expect("the kernel keeps it").key;
    let (_, private_set) = killed("");
    // Its set was removed, and a creator died after it made another one.
    let beside = Name::new();
    let (beside_id, beside_set) = killed(beside.as_str());
    let beside_key = sysvring::stat(beside.as_str()).expect("the kernel keeps it").key;
    raw_ipc::remove_set(beside_set).expect("IPC_RMID");
    let beside_set = raw_ipc::create_set(beside_key, SEMAPHORES, MARKED).expect("semget");
    // None of these is a leftover.
    let (kept, living, building) = (Name::new(), Name::new(), Key::new());
    let mut tx: Sender<u64> = kept.options().create().expect("create");
    tx.send(&1).expect("room");
    drop(tx);
    let alone = living.options().lifetime(Lifetime::LastMember);
    let alone: Receiver<u64> = alone.create().expect("create");
    let private: Receiver<u64> = Options::private().create().expect("create");
    let (lock, half) =
        (building.make_set(SEMAPHORES, MARKED), building.make_segment(9_000, MARKED));
    raw_ipc::add(lock, raw_ipc::LIFECYCLE, 1);

    let before = everything();
    let reported = sysvring::reapable().expect("a report");
    assert_eq!(everything(), before);
    assert_eq!(sysvring::reapable().expect("a report"), reported);

    let left = |key, name: &str, segment: Option<i32>, set: Option<i32>| {
        let wanted = Reaped { key, name: name.to_owned(), segment, set };
        let n = reported.iter().filter(|left| **left == wanted).count();
        assert_eq!(n, 1, "{wanted:?} in {reported:#?}");
    };
    left(both.0, "", Some(both_ids.0), Some(both_ids.1));
    left(segment.0, "", Some(segment_id), None);
    left(set.0, "", None, Some(set_id));
    left(dead_key, dead.as_str(), Some(dead_id.segment()), Some(dead_set));
    left(0, "", None, Some(private_set));
    left(beside_key, "", None, Some(beside_set));
    left(beside_key, beside.as_str(), Some(beside_id.segment()), None);
    let is_queue = |left: &&Reaped| (left.segment, left.set) == (None, None);
    let queues: Vec<_> = reported.iter().filter(is_queue).collect();
    // At least that of the channel that names it; the others only where the queues can be listed.
    assert!((1..=3).contains(&queues.len()), "{queues:?}");
    let all = raw_ipc::queues();
    assert!(queues.iter().all(|left| all.iter().flatten().any(|name| *name == left.name)));
    assert_eq!(reported.len(), 7 + queues.len(), "{reported:#?}");

    assert_eq!(sysvring::reap().expect("reap"), reported);
    assert_eq!(sysvring::reapable().expect("a report"), []);
    let gone = |object: &Object| {
        let id = Some(object.id);
        reported
            .iter()
            .any(|left| id == if object.table == "shm" { left.segment } else { left.set })
    };
    let mut expected = before.objects;
    expected.retain(|object| !gone(object));
    assert_eq!(raw_ipc::marked(), expected);
    let mut expected = before.queues;
    expected.iter_mut().for_each(|all| all.retain(|name| queues.iter().all(|q| q.name != *name)));
    assert_eq!(raw_ipc::queues(), expected);
    expected.into_iter().flatten().for_each(|name| raw_ipc::remove_queue(&name));
    assert_eq!(sysvring::stat(kept.as_str()).expect("it stays").depth, 1);
    assert_eq!((building.set(), building.segment()), (Some(lock), Some(half)));
    drop((alone, private));
}

/// The queues that no channel names are reported and removed where they can be listed.
#[test(root)]
fn queues_of_the_dead_are_reported_where_they_are_mounted() {
    Worker::run(&[&"reapable::with_queues_mounted"]);
}

#[work]
fn with_queues_mounted(_: &mut Args) {
    let mount = |from: &CStr, at: &CStr, kind: &CStr, flags| {
        let none = std::ptr::null();
        // SAFETY: strings that outlive the call.
        let result = unsafe { libc::mount(from.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, none) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    };
    // SAFETY: takes a number, in a process with one thread.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWIPC) }, 0);
    mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE);
    mount(c"tmpfs", c"/dev", c"tmpfs", 0);
    std::fs::create_dir("/dev/mqueue").expect("a directory");
    mount(c"mqueue", c"/dev/mqueue", c"mqueue", 0);
    let (id, set) = killed("with-queues-mounted");
    let (_, private_set) = killed("");
    let living: Receiver<u64> = Options::private().create().expect("create");
    let waits = WaitSet::new().expect("a set");
    waits.add(&living).expect("added");
    let all = raw_ipc::queues().expect("root lists them");
    assert_eq!(all.len(), 3);
    Worker::run(&[&"reapable::find_nothing_as_nobody"]);
    let reported = sysvring::reapable().expect("a report");
    assert_eq!(raw_ipc::queues().expect("root lists them"), all);
    // One is named by a channel and listed as well, and reported once.
    let queue = |left: &Reaped| left.key == 0 && left.segment.is_none() && left.set.is_none();
    let kinds: Vec<_> = reported.iter().map(|left| (queue(left), left.segment, left.set)).collect();
    let channel = (false, Some(id.segment()), Some(set));
    let private = (false, None, Some(private_set));
    assert_eq!(kinds, [(true, None, None), channel, private, (true, None, None)]);
    assert_ne!(reported[0].name, reported[3].name);
    assert!([0, 3].iter().all(|&n| all.contains(&reported[n].name)));
    assert_eq!(sysvring::reap().expect("reap"), reported);
    let left = raw_ipc::queues().expect("root lists them");
    assert!(left.len() == 1 && reported.iter().all(|reaped| reaped.name != left[0]));
}

#[work]
fn find_nothing_as_nobody(_: &mut Args) {
    become_nobody();
    assert_eq!(sysvring::reapable().expect("a report"), []);
    assert_eq!(sysvring::reap().expect("reap"), []);
}

fn become_nobody() {
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(65_534), libc::setuid(65_534)), (0, 0));
    }
    end_with_parent();
}

/// Another user's leftovers are neither reported nor removed.
#[test(root)]
fn leftovers_of_others_are_not_reported() {
    let key = Key::new();
    key.make_segment(10_000, 0o667);
    key.make_set(SEMAPHORES, 0o667);
    Worker::run(&[&"reapable::look_as_nobody", &key.0]);
    let report = sysvring::reapable().expect("a report");
    assert_eq!(report.iter().filter(|left| left.key == key.0).count(), 1, "root may remove it");
}

#[work]
fn look_as_nobody(args: &mut Args) {
    let key: i32 = args.next();
    become_nobody();
    assert!(sysvring::reapable().expect("a report").iter().all(|left| left.key != key));
    assert!(sysvring::reap().expect("reap").iter().all(|left| left.key != key));
}
