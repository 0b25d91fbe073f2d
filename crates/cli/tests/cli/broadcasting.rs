//! Broadcast channels: every command, and that each receiver gets everything.

use std::io::Write;

use serde_json::Value;
use sysvring::{Lifetime, broadcast};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, Scratch, is_gone, lines, run, run_with, until, until_member};

type Sender = broadcast::Sender<[u8]>;
type Receiver = broadcast::Receiver<[u8]>;

/// Returns the number of receivers that live.
fn receivers(name: &Name) -> usize {
    let living = |stat: sysvring::Stat| stat.members.iter().filter(|m| m.alive).count();
    sysvring::stat(&**name).map_or(0, living)
}

/// Both of two receivers print all lines, whichever of them created the channel.
#[test]
fn every_receiver_prints_every_line() {
    let ipc = IpcFixture::new();
    let name = Name::new("broadcast");
    let start = || Running::piped(&["recv", &name, "--kind", "broadcast"]);
    let mut all = [start(), start()];
    until(|| receivers(&name) == 2);
    let readers = all.each_mut().map(Running::read);
    run_with(&["send", &name, "--kind", "broadcast"], lines(100_000).as_bytes()).ok();
    for (reader, mut recv) in readers.into_iter().zip(all) {
        let text = reader.join().expect("a thread");
        assert!(text == lines(100_000).as_bytes(), "{} bytes", text.len());
        assert_eq!((recv.end(), recv.errors().as_str()), (0, ""));
    }
    assert_eq!(name.stat().flavor, sysvring::Flavor::Broadcast);
    // What is still in the ring is for those that come later, too.
    run_with(&["send", &name], lines(5).as_bytes()).ok();
    for _ in 0..2 {
        let text = run(&["recv", &name]).ok().out;
        assert!(text.ends_with("100000\n1\n2\n3\n4\n5\n"), "{text}");
    }
    drop(name);
    ipc.assert_clean();
}

#[test]
fn a_receiver_starts_where_it_is_told() {
    let ipc = IpcFixture::new();
    let name = Name::new("broadcast");
    let options = ["--kind", "broadcast", "--capacity", "8"];
    run_with(&[&["send", &*name], &options[..]].concat(), lines(5).as_bytes()).ok();
    let from = |start| run(&["recv", &name, "--start", start]);
    assert_eq!(from("oldest").ok().out, lines(5));
    assert_eq!(from("3").ok().out, "4\n5\n");
    assert_eq!(from("next").ok().out, "");
    assert_eq!(from("1000").ok().out, "");
    // Messages that were overwritten are counted, and the rest is printed.
    run_with(&["send", &name], lines(20).as_bytes()).ok();
    let late = from("0");
    let printed = late.out.lines().count();
    assert!((4..=8).contains(&printed) && late.out.ends_with("19\n20\n"), "{}", late.out);
    let missed = format!("sysvring: {} messages were overwritten", 25 - printed);
    assert!(late.err.starts_with(&missed) && late.err.lines().count() == 1, "{}", late.err);
    assert_eq!(late.code, 4);
    assert_eq!(run(&["recv", &name, "--start", "0", "-n", "1"]).code, 4);
    drop(name);
    ipc.assert_clean();
}

/// `--start` is not ignored where it has no meaning: nothing is joined, and nothing created.
#[test]
fn start_is_for_broadcast_channels() {
    let ipc = IpcFixture::new();
    let name = Name::new("shared");
    let refused = run(&["recv", &name, "--start", "next"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("--kind broadcast") && refused.err.contains("mpmc"));
    assert!(is_gone(&*name));
    run(&["send", &name, "x"]).ok();
    assert_eq!(run(&["recv", &name, "--start", "0"]).code, 2);
    assert_eq!((name.stat().depth, name.stat().joins), (1, 1));
    assert_eq!(run(&["recv", &name, "--start", "somewhere"]).code, 2);
    let temporary = run(&["recv", "no-such-channel", "--kind", "broadcast", "--temporary"]);
    assert_eq!(temporary.code, 2, "{}", temporary.err);
    assert!(is_gone("no-such-channel"));
    assert_eq!(run(&["recv", &name, "--kind", "broadcast"]).code, 2);
    drop(name);
    ipc.assert_clean();
}

/// Starts a receiver, and kills it when it has received so many messages.
fn kill_receiver(name: &Name, label: &[&str], messages: u64) {
    let mut recv = Running::piped(&[&["recv", &**name, "--follow"], label].concat());
    let pid = recv.0.id();
    until_member(name, |m| m.pid == pid && m.alive && m.messages == messages);
    recv.signal(libc::SIGKILL);
    assert_eq!(recv.end(), 128 + libc::SIGKILL);
}

/// A receiver continues where a killed one of the same label stopped, and only then.
#[test]
fn a_label_resumes() {
    let ipc = IpcFixture::new();
    let name = Name::new("broadcast");
    let label = ["--label", "recorder"];
    let recv = |args: &[&str]| run(&[&["recv", &*name], args].concat()).ok().out;
    run_with(&["send", &name, "--kind", "broadcast", "--no-finish"], lines(5).as_bytes()).ok();
    kill_receiver(&name, &label, 5);
    kill_receiver(&name, &[], 5);
    run(&["send", &name, "6"]).ok();
    assert_eq!(recv(&[]), lines(6), "the label of the command is that of many");
    assert_eq!(recv(&label), "6\n");
    // That one left. An option is stronger than a killed one.
    kill_receiver(&name, &label, 6);
    assert_eq!(recv(&["--label", "recorder", "--start", "4"]), "5\n6\n");
    drop(name);
    ipc.assert_clean();
}

/// One that resumes too late says what it missed.
#[test]
fn a_late_successor_says_what_it_missed() {
    let ipc = IpcFixture::new();
    let name = Name::new("broadcast");
    let options = ["--kind", "broadcast", "--capacity", "8", "--no-finish"];
    run_with(&[&["send", &*name], &options[..]].concat(), lines(3).as_bytes()).ok();
    kill_receiver(&name, &["--label", "recorder"], 3);
    run_with(&["send", &name], lines(100).as_bytes()).ok();
    let late = run(&["recv", &name, "--label", "recorder"]);
    let printed = late.out.lines().count();
    let missed = format!("{} messages were overwritten", 100 - printed);
    assert!(late.err.contains(&missed) && late.out.ends_with("99\n100\n"), "{late:?}");
    assert_eq!(late.code, 4);
    drop(name);
    ipc.assert_clean();
}

/// A killed sender is reported to each receiver, also to one that comes later while another one is
/// behind.
#[test]
fn a_killed_sender_is_reported_to_each() {
    let ipc = IpcFixture::new();
    let name = Name::new("broadcast");
    let mut before = Running::piped(&["recv", &name, "--kind", "broadcast"]);
    until(|| receivers(&name) == 1);
    let idle: Receiver = name.options().attach().expect("a receiver");
    let mut send = Running::piped(&["send", &name]);
    let mut stdin = send.0.stdin.take().expect("a pipe");
    stdin.write_all(lines(5).as_bytes()).expect("written");
    until_member(&name, |m| m.role == sysvring::Role::Sender && m.messages == 5);
    send.signal(libc::SIGKILL);
    assert_eq!(send.end(), 128 + libc::SIGKILL);
    let mut after = Running::piped(&["recv", &name, "--timeout", "10s"]);
    for recv in [&mut before, &mut after] {
        assert_eq!(recv.output(), (lines(5), 3));
        assert!(recv.errors().contains(&format!("process {} after 5 messages", send.0.id())));
    }
    assert_eq!(idle.len(), 5);
    drop((idle, name));
    ipc.assert_clean();
}

/// A sender that gives up names the receiver that it waits for.
#[test]
fn a_sender_says_behind_whom_it_waits() {
    let ipc = IpcFixture::new();
    let name = Name::new("broadcast");
    let idle: Receiver = name.options().capacity(4).slot_size(16).create().expect("a receiver");
    let mut other = Running::piped(&["recv", &name, "--follow"]);
    until(|| receivers(&name) == 2);
    let late = run_with(&["send", &name, "--timeout", "50ms"], lines(5).as_bytes());
    assert_eq!(late.code, 124);
    let pid = format!("process {}", std::process::id());
    assert!(late.err.contains(&pid) && late.err.contains("4 messages were sent"), "{}", late.err);
    other.signal(libc::SIGTERM);
    other.end();
    drop((idle, name));
    ipc.assert_clean();
}

/// Returns a channel with messages 0 to 4 and two receivers, of which one has received them all.
fn display(name: &Name) -> (Sender, [Receiver; 2]) {
    let options = || name.options();
    let mut tx: Sender =
        options().capacity(8).slot_size(16).label("camera").create().expect("a sender");
    let receivers = ["display", "recorder"].map(|label| {
        let rx: Receiver = options().label(label).attach().expect("a receiver");
        rx
    });
    let [mut fast, slow] = receivers;
    for n in 0..5 {
        tx.send(n.to_string().as_bytes()).expect("room");
        fast.recv_boxed().expect("a message");
    }
    (tx, [fast, slow])
}

#[test]
fn the_lag_of_each_receiver_is_shown() {
    let ipc = IpcFixture::new();
    let name = Name::fixed("frames");
    let handles = display(&name);
    assert_eq!(
        run(&["ls", "--noheadings", "-o", "KIND,STATE,DEPTH"]).ok().out,
        "broadcast live 5\n"
    );
    let columns = ["-o", "ROLE,LABEL,MESSAGES,LAG"];
    let members = run(&[&["stat", &*name, "-m", "-r"], &columns[..]].concat()).ok().out;
    assert_eq!(
        members,
        "ROLE LABEL MESSAGES LAG\nsender camera 5 -\nreceiver display 5 0\nreceiver recorder 0 5\n"
    );
    assert!(run(&["stat", &name]).ok().out.contains("LAG"));
    let json: Value = serde_json::from_str(&run(&["stat", &name, "-J"]).ok().out).expect("JSON");
    assert_eq!(
        (&json["schema_version"], &json["channel"]["kind"]),
        (&1.into(), &"broadcast".into())
    );
    let lags: Vec<_> = (0..3).map(|n| json["channel"]["members"][n]["lag"].clone()).collect();
    assert_eq!(lags, [Value::Null, 0.into(), 5.into()]);
    let metrics = run(&["metrics"]).ok().out;
    let mut lag = metrics.lines().filter(|line| line.starts_with("sysvring_member_lag_messages{"));
    assert!(lag.next().expect("a sample").ends_with("label=\"display\"} 0"), "{metrics}");
    assert!(lag.next().expect("a sample").ends_with("label=\"recorder\"} 5"), "{metrics}");
    assert_eq!(lag.next(), None);
    assert!(metrics.contains("kind=\"broadcast\""), "{metrics}");
    drop((handles, name));
    ipc.assert_clean();
}

#[cfg(feature = "top")]
#[test]
fn top_shows_the_slowest_receiver() {
    let ipc = IpcFixture::new();
    let name = Name::fixed("frames");
    let (mut tx, [mut fast, mut slow]) = display(&name);
    tx.send(b"5").expect("room");
    let args = ["top", "--once", "-i", "50ms", "--width", "130"];
    let list = run(&args).ok().out;
    assert!(list.contains("KIND      STATE") && list.contains("frames   broadcast live"), "{list}");
    let one = |args: &[&str]| run(&[args, &["frames"]].concat()).ok().out;
    let line = |text: &str, label: &str| {
        text.lines().find(|line| line.contains(label)).expect("a member").to_owned()
    };
    let frame = one(&args);
    assert!(frame.contains("6 of 8 messages, room for 2"), "{frame}");
    assert!(line(&frame, "recorder").ends_with("6 behind, the slowest"), "{frame}");
    assert!(line(&frame, "display").ends_with("1 behind"), "{frame}");
    assert!(!line(&frame, "camera").contains("behind"), "{frame}");
    for rx in [&mut fast, &mut slow] {
        while rx.try_recv_boxed().is_ok() {}
    }
    assert!(!one(&args).contains("behind"));
    drop((tx, fast, slow, name));
    ipc.assert_clean();
}

#[test]
fn the_other_commands_know_broadcast_channels() {
    let ipc = IpcFixture::new();
    let name = Name::new("broadcast");
    let handles = display(&name);
    // What the slowest has not received.
    assert_eq!(run(&["peek", &name]).ok().out, "0\n1\n2\n3\n4\n");
    assert_eq!(run(&["tap", &name, "--oldest", "-n", "2"]).ok().out, "0\n1\n");
    for event in ["channel", "sender", "receiver", "message", "room"] {
        run(&["wait", &name, event, "-t", "10s"]).ok();
    }
    assert_eq!(run(&["wait", &name, "empty", "-t", "20ms"]).code, 124);
    run(&["wait", &name, "receiver", "--count", "2", "-t", "10s"]).ok();
    assert_eq!(run(&["wait", &name, "receiver", "-n", "3", "-t", "20ms"]).code, 124);
    assert_eq!(run(&["wait", &name, "sender", "-n", "2", "-t", "20ms"]).code, 124);
    assert_eq!(run(&["wait", &name, "room", "-n", "2"]).code, 2);
    let file = Scratch::new("mcap");
    run(&["record", file.path(), &name, "--oldest", "-n", "5"]).ok();
    let (mut tx, [fast, mut slow]) = handles;
    while slow.try_recv_boxed().is_ok() {}
    run(&["wait", &name, "empty", "-t", "10s"]).ok();
    // A channel without receivers has nothing to wait for.
    drop((fast, slow));
    tx.send(b"unseen").expect("room");
    assert_eq!(run(&["peek", &name]).ok().out, "");
    assert!(run(&["peek", &name, "--oldest"]).ok().out.ends_with("4\nunseen\n"));
    let taken = run(&["send", &name, "x"]);
    let pid = std::process::id().to_string();
    assert!(taken.code == 1 && taken.err.contains(&pid), "one sender: {}", taken.err);
    tx.finish().expect("finished");
    run(&["wait", &name, "end", "-t", "10s"]).ok();

    let copy = Name::new("broadcast");
    run(&["replay", file.path(), "--fast", "--to", &copy, "--kind", "broadcast"]).ok();
    for _ in 0..2 {
        assert_eq!(run(&["recv", &copy]).ok().out, "0\n1\n2\n3\n4\n");
    }
    run(&["rm", &name, &copy]).ok();
    assert!(is_gone(&*name) && is_gone(&*copy));
    drop((name, copy));
    ipc.assert_clean();
}

/// Two processes receive what a third one sends.
#[test]
fn bench_measures_broadcast_channels() {
    let ipc = IpcFixture::new();
    let out = run(&["bench", "broadcast", "--time", "20ms", "-r"]).ok().out;
    let names: Vec<_> = out.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["broadcast-8", "broadcast-1024"]);
    ipc.assert_clean();
}

/// What killed members of a broadcast channel left is found, and removed.
#[test]
fn doctor_and_reap_know_broadcast_channels() {
    let ipc = IpcFixture::new();
    let name = Name::new("broadcast");
    let mut recv = Running::piped(&["recv", &name, "--kind", "broadcast"]);
    until(|| receivers(&name) == 1);
    let mut send = Running::piped(&["send", &name]);
    until(|| receivers(&name) == 2);
    let unwell = || {
        let found = format!("a sender of channel {} was killed", &*name);
        run(&["doctor"]).out.contains(&found)
    };
    assert!(!unwell());
    for member in [&mut recv, &mut send] {
        member.signal(libc::SIGKILL);
        member.end();
    }
    assert!(unwell());
    let deaths = run(&["ls", "--noheadings", "-r", "-o", "STATE,DIED"]).ok().out;
    assert_eq!(deaths, "sender\\x20died 2\n");
    assert_eq!(run(&["reap"]).ok().out, "", "it is kept");
    drop(name);

    let name = Name::new("temporary");
    let tx: Sender =
        name.options().lifetime(Lifetime::LastMember).slot_size(16).create().expect("a sender");
    let mut recv = Running::piped(&["recv", &name, "--follow"]);
    until(|| receivers(&name) == 2);
    tx.close().expect("left");
    assert_eq!(run(&["reap"]).ok().out, "", "it is in use");
    recv.signal(libc::SIGKILL);
    recv.end();
    assert!(run(&["reap"]).ok().out.contains(&*name));
    assert!(is_gone(&*name));
    drop(name);
    ipc.assert_clean();
}
