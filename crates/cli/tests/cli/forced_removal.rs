//! `kernel.shm_rmid_forced`, with which the kernel removes segments that no process has attached. Only
//! root may set it, in an IPC namespace of its own.

use std::fs;

use serde_json::Value;
use sysvring::spsc;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, may_change_settings, run};

const SETTING: &str = "/proc/sys/kernel/shm_rmid_forced";

/// Returns what `stat -J` prints about it.
fn is_lost(name: &str) -> Value {
    let stat = run(&["stat", "-J", name]).ok().out;
    let stat: Value = serde_json::from_str(&stat).expect("JSON");
    stat["channel"]["lost_without_members"].clone()
}

#[test]
fn the_channels_that_are_lost_are_named() {
    let ipc = IpcFixture::new();
    let name = Name::new("kept");
    let tx: spsc::Sender<u64> = name.options().create().expect("a sender");
    assert_eq!(is_lost(&name), false);
    let text = |yes| format!("lost-without-members  {yes}\n");
    assert!(run(&["stat", &name]).ok().out.contains(&text("no")));
    if may_change_settings("kernel.shm_rmid_forced") {
        fs::write(SETTING, "1").expect("a setting of this namespace");
        let (json, stat) = (is_lost(&name), run(&["stat", &name]).ok().out);
        let doctor = run(&["doctor", "-q"]).out;
        let other = run(&["send", "another", "--kind", "mpmc"]);
        let temporary = run(&["send", "another", "--temporary"]);
        fs::write(SETTING, "0").expect("a setting of this namespace");
        assert_eq!(json, true);
        assert!(stat.contains(&text("yes")), "{stat}");
        let line = doctor.lines().find(|line| line.contains("forced-removal")).expect("a problem");
        assert!(line.contains(&format!("kept channels that are lost so: {}", &*name)), "{doctor}");
        assert_eq!((other.code, temporary.code), (2, 0), "{}{}", other.err, temporary.err);
        let err = other.err;
        assert!(err.starts_with("sysvring: channel \"another\": kernel.shm_rmid_forced"), "{err}");
        assert!(err.contains("--temporary") && !err.contains("Lifetime"), "{err}");
    }
    drop((tx, name));
    ipc.assert_clean();
}
