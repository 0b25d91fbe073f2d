//! `send` and `recv`: pipes through a channel, and what is left when one of their ends is killed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use sysvring::zerocopy::IntoBytes;
use sysvring::{RecvError, mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Run, Running, command, run, run_with, until};

/// Returns the numbers up to `n`, a line each.
fn lines(n: u32) -> String {
    (1..=n).map(|number| format!("{number}\n")).collect()
}

/// A file that is removed with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &Name) -> Scratch {
        Scratch(std::env::temp_dir().join(format!("sysvring-{}", &**name)))
    }

    fn create(&self) -> File {
        File::create(&self.0).expect("a file")
    }

    fn append(&self) -> File {
        File::options().append(true).create(true).open(&self.0).expect("a file")
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).expect("a text")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

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

/// Whichever starts first, and whatever the kind of channel.
#[test]
fn a_stream_arrives_in_order_and_ends() {
    let ipc = IpcFixture::new();
    for kind in ["mpmc", "spsc"] {
        for recv_first in [true, false] {
            let name = Name::new("pipe");
            let input = lines(100_000);
            let mut recv = command(&["recv", &name, "--kind", kind]);
            recv.stdout(Stdio::piped()).stderr(Stdio::piped());
            let recv_args = recv;
            let text = if recv_first {
                let recv = Running::start(recv_args);
                until(|| sysvring::stat(&*name).is_ok());
                finish(recv, || run_with(&["send", &name, "--kind", kind], input.as_bytes()).ok())
            } else {
                let mut send = command(&["send", &name, "--kind", kind]);
                send.stdin(Stdio::piped());
                let mut send = Running::start(send);
                let mut stdin = send.0.stdin.take().expect("a pipe");
                let writer = {
                    let input = input.clone();
                    std::thread::spawn(move || stdin.write_all(input.as_bytes()))
                };
                until(|| sysvring::stat(&*name).is_ok_and(|stat| stat.room == 0));
                let text = finish(Running::start(recv_args), || ());
                writer.join().expect("a thread").expect("written");
                assert_eq!(send.end(), 0);
                text
            };
            assert!(text == input, "{kind}: {} lines", text.lines().count());
        }
    }
    ipc.assert_clean();
}

/// Returns what a receiver prints while something is done; it must succeed silently.
fn finish<T>(mut recv: Running, what: impl FnOnce() -> T) -> String {
    let mut out = recv.0.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    what();
    let text = reader.join().expect("a thread").expect("a text");
    assert_eq!((recv.end(), recv.errors().as_str()), (0, ""));
    text
}

/// A stream that was sent and finished before anyone receives.
#[test]
fn messages_wait_for_their_receiver() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    run(&["send", &name, "one", "two"]).ok();
    assert_eq!(name.stat().depth, 2);
    assert_eq!(run(&["recv", &name]).ok().out, "one\ntwo\n");
    // It stays finished until the next sender.
    assert_eq!(run(&["recv", &name]).ok().out, "");
    run_with(&["send", &name], b"three\nno end").ok();
    assert_eq!(run(&["recv", &name, "-n", "1"]).ok().out, "three\n");
    assert_eq!(run(&["recv", &name]).ok().out, "no end\n");
    drop(name);
    ipc.assert_clean();
}

#[test]
fn framings_are_inverse_to_each_other() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    for (args, input) in [
        (&["-0"][..], &b"a\nb\0\0c\0"[..]),
        (&["--length", "u32le"], b"\x03\0\0\0a\nb\0\0\0\0"),
        (&["--length", "u16be"], b"\0\x01\n"),
        (&["--raw"], b"any\0bytes\n\xff"),
    ] {
        run_with(&[&["send", &name], args].concat(), input).ok();
        let out = command(&[&["recv", &*name], args].concat()).output().expect("it runs");
        assert!(out.status.success());
        assert_eq!(out.stdout, input, "{args:?}");
    }
    drop(name);
    ipc.assert_clean();
}

/// A file of any size goes through `--raw`, in messages of full size.
#[test]
fn raw_bytes_are_cut_into_messages() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let input: Vec<u8> =
        (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut recv = command(&["recv", &name, "--raw", "--message-size", "1K"]);
    recv.stdout(Stdio::piped());
    let mut recv = Running::start(recv);
    until(|| sysvring::stat(&*name).is_ok());
    let mut out = recv.0.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    run_with(&["send", &name, "--raw"], &input).ok();
    assert!(reader.join().expect("a thread").expect("bytes") == input);
    assert_eq!(recv.end(), 0);
    let sent: u64 =
        name.stat().members.iter().map(|member| member.messages).max().expect("members");
    assert_eq!(sent, 1_000_000u64.div_ceil(1024));
    drop(name);
    ipc.assert_clean();
}

/// A program's own messages, as fields and as hexadecimal digits, both ways.
#[test]
fn typed_messages_are_fields() {
    let ipc = IpcFixture::new();
    let name = Name::new("ticks");
    let mut tx: spsc::Sender<[u64; 2]> = name.options().create().expect("a sender");
    let tick = |id: u64, price: f64| [id, price.to_bits()];
    tx.send(&tick(7, 9.5)).expect("sent");
    tx.send(&tick(8, -0.25)).expect("sent");
    tx.finish().expect("finished");
    assert_eq!(run(&["recv", &name, "-n1", "-f", "u64,f64"]).ok().out, "7 9.5\n");
    let hex: String = tick(8, -0.25).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(run(&["recv", &name]).ok().out, format!("{hex}\n"));

    run_with(&["send", &name, "-f", "u64,f64", "--no-finish"], b"1 0.5\n2 1e3\n").ok();
    run(&["send", &name, &hex]).ok();
    let mut rx: spsc::Receiver<[u64; 2]> = name.options().attach().expect("a receiver");
    for expected in [tick(1, 0.5), tick(2, 1000.0), tick(8, -0.25)] {
        assert_eq!(rx.recv(), Ok(expected));
    }
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    drop(rx);

    let wrong = run(&["recv", &name, "-f", "u64"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    assert!(wrong.err.contains("padN"), "{}", wrong.err);
    let wrong = run_with(&["send", &name, "-f", "u64,f64"], b"1 0.5\nx\n");
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("message 2 of the input"), "{}", wrong.err);
    assert!(wrong.err.contains("1 message was sent"), "{}", wrong.err);
    let wrong = run(&["send", &name, "00"]);
    assert!(wrong.err.contains("--format"), "{}", wrong.err);
    drop(name);
    ipc.assert_clean();
}

#[test]
fn a_message_that_is_too_long_is_named() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let input = format!("fits\n{}\n", "x".repeat(100));
    let failed = run_with(&["send", &name, "--message-size", "64"], input.as_bytes());
    assert_eq!(failed.code, 1);
    for part in [
        "message 2 of the input has 100 bytes",
        "at most 64",
        "--message-size 128",
        "1 message was sent",
    ] {
        assert!(failed.err.contains(part), "{part}: {}", failed.err);
    }
    assert_eq!(name.stat().depth, 1);
    drop(name);
    ipc.assert_clean();
}

#[test]
fn timeouts_are_code_124() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let late = run(&["recv", &name, "-t", "50ms"]);
    assert_eq!((late.code, late.out.as_str()), (124, ""));
    let full = run_with(&["send", &name, "-t", "50ms"], lines(2_000).as_bytes());
    assert_eq!(full.code, 124, "{}", full.err);
    assert!(full.err.contains("1024 messages were sent"), "{}", full.err);
    drop(name);
    ipc.assert_clean();
}

#[test]
fn no_channel_is_created_if_that_is_not_wanted() {
    let ipc = IpcFixture::new();
    for command in ["send", "recv"] {
        let run = run(&[command, "no-such-channel", "--no-create"]);
        assert_eq!(run.code, 1);
        assert!(run.err.contains("no-such-channel"), "{}", run.err);
    }
    ipc.assert_clean();
}

/// A sender that is killed: what it sent arrives, and the receiver says so.
#[test]
fn a_killed_sender_is_code_3() {
    let ipc = IpcFixture::new();
    for kind in ["mpmc", "spsc"] {
        for recv_first in [true, false] {
            let name = Name::new("pipe");
            let start_recv = || {
                let mut recv = command(&["recv", &name, "--kind", kind]);
                recv.stdout(Stdio::piped()).stderr(Stdio::piped());
                Running::start(recv)
            };
            let before = recv_first.then(&start_recv);
            if recv_first {
                until(|| sysvring::stat(&*name).is_ok());
            }
            let mut send = command(&["send", &name, "--kind", kind]);
            send.stdin(Stdio::piped());
            let mut send = Running::start(send);
            // Its input does not end.
            let mut stdin = send.0.stdin.take().expect("a pipe");
            stdin.write_all(lines(500).as_bytes()).expect("written");
            until(|| {
                sysvring::stat(&*name)
                    .is_ok_and(|stat| stat.members.iter().any(|m| m.messages == 500))
            });
            send.signal(libc::SIGKILL);
            assert_eq!(send.end(), 128 + libc::SIGKILL);
            let mut recv = before.unwrap_or_else(start_recv);
            assert_eq!(recv.end(), 3, "{kind}");
            let mut text = String::new();
            recv.0.stdout.take().expect("a pipe").read_to_string(&mut text).expect("a text");
            assert_eq!(text, lines(500));
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
        let out = Scratch::new(&name);
        out.create();
        const COUNT: u32 = 300_000;
        let mut send = command(&["send", &name, "--kind", kind]);
        send.stdin(Stdio::piped());
        let mut send = Running::start(send);
        let mut stdin = send.0.stdin.take().expect("a pipe");
        let writer = std::thread::spawn(move || stdin.write_all(lines(COUNT).as_bytes()));
        let mut killed = 0;
        for kill in 0.. {
            // cat reads the pipe to its end, also after the receiver was killed.
            let mut cat = std::process::Command::new("cat");
            cat.stdin(Stdio::piped()).stdout(out.append());
            let mut cat = Running::start(cat);
            let mut recv = command(&["recv", &name, "--kind", kind]);
            recv.stdout(cat.0.stdin.take().expect("a pipe"));
            let mut recv = Running::start(recv);
            let is_last = kill == 30;
            if !is_last {
                std::thread::sleep(Duration::from_micros(500 + 700 * (kill % 10)));
                let _ = recv.0.kill();
            }
            killed += u32::from(recv.end() == 128 + libc::SIGKILL);
            assert_eq!(cat.end(), 0);
            if is_last {
                break;
            }
        }
        writer.join().expect("a thread").expect("written");
        assert_eq!(send.end(), 0);
        assert!(killed >= 10, "{killed} were killed");
        let text = out.text();
        // A line may be cut where a receiver was killed within a write; it was printed again.
        let printed: BTreeSet<u32> =
            text.lines().filter_map(|line| line.parse().ok()).filter(|n| *n <= COUNT).collect();
        assert_eq!(printed.len() as u32, COUNT, "{killed} were killed");
        assert_eq!(name.stat().depth, 0);
    }
    ipc.assert_clean();
}

/// The reader behind the pipe ends early: what was not written is still there.
#[test]
fn what_was_not_written_is_not_acknowledged() {
    let ipc = IpcFixture::new();
    for kind in ["mpmc", "spsc"] {
        let name = Name::new("pipe");
        run_with(
            &["send", &name, "--kind", kind, "--capacity", "65536", "--message-size", "64"],
            lines(60_000).as_bytes(),
        )
        .ok();
        let mut recv = command(&["recv", &name]);
        recv.stdout(Stdio::piped());
        let mut recv = Running::start(recv);
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
        assert!(left == (next..=60_000).collect::<Vec<u32>>(), "{kind}: from {next} on");
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
        run_with(
            &["send", &name, "--kind", kind, "--capacity", "65536", "--message-size", "64"],
            lines(60_000).as_bytes(),
        )
        .ok();
        let mut recv = command(&["recv", &name]);
        recv.stdout(Stdio::piped());
        let mut recv = Running::start(recv);
        let mut out = recv.0.stdout.take().expect("a pipe");
        // The pipe takes 64 KiB, and the receiver blocks.
        until(|| sysvring::stat(&*name).is_ok_and(|stat| stat.depth < 55_000));
        std::thread::sleep(Duration::from_millis(100));
        recv.signal(signal);
        assert_eq!(recv.end(), 128 + signal);
        let mut text = String::new();
        out.read_to_string(&mut text).expect("a text");
        let rest = run(&["recv", &name]).ok().out;
        let printed: BTreeSet<u32> =
            text.lines().chain(rest.lines()).filter_map(|line| line.parse().ok()).collect();
        assert_eq!(printed.len(), 60_000);
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
    let mut recv = Running::start(command(&["recv", &name]));
    until(|| sysvring::stat(&*name).is_ok_and(|stat| stat.members.iter().any(|m| m.waiting > 0)));
    recv.signal(libc::SIGINT);
    assert_eq!(recv.end(), 128 + libc::SIGINT);

    // Waiting for room.
    let mut send = command(&["send", &name]);
    send.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut full = Running::start(send);
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
    let mut send = command(&["send", &other]);
    send.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut idle = Running::start(send);
    until(|| sysvring::stat(&*other).is_ok_and(|stat| stat.members.iter().any(|m| m.alive)));
    idle.signal(libc::SIGINT);
    assert_eq!(idle.end(), 128 + libc::SIGINT);
    drop((name, other));
    ipc.assert_clean();
}

/// Several receivers share the work; together they have everything once.
#[test]
fn receivers_share_the_messages() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let mut workers: Vec<Running> = (0..3)
        .map(|_| {
            let mut recv = command(&["recv", &name]);
            recv.stdout(Stdio::piped());
            Running::start(recv)
        })
        .collect();
    until(|| {
        sysvring::stat(&*name)
            .is_ok_and(|stat| stat.members.iter().filter(|m| m.alive).count() == 3)
    });
    let readers: Vec<_> = workers
        .iter_mut()
        .map(|worker| {
            let mut out = worker.0.stdout.take().expect("a pipe");
            std::thread::spawn(move || {
                let mut text = String::new();
                out.read_to_string(&mut text).map(|_| text)
            })
        })
        .collect();
    run_with(&["send", &name], lines(50_000).as_bytes()).ok();
    let mut all: Vec<u32> = Vec::new();
    for reader in readers {
        let text = reader.join().expect("a thread").expect("a text");
        all.extend(text.lines().map(|line| line.parse::<u32>().expect("a number")));
    }
    all.sort_unstable();
    assert_eq!(all, (1..=50_000).collect::<Vec<u32>>());
    assert!(workers.iter_mut().all(|worker| worker.end() == 0));
    drop(name);
    ipc.assert_clean();
}

/// `--follow` goes on with the next sender.
#[test]
fn follow_goes_on_after_the_end() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let mut recv = command(&["recv", &name, "--follow", "-n", "3"]);
    recv.stdout(Stdio::piped());
    let recv = Running::start(recv);
    until(|| sysvring::stat(&*name).is_ok());
    let text = finish_follow(recv, || {
        for message in ["one", "two", "three"] {
            run(&["send", &name, message]).ok();
            until(|| name.stat().depth == 0);
        }
    });
    assert_eq!(text, "one\ntwo\nthree\n");
    drop(name);
    ipc.assert_clean();
}

fn finish_follow(mut recv: Running, what: impl FnOnce()) -> String {
    what();
    assert_eq!(recv.end(), 0);
    let mut text = String::new();
    recv.0.stdout.take().expect("a pipe").read_to_string(&mut text).expect("a text");
    text
}

#[test]
fn progress_is_shown_if_it_is_wanted() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let mut recv = command(&["recv", &name, "--progress"]);
    recv.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut recv = Running::start(recv);
    until(|| sysvring::stat(&*name).is_ok());
    let tx: mpmc::Sender<[u8]> = name.options().attach().expect("a sender");
    for _ in 0..10 {
        tx.send(b"0123456789").expect("sent");
        std::thread::sleep(Duration::from_millis(100));
    }
    tx.finish().expect("finished");
    assert_eq!(recv.end(), 0);
    let errors = recv.errors();
    assert!(errors.contains("received 10 messages, 100B"), "{errors}");
    drop(name);
    ipc.assert_clean();
}

/// What a terminal shows of a message is escaped; a pipe gets the bytes.
#[test]
fn messages_reach_a_terminal_escaped() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    run_with(&["send", &name], b"a\x1b[2Jb\n").ok();
    let script = format!("{} recv {}", env!("CARGO_BIN_EXE_sysvring"), &*name);
    let typescript = Run::of(
        std::process::Command::new("script")
            .args(["--quiet", "--return", "--command", &script, "/dev/null"])
            .stdin(Stdio::null())
            .output()
            .expect("script(1) of util-linux"),
    );
    assert_eq!(typescript.out, "a\\u{1b}[2Jb\r\n");
    drop(name);
    ipc.assert_clean();
}
