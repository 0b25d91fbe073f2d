//! The command in a PID namespace of its own, such as that of a container: it names no process that is
//! not visible there, and none that has its number there by chance.

use std::process::{Command, Stdio};

use sysvring::{mpmc, spsc};
use sysvring_support::raw_ipc;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Run, Running, run, until_member};

/// Runs the command as the first process of a new PID namespace.
fn run_inside(args: &[&str]) -> Run {
    let mut unshare = Command::new("unshare");
    if raw_ipc::me() != 0 {
        unshare.args(["--user", "--map-current-user"]);
    }
    unshare.args(["--pid", "--fork", env!("CARGO_BIN_EXE_sysvring")]).args(args);
    Run::of(unshare.stdin(Stdio::null()).output().expect("unshare(1) of util-linux"))
}

#[test]
fn members_outside_have_no_pid() {
    let ipc = IpcFixture::new();
    let name = Name::fixed("golden-outside");
    let tx: spsc::Sender<u64> = name.options().label("outside").create().expect("a sender");
    let me = std::process::id().to_string();
    let out = run(&["stat", "-m", "-r", "-o", "ROLE,PID", &name]).ok().out;
    assert_eq!(out, format!("ROLE PID\nsender {me}\n"));
    let out = run_inside(&["stat", "-m", "-r", "-o", "ROLE,PID,COMMAND,LABEL", &name]).ok().out;
    assert_eq!(out, "ROLE PID COMMAND LABEL\nsender - - outside\n");
    let out = run_inside(&["stat", "-J", "-m", &name]).ok().out;
    assert!(out.contains("\"pid\": null") && out.contains("\"command\": null"), "{out}");
    let out = run_inside(&["metrics"]).ok().out;
    assert!(out.contains("pid=\"0\"") && !out.contains(&format!("pid=\"{me}\"")), "{out}");
    let refused = run_inside(&["rm", &name]);
    assert!(refused.err.contains("by a process in another PID namespace (sender)"), "{refused:?}");
    let taken = run_inside(&["send", "--no-create", "--kind", "spsc", &name]);
    assert!(!taken.err.contains(&me) && !taken.err.contains("process 0"), "{taken:?}");
    drop((tx, name));
    drop(ipc);
}

#[test]
fn a_sender_that_was_killed_outside_has_no_pid() {
    let ipc = IpcFixture::new();
    let name = Name::fixed("golden-killed-outside");
    let rx: mpmc::Receiver<[u8]> = name.options().slot_size(16).create().expect("a receiver");
    let mut sender = Running::piped(&["send", "--no-create", &name]);
    until_member(&name, |member| member.alive && member.role == sysvring::Role::Sender);
    sender.signal(libc::SIGKILL);
    sender.end();
    let killed = run_inside(&["recv", "--no-create", &name]);
    assert_eq!(killed.code, 3, "{killed:?}");
    let who = "a sender was killed: a process in another PID namespace after 0 messages";
    assert!(killed.err.contains(who), "{killed:?}");
    drop((rx, name));
    drop(ipc);
}
