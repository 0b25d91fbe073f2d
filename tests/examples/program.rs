//! The built examples as processes.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The maximum time of everything here.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the command of an example. Cargo builds the examples for `cargo test`, beside the tests.
pub fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().expect("this program");
    path.pop();
    path.pop();
    path.extend(["examples", name]);
    assert!(
        path.exists(),
        "{} is not built; run the whole `cargo test`, or `cargo build --examples` before",
        path.display()
    );
    Command::new(path)
}

/// The result of an example that ended.
pub struct Output {
    pub end: ExitStatus,
    pub report: String,
    pub errors: String,
}

/// A running example, in its own process group. Dropping it kills it with all its children.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
    end: Option<ExitStatus>,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        let end_with_us = || {
            // SAFETY: a number.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: makes one system call.
        unsafe { command.pre_exec(end_with_us) };
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start");
        let lines = read(child.stdout.take().expect("a pipe"));
        let errors = read(child.stderr.take().expect("a pipe"));
        Running { child, lines, errors, end: None }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Returns its next line.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(TIMEOUT).expect("another line")
    }

    /// Waits for its end. Returns the remaining lines.
    pub fn end_and_rest(&mut self) -> (ExitStatus, Vec<String>) {
        (self.end(), self.lines.iter().collect())
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: i32) {
        signal_to(self.pid(), signal);
    }

    /// Sends a signal to the whole group, as a terminal does.
    pub fn signal_group(&self, signal: i32) {
        signal_to(-self.pid(), signal);
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        assert!(self.ends_within(TIMEOUT), "it does not end");
        self.end.expect("it ended")
    }

    /// Returns whether it ends within this time.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(end) = self.child.try_wait().expect("our child") {
                self.end = Some(end);
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// Waits for its end. Returns everything that it printed.
    pub fn output(mut self) -> Output {
        let end = self.end();
        // The threads end with the pipes, and those with the last process that has them.
        let all = |lines: &Receiver<String>| lines.iter().map(|line| line + "\n").collect();
        Output { end, report: all(&self.lines), errors: all(&self.errors) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.signal_group(libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Returns lines as they arrive.
fn read(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

pub fn signal_to(pid: i32, signal: i32) {
    // SAFETY: numbers; of processes that tests started.
    let sent = unsafe { libc::kill(pid, signal) };
    assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
}

/// Runs an example to its end.
pub fn run(name: &str, arguments: &[impl AsRef<OsStr>]) -> Output {
    Running::start(example(name).args(arguments)).output()
}

/// A folder that is removed with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub fn file(&self, name: impl AsRef<OsStr>, text: impl AsRef<[u8]>) {
        let path = self.0.join(name.as_ref());
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
