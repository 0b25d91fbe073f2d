//! `send` and `recv`: pipes through a channel.

use std::time::Duration;

use sysvring::mpmc;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, lines, run, run_with, until};

/// In whichever order they start, and for each kind of channel.
#[test]
fn a_stream_arrives_in_order_and_ends() {
    let ipc = IpcFixture::new();
    for kind in ["mpmc", "spsc"] {
        for recv_first in [true, false] {
            let name = Name::new("pipe");
            let input = lines(100_000);
            let start = |command: &str| Running::piped(&[command, &name, "--kind", kind]);
            let (mut recv, mut send, writer);
            if recv_first {
                recv = start("recv");
                until(|| sysvring::stat(&*name).is_ok());
                send = start("send");
                writer = send.write(&*input);
            } else {
                send = start("send");
                writer = send.write(&*input);
                until(|| sysvring::stat(&*name).is_ok_and(|stat| stat.room == 0));
                recv = start("recv");
            }
            let (text, code) = recv.output();
            assert!(text == input, "{kind}: {} lines", text.lines().count());
            assert_eq!((code, recv.errors().as_str()), (0, ""));
            writer.join().expect("a thread").expect("written");
            assert_eq!((send.end(), send.errors().as_str()), (0, ""));
        }
    }
    ipc.assert_clean();
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

/// A file of any size goes through `--raw`, in messages of full size.
#[test]
fn raw_bytes_are_cut_into_messages() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let input: Vec<u8> =
        (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut recv = Running::piped(&["recv", &name, "--raw", "--message-size", "1K"]);
    until(|| sysvring::stat(&*name).is_ok());
    let reader = recv.read();
    run_with(&["send", &name, "--raw"], &input).ok();
    assert!(reader.join().expect("a thread") == input);
    assert_eq!(recv.end(), 0);
    let sent: u64 =
        name.stat().members.iter().map(|member| member.messages).max().expect("members");
    assert_eq!(sent, 1_000_000u64.div_ceil(1024));
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

/// Several receivers share the work; together they have everything once.
#[test]
fn receivers_share_the_messages() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let mut workers: Vec<Running> = (0..3).map(|_| Running::piped(&["recv", &name])).collect();
    until(|| {
        sysvring::stat(&*name)
            .is_ok_and(|stat| stat.members.iter().filter(|m| m.alive).count() == 3)
    });
    let readers: Vec<_> = workers.iter_mut().map(Running::read).collect();
    run_with(&["send", &name], lines(50_000).as_bytes()).ok();
    let mut all: Vec<u32> = Vec::new();
    for reader in readers {
        let text = String::from_utf8(reader.join().expect("a thread")).expect("a text");
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
    let mut recv = Running::piped(&["recv", &name, "--follow", "-n", "3"]);
    until(|| sysvring::stat(&*name).is_ok());
    for message in ["one", "two", "three"] {
        run(&["send", &name, message]).ok();
        until(|| name.stat().depth == 0);
    }
    assert_eq!(recv.output(), ("one\ntwo\nthree\n".into(), 0));
    drop(name);
    ipc.assert_clean();
}

#[test]
fn progress_is_shown_if_it_is_wanted() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let mut recv = Running::piped(&["recv", &name, "--progress"]);
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
    // Also of what takes no time.
    let sent = run(&["send", &name, "--progress", "x"]);
    assert!(sent.err.contains("sent 1 message, 1B"), "{}", sent.err);
    drop(name);
    ipc.assert_clean();
}
