//! Child processes: this executable again, with orders on its command line, and lines through
//! pipes.

use std::fmt::Debug;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::str::FromStr;
use std::time::Duration;

use crate::suite;

/// The first argument of a child.
const WORKER: &str = "worker";

/// The maximum lifetime of a child in seconds.
const WATCHDOG: u32 = 180;

/// A child. Dropping it kills it if it is still alive, and waits for it.
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    args: String,
}

impl Worker {
    /// Starts this executable again with orders.
    pub fn start(args: &[&dyn ToString]) -> io::Result<Worker> {
        let args: Vec<String> = args.iter().map(|o| o.to_string()).collect();
        let mut child = Command::new("/proc/self/exe")
            .arg(WORKER)
            .args(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("asked for above"));
        Ok(Worker { child, input, output, args: args.join(" ") })
    }

    /// Starts a child and waits until it ends, which it must do with success.
    pub fn run(args: &[&dyn ToString]) {
        Worker::start(args).expect("start").finish();
    }

    /// Returns its next line.
    pub fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            let end = self.child.wait()?;
            return Err(io::Error::other(format!("\"{}\" ended early: {end}", self.args)));
        }
        Ok(line.trim_end().to_owned())
    }

    /// Returns whether it wrote a line that has not been read yet, or ended.
    pub fn has_line(&self) -> bool {
        let fd = self.output.get_ref().as_raw_fd();
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one `pollfd`, which outlives the call.
        !self.output.buffer().is_empty() || unsafe { libc::poll(&mut poll, 1, 0) } > 0
    }

    /// Reads its next line, which must be this one.
    pub fn expect(&mut self, line: &str) {
        let heard = self.read_line().unwrap_or_else(|e| panic!("instead of {line:?}: {e}"));
        assert_eq!(heard, line, "from {:?}", self.args);
    }

    /// Reads its next line, a list of numbers.
    pub fn figures<const N: usize>(&mut self) -> io::Result<[f64; N]> {
        let line = self.read_line()?;
        let figures: Option<Vec<f64>> = line.split(' ').map(|f| f.parse().ok()).collect();
        figures.and_then(|f| f.try_into().ok()).ok_or_else(|| {
            io::Error::other(format!("\"{}\" said \"{line}\", not {N} numbers", self.args))
        })
    }

    pub fn write_line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.input.as_mut().expect("open until dropped"), "{line}")
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends SIGKILL. The child may live on for some microseconds.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Sends SIGKILL and waits until the child is gone.
    pub fn kill_and_wait(&mut self) -> io::Result<()> {
        self.kill()?;
        self.child.wait().map(drop)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a child of this process that has not been waited for.
        unsafe { libc::kill(self.pid(), signal) };
    }

    /// Waits until it ends, which it must do with success.
    pub fn finish(mut self) {
        let end = self.child.wait().expect("a child of this process");
        assert!(end.success(), "{:?} ended with {end}", self.args);
    }

    /// Waits until it ends.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Waits until it sleeps in the kernel.
    pub fn wait_asleep(&self) -> io::Result<()> {
        wait_asleep(self.pid())
    }
}

/// Waits until a process sleeps in the kernel, observed twice with two milliseconds in between.
pub(crate) fn wait_asleep(pid: i32) -> io::Result<()> {
    let mut asleep = 0;
    for _ in 0..2_000 {
        std::thread::sleep(Duration::from_millis(2));
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The state follows the name, which is in parentheses and may contain parentheses.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        asleep = if state == Some('S') { asleep + 1 } else { 0 };
        if asleep == 2 {
            return Ok(());
        }
    }
    Err(io::Error::other(format!("process {pid} does not go to sleep")))
}

impl Drop for Worker {
    fn drop(&mut self) {
        // There is nothing to do if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether a process was ended by this signal.
pub fn killed_by(end: ExitStatus, signal: i32) -> bool {
    end.signal() == Some(signal)
}

/// Returns the orders of a child, or `None` in the process that was started by hand. A child never
/// outlives its parent or the watchdog.
pub fn args() -> Option<Args> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != WORKER {
        return None;
    }
    end_with_parent();
    Some(Args(arguments.collect::<Vec<_>>().into_iter()))
}

/// Makes sure that this process does not outlive its parent or the watchdog. A process must call it
/// again after it changes its user, because the kernel then drops the setting.
pub fn end_with_parent() {
    // SAFETY: takes numbers only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::alarm(WATCHDOG);
    }
}

/// The orders on a child's command line.
pub struct Args(std::vec::IntoIter<String>);

impl Args {
    #[expect(clippy::should_implement_trait, reason = "one more must be there, of any type")]
    pub fn next<T: FromStr<Err: Debug>>(&mut self) -> T {
        let order = self.0.next().expect("another order");
        order.parse().unwrap_or_else(|error| panic!("order {order:?}: {error:?}"))
    }
}

/// Work that a child can be started for. The attribute [`work`](macro@crate::work) registers it.
#[derive(Clone, Debug)]
pub struct Work {
    /// The function's name, with the modules that it is in.
    pub path: &'static str,
    pub body: fn(&mut Args),
}

inventory::collect!(Work);

/// Does the work that the first order names. The child then ends.
pub fn run(mut args: Args) -> ExitCode {
    let name: String = args.next();
    let mut works = inventory::iter::<Work>();
    match works.find(|work| suite::short(work.path) == name) {
        Some(work) => (work.body)(&mut args),
        None => panic!("no such work: {name}"),
    }
    ExitCode::SUCCESS
}

/// Binds this process, a child, to a processor.
pub fn pin(core: usize) {
    // SAFETY: `cpu_set_t` is a set of bits, empty when zero, and outlives the call; the core came
    // from such a set.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        let pinned = libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        assert!(pinned == 0, "cannot pin to processor {core}: {}", io::Error::last_os_error());
    }
}

/// Writes a line to the parent.
pub fn print_line(line: impl ToString) {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", line.to_string()).expect("the parent reads");
    out.flush().expect("the parent reads");
}

/// Reads a line from the parent. Exits if the parent is gone.
pub fn read_line() -> String {
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(n) if n > 0 => line.trim_end().to_owned(),
        _ => std::process::exit(1),
    }
}
