//! A sandbox that refuses the system calls of which channels consist.

use std::os::unix::process::CommandExt;

use libc::{ENOSYS, EPERM};
use serde_json::Value;
use sysvring::spsc;
use sysvring_support::seccomp_errno;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Run, command, run};

/// The system calls of which a channel consists.
const CALLS: &str = "shmget, shmat, shmdt, shmctl, semget, semtimedop and semctl";

/// Runs the command where one system call is refused.
fn run_without(call: libc::c_long, errno: i32, args: &[&str]) -> Run {
    let mut command = command(args);
    // SAFETY: the child only installs a filter, with a few system calls.
    unsafe { command.pre_exec(move || seccomp_errno::fail(&[call], errno)) };
    Run::of(command.output().expect("it runs"))
}

/// Returns what `doctor` found in a check, and its remedy.
fn finding(run: &Run, check: &str) -> (String, String) {
    let all: Value = serde_json::from_str(&run.out).expect("JSON");
    let findings = all["findings"].as_array().expect("findings");
    let finding = findings.iter().find(|finding| finding["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("no {check} in {}", run.out));
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    (text("found"), text("remedy"))
}

/// Removes what `doctor` made to try the calls and could not remove: the sandbox refused that, too.
fn reap() {
    run(&["reap"]).ok();
}

/// Commands that list channels.
const LISTS: &[&[&str]] = &[
    &["ls"],
    &["metrics"],
    #[cfg(feature = "top")]
    &["top", "--once", "-i", "10ms"],
];

/// An empty list is explained.
#[test]
fn segments_that_cannot_be_attached_are_counted() {
    let ipc = IpcFixture::new();
    let names = ["a", "b"].map(Name::new);
    for name in &names {
        drop(name.options().create::<spsc::Sender<u64>>().expect("a channel"));
    }
    for errno in [EPERM, ENOSYS] {
        for args in LISTS {
            let run = run_without(libc::SYS_shmat, errno, args);
            let note = "sysvring: 2 segments could not be read, as shmat was refused";
            assert!(run.err.starts_with(note) && run.err.contains(CALLS), "{args:?}: {}", run.err);
            assert_eq!(run.err.lines().count(), 1, "{args:?}: {}", run.err);
        }
        let doctor = run_without(libc::SYS_shmat, errno, &["doctor", "-J"]);
        let (found, remedy) = finding(&doctor, "unseen");
        assert!(
            found.starts_with("not checked: 2 segments could not be read, as shmat"),
            "{found}"
        );
        assert!(remedy.ends_with(CALLS), "{remedy}");
        assert!(!doctor.out.contains("sysvring rm") && !doctor.out.contains("`sysvring reap` rem"));
        assert!(!doctor.out.contains("\"unusable\""), "{}", doctor.out);
    }
    for args in LISTS {
        run(args).ok();
    }
    drop(names);
    ipc.assert_clean();
}

/// A set that cannot be looked at is not lost.
#[test]
fn sets_that_cannot_be_looked_at_are_not_removed() {
    let ipc = IpcFixture::new();
    let name = Name::new("unseen");
    let tx: spsc::Sender<u64> = name.options().create().expect("a channel");
    for errno in [EPERM, ENOSYS] {
        let ls = run_without(libc::SYS_semctl, errno, &["ls", "-o", "CHANNEL,STATE"]);
        assert!(ls.out.contains("not checked"), "{}", ls.out);
        let note = "sysvring: 1 semaphore set could not be read, as semctl was refused";
        assert!(ls.err.starts_with(note), "{}", ls.err);
        let stat = run_without(libc::SYS_semctl, errno, &["stat", &format!("id:{}", tx.id())]);
        assert!(stat.out.contains("not checked"), "{}{}", stat.out, stat.err);
        let doctor = run_without(libc::SYS_semctl, errno, &["doctor", "-J"]);
        let (found, _) = finding(&doctor, "unseen");
        assert!(found.starts_with("not checked: 1 semaphore set could"), "{found}");
        assert!(!doctor.out.contains("sysvring rm") && !doctor.out.contains("removed-set"));
    }
    reap();
    drop((tx, name));
    ipc.assert_clean();
}

/// `doctor` names the call that failed, and all that a profile must permit.
#[test]
fn the_refused_call_is_named() {
    let ipc = IpcFixture::new();
    for (call, name) in [
        (libc::SYS_shmget, "shmget"),
        (libc::SYS_shmat, "shmat"),
        (libc::SYS_shmctl, "shmctl"),
        (libc::SYS_semget, "semget"),
        (libc::SYS_semtimedop, "semtimedop"),
        (libc::SYS_semctl, "semctl"),
    ] {
        let doctor = run_without(call, EPERM, &["doctor", "-J"]);
        assert_eq!(doctor.code, 1);
        let (found, remedy) = finding(&doctor, "semaphore-undo");
        let expected = format!("no channel can be created: {name} was refused: ");
        assert!(found.starts_with(&expected), "{found}");
        assert!(remedy.ends_with(CALLS), "{remedy}");
    }
    reap();
    ipc.assert_clean();
}
