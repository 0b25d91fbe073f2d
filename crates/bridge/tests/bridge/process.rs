//! Processes that end with the test: the server, and the bridges.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The time after which a test fails instead of waiting.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// A process whose output is a file. Dropping it kills it, and prints the output if the test fails.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts a process that does not outlive the calling thread. Its output is added to the file.
    pub fn start(mut command: Command, output: &Path) -> Process {
        let file = File::options().append(true).create(true).open(output).expect("a file");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("the file")).stderr(file);
        // SAFETY: makes one system call that takes numbers.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process { child, output: output.into() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to a child that was not waited for.
        assert_eq!(unsafe { libc::kill(self.pid() as i32, signal) }, 0);
    }

    /// Returns its exit code, or 128 and the signal, if it has ended.
    pub fn code(&mut self) -> Option<i32> {
        let status = self.child.try_wait().expect("a child")?;
        status.code().or(status.signal().map(|signal| 128 + signal))
    }

    /// Waits for its end, and returns its exit code, or 128 and the signal.
    pub fn end(&mut self) -> i32 {
        let mut code = None;
        until("the process does not end", || {
            code = self.code();
            code.is_some()
        });
        code.expect("an end")
    }

    /// Returns its memory in bytes.
    pub fn memory(&self) -> u64 {
        self.kilobytes("VmRSS:") << 10
    }

    /// Returns its largest memory so far in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.kilobytes("VmHWM:") << 10
    }

    fn kilobytes(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect(field);
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Returns everything that it printed so far.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.output).expect("a text")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let output = self.output();
            let from = output.char_indices().rev().nth(6_000).map_or(0, |(at, _)| at);
            eprintln!("== {}:\n{}", self.output.display(), &output[from..]);
        }
    }
}

/// Waits until something holds.
#[track_caller]
pub fn until(otherwise: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < TIMEOUT, "{otherwise}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
