//! What `kill -9` of `send` or `recv` leaves.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, Scratch, command, lines, run, run_with, until, until_member};

/// A sender that is killed: what it sent arrives, and the receiver says so.
#[test]
fn a_killed_sender_is_code_3() {
    let ipc = IpcFixture::new();
    for kind in ["mpmc", "spsc"] {
        for recv_first in [true, false] {
            let name = Name::new("pipe");
            let start_recv = || Running::piped(&["recv", &name, "--kind", kind]);
            let before = recv_first.then(&start_recv);
            if recv_first {
                until(|| sysvring::stat(&*name).is_ok());
            }
            let mut send = Running::piped(&["send", &name, "--kind", kind]);
            // Its input does not end.
            let mut stdin = send.0.stdin.take().expect("a pipe");
            stdin.write_all(lines(500).as_bytes()).expect("written");
            until_member(&name, |m| m.messages == 500);
            send.signal(libc::SIGKILL);
            assert_eq!(send.end(), 128 + libc::SIGKILL);
            let mut recv = before.unwrap_or_else(start_recv);
            assert_eq!(recv.output(), (lines(500), 3), "{kind}");
            let errors = recv.errors();
            assert_eq!(errors.lines().count(), 1, "{errors}");
            let process = format!("process {} after 500 messages", send.0.id());
            assert!(errors.starts_with("sysvring: ") && errors.contains(&process), "{errors}");

            // Its successor finishes the stream.
            run_with(&["send", &name], b"501\n").ok();
            assert_eq!(run(&["recv", &name]).ok().out, "501\n");
        }
    }
    ipc.assert_clean();
}

/// Receivers behind a pipe are killed again and again: every message is printed by one of them, or
/// twice.
#[test]
fn a_killed_receiver_loses_nothing() {
    let ipc = IpcFixture::new();
    for kind in ["mpmc", "spsc"] {
        let name = Name::new("pipe");
        let out = Scratch::new("pipe");
        const COUNT: u32 = 300_000;
        const KILLED: u32 = 10;
        let mut send = Running::piped(&["send", &name, "--kind", kind]);
        let mut stdin = send.0.stdin.take().expect("a pipe");
        let killed = Arc::new(AtomicU32::new(0));
        let killed_so_far = Arc::clone(&killed);
        let writer = thread::spawn(move || {
            let mut written = 0;
            // On a busy host, one receiver may live long enough for very many lines.
            while written < COUNT || killed_so_far.load(Relaxed) < KILLED {
                let more = written + 1..=written + COUNT / 10;
                written = *more.end();
                let lines: String = more.map(|number| format!("{number}\n")).collect();
                stdin.write_all(lines.as_bytes()).expect("written");
            }
            written
        });
        for kill in 0.. {
            // cat reads the pipe to its end, also after the receiver was killed.
            let mut cat = std::process::Command::new("cat");
            cat.stdin(Stdio::piped()).stdout(out.append());
            let mut cat = Running::start(cat);
            let mut recv = command(&["recv", &name, "--kind", kind]);
            recv.stdout(cat.0.stdin.take().expect("a pipe"));
            let mut recv = Running::start(recv);
            let is_last = kill >= 30 && killed.load(Relaxed) >= KILLED;
            if !is_last {
                thread::sleep(Duration::from_micros(500 + 700 * (kill % 10)));
                let _ = recv.0.kill();
            }
            killed.fetch_add(u32::from(recv.end() == 128 + libc::SIGKILL), Relaxed);
            assert_eq!(cat.end(), 0);
            if is_last {
                break;
            }
        }
        let count = writer.join().expect("a thread");
        assert_eq!(send.end(), 0);
        let text = out.text();
        // A line may be cut where a receiver was killed within a write; it was printed again.
        let printed: BTreeSet<u32> =
            text.lines().filter_map(|line| line.parse().ok()).filter(|n| *n <= count).collect();
        assert_eq!(printed.len() as u32, count, "{killed:?} were killed");
        assert_eq!(name.stat().depth, 0);
    }
    ipc.assert_clean();
}
