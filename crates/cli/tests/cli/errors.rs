//! Errors of the library, as the command prints them: in words of the command line.

use std::sync::atomic::Ordering;

use sysvring::{DeadLetter, Options, mpmc, spsc};
use sysvring_support::raw_ipc::{Key, MARKED, Segment, at, chown_segment, me, remove_set};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{
    Name, Run, Running, Scratch, run, run_as_another_user, run_with, unreadable, until_member,
};

/// Words of a program's calls.
const CALLS: [&str; 8] =
    ["()", "::", "Options", "slot_size", "max_members", "open it again", "attach", "`open`"];

/// Checks that a command failed in words of the command line, with this code and with these words.
#[track_caller]
fn says(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{}", run.err);
    assert!(run.err.starts_with("sysvring: "), "{}", run.err);
    for call in CALLS {
        assert!(!run.err.contains(call), "{call}: {}", run.err);
    }
    for word in words {
        assert!(run.err.contains(word), "{word}: {}", run.err);
    }
}

#[test]
fn what_does_not_exist_is_named_with_what_does() {
    let ipc = IpcFixture::new();
    let file = Scratch::new("errors");
    for args in [
        &["stat", "no-such"][..],
        &["stat", "4000000/no-such"],
        &["stat", "key:0x7"],
        &["stat", "id:1:0badcafe"],
        &["send", "no-such", "x", "--no-create"],
        &["recv", "no-such", "--no-create"],
        // Only that user can create it.
        &["send", "4000000/no-such", "x"],
        &["recv", "id:1:0badcafe"],
        &["peek", "no-such"],
        &["tap", "no-such"],
        &["rm", "no-such"],
        &["record", file.path(), "no-such"],
        #[cfg(feature = "top")]
        &["top", "--once", "no-such"],
    ] {
        says(&run(args), 1, &["does not exist", "`sysvring ls`"]);
    }
    ipc.assert_clean();
}

/// A value that no channel can have is a mistake of the command line, and nothing is done.
#[test]
fn a_value_that_cannot_be_is_code_2() {
    let ipc = IpcFixture::new();
    let (long, kept) = ("n".repeat(129), Name::new("kept"));
    let create = |options: &[&str]| run(&[&["send", "no-such", "x"], options].concat());
    says(&create(&["--capacity", "0"]), 2, &["--capacity", "1 to"]);
    says(&create(&["--capacity", "99999999999999"]), 2, &["--capacity"]);
    says(&create(&["--capacity", "1000000", "--message-size", "100000000G"]), 2, &["--capacity"]);
    says(&create(&["--message-size", "0"]), 2, &["--message-size"]);
    for mode in ["0000", "0200", "0777", "600x", "0060"] {
        says(&create(&["--mode", mode]), 2, &["--mode", "0660"]);
    }
    run(&["send", &kept, "x"]).ok();
    let file = Scratch::new("errors");
    for name in [&*long, "", "key:0x0", "file:/no/such/file:1", "file:/:0"] {
        for args in [
            &["stat", name][..],
            &["send", name, "x"],
            &["recv", name],
            &["peek", name],
            &["tap", name],
            &["wait", name, "channel"],
            &["rm", &kept, name],
            &["rm", "--force", &kept, name],
            &["record", file.path(), name],
        ] {
            says(&run(args), 2, &[]);
        }
    }
    assert_eq!(kept.stat().depth, 1, "nothing was removed");
    assert_eq!(file.size(), 0);
    drop(kept);
    ipc.assert_clean();
}

#[test]
fn who_has_the_seat_is_named() {
    let ipc = IpcFixture::new();
    let name = Name::new("seat");
    let tx: spsc::Sender<[u8]> = name.options().create().expect("a sender");
    let me = format!("process {}", std::process::id());
    says(&run(&["send", &name, "x"]), 1, &[&me, "end it"]);
    drop((tx, name));
    let name = Name::new("seats");
    let tx: mpmc::Sender<[u8]> = name.options().max_members(2).create().expect("a sender");
    let rx: mpmc::Receiver<[u8]> = name.options().attach().expect("a receiver");
    says(&run(&["recv", &name]), 1, &["2 members", "`sysvring stat -m`"]);
    drop((tx, rx, name));
    ipc.assert_clean();
}

#[test]
fn a_channel_that_is_removed_or_spoilt_meanwhile_is_an_error() {
    let ipc = IpcFixture::new();
    let name = Name::new("removed");
    let mut recv = Running::piped(&["recv", &name]);
    until_member(&name, |member| member.waiting > 0);
    sysvring::remove(&*name).expect("removed");
    let (out, code) = recv.output();
    says(&Run { out, err: recv.errors(), code }, 1, &["removed", "run the command again"]);

    // Headers that no program writes.
    for (offset, value, words) in [
        (at::VERSION, 77, &["version 77", "`sysvring rm`"][..]),
        (at::CAPACITY, 77, &["`sysvring rm`"]),
    ] {
        let name = Name::new("spoilt");
        drop(name.options().create::<mpmc::Sender<[u8]>>().expect("a sender"));
        let segment = Segment::of(name.stat().segment.id);
        segment.u32(offset).store(value, Ordering::Relaxed);
        for command in [&["stat", &*name][..], &["send", &name, "x"], &["recv", &name]] {
            says(&run(command), 1, words);
        }
        let doctor = run(&["doctor"]);
        assert!(doctor.out.contains("`sysvring rm key:0x"), "{}", doctor.out);
        assert!(CALLS.iter().all(|call| !doctor.out.contains(call)), "{}", doctor.out);
        assert_eq!(doctor.out.matches("unusable").count(), 1, "{}", doctor.out);
    }
    ipc.assert_clean();
}

/// What another program put under a key.
#[test]
fn a_foreign_object_is_no_channel() {
    let ipc = IpcFixture::new();
    let key = Key::new();
    key.make_segment(4096, 0o600);
    let address = format!("key:{:#x}", key.0);
    for args in [&["stat", &*address][..], &["send", &address, "x"], &["recv", &address]] {
        says(&run(args), 1, &["not a sysvring channel"]);
    }
    drop(key);
    ipc.assert_clean();
}

/// As another user; objects that the user of the test may not read either if it is not root.
#[test]
fn what_is_not_permitted_is_an_error() {
    let ipc = IpcFixture::new();
    let name = Name::new("unreadable");
    let tx: mpmc::Sender<[u8]> = name.options().create().expect("a sender");
    let id = format!("id:{}", tx.id());
    unreadable(&name.stat());
    for args in [&["stat", &*id][..], &["send", &id, "x"], &["recv", &id]] {
        says(&run_as_another_user(args), 1, &["denied", "owner"]);
    }
    // Only root may give an object away.
    if me() == 0 {
        let segment = tx.id().segment();
        chown_segment(segment, 65_534, MARKED);
        for args in [&["stat", &*name][..], &["send", &name, "x"], &["rm", &name]] {
            says(&run(args), 1, &["user 65534", "let user 65534 remove it"]);
        }
        chown_segment(segment, 0, MARKED);
    }
    drop((tx, name));
    ipc.assert_clean();
}

/// A set that was removed by hand is made again by its owner only.
#[test]
fn a_removed_set_is_shown_with_what_to_do() {
    let ipc = IpcFixture::new();
    let name = Name::new("set");
    let tx: mpmc::Sender<[u8]> = name.options().mode(0o666).create().expect("a sender");
    tx.send(b"kept").expect("sent");
    let stat = name.stat();
    remove_set(stat.set.expect("a set").id).expect("removed");
    drop(tx);
    let doctor = run(&["doctor", "--quiet"]);
    assert!(doctor.out.contains("removed-set"), "{}", doctor.out);
    if nix::unistd::geteuid().is_root() {
        let recv = run_as_another_user(&["recv", &format!("0/{}", &*name)]);
        says(&recv, 1, &["semaphore set", "user 0", "`sysvring recv`"]);
    }
    drop(name);
    ipc.assert_clean();
}

/// Messages of a recording that do not fit the channel.
#[test]
fn what_does_not_fit_says_what_would() {
    let ipc = IpcFixture::new();
    let file = Scratch::new("errors");
    let (long, short) = (Name::new("long"), Name::new("short"));
    run_with(&["send", &long], "x".repeat(100).as_bytes()).ok();
    run(&["record", file.path(), &long, "--oldest", "-n", "1"]).ok();
    let replay = |to: &str, options: &[&str]| {
        run(&[&["replay", file.path(), "--fast", "--to", to], options].concat())
    };
    let small = replay(&short, &["--message-size", "64"]);
    says(&small, 1, &["100 bytes", "--message-size 128"]);
    let typed = Name::new("typed");
    let rx: spsc::Receiver<u64> = typed.options().create().expect("a receiver");
    says(&replay(&typed, &[]), 1, &["each message has 8"]);
    says(&run(&["send", &typed, "-f", "hex", "00"]), 1, &["--format"]);
    drop((rx, long, short, typed));
    ipc.assert_clean();
}

/// A message that cannot be moved to the dead-letter channel: it is full, or another type's.
#[test]
fn a_dead_letter_channel_that_takes_nothing_is_an_error() {
    let ipc = IpcFixture::new();
    for is_full in [true, false] {
        let (name, letters) = (Name::new("work"), Name::new("letters"));
        let created = match is_full {
            true => {
                let one = letters.options().capacity(1).slot_size(64);
                one.create::<mpmc::Receiver<DeadLetter>>().map(drop)
            }
            false => letters.options().create::<spsc::Receiver<u64>>().map(drop),
        };
        created.expect("a channel");
        let options = || Options::named(&*name).dead_letters(&*letters, 1);
        let mut tx: spsc::Sender<u64> = options().create().expect("a sender");
        let mut rx: spsc::Receiver<u64> = options().attach().expect("a receiver");
        tx.send_batch(&[1, 2]).expect("sent");
        if is_full {
            rx.recv_ref().expect("a message").reject().expect("room for one");
        }
        drop(rx.recv_ref().expect("a message"));
        drop(rx);
        let recv = run(&["recv", &name, "-t", "100ms"]);
        let remedy = if is_full { "`sysvring recv`" } else { "`sysvring stat`" };
        says(&recv, 1, &["could not be moved", remedy]);
        let doctor = run(&["doctor", "--quiet"]);
        assert!(
            doctor.out.contains("dead-letters") && doctor.out.contains(remedy),
            "{}",
            doctor.out
        );
        drop((tx, name, letters));
    }
    ipc.assert_clean();
}

/// The limit on segments, in a namespace in which root may change it.
#[test]
fn a_limit_of_the_kernel_comes_with_a_command() {
    let ipc = IpcFixture::new();
    let limit = "/proc/sys/kernel/shmmni";
    let before = std::fs::read_to_string(limit).expect("a limit");
    let namespace =
        |task: &str| std::fs::read_link(format!("/proc/{task}/ns/ipc")).expect("a link");
    let is_own = namespace("self") != namespace("thread-self");
    if is_own && std::fs::write(limit, "0").is_ok() {
        let failed = run(&["send", "no-such", "x"]);
        std::fs::write(limit, before.trim()).expect("a limit of this namespace");
        says(&failed, 1, &["kernel.shmmni", "`sysvring reap`"]);
    }
    ipc.assert_clean();
}
