//! The limit of the control group on memory, in both versions of control groups. The files of the
//! kernel are replaced in a mount namespace, which only root may make.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use sysvring::spsc;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Run, is_root};

/// Replaces two files about the shell, which then becomes the command.
const SCRIPT: &str = "mount --bind \"$1/groups\" /proc/$$/cgroup && \
    mount --bind \"$1/mounts\" /proc/$$/mountinfo && shift && exec \"$@\"";

/// A directory with the files of a process in a control group, removed with this value.
struct Groups(PathBuf);

impl Groups {
    fn new() -> Groups {
        let name = Name::new("sysvring-groups");
        Groups(std::env::temp_dir().join(&*name))
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (file, text) in files {
            let file = self.0.join(file);
            fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
            fs::write(file, text).expect("a file");
        }
    }

    /// Returns the verdict of a check of `doctor` and what it found.
    fn check(&self, check: &str) -> (String, String) {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(&self.0);
        unshare.args([env!("CARGO_BIN_EXE_sysvring"), "doctor", "-J"]).stdin(Stdio::null());
        let run = Run::of(unshare.output().expect("unshare(1) of util-linux"));
        let all: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{run:?}"));
        let findings = all["findings"].as_array().expect("findings");
        let found = findings.iter().find(|finding| finding["check"] == check);
        let found = found.unwrap_or_else(|| panic!("no {check} in {}", run.out));
        let text = |key: &str| found[key].as_str().expect("a text").to_owned();
        (text("verdict"), text("found"))
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn both_versions_of_control_groups_are_read() {
    let ipc = IpcFixture::new();
    if !is_root("a control group with a limit") {
        return;
    }
    let groups = Groups::new();
    let (one, two) = (groups.0.join("one"), groups.0.join("two"));
    let mounts = format!(
        "35 31 0:32 / {} rw - cgroup cgroup rw,memory\n41 31 0:38 / {} rw - cgroup2 cgroup2 rw\n",
        one.display(),
        two.display()
    );
    let name = Name::new("large");
    let large: spsc::Sender<u64> = name.options().capacity(1 << 20).create().expect("a channel");
    // The first version: the root of the second has no limit, which is not the answer.
    groups.write(&[
        ("groups", "4:memory:/jobs/a\n0::/\n"),
        ("mounts", &mounts),
        ("one/jobs/a/memory.limit_in_bytes", "4194304\n"),
        ("one/jobs/a/memory.memsw.limit_in_bytes", "4194304\n"),
        ("one/jobs/a/memory.usage_in_bytes", "4190208\n"),
        ("two/cgroup.controllers", "\n"),
    ]);
    let (verdict, found) = groups.check("memory-limit");
    assert_eq!(verdict, "problem", "{found}");
    assert!(found.contains("of 4M"), "{found}");
    let (verdict, found) = groups.check("channel-size");
    assert_eq!(verdict, "note", "{found}");
    assert!(found.contains("larger than the 4M") && found.contains(&*name), "{found}");
    groups.write(&[("one/jobs/a/memory.limit_in_bytes", "9223372036854771712\n")]);
    groups.write(&[("one/jobs/a/memory.memsw.limit_in_bytes", "9223372036854771712\n")]);
    assert_eq!(groups.check("memory-limit").0, "fine");
    // The second version.
    groups.write(&[
        ("groups", "0::/jobs/b\n"),
        ("two/jobs/b/cgroup.controllers", "memory\n"),
        ("two/jobs/memory.max", "4194304\n"),
        ("two/jobs/memory.swap.max", "0\n"),
        ("two/jobs/memory.current", "4190208\n"),
    ]);
    assert_eq!(groups.check("memory-limit").0, "problem");
    // What is not mounted, or not there, was not looked at.
    groups.write(&[("groups", "0::/jobs/gone\n")]);
    let (verdict, found) = groups.check("memory-limit");
    assert!(verdict == "note" && found.starts_with("not checked"), "{found}");
    groups.write(&[("mounts", "23 1 8:1 / / rw - ext4 /dev/sda1 rw\n")]);
    let (verdict, found) = groups.check("memory-limit");
    assert!(verdict == "note" && found.starts_with("not checked"), "{found}");
    drop((large, name));
    ipc.assert_clean();
}
