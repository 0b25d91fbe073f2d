//! Overwriting broadcast channels: nobody waits for a receiver, and it says what it missed.

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, lines, run, run_with, until};

const KIND: [&str; 5] = ["--kind", "broadcast", "--overwriting", "--capacity", "16"];

#[test]
fn a_stopped_receiver_stops_nobody() {
    let ipc = IpcFixture::new();
    let name = Name::new("overwriting");
    let mut recv = Running::piped(&[&["recv", &*name], &KIND[..]].concat());
    until(|| sysvring::stat(&*name).is_ok_and(|stat| stat.members.iter().any(|m| m.alive)));
    recv.signal(libc::SIGSTOP);
    let reader = recv.read();
    // Many more than the ring holds.
    run_with(&["send", &name], lines(10_000).as_bytes()).ok();
    recv.signal(libc::SIGCONT);
    let text = String::from_utf8(reader.join().expect("a thread")).expect("lines");
    let printed: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(printed.is_sorted() && printed.last() == Some(&10_000), "{printed:?}");
    let missed = 10_000 - printed.len();
    let code = recv.end();
    let errors = recv.errors();
    assert!(
        missed > 0 && errors.contains(&format!("sysvring: {missed} messages were overwritten"))
    );
    assert_eq!(code, 4, "{errors}");
    let all = run(&["ls", "--noheadings", "-o", "name,overwriting"]).ok().out;
    assert!(
        all.lines().any(|line| line.contains(&*name) && line.trim_end().ends_with("yes")),
        "{all}"
    );
    drop(name);
    ipc.assert_clean();
}

#[test]
fn the_mode_is_that_of_the_channel() {
    let ipc = IpcFixture::new();
    let name = Name::new("overwriting");
    let refused = run(&["send", &name, "--overwriting", "x"]);
    assert!(refused.code == 2 && refused.err.contains("--kind broadcast"), "{}", refused.err);
    run(&["send", &name, "--kind", "broadcast", "x"]).ok();
    let refused = run(&[&["recv", &*name], &KIND[..]].concat());
    assert!(
        refused.code == 2 && refused.err.contains("leave --overwriting out"),
        "{}",
        refused.err
    );
    drop(name);
    ipc.assert_clean();
}
