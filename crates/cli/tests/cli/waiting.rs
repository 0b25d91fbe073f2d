//! `wait`.

use std::time::{Duration, Instant};

use sysvring::{mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Run, Running, command, run};

/// Starts a wait, checks that it waits, does something, and checks that it ends.
fn waits(name: &Name, event: &str, happen: impl FnOnce()) {
    let mut waiting = Running::start(command(&["wait", name, event, "--timeout", "20s"]));
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(waiting.0.try_wait().expect("a child"), None, "{event} has not happened yet");
    happen();
    assert_eq!(waiting.end(), 0, "{event}");
    // It has happened.
    assert_eq!(run(&["wait", name, event, "--timeout", "0"]).ok().code, 0, "{event}");
}

#[test]
fn every_event_is_waited_for() {
    let ipc = IpcFixture::new();
    let name = Name::new("wait");
    let mut tx: Option<mpmc::Sender<u64>> = None;
    waits(&name, "channel", || {
        drop(name.options().capacity(1).create::<mpmc::Receiver<u64>>().expect("a channel"));
    });
    waits(&name, "sender", || tx = Some(name.options().attach().expect("a sender")));
    let tx = tx.expect("a sender");
    waits(&name, "message", || tx.send(&1).expect("sent"));
    let mut rx: Option<mpmc::Receiver<u64>> = None;
    waits(&name, "receiver", || rx = Some(name.options().attach().expect("a receiver")));
    let rx = rx.expect("a receiver");
    waits(&name, "room", || assert!(rx.recv().is_ok()));
    tx.send(&2).expect("sent");
    waits(&name, "empty", || assert!(rx.recv().is_ok()));
    waits(&name, "end", || tx.finish().expect("finished"));
    drop(rx);
    waits(&name, "gone", || sysvring::remove(&*name).expect("removed"));
    ipc.assert_clean();
}

/// Checks that one line hints at a second channel of the name.
fn says_where_to_look(run: &Run) {
    assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    for hint in ["`sysvring ls`", "`sysvring doctor --pid PID`"] {
        assert!(run.err.contains(hint), "{}", run.err);
    }
}

#[test]
fn a_timeout_is_code_124() {
    let ipc = IpcFixture::new();
    let name = Name::new("wait");
    let _tx: spsc::Sender<u64> = name.options().create().expect("a sender");
    let start = Instant::now();
    let run = run(&["wait", &name, "message", "-t", "100ms"]);
    assert_eq!((run.code, run.out.as_str()), (124, ""));
    assert!((100..5_000).contains(&start.elapsed().as_millis()));
    // The message may be in another channel of the same name.
    assert!(run.err.starts_with("sysvring: timed out: the event message has not"), "{}", run.err);
    says_where_to_look(&run);
    for args in
        [&["wait", &*name, "message", "-q", "-t", "10ms"][..], &["recv", &name, "-qt", "10ms"]]
    {
        let quiet = crate::tool::run(args);
        assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (124, "", ""));
    }
    let recv = crate::tool::run(&["recv", &name, "-t", "10ms"]);
    assert_eq!((recv.code, recv.out.as_str()), (124, ""));
    assert!(recv.err.starts_with("sysvring: timed out: no message arrived"), "{}", recv.err);
    says_where_to_look(&recv);
    drop(_tx);
    drop(name);
    ipc.assert_clean();
}

/// A removed channel that a process still has attached is gone; another one of its name is not.
#[test]
fn a_removed_channel_is_gone_while_it_is_attached() {
    let _ipc = IpcFixture::new();
    let name = Name::new("wait");
    let _tx: spsc::Sender<u64> = name.options().create().expect("a sender");
    waits(&name, "gone", || sysvring::remove(&*name).expect("removed"));
    waits(&name, "channel", || drop(name.options().create::<spsc::Sender<u8>>().expect("another")));
}
