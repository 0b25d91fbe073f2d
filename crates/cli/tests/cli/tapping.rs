//! `tap` and `peek`.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use sysvring::{mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, command, run};

/// Starts a tap with a piped output.
fn start(args: &[&str]) -> (Running, BufReader<std::process::ChildStdout>) {
    let mut tap = command(args);
    tap.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tap = Running::start(tap);
    let out = BufReader::new(tap.0.stdout.take().expect("a pipe"));
    (tap, out)
}

fn line(out: &mut impl BufRead) -> String {
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    line
}

#[test]
fn peek_takes_nothing() {
    let ipc = IpcFixture::new();
    for is_mpmc in [false, true] {
        let name = Name::new("peek");
        if is_mpmc {
            let tx: mpmc::Sender<[u8]> = name.options().create().expect("a sender");
            ["one", "two", "three"].iter().for_each(|text| tx.send(text.as_bytes()).expect("sent"));
        } else {
            let mut tx: spsc::Sender<[u8]> = name.options().create().expect("a sender");
            ["one", "two", "three"].iter().for_each(|text| tx.send(text.as_bytes()).expect("sent"));
        }
        assert_eq!(run(&["peek", &name]).ok().out, "one\ntwo\nthree\n");
        assert_eq!(run(&["peek", &name, "-p", "-n", "2"]).ok().out, "0 one\n1 two\n");
        assert_eq!(run(&["peek", &name, "-f", "hex", "-n1"]).ok().out, "6f6e65\n");
        let stat = name.stat();
        assert_eq!((stat.depth, stat.members.len()), (3, 1), "the sender only");
    }
    ipc.assert_clean();
}

#[test]
fn peek_begins_with_what_was_not_received() {
    let ipc = IpcFixture::new();
    let name = Name::new("peek");
    let mut tx: spsc::Sender<u64> = name.options().create().expect("a sender");
    let mut rx: spsc::Receiver<u64> = name.options().attach().expect("a receiver");
    (0..5).for_each(|n| tx.send(&n).expect("sent"));
    assert_eq!(rx.recv(), Ok(0));
    assert_eq!(run(&["peek", &name, "-f", "u64"]).ok().out, "1\n2\n3\n4\n");
    assert_eq!(run(&["peek", &name, "-f", "u64", "--oldest"]).ok().out, "0\n1\n2\n3\n4\n");
    drop((tx, rx, name));
    ipc.assert_clean();
}

/// The hint at the head of an MPMC channel lags; what waits is told by the slots.
#[test]
fn peek_shows_exactly_what_waits_between_many() {
    let ipc = IpcFixture::new();
    let name = Name::new("peek");
    let tx: mpmc::Sender<u64> = name.options().create().expect("a sender");
    let mut next = 0;
    for (sent, received) in [(100, 50), (5, 53), (7, 3)] {
        let rx: mpmc::Receiver<u64> = name.options().attach().expect("a receiver");
        (0..sent).for_each(|_| {
            tx.send(&next).expect("sent");
            next += 1;
        });
        (0..received).for_each(|_| _ = rx.recv().expect("a message"));
        let held = rx.try_recv_ref().ok();
        let waiting: Vec<u64> = (next - tx.len() as u64..next).collect();
        let lines: String = waiting.iter().map(|n| format!("{n}\n")).collect();
        assert_eq!(run(&["peek", &name, "-f", "u64"]).ok().out, lines);
        drop(held);
    }
    drop((tx, name));
    ipc.assert_clean();
}

/// A tap sees what passes, while a receiver gets it all the same, and ends with the channel.
#[test]
fn a_tap_sees_what_passes() {
    let ipc = IpcFixture::new();
    let name = Name::new("tap");
    let mut tx: spsc::Sender<[u64; 2]> = name.options().create().expect("a sender");
    let mut rx: spsc::Receiver<[u64; 2]> = name.options().attach().expect("a receiver");
    tx.send(&[1, 0]).expect("sent");
    let (mut tap, mut out) = start(&["tap", &name, "-f", "u64,f64", "--oldest", "-p"]);
    assert_eq!(line(&mut out), "0 1 0\n");
    tx.send(&[2, 0.5f64.to_bits()]).expect("sent");
    assert_eq!(line(&mut out), "1 2 0.5\n");
    assert_eq!((rx.recv(), rx.recv()), (Ok([1, 0]), Ok([2, 0.5f64.to_bits()])));
    assert_eq!(name.stat().members.len(), 2, "a tap is no member");
    // From now on only.
    let (mut late, mut late_out) =
        start(&["tap", &name, "-f", "u64,f64", "--from", "2", "-n", "1"]);
    tx.send(&[3, 0]).expect("sent");
    assert_eq!(line(&mut late_out), "3 0\n");
    assert_eq!(late.end(), 0);
    assert_eq!(line(&mut out), "2 3 0\n");
    sysvring::remove(&*name).expect("removed");
    assert_eq!((tap.end(), tap.errors().as_str()), (0, ""));
    drop((tx, rx, name));
    ipc.assert_clean();
}

/// What was overwritten before the tap began is missed, and counted.
#[test]
fn what_was_missed_is_said() {
    let ipc = IpcFixture::new();
    let name = Name::new("tap");
    let mut tx: spsc::Sender<u64> = name.options().capacity(1024).create().expect("a sender");
    let mut rx: spsc::Receiver<u64> = name.options().attach().expect("a receiver");
    for n in 0..5_000 {
        tx.send(&n).expect("sent");
        assert_eq!(rx.recv(), Ok(n));
    }
    let tap = run(&["tap", &name, "-f", "u64", "--from", "0", "-t", "100ms"]);
    assert_eq!(tap.code, 124);
    let seen: Vec<u64> = tap.out.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(seen.last(), Some(&4_999));
    let missed = 5_000 - seen.len();
    let errors = format!("sysvring: {missed} messages were missed, {} seen\n", seen.len());
    assert_eq!(tap.err, errors);
    drop((tx, rx, name));
    ipc.assert_clean();
}

#[test]
fn a_signal_ends_a_tap() {
    let ipc = IpcFixture::new();
    let name = Name::new("tap");
    let mut tx: spsc::Sender<[u8]> = name.options().create().expect("a sender");
    tx.send(b"one").expect("sent");
    let (mut tap, mut out) = start(&["tap", &name, "--oldest"]);
    assert_eq!(line(&mut out), "one\n");
    tap.signal(libc::SIGINT);
    assert_eq!(tap.end(), 128 + libc::SIGINT);
    // The reader of a tap has gone.
    let (mut tap, out) = start(&["tap", &name, "--oldest"]);
    drop(out);
    tx.send(b"two").expect("sent");
    tx.send(b"three").expect("sent");
    assert_eq!(tap.end(), 128 + libc::SIGPIPE);
    let mut text = String::new();
    let (mut tap, mut out) = start(&["tap", &name, "--oldest", "-t", "50ms"]);
    out.read_to_string(&mut text).expect("a text");
    assert_eq!((tap.end(), text.as_str()), (124, "one\ntwo\nthree\n"));
    drop((tx, name));
    ipc.assert_clean();
}
