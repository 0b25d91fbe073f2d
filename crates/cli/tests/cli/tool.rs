//! Running the command.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sysvring::{Address, Member, Stat};
use sysvring_support::raw_ipc;

/// The time after which a test fails instead of waiting.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns whether the tests run as root. If not, says what is not checked, past the capture of what
/// tests print.
pub fn is_root(unchecked: &str) -> bool {
    let is_root = raw_ipc::me() == 0;
    if !is_root {
        let _ = writeln!(io::stderr(), "NOT CHECKED: {unchecked}: only root can make it");
    }
    is_root
}

/// Returns whether this thread may change the settings of its IPC namespace: as root, in a namespace
/// of its own.
pub fn may_change_settings(unchecked: &str) -> bool {
    let namespace =
        |task: &str| fs::read_link(format!("/proc/{task}/ns/ipc")).expect("a namespace");
    namespace("self") != namespace("thread-self") && is_root(unchecked)
}

/// Returns the command with these arguments, with a plain environment.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sysvring"));
    command.args(args).env_remove("NO_COLOR").env("TERM", "xterm-256color").stdin(Stdio::null());
    command
}

/// Runs the command with redirections as a shell writes them, such as `>&-`.
pub fn run_redirected(args: &[&str], redirection: &str) -> Run {
    let script = format!("exec \"$0\" \"$@\" {redirection}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_sysvring")]).args(args);
    Run::of(shell.stdin(Stdio::null()).output().expect("a shell"))
}

/// Runs the command on a terminal.
pub fn run_on_terminal(args: &str, variables: &[(&str, &str)]) -> Run {
    let line = format!("{} {args}", env!("CARGO_BIN_EXE_sysvring"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(Stdio::null());
    script.env_remove("NO_COLOR").env("TERM", "xterm").envs(variables.iter().copied());
    Run::of(script.output().expect("script(1) of util-linux"))
}

/// Makes a channel unreadable for every user but root.
pub fn unreadable(stat: &Stat) {
    raw_ipc::chmod_segment(stat.segment.id, 0o001);
    raw_ipc::chmod_set(stat.set.as_ref().expect("a set").id, 0o001);
}

/// A user without rights.
pub const NOBODY: u32 = 65_534;

/// Runs the command as a user without rights: as another one if this is root, who has all rights.
pub fn run_as_another_user(args: &[&str]) -> Run {
    if raw_ipc::me() != 0 {
        return run(args);
    }
    // The folder of the build may be closed to that user.
    let copy = Scratch::new("program");
    // Not by this process: what it starts meanwhile would have the copy open for writing, and a
    // program that is cannot be executed.
    let cp = Command::new("cp").arg(env!("CARGO_BIN_EXE_sysvring")).arg(&copy.0).status();
    assert!(cp.expect("cp").success());
    let mut command = Command::new(&copy.0);
    command.args(args).stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
    Run::of(command.output().expect("it runs"))
}

/// Returns the numbers up to `n`, a line each.
pub fn lines(n: u32) -> String {
    (1..=n).map(|number| format!("{number}\n")).collect()
}

/// What a run of the command printed, and how it ended.
#[derive(Debug)]
pub struct Run {
    pub out: String,
    pub err: String,
    /// The exit code, or 128 and the signal.
    pub code: i32,
}

impl Run {
    pub fn of(output: Output) -> Run {
        let text = |bytes| String::from_utf8(bytes).expect("a text");
        let status = output.status;
        let code = status.code().or(status.signal().map(|signal| 128 + signal));
        Run { out: text(output.stdout), err: text(output.stderr), code: code.expect("an end") }
    }

    /// Fails unless the command succeeded and complained about nothing.
    pub fn ok(self) -> Run {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self
    }
}

/// Runs the command to its end.
pub fn run(args: &[&str]) -> Run {
    run_with(args, b"")
}

/// Runs the command with this input.
pub fn run_with(args: &[&str], input: &[u8]) -> Run {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // The command may end before it has read everything.
        let _ = stdin.write_all(&input);
    });
    let pid = child.id() as i32;
    let (ended, end) = std::sync::mpsc::channel::<()>();
    // A command that does not end is killed, and its exit code fails the test.
    let watchdog = thread::spawn(move || {
        if let Err(RecvTimeoutError::Timeout) = end.recv_timeout(TIMEOUT) {
            // SAFETY: sends a signal to a child that was not waited for: the sender would be gone.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    });
    let output = child.wait_with_output().expect("it ends");
    drop(ended);
    watchdog.join().expect("the watchdog ends");
    writer.join().expect("the writer ends");
    Run::of(output)
}

/// A command that runs beside the test. Dropped, it is killed.
pub struct Running(pub Child);

impl Running {
    pub fn start(mut command: Command) -> Running {
        Running(command.spawn().expect("the command runs"))
    }

    /// Starts the command with pipes for all that it reads and prints.
    pub fn piped(args: &[&str]) -> Running {
        let mut command = command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command)
    }

    /// Writes to its piped standard input, and ends that.
    pub fn write(&mut self, input: impl Into<Vec<u8>>) -> JoinHandle<io::Result<()>> {
        let (mut stdin, input) = (self.0.stdin.take().expect("a pipe"), input.into());
        thread::spawn(move || stdin.write_all(&input))
    }

    /// Reads its piped standard output to the end.
    pub fn read(&mut self) -> JoinHandle<Vec<u8>> {
        let mut out = self.0.stdout.take().expect("a pipe");
        thread::spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).map(|_| bytes).expect("bytes")
        })
    }

    /// Returns all that it printed to a piped standard output, and its exit code, once it has ended.
    pub fn output(&mut self) -> (String, i32) {
        let bytes = self.read().join().expect("a thread");
        (String::from_utf8(bytes).expect("a text"), self.end())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to a child that was not waited for.
        assert_eq!(unsafe { libc::kill(self.0.id() as i32, signal) }, 0);
    }

    /// Waits for its end, and returns its exit code, or 128 and the signal.
    pub fn end(&mut self) -> i32 {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return status
                    .code()
                    .or(status.signal().map(|signal| 128 + signal))
                    .expect("an end");
            }
            assert!(Instant::now() < deadline, "the command does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns all that it printed to a piped standard error, once it has ended.
    pub fn errors(&mut self) -> String {
        let mut text = String::new();
        self.0.stderr.take().expect("a pipe").read_to_string(&mut text).expect("a text");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A channel name of this test, which is removed with this value.
pub struct Name(pub String);

impl Name {
    pub fn new(name: &str) -> Name {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        Name(format!("{name}-{}-{n}", std::process::id()))
    }

    /// A name that is the same in each run, for a test in a namespace of its own.
    pub fn fixed(name: &str) -> Name {
        Name(name.into())
    }

    pub fn options(&self) -> sysvring::Options {
        sysvring::Options::named(&*self.0)
    }

    pub fn stat(&self) -> Stat {
        sysvring::stat(&*self.0).expect("a channel")
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = sysvring::remove(&*self.0);
    }
}

/// A file that is removed with this value.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let name = Name::new(name).0.clone();
        Scratch(std::env::temp_dir().join(format!("sysvring-{name}")))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("a path")
    }

    pub fn append(&self) -> File {
        File::options().append(true).create(true).open(&self.0).expect("a file")
    }

    pub fn text(&self) -> String {
        fs::read_to_string(&self.0).expect("a text")
    }

    pub fn size(&self) -> u64 {
        fs::metadata(&self.0).map_or(0, |file| file.len())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Waits until a channel exists and one of its members is like this.
#[track_caller]
pub fn until_member(channel: &str, is_so: impl Fn(&Member) -> bool) {
    until(|| sysvring::stat(channel).is_ok_and(|stat| stat.members.iter().any(&is_so)));
}

/// Waits until something holds.
#[track_caller]
pub fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "it never happens");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Returns whether there is no such channel.
pub fn is_gone(address: impl Into<Address>) -> bool {
    matches!(sysvring::stat(address), Err(sysvring::Error::NotFound { .. }))
}
