//! `doctor`.

use std::fs;

use serde_json::Value;
use sysvring::{Address, spsc};
use sysvring_support::raw_ipc::{self, chmod_segment, chmod_set, remove_segment};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{
    NOBODY, Name, Running, command, is_root, may_change_settings, run, run_as_another_user,
    unreadable, until,
};

/// Returns the verdict of a check.
fn verdict(checks: &Value, check: &str) -> String {
    let findings = checks["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} in {checks}"))["verdict"]
        .as_str()
        .expect("a word")
        .into()
}

fn findings() -> Value {
    serde_json::from_str(&run(&["doctor", "-J"]).out).expect("JSON")
}

#[test]
fn every_check_has_a_verdict() {
    let ipc = IpcFixture::new();
    let all = findings();
    for check in [
        "ipc-namespace",
        "segments",
        "segment-memory",
        "semaphore-sets",
        "semaphores",
        "semaphore-limits",
        "message-queues",
        "forced-removal",
        "semaphore-undo",
        "wait-sets",
        "membarrier",
        "pidfd",
        "logout",
        "locked-memory",
        "memory-limit",
        "huge-pages",
        "channels",
        "leftovers",
    ] {
        verdict(&all, check);
    }
    assert_eq!(verdict(&all, "semaphore-undo"), "fine");
    let prose = run(&["doctor"]).out;
    assert!(prose.contains("semaphore-undo"), "{prose}");
    ipc.assert_clean();
}

/// `ls` still shows it, and `doctor` says which modes it has now.
#[test]
fn a_changed_mode_is_noted() {
    let ipc = IpcFixture::new();
    let name = Name::new("chmod");
    let tx: spsc::Sender<u64> = name.options().create().expect("a sender");
    let set = name.stat().set.expect("a set").id;
    for (segment_mode, set_mode) in [(0o660, 0o601), (0o601, 0o644), (0o666, 0o666)] {
        chmod_segment(tx.id().segment(), segment_mode);
        chmod_set(set, set_mode);
        assert!(run(&["ls"]).out.contains(&*name), "{segment_mode:o}, {set_mode:o}");
        assert_eq!(verdict(&findings(), "changed-mode"), "note");
        let modes = format!("segment {segment_mode:03o}, set {set_mode:03o}");
        assert!(run(&["doctor"]).out.contains(&modes), "{modes}");
    }
    chmod_segment(tx.id().segment(), 0o601);
    chmod_set(set, 0o601);
    assert!(!run(&["doctor"]).out.contains("changed-mode"));
    drop((tx, name));
    ipc.assert_clean();
}

/// A mode that was narrowed takes access away, which is a problem for the owner's own members.
#[test]
fn a_narrowed_mode_is_told_from_a_widened_one() {
    let ipc = IpcFixture::new();
    let name = Name::new("narrow");
    let tx: spsc::Sender<u64> = name.options().create().expect("a sender");
    let (segment, set) = (tx.id().segment(), name.stat().set.expect("a set").id);
    for (segment_mode, set_mode, verdict, found, remedy) in [
        (0o601, 0o400, "problem", "members that are not root lose access", "restore the mode"),
        (0o000, 0o601, "problem", "(PermissionLost)", "at least 0600"),
        (0o600, 0o600, "note", "nobody got or lost access", "goes on to work"),
        (0o666, 0o666, "note", "others may have got access", "goes on to work"),
    ] {
        chmod_segment(segment, segment_mode);
        chmod_set(set, set_mode);
        // As another user it could not read them.
        if verdict == "problem" && !is_root("a mode that was narrowed for its owner") {
            continue;
        }
        let all = run(&["doctor"]).out;
        let lines: Vec<&str> =
            all.lines().skip_while(|line| !line.contains("changed-mode")).collect();
        assert!(lines[0].starts_with(verdict) && lines[0].contains(found), "{all}");
        assert!(lines[1].contains(remedy), "{all}");
    }
    drop((tx, name));
    ipc.assert_clean();
}

/// A segment that its own user cannot read may be a channel: its set is not left over.
#[test]
fn an_unreadable_segment_is_not_a_missing_one() {
    let ipc = IpcFixture::new();
    if !is_root("a segment that its user cannot read") {
        return;
    }
    let name = Name::new("closed");
    run_as_another_user(&["send", &name]).ok();
    let address = Address::Name { name: name.0.clone(), uid: NOBODY };
    let segment = sysvring::stat(&address).expect("a channel").segment.id;
    raw_ipc::chown_segment(segment, NOBODY, 0);
    let doctor = run_as_another_user(&["doctor", "-q"]).out;
    assert!(
        doctor.contains(&format!("its segment {segment} cannot be read (mode 0000)")),
        "{doctor}"
    );
    assert!(doctor.contains("restore the mode") && !doctor.contains("reap"), "{doctor}");
    sysvring::remove(&address).expect("removed");
    ipc.assert_clean();
}

/// A problem makes the exit code 1, and comes with what to do.
#[test]
fn a_killed_sender_is_a_problem() {
    let ipc = IpcFixture::new();
    let name = Name::new("doctor");
    let rx: spsc::Receiver<[u8]> = name.options().create().expect("a receiver");
    let mut send = command(&["send", &name]);
    send.stdin(std::process::Stdio::piped());
    let mut send = Running::start(send);
    until(|| name.stat().members.iter().filter(|m| m.alive).count() == 2);
    send.signal(libc::SIGKILL);
    send.end();
    let run = run(&["doctor", "--quiet"]);
    assert_eq!(run.code, 1, "{}", run.out);
    assert!(
        run.out.contains("killed-sender") && run.out.contains("-> start it again"),
        "{}",
        run.out
    );
    assert!(run.out.contains("killed, or exited without closing its handle"), "{}", run.out);
    assert_eq!(verdict(&findings(), "killed-sender"), "problem");
    drop((rx, name));
    ipc.assert_clean();
}

/// A bridge is a member whose label says so: it is at work, holds up the senders, or was killed.
#[test]
fn bridges_are_reported() {
    let ipc = IpcFixture::new();
    let name = Name::new("bridged");
    let mut tx: spsc::Sender<u64> = name.options().capacity(2).create().expect("a sender");
    let report = || {
        let all = findings();
        let findings = all["findings"].as_array().expect("findings").iter();
        let bridges = findings.filter(|finding| finding["check"] == "bridges");
        bridges.map(|f| (f["verdict"].to_string(), f["found"].to_string())).collect::<Vec<_>>()
    };
    assert!(report().is_empty());

    // `recv` holds what it cannot write.
    let mut bridge = command(&["recv", &name, "--label", "bridge frames"]);
    bridge.stdout(std::process::Stdio::null());
    let mut bridge = Running::start(bridge);
    until(|| name.stat().members.iter().filter(|m| m.alive).count() == 2);
    let [(verdict, found)] = &report()[..] else { panic!("{:?}", report()) };
    assert!(verdict.contains("fine") && found.contains("carries channel"), "{found}");
    assert!(found.contains("bridge frames (process"), "{found}");

    bridge.signal(libc::SIGSTOP);
    tx.send_batch(&[1, 2]).expect("room for two");
    let [(verdict, found)] = &report()[..] else { panic!("{:?}", report()) };
    assert!(verdict.contains("note") && found.contains("2 messages to go"), "{found}");
    assert!(found.contains("its senders wait"), "{found}");

    bridge.signal(libc::SIGKILL);
    bridge.end();
    let [(verdict, found)] = &report()[..] else { panic!("{:?}", report()) };
    assert!(verdict.contains("problem") && found.contains("2 messages wait"), "{found}");
    drop((tx, name));
    ipc.assert_clean();
}

/// What is left over is one finding, not another one for each of its objects.
#[test]
fn a_leftover_is_one_finding() {
    let ipc = IpcFixture::new();
    let name = Name::new("left");
    drop(name.options().create::<spsc::Sender<u64>>().expect("a channel"));
    // Its set is left.
    remove_segment(name.stat().segment.id).expect("removed");
    let run = run(&["doctor", "--quiet"]);
    let left: Vec<&str> = run.out.lines().filter(|line| line.starts_with("problem")).collect();
    assert_eq!(left.len(), 1, "{}", run.out);
    assert!(left[0].contains("leftovers"), "{}", run.out);
    // No process died: this one closed its handle, and lives.
    let what = "1 channel, set or queue is left over, by dead processes or after a removal by hand";
    assert!(left[0].contains(what) && !left[0].contains("processes left"), "{}", run.out);
    drop(name);
    ipc.assert_clean();
}

/// All that another user owns and hides is one note.
#[test]
fn what_may_not_be_read_is_one_note() {
    let ipc = IpcFixture::new();
    let names = ["a", "b", "c"].map(Name::new);
    for name in &names {
        drop(name.options().create::<spsc::Sender<u64>>().expect("a channel"));
        unreadable(&name.stat());
    }
    let run = run_as_another_user(&["doctor", "-J"]);
    let all: Value = serde_json::from_str(&run.out).expect("JSON");
    let findings = all["findings"].as_array().expect("findings");
    let notes: Vec<_> =
        findings.iter().filter(|finding| finding["check"] == "unreadable").collect();
    assert_eq!(notes.len(), 1, "{}", run.out);
    let found = notes[0]["found"].as_str().expect("a text");
    assert!(found.starts_with("6 segments and sets of "), "{found}");
    assert!(findings.iter().all(|finding| finding["check"] != "unusable"), "{}", run.out);
    drop(names);
    ipc.assert_clean();
}

/// The settings of the kernel in an IPC namespace of its own: only root may change them.
#[test]
fn the_kernels_settings_are_checked() {
    let ipc = IpcFixture::new();
    let settings = [
        ("shm_rmid_forced", "1", "forced-removal"),
        ("shmmni", "1", "segments"),
        ("sem", "100 32000 500 32000", "semaphore-limits"),
    ];
    let name = Name::new("doctor");
    let tx: spsc::Sender<u64> = name.options().create().expect("a sender");
    let may_set = may_change_settings("settings of the kernel that are too small");
    for (setting, value, check) in settings {
        assert_eq!(verdict(&findings(), check), "fine");
        // Without a namespace of its own, or without root, there is nothing to change.
        if !may_set {
            continue;
        }
        let path = format!("/proc/sys/kernel/{setting}");
        let before = fs::read_to_string(&path).expect("a setting");
        fs::write(&path, value).expect("a setting of this namespace");
        let ill = run(&["doctor", "-J"]);
        fs::write(&path, before.trim()).expect("a setting of this namespace");
        let ill_findings: Value = serde_json::from_str(&ill.out).expect("JSON");
        assert_eq!(verdict(&ill_findings, check), "problem", "{check}");
        assert_eq!(ill.code, 1);
    }
    drop((tx, name));
    ipc.assert_clean();
}

/// From outside, `--pid` sees the channels of a process in another IPC namespace.
#[test]
fn another_namespace_is_looked_into() {
    let outside = IpcFixture::new();
    let (to_thread, wait) = std::sync::mpsc::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let inside = std::thread::spawn(move || {
        let ipc = IpcFixture::new();
        let name = Name::new("inside");
        let tx: spsc::Sender<u64> = name.options().create().expect("a sender");
        let idle = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        ready.send(idle.id()).expect("a receiver");
        let _ = wait.recv();
        drop(Running(idle));
        drop((tx, name));
        ipc.assert_clean();
    });
    let pid = is_ready.recv().expect("a process").to_string();
    let looked = run(&["doctor", "--pid", &pid, "-J"]);
    drop(to_thread);
    inside.join().expect("a thread");
    let checks: Value = serde_json::from_str(&looked.out).expect("JSON");
    let found = |check: &str| {
        let findings = checks["findings"].as_array().expect("findings");
        let found = findings.iter().find(|finding| finding["check"] == check).expect("a check");
        found["found"].as_str().expect("a text").to_owned()
    };
    assert_eq!(found("channels"), "there is 1 channel", "{}", looked.out);
    assert!(found("ipc-namespace").contains(&pid), "{}", looked.out);
    assert_eq!(run(&["doctor", "--pid", "4194304"]).code, 1);
    outside.assert_clean();
}
