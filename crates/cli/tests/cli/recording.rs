//! `record` and `replay`.

use std::time::{Duration, Instant};

use sysvring::{mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, Scratch, command, run, until};

/// Two channels of both kinds, recorded while they are used, and replayed.
#[test]
fn what_was_recorded_is_replayed() {
    let ipc = IpcFixture::new();
    let file = Scratch::new("record");
    let (lines, ticks) = (Name::new("lines"), Name::new("ticks"));
    let tx: mpmc::Sender<[u8]> = lines.options().create().expect("a sender");
    let mut ticker: spsc::Sender<[u64; 2]> = ticks.options().create().expect("a sender");
    (0..100).for_each(|n| tx.send(format!("line {n}").as_bytes()).expect("sent"));
    (0..50).for_each(|n| ticker.send(&[n, n * n]).expect("sent"));
    run(&["record", file.path(), "--oldest", "-n", "150", &lines, &ticks]).ok();
    assert_eq!((lines.stat().depth, lines.stat().members.len()), (100, 1), "nothing was taken");
    drop((tx, ticker));
    for name in [&lines, &ticks] {
        sysvring::remove(&**name).expect("removed");
    }
    // A channel of bytes is created; one of another type has to exist.
    let refused = run(&["replay", file.path(), "--fast"]);
    assert_eq!(refused.code, 1, "{}", refused.err);
    let mut rx: spsc::Receiver<[u64; 2]> = ticks.options().create().expect("a receiver");
    let _ = sysvring::remove(&*lines);
    run(&["replay", file.path(), "--fast"]).ok();
    let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
    assert_eq!(run(&["recv", &lines]).ok().out, text);
    (0..50).for_each(|n| assert_eq!(rx.recv(), Ok([n, n * n])));
    assert!(rx.recv().is_err(), "the stream was finished");
    drop(rx);

    // One of them, to another channel.
    let other = Name::new("other");
    run(&["replay", file.path(), "--fast", "--topic", &lines, "--to", &other]).ok();
    assert_eq!(other.stat().depth, 100);
    drop((lines, ticks, other));
    ipc.assert_clean();
}

#[sysvring::message]
struct Tick {
    id: u64,
    price: f64,
}

#[sysvring::message]
struct Trade {
    id: u64,
    size: u64,
}

/// Messages of the same size are not taken for those of another type.
#[test]
fn messages_of_another_type_are_not_replayed() {
    let ipc = IpcFixture::new();
    let file = Scratch::new("record");
    let (ticks, trades) = (Name::new("ticks"), Name::new("trades"));
    let mut tx: spsc::Sender<Tick> = ticks.options().create().expect("a sender");
    tx.send(&Tick { id: 7, price: 9.5 }).expect("sent");
    run(&["record", file.path(), "--oldest", "-n", "1", &ticks]).ok();
    let mut rx: spsc::Receiver<Trade> = trades.options().create().expect("a receiver");
    let replay = ["replay", file.path(), "--fast", "--to", &trades];
    let refused = run(&replay);
    assert_ne!(refused.code, 0);
    assert!(
        refused.err.contains("Tick is struct Tick in the recording and struct Trade"),
        "{}",
        refused.err
    );
    assert_eq!(trades.stat().depth, 0);
    run(&[&replay[..], &["--any-type"]].concat()).ok();
    assert_eq!(rx.recv().expect("a message").size, 9.5f64.to_bits());
    drop((tx, rx, ticks, trades));
    ipc.assert_clean();
}

/// With the pauses of the recording, twice as fast, and at once.
#[test]
fn a_replay_has_the_pace_of_the_recording() {
    let ipc = IpcFixture::new();
    let file = Scratch::new("record");
    let name = Name::new("pace");
    let tx: mpmc::Sender<[u8]> = name.options().create().expect("a sender");
    let mut record =
        Running::start(command(&["record", file.path(), &name, "-n", "4", "--oldest"]));
    // By the sender, by the recorder, and by this look.
    until(|| name.stat().segment.attached == 3);
    std::thread::sleep(Duration::from_millis(50));
    for _ in 0..4 {
        tx.send(b"tick").expect("sent");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(record.end(), 0);
    let time = |args: &[&str]| {
        let start = Instant::now();
        run(&[&["replay", file.path()], args].concat()).ok();
        start.elapsed().as_millis()
    };
    let slow = time(&[]);
    assert!(slow >= 295, "{slow} ms");
    assert!(time(&["--speed", "2"]) >= 145);
    // On a busy machine everything takes longer at times.
    until(|| time(&["--speed", "2"]) < slow * 3 / 4);
    until(|| time(&["--fast"]) < slow / 2);
    assert_eq!(run(&["replay", file.path(), "--speed", "0"]).code, 2);
    drop((tx, name));
    ipc.assert_clean();
}

/// A recorder that is killed leaves a file that can be replayed, and one that is interrupted a
/// whole one.
#[test]
fn a_killed_recorder_leaves_what_it_wrote() {
    let ipc = IpcFixture::new();
    for signal in [libc::SIGKILL, libc::SIGINT] {
        let file = Scratch::new("record");
        let name = Name::new("killed");
        let tx: mpmc::Sender<[u8]> = name.options().create().expect("a sender");
        (0..200).for_each(|n: u32| tx.send(format!("{n}").as_bytes()).expect("sent"));
        let mut record = Running::start(command(&["record", file.path(), &name, "--oldest"]));
        // It was flushed.
        until(|| file.size() > 200);
        record.signal(signal);
        assert_eq!(record.end(), 128 + signal);
        let copy = Name::new("copy");
        let replay = run(&["replay", file.path(), "--fast", "--to", &copy]);
        assert_eq!(replay.code, 0, "{}", replay.err);
        assert_eq!(
            replay.err.contains("ends within a record"),
            signal == libc::SIGKILL,
            "{}",
            replay.err
        );
        let text: String = (0..200).map(|n| format!("{n}\n")).collect();
        assert_eq!(run(&["recv", &copy]).ok().out, text);
    }
    ipc.assert_clean();
}

/// The cause is named, also where the library that writes the file does not.
#[test]
fn a_full_disk_is_named() {
    let ipc = IpcFixture::new();
    let name = Name::new("full");
    let tx: mpmc::Sender<[u8]> = name.options().create().expect("a sender");
    (0..100).for_each(|n: u32| tx.send(format!("{n}").as_bytes()).expect("sent"));
    let failed = run(&["record", "/dev/full", &name, "--oldest", "-n", "100"]);
    assert_eq!(failed.code, 1, "{}", failed.err);
    assert!(failed.err.contains("/dev/full cannot be written"), "{}", failed.err);
    assert_eq!(failed.err.matches("No space left on device").count(), 1, "{}", failed.err);
    drop((tx, name));
    ipc.assert_clean();
}

#[test]
fn what_is_no_recording_is_refused() {
    let ipc = IpcFixture::new();
    let file = Scratch::new("record");
    std::fs::write(&file.0, "not a recording, whatever else it may be").expect("a file");
    let refused = run(&["replay", file.path()]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains(file.path()), "{}", refused.err);
    assert_eq!(run(&["replay", "/no/such/file"]).code, 1);
    assert_eq!(run(&["record", file.path(), "no-such-channel"]).code, 1);
    assert_eq!(file.size(), 40, "the file is untouched if there is no such channel");
    ipc.assert_clean();
}
