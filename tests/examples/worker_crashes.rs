//! Workers of the pipeline are killed, by itself and by others, and its counts stay correct.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sysvring::Options;
use sysvring::mpmc::{Receiver, Sender};

use crate::cleanup::{at_work, endless, stages};
use crate::ipc_fixture::IpcFixture;
use crate::messages::{Counts, Lines, entries, pack};
use crate::pipeline::{assert_equal, expected, reported};
use crate::program::{Folder, Output, Running, example, run, signal_to};
use crate::words::{Tally, words};

/// The length of a block of the text.
const BLOCK: &str = "4096";

/// The job takes a good part of a second, more if the examples are not optimised.
const LINES: u32 = if cfg!(debug_assertions) { 200_000 } else { 3_000_000 };

fn text() -> (Folder, Vec<u8>) {
    let folder = Folder::new(&format!("text-{:?}", thread::current().id()));
    let mut text = Vec::new();
    for n in 0..LINES {
        text.extend_from_slice(format!("line {n}, of {} and of all\r\n", n % 1000).as_bytes());
        text.extend_from_slice(&[b' '; 8][..n as usize % 8]);
    }
    folder.file("text", &text);
    (folder, text)
}

fn pipeline(folder: &Folder, options: &[&str]) -> Running {
    let fixed = ["--slot-size", BLOCK];
    Running::start(example("pipeline").args(fixed).args(options).arg(&folder.0))
}

#[test]
fn any_number_of_workers_counts_right() {
    let ipc = IpcFixture::new();
    let (folder, text) = text();
    let expected = expected(&[text]);
    for workers in ["1", "2", "4"] {
        let output = pipeline(&folder, &["--workers", workers]).output();
        assert_equal(&output);
        assert_eq!(reported(&output), expected, "{workers} workers");
        let quiet = "\n0 messages delivered again, 0 counts that came twice left out\n";
        assert!(output.report.contains(quiet), "{}", output.report);
        assert!(!output.report.contains("killed"), "{}", output.report);
    }
    ipc.assert_clean();
}

#[test]
fn killed_workers_make_no_difference() {
    let ipc = IpcFixture::new();
    let (folder, text) = text();
    let expected = expected(&[text]);
    for (workers, kills, slots) in [("1", 3, "64"), ("2", 3, "64"), ("4", 12, "2")] {
        let options = ["--workers", workers, "--kill", &kills.to_string(), "--slots", slots];
        let output = pipeline(&folder, &options).output();
        assert_equal(&output);
        assert_eq!(reported(&output), expected, "{workers} workers");
        let last = format!("\nkilled {kills} of {kills} workers at work, and replaced them\n");
        assert!(output.report.ends_with(&last), "{}", output.report);
    }
    ipc.assert_clean();
}

#[test]
fn too_little_to_kill_for_is_told() {
    let ipc = IpcFixture::new();
    let folder = Folder::new("little");
    folder.file("one", "one line\n");
    // No worker has joined when the reader ends.
    let output = run("pipeline", &["--kill", "1000", folder.0.to_str().expect("a name")]);
    assert_equal(&output);
    let last = output.report.lines().last().expect("a line");
    assert!(last.starts_with("killed ") && last.contains(" of 1000 workers at work: "), "{last}");
    ipc.assert_clean();
}

/// Kills all workers, and waits for their replacements.
fn kill_all_workers(pipeline: &Running) {
    let is_worker = |(name, _): &(String, i32)| name.starts_with("worker");
    let victims: Vec<_> = stages(pipeline.pid()).into_iter().filter(is_worker).collect();
    assert_eq!(victims.len(), 2);
    // All at the same moment, so that no worker can take over.
    for signal in [libc::SIGSTOP, libc::SIGKILL] {
        victims.iter().for_each(|(_, victim)| signal_to(*victim, signal));
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let now: Vec<_> = stages(pipeline.pid()).into_iter().filter(is_worker).collect();
        let is_new = |(_, worker): &(String, i32)| victims.iter().all(|(_, old)| old != worker);
        if now.len() == 2 && now.iter().all(is_new) {
            return;
        }
        assert!(Instant::now() < deadline, "workers {victims:?} are not replaced: {now:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn all_workers_killed_at_once_are_replaced() {
    let ipc = IpcFixture::new();
    let (folder, text) = text();
    let pipeline = pipeline(&folder, &[]);
    at_work(&pipeline, &ipc, 4);
    kill_all_workers(&pipeline);
    let output = pipeline.output();
    assert_equal(&output);
    assert_eq!(reported(&output), expected(&[text]));
    ipc.assert_clean();
}

#[test]
fn ctrl_c_ends_those_that_came_later_too() {
    let ipc = IpcFixture::new();
    let folder = endless();
    let pipeline = pipeline(&folder, &[]);
    at_work(&pipeline, &ipc, 4);
    kill_all_workers(&pipeline);
    pipeline.signal_group(libc::SIGINT);
    let Output { end, report, .. } = pipeline.output();
    assert_eq!((end.code(), &*report), (Some(130), ""));
    ipc.assert_clean();
}

#[test]
fn a_worker_that_is_told_to_end_ends_the_pipeline() {
    let ipc = IpcFixture::new();
    let folder = endless();
    let pipeline = pipeline(&folder, &[]);
    let worker = at_work(&pipeline, &ipc, 4)["worker"];
    signal_to(worker, libc::SIGTERM);
    let Output { end, report, errors } = pipeline.output();
    assert_eq!((end.code(), &*report), (Some(1), ""));
    let sentence = format!("the worker (process {worker}) was killed by signal 15");
    assert!(errors.contains(&sentence), "{errors}");
    ipc.assert_clean();
}

/// The variable that makes the process of the next test a worker of these channels.
const CHANNELS: &str = "PIPELINE_TEST_CHANNELS";

#[test]
fn counts_that_come_twice_count_once() {
    if let Ok(channels) = env::var(CHANNELS) {
        return die_before_acknowledging(&channels);
    }
    let ipc = IpcFixture::new();
    let (folder, text) = text();
    let pipeline = pipeline(&folder, &["--workers", "1"]);
    let worker = at_work(&pipeline, &ipc, 3)["worker"];
    // The job cannot end now.
    signal_to(worker, libc::SIGSTOP);
    let line = fs::read_to_string(format!("/proc/{worker}/cmdline")).expect("a worker");
    let words: Vec<&str> = line.split('\0').collect();
    let after = |option| words.iter().skip_while(|w| **w != option).nth(1).expect("an option");
    let mut other = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "worker_crashes::counts_that_come_twice_count_once"])
        .env(CHANNELS, format!("{} {}", after("--lines"), after("--counts")))
        .stdout(Stdio::null())
        .spawn()
        .expect("another worker");
    assert_eq!(other.wait().expect("its end").signal(), Some(libc::SIGKILL));
    signal_to(worker, libc::SIGCONT);
    let output = pipeline.output();
    assert_equal(&output);
    assert_eq!(reported(&output), expected(&[text]));
    let twice = "\n1 messages delivered again, 1 counts that came twice left out\n";
    assert!(output.report.contains(twice), "{}", output.report);
    ipc.assert_clean();
}

/// What a worker does that is killed at the most critical instruction.
fn die_before_acknowledging(channels: &str) {
    let mut ids = channels.split(' ').map(|id| Options::id(id.parse().expect("an identifier")));
    let mut channel = || ids.next().expect("two channels").label("dies soon");
    let lines: Receiver<Lines> = channel().attach().expect("lines");
    let counts: Sender<Counts> = channel().attach().expect("counts");
    let block = lines.recv_ref().expect("a block");
    let (mut tally, mut seen) = (Tally::default(), 0);
    for word in words(&block.text) {
        *tally.entry(word).or_insert(0) += 1;
        seen += 1;
    }
    let mut message = counts.loan_with(counts.slot_size() - Counts::HEADER).expect("room");
    message.position = block.position().into();
    message.deliveries = block.delivery_count();
    message.lines = block.begun().into();
    message.words = seen.into();
    message.bytes = block.bytes().into();
    let len = pack(&mut message.tally, entries(&tally));
    message.truncate(len);
    message.commit().expect("sent");
    signal_to(std::process::id() as i32, libc::SIGKILL);
}
