//! One name that means two channels: what tells them apart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use sysvring::{Address, Error, Lifetime, Options, Stat, spsc};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, end_with_parent, print_line, read_line};
use sysvring_support::{test, work};

const MOMENT: Duration = Duration::from_millis(20);

/// The user `nobody`.
const NOBODY: u32 = 65_534;

/// A channel that goes with its members.
fn passing(options: Options) -> Options {
    options.lifetime(Lifetime::LastMember)
}

/// A temporary folder, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("sysvring-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns what a waiter can show of its channel: its text has all of it.
fn shown(stat: &Stat) -> (String, u32, i32) {
    let text = stat.to_string();
    let (uid, key) = (stat.segment.uid, stat.key);
    assert!(text.contains(&format!("{key:#010x}")), "the key {key:#010x} in {text}");
    assert!(text.contains(&format!("owner {uid}:")), "user {uid} in {text}");
    (stat.name.clone(), uid, key)
}

/// Makes its options as root and opens the channel as another user; and the reverse.
#[work]
fn change_user_between(args: &mut Args) {
    let name: String = args.next();
    let before = Options::named(&name);
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(NOBODY), libc::setuid(NOBODY)), (0, 0));
    }
    end_with_parent();
    // The name is that of the user who made the options.
    let refused = before.open::<spsc::Sender<u64>>().expect_err("it belongs to root");
    let text = refused.to_string();
    assert!(text.contains("user 0"), "{text}");
    let mut own: spsc::Sender<u64> = passing(Options::named(&name)).open().expect("open");
    assert!(own.wait_for_peer(MOMENT).is_err(), "the receiver is root's");
    let (name, uid, key) = shown(&own.stat().expect("stat"));
    print_line(format!("{name} {uid} {key}"));
    read_line();
}

#[test(root)]
fn a_user_that_changes_between_options_and_open() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().open().expect("open");
    let mut worker = Worker::start(&[&"names::change_user_between", &name]).expect("start");
    let line = worker.read_line().expect("what it shows");
    assert!(rx.wait_for_peer(MOMENT).is_err(), "the sender is another user's");
    let (own, uid, key) = shown(&rx.stat().expect("stat"));
    let fields: Vec<&str> = line.split(' ').collect();
    assert_eq!(fields[..2], [&*own, &NOBODY.to_string()]);
    assert!(uid == 0 && fields[2] != key.to_string(), "{line}, {key}");
    worker.write_line("end").expect("tell");
    worker.finish();
}

/// `ftok` names a file by its inode: one that is replaced by `rename` is another one.
#[test]
fn a_file_that_is_replaced() {
    let folder = Folder::new("names");
    let (path, other) = (folder.0.join("key"), folder.0.join("new"));
    fs::write(&path, "").expect("a file");
    fs::write(&other, "").expect("a file");
    let address = || Address::File { path: path.clone(), project: 1 };
    let mut tx: spsc::Sender<u64> = passing(Options::address(address())).open().expect("open");
    fs::rename(&other, &path).expect("replaced");
    let mut rx: spsc::Receiver<u64> = passing(Options::address(address())).open().expect("open");
    assert!(tx.wait_for_peer(MOMENT).is_err() && rx.wait_for_peer(MOMENT).is_err());
    let (first, second) = (shown(&tx.stat().expect("stat")), shown(&rx.stat().expect("stat")));
    assert_ne!(first.2, second.2, "two keys");
}

/// Opens a channel by a file in a folder of root, as another user.
#[work]
fn file_in_a_closed_folder(args: &mut Args) {
    let path: String = args.next();
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(NOBODY), libc::setuid(NOBODY)), (0, 0));
    }
    end_with_parent();
    let reason = |path: &str, project| match Options::file(path, project)
        .open::<spsc::Sender<u64>>()
        .expect_err("no key")
    {
        Error::InvalidOption { option: "file", reason, .. } => reason,
        other => panic!("not InvalidOption but {other:?}"),
    };
    let closed = reason(&path, 1);
    assert!(closed.contains("search") && !closed.contains("must exist"), "{closed}");
    let missing = reason("/no such file", 1);
    assert!(
        missing.contains("the file must exist") && !missing.contains("project must"),
        "{missing}"
    );
    let project = reason("/", 0);
    assert!(project.contains("project must not be 0") && !project.contains("exist"), "{project}");
}

#[test(root)]
fn a_file_that_may_not_be_looked_for() {
    let folder = Folder::new("closed");
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o700)).expect("a mode");
    let file = folder.0.join("file");
    fs::write(&file, "").expect("a file");
    Worker::run(&[&"names::file_in_a_closed_folder", &file.display()]);
}
