//! Channels of two users.

use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Address, Error, Lifetime, Options, RecvError};
use sysvring_support::name::{Name, is_gone};
use sysvring_support::stopwatch::Stopwatch;
use sysvring_support::worker::{Args, Worker, end_with_parent, print_line, read_line};
use sysvring_support::{test, work};

const LONG: Duration = Duration::from_secs(20);

const NOBODY: u32 = 65_534;

fn become_nobody() {
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setgid(NOBODY), 0);
        assert_eq!(libc::setuid(NOBODY), 0);
    }
    end_with_parent();
}

/// The channels of one name of the user `nobody` and of root.
#[work]
fn send_as_nobody(args: &mut Args) {
    become_nobody();
    let name: String = args.next();
    let mut own: Sender<u64> =
        Options::named(&name).lifetime(Lifetime::LastMember).open().expect("open");
    own.send(&1).expect("send");
    let closed = Options::named(&name).owner(0).attach::<Sender<u64>>();
    assert!(matches!(closed, Err(Error::PermissionDenied { .. })), "{closed:?}");
    print_line("own");
    read_line();
    let mut roots: Sender<u64> = Options::named(&name).owner(0).attach().expect("attach");
    roots.send(&2).expect("send");
}

#[test(root)]
fn users_have_channels_of_their_own() {
    let name = Name::new();
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    let mut nobody = Worker::start(&[&"users::send_as_nobody", &name]).expect("start");
    nobody.expect("own");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    let theirs = Address::Name { name: name.to_string(), uid: NOBODY };
    let (ours, theirs) = (rx.stat().expect("stat"), sysvring::stat(theirs).expect("stat"));
    assert_eq!((ours.segment.uid, theirs.segment.uid), (0, NOBODY));
    assert_eq!((&ours.name, ours.depth), (&theirs.name, 0));
    assert_eq!(theirs.depth, 1);
    assert_ne!(ours.key, theirs.key);
    drop(rx);
    sysvring::remove(name.as_str()).expect("removed");
    let mut rx: Receiver<u64> = name.options().mode(0o666).create().expect("create");
    nobody.write_line("it is open").expect("tell");
    assert_eq!(rx.recv(), Ok(2));
    nobody.finish();
}

/// Joins root's channel, becomes its last member, and lives on.
#[work]
fn be_the_last_as_nobody(args: &mut Args) {
    become_nobody();
    let tx: Sender<u64> = Options::named(args.next::<String>()).owner(0).attach().expect("attach");
    print_line("here");
    read_line();
    let closed = tx.close();
    print_line(format!("{closed:?}"));
    read_line();
}

#[test(root)]
fn a_last_member_that_may_not_remove() {
    let name = Name::new();
    let options = || name.options().mode(0o666).lifetime(Lifetime::LastMember);
    let rx: Receiver<u64> = options().open().expect("open");
    let mut nobody = Worker::start(&[&"users::be_the_last_as_nobody", &name]).expect("start");
    nobody.expect("here");
    drop(rx);
    nobody.write_line("leave").expect("tell");
    let closed = nobody.read_line().expect("the result");
    assert!(closed.starts_with("Err("), "close reports that the channel is gone: {closed}");
    // It holds nothing that would block others.
    let watch = Stopwatch::start();
    let rx: Receiver<u64> = options().open_timeout(LONG).open().expect("open");
    assert!(watch.took() < Duration::from_secs(1), "{:?}", watch.took());
    rx.close().expect("closed, and removed");
    assert!(is_gone(name.as_str()));
    nobody.write_line("end").expect("tell");
    nobody.finish();
}
