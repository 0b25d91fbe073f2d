//! Channels of other users, and modes that grant no access.

use std::sync::atomic::Ordering::Relaxed;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Address, Error, Fault, Observer, Options, Peer, RecvError};
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::stopwatch::MOMENT;
use sysvring_support::worker::{Args, Worker, end_with_parent, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

use sysvring_support::error_text::{advises, refusal};

/// The user `nobody`, who has no permissions.
const NOBODY: u32 = 65_534;

/// Becomes an ordinary user, if that is possible.
fn become_nobody() {
    // SAFETY: numbers only.
    unsafe {
        if libc::geteuid() == 0 {
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!((libc::setgid(NOBODY), libc::setuid(NOBODY)), (0, 0));
        }
    }
    end_with_parent();
}

/// Returns the call that was denied.
fn denied(error: Error) -> &'static str {
    match error {
        Error::PermissionDenied { channel, call, .. } => {
            assert!(!channel.is_empty());
            call
        }
        other => panic!("not PermissionDenied but {other:?}"),
    }
}

/// Every call with an address is denied.
fn is_closed(address: &Address) {
    let options = || Options::address(address);
    denied(refusal(options().open::<Receiver<u64>>()));
    denied(refusal(options().attach::<Receiver<u64>>()));
    denied(refusal(sysvring::stat(address)));
    denied(refusal(Observer::open(address)));
    denied(refusal(sysvring::remove(address)));
}

fn is_listed(key: i32) -> bool {
    sysvring::list().expect("list").iter().any(|stat| stat.key == key)
}

/// The channel is as usable for its owner as before.
fn is_undisturbed(tx: &mut Sender<u64>, rx: &mut Receiver<u64>) {
    assert_eq!(tx.send(&8), Ok(()));
    assert_eq!(rx.recv(), Ok(8));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert_eq!(tx.send_timeout(&9, MOMENT), Ok(()));
    assert_eq!(rx.recv_timeout(MOMENT), Ok(9));
}

fn pair(key: &Key, mode: u32) -> (Sender<u64>, Receiver<u64>) {
    let tx = key.options().mode(mode).create().expect("create");
    (tx, key.options().attach().expect("attach"))
}

#[work]
fn no_way_in(args: &mut Args) {
    let (key, id): (i32, String) = (args.next(), args.next());
    become_nobody();
    is_closed(&Address::Key(key));
    denied(refusal(Options::key(key).create::<Sender<u64>>()));
    if let Ok(id) = id.parse() {
        is_closed(&Address::Id(id));
    }
    // This user may neither see nor reap it.
    assert!(!is_listed(key));
    assert_eq!(sysvring::reap().expect("reap"), []);
}

#[test(root)]
fn another_users_channel() {
    let key = Key::new();
    let (mut tx, mut rx) = pair(&key, 0o600);
    Worker::start(&[&"permissions::no_way_in", &key.0, &tx.id()]).expect("start").finish();
    is_undisturbed(&mut tx, &mut rx);
    // Incomplete channels of others as well.
    drop((tx, rx));
    Segment::of(key.segment().expect("a segment")).u64(at::MAGIC).store(0, Relaxed);
    Worker::start(&[&"permissions::no_way_in", &key.0, &"no id"]).expect("start").finish();
    assert!(key.segment().is_some() && key.set().is_some());
}

#[work]
fn may_look(args: &mut Args) {
    let key: i32 = args.next();
    become_nobody();
    let address = Address::Key(key);
    let stat = sysvring::stat(&address).expect("stat");
    assert_eq!(stat.members.iter().filter(|member| member.alive).count(), 2);
    assert!(is_listed(key));
    let observer = Observer::open(stat.id).expect("observe");
    assert_eq!(observer.stat().expect("stat").capacity, 1024);
    let options = || Options::key(key);
    denied(refusal(options().open::<Receiver<u64>>()));
    denied(refusal(options().attach::<Receiver<u64>>()));
    denied(refusal(Options::id(stat.id).attach::<Receiver<u64>>()));
    denied(refusal(sysvring::remove(&address)));
}

#[test(root)]
fn a_channel_that_others_may_read() {
    let key = Key::new();
    let (mut tx, mut rx) = pair(&key, 0o644);
    Worker::start(&[&"permissions::may_look", &key.0]).expect("start").finish();
    is_undisturbed(&mut tx, &mut rx);
}

#[work]
fn may_use(args: &mut Args) {
    let key: i32 = args.next();
    become_nobody();
    let mut rx: Receiver<u64> = Options::key(key).attach().expect("attach");
    assert_eq!(rx.recv(), Ok(1));
    // Permission to use is not permission to remove, whatever the mode.
    let refused = refusal(sysvring::remove(Address::Key(key)));
    assert!(
        refused.to_string().contains("only its owner, user 0, its creator or root can remove it"),
        "{refused}"
    );
    assert_eq!(denied(refused), "shmctl(IPC_RMID)");
    print_line("refused");
    assert_eq!(rx.recv(), Ok(2));
    print_line("received");
    // Its owner revokes access; the call returns an error and does not wait.
    read_line();
    let error = rx.recv_timeout(MOMENT).expect_err("no more rights");
    assert_eq!(error, RecvError::Fault(Fault::PermissionLost));
    advises(&error);
    assert!(rx.close().is_err());
}

#[test(root)]
fn a_channel_that_others_may_use() {
    let key = Key::new();
    let mut tx: Sender<u64> = key.options().mode(0o666).create().expect("create");
    let mut child = Worker::start(&[&"permissions::may_use", &key.0]).expect("start");
    tx.send(&1).expect("send");
    child.expect("refused");
    // A denied removal affects no member.
    tx.send(&2).expect("send");
    child.expect("received");
    assert_eq!(tx.flush(MOMENT), Ok(()));
    let set = tx.stat().expect("stat").set.expect("a set").id;
    raw_ipc::chmod_set(set, 0o600);
    child.write_line("shut").expect("it listens");
    child.finish();
    // It closed its handle before it ended, and could tell that to the segment only.
    assert_eq!(tx.peer(), Ok(Peer::Left));
}

/// A mode without access for the owner denies the owner, but never root.
#[work]
fn mode_of_nothing(_: &mut Args) {
    become_nobody();
    let key = Key::new();
    let (tx, rx) = pair(&key, 0o600);
    let (id, segment) = (tx.id(), tx.id().segment());
    let set = key.set().expect("a set");
    drop((tx, rx));
    let modes = [(0o001, 0o001), (0o001, 0o601), (0o601, 0o001), (0o401, 0o401), (0o201, 0o201)];
    for (of_segment, of_set) in modes {
        raw_ipc::chmod_segment(segment, of_segment);
        raw_ipc::chmod_set(set, of_set);
        for options in [key.options(), Options::id(id)] {
            denied(refusal(options.clone().open::<Sender<u64>>()));
            denied(refusal(options.attach::<Receiver<u64>>()));
        }
        denied(refusal(key.options().create::<Receiver<u64>>()));
        raw_ipc::chmod_segment(segment, 0o601);
        raw_ipc::chmod_set(set, 0o601);
    }
    drop(key.options().attach::<Receiver<u64>>().expect("attach"));
    sysvring::remove(key.address()).expect("remove");
    key.assert_free();
}

#[test]
fn a_mode_that_grants_nothing() {
    Worker::start(&[&"permissions::mode_of_nothing"]).expect("start").finish();
}
