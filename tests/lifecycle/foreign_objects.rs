//! Segments and sets that another user made under the key of a name or under a raw key: no process
//! joins, reuses, removes or waits for them; the error names the channel and that user.

use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Address, Error, Observer, Options};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::worker::{Args, Worker, end_with_parent, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

use sysvring_support::error_text::refusal;
use sysvring_support::stopwatch::Stopwatch;

const NOBODY: u32 = 65_534;
const ANOTHER: u32 = 54_321;
/// No error takes as long, because no call waits.
const AT_ONCE: Duration = Duration::from_secs(2);

fn become_user(uid: u32) {
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(uid), libc::setuid(uid)), (0, 0));
    }
    end_with_parent();
}

/// Returns the key of this user's channel of a name.
fn key_of(name: &Name) -> Key {
    drop(name.options().create::<Sender<u64>>().expect("create"));
    let key = sysvring::stat(name.as_str()).expect("stat").key;
    sysvring::remove(name.as_str()).expect("remove");
    Key(key)
}

/// Makes objects under a key as another user.
#[work]
fn squat(args: &mut Args) {
    let (what, key, name): (String, i32, String) = (args.next(), args.next(), args.next());
    become_user(NOBODY);
    // The test removes the objects.
    let key = std::mem::ManuallyDrop::new(Key(key));
    let channel = || {
        let mut tx: Sender<u64> = key.options().mode(0o666).create().expect("create");
        tx.send(&66).expect("send");
        let memory = Segment::of(tx.id().segment());
        memory.u32(at::NAME_LEN).store(name.len() as u32, std::sync::atomic::Ordering::Relaxed);
        for (n, byte) in name.bytes().enumerate() {
            memory.u8(at::NAME + n).store(byte, std::sync::atomic::Ordering::Relaxed);
        }
        tx
    };
    let _tx = match what.as_str() {
        "set" => {
            key.make_set(raw_ipc::FIRST_SEAT + 2, 0o667);
            None
        }
        "used set" => {
            let set = key.make_set(raw_ipc::FIRST_SEAT + 2, 0o667);
            raw_ipc::set_value(set, raw_ipc::USERS, 1).expect("SETVAL");
            None
        }
        "held set" => {
            let set = key.make_set(raw_ipc::FIRST_SEAT + 2, 0o667);
            raw_ipc::set_value(set, raw_ipc::LIFECYCLE, 1).expect("SETVAL");
            None
        }
        "half a channel" => {
            key.make_set(raw_ipc::FIRST_SEAT + 2, 0o667);
            key.make_segment(8192, 0o667);
            None
        }
        "segment" => {
            key.make_segment(8192, 0o667);
            None
        }
        "channel" => Some(channel()),
        "deserted channel" => {
            drop(channel());
            None
        }
        "gift" => {
            drop(channel());
            raw_ipc::chown_segment(key.segment().expect("a segment"), 0, 0o667);
            raw_ipc::chown_set(key.set().expect("a set"), 0, 0o667);
            None
        }
        other => panic!("what is {other}?"),
    };
    let mine = (key.segment(), key.set());
    print_line("done");
    read_line();
    assert_eq!((key.segment(), key.set()), mine, "touched");
}

fn squatter(what: &str, key: &Key, name: &str) -> Worker {
    let args: [&dyn ToString; 4] = [&"foreign_objects::squat", &what, &key.0, &name];
    let mut squatter = Worker::start(&args).expect("start");
    squatter.expect("done");
    squatter
}

/// Fails if the objects were changed.
fn is_untouched(mut squatter: Worker) {
    squatter.write_line("look").expect("tell");
    squatter.finish();
}

#[track_caller]
fn is_foreign(error: Error, of: u32) {
    match &error {
        Error::ForeignOwner { channel, owner, .. } => {
            assert!(!channel.is_empty());
            assert_eq!(*owner, of, "{error}");
        }
        other => panic!("not ForeignOwner but {other:?}"),
    }
}

/// Every call with the name is refused at once.
fn is_refused(name: &Name) {
    let watch = Stopwatch::start();
    is_foreign(refusal(name.options().open::<Receiver<u64>>()), NOBODY);
    is_foreign(refusal(name.options().create::<Receiver<u64>>()), NOBODY);
    is_foreign(refusal(name.options().attach::<Receiver<u64>>()), NOBODY);
    is_foreign(refusal(sysvring::stat(name.as_str())), NOBODY);
    is_foreign(refusal(Observer::open(name.as_str())), NOBODY);
    is_foreign(refusal(sysvring::remove(name.as_str())), NOBODY);
    assert!(watch.took() < AT_ONCE, "{:?}", watch.took());
}

/// Another user's objects are under the key of root's name.
fn under_a_name(whats: &[&str]) {
    for what in whats {
        let name = Name::new();
        let key = key_of(&name);
        let squatter = squatter(what, &key, name.as_str());
        is_refused(&name);
        is_untouched(squatter);
        key.clear();
        drop(name.options().create::<Receiver<u64>>().expect("the name is free"));
    }
}

#[test(root)]
fn a_set_under_the_key_of_a_name() {
    under_a_name(&["set", "used set", "held set"]);
}

#[test(root)]
fn a_channel_under_the_key_of_a_name() {
    under_a_name(&["channel", "deserted channel", "half a channel", "segment"]);
}

#[test(root)]
fn objects_that_were_given_to_the_user_of_a_name() {
    under_a_name(&["gift"]);
}

/// Another user's name has the key of objects that this user may not even read.
#[work]
fn open_own_name(args: &mut Args) {
    let name: String = args.next();
    become_user(NOBODY);
    is_foreign(refusal(Options::named(&name).open::<Sender<u64>>()), 0);
    is_foreign(refusal(sysvring::stat(&*name)), 0);
    is_foreign(refusal(sysvring::remove(&*name)), 0);
}

#[test(root)]
fn a_name_taken_by_root() {
    let name = Name::new();
    // Only the user itself can find out its key until there is a channel.
    let mut owner =
        Worker::start(&[&"foreign_objects::be_user", &NOBODY, &name, &"0666"]).expect("start");
    owner.expect("open");
    let theirs = Address::Name { name: name.to_string(), uid: NOBODY };
    let key = Key(sysvring::stat(&theirs).expect("stat").key);
    owner.write_line("end").expect("tell");
    owner.finish();
    for (segment, set) in [(true, false), (false, true), (true, true)] {
        key.clear();
        segment.then(|| key.make_segment(8192, 0o601));
        set.then(|| key.make_set(raw_ipc::FIRST_SEAT + 2, 0o601));
        Worker::run(&[&"foreign_objects::open_own_name", &name]);
    }
}

/// The set under a raw key is removed, and another user makes one there.
#[test(root)]
fn segment_and_set_of_two_users() {
    for what in ["set", "used set", "held set"] {
        let key = Key::new();
        let mut tx: Sender<u64> = key.options().mode(0o666).create().expect("create");
        tx.send(&1).expect("send");
        drop(tx);
        raw_ipc::remove_set(key.set().expect("a set")).expect("IPC_RMID");
        let squatter = squatter(what, &key, "any");
        let watch = Stopwatch::start();
        is_foreign(refusal(key.options().attach::<Receiver<u64>>()), NOBODY);
        is_foreign(refusal(key.options().open::<Receiver<u64>>()), NOBODY);
        assert!(watch.took() < AT_ONCE, "{:?}", watch.took());
        assert!(sysvring::stat(key.address()).expect("a look").set.is_none());
        is_untouched(squatter);
        raw_ipc::remove_set(key.set().expect("a set")).expect("IPC_RMID");
        let mut rx: Receiver<u64> = key.options().attach().expect("attach");
        assert_eq!(rx.recv(), Ok(1), "this loses no message");
    }
}

#[test(root)]
fn removing_does_not_wait_for_another_user() {
    let key = Key::new();
    drop(key.options().create::<Sender<u64>>().expect("create"));
    raw_ipc::remove_set(key.set().expect("a set")).expect("IPC_RMID");
    let squatter = squatter("held set", &key, "any");
    let watch = Stopwatch::start();
    // Root was asked to, and may.
    sysvring::remove(key.address()).expect("remove");
    assert!(watch.took() < AT_ONCE, "{:?}", watch.took());
    key.assert_free();
    drop(squatter);
}

#[work]
fn open_the_key(args: &mut Args) {
    let key: i32 = args.next();
    let watch = Stopwatch::start();
    become_user(NOBODY);
    is_foreign(refusal(Options::key(key).open::<Sender<u64>>()), 0);
    is_foreign(refusal(Options::key(key).attach::<Sender<u64>>()), 0);
    assert!(watch.took() < 2 * AT_ONCE, "{:?}", watch.took());
}

/// The channel has members, and another user's process can neither join nor remove it.
#[test(root)]
fn a_set_without_a_segment() {
    let key = Key::new();
    let tx: Sender<u64> = key.options().mode(0o666).create().expect("create");
    raw_ipc::remove_segment(key.segment().expect("a segment")).expect("IPC_RMID");
    Worker::run(&[&"foreign_objects::open_the_key", &key.0]);
    assert!(key.set().is_some());
    drop(tx);
}

/// Root removes only its own objects, except in `remove` and `reap`.
#[test(root)]
fn leftovers_of_another_users_creator() {
    for what in ["set", "segment", "half a channel"] {
        let key = Key::new();
        let squatter = squatter(what, &key, "any");
        let attached = refusal(key.options().attach::<Sender<u64>>());
        match what {
            "set" => assert!(matches!(attached, Error::NotFound { .. }), "{attached:?}"),
            _ => is_foreign(attached, NOBODY),
        }
        is_foreign(refusal(key.options().open::<Sender<u64>>()), NOBODY);
        is_foreign(refusal(key.options().create::<Sender<u64>>()), NOBODY);
        is_untouched(squatter);
        sysvring::remove(key.address()).expect("remove");
        key.assert_free();
    }
}

#[test(root)]
fn no_channel_is_created_for_another_user() {
    let name = Name::new();
    let options = || name.options().owner(NOBODY);
    let created = refusal(options().create::<Sender<u64>>());
    assert!(matches!(created, Error::InvalidOption { option: "owner", .. }), "{created:?}");
    for absent in [options().open::<Sender<u64>>(), options().attach()] {
        let absent = refusal(absent);
        assert!(matches!(absent, Error::NotFound { .. }), "{absent:?}");
        assert!(absent.to_string().contains("only that user can create it"), "{absent}");
    }
}

/// A user opens its channel of a name, and again when told to.
#[work]
fn be_user(args: &mut Args) {
    let (uid, name): (u32, String) = (args.next(), args.next());
    let mode = u32::from_str_radix(&args.next::<String>(), 8).expect("a mode");
    become_user(uid);
    let mut tx: Sender<u64> = Options::named(&name).mode(mode).open().expect("open");
    tx.send(&5).expect("send");
    drop(tx);
    print_line("open");
    if read_line() == "once more" {
        // With the default mode; the mode of the existing channel counts.
        let mut tx: Sender<u64> = Options::named(&name).open().expect("open");
        tx.send(&6).expect("send");
        drop(tx);
        let stat = sysvring::stat(&*name).expect("stat");
        let (segment, set) = (stat.segment, stat.set.expect("a set"));
        assert_eq!((set.uid, set.gid, set.mode), (segment.uid, segment.gid, segment.mode));
        print_line("open");
        read_line();
    }
}

/// Makes the channel of an ordinary user, whose set was removed.
fn without_its_set(name: &Name, mode: &str) -> (Worker, Address) {
    let mut owner =
        Worker::start(&[&"foreign_objects::be_user", &NOBODY, name, &mode]).expect("start");
    owner.expect("open");
    let theirs = Address::Name { name: name.to_string(), uid: NOBODY };
    let stat = sysvring::stat(&theirs).expect("stat");
    raw_ipc::remove_set(stat.set.expect("a set").id).expect("IPC_RMID");
    (owner, theirs)
}

#[test(root)]
fn a_set_recreated_by_root() {
    let name = Name::new();
    let (mut owner, theirs) = without_its_set(&name, "0660");
    let mut rx: Receiver<u64> = name.options().owner(NOBODY).attach().expect("attach");
    let stat = sysvring::stat(&theirs).expect("stat");
    let (segment, set) = (stat.segment, stat.set.expect("a set"));
    assert_eq!((set.uid, set.gid, set.mode), (NOBODY, NOBODY, 0o660));
    assert_eq!((segment.uid, segment.gid, segment.mode), (NOBODY, NOBODY, 0o660));
    assert_eq!(rx.recv(), Ok(5));
    owner.write_line("once more").expect("tell");
    owner.expect("open");
    assert_eq!(rx.recv(), Ok(6));
    owner.write_line("end").expect("tell");
    owner.finish();
    drop(rx);
    sysvring::remove(theirs).expect("remove");
}

#[test(root)]
fn a_set_recreated_by_its_owner() {
    let name = Name::new();
    let (mut owner, theirs) = without_its_set(&name, "0640");
    owner.write_line("once more").expect("tell");
    owner.expect("open");
    let set = sysvring::stat(&theirs).expect("stat").set.expect("a set");
    assert_eq!((set.uid, set.cuid, set.mode), (NOBODY, NOBODY, 0o640));
    owner.write_line("end").expect("tell");
    owner.finish();
    sysvring::remove(theirs).expect("remove");
}

#[test(root)]
fn a_set_that_only_its_owner_recreates() {
    let name = Name::new();
    let (mut owner, theirs) = without_its_set(&name, "0666");
    let key = sysvring::stat(&theirs).expect("stat").key;
    Worker::run(&[&"foreign_objects::attach_as_another", &name, &key]);
    owner.write_line("once more").expect("tell");
    owner.expect("open");
    let mut rx: Receiver<u64> = name.options().owner(NOBODY).attach().expect("attach");
    assert_eq!((rx.recv(), rx.recv()), (Ok(5), Ok(6)));
    owner.write_line("end").expect("tell");
    owner.finish();
    drop(rx);
    sysvring::remove(theirs).expect("remove");
}

#[work]
fn attach_as_another(args: &mut Args) {
    let (name, key): (String, i32) = (args.next(), args.next());
    let watch = Stopwatch::start();
    become_user(ANOTHER);
    for options in [Options::named(&name).owner(NOBODY), Options::key(key)] {
        match refusal(options.attach::<Receiver<u64>>()) {
            Error::SetRemoved { owner: NOBODY, .. } => {}
            other => panic!("not SetRemoved but {other:?}"),
        }
    }
    assert!(watch.took() < 2 * AT_ONCE, "{:?}", watch.took());
    // Nothing of this user is left.
    assert_eq!(std::mem::ManuallyDrop::new(Key(key)).set(), None);
}

/// A creator that died between its set and its segment left a set of another mode: it does not become
/// that of the next channel.
#[test]
fn the_mode_of_a_leftover_set_does_not_last() {
    for (left, wanted) in [(0o667, 0o600), (raw_ipc::MARKED, 0o666)] {
        let key = Key::new();
        key.make_set(raw_ipc::FIRST_SEAT + 2, left);
        let tx: Sender<u64> = key.options().mode(wanted).open().expect("open");
        let stat = tx.stat().expect("stat");
        assert_eq!((stat.segment.mode, stat.set.expect("a set").mode), (wanted, wanted));
    }
}

/// A set that was widened later is as good a way in as the segment.
#[test]
fn a_widened_set_is_refused() {
    let key = Key::new();
    let tx: Sender<u64> = key.options().mode(0o600).create().expect("create");
    raw_ipc::chmod_set(key.set().expect("a set"), 0o667);
    let refused = key.options().mode(0o600).attach::<sysvring::spsc::Receiver<u64>>();
    assert!(matches!(refused, Err(Error::OptionMismatch { option: "mode", .. })), "{refused:?}");
    drop(tx);
    let refused = key.options().mode(0o600).open::<Sender<u64>>();
    assert!(matches!(refused, Err(Error::OptionMismatch { option: "mode", .. })), "{refused:?}");
}
