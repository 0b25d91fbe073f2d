//! Drivers: children of the suite that start victims, step them and check what they leave. Each has
//! one thread, so that it can fork, and a processor; it has a namespace of its own where that is
//! allowed.

use std::sync::{Mutex, OnceLock};

use sysvring_support::fork::Fork;
use sysvring_support::ipc_namespace;
use sysvring_support::scheduler_noise;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::worker::{self, Args, Worker};

/// The first word of a line that reports a failure.
const FAIL: &str = "fail ";
/// A driver's last line.
pub const OVER: &str = "over";

/// Returns a line that reports a failure.
pub fn fail(what: impl std::fmt::Display) -> String {
    format!("{FAIL}{what}")
}

/// What a driver reported.
pub struct Outcome {
    /// The failures.
    pub failures: Vec<String>,
    /// Lines of numbers.
    pub numbers: Vec<Vec<u64>>,
}

impl Outcome {
    /// Returns the sum, over all lines, of the numbers at this index.
    pub fn sum(&self, at: usize) -> u64 {
        self.numbers.iter().map(|line| line[at]).sum()
    }

    pub fn max(&self, at: usize) -> u64 {
        self.numbers.iter().map(|line| line[at]).max().unwrap_or(0)
    }

    /// Prints the failures, and fails if there are any.
    pub fn must_be_clean(&self) {
        for failure in &self.failures {
            eprintln!("{failure}");
        }
        assert!(self.failures.is_empty(), "{} failures, see above", self.failures.len());
    }
}

/// Makes a driver do some work, which `work` names.
pub fn drive(work: &str, args: &[&dyn ToString]) -> Outcome {
    let mut outcome = Outcome { failures: Vec::new(), numbers: Vec::new() };
    on_own_processor(|processor| {
        let processor = processor.map_or(-1, |n| n as i64);
        let work = format!("steps::{work}");
        let mut all: Vec<&dyn ToString> = vec![&work, &processor];
        all.extend(args);
        let mut driver = Worker::start(&all).expect("start");
        loop {
            let line = driver.read_line().expect("a line; a driver writes lines until its end");
            if line == OVER {
                return driver.finish();
            }
            match line.strip_prefix(FAIL) {
                Some(what) => outcome.failures.push(what.to_owned()),
                None => {
                    let numbers = line.split(' ').map(|n| n.parse().expect("a number"));
                    outcome.numbers.push(numbers.collect());
                }
            }
        }
    });
    outcome
}

/// Runs `work` on a processor that no other driver uses. Driver, victim and peer share it, which
/// halves the time of a step.
fn on_own_processor(work: impl FnOnce(Option<usize>)) {
    static FREE: OnceLock<Mutex<Vec<usize>>> = OnceLock::new();
    let free = FREE.get_or_init(|| {
        // SAFETY: a set of bits, empty when zero; the kernel fills it.
        let allowed = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
            set
        };
        // SAFETY: the index is inside the set.
        let usable = |n: &usize| unsafe { libc::CPU_ISSET(*n, &allowed) };
        Mutex::new((0..libc::CPU_SETSIZE as usize).filter(usable).collect())
    });
    let lock = || free.lock().unwrap_or_else(|e| e.into_inner());
    let mine = lock().pop();
    work(mine);
    lock().extend(mine);
}

/// Prepares a process to be a driver.
pub fn begin(args: &mut Args) {
    let processor: i64 = args.next();
    if processor >= 0 {
        worker::pin(processor as usize);
    }
    // In a namespace of its own, it could no longer open the witness's notes.
    scheduler_noise::allowance(now_ns());
    ipc_namespace::enter_as_any_user();
    // It works longer than other children, and ends with its parent, which has a watchdog.
    // SAFETY: takes a number.
    unsafe { libc::alarm(0) };
}

/// Returns whether drivers can have namespaces of their own. Otherwise they share the kernel's
/// tables, and only one may run at a time.
pub fn can_have_namespaces() -> bool {
    // SAFETY: ends the child, which has nothing to clean up.
    Fork::start(|| unsafe { libc::_exit(i32::from(!ipc_namespace::enter_as_any_user())) })
        .wait()
        .success()
}
