//! What `recv` and `send` do when a signal or the end of their reader interrupts them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::process::ChildStdout;
use std::time::Duration;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, lines, run, run_with, until, until_member};

/// Returns whether a process waits in the kernel.
fn is_asleep(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}

/// Returns the bytes that a pipe holds.
fn in_pipe(pipe: &ChildStdout) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: stores a number into the variable.
    assert_eq!(unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &mut bytes) }, 0);
    bytes as usize
}

/// More lines than a pipe takes.
const LINES: u32 = 30_000;

/// Sends more lines than a pipe takes to a new channel of this kind.
fn fill(name: &str, kind: &str) {
    run_with(
        &["send", name, "--kind", kind, "--capacity", "32768", "--message-size", "64"],
        lines(LINES).as_bytes(),
    )
    .ok();
}

/// The reader behind the pipe ends early: what was not written is still there.
#[test]
fn what_was_not_written_is_not_acknowledged() {
    let ipc = IpcFixture::new();
    for kind in ["mpmc", "spsc"] {
        let name = Name::new("pipe");
        fill(&name, kind);
        let mut recv = Running::piped(&["recv", &name]);
        let mut first = String::new();
        let mut reader = BufReader::new(recv.0.stdout.take().expect("a pipe"));
        reader.read_line(&mut first).expect("a line");
        assert_eq!(first, "1\n");
        // It fills the pipe, and blocks.
        let mut written = first.len() + reader.buffer().len();
        let mut unread = 0;
        until(|| {
            let before = in_pipe(reader.get_ref());
            let is_asleep = is_asleep(recv.0.id());
            unread = in_pipe(reader.get_ref());
            is_asleep && unread == before && unread > 32_768
        });
        written += unread;
        drop(reader);
        assert_eq!(recv.end(), 128 + libc::SIGPIPE, "as other commands");
        let left = run(&["recv", &name]).ok().out;
        let mut left: Vec<u32> = left.lines().map(|line| line.parse().expect("a number")).collect();
        if kind == "mpmc" {
            // What the killed one held is delivered among the others.
            left.sort_unstable();
        }
        let next = left[0];
        assert!(left == (next..=LINES).collect::<Vec<u32>>(), "{kind}: from {next} on");
        // All before it was written into the pipe; of what was written, at most a batch comes again.
        let is_written = |n: u32| lines(n).len() <= written;
        assert!(is_written(next - 1), "{kind}: {next}, {written} bytes were written");
        assert!(!is_written(next + 600), "{kind}: {next}, {written} bytes were written");
    }
    ipc.assert_clean();
}

/// Ctrl-C while the reader does not read: nothing is lost, and the seat is given back properly.
#[test]
fn a_signal_ends_recv_and_loses_nothing() {
    let ipc = IpcFixture::new();
    for (kind, signal) in [("mpmc", libc::SIGINT), ("spsc", libc::SIGTERM)] {
        let name = Name::new("pipe");
        fill(&name, kind);
        let mut recv = Running::piped(&["recv", &name]);
        // The pipe takes 64 KiB, and the receiver blocks.
        until(|| sysvring::stat(&*name).is_ok_and(|stat| stat.depth < u64::from(LINES) - 5_000));
        std::thread::sleep(Duration::from_millis(100));
        recv.signal(signal);
        assert_eq!(recv.end(), 128 + signal);
        let (text, _) = recv.output();
        let rest = run(&["recv", &name]).ok().out;
        let printed: BTreeSet<u32> =
            text.lines().chain(rest.lines()).filter_map(|line| line.parse().ok()).collect();
        assert_eq!(printed.len(), LINES as usize);
        let member = name.stat().members.into_iter().find(|m| m.pid == recv.0.id());
        assert!(member.is_none_or(|member| member.left), "it left by itself");
    }
    ipc.assert_clean();
}

/// Ctrl-C while nothing arrives, and while nothing can be sent.
#[test]
fn a_signal_ends_what_waits() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let mut recv = Running::piped(&["recv", &name]);
    until_member(&name, |m| m.waiting > 0);
    recv.signal(libc::SIGINT);
    assert_eq!(recv.end(), 128 + libc::SIGINT);

    // Waiting for room.
    let mut full = Running::piped(&["send", &name]);
    let mut stdin = full.0.stdin.take().expect("a pipe");
    stdin.write_all(lines(2_000).as_bytes()).expect("written");
    until(|| name.stat().room == 0);
    full.signal(libc::SIGTERM);
    assert_eq!(full.end(), 128 + libc::SIGTERM);
    assert!(full.errors().contains("1024 messages were sent"));
    assert_eq!(name.stat().lost_senders, 0, "it left by itself");
    assert_eq!(name.stat().depth, 1024);

    // Waiting for input.
    let other = Name::new("pipe");
    let mut idle = Running::piped(&["send", &other]);
    until_member(&other, |m| m.alive);
    idle.signal(libc::SIGINT);
    assert_eq!(idle.end(), 128 + libc::SIGINT);
    drop((name, other));
    ipc.assert_clean();
}
