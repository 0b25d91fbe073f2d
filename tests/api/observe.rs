//! Observing channels without joining them shows everything and changes nothing.

use std::time::{Duration, SystemTime};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Fault, Lifetime, Observer, Options, RecvError, Role};
use sysvring_support::name::{Name, wait_until_attached};
use sysvring_support::raw_ipc::Key;
use sysvring_support::shared_counters::until;
use sysvring_support::worker::{Args, Worker, end_with_parent, print_line, read_line};
use sysvring_support::{raw_ipc, seccomp_errno, test, work};

/// Joins, sends or receives some messages, reports that, and then leaves or waits to be killed.
#[work]
fn sit(args: &mut Args) {
    let (name, side, some): (String, String, u64) = (args.next(), args.next(), args.next());
    let options = Options::named(name).label(format!("a {side}"));
    match side.as_str() {
        "sender" => {
            let mut tx: Sender<u64> = options.open().expect("open");
            (0..some).for_each(|n| tx.send(&n).expect("send"));
            print_line("here");
            read_line();
        }
        _ => {
            let mut rx: Receiver<u64> = options.open().expect("open");
            (0..some).for_each(|_| _ = rx.recv().expect("a message"));
            print_line("here");
            read_line();
        }
    }
}

fn seated(name: &Name, side: &str, some: u64) -> Worker {
    let mut worker = Worker::start(&[&"observe::sit", name, &side, &some]).expect("start");
    worker.expect("here");
    worker
}

/// Returns whether a time is between two others. The kernel keeps it in seconds, by a clock that
/// lags by a few milliseconds.
fn is_between(start: SystemTime, time: Option<SystemTime>, end: SystemTime) -> bool {
    let slack = Duration::from_millis(1_100);
    time.is_some_and(|time| start - slack <= time && time <= end)
}

#[test]
fn a_stat_contains_everything() {
    let start = SystemTime::now();
    let name = Name::new();
    let options = name.options().capacity(100).mode(0o640).schema(0xfeed).prefault(false);
    drop(options.create::<Receiver<[u32; 3]>>().expect("create"));
    let mut tx: Sender<[u32; 3]> = name.options().schema(0xfeed).attach().expect("attach");
    tx.send_batch(&[[1; 3], [2; 3], [3; 3]]).expect("room");
    let stat = sysvring::stat(name.as_str()).expect("stat");
    let end = SystemTime::now();
    assert_eq!((stat.name.as_str(), stat.lifetime), (name.as_str(), Lifetime::Kept));
    assert_eq!((stat.capacity, stat.slot_size, stat.stride), (128, 12, 24));
    assert_eq!((stat.variable, stat.message_size, stat.message_align), (false, 12, 4));
    assert_eq!(stat.structure.map(|s| s.to_string()).as_deref(), Some("[u32; 3]"));
    assert_eq!((stat.schema, stat.depth, stat.head, stat.tail), (0xfeed, 3, 0, 3));
    assert_eq!(stat.id, tx.id());
    assert!(is_between(start, Some(stat.created), end));

    let pid = std::process::id();
    // SAFETY: takes nothing and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let segment = stat.segment;
    assert_eq!((segment.id, segment.key), (stat.id.segment(), stat.key));
    assert_eq!((segment.uid, segment.gid, segment.cuid, segment.cgid), (uid, gid, uid, gid));
    assert_eq!((segment.mode & 0o666, segment.size), (0o640, 4096 + 128 * 24));
    assert_eq!((segment.creator_pid, segment.last_pid), (pid, pid));
    wait_until_attached(name.as_str(), 2);
    assert!(!segment.marked_for_removal && !segment.locked);
    assert!(is_between(start, segment.change_time, end));
    assert!(is_between(start, segment.attach_time, end));
    assert!(is_between(start, segment.detach_time, end));
    let set = stat.set.expect("a set");
    assert_eq!(
        (set.key, set.mode & 0o666, set.semaphores),
        (stat.key, 0o640, raw_ipc::FIRST_SEAT as u32 + 2)
    );
    assert_eq!((set.uid, set.gid, set.cuid, set.cgid), (uid, gid, uid, gid));
    assert!(is_between(start, set.operation_time, end));
    assert!(is_between(start, set.change_time, end));
    // A member reports the same.
    let own = tx.stat().expect("stat");
    assert_eq!((own.id, own.key, own.depth, own.tail), (stat.id, stat.key, 3, 3));
    assert_eq!(own.members.len(), 2);

    let variable = Name::new();
    let mut tx: Sender<[u8]> = variable.options().slot_size(50).open().expect("open");
    tx.send(b"abc").expect("room");
    let stat = sysvring::stat(variable.as_str()).expect("stat");
    assert_eq!((stat.variable, stat.slot_size, stat.stride), (true, 50, 72));
    assert_eq!((stat.message_size, stat.message_align, stat.schema), (0, 1, 0));
}

#[test]
fn members_are_alive_or_left_or_died() {
    let name = Name::new();
    let observer = || sysvring::stat(name.as_str()).expect("stat").members;
    let start = SystemTime::now();
    let mut sender = seated(&name, "sender", 3);
    let sender_pid = sender.pid() as u32;
    assert_eq!(observer().len(), 1, "a member that never joined is not connected");
    let mut receiver = seated(&name, "receiver", 2);
    let receiver_pid = receiver.pid() as u32;
    let members = observer();
    let end = SystemTime::now();
    let of = |role| members.iter().find(|member| member.role == role).expect("a member");
    for (role, pid, label) in
        [(Role::Sender, sender_pid, "a sender"), (Role::Receiver, receiver_pid, "a receiver")]
    {
        let member = of(role);
        assert_eq!((member.pid, member.label.as_str()), (pid, label));
        assert!(member.alive && !member.left && is_between(start, Some(member.joined), end));
    }
    assert_eq!((of(Role::Sender).position, of(Role::Sender).messages), (3, 3));
    assert_eq!((of(Role::Receiver).position, of(Role::Receiver).messages), (2, 2));
    assert_eq!((of(Role::Sender).bytes, of(Role::Receiver).bytes), (24, 16));

    sender.write_line("leave").expect("tell");
    sender.finish();
    receiver.kill_and_wait().expect("kill");
    let members = observer();
    let of = |role| members.iter().find(|member| member.role == role).expect("a member");
    let (sender, receiver) = (of(Role::Sender), of(Role::Receiver));
    assert!(!sender.alive && sender.left, "it left");
    assert!(!receiver.alive && !receiver.left, "it died");
    assert_eq!((sender.pid, receiver.pid), (sender_pid, receiver_pid));
    assert_eq!((sender.messages, receiver.messages), (3, 2));
}

#[test]
fn members_are_counted_from_where_they_joined() {
    let name = Name::new();
    for round in 0..3 {
        let mut sender = seated(&name, "sender", 5 + round);
        let stat = sysvring::stat(name.as_str()).expect("stat");
        let member = stat.members.iter().find(|m| m.role == Role::Sender).expect("a member");
        assert_eq!((member.messages, member.bytes), (5 + round, 8 * (5 + round)));
        assert_eq!(member.position, stat.tail);
        sender.kill_and_wait().expect("kill");
    }
    assert_eq!(sysvring::stat(name.as_str()).expect("stat").tail, 5 + 6 + 7);
}

#[test]
fn a_stat_is_readable_text() {
    let name = Name::new();
    let mut rx: Receiver<u64> = name.options().capacity(8).label("me").open().expect("open");
    let mut sender = seated(&name, "sender", 3);
    sender.kill_and_wait().expect("kill");
    assert_eq!(rx.recv(), Ok(0));
    let text = sysvring::stat(name.as_str()).expect("stat").to_string();
    let pid = sender.pid();
    let mine = std::process::id();
    for part in [
        name.as_str(),
        "2 of 8 slots filled",
        "mode 600",
        &format!("sender    died pid {pid} a sender"),
        &format!("receiver  live pid {mine} me"),
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn all_channels_are_listed() {
    let (name, key) = (Name::new(), Key::new());
    let foreign = Key::new();
    foreign.make_segment(10_000, 0o600);
    let _named: Sender<u64> = name.options().open().expect("open");
    let _keyed: Receiver<[u8]> = key.options().open().expect("open");
    let private: Receiver<u64> = Options::private().open().expect("open");
    let ids = [
        sysvring::stat(name.as_str()).expect("stat").id,
        sysvring::stat(key.address()).expect("stat").id,
        private.id(),
    ];
    let list = sysvring::list().expect("list");
    for id in ids {
        assert_eq!(list.iter().filter(|stat| stat.id == id).count(), 1, "{id}");
    }
    assert!(list.iter().all(|stat| stat.key != foreign.0), "no channel, not listed");
    drop(private);
    // Other tests that call `list` may have it attached for a moment.
    until(|| sysvring::list().expect("list").iter().all(|stat| stat.id != ids[2]));
}

#[test]
fn observers_change_nothing() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(8);
    tx.send_batch(&[1, 2, 3]).expect("room");
    let set = tx.stat().expect("stat").set.expect("a set");
    let before = (raw_ipc::bytes(tx.id().segment()), raw_ipc::values(set.id));
    let observer = Observer::open(name.as_str()).expect("open");
    for _ in 0..10 {
        observer.stat().expect("stat");
        sysvring::stat(name.as_str()).expect("stat");
        sysvring::list().expect("list");
    }
    assert!((raw_ipc::bytes(tx.id().segment()), raw_ipc::values(set.id)) == before);
    let later = tx.stat().expect("stat").set.expect("a set");
    assert_eq!(later.operation_time, set.operation_time);
    // It takes no seat: both are taken, and both can be released and taken again.
    drop(rx);
    rx = name.options().attach().expect("attach");
    assert!((1..=3).all(|n| rx.recv() == Ok(n)));
    drop(observer);
    tx.send(&4).expect("send");
    assert_eq!(rx.recv(), Ok(4));
}

#[test]
fn observers_cannot_write() {
    let name = Name::new();
    drop(name.options().open::<Sender<u64>>().expect("open"));
    Worker::run(&[&"observe::try_to_write", &name]);
}

/// Nothing stays attached between two observations, and an observation attaches read-only.
#[work]
fn try_to_write(args: &mut Args) {
    let observer = Observer::open(args.next::<String>()).expect("open");
    for _ in 0..3 {
        // Other tests that call `list` may have it attached for a moment.
        until(|| observer.stat().expect("stat").segment.attached == 1);
        let segment = observer.stat().expect("stat").segment;
        assert_eq!(raw_ipc::attachments(segment.id), [""; 0]);
    }
    // From here on, `shmat` without SHM_RDONLY fails.
    seccomp_errno::fail_where(libc::SYS_shmat, (2, libc::SHM_RDONLY as u32, 0), libc::EACCES)
        .expect("a filter");
    observer.stat().expect("a look is a read");
}

#[test]
fn observers_keep_no_channel_alive() {
    let name = Name::new();
    let options = || name.options().lifetime(Lifetime::LastMember);
    let mut tx: Sender<u64> = options().open().expect("open");
    let observer = Observer::open(name.as_str()).expect("open");
    tx.send(&1).expect("send");
    assert_eq!(observer.stat().expect("stat").depth, 1);
    drop(tx);
    let again = sysvring::stat(name.as_str());
    assert!(matches!(again, Err(Error::NotFound { .. })), "{again:?}");
    // Other tests that call `list` may have it attached for a moment.
    until(|| matches!(observer.stat(), Err(Error::Fault(Fault::Removed))));
    drop(options().create::<Receiver<u64>>().expect("the name is free"));
    assert!(matches!(observer.stat(), Err(Error::Fault(Fault::Removed))), "another one");
}

/// Sends as fast as possible until told to stop.
#[work]
fn stream(args: &mut Args) {
    let mut tx: Sender<u64> = Options::named(args.next::<String>()).open().expect("open");
    loop {
        let n = tx.position();
        tx.send(&n).expect("send");
    }
}

#[test]
fn an_observer_follows_a_stream() {
    let name = Name::new();
    let mut rx: Receiver<u64> = name.options().capacity(64).open().expect("open");
    let mut sender = Worker::start(&[&"observe::stream", &name]).expect("start");
    let observer = Observer::open(name.as_str()).expect("open");
    let (mut head, mut tail) = (0, 0);
    for n in 0..20_000 {
        assert_eq!(rx.recv(), Ok(n));
        if n % 64 == 0 {
            let stat = observer.stat().expect("stat");
            assert_eq!(stat.head, n + 1, "acknowledged exactly");
            assert!(stat.head >= head && stat.tail >= tail && stat.depth <= 64, "{stat}");
            (head, tail) = (stat.head, stat.tail);
        }
    }
    sender.kill_and_wait().expect("kill");
    assert_eq!(rx.iter().count() as u64 + 20_000, observer.stat().expect("stat").tail);
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    sysvring::remove(name.as_str()).expect("removed");
    assert_eq!(rx.recv(), Err(RecvError::Fault(Fault::Removed)));
}

/// Another user, who may only read.
#[work]
fn look_as_nobody(args: &mut Args) {
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(65_534), libc::setuid(65_534)), (0, 0));
    }
    end_with_parent();
    let key: i32 = args.next();
    let stat = sysvring::stat(sysvring::Address::Key(key)).expect("stat");
    assert_eq!((stat.depth, stat.members.len()), (1, 1));
    assert!(stat.members[0].alive && stat.set.is_some());
    assert!(sysvring::list().expect("list").iter().any(|stat| stat.key == key));
    let refused = Options::key(key).attach::<Receiver<u64>>();
    assert!(matches!(refused, Err(Error::PermissionDenied { .. })), "{refused:?}");
}

#[test(root)]
fn read_permission_suffices_to_observe() {
    let key = Key::new();
    let mut tx: Sender<u64> = key.options().mode(0o644).open().expect("open");
    tx.send(&1).expect("send");
    Worker::run(&[&"observe::look_as_nobody", &key.0]);
}
