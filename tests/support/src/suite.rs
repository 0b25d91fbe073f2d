//! Runs tests, each with a watchdog, and checks that no segment or set is leaked.

use std::process::ExitCode;
use std::sync::{RwLock, mpsc};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};

use crate::control_group::ControlGroup;
use crate::huge_pages::HugePage;
use crate::raw_ipc::{marked, queues};
use crate::{ipc_namespace, name, scheduler_noise, worker};

/// The maximum time of a test, unless the caller sets another.
pub const WATCHDOG: Duration = Duration::from_secs(240);

/// A test, which fails by a panic. The attribute [`test`](macro@crate::test) registers one.
#[derive(Clone, Debug)]
pub struct Test {
    /// The function's name, with the modules that it is in.
    pub path: &'static str,
    /// It gets the last part of the path, for tests that are made from a table.
    pub body: fn(&str),
    pub needs: Needs,
}

inventory::collect!(Test);

/// What a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// No other test may run at the same time, because it measures times or reaps.
    Quiet,
    /// It must run as root, with the right to make namespaces. Otherwise it is shown as ignored.
    Root,
    /// The same, and a control group that limits memory can be made.
    MemoryGroup,
    /// The same for huge pages, of which one can be reserved.
    HugePageGroup,
}

impl Needs {
    /// Returns whether a test with these needs can run here.
    fn are_met(self, is_root: bool) -> bool {
        match self {
            Needs::Nothing | Needs::Quiet => true,
            Needs::Root => is_root,
            Needs::MemoryGroup => is_root && ControlGroup::is_possible("memory"),
            Needs::HugePageGroup => {
                is_root && ControlGroup::is_possible("hugetlb") && HugePage::reserve().is_ok()
            }
        }
    }
}

/// Is the whole `main` of a suite: does the work of a child, or runs the tests that the command line
/// selects.
pub fn main() -> ExitCode {
    main_with(|_| Ok(WATCHDOG))
}

/// Does the same for a suite with options of its own, which `set_up` takes from the command line.
/// It returns the watchdog.
pub fn main_with(set_up: impl FnOnce(&mut Vec<String>) -> Result<Duration, String>) -> ExitCode {
    if let Some(args) = worker::args() {
        return worker::run(args);
    }
    let mut arguments: Vec<String> = std::env::args().collect();
    match set_up(&mut arguments) {
        Ok(watchdog) => {
            if !arguments.iter().any(|argument| argument.starts_with("--test-threads")) {
                // Most tests wait for other processes most of the time.
                arguments.push(format!("--test-threads={}", 2 * processors()));
            }
            run_with(arguments.into_iter(), watchdog, registered())
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the tests of this program, in alphabetical order.
pub fn registered() -> Vec<Test> {
    let mut tests: Vec<Test> = inventory::iter::<Test>().cloned().collect();
    tests.sort_by_key(|test| test.path);
    tests
}

/// Runs the tests that a command line selects, which begins with the program's name. Fails if a
/// segment or set of this process or its children remains afterwards.
pub fn run_with(
    arguments: impl Iterator<Item = String>,
    watchdog: Duration,
    mut tests: Vec<Test>,
) -> ExitCode {
    let arguments = Arguments::from_iter(arguments);
    // If that is not allowed, the tests share the host's namespace with all other processes.
    let is_root = ipc_namespace::enter() && is_root();
    scheduler_noise::start();
    let (before, queues_before) = (marked(), queues());
    // Tests that would delay the others run last.
    tests.sort_by_key(|test| test.needs == Needs::Quiet);
    let trials = tests.into_iter().map(|Test { path, body, needs }| {
        let short = short(path).to_owned();
        Trial::test(short.clone(), move || {
            watched(&short, body, needs, watchdog);
            Ok(())
        })
        .with_ignored_flag(!needs.are_met(is_root))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    // The sets of killed processes with private channels remain until some process reaps.
    if let Err(error) = sysvring::reap() {
        eprintln!("reaping failed: {error}");
        return ExitCode::FAILURE;
    }
    let mut left = marked();
    left.retain(|object| !before.contains(object));
    left.iter().for_each(|object| eprintln!("left behind: {object}"));
    // A user that may not list them does not check them.
    let mut left_queues = queues().unwrap_or_default();
    left_queues.retain(|name| !queues_before.iter().flatten().any(|before| before == name));
    left_queues.iter().for_each(|name| eprintln!("left behind: queue {name}"));
    match left.is_empty() && left_queues.is_empty() {
        true => conclusion.exit_code(),
        false => ExitCode::FAILURE,
    }
}

/// Returns a path without the name of the program.
pub(crate) fn short(path: &str) -> &str {
    path.split_once("::").map_or(path, |(_, rest)| rest)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn watched(name: &str, body: fn(&str), needs: Needs, watchdog: Duration) {
    static QUIET: RwLock<()> = RwLock::new(());
    let alone = needs == Needs::Quiet;
    let _beside_others = (!alone).then(|| QUIET.read().unwrap_or_else(|e| e.into_inner()));
    let _alone = alone.then(|| QUIET.write().unwrap_or_else(|e| e.into_inner()));
    let (done, over) = mpsc::channel::<()>();
    let full_name = name.to_owned();
    let dog = std::thread::spawn(move || {
        if over.recv_timeout(watchdog) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{full_name} takes longer than {watchdog:?}: the suite ends here");
            name::remove_all();
            std::process::exit(101);
        }
    });
    let result = std::panic::catch_unwind(|| body(name.rsplit("::").next().unwrap_or(name)));
    drop(done);
    let _ = dog.join();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
