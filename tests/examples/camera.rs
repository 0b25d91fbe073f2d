//! The camera's frames reach its display and its recorders in place, and nothing stays behind.

use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

use crate::cleanup::{assert_gone, at_work, stages};
use crate::ipc_fixture::IpcFixture;
use crate::program::{Output, Running, example, run, signal_to};

/// The parts of a report.
struct Report {
    /// For each recorder that was killed: the last frame that it recorded, and the first one of its
    /// successor.
    successions: Vec<(u64, u64)>,
    recorded: u64,
    missed: u64,
    killed: u64,
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

/// Checks the report of a run of so many frames.
fn checked(output: &Output, frames: u64) -> Report {
    let Output { end, report, errors } = output;
    assert!(end.success() && errors.is_empty(), "{end}\n{report}{errors}");
    let (mut successions, mut last, mut lines) = (Vec::new(), None, Vec::new());
    for line in report.lines() {
        let words: Vec<&str> = line.split([' ', ';', ',']).filter(|w| !w.is_empty()).collect();
        match words[..] {
            [
                "recorder",
                "killed",
                "after",
                "frame",
                dead,
                "its",
                "successor",
                "began",
                "at",
                first,
            ] => {
                successions.push((number(dead), number(first)));
            }
            [
                "recorded",
                recorded,
                "of",
                all,
                "frames",
                ..,
                missed,
                "missed",
                killed,
                "of",
                _,
                "recorders",
                "killed",
            ] => {
                assert_eq!(number(all), frames);
                let [recorded, missed, killed] = [recorded, missed, killed].map(number);
                last = Some((recorded, missed, killed));
            }
            _ => lines.push(line),
        }
    }
    let (recorded, missed, killed) = last.unwrap_or_else(|| panic!("no summary:\n{report}"));
    assert_eq!(recorded + missed, frames, "{report}");
    let mut roles: Vec<&str> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
    roles.sort_unstable();
    // A recorder that was killed at the end may have no successor that finds the channel.
    assert!(matches!(roles[..], ["display", "producer"] | ["display", "producer", "recorder"]));
    for line in lines {
        let is_last = line.starts_with("recorder");
        assert!(line.contains(&format!(": {frames} frames")) || is_last && killed != 0, "{line}");
        assert!(line.ends_with(" 0 copied"), "{line}");
        assert!(line.contains(" 0 dropped, ") || line.starts_with("producer"), "{line}");
    }
    Report { successions, recorded, missed, killed }
}

#[test]
fn frames_reach_both_receivers_in_place() {
    let ipc = IpcFixture::new();
    for (size, frames) in [("1x1", 40), ("321x123", 40), ("1920x1080", 20)] {
        let output =
            run("camera", &["--size", size, "--frames", &frames.to_string(), "--rate", "100"]);
        let report = checked(&output, frames);
        assert_eq!((report.recorded, report.missed, report.killed), (frames, 0, 0));
    }
    ipc.assert_clean();
}

#[test]
fn a_killed_recorder_has_a_successor_that_goes_on() {
    let ipc = IpcFixture::new();
    let options = ["--frames", "200", "--size", "64x64", "--rate", "100", "--kill", "6"];
    let report = checked(&run("camera", &options), 200);
    assert_eq!((report.killed, report.successions.len()), (6, 6));
    for (dead, first) in report.successions {
        // Later only if it was away for longer than the ring lasts, on a busy machine.
        assert!(first == dead || first == dead + 1 || report.missed > 0, "{first} after {dead}");
        assert!(first >= dead, "{first} after {dead}: it does not go on where the dead one was");
    }
    ipc.assert_clean();
}

#[test]
fn a_successor_that_comes_late_reports_what_it_missed() {
    let ipc = IpcFixture::new();
    let options =
        ["--frames", "150", "--size", "64x64", "--rate", "100", "--kill", "1", "--away", "400"];
    let report = checked(&run("camera", &options), 150);
    // 40 frames, of which the ring had kept a part.
    assert!((20..75).contains(&report.missed), "{}", report.missed);
    assert_eq!(report.successions.len(), 1);
    let (dead, first) = report.successions[0];
    assert!((dead + report.missed..=dead + report.missed + 1).contains(&first));
    ipc.assert_clean();
}

/// The recorder is twice as slow as the camera, and nobody waits for it.
#[test]
fn a_slow_recorder_slows_nobody_down() {
    let ipc = IpcFixture::new();
    let options = ["--frames", "150", "--size", "64x64", "--rate", "100", "--overwriting"];
    let output = run("camera", &options);
    assert!(output.end.success(), "{}{}", output.report, output.errors);
    let all = |text: &str| output.report.matches(text).count();
    assert_eq!(all("display: 150 frames, 0 dropped"), 1, "{}", output.report);
    let missed = output.report.split_once("of them twice; ").and_then(|(_, rest)| {
        let (missed, _) = rest.split_once(" missed")?;
        missed.parse::<u64>().ok()
    });
    assert!((40..110).contains(&missed.expect("a number")), "{}", output.report);
    ipc.assert_clean();
}

/// One that takes minutes.
fn long() -> Running {
    Running::start(example("camera").args(["--size", "64x64", "--frames", "6000"]))
}

#[test]
fn ctrl_c_ends_all_processes() {
    let ipc = IpcFixture::new();
    let to_group = |camera: &Running| camera.signal_group(libc::SIGINT);
    let to_supervisor = |camera: &Running| camera.signal(libc::SIGTERM);
    for (stop, code) in [(to_group as fn(&Running), 130), (to_supervisor as fn(&Running), 143)] {
        let camera = long();
        let processes = at_work(&camera, &ipc, 3);
        stop(&camera);
        let Output { end, report, .. } = camera.output();
        assert_eq!((end.code(), &*report), (Some(code), ""));
        assert_gone(processes.into_values());
        ipc.assert_clean();
    }
}

#[test]
fn ctrl_c_at_any_moment_leaves_nothing() {
    let ipc = IpcFixture::new();
    for n in 0..30 {
        let mut camera = long();
        thread::sleep(Duration::from_micros(n * 800));
        camera.signal_group(libc::SIGINT);
        // A signal that arrives while the handler is being installed is sent again.
        if !camera.ends_within(Duration::from_secs(10)) {
            camera.signal_group(libc::SIGINT);
        }
        let Output { end, report, .. } = camera.output();
        // Before its handler is installed, the signal kills it; there are no other processes yet.
        assert!(end.code() == Some(130) || end.signal() == Some(libc::SIGINT), "{end}");
        assert_eq!(report, "");
        ipc.assert_clean();
    }
}

#[test]
fn a_process_that_others_kill_ends_all_and_is_named() {
    let ipc = IpcFixture::new();
    for role in ["producer", "display", "recorder"] {
        let camera = long();
        let processes = at_work(&camera, &ipc, 3);
        let victim = processes[role];
        signal_to(victim, libc::SIGKILL);
        let Output { end, report, errors } = camera.output();
        assert_eq!((end.code(), &*report), (Some(1), ""), "{role} killed: {errors}");
        let sentence = format!("the {role} (process {victim}) was killed by signal 9");
        assert!(errors.contains(&sentence), "{errors}");
        assert_gone(processes.into_values());
        ipc.assert_clean();
    }
}

#[test]
fn processes_do_not_outlive_their_supervisor() {
    let ipc = IpcFixture::new();
    let mut camera = long();
    let processes = at_work(&camera, &ipc, 3);
    assert_eq!(stages(camera.pid()).len(), 3);
    camera.signal(libc::SIGKILL);
    camera.end();
    assert_gone(processes.into_values());
    ipc.assert_clean();
}

#[test]
fn a_size_that_is_none_is_one_sentence() {
    for size in ["0x10", "10", "10x", "99999x1", "wide"] {
        let Output { end, report, errors } = run("camera", &["--size", size]);
        assert_eq!((end.code(), &*report), (Some(2), ""), "{errors}");
        assert!(errors.contains("not like 1920x1080"), "{errors}");
    }
}
