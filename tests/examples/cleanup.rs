//! The pipeline leaves nothing, however it ends: by Ctrl-C, or by the death of any of its
//! processes, at any moment.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use crate::ipc_fixture::IpcFixture;
use crate::program::{Folder, Output, Running, example, signal_to};

/// A file of a terabyte of zeros that takes no space.
pub fn endless() -> Folder {
    let folder = Folder::new(&format!("endless-{:?}", thread::current().id()));
    folder.file("zeros", "the first words\n");
    let file = fs::File::options().write(true).open(folder.0.join("zeros")).expect("a file");
    file.set_len(1 << 40).expect("a file system with sparse files");
    folder
}

fn start(folder: &Folder) -> Running {
    Running::start(example("pipeline").arg(&folder.0))
}

/// Returns the running stages of a pipeline, or the processes of a camera: role and process. The second
/// worker is "worker2".
pub fn stages(pipeline: i32) -> HashMap<String, i32> {
    let mut found = HashMap::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if state_and_parent(pid).is_none_or(|(_, parent)| parent != pipeline) {
            continue;
        }
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_option = |word: &[u8]| matches!(word, b"--stage" | b"--role");
        let mut words = line.split(|byte| *byte == 0).skip_while(|word| !is_option(word));
        if let Some(role) = words.nth(1) {
            let mut name = String::from_utf8_lossy(role).into_owned();
            while found.contains_key(&name) {
                name.push('2');
            }
            found.insert(name, pid);
        }
    }
    found
}

/// Returns the state and the parent of a process.
fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // After the name, which is in parentheses and may contain parentheses.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Waits until this number of stages run.
pub fn at_work(pipeline: &Running, ipc: &IpcFixture, all: usize) -> HashMap<String, i32> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let stages = stages(pipeline.pid());
        if stages.len() == all && !ipc.is_clean() {
            // Some messages are processed by then.
            thread::sleep(Duration::from_millis(30));
            return stages;
        }
        assert!(Instant::now() < deadline, "no stages: {stages:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

pub fn assert_gone(processes: impl IntoIterator<Item = i32>) {
    for pid in processes {
        let deadline = Instant::now() + Duration::from_secs(10);
        // The first process may take a while to reap orphans.
        while state_and_parent(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X')) {
            assert!(Instant::now() < deadline, "process {pid} is still alive");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn ctrl_c_ends_all_stages() {
    let ipc = IpcFixture::new();
    let folder = endless();
    let pipeline = start(&folder);
    let stages = at_work(&pipeline, &ipc, 4);
    pipeline.signal_group(libc::SIGINT);
    let Output { end, report, .. } = pipeline.output();
    assert_eq!((end.code(), &*report), (Some(130), ""));
    assert_gone(stages.into_values());
    ipc.assert_clean();
}

#[test]
fn a_signal_to_the_supervisor_alone_ends_all_stages() {
    let ipc = IpcFixture::new();
    let folder = endless();
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143), (libc::SIGHUP, 129)] {
        let pipeline = start(&folder);
        let stages = at_work(&pipeline, &ipc, 4);
        pipeline.signal(signal);
        let Output { end, report, .. } = pipeline.output();
        assert_eq!((end.code(), &*report), (Some(code), ""));
        assert_gone(stages.into_values());
        ipc.assert_clean();
    }
}

#[test]
fn ctrl_c_at_any_moment_leaves_nothing() {
    let ipc = IpcFixture::new();
    let folder = endless();
    for n in 0..40 {
        let mut pipeline = start(&folder);
        thread::sleep(Duration::from_micros(n * 600));
        pipeline.signal_group(libc::SIGINT);
        // A signal that arrives while the handler is being installed neither kills nor is noticed,
        // once in some ten thousand cases: it is sent again.
        if !pipeline.ends_within(Duration::from_secs(10)) {
            pipeline.signal_group(libc::SIGINT);
        }
        let Output { end, report, .. } = pipeline.output();
        // Before its handler is installed, the signal kills it; there are no stages yet.
        assert!(end.code() == Some(130) || end.signal() == Some(libc::SIGINT), "{end}");
        assert_eq!(report, "");
        ipc.assert_clean();
    }
}

#[test]
fn a_killed_reader_or_collector_ends_the_pipeline() {
    let ipc = IpcFixture::new();
    let folder = endless();
    for role in ["reader", "collector"] {
        let pipeline = start(&folder);
        let stages = at_work(&pipeline, &ipc, 4);
        let victim = stages[role];
        signal_to(victim, libc::SIGKILL);
        let Output { end, report, errors } = pipeline.output();
        assert_eq!((end.code(), &*report), (Some(1), ""), "{role} killed");
        let sentence = format!("the {role} (process {victim}) was killed by signal 9");
        assert!(errors.contains(&sentence) && errors.lines().count() == 1, "{errors}");
        assert_gone(stages.into_values());
        ipc.assert_clean();
    }
}

#[test]
fn a_reader_or_collector_killed_at_any_moment_leaves_nothing() {
    let ipc = IpcFixture::new();
    let folder = endless();
    let mut killed = 0;
    for n in 0..40 {
        let pipeline = start(&folder);
        let deadline = Instant::now() + Duration::from_secs(20);
        let role = ["reader", "collector"][n % 2];
        let victim = loop {
            if let Some(victim) = stages(pipeline.pid()).get(role) {
                break *victim;
            }
            assert!(Instant::now() < deadline, "no {role}");
        };
        thread::sleep(Duration::from_micros(n as u64 / 2 * 150));
        signal_to(victim, libc::SIGKILL);
        let Output { end, report, errors } = pipeline.output();
        assert_eq!((end.code(), &*report), (Some(1), ""), "{role} killed");
        killed +=
            usize::from(errors.contains(&format!("the {role} (process {victim}) was killed")));
        ipc.assert_clean();
    }
    assert_eq!(killed, 40, "each reported with its role and process");
}

#[test]
fn all_stages_killed_leave_nothing() {
    let ipc = IpcFixture::new();
    let folder = endless();
    let pipeline = start(&folder);
    let stages = at_work(&pipeline, &ipc, 4);
    for victim in stages.values() {
        signal_to(*victim, libc::SIGSTOP);
    }
    for victim in stages.values() {
        signal_to(*victim, libc::SIGKILL);
    }
    let Output { end, report, errors } = pipeline.output();
    assert_eq!((end.code(), &*report), (Some(1), ""));
    assert!(errors.contains("was killed by signal 9"), "{errors}");
    ipc.assert_clean();
}

#[test]
fn stages_do_not_outlive_their_supervisor() {
    let ipc = IpcFixture::new();
    let folder = endless();
    let mut pipeline = start(&folder);
    let stages = at_work(&pipeline, &ipc, 4);
    pipeline.signal(libc::SIGKILL);
    pipeline.end();
    assert_gone(stages.into_values());
    ipc.assert_clean();
}

#[test]
fn a_stopped_stage_does_not_keep_the_others_alive() {
    let ipc = IpcFixture::new();
    let folder = endless();
    let pipeline = start(&folder);
    let stages = at_work(&pipeline, &ipc, 4);
    signal_to(stages["reader"], libc::SIGSTOP);
    // The other stages have nothing to do any more, and are parked.
    thread::sleep(Duration::from_millis(100));
    signal_to(stages["collector"], libc::SIGKILL);
    let Output { end, errors, .. } = pipeline.output();
    assert_eq!(end.code(), Some(1));
    assert!(errors.contains("the collector (process"), "{errors}");
    assert_gone(stages.into_values());
    ipc.assert_clean();
}
