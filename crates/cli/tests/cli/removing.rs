//! `rm` and `reap`.

use sysvring::{mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, command, is_gone, run, until};

#[test]
fn rm_removes_what_nobody_uses() {
    let ipc = IpcFixture::new();
    let (a, b) = (Name::new("a"), Name::new("b"));
    let mut tx: spsc::Sender<u64> = a.options().create().expect("a channel");
    tx.send(&7).expect("sent");
    drop(tx);
    drop(b.options().create::<mpmc::Sender<u64>>().expect("a channel"));
    let out = run(&["rm", "--verbose", &a, &b]).ok().out;
    assert_eq!(
        out,
        format!("removed \"{}\", with 1 message\nremoved \"{}\", with 0 messages\n", &*a, &*b)
    );
    assert!(is_gone(&*a) && is_gone(&*b));
    ipc.assert_clean();
}

#[test]
fn rm_asks_for_force_while_members_live() {
    let ipc = IpcFixture::new();
    let (used, idle) = (Name::new("used"), Name::new("idle"));
    let tx: spsc::Sender<u64> = used.options().create().expect("a channel");
    drop(idle.options().create::<spsc::Sender<u64>>().expect("a channel"));
    let refused = run(&["rm", &used, &idle]);
    assert_eq!(refused.code, 1);
    let me = format!("process {} (sender)", std::process::id());
    assert!(refused.err.contains(&me) && refused.err.contains("--force"), "{}", refused.err);
    assert!(!is_gone(&*used) && is_gone(&*idle), "the other one is removed all the same");
    run(&["rm", "-f", &used, &idle]).ok();
    assert!(is_gone(&*used));
    assert!(run(&["rm", &used]).err.contains("sysvring ls"));
    drop(tx);
    ipc.assert_clean();
}

#[test]
fn reap_removes_what_a_killed_process_left() {
    let ipc = IpcFixture::new();
    let (lost, kept) = (Name::new("lost"), Name::new("kept"));
    for (name, lifetime) in [(&lost, "--temporary"), (&kept, "--capacity=8")] {
        let mut member = Running::start(command(&["recv", name, lifetime]));
        until(|| sysvring::stat(&**name).is_ok_and(|stat| stat.members.iter().any(|m| m.alive)));
        member.signal(libc::SIGKILL);
        assert_eq!(member.end(), 128 + libc::SIGKILL);
    }
    let dry = run(&["reap", "-n", "-o", "NAME"]).ok().out;
    assert_eq!(dry, format!("NAME\n{}\n", &*lost));
    assert!(!is_gone(&*lost), "nothing was removed");
    let out = run(&["reap", "-o", "NAME"]).ok().out;
    assert_eq!(out, format!("NAME\n{}\n", &*lost));
    assert!(is_gone(&*lost) && !is_gone(&*kept));
    assert_eq!(run(&["reap"]).ok().out, "");
    assert!(run(&["reap", "-J"]).ok().out.contains("\"reaped\": []"));
    drop((lost, kept));
    ipc.assert_clean();
}
